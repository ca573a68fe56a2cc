//! A disk: a file's bytes, as they are (virtio 1.2, section 5.2).

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP,
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;
use virtio_queue::{DescriptorChain, Queue};

use super::{Answer, Broken, Model, Served, answer_all};
use crate::memory::Ram;

/// The unit in which places are counted, whatever the disk's own.
const SECTOR: u64 = 512;
/// What is moved at once, and how much a request may ask for: a core waits meanwhile.
const PIECE: usize = 64 << 10;
const MOST: usize = 64 << 20;
/// What the disk calls itself, 20 bytes.
const NAME: &[u8; 20] = b"elone-monitor-disk\0\0";

/// The disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
    length: u64,
    /// The configuration: how many sectors there are.
    sectors: [u8; 8],
}

impl Disk {
    /// The disk that `file` is. What is left of it after its last whole sector is not reached.
    ///
    /// # Errors
    /// It does not say how long it is.
    pub fn new(mut file: File) -> io::Result<Self> {
        let sectors = file.seek(SeekFrom::End(0))? / SECTOR;
        Ok(Self { file, length: sectors * SECTOR, sectors: sectors.to_le_bytes() })
    }

    /// Answers a request; returns how many bytes were written into its buffers.
    fn answer(&self, chain: DescriptorChain<&Ram>, ram: &Ram) -> Result<Answer, Broken> {
        let mut input = chain.clone().reader(ram)?;
        let mut output = chain.writer(ram)?;
        let room = output.available_bytes().checked_sub(1).ok_or(Broken)?;
        let mut status = output.split_at(room)?;
        let mut header = [0; 16];
        input.read_exact(&mut header)?;
        let [a, b, c, d, _, _, _, _, sector @ ..] = header;
        let sector = u64::from_le_bytes(sector);
        let (given, room) = (input.available_bytes(), output.available_bytes());
        let done = match u32::from_le_bytes([a, b, c, d]) {
            VIRTIO_BLK_T_IN => self.read(self.place(sector, room), room, &mut output),
            VIRTIO_BLK_T_OUT => self.write(self.place(sector, given), given, &mut input),
            VIRTIO_BLK_T_FLUSH => self.file.sync_data(),
            VIRTIO_BLK_T_GET_ID => output.write_all(&NAME[..room.min(NAME.len())]),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        let outcome = match done {
            Ok(()) => VIRTIO_BLK_S_OK,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => VIRTIO_BLK_S_UNSUPP,
            Err(_) => VIRTIO_BLK_S_IOERR,
        };
        status.write_all(&outcome.to_le_bytes()[..1])?;
        u32::try_from(output.bytes_written() + 1).map(Answer::Written).map_err(|_| Broken)
    }

    /// Where `length` bytes from `sector` on are in the file, if they are in it.
    fn place(&self, sector: u64, length: usize) -> Option<u64> {
        let start = sector.checked_mul(SECTOR)?;
        let end = start.checked_add(u64::try_from(length).ok()?)?;
        let whole = length > 0 && end % SECTOR == 0 && length <= MOST;
        (whole && end <= self.length).then_some(start)
    }

    fn read(&self, place: Option<u64>, length: usize, output: &mut impl Write) -> io::Result<()> {
        self.in_pieces(place, length, |piece, at| {
            self.file.read_exact_at(piece, at)?;
            output.write_all(piece)
        })
    }

    fn write(&self, place: Option<u64>, length: usize, input: &mut impl Read) -> io::Result<()> {
        self.in_pieces(place, length, |piece, at| {
            input.read_exact(piece)?;
            self.file.write_all_at(piece, at)
        })
    }

    fn in_pieces(
        &self,
        place: Option<u64>,
        length: usize,
        mut each: impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut at = place.ok_or(io::ErrorKind::InvalidInput)?;
        let mut piece = vec![0; PIECE.min(length)];
        let mut left = length;
        while left > 0 {
            let now = left.min(PIECE);
            each(&mut piece[..now], at)?;
            at += now as u64;
            left -= now;
        }
        Ok(())
    }
}

impl Model for Disk {
    fn id(&self) -> u32 {
        VIRTIO_ID_BLOCK
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_BLK_F_FLUSH
    }

    fn queues(&self) -> usize {
        1
    }

    fn configuration(&self) -> &[u8] {
        &self.sectors
    }

    fn serve(&mut self, _index: usize, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        answer_all(queue, ram, |chain| self.answer(chain, ram))
    }
}
