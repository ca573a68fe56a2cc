//! Whether a function may read and write memory. It may not from when it is found until its driver has
//! reset it: before that it may be in the midst of what firmware had it do.
//!
//! Drivers turn it on, whose code outlasts the boot's, unlike all else of configuration space.

use super::registers::{COMMAND, command};
use crate::mmio::Window;

/// What lets a function reach memory, and send messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BusMaster(pub(super) Window);

impl BusMaster {
    /// From here on it may.
    pub(crate) fn allow(self) {
        let before = self.0.read16(COMMAND);
        self.0.write16(COMMAND, before | command::BUS_MASTER);
        // Writes may be acknowledged before they have arrived, unlike reads.
        let _ = self.0.read16(COMMAND);
    }
}
