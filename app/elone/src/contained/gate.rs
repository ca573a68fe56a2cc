//! The gate's calls, passed on to the kernel. Lists that are too long for one call go in part, as
//! each call's own contract allows; bytes go piece by piece.

use elone_gate::abi::{Alleged, BATCH, Call, PIECE, decode_device};
use elone_gate::{
    BlockCompletion, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Events, Frame, Gate,
    GpioLevel, GpioLine, GpioOperation, Handle, Nanoseconds, Sent, UnixTime,
};

use super::call::{call, count};
use super::{COUNTER, ticks};

struct Kernel;
static KERNEL: Kernel = Kernel;
elone_gate::provide!(super::KERNEL);

/// How many completions are taken by one call.
const COMPLETIONS: usize = 16;

impl Gate for Kernel {
    fn exit(&self, status: u8) -> ! {
        loop {
            let _never_returns = call(Call::Exit { status });
        }
    }

    /// The one answer that needs no call: everybody may read the counter.
    #[inline]
    fn now(&self) -> Nanoseconds {
        Nanoseconds(COUNTER.with(|counter| counter.get().nanoseconds(ticks())))
    }

    fn wall_clock(&self) -> Result<UnixTime, Error> {
        call(Call::WallClock).map(|[time, ..]| UnixTime(time))
    }

    #[expect(clippy::cast_possible_truncation, reason = "events are 32 bits")]
    fn wait(&self, deadline: Option<Nanoseconds>) -> Events {
        call(Call::Wait { deadline }).map_or(Events::NONE, |[events, ..]| Events(events as u32))
    }

    fn console_write(&self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            let _never_refused = call(Call::ConsoleWrite { bytes: Alleged::of(piece) });
        }
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        let room = bytes.len().min(PIECE);
        let read = call(Call::ConsoleRead { bytes: Alleged::of_mut(&mut bytes[..room]) });
        read.map_or(0, |[length, ..]| count(length, room))
    }

    fn entropy(&self, bytes: &mut [u8]) -> Result<(), Error> {
        for piece in bytes.chunks_mut(PIECE) {
            call(Call::Entropy { bytes: Alleged::of_mut(piece) })?;
        }
        Ok(())
    }

    fn device(&self, class: DeviceClass, index: u8) -> Result<DeviceInfo, Error> {
        let words = call(Call::Device { class, index })?;
        decode_device(words).ok_or(Error::NoSuchDevice)
    }

    fn net_send(
        &self,
        handle: Handle,
        frames: &[Frame],
        free: &mut [BufferId],
    ) -> Result<Sent, Error> {
        let frames = &frames[..frames.len().min(BATCH)];
        let room = free.len().min(BATCH);
        let [accepted, freed, ..] = call(Call::NetSend {
            handle,
            frames: Alleged::of(frames),
            free: Alleged::of_mut(&mut free[..room]),
        })?;
        Ok(Sent { accepted: count(accepted, frames.len()), freed: count(freed, room) })
    }

    fn net_receive(
        &self,
        handle: Handle,
        empty: &[BufferId],
        frames: &mut [Frame],
    ) -> Result<usize, Error> {
        // All of `empty` must be handed over; what is too much for one call goes ahead of it.
        let mut empty = empty;
        while let Some((ahead, rest)) = empty.split_at_checked(BATCH).filter(|(_, r)| !r.is_empty())
        {
            let (handed, none) = (Alleged::of(ahead), Alleged::of::<Frame>(&[]));
            call(Call::NetReceive { handle, empty: handed, frames: none })?;
            empty = rest;
        }
        let (empty, room) = (Alleged::of(empty), frames.len().min(BATCH));
        let frames = Alleged::of_mut(&mut frames[..room]);
        let [received, ..] = call(Call::NetReceive { handle, empty, frames })?;
        Ok(count(received, room))
    }

    fn block_submit(&self, handle: Handle, request: BlockRequest) -> Result<(), Error> {
        call(Call::BlockSubmit { handle, request }).map(drop)
    }

    fn block_complete(
        &self,
        handle: Handle,
        completions: &mut [BlockCompletion],
    ) -> Result<usize, Error> {
        let mut words = [0_u32; COMPLETIONS];
        let room = completions.len().min(COMPLETIONS);
        let asked = Alleged::of_mut(&mut words[..room]);
        let [done, ..] = call(Call::BlockComplete { handle, completions: asked })?;
        let done = count(done, room);
        for (place, word) in completions.iter_mut().zip(&words[..done]) {
            *place = BlockCompletion::decode(*word);
        }
        Ok(done)
    }

    fn report(&self, words: &str) {
        let _never_refused = call(Call::Report { words: Alleged::of(words.as_bytes()) });
    }

    fn stolen_time(&self) -> Result<Nanoseconds, Error> {
        call(Call::StolenTime).map(|[time, ..]| Nanoseconds(time))
    }

    fn gpio(&self, line: GpioLine, operation: GpioOperation) -> Result<GpioLevel, Error> {
        call(Call::Gpio { line, operation }).map(|[level, ..]| match level {
            0 => GpioLevel::Low,
            _ => GpioLevel::High,
        })
    }
}
