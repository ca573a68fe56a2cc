//! `GET /api/readings`: readings, the oldest first.

use core::fmt::{self, Write};

use super::format::{Number, OrNull};
use crate::Gateway;
use crate::http::{Output, Progress};
use crate::query::Query;
use crate::readings::Reading;

/// A list of readings on its way out. Readings that arrive meanwhile are not in it; those that
/// have to make room for them meanwhile are left out.
pub struct List<'g, M> {
    gateway: &'g Gateway<M>,
    query: Query,
    /// The number of the next to write, where any is.
    next: u64,
    /// The number of the last to write.
    last: u64,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Start,
    First,
    Rest,
}

impl<'g, M> List<'g, M> {
    /// The readings that `query` asks for.
    #[must_use]
    pub fn new(gateway: &'g Gateway<M>, query: Query) -> Self {
        let readings = &gateway.readings;
        let last = readings.newest();
        let oldest = readings.oldest().max(query.since.saturating_add(1));
        let mut list = Self { gateway, query, next: last + 1, last, part: Part::Start };
        // The newest of those that fit: found from the end.
        let mut wanted = query.limit;
        for number in (oldest..=last).rev() {
            if wanted == 0 {
                break;
            }
            if list.wanted(number).is_some() {
                list.next = number;
                wanted -= 1;
            }
        }
        list
    }

    fn wanted(&self, number: u64) -> Option<Reading> {
        let reading = self.gateway.readings.get(number)?;
        let named = self.query.sensor.is_none_or(|sensor| sensor == reading.sensor);
        named.then_some(reading)
    }

    pub(super) fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        if self.part == Part::Start {
            let readings = &self.gateway.readings;
            let (newest, dropped) = (self.last, readings.dropped());
            write!(output, "{{\"newest\":{newest},\"dropped\":{dropped},\"readings\":[")?;
            self.part = Part::First;
            return Ok(Progress::More);
        }
        let Some((number, reading)) = (self.next..=self.last)
            .find_map(|number| self.wanted(number).map(|reading| (number, reading)))
        else {
            output.write_str("]}\n")?;
            return Ok(Progress::Done);
        };
        output.write_str(if self.part == Part::First { "" } else { "," })?;
        write!(output, "{{\"id\":{number},\"sensor\":")?;
        output.quoted(reading.sensor.as_str())?;
        write!(output, ",\"value\":{},\"unit\":", Number(reading.value))?;
        output.quoted(reading.unit.as_str())?;
        write!(output, ",\"time\":{},\"uptime\":{}}}", OrNull(reading.time), reading.uptime)?;
        self.next = number + 1;
        self.part = Part::Rest;
        Ok(Progress::More)
    }
}

impl<M> fmt::Debug for List<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({} to {})", self.next, self.last)
    }
}
