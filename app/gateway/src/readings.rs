//! The readings: the last of them, in a ring of fixed size.

use core::cell::RefCell;

use alloc::vec::Vec;

/// How many readings are kept; the oldest makes room for the newest.
pub const CAPACITY: usize = 1024;

/// A short text that came from a client and was checked: `LONGEST` bytes at most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const LONGEST: usize> {
    bytes: [u8; LONGEST],
    length: u8,
}

/// A sensor's name: 1 to 32 letters, digits, `.`, `_`, `-`, `:` or `/`.
pub type Sensor = Text<32>;

/// A unit's name: up to 16 bytes of printable text, such as `°C`.
pub type Unit = Text<16>;

impl<const LONGEST: usize> Text<LONGEST> {
    /// With nothing in it.
    pub const EMPTY: Self = Self { bytes: [0; LONGEST], length: 0 };

    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl Sensor {
    /// `None` for what is no sensor's name.
    #[must_use]
    pub fn checked(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) { None } else { Self::new(name) }
    }
}

impl Unit {
    /// `None` for what is no unit's name.
    #[must_use]
    pub fn checked(name: &str) -> Option<Self> {
        if name.chars().any(char::is_control) { None } else { Self::new(name) }
    }
}

impl<const LONGEST: usize> core::fmt::Debug for Text<LONGEST> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

/// One reading, as it was posted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Which sensor's.
    pub sensor: Sensor,
    /// What it read: finite.
    pub value: f64,
    /// When, in seconds since 1970-01-01 00:00 UTC: as the sensor says, else by the machine's
    /// clock; `None` where neither knows.
    pub time: Option<u64>,
    /// In what unit; may be empty.
    pub unit: Unit,
    /// When it arrived, in seconds since the machine's start.
    pub uptime: u32,
}

/// The last [`CAPACITY`] readings. Each has a number, counted from 1, that is never used again.
///
/// Their memory is taken whole at the start, so that a full heap is noticed then and not later.
pub struct Readings {
    ring: RefCell<Ring>,
}

struct Ring {
    kept: Vec<Reading>,
    stored: u64,
}

impl Readings {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self { ring: RefCell::new(Ring { kept: Vec::with_capacity(CAPACITY), stored: 0 }) }
    }

    /// Keeps a reading, in the oldest one's place where all are taken; returns its number.
    pub fn store(&self, reading: Reading) -> u64 {
        let ring = &mut *self.ring.borrow_mut();
        match ring.kept.get_mut(slot(ring.stored + 1)) {
            Some(oldest) => *oldest = reading,
            None => ring.kept.push(reading),
        }
        ring.stored += 1;
        ring.stored
    }

    /// The reading with that number, while it is kept.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Reading> {
        let kept = self.oldest() <= number && number <= self.newest();
        if kept { self.ring.borrow().kept.get(slot(number)).copied() } else { None }
    }

    /// The newest one's number; 0 where there is none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.ring.borrow().stored
    }

    /// The number of the oldest one that is kept; one more than the newest's where there is none.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.dropped() + 1
    }

    /// How many are kept.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.newest() - self.dropped()
    }

    /// How many had to make room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.newest().saturating_sub(CAPACITY as u64)
    }
}

/// Where the reading with that number lies.
fn slot(number: u64) -> usize {
    usize::try_from((number - 1) % CAPACITY as u64).unwrap_or(0)
}

impl Default for Readings {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Readings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Readings({} of {CAPACITY})", self.held())
    }
}
