//! Interrupts by message at a GICv2: a frame of registers beside the controller (GICv2m; Arm DEN 0029,
//! "Server Base System Architecture", appendix E). What a device writes there is the number of a
//! shared line, which then rises for a moment: nothing is looked up, and who wrote does not matter.

use crate::address::PhysicalAddress;
use crate::attempt::is_nobodys;
use crate::its::{Block, Error};
use crate::mmio::Window;

/// The registers that are used here, in bytes: all of them but the identification.
pub const LENGTH: u64 = 0x1000;

const MSI_TYPER: usize = 0x8;
const MSI_SETSPI: u64 = 0x40;

/// The lines that there are at most: shared ones.
const LINES: core::ops::Range<u32> = 32..1020;

/// A frame, and those of its lines that nobody has yet.
#[derive(Debug)]
pub struct Frame {
    at: PhysicalAddress,
    left: core::ops::Range<u32>,
}

impl Frame {
    /// Looks at the frame at `at`, behind `window`. Which lines it has, it says itself, or `told` does:
    /// the device tree knows of some that are wrong about it.
    ///
    /// # Errors
    /// [`Error::Absent`]: nobody answers. [`Error::Refused`]: it has no lines, or some that a GICv2
    /// does not have.
    pub fn look(
        window: Window,
        at: PhysicalAddress,
        told: Option<core::ops::Range<u32>>,
    ) -> Result<Self, Error> {
        let kind = window.attempt32(MSI_TYPER)?;
        let left = match told {
            Some(told) => told,
            None if is_nobodys(kind) => return Err(Error::Absent),
            None => {
                let first = kind >> 16 & 0x3ff;
                first..first + (kind & 0x3ff)
            }
        };
        if left.is_empty() || left.start < LINES.start || left.end > LINES.end {
            return Err(Error::Refused);
        }
        Ok(Self { at, left })
    }

    /// Gives out `count` messages. Each one's line is to be let through, as an edge.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn allot(&mut self, count: u32) -> Result<Block, Error> {
        let first = self.left.start;
        if count == 0 || count as usize > self.left.len() {
            return Err(Error::TooMany);
        }
        self.left.start += count;
        let address = PhysicalAddress(self.at.0 + MSI_SETSPI);
        Ok(Block { address, data: first, interrupt: first })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::fake::bus::{Nothing, nobody, place};

    const AT: PhysicalAddress = PhysicalAddress(0x802_0000);
    const PAGE: usize = 0x1000;

    fn frame(kind: u32, told: Option<core::ops::Range<u32>>) -> Result<Frame, Error> {
        Frame::look(place(&Arc::new(Mutex::new(Nothing(kind))), PAGE), AT, told)
    }

    #[test]
    fn lines_are_given_out_once_and_in_order() {
        let mut frame = frame(80 << 16 | 5, None).expect("as QEMU has it, but shorter");
        let address = PhysicalAddress(0x802_0040);
        let block = |first| Ok(Block { address, data: first, interrupt: first });
        assert_eq!(frame.allot(2), block(80));
        assert_eq!(frame.allot(4), Err(Error::TooMany));
        assert_eq!(frame.allot(0), Err(Error::TooMany));
        assert_eq!(frame.allot(3), block(82));
        assert_eq!(frame.allot(1), Err(Error::TooMany));
    }

    #[test]
    fn the_tree_knows_better() {
        let block = frame(80 << 16 | 5, Some(100..101)).and_then(|mut frame| frame.allot(1));
        assert_eq!(block.map(|block| block.interrupt), Ok(100));
    }

    #[test]
    fn lines_that_cannot_be_are_refused() {
        assert_eq!(Frame::look(nobody(PAGE), AT, None).err(), Some(Error::Absent));
        assert_eq!(frame(0, None).err(), Some(Error::Absent));
        assert_eq!(frame(u32::MAX, None).err(), Some(Error::Absent));
        assert_eq!(frame(80 << 16, None).err(), Some(Error::Refused), "none");
        assert_eq!(frame(31 << 16 | 5, None).err(), Some(Error::Refused), "a core's own");
        assert_eq!(frame(1000 << 16 | 21, None).err(), Some(Error::Refused), "beyond the last");
        assert_eq!(frame(1000 << 16 | 20, None).map(drop), Ok(()));
    }
}
