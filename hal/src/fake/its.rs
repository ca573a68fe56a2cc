//! A GICv3's part in interrupts by message: the ITS and one redistributor, which look into memory for
//! what the driver has put there, and panic at what the architecture (Arm IHI 0069) leaves open.

mod attributes;

use std::collections::BTreeMap;

use super::bus::{Registers, Width};
pub use attributes::Attributes;

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
    /// Whether it says that it sees memory as the core does.
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
    /// Carries each out as soon as it is told of it, and panics at a wrong one.
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
    /// The redistributor's GICR_PROPBASER, for the test to say.
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
        let at = (self.configuration & 0xf_ffff_ffff_f000) + u64::from(mapped.interrupt) - 8192;
        let configuration = Attributes::of(self.configuration, 7).number::<1>(at);
        assert_eq!(configuration & 0b11, 0b11, "let through");
        self.arrived.push(mapped.interrupt);
    }

    /// How it reaches its queue, and each table that it has.
    #[must_use]
    pub fn attributes(&self) -> Vec<Attributes> {
        let valid = [self.queue].into_iter().chain(self.tables).filter(|base| base & VALID != 0);
        valid.map(|base| Attributes::of(base, 59)).collect()
    }

    /// Where a table is, how long its pages are, and how many it has.
    fn table(base: u64) -> (u64, u64, u64) {
        let (page, address) = match base >> 8 & 0b11 {
            0 => (0x1000, base & 0xffff_ffff_f000),
            1 => (0x4000, base & 0xffff_ffff_c000),
            _ => (0x1_0000, base & 0xffff_ffff_0000 | (base >> 12 & 0xf) << 48),
        };
        assert_eq!(address % page, 0);
        (address, page, (base & 0xff) + 1)
    }

    /// Looks a device up as the hardware does: there must be memory for it.
    fn check_device_table(&self, device: u32) {
        let base = self.tables[0];
        assert_ne!(base & VALID, 0, "no table of devices");
        let ((address, page, pages), memory) = (Self::table(base), Attributes::of(base, 59));
        let device = u64::from(device);
        if base & 1 << 62 == 0 {
            assert!(device * 8 < pages * page, "device {device:#x} is beyond the table");
            memory.check_zeros(address + device * 8, 8);
        } else {
            let entry = device / (page / 8) * 8;
            assert!(entry < pages * page, "device {device:#x} is beyond the first level");
            let second = memory.number::<8>(address + entry);
            assert_ne!(second & VALID, 0, "device {device:#x} has no page");
            memory.check_zeros((second & 0xf_ffff_ffff_f000) + device % (page / 8) * 8, 8);
        }
    }

    /// What must be so when the ITS is turned on: it has what it needs, and the tables are empty.
    fn check_tables(&self) {
        assert!(self.queue & self.tables[0] & self.tables[1] & VALID != 0, "too early");
        for base in self.tables.into_iter().filter(|base| base & VALID != 0) {
            let (address, page, pages) = Self::table(base);
            let length = usize::try_from(page * pages).expect("a table's length");
            Attributes::of(base, 59).check_zeros(address, length);
        }
    }

    fn carry_out(&mut self, at: u64) {
        let queue = Attributes::of(self.queue, 59);
        let [head, second, third, fourth] = [0, 8, 16, 24].map(|word| queue.number::<8>(at + word));
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
                // It is reached as the table of devices is.
                let length = usize::try_from(Self::ENTRY << bits).expect("a table's length");
                Attributes::of(self.tables[0], 59).check_zeros(table, length);
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
            self.check_tables();
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
                self.queue = Attributes::held(self.make, value);
                self.read = 0;
            }
            0x88 => {
                assert_eq!(value % 32, 0);
                self.write = value;
                if self.make.manner == Manner::Works {
                    self.work();
                }
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
                let held = fixed | Attributes::held(self.make, value);
                *table = if fixed == 0 { 0 } else { held };
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

    /// How it reaches its two tables.
    #[must_use]
    pub fn attributes(&self) -> [Attributes; 2] {
        [self.configuration, self.pending].map(|base| Attributes::of(base, 7))
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
            // None is let through yet, and none pending, as was promised.
            let [first, second] = self.attributes();
            first.check_zeros(configuration, (1 << bits) - 8192);
            assert_ne!(self.pending & 1 << 62, 0);
            second.check_zeros(pending, (1 << bits) / 8);
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
        match offset {
            0x70 => self.configuration = Attributes::held(self.make, value),
            0x78 => {
                assert_eq!(value & 0xf000, 0);
                self.pending = Attributes::held(self.make, value);
            }
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}
