//! The gate's calls, answered by the standard library.

use std::boxed::Box;
use std::fs::File;
use std::io::Read;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use elone_gate::{
    Area, BlockCompletion, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Events, Frame,
    Gate, Handle, Nanoseconds, Sent, UnixTime,
};

use super::machine::{current, exit};

struct HostGate;

elone_gate::provide!(super::HostGate);

impl Gate for HostGate {
    fn exit(&self, status: u8) -> ! {
        exit(status)
    }

    fn now(&self) -> Nanoseconds {
        static START: OnceLock<Instant> = OnceLock::new();
        let since = START.get_or_init(Instant::now).elapsed();
        Nanoseconds(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall_clock(&self) -> Result<UnixTime, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Error::NoClock)?;
        Ok(UnixTime(u64::try_from(since.as_nanos()).map_err(|_| Error::NoClock)?))
    }

    fn wait(&self, deadline: Option<Nanoseconds>) -> Events {
        let waited = current(|machine| {
            let mut state = machine.signals.lock();
            let mut is_asleep = false;
            loop {
                let events = std::mem::take(&mut state.events);
                if !events.is_empty() {
                    return events;
                }
                let left = deadline.map(|deadline| deadline.0.saturating_sub(self.now().0));
                if left == Some(0) {
                    return Events::DEADLINE;
                }
                if !is_asleep {
                    is_asleep = true;
                    let sleeps = &mut state.sleeps;
                    *(if left.is_some() { &mut sleeps.timed } else { &mut sleeps.endless }) += 1;
                }
                // No deadline is a very late one, so that there is one way to wait.
                let left = Duration::from_nanos(left.unwrap_or(u64::MAX / 4));
                let waited = machine.signals.changed().wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        });
        waited.unwrap_or(Events::NONE)
    }

    fn console_write(&self, bytes: &[u8]) {
        let _ = current(|machine| machine.signals.lock().write(bytes));
        // Not written to the standard output itself, so that a test's goes where tests want it.
        std::print!("{}", std::string::String::from_utf8_lossy(bytes));
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        let read = current(|machine| {
            let mut state = machine.signals.lock();
            let count = state.input.len().min(bytes.len());
            bytes.iter_mut().zip(state.input.drain(..count)).for_each(|(slot, byte)| *slot = byte);
            count
        });
        read.unwrap_or(0)
    }

    fn entropy(&self, bytes: &mut [u8]) -> Result<(), Error> {
        if current(|machine| machine.has_entropy) == Some(false) {
            return Err(Error::NoEntropy);
        }
        let file = File::open("/dev/urandom");
        file.and_then(|mut file| file.read_exact(bytes)).map_err(|_| Error::NoEntropy)
    }

    fn device(&self, class: DeviceClass, index: u8) -> Result<DeviceInfo, Error> {
        let index = usize::from(index);
        let claimed = current(|machine| {
            let (is_claimed, info) = match class {
                DeviceClass::Net => {
                    let net = machine.nets.get(index).ok_or(Error::NoSuchDevice)?;
                    (&net.is_claimed, DeviceInfo::Net(net.info()))
                }
                DeviceClass::Block => {
                    let disk = machine.disks.get(index).ok_or(Error::NoSuchDevice)?;
                    (&disk.is_claimed, DeviceInfo::Block(disk.info()))
                }
            };
            if is_claimed.replace(true) { Err(Error::Claimed) } else { Ok(info) }
        });
        claimed.unwrap_or(Err(Error::NoSuchDevice))
    }

    fn net_send(
        &self,
        handle: Handle,
        frames: &[Frame],
        free: &mut [BufferId],
    ) -> Result<Sent, Error> {
        let sent = current(|machine| {
            let net = machine.nets.iter().find(|net| net.info().handle == handle);
            net.ok_or(Error::BadHandle)?.send(frames, free)
        });
        sent.unwrap_or(Err(Error::BadHandle))
    }

    fn net_receive(
        &self,
        handle: Handle,
        empty: &[BufferId],
        frames: &mut [Frame],
    ) -> Result<usize, Error> {
        let received = current(|machine| {
            let net = machine.nets.iter().find(|net| net.info().handle == handle);
            net.ok_or(Error::BadHandle)?.receive(empty, frames)
        });
        received.unwrap_or(Err(Error::BadHandle))
    }

    fn block_submit(&self, handle: Handle, request: BlockRequest) -> Result<(), Error> {
        let submitted = current(|machine| {
            let disk = machine.disks.iter().find(|disk| disk.info().handle == handle);
            disk.ok_or(Error::BadHandle)?.submit(request)
        });
        submitted.unwrap_or(Err(Error::BadHandle))
    }

    fn block_complete(
        &self,
        handle: Handle,
        completions: &mut [BlockCompletion],
    ) -> Result<usize, Error> {
        let completed = current(|machine| {
            let disk = machine.disks.iter().find(|disk| disk.info().handle == handle);
            Ok(disk.ok_or(Error::BadHandle)?.complete(completions))
        });
        completed.unwrap_or(Err(Error::BadHandle))
    }

    fn report(&self, words: &str) {
        log::error!("last words: {words}");
    }

    fn stolen_time(&self) -> Result<Nanoseconds, Error> {
        current(|machine| machine.stolen).flatten().ok_or(Error::Unsupported)
    }
}

/// Memory for a device's buffers. Leaked: handles to it may outlive the machine.
pub(crate) fn area(count: u16, size: u16) -> Area {
    let bytes = std::vec![0_u8; usize::from(count) * usize::from(size)];
    let base = NonNull::from(Box::leak(bytes.into_boxed_slice())).cast();
    Area::new(base, count, size)
}
