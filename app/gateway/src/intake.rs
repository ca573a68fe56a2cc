//! Readings as clients post them: one JSON object, or an array of them.
//!
//! ```json
//! {"sensor": "cellar/temperature", "value": 12.5, "unit": "°C", "time": 1795347000}
//! ```
//!
//! `unit` and `time` may be left out. What is refused is refused as a whole, with the field's
//! name and the place: nothing of it is stored. Why `picojson`: of the parsers that are kept well
//! it is one of two that can say where (with a reader that counts), at 29 KiB of code on aarch64
//! beside `serde_json`'s 64; `serde-json-core` has 25 and cannot.

mod counting;
mod draft;

use core::cell::Cell;

use picojson::{DefaultConfig, Event, ParseError, PullParser, StreamParser};

use counting::Counting;
use draft::{Draft, Key};

use crate::http::{Field, Place, Refusal, Status};
use crate::readings::{Reading, Unit};

/// The most readings in one request; 413 beyond.
pub const BATCH: usize = 100;

/// The longest string that is looked at, in bytes, escapes undone.
const STRING: usize = 128;

/// Reads `content` and hands each reading to `keep`. Returns how many there were.
///
/// To take all or nothing, read twice, and keep only the second time.
///
/// # Errors
/// 400 for what is no JSON or has other fields than it should, 413 for more than [`BATCH`].
pub fn read(content: &[u8], keep: &mut dyn FnMut(Reading)) -> Result<usize, Refusal> {
    let taken = Cell::new(0);
    let mut scratch = [0; STRING];
    let counting = Counting { content, taken: &taken };
    let mut parser = StreamParser::<_, DefaultConfig>::with_config(counting, &mut scratch);
    let mut intake = Intake {
        content,
        state: State::Start,
        index: None,
        start: 0,
        draft: Draft::NONE,
        count: 0,
    };
    loop {
        let before = taken.get();
        match parser.next_event() {
            Ok(event) => {
                let at = intake.token(before);
                if intake.event(&event, at, keep)? == Then::End {
                    return Ok(intake.count);
                }
            }
            Err(error) => return Err(intake.unreadable(&error, taken.get())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before anything.
    Start,
    /// In the array, between objects.
    Array,
    /// In an object, before a key or its end.
    Object,
    /// Behind a key.
    Value(Key),
    /// Behind everything.
    End,
}

/// Whether there is more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Go,
    End,
}

struct Intake<'a> {
    content: &'a [u8],
    state: State,
    /// Which element of the array is being read, where there is an array.
    index: Option<usize>,
    /// Where the present object starts.
    start: usize,
    draft: Draft,
    count: usize,
}

impl Intake<'_> {
    /// Takes in one event, whose token starts at `at`.
    fn event(
        &mut self,
        event: &Event<'_, '_>,
        at: usize,
        keep: &mut dyn FnMut(Reading),
    ) -> Result<Then, Refusal> {
        self.state = match (self.state, event) {
            (State::Start, Event::StartArray) => {
                self.index = Some(0);
                State::Array
            }
            (State::Start | State::Array, Event::StartObject) => {
                if self.count == BATCH {
                    let status = Status::ContentTooLarge;
                    return Err(Refusal::because(status, "more than 100 readings at once"));
                }
                (self.start, self.draft) = (at, Draft::NONE);
                State::Object
            }
            (State::Start | State::Array, Event::EndArray) => State::End,
            (State::Start | State::Array, _) => {
                return Err(self.refusal("must be an object, or an array of objects", None, at));
            }
            (State::Object, Event::Key(name)) => State::Value(self.key(name.as_str(), at)?),
            (State::Object, _) => {
                keep(self.reading()?);
                self.count += 1;
                self.index = self.index.map(|index| index + 1);
                if self.index.is_some() { State::Array } else { State::End }
            }
            (State::Value(key), event) => {
                self.value(key, event, at)?;
                State::Object
            }
            (State::End, Event::EndDocument) => return Ok(Then::End),
            (State::End, _) => return Err(self.refusal("there is more behind the end", None, at)),
        };
        Ok(Then::Go)
    }

    fn key(&self, name: &str, at: usize) -> Result<Key, Refusal> {
        let known = [Key::Sensor, Key::Value, Key::Time, Key::Unit];
        match known.into_iter().find(|key| key.name() == name) {
            None => Err(self.refusal("unknown field", Some(name), at)),
            Some(key) if self.draft.has(key) => {
                Err(self.refusal("the field is there twice", Some(name), at))
            }
            Some(key) => Ok(key),
        }
    }

    fn value(&mut self, key: Key, event: &Event<'_, '_>, at: usize) -> Result<(), Refusal> {
        self.draft.take(key, event);
        if self.draft.has(key) {
            return Ok(());
        }
        Err(self.refusal(key.expected(), Some(key.name()), at))
    }

    fn reading(&self) -> Result<Reading, Refusal> {
        let Draft { sensor, value, time, unit } = self.draft;
        let missing = |key: Key| self.refusal("missing", Some(key.name()), self.start);
        Ok(Reading {
            sensor: sensor.ok_or_else(|| missing(Key::Sensor))?,
            value: value.ok_or_else(|| missing(Key::Value))?,
            time,
            unit: unit.unwrap_or(Unit::EMPTY),
            uptime: 0,
        })
    }

    /// Where the token begins that was read from `before` on.
    fn token(&self, before: usize) -> usize {
        let between = |byte: &u8| byte.is_ascii_whitespace() || b",:".contains(byte);
        let rest = self.content.get(before..).unwrap_or(&[]);
        before + rest.iter().take_while(|byte| between(byte)).count()
    }

    /// What is said where the parser gave up, having looked at `taken` bytes.
    fn unreadable(&self, error: &ParseError, taken: usize) -> Refusal {
        let field = if let State::Value(key) = self.state { Some(key.name()) } else { None };
        let words = match error {
            ParseError::ScratchBufferFull | ParseError::InputBufferFull => "too long",
            ParseError::InvalidUtf8(_) => "not UTF-8",
            _ if taken >= self.content.len() => "the JSON ends early, or badly",
            _ => "not JSON from here on",
        };
        self.refusal(words, field, taken.saturating_sub(1))
    }

    fn refusal(&self, error: &'static str, field: Option<&str>, at: usize) -> Refusal {
        let before = self.content.get(..at).unwrap_or(self.content);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Refusal {
            field: field.map(Field::new),
            place: Some(Place { at, line, index: self.index }),
            ..Refusal::because(Status::BadRequest, error)
        }
    }
}
