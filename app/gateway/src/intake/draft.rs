//! The fields of a reading, as they come.

use picojson::Event;

use crate::readings::{Sensor, Unit};

/// The end of the year 9999, in seconds since 1970: what a later `time` means is anyone's guess.
const LATEST: u64 = 253_402_300_799;

/// The fields of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Sensor,
    Value,
    Time,
    Unit,
}

impl Key {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Value => "value",
            Self::Time => "time",
            Self::Unit => "unit",
        }
    }

    /// What is said of a value that is none.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Sensor => "must be a string of 1 to 32 letters, digits, or any of . _ - : /",
            Self::Value => "must be a finite number",
            Self::Time => "must be seconds since 1970, from 0 to 253402300799",
            Self::Unit => "must be printable text of at most 16 bytes",
        }
    }
}

/// A reading of which not every field is there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub(super) sensor: Option<Sensor>,
    pub(super) value: Option<f64>,
    pub(super) time: Option<u64>,
    pub(super) unit: Option<Unit>,
}

impl Draft {
    pub(super) const NONE: Self = Self { sensor: None, value: None, time: None, unit: None };

    pub(super) fn has(&self, key: Key) -> bool {
        match key {
            Key::Sensor => self.sensor.is_some(),
            Key::Value => self.value.is_some(),
            Key::Time => self.time.is_some(),
            Key::Unit => self.unit.is_some(),
        }
    }

    /// Takes in the value of a field, if it is one.
    pub(super) fn take(&mut self, key: Key, event: &Event<'_, '_>) {
        match (key, event) {
            (Key::Sensor, Event::String(text)) => self.sensor = Sensor::checked(text),
            (Key::Unit, Event::String(text)) => self.unit = Unit::checked(text),
            (Key::Value, Event::Number(number)) => {
                self.value = number.parse().ok().filter(|value: &f64| value.is_finite());
            }
            (Key::Time, Event::Number(number)) => {
                // Parts of a second are cut off. An exponent would move the point that is cut at.
                let (whole, part) =
                    number.as_str().split_once('.').unwrap_or((number.as_str(), ""));
                let plain = part.bytes().all(|digit| digit.is_ascii_digit());
                self.time = whole.parse().ok().filter(|time| plain && *time <= LATEST);
            }
            _ => {}
        }
    }
}
