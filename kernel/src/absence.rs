//! What the machine was not there for: that it was paused, or saved and restored.
//!
//! Nobody tells a machine that it stands still. When it goes on, the date has gone on without it; and
//! if it was restored from a snapshot it may not be the only one that was: two copies know the same
//! secrets, and would draw the same numbers from now on. A monitor says so by the virtual machine's
//! generation (vmgenid) or its clock's marks (vmclock), in memory, with an interrupt besides: then
//! the kernel's generator is renewed *before* it gives out anything else, and the application is told.
//!
//! Where there is neither, a restore cannot be told from a pause. Then every jump of the wall clock
//! counts as one, and what is restored within two seconds is not noticed at all.
//!
//! What is in memory is looked at before each output of the generator, and whenever the application
//! comes to wait or has waited: what it draws by keys of its own it draws by new ones. The clock is
//! looked at once a second at most, then or when it asks for the date, and where it has to serve for
//! the generator, before an output, at most once a millisecond. An idle machine is not woken for it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use elone_gate::{Events, Nanoseconds};
use elone_hal::generation::Generation;
use elone_hal::rtc::{Marks, VmClock};
use spin::Mutex;

use crate::clock::Clock;
use crate::dates;
use crate::interrupts::Source;
use crate::machine::{Interrupt, Machine};
use crate::memory::Memory;
use crate::sources::Entropy;

/// How often the clock is looked at, at most.
const OFTEN: Nanoseconds = Nanoseconds(1_000_000_000);
/// And where nothing else tells of a restore, before an output.
const VERY_OFTEN: Nanoseconds = Nanoseconds(1_000_000);

static SIGNS: Mutex<Signs> = Mutex::new(Signs { generation: None, vmclock: None });
/// When to look next because of the time, in nanoseconds since the start.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// The machine may have been restored, and the application was not told yet.
static UNTOLD: AtomicBool = AtomicBool::new(false);

/// What says that the machine was restored, and what each was the last time.
struct Signs {
    generation: Option<(Generation, [u64; 2])>,
    vmclock: Option<(VmClock, Marks)>,
}

/// Why one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A notification came.
    Notified,
    /// The application waits, or asks for the date.
    Passing,
    /// The generator is about to give something out.
    Output,
}

/// Notes what the machine's signs are now; returns the lines by which changes are told.
pub(crate) fn watch(
    machine: &Machine,
    memory: &mut Memory,
) -> impl Iterator<Item = (Interrupt, Source)> + use<> {
    let mut signs = SIGNS.lock();
    let generation = machine.generation.and_then(|board| {
        let observed = memory.observed(board.memory);
        Generation::new(observed.inspect_err(|error| log::warn!("vmgenid: {error}")).ok()?)
    });
    signs.generation = generation.map(|generation| (generation, generation.now()));
    let vmclock = dates::known_vmclock();
    signs.vmclock = vmclock.map(|clock| (clock, clock.marks()));

    let of_generation = machine.generation.filter(|_| generation.is_some());
    let of_clock = machine.vmclock.filter(|_| vmclock.is_some());
    let boards = [of_generation, of_clock].into_iter().flatten();
    boards.filter_map(|board| Some((board.interrupt?, Source::Notice)))
}

/// What `happened`, when the application comes to wait at `now` or has waited: a notification is
/// [`Events::RESTORED`] only if it was one.
#[inline]
pub(crate) fn sift(
    happened: Events,
    now: Nanoseconds,
    clock: &Clock,
    entropy: &Mutex<Entropy>,
) -> Events {
    let is_notified = happened.contains(Events::RESTORED);
    let mark = SIGNS.lock().compare();
    let is_due = is_notified || mark == Some(Mark::Other);
    if !is_due && now.0 < NEXT.load(Ordering::Relaxed) {
        return happened;
    }
    NEXT.store(now.0.saturating_add(OFTEN.0), Ordering::Relaxed);
    let occasion = if is_notified { Occasion::Notified } else { Occasion::Passing };
    answer(occasion, mark, clock, entropy);
    let others = Events(happened.0 & !Events::RESTORED.0);
    if UNTOLD.swap(false, Ordering::Relaxed) { others.with(Events::RESTORED) } else { others }
}

/// Looks whether the machine has been away. If it may have been restored the generator is renewed
/// when this returns. Returns whether there is something to tell the application.
pub(crate) fn look(occasion: Occasion, clock: &Clock, entropy: &Mutex<Entropy>) -> bool {
    let mark = SIGNS.lock().compare();
    answer(occasion, mark, clock, entropy)
}

/// Does what follows from what the signs say.
fn answer(occasion: Occasion, mark: Option<Mark>, clock: &Clock, entropy: &Mutex<Entropy>) -> bool {
    let age = match (occasion, mark) {
        (Occasion::Notified, _) | (_, Some(Mark::Other)) => Nanoseconds(0),
        (Occasion::Output, None) => VERY_OFTEN,
        (Occasion::Passing | Occasion::Output, _) => OFTEN,
    };
    let jump = if clock.is_older_than(age) { clock.look() } else { None };
    if let Some(jump) = jump {
        log::info!("{jump}");
    }
    match (mark, jump) {
        (Some(Mark::Other), _) => {
            log::info!("restored from a snapshot, or moved: entropy is renewed")
        }
        (None, Some(_)) => log::info!("perhaps restored from a snapshot: entropy is renewed"),
        _ => return UNTOLD.load(Ordering::Relaxed),
    }
    let generation = SIGNS.lock().generation.map_or([0; 2], |(_, now)| now);
    let mut entropy = entropy.lock();
    entropy.begin_again(generation, clock);
    UNTOLD.store(true, Ordering::Relaxed);
    true
}

/// Nobody is left to be told.
#[cfg(elone_contained)]
pub(crate) fn forget() {
    UNTOLD.store(false, Ordering::Relaxed);
}

/// What the signs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Same,
    Other,
}

impl Signs {
    /// Compares the signs with what they were, and notes what they are now; `None` if nothing is
    /// another that promises to be after a restore.
    fn compare(&mut self) -> Option<Mark> {
        let mut mark = None;
        let mut note = |is_other: bool, is_promised: bool| match (is_other, mark) {
            (true, _) => mark = Some(Mark::Other),
            (false, None) if is_promised => mark = Some(Mark::Same),
            (false, _) => {}
        };
        if let Some((generation, last)) = &mut self.generation {
            let now = generation.now();
            note(core::mem::replace(last, now) != now, Generation::is_one(now));
        }
        if let Some((clock, last)) = &mut self.vmclock {
            let now = clock.marks();
            note(core::mem::replace(last, now) != now, clock.tells_of_restores());
        }
        mark
    }
}
