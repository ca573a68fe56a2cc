//! The bus: which device answers an access.

use std::ops::Range;

use anyhow::{Result, ensure};

use crate::outlet::complain;

/// A device, as accesses to its registers see it. The core that makes an access stands still until
/// the device has answered, so that a device is never in two accesses at once.
pub trait Device: Send {
    /// Answers a read of `data.len()` bytes (1, 2, 4 or 8) at `offset`. `data` is zero before.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// Takes a write of as many bytes.
    fn write(&mut self, offset: u64, data: &[u8]);
    /// Does what is to be done because a file that the device reads from has become readable.
    fn attend(&mut self) {}
    /// Goes on with what it has left undone, if anything: it has rung its bell for that.
    fn carry_on(&mut self) {}
    /// Takes what was typed, if it is a device for that.
    fn type_in(&mut self, _typed: &[u8]) {}
    /// Whether more may be typed. If not, its bell rings as soon as it may.
    fn takes_more(&self) -> bool {
        true
    }
}

struct Place {
    range: Range<u64>,
    device: Box<dyn Device>,
}

/// The devices by address, and a count of the accesses that no device answered.
#[derive(Default)]
pub struct Bus {
    places: Vec<Place>,
    unanswered: u64,
}

/// How many accesses to nothing are said: a guest that probes makes thousands.
const SAID: u64 = 8;

/// Which device of a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(usize);

impl Bus {
    /// Puts `device` at `size` bytes from `start`.
    ///
    /// # Errors
    /// Something is there already.
    pub fn add(&mut self, start: u64, size: u64, device: Box<dyn Device>) -> Result<Handle> {
        let range = start..start.saturating_add(size);
        let free = |place: &Place| range.end <= place.range.start || place.range.end <= start;
        ensure!(self.places.iter().all(free), "two devices at {start:#x}");
        self.places.push(Place { range, device });
        Ok(Handle(self.places.len() - 1))
    }

    /// The device that was added as `handle`.
    pub fn device(&mut self, handle: Handle) -> Option<&mut dyn Device> {
        Some(&mut *self.places.get_mut(handle.0)?.device)
    }

    /// Answers a read. Where nothing is, zeros are read.
    pub fn read(&mut self, address: u64, data: &mut [u8]) {
        data.fill(0);
        match self.at(address, data.len()) {
            Some((device, offset)) => device.read(offset, data),
            None => self.note("read", address, data.len()),
        }
    }

    /// Takes a write. Where nothing is, it has no effect.
    pub fn write(&mut self, address: u64, data: &[u8]) {
        match self.at(address, data.len()) {
            Some((device, offset)) => device.write(offset, data),
            None => self.note("write", address, data.len()),
        }
    }

    /// Has every device go on with what it has left undone.
    pub fn carry_on(&mut self) {
        self.places.iter_mut().for_each(|place| place.device.carry_on());
    }

    /// How many accesses no device has answered.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    fn at(&mut self, address: u64, length: usize) -> Option<(&mut dyn Device, u64)> {
        let end = address.checked_add(u64::try_from(length).ok()?)?;
        let holds = |place: &&mut Place| place.range.start <= address && end <= place.range.end;
        let place = self.places.iter_mut().find(holds)?;
        Some((&mut *place.device, address - place.range.start))
    }

    fn note(&mut self, what: &str, address: u64, length: usize) {
        self.unanswered += 1;
        if self.unanswered <= SAID {
            complain(&format!(
                "monitor: a {what} of {length} bytes at {address:#x}, where nothing is"
            ));
        }
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ranges: Vec<_> = self.places.iter().map(|place| &place.range).collect();
        f.debug_struct("Bus")
            .field("places", &ranges)
            .field("unanswered", &self.unanswered)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its letter; remembers nothing.
    struct Letter(u8);

    impl Device for Letter {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data[0] = self.0 + u8::try_from(offset).unwrap();
        }

        fn write(&mut self, _offset: u64, data: &[u8]) {
            self.0 = data[0];
        }
    }

    fn read(bus: &mut Bus, address: u64) -> u8 {
        let mut byte = [0xee];
        bus.read(address, &mut byte);
        byte[0]
    }

    #[test]
    fn each_access_reaches_the_device_that_is_there() {
        let mut bus = Bus::default();
        bus.add(0x200, 0x200, Box::new(Letter(b'a'))).unwrap();
        bus.add(0x400, 0x200, Box::new(Letter(b'k'))).unwrap();
        bus.write(0x402, b"x");
        assert_eq!([read(&mut bus, 0x201), read(&mut bus, 0x400)], [b'b', b'x']);
        assert_eq!(bus.unanswered(), 0);
        assert!(bus.add(0x3ff, 2, Box::new(Letter(b'z'))).is_err());
    }

    #[test]
    fn nothing_answers_with_zeros_and_is_counted() {
        let mut bus = Bus::default();
        bus.add(0x200, 0x200, Box::new(Letter(b'a'))).unwrap();
        let mut across = [0xee; 8];
        bus.read(0x3fc, &mut across);
        assert_eq!(across, [0; 8]);
        assert_eq!(read(&mut bus, 0x1ff), 0);
        bus.write(u64::MAX, b"x");
        assert_eq!(bus.unanswered(), 3);
    }
}
