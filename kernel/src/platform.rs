//! The gate's calls, answered: what the application asked for, checked, and passed to whoever has it.
//!
//! Joined, these are plain calls on the application's stack; contained, the kernel makes them for the
//! application, with what it has checked and copied in. Interrupts may come at any time where they
//! are not held back; their handler touches nothing of what is here.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use elone_gate::{
    Area, BlockCompletion, BlockInfo, BlockOperation, BlockRequest, BufferId, DeviceClass,
    DeviceInfo, Error, Events, Frame, Gate, GpioLevel, GpioLine, GpioOperation, Handle,
    Nanoseconds, NetInfo, Sent, Start, UnixTime,
};
use elone_hal::dma::DmaBuffers;
use elone_hal::virtio::blk::{Blk, Operation};
use elone_hal::virtio::net::Net;
use spin::{Mutex, MutexGuard, Once};
#[cfg(elone_contained)]
use {elone_gate::handover::Counter, elone_hal::virtio::ProbeError};

use crate::absence::{self, Occasion};
use crate::clock::Clock;
use crate::console;
use crate::devices::{self, DEVICES, Device, Driver};
use crate::hearing::HEARING;
use crate::sources::Entropy;
use crate::transfers::{complete, receive, refusal, send};
use crate::{fault, gpio, hypervisor, input, integrity, interrupts, power, watchdog};
use heapless::Vec;

/// Everything that an application can ask for.
pub(crate) struct Platform {
    start: Start,
    clock: Clock,
    entropy: &'static Mutex<Entropy>,
    devices: Vec<Device, DEVICES>,
    /// Which devices have an owner, a bit a handle.
    claimed: AtomicU32,
    /// Whether an alarm is set.
    alarm: AtomicBool,
}

/// As much of an application's last words as is passed on, in bytes.
const WORDS: usize = 512;

static PLATFORM: Once<Platform> = Once::new();

/// Answers the gate's calls from the one platform, whoever passes them on.
pub(crate) struct Kernel;
pub(crate) static KERNEL: Kernel = Kernel;

impl Platform {
    /// Puts together what the boot has brought up.
    pub(crate) fn assemble(
        start: Start,
        clock: Clock,
        entropy: &'static Mutex<Entropy>,
        devices: Vec<Device, DEVICES>,
    ) -> &'static Self {
        PLATFORM.call_once(|| Self {
            start,
            clock,
            entropy,
            devices,
            claimed: AtomicU32::new(0),
            alarm: AtomicBool::new(false),
        })
    }

    /// What the application is told at its start.
    pub(crate) const fn start(&self) -> &Start {
        &self.start
    }

    /// How an application reads the time by itself.
    #[cfg(elone_contained)]
    pub(crate) const fn counter(&self) -> Counter {
        self.clock.counter()
    }

    /// Takes back what an application had: its devices are reset, so that they hold none of its
    /// buffers, and have no owner; what happened and its alarm are forgotten.
    ///
    /// # Errors
    /// A device does not come back: it may still write to buffers that it was given, and whoever
    /// claimed it next could do nothing with it.
    #[cfg(elone_contained)]
    pub(crate) fn take_back(&self) -> Result<(), ProbeError> {
        gpio::take_back();
        let claimed = self.claimed.swap(0, Ordering::Relaxed);
        for handle in (0..Events::DEVICES).map(Handle) {
            if claimed & Events::device(handle).0 != 0 {
                devices::restart(handle)?;
            }
        }
        if self.alarm.swap(false, Ordering::Relaxed) {
            self.clock.clear_alarm();
        }
        let _forgotten = interrupts::happened();
        absence::forget();
        Ok(())
    }

    /// Does `work` with the network device that the application has claimed as `handle`.
    fn with_net<T>(
        &self,
        handle: Handle,
        work: impl FnOnce(&mut Net) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut driver = self.claimed(handle)?;
        let Driver::Net(net) = &mut *driver else { return Err(Error::BadHandle) };
        if devices::changed(Events::device(handle)) {
            net.configuration_changed().map_err(refusal)?;
        }
        work(net)
    }

    /// Does `work` with the disk that the application has claimed as `handle`.
    fn with_block<T>(
        &self,
        handle: Handle,
        work: impl FnOnce(&mut Blk) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut driver = self.claimed(handle)?;
        let Driver::Block(blk) = &mut *driver else { return Err(Error::BadHandle) };
        if devices::changed(Events::device(handle)) {
            blk.configuration_changed().map_err(refusal)?;
        }
        work(blk)
    }

    fn claimed(&self, handle: Handle) -> Result<MutexGuard<'static, Driver>, Error> {
        if self.claimed.load(Ordering::Relaxed) & Events::device(handle).0 == 0 {
            return Err(Error::BadHandle);
        }
        devices::driver(handle)
    }

    /// Looks whether the machine has been away, outside of `wait`, which tells the application.
    fn look(&self, occasion: Occasion) {
        if absence::look(occasion, &self.clock, self.entropy) {
            interrupts::remind(Events::RESTORED);
        }
    }

    /// Fills `bytes` from the generator: of this machine as it is now, and not of one that it is a
    /// copy of.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        self.look(Occasion::Output);
        self.entropy.lock().fill(bytes, self.clock.now())
    }

    /// Has the claimed devices interrupt from now on; returns those that have something already.
    fn arm(&self) -> Events {
        let claimed = self.claimed.load(Ordering::Relaxed);
        let mut ready = Events::NONE;
        for handle in (0..Events::DEVICES).map(Handle) {
            let event = Events::device(handle);
            if claimed < event.0 {
                break; // no higher bit is set
            }
            if claimed & event.0 != 0
                && let Ok(mut driver) = devices::driver(handle)
            {
                let has_something = match &mut *driver {
                    Driver::Net(net) => net.arm(),
                    Driver::Block(blk) => blk.arm(),
                };
                if has_something {
                    ready = ready.with(event);
                }
            }
        }
        ready
    }

    /// Sleeps until something happens, or until `deadline`. The timer is the watchdog's else.
    fn sleep(&self, deadline: Option<Nanoseconds>) -> Events {
        let is_set = watchdog::rest() | self.alarm.swap(deadline.is_some(), Ordering::Relaxed);
        loop {
            let typed = input::look_due(self.clock.now());
            let own = [integrity::due(), self.look_due(), typed].into_iter().flatten().min();
            let own = own.filter(|own| deadline.is_none_or(|deadline| *own < deadline));
            match own.or(deadline) {
                Some(alarm) => self.clock.set_alarm(alarm),
                None if is_set => self.clock.clear_alarm(),
                None => {}
            }
            let events = interrupts::sleep();
            let events = events.with(self.look_at_unheard());
            if own.is_none() {
                return events;
            }
            // The alarm was the kernel's own, and nobody else is told of it.
            self.clock.clear_alarm();
            input::catch_up();
            let events = Events(events.with(interrupts::happened()).0 & !Events::DEADLINE.0);
            if deadline.is_some_and(|deadline| deadline <= self.clock.now()) {
                return events.with(Events::DEADLINE);
            }
            if !events.is_empty() {
                return events;
            }
            self.check(deadline);
        }
    }

    /// The devices that the application has and of which no interrupt has come yet.
    #[inline]
    fn unheard(&self) -> Events {
        HEARING.unheard(Events(self.claimed.load(Ordering::Relaxed)))
    }

    /// When to look whether any of them has something nobody was told of.
    fn look_due(&self) -> Option<Nanoseconds> {
        let unheard = self.unheard();
        (!unheard.is_empty()).then(|| HEARING.next(unheard, self.clock.now()))
    }

    /// What they have, after a sleep.
    fn look_at_unheard(&self) -> Events {
        let unheard = self.unheard();
        if unheard.is_empty() {
            return Events::NONE;
        }
        let all = (0..).map(Handle).zip(&self.devices);
        let looked_at = all.filter(|(handle, _)| unheard.contains(Events::device(*handle)));
        let found = looked_at.map(|(handle, device)| device.look(handle));
        let found = found.fold(Events::NONE, Events::with);
        HEARING.looked(self.clock.now());
        found
    }

    /// Something was asked of a device: if nothing was heard of it yet, it is looked at soon.
    #[inline]
    fn asked(&self, handle: Handle) {
        if self.unheard().contains(Events::device(handle)) {
            HEARING.ask(self.clock.now());
        }
    }

    /// Compares memory with what it was, for as long as that is due and nothing happens.
    fn check(&self, deadline: Option<Nanoseconds>) {
        if let Some(deadline) = deadline {
            self.clock.set_alarm(deadline);
        }
        while !interrupts::has_happened() && integrity::compare_one(self.clock.now()) {}
    }
}

/// The platform. The application runs only after it was assembled, so it is always there.
fn platform() -> &'static Platform {
    match PLATFORM.get() {
        Some(platform) => platform,
        None => power::end(crate::error::BootError::STATUS),
    }
}

/// Undoes a claim that led to nothing.
#[cfg(elone_contained)]
pub(crate) fn give_back(handle: Handle) {
    platform().claimed.fetch_and(!Events::device(handle).0, Ordering::Relaxed);
}

impl Gate for Kernel {
    fn exit(&self, status: u8) -> ! {
        power::end(status)
    }

    fn now(&self) -> Nanoseconds {
        platform().clock.now()
    }

    fn wall_clock(&self) -> Result<UnixTime, Error> {
        let platform = platform();
        platform.look(Occasion::Passing);
        platform.clock.date()
    }

    fn wait(&self, deadline: Option<Nanoseconds>) -> Events {
        let platform = platform();
        input::catch_up();
        let (happened, now) = (interrupts::happened(), platform.clock.now());
        let happened = absence::sift(happened, now, &platform.clock, platform.entropy);
        integrity::begin(now, deadline);
        let ready = match deadline {
            Some(deadline) if deadline <= now => happened.with(Events::DEADLINE),
            _ => happened.with(platform.arm()),
        };
        let events = if ready.is_empty() {
            let events = platform.sleep(deadline);
            absence::sift(events, platform.clock.now(), &platform.clock, platform.entropy)
        } else {
            integrity::compare_some(now);
            ready
        };
        power::announce();
        watchdog::kick();
        events
    }

    fn console_write(&self, bytes: &[u8]) {
        console::write(bytes);
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        input::read(bytes)
    }

    fn entropy(&self, bytes: &mut [u8]) -> Result<(), Error> {
        platform().fill(bytes)
    }

    fn device(&self, class: DeviceClass, index: u8) -> Result<DeviceInfo, Error> {
        let platform = platform();
        let mut of_class = (0..).zip(&platform.devices).filter(|(_, device)| device.class == class);
        let (number, _) = of_class.nth(usize::from(index)).ok_or(Error::NoSuchDevice)?;
        let handle = Handle(number);
        let bit = Events::device(handle).0;
        if platform.claimed.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return Err(Error::Claimed);
        }
        Ok(match &*devices::driver(handle)? {
            Driver::Net(net) => DeviceInfo::Net(platform.net_info(handle, net)),
            Driver::Block(blk) => DeviceInfo::Block(block_info(handle, blk)),
        })
    }

    fn net_send(
        &self,
        handle: Handle,
        frames: &[Frame],
        free: &mut [BufferId],
    ) -> Result<Sent, Error> {
        let platform = platform();
        if !frames.is_empty() {
            platform.asked(handle);
        }
        platform.with_net(handle, |net| send(net, frames, free))
    }

    fn net_receive(
        &self,
        handle: Handle,
        empty: &[BufferId],
        frames: &mut [Frame],
    ) -> Result<usize, Error> {
        platform().with_net(handle, |net| receive(net, empty, frames))
    }

    fn block_submit(&self, handle: Handle, request: BlockRequest) -> Result<(), Error> {
        let operation = match request.operation {
            BlockOperation::Read => Operation::Read,
            BlockOperation::Write => Operation::Write,
            BlockOperation::Flush => Operation::Flush,
        };
        let BlockRequest { sector, buffer, length, .. } = request;
        let platform = platform();
        platform.asked(handle);
        platform.with_block(handle, |blk| {
            blk.submit(operation, sector, buffer.0, length).map_err(refusal)
        })
    }

    fn block_complete(
        &self,
        handle: Handle,
        completions: &mut [BlockCompletion],
    ) -> Result<usize, Error> {
        platform().with_block(handle, |blk| complete(blk, completions))
    }

    fn report(&self, words: &str) {
        let cut = words.floor_char_boundary(WORDS);
        fault::said(&words[..cut]);
        log::error!("the application says: {}", words[..cut].escape_debug());
    }

    fn stolen_time(&self) -> Result<Nanoseconds, Error> {
        hypervisor::stolen_time()
    }

    fn gpio(&self, line: GpioLine, operation: GpioOperation) -> Result<GpioLevel, Error> {
        gpio::operate(line, operation)
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
        let _unchanged = self.fill(&mut mac);
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
