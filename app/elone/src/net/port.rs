//! The interface's frames, between the gate and the protocol stack, without a copy.
//!
//! The stack reads a frame where the device put it, and writes one where the device will fetch it.
//! What a turn sends leaves in one call; what it has read goes back with the next one.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use elone_gate::{Buffer, BufferId, Frame, NetInfo, calls};
use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::shared::Shared;

/// Frames that move in one call.
const BATCH: usize = 32;

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: u16 = 14;

/// What has passed through the interface since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames that arrived.
    pub frames_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames that left.
    pub frames_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// The interface, as the protocol stack sees it.
#[derive(Debug)]
pub(super) struct Port {
    info: NetInfo,
    shared: Shared,
    /// Buffers to write frames into.
    free: Vec<Buffer>,
    /// Buffers to hand to the device, to be filled.
    empty: Vec<Buffer>,
    /// Frames that arrived and were not read yet.
    arrived: VecDeque<Buffer>,
    /// Frames to be sent.
    outgoing: Vec<Buffer>,
    pub(super) traffic: Traffic,
}

impl Port {
    /// Takes over a device claimed just now. Half of its buffers wait for frames to arrive.
    pub(super) fn new(info: NetInfo) -> Self {
        let (shared, mut free) = Shared::claim(info.area);
        let empty = free.split_off(free.len() / 2);
        let count = usize::from(info.area.count());
        Self {
            info,
            shared,
            free,
            empty,
            arrived: VecDeque::with_capacity(count),
            outgoing: Vec::with_capacity(count),
            traffic: Traffic::default(),
        }
    }

    pub(super) const fn info(&self) -> &NetInfo {
        &self.info
    }

    /// Hands empty buffers over and takes what arrived. Returns whether there may be more.
    pub(super) fn receive(&mut self) -> bool {
        let mut ids = [BufferId(0); BATCH];
        let mut frames = [Frame::EMPTY; BATCH];
        let handed = self.empty.len().min(BATCH);
        for (id, buffer) in ids.iter_mut().zip(self.empty.drain(..handed)) {
            *id = self.shared.lend(buffer);
        }
        // A device that broke stays silent: it has no frames, and its buffers are gone.
        let count = calls::net_receive(self.info.handle, &ids[..handed], &mut frames).unwrap_or(0);
        for frame in frames.iter().take(count) {
            let Some(buffer) = self.shared.returned(frame.buffer, frame.length) else { continue };
            self.traffic.frames_in += 1;
            self.traffic.bytes_in += u64::from(frame.length);
            self.arrived.push_back(buffer);
        }
        count == BATCH || self.empty.len() >= BATCH
    }

    /// The next frame that arrived.
    pub(super) fn next(&self) -> Option<&[u8]> {
        self.arrived.front().map(|buffer| &**buffer)
    }

    /// Whether there is nothing left to write a frame into.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.free.is_empty()
    }

    /// Sends what was written. Returns whether frames are left that the device did not take.
    pub(super) fn send(&mut self) -> bool {
        let mut frames = [Frame::EMPTY; BATCH];
        let mut freed = [BufferId(0); BATCH];
        while !self.outgoing.is_empty() {
            let count = self.outgoing.len().min(BATCH);
            for (frame, buffer) in frames.iter_mut().zip(&self.outgoing) {
                let length = u16::try_from(buffer.len()).unwrap_or(u16::MAX);
                *frame = Frame { buffer: buffer.id(), length };
            }
            let sent = calls::net_send(self.info.handle, &frames[..count], &mut freed);
            // A device that broke takes everything, as a cable that leads nowhere would.
            let (accepted, back) = sent.map_or((count, 0), |sent| (sent.accepted, sent.freed));
            self.traffic.frames_out += accepted as u64;
            for buffer in self.outgoing.drain(..accepted.min(count)) {
                self.traffic.bytes_out += buffer.len() as u64;
                self.shared.lend(buffer);
            }
            self.take_back(&freed[..back.min(BATCH)]);
            if accepted < count {
                return true;
            }
        }
        false
    }

    /// Takes back buffers whose frames have left, where few are at hand.
    pub(super) fn reclaim(&mut self) {
        if self.free.len() >= BATCH {
            return;
        }
        let mut freed = [BufferId(0); BATCH];
        if let Ok(sent) = calls::net_send(self.info.handle, &[], &mut freed) {
            self.take_back(&freed[..sent.freed.min(BATCH)]);
        }
    }

    fn take_back(&mut self, ids: &[BufferId]) {
        let back = ids.iter().filter_map(|&id| self.shared.returned(id, 0));
        self.free.extend(back);
    }
}

impl phy::Device for Port {
    type RxToken<'a> = Arrived<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Outgoing<'_>)> {
        // The stack may answer any frame, so none is read while no answer could be written.
        let answer = self.free.pop()?;
        let Some(buffer) = self.arrived.pop_front() else {
            self.free.push(answer);
            return None;
        };
        let outgoing =
            Outgoing { buffer: Some(answer), free: &mut self.free, queue: &mut self.outgoing };
        Some((Arrived { buffer, empty: &mut self.empty }, outgoing))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        let buffer = Some(self.free.pop()?);
        Some(Outgoing { buffer, free: &mut self.free, queue: &mut self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        let longest = self.info.mtu.saturating_add(ETHERNET_HEADER).min(self.shared.size());
        capabilities.max_transmission_unit = usize::from(longest);
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

/// A frame that arrived; once read, its buffer is empty.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    buffer: Buffer,
    empty: &'a mut Vec<Buffer>,
}

impl phy::RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        let result = read(&self.buffer);
        self.empty.push(self.buffer);
        result
    }
}

/// Room for a frame; if none is written, it is free again.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    buffer: Option<Buffer>,
    free: &'a mut Vec<Buffer>,
    queue: &'a mut Vec<Buffer>,
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, length: usize, write: F) -> R {
        // There is a buffer until here, and it holds a frame of the largest size that `capabilities` admits.
        let Some(mut buffer) = self.buffer.take() else { return write(&mut []) };
        buffer.set_length(u16::try_from(length).unwrap_or(u16::MAX));
        let result = write(&mut buffer);
        self.queue.push(buffer);
        result
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        self.free.extend(self.buffer.take());
    }
}
