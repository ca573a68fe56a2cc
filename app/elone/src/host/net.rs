//! A network interface whose device is a cable. It checks what it is asked as a kernel does.
#![expect(unsafe_code, reason = "stands in for a device, which reaches buffers by number")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::vec::Vec;

use elone_gate::{BufferId, Error, Events, Frame, Handle, NetInfo, Sent};

use super::cable::{Plug, Wire};
use super::gate::area;
use super::machine::Signals;

const BUFFERS: u16 = 64;
const SIZE: u16 = 2048;

/// One interface of a running machine.
pub(super) struct Net {
    info: NetInfo,
    wire: Arc<Wire>,
    pub(super) is_claimed: Cell<bool>,
    state: RefCell<State>,
}

struct State {
    /// For each buffer, whether it is the device's.
    lent: Vec<bool>,
    /// Waiting to be filled.
    empty: VecDeque<BufferId>,
    /// Sent, and not yet taken back.
    sent: VecDeque<BufferId>,
}

impl Net {
    pub(super) fn new(plug: Plug, handle: u8, signals: &Arc<Signals>) -> Self {
        let handle = Handle(handle);
        plug.0.plug_in(signals, Events::device(handle));
        // Locally administered (IEEE 802c), and different for each interface.
        let mac = [2, 0, 0, 0, 0, handle.0 + 1];
        let info = NetInfo { handle, mac, mtu: 1500, area: area(BUFFERS, SIZE) };
        let lent = std::vec![false; usize::from(BUFFERS)];
        let state = State { lent, empty: VecDeque::new(), sent: VecDeque::new() };
        Self { info, wire: plug.0, is_claimed: Cell::new(false), state: RefCell::new(state) }
    }

    pub(super) const fn info(&self) -> NetInfo {
        self.info
    }

    pub(super) fn send(&self, frames: &[Frame], free: &mut [BufferId]) -> Result<Sent, Error> {
        let mut state = self.state.borrow_mut();
        state.take(frames.iter().map(|frame| frame.buffer))?;
        if frames.iter().any(|frame| frame.length < 14 || frame.length > SIZE) {
            return Err(Error::OutOfRange);
        }
        for frame in frames {
            // SAFETY: the area is this device's, and the buffer was given to it just now, so the application
            // holds no `Buffer` for it.
            let buffer = unsafe { self.info.area.take(frame.buffer, frame.length) };
            self.wire.to_peer(buffer.ok_or(Error::BadBuffer)?.to_vec());
            state.sent.push_back(frame.buffer);
        }
        let freed = state.sent.len().min(free.len());
        for slot in &mut free[..freed] {
            *slot = state.sent.pop_front().ok_or(Error::Broken)?;
            state.lent[usize::from(slot.0)] = false;
        }
        Ok(Sent { accepted: frames.len(), freed })
    }

    pub(super) fn receive(&self, empty: &[BufferId], frames: &mut [Frame]) -> Result<usize, Error> {
        let mut state = self.state.borrow_mut();
        state.take(empty.iter().copied())?;
        state.empty.extend(empty);
        let mut count = 0;
        while count < frames.len() && !state.empty.is_empty() {
            let Some(bytes) = self.wire.to_machine() else { break };
            let (Some(id), Ok(length)) = (state.empty.pop_front(), u16::try_from(bytes.len()))
            else {
                break;
            };
            // SAFETY: as in `send`: the application gave the buffer to the device.
            let Some(mut buffer) = (unsafe { self.info.area.take(id, length) }) else {
                // Larger than a buffer: a real interface drops it too.
                state.empty.push_front(id);
                continue;
            };
            buffer.copy_from_slice(&bytes);
            state.lent[usize::from(id.0)] = false;
            frames[count] = Frame { buffer: id, length };
            count += 1;
        }
        Ok(count)
    }
}

impl State {
    /// Makes buffers the device's; refuses all if one is not the application's.
    fn take(&mut self, ids: impl Iterator<Item = BufferId> + Clone) -> Result<(), Error> {
        for (index, id) in ids.clone().enumerate() {
            let is_lent = *self.lent.get(usize::from(id.0)).ok_or(Error::BadBuffer)?;
            if is_lent || ids.clone().take(index).any(|earlier| earlier == id) {
                return Err(Error::BadBuffer);
            }
        }
        ids.for_each(|id| self.lent[usize::from(id.0)] = true);
        Ok(())
    }
}
