//! After the storm: what was claimed still works, and one call never does more than its share.

use elone::gate::{
    Area, BlockCompletion, BlockOperation, BlockRequest, BufferId, Error, Events, Frame, Handle,
    Nanoseconds, calls,
};

use crate::call::call;
use crate::memory::Memory;

/// To everybody, from somebody, of a kind for experiments (IEEE 802, section 9.2.3).
const HEADER: [u8; 14] = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 7, 0x88, 0xb5];
const QUESTION: &[u8] = b"are you well?";
const ANSWER: &[u8] = b"it goes on";

/// A long list is cut or refused, however much memory there is to it.
pub(crate) fn is_bounded(
    memory: &mut Memory,
    net: Handle,
    disk: Handle,
) -> Result<(), &'static str> {
    let address = memory.scratch().as_mut_ptr().addr() as u64;
    let all = memory.scratch().len() as u64;
    let blanks = b"\n".repeat(memory.scratch().len());
    memory.scratch().copy_from_slice(&blanks);
    let done = |number, words| match call(number, words) {
        (0, [done, ..]) => Ok(done),
        _ => Err("a long list is refused"),
    };
    for (number, most) in [(4, 1024), (6, 1024)] {
        if done(number, [address, all, 0, 0, 0, 0])? != most {
            return Err("a call that is not bounded");
        }
    }
    let handle = u64::from(disk.0);
    if done(11, [handle, address, 128, 0, 0, 0])? > 16 {
        return Err("completions are not bounded");
    }
    let handle = u64::from(net.0);
    for number in [8, 9] {
        if call(number, [handle, address, 129, address, 0, 0]).0 != Error::OutOfRange as u64
            || call(number, [handle, address, 0, address, 129, 0]).0 != Error::OutOfRange as u64
        {
            return Err("a list that is too long is not refused");
        }
    }
    Ok(())
}

/// Writes a sector and reads it back, with whatever buffers the disk gives back.
pub(crate) fn disk_works(handle: Handle, area: Area) -> Result<(), &'static str> {
    let pattern = b"after the storm ".repeat(32);
    let mut done = [BlockCompletion::EMPTY; 16];
    let mut transfer = |operation, buffer| {
        let request = BlockRequest { operation, sector: 7, buffer: BufferId(buffer), length: 512 };
        // What is under way still comes back first.
        while let Err(error) = calls::block_submit(handle, request) {
            if !matches!(error, Error::BadBuffer | Error::Full) {
                return Err("the disk refuses");
            }
            wait();
            calls::block_complete(handle, &mut done).map_err(|_| "the disk is broken")?;
        }
        loop {
            wait();
            let count =
                calls::block_complete(handle, &mut done).map_err(|_| "the disk is broken")?;
            let ours = done[..count].iter().find(|done| done.buffer == BufferId(buffer));
            if let Some(ours) = ours {
                return ours.result.map_err(|_| "the disk fails");
            }
        }
    };
    bytes(area, 3, 512).copy_from_slice(&pattern);
    transfer(BlockOperation::Write, 3)?;
    bytes(area, 5, 512).fill(0);
    transfer(BlockOperation::Read, 5)?;
    if bytes(area, 5, 512) == pattern { Ok(()) } else { Err("the disk forgets") }
}

/// Sends a question with whatever buffers the interface gives back, and waits for the answer.
pub(crate) fn network_works(handle: Handle, area: Area) -> Result<(), &'static str> {
    let mut free = [BufferId(0); 128];
    let mut buffer = 0;
    loop {
        // What has left comes back first.
        calls::net_send(handle, &[], &mut free).map_err(|_| "the network is broken")?;
        let frame = Frame { buffer: BufferId(buffer), length: 60 };
        let place = bytes(area, buffer, 60);
        place.fill(0);
        place[..14].copy_from_slice(&HEADER);
        place[14..14 + QUESTION.len()].copy_from_slice(QUESTION);
        match calls::net_send(handle, &[frame], &mut free) {
            Ok(sent) if sent.accepted == 1 => break,
            Ok(_) | Err(Error::Full) => wait(),
            // The device has it, to send or to fill.
            Err(Error::BadBuffer) => {
                buffer = (buffer + 1) % area.count();
                wait();
            }
            Err(_) => return Err("the network refuses"),
        }
    }
    let mut frames = [Frame::EMPTY; 16];
    loop {
        for buffer in 0..area.count() {
            // All that are ours; the device can take no more than it has room for.
            match calls::net_receive(handle, &[BufferId(buffer)], &mut []) {
                Ok(_) | Err(Error::BadBuffer | Error::Full) => {}
                Err(_) => return Err("the network takes no buffers"),
            }
        }
        let count = calls::net_receive(handle, &[], &mut frames).map_err(|_| "it is broken")?;
        for frame in &frames[..count] {
            if bytes(area, frame.buffer.0, frame.length).windows(ANSWER.len()).any(|w| w == ANSWER)
            {
                return Ok(());
            }
        }
        wait();
    }
}

/// For whatever may come, a moment.
fn wait() {
    let _events: Events = calls::wait(Some(Nanoseconds(calls::now().0 + 1_000_000)));
}

/// A buffer's bytes, whoever has it.
fn bytes(area: Area, buffer: u16, length: u16) -> &'static mut [u8] {
    let offset = usize::from(buffer) * usize::from(area.size());
    let length = usize::from(length.min(area.size()));
    // SAFETY: within the area, which is mapped for good; no other reference is in use, and what a
    // device writes to it meanwhile is bytes as well.
    unsafe { core::slice::from_raw_parts_mut(area.base().as_ptr().add(offset), length) }
}
