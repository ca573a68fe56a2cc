//! What is typed on the console: first the kernel listens ([`Attention`]), then it is the
//! application's, from the first time on that it reads.
//!
//! The handler takes what there is off the device, so that a machine can be asked to end whatever
//! its application does; what that reads is kept for it, as much as there is room for, and what it
//! does not read at all is dropped. What does not fit stays in the device, which then does not
//! interrupt before there is room: nothing of a long text is lost, and nobody hears what is behind it
//! before an application that has begun to read reads on.
//!
//! A hypervisor's console has no line: from when somebody listens on, it is asked ten times a second
//! while the machine sleeps, and before it does.

use core::sync::atomic::{AtomicBool, Ordering};

use elone_gate::{Events, Nanoseconds};
use elone_hal::arch::{core as cpu, timer};
use heapless::Deque;
use spin::Mutex;

use crate::attention::{Attention, ConsoleEnd, Heard, PATIENCE};
use crate::power::Asked;
use crate::{console, interrupts, power};

/// How many bytes are kept for the application.
const KEPT: usize = 256;
/// How many the handler takes at a time: a console that never ends must not be all there is.
const MOST: usize = 4096;

/// From one look at a console that does not interrupt to the next: nobody who types notices.
const OFTEN: u64 = 100_000_000;

/// Never waited for by the handler.
static INPUT: Mutex<Input> = Mutex::new(Input {
    attention: Attention::new(ConsoleEnd::Off, 0),
    kept: Deque::new(),
    is_read: false,
});
/// The handler could not take what there was: whoever kept it from that does so, or the next one who
/// waits.
static MISSED: AtomicBool = AtomicBool::new(false);
/// Somebody listens: the kernel, or an application that has read once.
static HAS_LISTENER: AtomicBool = AtomicBool::new(false);

struct Input {
    attention: Attention,
    kept: Deque<u8, KEPT>,
    /// Whether the application reads.
    is_read: bool,
}

/// Why nothing more is taken off the device.
enum Served {
    /// It has no more, and interrupts when it has.
    All,
    /// There is no room.
    Full,
    /// That was enough for once.
    Enough,
}

/// From here on the machine can be asked to end, in the ways that `by` says.
pub(crate) fn open(by: ConsoleEnd) {
    // Where nothing can come that is the kernel's, nobody listens before the application does.
    if by == ConsoleEnd::ControlD || (by == ConsoleEnd::Break && console::has_breaks()) {
        let patience = PATIENCE.saturating_mul(cpu::counter_frequency());
        INPUT.lock().attention = Attention::new(by, patience);
        HAS_LISTENER.store(true, Ordering::Relaxed);
        attend(&mut []);
    }
}

/// Takes what was typed; asks for an interrupt when there is more.
pub(crate) fn read(bytes: &mut [u8]) -> usize {
    INPUT.lock().is_read = true;
    HAS_LISTENER.store(true, Ordering::Relaxed);
    attend(bytes)
}

/// For whoever is about to wait: takes what the handler could not, or is not told of.
pub(crate) fn catch_up() {
    if MISSED.load(Ordering::Relaxed) || has_to_be_asked() {
        attend(&mut []);
    }
}

/// When to look whether something was typed, where nothing tells.
pub(crate) fn look_due(now: Nanoseconds) -> Option<Nanoseconds> {
    has_to_be_asked().then(|| Nanoseconds(now.0.saturating_add(OFTEN)))
}

fn has_to_be_asked() -> bool {
    console::is_silent() && HAS_LISTENER.load(Ordering::Relaxed)
}

/// The device was busy: there may be something that nobody could take.
pub(crate) fn miss() {
    MISSED.store(true, Ordering::Relaxed);
}

/// For the interrupt handler: something arrived. Returns what the application is told.
pub(crate) fn received() -> Events {
    let Some(mut input) = INPUT.try_lock() else {
        console::hold_back();
        miss();
        return Events::NONE;
    };
    match input.serve() {
        Served::All | Served::Full => input.events(),
        // Whoever waits is woken, and takes the rest when it waits again.
        Served::Enough => {
            miss();
            Events::CONSOLE
        }
    }
}

/// Takes what there is off the device, and what was kept into `bytes`; returns how much that was.
fn attend(bytes: &mut [u8]) -> usize {
    let mut length = 0;
    loop {
        MISSED.store(false, Ordering::Relaxed);
        let mut input = INPUT.lock();
        let served = input.serve();
        let taken = input.take(bytes.get_mut(length..).unwrap_or_default());
        length += taken;
        interrupts::remind(input.events());
        drop(input);
        match served {
            Served::Full if taken > 0 => {}
            Served::Full | Served::All if !MISSED.load(Ordering::Relaxed) => return length,
            Served::Full | Served::All => {}
            Served::Enough => {
                miss();
                interrupts::remind(Events::CONSOLE);
                return length;
            }
        }
    }
}

impl Input {
    /// Takes what there is off the device, and has it interrupt when there is more.
    fn serve(&mut self) -> Served {
        for _ in 0..MOST {
            if self.kept.is_full() {
                console::hold_back();
                return Served::Full;
            }
            let Some(received) = console::receive().or_else(console::listen) else {
                return Served::All;
            };
            match self.attention.hear(received, timer::ticks()) {
                Heard::End => power::ask_to_end(Asked::Console),
                // There is room, as was just seen.
                Heard::Typed(byte) if self.is_read => drop(self.kept.push_back(byte)),
                Heard::Typed(_) | Heard::Nothing => {}
            }
        }
        console::hold_back();
        Served::Enough
    }

    /// What was kept, as much as fits; returns how much that was.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        let kept = core::iter::from_fn(|| self.kept.pop_front());
        bytes.iter_mut().zip(kept).map(|(place, byte)| *place = byte).count()
    }

    /// What the application is to be told of: what it leaves, too.
    fn events(&self) -> Events {
        if self.kept.is_empty() { Events::NONE } else { Events::CONSOLE }
    }
}
