//! What is left of a host bridge's memory, and who was given what of it.

use heapless::Vec;

use super::bars::{BARS, Bar};
use super::bridge::{Bridge, GRANULE};
use super::host::WINDOWS;
use super::{BRIDGES, FUNCTIONS, HostBridge};

const FOUR_GIB: u64 = 1 << 32;
/// As many as can be given out: to all functions, and to all bridges, which have two each.
const GIVEN: usize = FUNCTIONS * BARS + BRIDGES * 2;

/// On which side of 4 GiB memory is: a bridge passes one range on of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Low,
    High,
}

impl Side {
    const fn of(address: u64) -> Self {
        if address < FOUR_GIB { Self::Low } else { Self::High }
    }
}

/// What was given out.
struct Given {
    start: u64,
    end: u64,
    /// To a function on this bus.
    bus: u8,
    /// Of this one of the host bridge's windows.
    window: u8,
}

/// What is left of a window: where it begins on the bus, and where it ends.
struct Free {
    next: u64,
    end: u64,
    /// It is for prefetchable memory alone.
    for_prefetchable: bool,
}

/// What is left of the host bridge's memory.
pub(super) struct Room {
    free: Vec<Free, WINDOWS>,
    /// The bus that memory was last given to.
    bus: Option<u8>,
    given: Vec<Given, GIVEN>,
}

impl Room {
    pub(super) fn of(host: &HostBridge) -> Self {
        // Nothing is at 0: to a function it says that it is nowhere.
        let free = host.windows.iter().map(|window| Free {
            next: window.bus.max(GRANULE),
            end: window.end(),
            for_prefetchable: window.is_prefetchable,
        });
        Self { free: free.collect(), bus: None, given: Vec::new() }
    }

    /// Spares what is taken, from start to end: what is left is what is below it or above it, whichever
    /// is more.
    pub(super) fn keep(&mut self, start: u64, end: u64) {
        for Free { next, end: last, .. } in &mut self.free {
            if start < end && start < *last && end > *next {
                let (below, above) = (start.saturating_sub(*next), last.saturating_sub(end));
                if above >= below {
                    *next = end.min(*last);
                } else {
                    *last = start;
                }
            }
        }
    }

    /// Finds memory for a register of a function on this bus. Below 4 GiB first, where everything can
    /// be. Behind bridges, of which `outermost` is the first, all of one side comes from one window: what
    /// is between two windows is not PCI's to pass on.
    pub(super) fn give(&mut self, bar: &Bar, bus: u8, outermost: Option<&Bridge>) -> Option<u64> {
        let is_behind_a_bridge = outermost.is_some();
        if self.bus.replace(bus) != Some(bus) && is_behind_a_bridge {
            for Free { next, end, .. } in &mut self.free {
                *next = next.checked_next_multiple_of(GRANULE).unwrap_or(*end);
            }
        }
        // The last one of a bridge must be whole, or its neighbour would be passed on as well.
        let align = if is_behind_a_bridge { GRANULE } else { 1 };
        let can_be_high = bar.is_wide && (bar.is_prefetchable || !is_behind_a_bridge);
        let given = &self.given;
        let window_of = |side| {
            let mut theirs = given.iter().filter(|given| {
                outermost.is_some_and(|bridge| bridge.leads_to(given.bus)) && given.side() == side
            });
            theirs.next().map(|given| given.window)
        };
        let (low, high) = (window_of(Side::Low), window_of(Side::High));
        let mut places = (0..).zip(&mut self.free).filter_map(|(window, free)| {
            let Free { next, end, for_prefetchable } = free;
            let mut start = next.checked_next_multiple_of(bar.size)?;
            // Nothing lies on both sides.
            if start < FOUR_GIB && start.checked_add(bar.size)? > FOUR_GIB {
                start = FOUR_GIB.checked_next_multiple_of(bar.size)?;
            }
            // What a bridge passes on below 4 GiB may be read as it is only.
            let may_be_ahead = bar.is_prefetchable && !(is_behind_a_bridge && start < FOUR_GIB);
            (may_be_ahead || !*for_prefetchable).then_some(())?;
            let last = start.checked_add(bar.size)?;
            let whole = last.checked_next_multiple_of(align)?;
            let only = match Side::of(start) {
                Side::Low => low,
                Side::High => high,
            };
            let is_right = only.is_none_or(|only| only == window);
            let is_in_reach = can_be_high || last <= FOUR_GIB;
            (whole <= *end && is_in_reach && is_right).then_some((start, last, window, next))
        });
        let first = places.next()?;
        let (start, end, window, next) = match Side::of(first.0) {
            Side::Low => first,
            Side::High => places.find(|place| place.0 < FOUR_GIB).unwrap_or(first),
        };
        *next = end;
        // There is room for all registers of all functions.
        let _ = self.given.push(Given { start, end, bus, window });
        Some(start)
    }

    /// The granules from the first to the last of what was given out behind a bridge on one side.
    pub(super) fn behind(&self, bridge: &Bridge, side: Side) -> Option<(u64, u64)> {
        let all = self.given.iter().filter(|given| bridge.leads_to(given.bus));
        all.filter(|given| given.side() == side).fold(None, Given::join)
    }
}

impl Given {
    const fn side(&self) -> Side {
        Side::of(self.start)
    }

    fn join(span: Option<(u64, u64)>, given: &Self) -> Option<(u64, u64)> {
        let (start, end) = span.unwrap_or((u64::MAX, 0));
        let last = given.end.checked_next_multiple_of(GRANULE)?;
        Some((start.min(given.start / GRANULE * GRANULE), end.max(last)))
    }
}
