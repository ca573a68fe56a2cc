//! The service's state: the readings and the counters.

use core::cell::Cell;
use core::fmt;

use embassy_time::Instant;

use crate::closing::Closing;
use crate::http::Status;
use crate::machine::Machine;
use crate::readings::Readings;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// At zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(Cell::new(0))
    }

    /// One more.
    pub fn increment(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Connections, as they come and go.
#[derive(Debug)]
pub struct Connections {
    /// How many are served at a time.
    pub limit: u64,
    open: Cell<u64>,
    /// How many were served, or are.
    pub accepted: Counter,
    /// How many were told to come back later.
    pub refused: Counter,
}

impl Connections {
    const fn new(limit: u64) -> Self {
        Self { limit, open: Cell::new(0), accepted: Counter::new(), refused: Counter::new() }
    }

    /// How many are served now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.get()
    }

    /// Lets one more in, until the permit is dropped; `None` where all places are taken.
    pub fn admit(&self) -> Option<Permit<'_>> {
        if self.open.get() >= self.limit {
            self.refused.increment();
            return None;
        }
        self.open.set(self.open.get() + 1);
        self.accepted.increment();
        Some(Permit { connections: self })
    }
}

/// A place among the connections that are served.
#[derive(Debug)]
pub struct Permit<'a> {
    connections: &'a Connections,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.connections.open.set(self.connections.open.get().saturating_sub(1));
    }
}

/// Responses, by their status's first digit.
#[derive(Debug, Default)]
pub struct Responses {
    classes: [Counter; 6],
}

impl Responses {
    const fn new() -> Self {
        Self { classes: [const { Counter::new() }; 6] }
    }

    /// How many there were with that first digit.
    #[must_use]
    pub fn class(&self, class: usize) -> u64 {
        self.classes.get(class).map_or(0, Counter::get)
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes.iter().map(Counter::get).sum()
    }

    /// One more.
    pub fn count(&self, status: Status) {
        if let Some(counter) = self.classes.get(status.class()) {
            counter.increment();
        }
    }
}

/// The service. All of it is on one core and in one task's hands at a time, so cells will do.
pub struct Gateway<M> {
    /// What it runs on.
    pub machine: M,
    /// What was posted.
    pub readings: Readings,
    /// Who is there.
    pub connections: Connections,
    /// What was answered.
    pub responses: Responses,
    /// Whether it goes on.
    pub closing: Closing,
}

impl<M: Machine> Gateway<M> {
    /// A service on `machine` that serves `limit` connections at a time.
    #[must_use]
    pub fn new(machine: M, limit: u64) -> Self {
        Self {
            machine,
            readings: Readings::new(),
            connections: Connections::new(limit),
            responses: Responses::new(),
            closing: Closing::new(),
        }
    }

    /// The time since the machine's start, in milliseconds.
    #[must_use]
    pub fn uptime(&self) -> u64 {
        Instant::now().as_millis()
    }
}

impl<M> fmt::Debug for Gateway<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("readings", &self.readings)
            .field("connections", &self.connections)
            .field("responses", &self.responses)
            .finish_non_exhaustive()
    }
}
