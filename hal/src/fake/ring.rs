//! The device's side of a split virtqueue, honest unless a test makes it lie.

use super::memory;

/// Descriptor flags (virtio 1.2, section 2.7.5).
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

/// A chain of descriptors as the device found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its number: the first descriptor's.
    pub head: u16,
    /// Address and length of each part that the device may read.
    pub readable: Vec<(u64, u32)>,
    /// Address and length of each part that the device may write.
    pub writable: Vec<(u64, u32)>,
    /// Whether its descriptors were in a table of their own.
    pub indirect: bool,
}

impl Chain {
    /// All that the device may read.
    #[must_use]
    pub fn read(&self) -> Vec<u8> {
        let parts = self.readable.iter().map(|&(at, length)| memory::read(at, length as usize));
        parts.collect::<Vec<_>>().concat()
    }

    /// How much the device may write.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.writable.iter().map(|&(_, length)| length).sum()
    }

    /// Writes as much of `bytes` as there is room for; returns how much that was.
    pub fn write(&self, mut bytes: &[u8]) -> u32 {
        let mut written = 0;
        for &(at, length) in &self.writable {
            let (now, later) = bytes.split_at(bytes.len().min(length as usize));
            memory::write(at, now);
            written += u32::try_from(now.len()).expect("at most `length`");
            bytes = later;
        }
        written
    }
}

/// One queue of a device.
#[derive(Debug, Default)]
pub struct Ring {
    /// What `QueueNumMax` says.
    pub max: u32,
    /// What the driver wrote to `QueueNum`.
    pub size: u32,
    /// Whether the driver has set it up.
    pub ready: bool,
    /// Where the descriptor table is.
    pub descriptors: u64,
    /// Where the available ring is.
    pub available: u64,
    /// Where the used ring is.
    pub used: u64,
    /// Whether both sides count events.
    pub event_index: bool,
    /// The next place of the available ring that the device looks at.
    pub next: u16,
    /// The used index as the device has written it.
    pub completed: u16,
}

impl Ring {
    fn place(&self, index: u16) -> u64 {
        u64::from(u32::from(index) % self.size)
    }

    /// The available index that the driver has written.
    #[must_use]
    pub fn available_index(&self) -> u16 {
        (memory::number::<2>(self.available + 2) & 0xffff) as u16
    }

    /// How many chains the device has not looked at.
    #[must_use]
    pub fn waiting(&self) -> u16 {
        self.available_index().wrapping_sub(self.next)
    }

    /// Takes the next chain.
    ///
    /// # Panics
    /// When the driver has broken a rule of section 2.7.
    pub fn pop(&mut self) -> Option<Chain> {
        assert!(self.ready, "the device works on a queue that is not set up");
        assert!(u32::from(self.waiting()) <= self.size, "more chains than the ring has places");
        if self.waiting() == 0 {
            return None;
        }
        let entry = self.available + 4 + 2 * self.place(self.next);
        let head = (memory::number::<2>(entry) & 0xffff) as u16;
        self.next = self.next.wrapping_add(1);

        let mut chain = Chain { head, readable: vec![], writable: vec![], indirect: false };
        let (mut table, mut length, mut index) = (self.descriptors, self.size, u64::from(head));
        for _ in 0..=self.size {
            assert!(index < u64::from(length), "descriptor {index} of a table of {length}");
            let address = memory::number::<8>(table + 16 * index);
            let word = memory::number::<8>(table + 16 * index + 8);
            let (bytes, flags, next) =
                ((word & 0xffff_ffff) as u32, word >> 32 & 0xffff, word >> 48);
            if flags & INDIRECT != 0 {
                assert!(flags == INDIRECT && !chain.indirect, "an indirect descriptor is the last");
                chain.indirect = true;
                (table, length, index) = (address, bytes / 16, 0);
                continue;
            }
            if flags & WRITE == 0 {
                assert!(chain.writable.is_empty(), "readable parts come first (2.7.4.2)");
                chain.readable.push((address, bytes));
            } else {
                chain.writable.push((address, bytes));
            }
            if flags & NEXT == 0 {
                return Some(chain);
            }
            index = next;
        }
        panic!("a chain without an end");
    }

    /// Writes an entry of the used ring, however wrong, without moving the index.
    pub fn write_used(&self, ahead: u16, id: u32, length: u32) {
        let entry = self.used + 4 + 8 * self.place(self.completed.wrapping_add(ahead));
        memory::set_number::<8>(entry, u64::from(id) | u64::from(length) << 32);
    }

    /// Writes the used index, however wrong.
    pub fn write_used_index(&mut self, index: u16) {
        self.completed = index;
        memory::set_number::<2>(self.used + 2, u64::from(index));
    }

    /// Completes a chain. Returns whether the driver wants to be interrupted.
    pub fn push(&mut self, id: u32, length: u32) -> bool {
        self.write_used(0, id, length);
        let (old, new) = (self.completed, self.completed.wrapping_add(1));
        self.write_used_index(new);
        if !self.event_index {
            return memory::number::<2>(self.available) & 1 == 0;
        }
        assert_eq!(
            memory::number::<2>(self.available),
            0,
            "flags of a driver that counts (2.7.7.1)"
        );
        let event = memory::number::<2>(self.available + 4 + 2 * u64::from(self.size));
        let event = (event & 0xffff) as u16;
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }

    /// Asks for a notification at the next chain. Returns whether there already is one.
    pub fn sleep(&self) -> bool {
        if self.event_index {
            memory::set_number::<2>(self.used + 4 + 8 * u64::from(self.size), u64::from(self.next));
        } else {
            memory::set_number::<2>(self.used, 0);
        }
        self.waiting() != 0
    }

    /// Asks for no notifications.
    pub fn stay_awake(&self) {
        if self.event_index {
            let past = u64::from(self.next.wrapping_sub(1));
            memory::set_number::<2>(self.used + 4 + 8 * u64::from(self.size), past);
        } else {
            memory::set_number::<2>(self.used, 1);
        }
    }
}
