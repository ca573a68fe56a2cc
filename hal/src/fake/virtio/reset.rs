//! What a device does wrong, and its resets, at which much of that shows.

use super::Virtio;
use crate::fake::memory;
use crate::fake::ring::Ring;

/// What a test can make a device do wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quirks {
    /// It does not do what a reset asks for: it goes on, and its status never reads as 0.
    pub stuck_reset: bool,
    /// At so many reads of the status it is not yet done with its reset, and goes on till then.
    pub slow_reset: u32,
    /// Its interrupts stay pending over a reset.
    pub keeps_interrupts: bool,
    /// FEATURES_OK does not stay set.
    pub refuses_features: bool,
    /// Queues count as set up from the start.
    pub queues_busy: bool,
    /// The configuration changes at so many of its reads.
    pub config_changes: u32,
}

impl Virtio {
    /// The driver wrote 0 to the status.
    pub(super) fn begin_reset(&mut self) {
        if self.quirks.stuck_reset {
            self.status |= 1;
        } else if self.quirks.slow_reset > 0 {
            self.resetting = Some(self.quirks.slow_reset);
        } else {
            self.reset();
        }
    }

    /// The driver reads the status.
    pub(super) fn read_status(&mut self) -> u32 {
        match self.resetting {
            Some(0) => {
                self.resetting = None;
                for (address, bytes) in std::mem::take(&mut self.last_words) {
                    memory::write(address, &bytes);
                }
                self.reset();
                self.status
            }
            Some(left) => {
                self.resetting = Some(left - 1);
                self.status | 1
            }
            None => self.status,
        }
    }

    /// Starts over, as after power-on.
    fn reset(&mut self) {
        self.status = 0;
        self.resets += 1;
        self.accepted = 0;
        if !self.quirks.keeps_interrupts {
            self.interrupt_status = 0;
        }
        (self.page_size, self.align) = (0, 0);
        for queue in &mut self.queues {
            *queue = Ring { max: queue.max, ready: self.quirks.queues_busy, ..Ring::default() };
        }
    }
}
