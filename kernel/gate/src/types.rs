//! The plain data that crosses the gate. All of it is `Copy`, none of it holds a reference.

use crate::Area;

/// A point in time, or a span of it, in nanoseconds. Points count from the machine's start, never
/// go back, and wrap after 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub u64);

/// The date: nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub u64);

/// A claimed device: an index that the kernel gave out and checks at every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Handle(pub u8);

/// Why [`Gate::wait`](crate::Gate::wait) returned. Bit `n` stands for the device with handle `n`;
/// the upper bits for what no device says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(pub u32);

impl Events {
    /// Nothing happened.
    pub const NONE: Self = Self(0);
    /// The deadline has passed.
    pub const DEADLINE: Self = Self(1 << 31);
    /// Bytes arrived on the console.
    pub const CONSOLE: Self = Self(1 << 30);
    /// The machine's owner asks the application to end.
    pub const SHUTDOWN: Self = Self(1 << 29);
    /// The machine may have been restored from a snapshot, of which there may be other copies: what
    /// was unique, or secret, before may be neither now. The kernel's generator is renewed already.
    pub const RESTORED: Self = Self(1 << 28);
    /// Devices have handles below this.
    pub const DEVICES: u8 = 28;

    /// The event of one device. A handle that cannot exist has no event.
    #[must_use]
    pub const fn device(handle: Handle) -> Self {
        if handle.0 < Self::DEVICES { Self(1 << handle.0) } else { Self::NONE }
    }

    /// Whether any of `other` is among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing happened.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A line of a GPIO controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpioLine {
    /// The controller, counted from 0 in the order of the device tree.
    pub controller: u8,
    /// Its line, as its manual counts them.
    pub line: u8,
}

/// What a GPIO line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GpioLevel {
    /// Near ground.
    Low = 0,
    /// Near the supply.
    High = 1,
}

/// What [`Gate::gpio`](crate::Gate::gpio) is to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GpioOperation {
    /// Claims it; leaves it as it is.
    Claim = 0,
    /// Leaves it to whoever is at the other end.
    Listen = 1,
    /// Drives it low.
    DriveLow = 2,
    /// Drives it high.
    DriveHigh = 3,
    /// Looks at it.
    Read = 4,
}

impl GpioOperation {
    /// The operation with this number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Claim),
            1 => Some(Self::Listen),
            2 => Some(Self::DriveLow),
            3 => Some(Self::DriveHigh),
            4 => Some(Self::Read),
            _ => None,
        }
    }
}

/// What kind of device [`Gate::device`](crate::Gate::device) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DeviceClass {
    /// An Ethernet interface.
    Net = 1,
    /// A disk.
    Block = 2,
}

impl DeviceClass {
    /// The class with this number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Net),
            2 => Some(Self::Block),
            _ => None,
        }
    }
}

/// What the kernel says of a device when it is claimed.
#[derive(Clone, Copy, Debug)]
pub enum DeviceInfo {
    /// An Ethernet interface.
    Net(NetInfo),
    /// A disk.
    Block(BlockInfo),
}

/// An Ethernet interface.
#[derive(Clone, Copy, Debug)]
pub struct NetInfo {
    /// What later calls name it by.
    pub handle: Handle,
    /// Its hardware address: the device's own, or a random, locally administered one.
    pub mac: [u8; 6],
    /// The largest packet, in bytes, without the Ethernet header (14 bytes) and checksum.
    pub mtu: u16,
    /// The memory that frames are read from and written to. All buffers are the application's at
    /// first; it hands some to the device to be filled.
    pub area: Area,
}

/// A disk.
#[derive(Clone, Copy, Debug)]
pub struct BlockInfo {
    /// What later calls name it by.
    pub handle: Handle,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// The memory that blocks are read into and written from.
    pub area: Area,
}

/// One buffer of a device's [`Area`], by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct BufferId(pub u16);

/// An Ethernet frame in a buffer: it starts with the destination address, at the buffer's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// The buffer it is in.
    pub buffer: BufferId,
    /// Its length in bytes.
    pub length: u16,
}

impl Frame {
    /// What arrays are filled with before a call writes to them.
    pub const EMPTY: Self = Self { buffer: BufferId(u16::MAX), length: 0 };
}

/// What [`Gate::net_send`](crate::Gate::net_send) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many frames, from the front, the device took. The rest are still the application's.
    pub accepted: usize,
    /// How many buffers came back (from this or earlier calls), at the front of `free`.
    pub freed: usize,
}

/// What to do with a range of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockOperation {
    /// Read into the buffer.
    Read = 0,
    /// Write from the buffer.
    Write = 1,
    /// Make all completed writes survive a loss of power. Length and sector are ignored.
    Flush = 2,
}

impl BlockOperation {
    /// The operation with this number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Read),
            1 => Some(Self::Write),
            2 => Some(Self::Flush),
            _ => None,
        }
    }
}

/// One request to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// What to do.
    pub operation: BlockOperation,
    /// Where it starts, in sectors of 512 bytes.
    pub sector: u64,
    /// The buffer, the application's until this call and again once it is complete. A flush needs
    /// one too: its number is what the completion names.
    pub buffer: BufferId,
    /// How much, in bytes: a multiple of 512, at most the buffer's size.
    pub length: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCompletion {
    /// The buffer that the request named.
    pub buffer: BufferId,
    /// `Ok`, or `Broken` where the disk reported an error, or `Unsupported`.
    pub result: Result<(), crate::Error>,
}

impl BlockCompletion {
    /// As one word: the buffer, and the error's code or 0 above it.
    #[must_use]
    pub fn encode(self) -> u32 {
        u32::from(self.buffer.0) | self.result.map_or_else(|error| error as u32, |()| 0) << 16
    }

    /// From one word. An unknown code is [`Error::Broken`](crate::Error::Broken).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half, cut out")]
    pub fn decode(word: u32) -> Self {
        let result = match word >> 16 {
            0 => Ok(()),
            code => Err(crate::Error::from_code(code.into()).unwrap_or(crate::Error::Broken)),
        };
        Self { buffer: BufferId(word as u16), result }
    }

    /// What arrays are filled with before a call writes to them.
    pub const EMPTY: Self = Self { buffer: BufferId(u16::MAX), result: Ok(()) };
}
