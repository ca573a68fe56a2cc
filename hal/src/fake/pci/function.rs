//! A function's configuration space: an ordinary one's, or a bridge's.

use std::ops::RangeInclusive;

use super::{Bus, Card};
use crate::fake::bus::Width;

/// Memory that a function has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// In bytes: a power of two, or nothing.
    pub size: u64,
    /// The low bits of its register: 0 for 32 bits, 4 for 64, 8 for prefetchable, 1 for ports.
    pub kind: u32,
}

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its configuration space.
    pub bytes: [u8; 256],
    /// Its memory, by base address register.
    pub memory: [Memory; 6],
    /// What is behind it, if it is a bridge.
    pub behind: Bus,
    /// What it does, if it is a device.
    pub card: Option<Card>,
    /// Whether a bridge forgets what it is told about its buses.
    pub forgets: bool,
}

impl Function {
    /// A function of this maker and kind, without anything.
    #[must_use]
    pub fn new(vendor: u16, device: u16) -> Self {
        let mut bytes = [0; 256];
        bytes[..2].copy_from_slice(&vendor.to_le_bytes());
        bytes[2..4].copy_from_slice(&device.to_le_bytes());
        let memory = [Memory::default(); 6];
        Self { bytes, memory, behind: Bus::new(), card: None, forgets: false }
    }

    /// A root port of PCI Express, with a bus behind it that nobody has numbered.
    #[must_use]
    pub fn root_port(behind: Bus) -> Self {
        let mut port = Self::new(0x1b36, 0x000c);
        port.bytes[0x0b] = 6; // a bridge
        port.bytes[0x0e] = 1;
        port.bytes[0x06] = 0x10;
        port.bytes[0x34] = 0x54;
        port.bytes[0x54..0x58].copy_from_slice(&[0x10, 0, 0x42, 0]);
        port.behind = behind;
        port
    }

    /// Writes into configuration space, whether or not software could.
    ///
    /// # Panics
    /// Outside of it.
    pub fn set(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn is_bridge(&self) -> bool {
        self.bytes[0x0e] & 0x7f == 1
    }

    /// The numbers of the buses behind a bridge.
    pub(super) fn buses(&self) -> Option<RangeInclusive<u8>> {
        let buses = self.bytes[0x19]..=self.bytes[0x1a];
        (self.is_bridge() && *buses.start() > 0).then_some(buses)
    }

    fn word(&self, at: usize) -> u64 {
        u64::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// Whether a bridge passes an address on.
    pub(super) fn passes_on(&self, address: u64) -> bool {
        let half = |at| (self.word(at) & 0xfff0) << 16;
        let upper = |at| (self.word(at) | self.word(at + 2) << 16) << 32;
        let is_in = |base: u64, limit: u64| (base..=limit | 0xf_ffff).contains(&address);
        self.is_bridge()
            && self.word(4) & 2 != 0
            && (is_in(half(0x20), half(0x22))
                || is_in(half(0x24) | upper(0x28), half(0x26) | upper(0x2c)))
    }

    /// Which of its memory an address is in, and where.
    pub(super) fn answers(&self, address: u64) -> Option<(u8, u64)> {
        if self.word(4) & 2 == 0 {
            return None;
        }
        let count = if self.is_bridge() { 2 } else { 6 };
        (0_u8..).zip(&self.memory).take(count).find_map(|(index, memory)| {
            let at = 0x10 + 4 * usize::from(index);
            let mut start = self.word(at) & !0xf | self.word(at + 2) << 16;
            if memory.kind & 4 != 0 {
                start |= (self.word(at + 4) | self.word(at + 6) << 16) << 32;
            }
            let offset = address.checked_sub(start)?;
            (memory.kind & 1 == 0 && offset < memory.size).then_some((index, offset))
        })
    }

    pub(super) fn read(&self, offset: usize, width: Width) -> u32 {
        let count = [1, 2, 4][width as usize];
        let mut bytes = [0; 4];
        for (byte, value) in bytes[..count].iter_mut().zip(self.bytes.iter().skip(offset)) {
            *byte = *value;
        }
        u32::from_le_bytes(bytes)
    }

    pub(super) fn write(&mut self, offset: usize, width: Width, value: u32) {
        let last = if self.is_bridge() { 0x18 } else { 0x28 };
        match offset {
            0x04 => assert_eq!(width, Width::Bits16, "the status would be cleared with it"),
            0x06 => panic!("nothing is to be written to the status"),
            0x10..0x28 if offset < last => return self.set_bar((offset - 0x10) / 4, width, value),
            0x18..=0x1a if self.forgets => return,
            0x18..0x34 | 0x3c if self.is_bridge() => {}
            0x3c | 0x40.. => {}
            _ => panic!("write of {value:#x} to {offset:#x} of configuration space"),
        }
        if let (Some(card), 0x9a) = (&mut self.card, offset) {
            card.control = (value & 0xffff) as u16;
        }
        let count = [1, 2, 4][width as usize];
        self.set(offset, &value.to_le_bytes()[..count]);
    }

    /// A register keeps of an address what its memory's size leaves.
    fn set_bar(&mut self, index: usize, width: Width, value: u32) {
        assert_eq!(width, Width::Bits32, "these have 32 bits");
        let below = index.checked_sub(1).map(|below| self.memory[below]);
        let (mask, kind) = match below {
            Some(memory) if memory.kind & 5 == 4 && memory.size > 0 => {
                ((memory.size.wrapping_neg() >> 32) as u32, 0)
            }
            _ if self.memory[index].size == 0 => (0, 0),
            _ => {
                let Memory { size, kind } = self.memory[index];
                ((size.wrapping_neg() & 0xffff_fff0) as u32, kind)
            }
        };
        self.set(0x10 + 4 * index, &(value & mask | kind).to_le_bytes());
    }
}
