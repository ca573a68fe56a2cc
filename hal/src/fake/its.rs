//! A GICv3's part in interrupts by message: the ITS and one redistributor, which look into memory for
//! what the driver has put there, and panic at what the architecture (Arm IHI 0069) leaves open.

use std::collections::BTreeMap;

use super::bus::{Registers, Width};
use super::memory::{number, read, set_number};

const VALID: u64 = 1 << 63;

/// How the hardware is made: what a driver finds out.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    /// Whether tables of devices may have two levels.
    pub two_levels: bool,
    /// The size of the tables' pages, as registers have it, if there is only one.
    pub page_size: Option<u64>,
    /// How many bits a device's number has.
    pub device_bits: u32,
    /// Whether it sees memory as the core does.
    pub coherent: bool,
    /// Whether redistributors are named by their addresses.
    pub by_address: bool,
    /// Whether LPIs are on already, for good.
    pub in_use: bool,
    /// What it does with commands.
    pub manner: Manner,
}

/// What an ITS does with commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Carries them out, and panics at a wrong one.
    Works,
    /// Carries each out some looks later.
    Slow(u32),
    /// Does nothing, ever.
    Silent,
    /// Takes each for a wrong one.
    Stalls,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            two_levels: true,
            page_size: None,
            device_bits: 16,
            coherent: true,
            by_address: false,
            in_use: false,
            manner: Manner::Works,
        }
    }
}

/// A message that was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The interrupt.
    pub interrupt: u32,
    /// Whether the redistributor has looked at the interrupt's configuration since.
    pub seen: bool,
}

/// The ITS.
#[derive(Debug)]
pub struct FakeIts {
    make: Make,
    control: u32,
    queue: u64,
    read: u64,
    write: u64,
    tables: [u64; 8],
    wait: u32,
    /// Where the redistributor's configuration of LPIs is, for the test to say.
    pub configuration: u64,
    /// What the collection is mapped to.
    pub target: Option<u64>,
    /// Each device's table, and how many bits its messages have.
    pub devices: BTreeMap<u32, (u64, u64)>,
    /// Each device's messages.
    pub messages: BTreeMap<(u32, u32), Mapped>,
    /// The interrupts that arrived.
    pub arrived: Vec<u32>,
    /// Whether the last command was a SYNC.
    pub synchronised: bool,
}

impl FakeIts {
    const ENTRY: u64 = 12;
    /// Of GITS_BASER: what is not the driver's to write.
    const FIXED: u64 = 0b111 << 56 | 0x1f << 48;

    /// One that is off.
    #[must_use]
    pub fn new(make: Make) -> Self {
        let mut tables = [0; 8];
        tables[0] = 1 << 56 | 7 << 48; // devices, of 8 bytes
        tables[1] = 4 << 56 | 7 << 48; // collections
        tables[2] = 2 << 56 | 7 << 48; // what virtual machines need
        Self {
            make,
            control: 1 << 31,
            queue: 0,
            read: 0,
            write: 0,
            tables,
            wait: 0,
            configuration: 0,
            target: None,
            devices: BTreeMap::new(),
            messages: BTreeMap::new(),
            arrived: Vec::new(),
            synchronised: false,
        }
    }

    /// A device writes to GITS_TRANSLATER.
    pub fn message(&mut self, device: u32, event: u32) {
        let mapped = self.messages.get(&(device, event)).expect("a message that was mapped");
        assert!(mapped.seen, "the redistributor still has the interrupt's old configuration");
        let configuration = number::<1>(self.configuration + u64::from(mapped.interrupt) - 8192);
        assert_eq!(configuration & 0b11, 0b11, "let through");
        self.arrived.push(mapped.interrupt);
    }

    fn attributes(&self, value: u64, cached: u32) -> u64 {
        if self.make.coherent { value } else { value & !(0b11 << 10) & !(0b100 << cached) }
    }

    /// Looks a device up as the hardware does: there must be memory for it.
    fn check_device_table(&self, device: u32) {
        let base = self.tables[0];
        assert_ne!(base & VALID, 0, "no table of devices");
        let (page, address) = match base >> 8 & 0b11 {
            0 => (0x1000, base & 0xffff_ffff_f000),
            1 => (0x4000, base & 0xffff_ffff_c000),
            _ => (0x1_0000, base & 0xffff_ffff_0000 | (base >> 12 & 0xf) << 48),
        };
        assert_eq!(address % page, 0);
        let (pages, device) = ((base & 0xff) + 1, u64::from(device));
        if base & 1 << 62 == 0 {
            assert!(device * 8 < pages * page, "device {device:#x} is beyond the table");
            set_number::<8>(address + device * 8, 0);
        } else {
            let entry = device / (page / 8) * 8;
            assert!(entry < pages * page, "device {device:#x} is beyond the first level");
            let second = number::<8>(address + entry);
            assert_ne!(second & VALID, 0, "device {device:#x} has no page");
            set_number::<8>((second & 0xf_ffff_ffff_f000) + device % (page / 8) * 8, 0);
        }
    }

    fn carry_out(&mut self, at: u64) {
        let [head, second, third, fourth] = [0, 8, 16, 24].map(|word| number::<8>(at + word));
        assert_eq!(fourth, 0);
        let device = u32::try_from(head >> 32).expect("half");
        let low = |word: u64| u32::try_from(word & 0xffff_ffff).expect("half");
        self.synchronised = false;
        match head & 0xff {
            0x9 => {
                assert_eq!(third & (VALID | 0xffff), VALID, "collection 0");
                assert_ne!(self.tables[1] & VALID, 0, "no table of collections");
                self.target = Some(third & !VALID);
            }
            0x8 => {
                assert!(u64::from(device) >> self.make.device_bits == 0);
                self.check_device_table(device);
                let (table, bits) = (third & 0xf_ffff_ffff_ff00, (second & 0x1f) + 1);
                assert_eq!(third, VALID | table);
                for entry in 0..1 << bits {
                    set_number::<4>(table + entry * Self::ENTRY + 8, 0); // it must be memory
                }
                self.devices.insert(device, (table, bits));
            }
            0xa => {
                let (event, interrupt) = (low(second), low(second >> 32));
                let (_, bits) = self.devices.get(&device).expect("a device that was mapped");
                assert!(event >> bits == 0, "event {event}");
                assert!((8192..1 << 14).contains(&interrupt), "interrupt {interrupt}");
                assert_eq!(third, 0, "collection 0");
                let mapped = Mapped { interrupt, seen: false };
                assert!(self.messages.values().all(|other| other.interrupt != interrupt));
                assert!(self.messages.insert((device, event), mapped).is_none());
            }
            0xc => {
                let mapped = self.messages.get_mut(&(device, low(second)));
                mapped.expect("a message that was mapped").seen = true;
            }
            0x3 => self.message(device, low(second)),
            0x5 => {
                assert_eq!(Some(third), self.target);
                self.synchronised = true;
            }
            other => panic!("command {other:#x}"),
        }
    }

    /// Carries out what there is in the queue, if it is time to.
    fn work(&mut self) {
        if self.control & 1 == 0 {
            return;
        }
        match self.make.manner {
            Manner::Silent => return,
            Manner::Slow(looks) if self.wait < looks => {
                self.wait += 1;
                return;
            }
            Manner::Stalls if self.read != self.write => {
                self.read |= 1;
                return;
            }
            _ => {}
        }
        while self.read != self.write {
            assert_ne!(self.queue & VALID, 0, "no queue");
            let length = ((self.queue & 0xff) + 1) * 0x1000;
            self.carry_out((self.queue & 0xf_ffff_ffff_f000) + self.read);
            self.read = (self.read + 32) % length;
        }
        self.wait = 0;
    }
}

impl Registers for FakeIts {
    fn read(&mut self, offset: usize, _width: Width) -> u32 {
        match offset {
            0x0 => self.control,
            0x90 => {
                self.work();
                u32::try_from(self.read).expect("an offset")
            }
            0xffe8 => 0x3b,
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        assert_eq!(offset, 0, "write of {value:#x}");
        if value & 1 != 0 {
            assert!(self.queue & self.tables[0] & self.tables[1] & VALID != 0, "too early");
        }
        self.control = value & 1 | 1 << 31;
    }

    fn read64(&mut self, offset: usize) -> u64 {
        match offset {
            0x8 => {
                let entry = Self::ENTRY - 1;
                let bits = u64::from(self.make.device_bits) - 1;
                1 | entry << 4 | 15 << 8 | bits << 13 | u64::from(self.make.by_address) << 19
            }
            0x80 => self.queue,
            0x100..0x140 => self.tables[(offset - 0x100) / 8],
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write64(&mut self, offset: usize, value: u64) {
        match offset {
            0x80 => {
                assert_eq!(self.control & 1, 0, "the queue is moved while the ITS is on");
                assert_eq!(value & 0xf000, 0, "an address that is not to be counted on");
                self.queue = self.attributes(value, 59);
                self.read = 0;
            }
            0x88 => {
                assert_eq!(value % 32, 0);
                self.write = value;
            }
            0x100..0x140 => {
                assert_eq!(self.control & 1, 0, "a table is moved while the ITS is on");
                let table = &mut self.tables[(offset - 0x100) / 8];
                let fixed = *table & Self::FIXED;
                let mut value = value & !Self::FIXED;
                if let Some(size) = self.make.page_size {
                    value = value & !(0b11 << 8) | size << 8;
                }
                if !self.make.two_levels {
                    value &= !(1 << 62);
                }
                *table = if fixed == 0 { 0 } else { fixed | value };
                let held = self.tables[(offset - 0x100) / 8];
                self.tables[(offset - 0x100) / 8] = self.attributes(held, 59);
            }
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}

/// The frame of a redistributor that LPIs are turned on by.
#[derive(Debug)]
pub struct FakeRedistributor {
    make: Make,
    control: u32,
    /// GICR_PROPBASER.
    pub configuration: u64,
    /// GICR_PENDBASER.
    pub pending: u64,
}

impl FakeRedistributor {
    /// The number of its core.
    pub const NUMBER: u64 = 3;

    /// One whose LPIs are off.
    #[must_use]
    pub fn new(make: Make) -> Self {
        Self { make, control: u32::from(make.in_use), configuration: 0, pending: 0 }
    }

    /// Whether LPIs are on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.control & 1 != 0
    }
}

impl Registers for FakeRedistributor {
    fn read(&mut self, offset: usize, _width: Width) -> u32 {
        assert_eq!(offset, 0);
        self.control
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        assert_eq!(offset, 0);
        if value & 1 != 0 {
            let (configuration, pending) =
                (self.configuration & 0xf_ffff_ffff_f000, self.pending & 0xf_ffff_ffff_0000);
            let bits = (self.configuration & 0x1f) + 1;
            assert!(bits >= 14);
            // All of them must be memory, and the second zeros, as was promised.
            let bytes = read(configuration, (1 << bits) - 8192);
            assert!(bytes.iter().all(|byte| *byte == 0), "let through too early");
            assert_ne!(self.pending & 1 << 62, 0);
            assert!(read(pending, (1 << bits) / 8).iter().all(|byte| *byte == 0));
        }
        self.control = value & 1 | u32::from(self.make.in_use);
    }

    fn read64(&mut self, offset: usize) -> u64 {
        match offset {
            0x8 => 1 | Self::NUMBER << 8,
            0x70 => self.configuration,
            0x78 => self.pending & !(1 << 62),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write64(&mut self, offset: usize, value: u64) {
        assert_eq!(self.control & 1, 0, "a table is moved while LPIs are on");
        let attributes = if self.make.coherent { !0 } else { !(0b11 << 10 | 0b100 << 7) };
        match offset {
            0x70 => self.configuration = value & attributes,
            0x78 => {
                assert_eq!(value & 0xf000, 0);
                self.pending = value & attributes;
            }
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}
