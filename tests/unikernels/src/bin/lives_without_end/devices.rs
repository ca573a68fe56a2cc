//! A life's disk and network, by calls alone.

use core::fmt;

use elone::gate::{
    Area, BlockCompletion, BlockOperation, BlockRequest, BufferId, DeviceClass, DeviceInfo, Frame,
    Handle, Nanoseconds, calls,
};

/// Where the mark is, and where there is something else to read.
const MARK: u64 = 9;
const ELSEWHERE: u64 = 64;
/// To everybody, from somebody, of a kind for experiments (IEEE 802, section 9.2.3).
const HEADER: [u8; 14] = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 7, 0x88, 0xb5];
const WORDS: &[u8] = b"here is life ";
const ANSWER: &[u8] = b"it goes on";

type Outcome<T> = Result<T, &'static str>;

/// The first disk.
pub(crate) struct Disk {
    handle: Handle,
    area: Area,
}

impl Disk {
    pub(crate) fn claim() -> Outcome<Self> {
        match calls::device(DeviceClass::Block, 0) {
            Ok(DeviceInfo::Block(disk)) => Ok(Self { handle: disk.handle, area: disk.area }),
            _ => Err("no disk"),
        }
    }

    /// The life that the disk tells of.
    pub(crate) fn mark(&mut self) -> Outcome<u32> {
        bytes(self.area, 0, 512).fill(0);
        self.transfer(BlockOperation::Read)?;
        let mark = bytes(self.area, 0, 4);
        Ok(u32::from_le_bytes([mark[0], mark[1], mark[2], mark[3]]))
    }

    pub(crate) fn leave_mark(&mut self, life: u32) -> Outcome<()> {
        bytes(self.area, 0, 4).copy_from_slice(&life.to_le_bytes());
        self.transfer(BlockOperation::Write)
    }

    fn transfer(&mut self, operation: BlockOperation) -> Outcome<()> {
        self.submit(operation, MARK, 0).map_err(|_| "the disk refuses")?;
        let mut done = [BlockCompletion::EMPTY; 16];
        loop {
            match calls::block_complete(self.handle, &mut done) {
                Ok(0) => _ = calls::wait(None),
                Ok(1) if done[0].buffer == BufferId(0) && done[0].result.is_ok() => return Ok(()),
                _ => return Err("the disk fails, or completes what nobody asked for"),
            }
        }
    }

    /// Has reads under way into all other buffers; returns how many.
    pub(crate) fn begin_reads(&mut self) -> usize {
        let buffers = 1..self.area.count();
        buffers
            .filter(|&buffer| self.submit(BlockOperation::Read, ELSEWHERE, buffer).is_ok())
            .count()
    }

    fn submit(
        &mut self,
        operation: BlockOperation,
        sector: u64,
        buffer: u16,
    ) -> Result<(), elone::gate::Error> {
        let buffer = BufferId(buffer);
        calls::block_submit(self.handle, BlockRequest { operation, sector, buffer, length: 512 })
    }
}

/// The first network interface.
pub(crate) struct Net {
    handle: Handle,
    area: Area,
}

impl Net {
    pub(crate) fn claim() -> Outcome<Self> {
        match calls::device(DeviceClass::Net, 0) {
            Ok(DeviceInfo::Net(net)) => Ok(Self { handle: net.handle, area: net.area }),
            _ => Err("no network"),
        }
    }

    /// Offers all buffers but those that frames are sent from, as many as the device takes; returns
    /// how many that is.
    pub(crate) fn offer_all(&mut self) -> Outcome<usize> {
        let mut offered = 0;
        for buffer in 2..self.area.count() {
            match calls::net_receive(self.handle, &[BufferId(buffer)], &mut []) {
                Ok(_) => offered += 1,
                Err(elone::gate::Error::Full) => break,
                Err(_) => return Err("a buffer is somebody else's"),
            }
        }
        Ok(offered)
    }

    /// Sends a frame that tells of this life, and sees that it has left if `life` is to be `known`.
    pub(crate) fn send(&mut self, life: u32, known: bool) -> Outcome<()> {
        let buffer = BufferId(u16::from(!known));
        let place = bytes(self.area, buffer.0, 60);
        place.fill(0);
        place[..14].copy_from_slice(&HEADER);
        place[14..14 + WORDS.len()].copy_from_slice(WORDS);
        place[32..36].copy_from_slice(&life.to_le_bytes());
        let frame = Frame { buffer, length: 60 };
        let mut free = [BufferId(u16::MAX); 4];
        // The second frame of a life may find the first one still there.
        if calls::net_send(self.handle, &[frame], &mut free).is_err() {
            return if known { Err("a frame is refused") } else { Ok(()) };
        }
        while known && !free.contains(&buffer) {
            moment();
            let sent = calls::net_send(self.handle, &[], &mut free);
            sent.map_err(|_| "the network is broken")?;
        }
        Ok(())
    }

    /// Waits for an answer to what was sent.
    pub(crate) fn receive(&mut self) -> Outcome<()> {
        let mut frames = [Frame::EMPTY; 16];
        loop {
            let count = calls::net_receive(self.handle, &[], &mut frames);
            for frame in &frames[..count.map_err(|_| "the network is broken")?] {
                let bytes = bytes(self.area, frame.buffer.0, frame.length);
                if bytes.windows(ANSWER.len()).any(|words| words == ANSWER) {
                    return Ok(());
                }
                let again = [frame.buffer];
                calls::net_receive(self.handle, &again, &mut []).map_err(|_| "no way back")?;
            }
            moment();
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where they are is another place in every life.
        let (count, size) = (self.area.count(), self.area.size());
        write!(f, "disk {} {count} × {size} bytes", self.handle.0)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, size) = (self.area.count(), self.area.size());
        write!(f, "net {} {count} × {size} bytes", self.handle.0)
    }
}

/// For whatever may come, a millisecond.
fn moment() {
    calls::wait(Some(Nanoseconds(calls::now().0 + 1_000_000)));
}

/// A buffer's bytes, whoever has it.
fn bytes(area: Area, buffer: u16, length: u16) -> &'static mut [u8] {
    let offset = usize::from(buffer) * usize::from(area.size());
    let length = usize::from(length.min(area.size()));
    // SAFETY: within the area, which is mapped for good; no other reference is in use, and what a
    // device writes to it meanwhile is bytes as well.
    unsafe { core::slice::from_raw_parts_mut(area.base().as_ptr().add(offset), length) }
}
