//! A network interface: the other end of a TAP (virtio 1.2, section 5.1). Frames go as they are:
//! nothing is offloaded.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use virtio_bindings::bindings::virtio_net::VIRTIO_NET_F_MAC;
use virtio_bindings::virtio_ids::VIRTIO_ID_NET;
use virtio_queue::Queue;

use super::{Answer, Broken, Model, Served, answer_all};
use crate::memory::Ram;

/// The queue that the guest receives from; it sends by the other one.
const RECEIVE: usize = 0;
/// What stands before each frame (section 5.1.6): no offloads, one buffer.
const HEADER: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// The longest frame that a TAP gives or takes.
const FRAME: usize = 65_535 + 18;

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareAddress(pub [u8; 6]);

impl HardwareAddress {
    /// The address that these random bytes make: one of an interface, given by nobody.
    #[must_use]
    pub fn random(mut bytes: [u8; 6]) -> Self {
        bytes[0] = bytes[0] & !1 | 2;
        Self(bytes)
    }
}

impl FromStr for HardwareAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes: Result<Vec<u8>, _> =
            text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
        let bytes = bytes.ok().and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        let bytes = bytes.context("not of the form 02:00:00:00:00:01")?;
        ensure!(bytes[0] & 1 == 0, "that is the address of a group");
        Ok(Self(bytes))
    }
}

/// The interface.
pub struct Network {
    tap: File,
    address: HardwareAddress,
    /// The header, then a frame on its way in.
    incoming: Vec<u8>,
    /// The header, then a frame on its way out.
    outgoing: Vec<u8>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Network {
    /// An interface with this address at the other end of `tap`, which does not block.
    #[must_use]
    pub fn new(tap: File, address: HardwareAddress) -> Self {
        let empty = vec![0; HEADER.len() + FRAME];
        let mut incoming = empty.clone();
        incoming[..HEADER.len()].copy_from_slice(&HEADER);
        Self { tap, address, incoming, outgoing: empty }
    }

    /// Moves what has come in into the buffers that the guest has given. What finds none stays with
    /// the host until the guest gives more.
    fn receive(&mut self, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        answer_all(queue, ram, |chain| {
            let mut buffers = chain.writer(ram)?;
            let room = buffers.available_bytes().checked_sub(HEADER.len()).ok_or(Broken)?;
            match self.tap.read(&mut self.incoming[HEADER.len()..]) {
                // A frame that is longer than the guest wants is lost: the next may fit.
                Ok(length @ 1..) if length > room => Ok(Answer::Again),
                Ok(length @ 1..) => {
                    let whole = HEADER.len() + length;
                    buffers.write_all(&self.incoming[..whole])?;
                    u32::try_from(whole).map(Answer::Written).map_err(|_| Broken)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Answer::Again),
                _ => Ok(Answer::Later),
            }
        })
    }

    /// Hands the host what the guest sends. What the host does not take now is lost, as on a wire.
    fn send(&mut self, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        answer_all(queue, ram, |chain| {
            let mut buffers = chain.reader(ram)?;
            let length = buffers.available_bytes();
            let whole = self.outgoing.get_mut(..length).ok_or(Broken)?;
            buffers.read_exact(whole)?;
            let frame = whole.get(HEADER.len()..).ok_or(Broken)?;
            let _lost = self.tap.write(frame);
            Ok(Answer::Written(0))
        })
    }
}

impl Model for Network {
    fn id(&self) -> u32 {
        VIRTIO_ID_NET
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_NET_F_MAC
    }

    fn queues(&self) -> usize {
        2
    }

    fn configuration(&self) -> &[u8] {
        &self.address.0
    }

    fn serve(&mut self, index: usize, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        if index == RECEIVE { self.receive(queue, ram) } else { self.send(queue, ram) }
    }

    fn attends(&self) -> Option<usize> {
        Some(RECEIVE)
    }
}
