//! A call from EL0, served: decoded, the memory that it names found to be the caller's, and what it
//! asks for done by the kernel's own [`Gate`], the same that a joined application calls.
//!
//! Everything that a call names is copied in before anything is done, and its answer copied out
//! after: nothing that the application could still change is looked at twice.

use elone_gate::abi::{Alleged, Answer, Arguments, BATCH, Call, PIECE, encode_device};
use elone_gate::{
    BlockCompletion, BufferId, DeviceClass, DeviceInfo, Error, Frame, Gate, Handle, Sent,
};
use elone_hal::arch::user;

use super::layout::Layout;
use crate::allegation::{Access, Found};
use crate::devices::{self, Driver};
use crate::platform::{KERNEL, give_back};

/// How many completions one call takes at most.
const COMPLETIONS: usize = 16;

/// Room for what calls name and answer, copied in and out. Kept from call to call, so that none of it
/// has to be made anew for each; nothing is read there that the same call has not written.
pub(super) struct Room {
    bytes: [u8; PIECE],
    frames: [Frame; BATCH],
    buffers: [BufferId; BATCH],
    completions: [BlockCompletion; COMPLETIONS],
}

impl Room {
    pub(super) const NEW: Self = Self {
        bytes: [0; PIECE],
        frames: [Frame::EMPTY; BATCH],
        buffers: [BufferId(0); BATCH],
        completions: [BlockCompletion::EMPTY; COMPLETIONS],
    };
}

const _: () = assert!(4 * BATCH <= PIECE);

/// What became of a call that was understood.
pub(super) enum Served {
    /// It is answered.
    Answer([u64; 5]),
    /// The application has ended.
    Exit(u8),
}

/// Serves a call.
///
/// # Errors
/// What the application is told.
pub(super) fn serve(
    (number, arguments): (u64, Arguments),
    layout: &mut Layout,
    room: &mut Room,
) -> Result<Served, Error> {
    let call = Call::decode(number, arguments)?;
    let regions = layout.regions();
    let nothing = [0; 5];
    Ok(Served::Answer(match call {
        Call::Exit { status } => return Ok(Served::Exit(status)),
        Call::Now => [KERNEL.now().0, 0, 0, 0, 0],
        Call::WallClock => [KERNEL.wall_clock()?.0, 0, 0, 0, 0],
        Call::Wait { deadline } => [KERNEL.wait(deadline).0.into(), 0, 0, 0, 0],
        Call::ConsoleWrite { bytes } => {
            let found = regions.find(piece(bytes), 1, Access::Read)?;
            KERNEL.console_write(copy_in(found, &mut room.bytes));
            [found.length() as u64, 0, 0, 0, 0]
        }
        Call::ConsoleRead { bytes } => {
            let found = regions.find(piece(bytes), 1, Access::Write)?;
            let room = room.bytes.get_mut(..found.length()).unwrap_or_default();
            let length = KERNEL.console_read(room);
            copy_out(found, room.get(..length).unwrap_or_default());
            [length as u64, 0, 0, 0, 0]
        }
        Call::Entropy { bytes } => {
            let found = regions.find(piece(bytes), 1, Access::Write)?;
            let room = room.bytes.get_mut(..found.length()).unwrap_or_default();
            KERNEL.entropy(room)?;
            copy_out(found, room);
            [found.length() as u64, 0, 0, 0, 0]
        }
        Call::Device { class, index } => device(class, index, layout)?,
        Call::NetSend { handle, frames, free } => {
            let frames = regions.find(frames, 4, Access::Read)?;
            let free = regions.find(free, 2, Access::Write)?;
            let Sent { accepted, freed } = net_send(handle, frames, free, room)?;
            [accepted as u64, freed as u64, 0, 0, 0]
        }
        Call::NetReceive { handle, empty, frames } => {
            let empty = regions.find(empty, 2, Access::Read)?;
            let frames = regions.find(frames, 4, Access::Write)?;
            [net_receive(handle, empty, frames, room)? as u64, 0, 0, 0, 0]
        }
        Call::BlockSubmit { handle, request } => {
            KERNEL.block_submit(handle, request)?;
            nothing
        }
        Call::BlockComplete { handle, completions } => {
            let asked = Alleged { count: completions.count.min(COMPLETIONS as u64), ..completions };
            let found = regions.find(asked, 4, Access::Write)?;
            [block_complete(handle, found, room)? as u64, 0, 0, 0, 0]
        }
        Call::Report { words } => {
            let found = regions.find(piece(words), 1, Access::Read)?;
            let bytes = copy_in(found, &mut room.bytes);
            let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            KERNEL.report(valid);
            nothing
        }
        Call::StolenTime => [KERNEL.stolen_time()?.0, 0, 0, 0, 0],
        Call::Gpio { line, operation } => [KERNEL.gpio(line, operation)? as u64, 0, 0, 0, 0],
    }))
}

/// As much as one call does.
fn piece(bytes: Alleged) -> Alleged {
    Alleged { count: bytes.count.min(PIECE as u64), ..bytes }
}

/// Copies the caller's bytes into `room`, which holds what one call can name; returns them.
fn copy_in(from: Found, room: &mut [u8]) -> &[u8] {
    let copy = room.get_mut(..from.length()).unwrap_or_default();
    user::read(from.address(), copy);
    copy
}

/// Copies bytes out, as many as there is room for.
fn copy_out(to: Found, bytes: &[u8]) {
    let bytes = bytes.get(..to.length()).unwrap_or(bytes);
    user::write(to.address(), bytes);
}

/// Claims a device, and shows its buffers to the application.
fn device(class: DeviceClass, index: u8, layout: &mut Layout) -> Answer {
    let mut info = KERNEL.device(class, index)?;
    let (handle, area) = match &mut info {
        DeviceInfo::Net(net) => (net.handle, &mut net.area),
        DeviceInfo::Block(block) => (block.handle, &mut block.area),
    };
    let driver = devices::driver(handle)?;
    let buffers = match &*driver {
        Driver::Net(net) => net.area(),
        Driver::Block(blk) => blk.area(),
    };
    match layout.show(buffers) {
        Ok(shown) => *area = shown,
        Err(error) => {
            log::warn!("the buffers of device {}: {error}", handle.0);
            give_back(handle);
            return Err(Error::NoSuchDevice);
        }
    }
    Ok(encode_device(info))
}

fn net_send(handle: Handle, frames: Found, free: Found, room: &mut Room) -> Result<Sent, Error> {
    let Room { bytes, frames: list, buffers: freed, .. } = room;
    let words = copy_in(frames, bytes).chunks_exact(4);
    let count = list.iter_mut().zip(words).map(|(place, bytes)| {
        let buffer = BufferId(u16::from_le_bytes([bytes[0], bytes[1]]));
        *place = Frame { buffer, length: u16::from_le_bytes([bytes[2], bytes[3]]) };
    });
    let count = count.count();
    let list = list.get(..count).unwrap_or_default();
    let room = freed.get_mut(..free.length() / 2).unwrap_or_default();
    let sent = KERNEL.net_send(handle, list, room)?;
    for (place, BufferId(buffer)) in bytes.chunks_exact_mut(2).zip(room.iter().take(sent.freed)) {
        place.copy_from_slice(&buffer.to_le_bytes());
    }
    copy_out(free, bytes.get(..2 * sent.freed).unwrap_or_default());
    Ok(sent)
}

fn net_receive(
    handle: Handle,
    empty: Found,
    frames: Found,
    room: &mut Room,
) -> Result<usize, Error> {
    let Room { bytes, frames: list, buffers, .. } = room;
    let named = copy_in(empty, bytes).chunks_exact(2);
    let count = buffers.iter_mut().zip(named).map(|(place, bytes)| {
        *place = BufferId(u16::from_le_bytes([bytes[0], bytes[1]]));
    });
    let count = count.count();
    let buffers = buffers.get(..count).unwrap_or_default();

    let room = list.get_mut(..frames.length() / 4).unwrap_or_default();
    let received = KERNEL.net_receive(handle, buffers, room)?;
    for (place, frame) in bytes.chunks_exact_mut(4).zip(room.iter().take(received)) {
        let word = u32::from(frame.buffer.0) | u32::from(frame.length) << 16;
        place.copy_from_slice(&word.to_le_bytes());
    }
    copy_out(frames, bytes.get(..4 * received).unwrap_or_default());
    Ok(received)
}

fn block_complete(handle: Handle, completions: Found, room: &mut Room) -> Result<usize, Error> {
    let Room { bytes, completions: list, .. } = room;
    let room = list.get_mut(..completions.length() / 4).unwrap_or_default();
    let done = KERNEL.block_complete(handle, room)?;
    for (place, completion) in bytes.chunks_exact_mut(4).zip(room.iter().take(done)) {
        place.copy_from_slice(&completion.encode().to_le_bytes());
    }
    copy_out(completions, bytes.get(..4 * done).unwrap_or_default());
    Ok(done)
}
