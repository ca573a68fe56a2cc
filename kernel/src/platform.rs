//! The gate's calls, answered: what the application asked for, checked, and passed to whoever has it.
//!
//! In joined mode these are plain calls on the application's stack. Interrupts may come at any
//! time; their handler touches nothing of what is here.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use elone_gate::{
    Area, BlockCompletion, BlockInfo, BlockOperation, BlockRequest, BufferId, DeviceClass,
    DeviceInfo, Error, Events, Frame, Gate, Handle, Nanoseconds, NetInfo, Sent, Start,
    UnixTime,
};
use elone_hal::dma::DmaBuffers;
use elone_hal::virtio::DeviceError;
use elone_hal::virtio::blk::{Blk, BlockError, Operation};
use elone_hal::virtio::net::Net;
use spin::{Mutex, Once};

use crate::clock::Clock;
use crate::console;
use crate::devices::{self, DEVICES, Device, Driver};
use crate::entropy::Generator;
use crate::interrupts;
use crate::power;
use heapless::Vec;

/// Everything that an application can ask for.
pub(crate) struct Platform {
    start: Start,
    clock: Clock,
    generator: Mutex<Generator>,
    devices: Vec<Device, DEVICES>,
    /// Which devices have an owner, a bit a handle.
    claimed: AtomicU32,
    /// Whether an alarm is set.
    alarm: AtomicBool,
}

static PLATFORM: Once<Platform> = Once::new();

/// Answers the gate's calls from the one platform.
struct Kernel;
static KERNEL: Kernel = Kernel;
elone_gate::provide!(super::KERNEL);

impl Platform {
    /// Puts together what the boot has brought up.
    pub(crate) fn assemble(
        start: Start,
        clock: Clock,
        generator: Generator,
        devices: Vec<Device, DEVICES>,
    ) -> &'static Self {
        PLATFORM.call_once(|| Self {
            start,
            clock,
            generator: Mutex::new(generator),
            devices,
            claimed: AtomicU32::new(0),
            alarm: AtomicBool::new(false),
        })
    }

    /// Runs the application to its end; returns its exit status.
    pub(crate) fn run(&'static self) -> u8 {
        elone_gate::calls::application(&self.start)
    }

    fn claimed(&self, handle: Handle) -> Result<&Driver, Error> {
        let device = self.devices.get(usize::from(handle.0)).ok_or(Error::BadHandle)?;
        if self.claimed.load(Ordering::Relaxed) & Events::device(handle).0 == 0 {
            return Err(Error::BadHandle);
        }
        Ok(&device.driver)
    }

    fn net(&self, handle: Handle) -> Result<spin::MutexGuard<'_, Net>, Error> {
        let Driver::Net(net) = self.claimed(handle)? else { return Err(Error::BadHandle) };
        let mut net = net.lock();
        if devices::changed(Events::device(handle)) {
            net.configuration_changed().map_err(refusal)?;
        }
        Ok(net)
    }

    fn block(&self, handle: Handle) -> Result<spin::MutexGuard<'_, Blk>, Error> {
        let Driver::Block(blk) = self.claimed(handle)? else { return Err(Error::BadHandle) };
        let mut blk = blk.lock();
        if devices::changed(Events::device(handle)) {
            blk.configuration_changed().map_err(refusal)?;
        }
        Ok(blk)
    }

    /// Has the claimed devices interrupt from now on; returns those that have something already.
    fn arm(&self) -> Events {
        let claimed = self.claimed.load(Ordering::Relaxed);
        let mut ready = Events::NONE;
        for (index, device) in (0..).zip(&self.devices) {
            let event = Events::device(Handle(index));
            if claimed & event.0 != 0 {
                let has_something = match &device.driver {
                    Driver::Net(net) => net.lock().arm(),
                    Driver::Block(blk) => blk.lock().arm(),
                };
                if has_something {
                    ready = ready.with(event);
                }
            }
        }
        ready
    }

    /// Has the timer interrupt at `deadline`, or not at all; whether that is past already.
    fn set_alarm(&self, deadline: Option<Nanoseconds>) -> bool {
        match deadline {
            Some(deadline) if deadline <= self.clock.now() => return true,
            Some(deadline) => {
                self.clock.set_alarm(deadline);
                self.alarm.store(true, Ordering::Relaxed);
            }
            None if self.alarm.swap(false, Ordering::Relaxed) => self.clock.clear_alarm(),
            None => {}
        }
        false
    }
}

/// The platform. The application runs only after it was assembled, so it is always there.
fn platform() -> &'static Platform {
    match PLATFORM.get() {
        Some(platform) => platform,
        None => power::end(crate::error::BootError::STATUS),
    }
}

impl Gate for Kernel {
    fn exit(&self, status: u8) -> ! {
        power::end(status)
    }

    fn now(&self) -> Nanoseconds {
        platform().clock.now()
    }

    fn wall_clock(&self) -> Result<UnixTime, Error> {
        platform().clock.date()
    }

    fn wait(&self, deadline: Option<Nanoseconds>) -> Events {
        let platform = platform();
        let happened = interrupts::happened();
        if platform.set_alarm(deadline) {
            return happened.with(Events::DEADLINE);
        }
        let ready = happened.with(platform.arm());
        if ready.is_empty() { interrupts::sleep() } else { ready }
    }

    fn console_write(&self, bytes: &[u8]) {
        console::write(bytes);
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        console::read(bytes)
    }

    fn entropy(&self, bytes: &mut [u8]) -> Result<(), Error> {
        platform().generator.lock().fill(bytes)
    }

    fn device(&self, class: DeviceClass, index: u8) -> Result<DeviceInfo, Error> {
        let platform = platform();
        let of_class = |(_, device): &(u8, &Device)| match device.driver {
            Driver::Net(_) => class == DeviceClass::Net,
            Driver::Block(_) => class == DeviceClass::Block,
        };
        let mut devices = (0..).zip(&platform.devices).filter(of_class);
        let (number, device) = devices.nth(usize::from(index)).ok_or(Error::NoSuchDevice)?;
        let handle = Handle(number);
        let bit = Events::device(handle).0;
        if platform.claimed.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return Err(Error::Claimed);
        }
        Ok(match &device.driver {
            Driver::Net(net) => DeviceInfo::Net(platform.net_info(handle, &net.lock())),
            Driver::Block(blk) => DeviceInfo::Block(block_info(handle, &blk.lock())),
        })
    }

    fn net_send(
        &self,
        handle: Handle,
        frames: &[Frame],
        free: &mut [BufferId],
    ) -> Result<Sent, Error> {
        let mut net = platform().net(handle)?;
        if frames.iter().any(|frame| !net.is_held(frame.buffer.0)) {
            return Err(Error::BadBuffer);
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

    fn net_receive(
        &self,
        handle: Handle,
        empty: &[BufferId],
        frames: &mut [Frame],
    ) -> Result<usize, Error> {
        let mut net = platform().net(handle)?;
        if empty.iter().any(|buffer| !net.is_held(buffer.0)) {
            return Err(Error::BadBuffer);
        }
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

    fn block_submit(&self, handle: Handle, request: BlockRequest) -> Result<(), Error> {
        let operation = match request.operation {
            BlockOperation::Read => Operation::Read,
            BlockOperation::Write => Operation::Write,
            BlockOperation::Flush => Operation::Flush,
        };
        let mut blk = platform().block(handle)?;
        blk.submit(operation, request.sector, request.buffer.0, request.length).map_err(refusal)
    }

    fn block_complete(
        &self,
        handle: Handle,
        completions: &mut [BlockCompletion],
    ) -> Result<usize, Error> {
        let mut blk = platform().block(handle)?;
        let mut count = 0;
        while let Some(place) = completions.get_mut(count) {
            let Some((buffer, result)) = blk.completed().map_err(refusal)? else { break };
            let result = result.map_err(|error| match error {
                BlockError::Unsupported => Error::Unsupported,
                _ => Error::Broken,
            });
            *place = BlockCompletion { buffer: BufferId(buffer), result };
            count += 1;
        }
        Ok(count)
    }

    fn report(&self, words: &str) {
        log::error!("the application says: {words}");
    }
}

impl Platform {
    fn net_info(&self, handle: Handle, net: &Net) -> NetInfo {
        let mac = net.mac().unwrap_or_else(|| self.made_up_mac());
        NetInfo { handle, mac, mtu: net.mtu(), area: area(net.area()) }
    }

    /// For an interface without an address: a random one, marked as locally administered and not
    /// a group's (IEEE 802, section 8.2). Without entropy, always the same.
    fn made_up_mac(&self) -> [u8; 6] {
        let mut mac = [0; 6];
        let _unchanged = self.generator.lock().fill(&mut mac);
        mac[0] = mac[0] & !0b01 | 0b10;
        mac
    }
}

fn block_info(handle: Handle, blk: &Blk) -> BlockInfo {
    let (sectors, read_only) = (blk.sectors(), blk.is_read_only());
    BlockInfo { handle, sectors, read_only, area: area(blk.area()) }
}

fn area(buffers: &DmaBuffers) -> Area {
    Area::new(buffers.base(), buffers.count(), buffers.size())
}

/// What a driver's refusal is to the application.
fn refusal(error: DeviceError) -> Error {
    match error {
        DeviceError::BadBuffer => Error::BadBuffer,
        DeviceError::OutOfRange => Error::OutOfRange,
        DeviceError::Full => Error::Full,
        DeviceError::Unsupported => Error::Unsupported,
        DeviceError::Silent | DeviceError::Broken(_) => Error::Broken,
    }
}
