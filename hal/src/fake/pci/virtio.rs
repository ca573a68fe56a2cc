//! A virtio device on a function (virtio 1.2, section 4.1): the same device as in a slot, its registers
//! elsewhere and of other widths.

use std::sync::{Arc, Mutex};

use super::{Function, Memory};
use crate::fake::bus::{self, Registers, Width};
use crate::fake::virtio::Virtio;

/// Where it has its registers: in its memory 4, where the table of messages is in 1.
const COMMON: u64 = 0;
const ISR: u64 = 0x1000;
const CONFIG: u64 = 0x2000;
const DOORBELLS: u64 = 0x3000;
const END: u64 = 0x4000;

/// What is behind a function's memory.
#[derive(Debug)]
pub struct Card {
    /// The device.
    pub device: Arc<Mutex<Virtio>>,
    /// The unit in which queues say where they are notified.
    pub unit: u64,
    /// What queue 0 adds to what each says of that.
    pub first: u16,
    /// Whether it refuses to send messages.
    pub refuses_messages: bool,
    /// What its table of messages has, and what turns that on.
    pub table: [u32; 16],
    /// As it was written last.
    pub control: u16,
    /// The message for changes of its configuration.
    pub configuration_vector: u16,
    /// Those for its queues.
    pub vectors: [u16; 4],
    selected: usize,
}

impl Function {
    /// A modern device: with a pin, and a table of `messages` messages.
    #[must_use]
    pub fn virtio(device: Virtio, messages: u16) -> (Arc<Mutex<Virtio>>, Self) {
        let kind = u16::try_from(device.id).expect("a kind");
        let mut function = Self::new(0x1af4, 0x1040 + kind);
        function.bytes[0x3d] = 1;
        function.bytes[0x06] = 0x10;
        function.bytes[0x34] = 0x40;
        function.memory[1] = Memory { size: 0x1000, kind: 0 };
        function.memory[4] = Memory { size: END, kind: 0xc };
        // The kind, where the next one is, how long it is, what it is about, and where that is.
        let kinds =
            [(1, COMMON, 0x1000), (3, ISR, 0x1000), (4, CONFIG, 0x1000), (2, DOORBELLS, 0x1000)];
        for (index, (kind, offset, length)) in (0_u8..).zip(kinds) {
            let at = 0x40 + 0x14 * index;
            let next = if index == 3 { 0x98 } else { at + 0x14 };
            function.set(usize::from(at), &[0x09, next, 0x14, kind, 4]);
            let number = |value: u64| u32::try_from(value).expect("small").to_le_bytes();
            function.set(usize::from(at) + 8, &[number(offset), number(length)].concat());
        }
        function.set(0x40 + 0x14 * 3 + 16, &4_u32.to_le_bytes());
        if messages == 0 {
            function.bytes[0x40 + 0x14 * 3 + 1] = 0;
        } else {
            let size = (messages - 1).to_le_bytes();
            function.set(0x98, &[0x11, 0, size[0], size[1], 1, 0, 0, 0]);
        }
        let device = Arc::new(Mutex::new(device));
        function.card = Some(Card {
            device: device.clone(),
            unit: 4,
            first: 0,
            refuses_messages: false,
            table: [0; 16],
            control: 0,
            configuration_vector: u16::MAX,
            vectors: [u16::MAX; 4],
            selected: 0,
        });
        (device, function)
    }
}

impl Card {
    pub(super) fn read(&mut self, bar: u8, offset: u64, width: Width) -> u32 {
        let device = self.device.clone();
        let device = &mut *bus::lock(&device);
        match (bar, offset) {
            (1, 0..0x40) => self.table[usize::try_from(offset / 4).expect("small")],
            (4, COMMON..ISR) => self.read_common(device, offset, width),
            (4, ISR) => {
                assert_eq!(width, Width::Bits8, "the interrupt status has 8 bits");
                device.accesses += 1;
                std::mem::take(&mut device.interrupt_status)
            }
            (4, CONFIG..DOORBELLS) => {
                device.read(0x100 + usize::try_from(offset - CONFIG).expect("small"), width)
            }
            _ => panic!("read of {offset:#x} of memory {bar}"),
        }
    }

    pub(super) fn write(&mut self, bar: u8, offset: u64, width: Width, value: u32) {
        let device = self.device.clone();
        let device = &mut *bus::lock(&device);
        match (bar, offset) {
            (1, 0..0x40) => {
                assert!(self.control & 0x8000 != 0, "the table is there once messages are on");
                self.table[usize::try_from(offset / 4).expect("small")] = value;
            }
            (4, COMMON..ISR) => self.write_common(device, offset, width, value),
            (4, DOORBELLS..END) => {
                assert_eq!(width, Width::Bits16, "queues are notified by 16 bits");
                let own = (u64::from(value) + u64::from(self.first)) * self.unit;
                assert_eq!(offset - DOORBELLS, own, "each queue has a place of its own");
                device.write(0x050, Width::Bits32, value);
            }
            _ => panic!("write of {value:#x} to {offset:#x} of memory {bar}"),
        }
    }

    fn read_common(&mut self, device: &mut Virtio, offset: u64, width: Width) -> u32 {
        assert_eq!(width, width_of(offset), "each register has its width (4.1.3.1)");
        let mut slot = |register| device.read(register, Width::Bits32);
        match offset {
            0x04 => slot(0x010),
            0x10 => self.configuration_vector.into(),
            0x12 => u32::try_from(device.queues.len()).expect("few"),
            0x14 => slot(0x070),
            0x15 => slot(0x0fc),
            0x18 => slot(0x034),
            0x1a => self.vectors[self.selected].into(),
            0x1c => slot(0x044),
            0x1e => u32::try_from(self.selected).expect("few") + u32::from(self.first),
            _ => panic!("read of common register {offset:#x}"),
        }
    }

    fn write_common(&mut self, device: &mut Virtio, offset: u64, width: Width, value: u32) {
        assert_eq!(width, width_of(offset), "each register has its width (4.1.3.1)");
        let vector = if self.refuses_messages { u16::MAX } else { (value & 0xffff) as u16 };
        match offset {
            0x10 => return self.configuration_vector = vector,
            0x1a => return self.vectors[self.selected] = vector,
            0x14 if value == 0 => {
                (self.configuration_vector, self.vectors) = (u16::MAX, [u16::MAX; 4]);
            }
            0x16 => self.selected = value as usize,
            _ => {}
        }
        let register = match offset {
            0x00 => 0x014,
            0x08 => 0x024,
            0x0c => 0x020,
            0x14 => 0x070,
            0x16 => 0x030,
            0x18 => 0x038,
            0x1c => 0x044,
            0x20 => 0x080,
            0x24 => 0x084,
            0x28 => 0x090,
            0x2c => 0x094,
            0x30 => 0x0a0,
            0x34 => 0x0a4,
            _ => panic!("write of {value:#x} to common register {offset:#x}"),
        };
        device.write(register, Width::Bits32, value);
    }
}

/// How wide a common register is.
const fn width_of(offset: u64) -> Width {
    match offset {
        0x14 | 0x15 => Width::Bits8,
        0x10 | 0x12 | 0x16..0x20 => Width::Bits16,
        _ => Width::Bits32,
    }
}
