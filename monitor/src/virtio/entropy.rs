//! A source of entropy (virtio 1.2, section 5.4).

use std::fs::File;
use std::io::{Read as _, Write as _};

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;
use virtio_queue::Queue;

use super::{Answer, Broken, Model, Served, answer_all};
use crate::memory::Ram;

/// How many bytes a request gets, at most.
const PIECE: usize = 4096;

/// The device.
#[derive(Debug)]
pub struct Entropy {
    source: File,
}

impl Entropy {
    /// A device that gives what `source` gives: the host's random bytes.
    #[must_use]
    pub fn new(source: File) -> Self {
        Self { source }
    }
}

impl Model for Entropy {
    fn id(&self) -> u32 {
        VIRTIO_ID_RNG
    }

    fn queues(&self) -> usize {
        1
    }

    fn serve(&mut self, _index: usize, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        answer_all(queue, ram, |chain| {
            let mut buffers = chain.writer(ram)?;
            let mut piece = [0; PIECE];
            let length = buffers.available_bytes().min(PIECE);
            // The host's source cannot fail: it is a file that is open.
            self.source.read_exact(&mut piece[..length])?;
            buffers.write_all(&piece[..length])?;
            u32::try_from(length).map(Answer::Written).map_err(|_| Broken)
        })
    }
}
