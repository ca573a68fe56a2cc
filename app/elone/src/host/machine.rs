//! A machine, put together for one run of one application.

use std::any::Any;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::string::{String, ToString};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use elone_gate::{
    Events, Hypervisor, Level, MachineInfo, MemoryRanges, Nanoseconds, Past, Protection,
    Protections, Start, Verbosity,
};

use super::cable::Plug;
use super::disk::{Disk, Image};
use super::net::Net;
use super::settings;
use crate::Platform;
use crate::start::{self, Outcome};

std::thread_local! {
    /// The machine whose application this thread is.
    static CURRENT: RefCell<Option<Rc<Running>>> = const { RefCell::new(None) };
}

/// What can be in force where there is no hardware to protect.
const PROTECTIONS: Protections = Protections::NONE.with(Protection::KeyedSequenceNumbers);

/// A machine to be run, once.
#[derive(Debug)]
pub struct Machine {
    settings: String,
    protections: Protections,
    has_entropy: bool,
    nets: Vec<Plug>,
    disks: Vec<Image>,
    past: Past,
    stolen: Option<Nanoseconds>,
    signals: Arc<Signals>,
}

/// A hold on a machine while it runs, for other threads.
#[derive(Clone, Debug)]
pub struct Control(Arc<Signals>);

/// How often the application went to sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sleeps {
    /// Until something happens.
    pub endless: u64,
    /// Until something happens or a time comes.
    pub timed: u64,
}

/// What other threads tell the machine.
#[derive(Debug, Default)]
pub(super) struct Signals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) events: Events,
    pub(super) input: VecDeque<u8>,
    output: Vec<u8>,
    pub(super) sleeps: Sleeps,
}

/// A machine while it runs, as its own thread sees it.
pub(super) struct Running {
    pub(super) signals: Arc<Signals>,
    pub(super) nets: Vec<Net>,
    pub(super) disks: Vec<Disk>,
    pub(super) has_entropy: bool,
    pub(super) stolen: Option<Nanoseconds>,
}

/// What unwinds from `exit` to the machine's end.
struct Exit(u8);

impl Machine {
    /// A machine with nothing in it. `settings` are those of a boot: `key=value`, by blanks.
    #[must_use]
    pub fn new(settings: &str) -> Self {
        Self {
            settings: settings.to_string(),
            protections: PROTECTIONS,
            has_entropy: true,
            nets: Vec::new(),
            disks: Vec::new(),
            past: Past::default(),
            stolen: None,
            signals: Arc::default(),
        }
    }

    /// Says which protections are in force. Without this, all that can be here: TCP's keyed sequence
    /// numbers.
    #[must_use]
    pub const fn protections(mut self, protections: Protections) -> Self {
        self.protections = protections;
        self
    }

    /// Takes every source of entropy away.
    #[must_use]
    pub const fn without_entropy(mut self) -> Self {
        self.has_entropy = false;
        self
    }

    /// Puts in a network interface with a cable plugged in.
    #[must_use]
    pub fn net(mut self, plug: Plug) -> Self {
        self.nets.push(plug);
        self
    }

    /// Puts in a disk.
    #[must_use]
    pub fn disk(mut self, image: Image) -> Self {
        self.disks.push(image);
        self
    }

    /// Gives it a past: earlier starts that ended in faults. Without this, it is new.
    #[must_use]
    pub const fn past(mut self, past: Past) -> Self {
        self.past = past;
        self
    }

    /// Has its hypervisor say that it let others run for so long. Without this, it does not say.
    #[must_use]
    pub const fn stolen(mut self, time: Nanoseconds) -> Self {
        self.stolen = Some(time);
        self
    }

    /// A hold on the machine, for when it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.signals))
    }

    /// Runs `main` in this thread, to its end; returns its exit status.
    pub fn run<M, R>(self, main: M) -> u8
    where
        M: AsyncFnOnce(Platform) -> R + 'static,
        R: Outcome + 'static,
    {
        self.boot(|start| start::run(start, main))
    }

    /// Runs an application that `#[elone::main]` made, in this thread, to its end; returns its exit
    /// status.
    pub fn start(self, application: fn(&'static Start) -> u8) -> u8 {
        self.boot(application)
    }

    fn boot(self, application: impl FnOnce(&'static Start) -> u8) -> u8 {
        // Handles count from 0: first the interfaces, then the disks.
        let nets = self.nets.into_iter().zip(0..);
        let nets: Vec<Net> = nets.map(|(plug, at)| Net::new(plug, at, &self.signals)).collect();
        let disks = self.disks.into_iter().zip(0..);
        let after = u8::try_from(nets.len()).unwrap_or(u8::MAX);
        let disks = disks.map(|(image, at)| Disk::new(image, after + at, &self.signals)).collect();
        let (has_entropy, stolen) = (self.has_entropy, self.stolen);
        let running = Running { signals: self.signals, nets, disks, has_entropy, stolen };
        CURRENT.set(Some(Rc::new(running)));
        let start = start_of(&self.settings, self.protections, self.past);
        let result = panic::catch_unwind(AssertUnwindSafe(|| application(start)));
        CURRENT.set(None);
        result.unwrap_or_else(|payload: Box<dyn Any + Send>| {
            let exit = payload.downcast::<Exit>();
            exit.map_or_else(|panic| panic::resume_unwind(panic), |exit| exit.0)
        })
    }
}

impl Control {
    /// Asks the application to end.
    pub fn ask_to_end(&self) {
        self.0.raise(Events::SHUTDOWN);
    }

    /// Tells the application that the machine may have been restored from a snapshot.
    pub fn restore(&self) {
        self.0.raise(Events::RESTORED);
    }

    /// Types on the console.
    pub fn type_in(&self, bytes: &[u8]) {
        self.0.lock().input.extend(bytes);
        self.0.raise(Events::CONSOLE);
    }

    /// What was written to the console so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().output).into_owned()
    }

    /// How often the application has gone to sleep so far.
    #[must_use]
    pub fn sleeps(&self) -> Sleeps {
        self.0.lock().sleeps
    }
}

impl Signals {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it held the lock has left nothing half done here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the machine.
    pub(super) fn raise(&self, events: Events) {
        let mut state = self.lock();
        state.events = state.events.with(events);
        self.changed.notify_all();
    }

    pub(super) const fn changed(&self) -> &Condvar {
        &self.changed
    }
}

impl State {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }
}

/// Visits this thread's machine; `None` in a thread that is none.
pub(super) fn current<R>(visit: impl FnOnce(&Running) -> R) -> Option<R> {
    let running = CURRENT.with(|current| current.borrow().clone());
    running.map(|running| visit(&running))
}

/// Ends the application of this thread from within.
pub(super) fn exit(status: u8) -> ! {
    panic::resume_unwind(Box::new(Exit(status)))
}

fn start_of(settings: &str, protections: Protections, past: Past) -> &'static Start {
    // Leaked, as the machine's own lives as long as the machine.
    let settings: &'static str = Box::leak(settings.to_string().into_boxed_str());
    let machine = MachineInfo {
        entered_at: Level::El0,
        application_at: Level::El0,
        hypervisor: Hypervisor::Unknown,
        board: "developer's machine",
        core: std::env::consts::ARCH,
        interrupt_controller: "none",
        memory: 0,
        version: concat!("elone host ", env!("CARGO_PKG_VERSION")),
        protections,
    };
    let network = settings::network(settings);
    let (heap, verbosity) = (MemoryRanges::NONE, Verbosity(3));
    Box::leak(Box::new(Start { heap, machine, network, settings, verbosity, past }))
}
