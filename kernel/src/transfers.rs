//! What crosses the gate by the batch: frames and blocks, for one device, checked against what its
//! driver knows of each buffer before anything is done.

use elone_gate::{BlockCompletion, BufferId, Error, Frame, Sent};
use elone_hal::virtio::DeviceError;
use elone_hal::virtio::blk::{Blk, BlockError};
use elone_hal::virtio::net::{BUFFERS, Net};

/// An Ethernet header's size in bytes.
const FRAME_MIN: u16 = 14;

/// Whether all of these are the application's, and each is named once: a call that is refused must
/// not have been half done.
fn all_held(net: &Net, buffers: impl Iterator<Item = BufferId>) -> Result<(), Error> {
    const _: () = assert!(BUFFERS <= 128, "a bit a buffer");
    let mut named = 0_u128;
    for BufferId(buffer) in buffers {
        let bit = if net.is_held(buffer) { 1 << buffer } else { 0 };
        if bit == 0 || named & bit != 0 {
            return Err(Error::BadBuffer);
        }
        named |= bit;
    }
    Ok(())
}

/// [`Gate::net_send`](elone_gate::Gate::net_send), for one device.
pub(crate) fn send(net: &mut Net, frames: &[Frame], free: &mut [BufferId]) -> Result<Sent, Error> {
    all_held(net, frames.iter().map(|frame| frame.buffer))?;
    let sizes = FRAME_MIN..=net.area().size();
    if frames.iter().any(|frame| !sizes.contains(&frame.length)) {
        return Err(Error::OutOfRange);
    }
    let mut sent = Sent::default();
    while let Some(place) = free.get_mut(sent.freed) {
        let Some(buffer) = net.sent().map_err(refusal)? else { break };
        *place = BufferId(buffer);
        sent.freed += 1;
    }
    for frame in frames {
        match net.send(frame.buffer.0, frame.length) {
            Ok(()) => sent.accepted += 1,
            Err(DeviceError::Full) => break,
            Err(error) => {
                net.flush();
                return Err(refusal(error));
            }
        }
    }
    net.flush();
    Ok(sent)
}

/// [`Gate::net_receive`](elone_gate::Gate::net_receive), for one device.
pub(crate) fn receive(
    net: &mut Net,
    empty: &[BufferId],
    frames: &mut [Frame],
) -> Result<usize, Error> {
    all_held(net, empty.iter().copied())?;
    for buffer in empty {
        net.offer(buffer.0).map_err(refusal)?;
    }
    net.flush();
    let mut count = 0;
    while let Some(place) = frames.get_mut(count) {
        let Some((buffer, length)) = net.received().map_err(refusal)? else { break };
        *place = Frame { buffer: BufferId(buffer), length };
        count += 1;
    }
    Ok(count)
}

/// [`Gate::block_complete`](elone_gate::Gate::block_complete), for one device.
pub(crate) fn complete(blk: &mut Blk, completions: &mut [BlockCompletion]) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(place) = completions.get_mut(count) {
        let Some((buffer, result)) = blk.completed().map_err(refusal)? else { break };
        let result = result.map_err(|error| match error {
            BlockError::Unsupported => Error::Unsupported,
            BlockError::Io | BlockError::Unknown(_) => Error::Broken,
        });
        *place = BlockCompletion { buffer: BufferId(buffer), result };
        count += 1;
    }
    Ok(count)
}

/// What a driver's refusal is to the application.
pub(crate) fn refusal(error: DeviceError) -> Error {
    match error {
        DeviceError::BadBuffer => Error::BadBuffer,
        DeviceError::OutOfRange => Error::OutOfRange,
        DeviceError::Full => Error::Full,
        DeviceError::Unsupported => Error::Unsupported,
        DeviceError::Silent | DeviceError::Broken(_) => Error::Broken,
    }
}
