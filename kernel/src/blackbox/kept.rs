//! The black box on the machine: in memory, and what is told of it.

use elone_gate::Past;
use elone_hal::address::PAGE;
use elone_hal::arch::retained::Retained;
use heapless::String;
use spin::{Mutex, Once};

use super::disk;
use super::record::{self, Account, RECORD};
use crate::clock::Clock;
use crate::fault;
use crate::policy::{Answer, Culprit, Moment, Policy};
use crate::power;
use crate::report::TEXT;

/// How much memory it takes, in bytes.
pub(crate) const PAGES: usize = 2 * PAGE;
const _: () = assert!(RECORD <= PAGES);

/// Never waited for in a fault: what is held then was being changed by what faulted.
static STATE: Mutex<State> = Mutex::new(State {
    account: Account::NEW,
    policy: Policy::OFF,
    clock: None,
    memory: None,
    unsaved: false,
});

/// The latest report of earlier boots.
static BEFORE: Once<String<TEXT>> = Once::new();

struct State {
    account: Account,
    policy: Policy,
    clock: Option<Clock>,
    memory: Option<Retained>,
    /// Whether there were faults that the disk does not know of.
    unsaved: bool,
}

/// Reads what earlier boots have left, says so, and writes down that there is one boot more. From
/// here on faults are answered as `policy` says.
pub(crate) fn open(memory: Option<Retained>, clock: Clock, policy: Policy) {
    let mut state = STATE.lock();
    let state = &mut *state;
    (state.clock, state.policy) = (Some(clock), policy);
    state.memory = memory;
    let mut before = String::<TEXT>::new();
    if let Some(memory) = &mut state.memory {
        if record::decode(memory.bytes()).is_none() {
            disk::read(memory.bytes());
        }
        if let Some((account, report)) = record::decode(memory.bytes()) {
            state.account = account;
            let _it_fits = before.push_str(report);
        }
    } else {
        log::warn!("black box: there is no memory for it");
    }
    state.account.boots = state.account.boots.saturating_add(1);
    let before = BEFORE.call_once(|| before);
    state.write(before);
    if let Some(line) = before.lines().next() {
        let Account { faults, restarts, .. } = state.account;
        log::warn!("black box: fault {faults} of this machine, restart {restarts}: {line}");
    }
}

/// Counts a fault, decides what follows it, and writes both down with its report.
pub(crate) fn record(report: &str, culprit: Culprit) -> Answer {
    let Some(mut state) = STATE.try_lock() else { return Answer::Off };
    let moment = state.now();
    let account = &mut state.account;
    account.faults = account.faults.saturating_add(1);
    account.history.push(moment);
    let answer = state.policy.answer(&state.account.history, culprit);
    let answer = if power::is_ending() { answer.in_the_end() } else { answer };
    if matches!(answer, Answer::RestartApplication | Answer::RestartMachine) {
        state.account.restarts = state.account.restarts.saturating_add(1);
    }
    state.unsaved = true;
    state.write(report);
    answer
}

/// Copies memory to the disk that was set aside for it, if there is one and there is news.
pub(crate) fn save() {
    let Some(mut state) = STATE.try_lock() else { return };
    if core::mem::take(&mut state.unsaved)
        && let Some(memory) = &mut state.memory
    {
        disk::write(memory.bytes());
    }
}

/// What became of earlier boots.
pub(crate) fn past() -> Past {
    with_past(|restarts, faults, _| {
        let report = BEFORE.get().map_or("", |report| report.as_str());
        Past { restarts, faults, report }
    })
}

/// Has `tell` tell of restarts, faults and the latest report, of this boot too.
pub(crate) fn with_past<T>(tell: impl FnOnce(u32, u32, &str) -> T) -> T {
    let (restarts, faults) =
        STATE.try_lock().map_or((0, 0), |state| (state.account.restarts, state.account.faults));
    fault::with_latest(|latest| {
        let before = BEFORE.get().map_or("", |report| report.as_str());
        tell(restarts, faults, latest.unwrap_or(before))
    })
}

impl State {
    fn now(&self) -> Moment {
        let milliseconds = |nanoseconds: u64| nanoseconds / 1_000_000;
        let Account { boots: boot, .. } = self.account;
        let Some(clock) = &self.clock else { return Moment { boot, ..Moment::default() } };
        let date = clock.date().ok().map(|date| milliseconds(date.0));
        Moment { boot, uptime: milliseconds(clock.now().0), date }
    }

    /// Writes memory, past all caches.
    fn write(&mut self, report: &str) {
        if let Some(memory) = &mut self.memory {
            // There is room for the longest report.
            let _length = record::encode(&self.account, report, memory.bytes());
            memory.keep();
        }
    }
}
