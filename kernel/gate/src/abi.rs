//! The calls as numbers: how an application at EL0 asks a kernel at EL1, by `svc #0`.
//!
//! A call is a number in x8 and up to six words in x0 to x5; its answer is a code in x0 (0, or an
//! [`Error`]'s) and up to five words in x1 to x5. All other registers are kept. Both sides are
//! here, so neither can drift: the application encodes a [`Call`] and decodes an [`Answer`], the
//! kernel the other way round.
//!
//! What the kernel decodes is not trusted. A decoded call names existing things only as far as the
//! numbers themselves show it; where memory is, it says [`Alleged`], and who reads or writes there
//! must first have found it to be the caller's.

use crate::{
    Area, BlockInfo, BlockOperation, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error,
    GpioLine, GpioOperation, Handle, Nanoseconds, NetInfo,
};
use core::ptr::NonNull;

/// The words of a call, x0 to x5.
pub type Arguments = [u64; 6];
/// The words of an answer, x1 to x5; those that an answer does not use are 0.
pub type Values = [u64; 5];
/// What became of a call.
pub type Answer = Result<Values, Error>;

/// The most frames, buffers or completions that one call can name. What is over is for another
/// call: a call's work is bounded, however long the lists that it is given.
pub const BATCH: usize = 128;
/// The most bytes that one call writes, reads or fills; the answer says how many it did.
pub const PIECE: usize = 1024;

/// The `brk` by which an application ends itself when it panics, after its last words: a fault like
/// any other, with registers and a backtrace, but known for what it is.
pub const PANIC: u16 = 0x0e10;

/// Says that there is no deadline.
const NEVER: u64 = u64::MAX;

/// Memory that a caller says is its own: `count` items from `address` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alleged {
    /// The first item's address, in the caller's address space.
    pub address: u64,
    /// How many items; their size is the call's.
    pub count: u64,
}

impl Alleged {
    /// The caller's slice, to be read.
    #[must_use]
    pub fn of<T>(items: &[T]) -> Self {
        Self { address: items.as_ptr().expose_provenance() as u64, count: items.len() as u64 }
    }

    /// The caller's slice, to be written to.
    #[must_use]
    pub fn of_mut<T>(items: &mut [T]) -> Self {
        Self { address: items.as_mut_ptr().expose_provenance() as u64, count: items.len() as u64 }
    }

    /// A list for one call.
    const fn batch(address: u64, count: u64) -> Result<Self, Error> {
        if count > BATCH as u64 {
            return Err(Error::OutOfRange);
        }
        Ok(Self { address, count })
    }
}

/// A call, by its words. [`Gate`](crate::Gate) says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the trait's calls and their arguments")]
pub enum Call {
    Exit { status: u8 },
    Now,
    WallClock,
    Wait { deadline: Option<Nanoseconds> },
    ConsoleWrite { bytes: Alleged },
    ConsoleRead { bytes: Alleged },
    Entropy { bytes: Alleged },
    Device { class: DeviceClass, index: u8 },
    NetSend { handle: Handle, frames: Alleged, free: Alleged },
    NetReceive { handle: Handle, empty: Alleged, frames: Alleged },
    BlockSubmit { handle: Handle, request: BlockRequest },
    BlockComplete { handle: Handle, completions: Alleged },
    Report { words: Alleged },
    StolenTime,
    Gpio { line: GpioLine, operation: GpioOperation },
}

impl Call {
    /// How many there are; their numbers count from 0.
    pub const COUNT: u64 = 15;

    /// The call's number and words.
    #[must_use]
    pub const fn encode(self) -> (u64, Arguments) {
        match self {
            Self::Exit { status } => (0, [status as u64, 0, 0, 0, 0, 0]),
            Self::Now => (1, [0; 6]),
            Self::WallClock => (2, [0; 6]),
            Self::Wait { deadline: Some(Nanoseconds(at)) } => (3, [at, 0, 0, 0, 0, 0]),
            Self::Wait { deadline: None } => (3, [NEVER, 0, 0, 0, 0, 0]),
            Self::ConsoleWrite { bytes } => (4, [bytes.address, bytes.count, 0, 0, 0, 0]),
            Self::ConsoleRead { bytes } => (5, [bytes.address, bytes.count, 0, 0, 0, 0]),
            Self::Entropy { bytes } => (6, [bytes.address, bytes.count, 0, 0, 0, 0]),
            Self::Device { class, index } => (7, [class as u64, index as u64, 0, 0, 0, 0]),
            Self::NetSend { handle: Handle(handle), frames: a, free: b } => {
                (8, [handle as u64, a.address, a.count, b.address, b.count, 0])
            }
            Self::NetReceive { handle: Handle(handle), empty: a, frames: b } => {
                (9, [handle as u64, a.address, a.count, b.address, b.count, 0])
            }
            Self::BlockSubmit { handle: Handle(handle), request } => {
                let BlockRequest { operation, sector, buffer: BufferId(buffer), length } = request;
                (10, [handle as u64, operation as u64, sector, buffer as u64, length as u64, 0])
            }
            Self::BlockComplete { handle: Handle(handle), completions } => {
                (11, [handle as u64, completions.address, completions.count, 0, 0, 0])
            }
            Self::Report { words } => (12, [words.address, words.count, 0, 0, 0, 0]),
            Self::StolenTime => (13, [0; 6]),
            Self::Gpio { line: GpioLine { controller, line }, operation } => {
                (14, [controller as u64, line as u64, operation as u64, 0, 0, 0])
            }
        }
    }

    /// What a caller asks for, from whatever it had in its registers.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`]; for a word that cannot be what it should be, the error that the call
    /// has for a thing that does not exist.
    pub fn decode(number: u64, [a, b, c, d, e, _]: Arguments) -> Result<Self, Error> {
        let bytes = Alleged { address: a, count: b };
        let handle = u8::try_from(a).map(Handle).map_err(|_| Error::BadHandle);
        Ok(match number {
            0 => Self::Exit { status: u8::try_from(a).map_err(|_| Error::OutOfRange)? },
            1 => Self::Now,
            2 => Self::WallClock,
            3 => Self::Wait { deadline: (a != NEVER).then_some(Nanoseconds(a)) },
            4 => Self::ConsoleWrite { bytes },
            5 => Self::ConsoleRead { bytes },
            6 => Self::Entropy { bytes },
            7 => Self::Device {
                class: DeviceClass::from_code(a).ok_or(Error::NoSuchDevice)?,
                index: u8::try_from(b).map_err(|_| Error::NoSuchDevice)?,
            },
            8 => Self::NetSend {
                handle: handle?,
                frames: Alleged::batch(b, c)?,
                free: Alleged::batch(d, e)?,
            },
            9 => Self::NetReceive {
                handle: handle?,
                empty: Alleged::batch(b, c)?,
                frames: Alleged::batch(d, e)?,
            },
            10 => Self::BlockSubmit {
                handle: handle?,
                request: BlockRequest {
                    operation: BlockOperation::from_code(b).ok_or(Error::Unsupported)?,
                    sector: c,
                    buffer: BufferId(u16::try_from(d).map_err(|_| Error::BadBuffer)?),
                    length: u32::try_from(e).map_err(|_| Error::OutOfRange)?,
                },
            },
            11 => Self::BlockComplete { handle: handle?, completions: Alleged::batch(b, c)? },
            12 => Self::Report { words: bytes },
            13 => Self::StolenTime,
            14 => Self::Gpio {
                line: GpioLine {
                    controller: u8::try_from(a).map_err(|_| Error::NoSuchDevice)?,
                    line: u8::try_from(b).map_err(|_| Error::NoSuchDevice)?,
                },
                operation: GpioOperation::from_code(c).ok_or(Error::Unsupported)?,
            },
            _ => return Err(Error::NoSuchCall),
        })
    }
}

/// The words that say what a device is. Its area is where the caller sees it.
#[must_use]
pub fn encode_device(info: DeviceInfo) -> Values {
    let area = |area: Area| {
        (area.base().addr().get() as u64, u64::from(area.count()) << 16 | u64::from(area.size()))
    };
    match info {
        DeviceInfo::Net(NetInfo { handle, mac, mtu, area: buffers }) => {
            let (base, shape) = area(buffers);
            let [a, b, c, d, e, f] = mac;
            let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
            let kind = u64::from(handle.0) << 8 | DeviceClass::Net as u64;
            [kind, base, shape, mac, u64::from(mtu)]
        }
        DeviceInfo::Block(BlockInfo { handle, sectors, read_only, area: buffers }) => {
            let (base, shape) = area(buffers);
            let kind = u64::from(handle.0) << 8 | DeviceClass::Block as u64;
            [kind, base, shape, sectors, u64::from(read_only)]
        }
    }
}

/// What those words say; `None` for words that no kernel gives.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "fields of 8 and 16 bits, cut out")]
pub fn decode_device([kind, base, shape, a, b]: Values) -> Option<DeviceInfo> {
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(base).ok()?))?;
    let area = Area::new(base, (shape >> 16) as u16, shape as u16);
    let handle = Handle((kind >> 8) as u8);
    Some(match DeviceClass::from_code(kind & 0xff)? {
        DeviceClass::Net => {
            let [m0, m1, m2, m3, m4, m5, ..] = a.to_le_bytes();
            DeviceInfo::Net(NetInfo { handle, mac: [m0, m1, m2, m3, m4, m5], mtu: b as u16, area })
        }
        DeviceClass::Block => {
            DeviceInfo::Block(BlockInfo { handle, sectors: a, read_only: b != 0, area })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_call() -> [Call; 20] {
        let line = GpioLine { controller: 2, line: 53 };
        let gpio = |operation| Call::Gpio { line, operation };
        let some = Alleged { address: 0x1000, count: 7 };
        let other = Alleged { address: 0x2000, count: BATCH as u64 };
        let (handle, operation) = (Handle(3), BlockOperation::Write);
        let request = BlockRequest { operation, sector: 9, buffer: BufferId(4), length: 512 };
        [
            Call::Exit { status: 255 },
            Call::Now,
            Call::WallClock,
            Call::Wait { deadline: Some(Nanoseconds(5)) },
            Call::Wait { deadline: None },
            Call::ConsoleWrite { bytes: some },
            Call::ConsoleRead { bytes: some },
            Call::Entropy { bytes: some },
            Call::Device { class: DeviceClass::Block, index: 255 },
            Call::NetSend { handle, frames: some, free: other },
            Call::NetReceive { handle, empty: some, frames: other },
            Call::BlockSubmit { handle, request },
            Call::BlockComplete { handle, completions: some },
            Call::Report { words: some },
            Call::StolenTime,
            gpio(GpioOperation::Claim),
            gpio(GpioOperation::Listen),
            gpio(GpioOperation::DriveLow),
            gpio(GpioOperation::DriveHigh),
            gpio(GpioOperation::Read),
        ]
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for call in every_call() {
            let (number, arguments) = call.encode();
            assert!(number < Call::COUNT);
            assert_eq!(Call::decode(number, arguments), Ok(call));
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let refused = |number, arguments| Call::decode(number, arguments).expect_err("no call");
        assert_eq!(refused(Call::COUNT, [0; 6]), Error::NoSuchCall);
        assert_eq!(refused(u64::MAX, [0; 6]), Error::NoSuchCall);
        assert_eq!(refused(0, [256, 0, 0, 0, 0, 0]), Error::OutOfRange);
        assert_eq!(refused(7, [3, 0, 0, 0, 0, 0]), Error::NoSuchDevice);
        assert_eq!(refused(7, [1, 256, 0, 0, 0, 0]), Error::NoSuchDevice);
        assert_eq!(refused(8, [256, 0, 0, 0, 0, 0]), Error::BadHandle);
        assert_eq!(refused(8, [0, 0, 129, 0, 0, 0]), Error::OutOfRange);
        assert_eq!(refused(9, [0, 0, 0, 0, u64::MAX, 0]), Error::OutOfRange);
        assert_eq!(refused(10, [0, 3, 0, 0, 0, 0]), Error::Unsupported);
        assert_eq!(refused(10, [0, 0, 0, 65_536, 0, 0]), Error::BadBuffer);
        assert_eq!(refused(10, [0, 0, 0, 0, 1 << 32, 0]), Error::OutOfRange);
        assert_eq!(refused(14, [256, 0, 0, 0, 0, 0]), Error::NoSuchDevice);
        assert_eq!(refused(14, [0, 256, 0, 0, 0, 0]), Error::NoSuchDevice);
        assert_eq!(refused(14, [0, 0, 5, 0, 0, 0]), Error::Unsupported);
    }

    #[test]
    fn a_device_is_described_alike_on_both_sides() {
        let base = NonNull::<u64>::dangling().cast();
        let area = Area::new(base, 128, 2048);
        let (handle, mac) = (Handle(2), [1, 2, 3, 4, 5, 6]);
        let net = DeviceInfo::Net(NetInfo { handle, mac, mtu: 1500, area });
        let disk = BlockInfo { handle, sectors: u64::MAX, read_only: true, area };
        for info in [net, DeviceInfo::Block(disk)] {
            let decoded = decode_device(encode_device(info)).expect("a device");
            assert_eq!(std::format!("{decoded:?}"), std::format!("{info:?}"));
        }
        assert!(decode_device([0; 5]).is_none());
    }
}
