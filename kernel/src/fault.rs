//! Faults, panics and hangs: reported in full, remembered, and answered.
//!
//! Nothing here trusts what the rest of the kernel holds at the time: no lock is waited for, no
//! memory is allocated. A report is written down once, in memory that is set aside for it; from
//! there it goes to the black box first, since no device takes part in that, then to the console,
//! and to the black box's disk last.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, Ordering};

use elone_hal::arch::backtrace::Backtrace;
use elone_hal::arch::exception::{Frame, Kind, Origin, Vector};
use elone_hal::arch::{core as cpu, entry, stacks};
use heapless::Vec;
use spin::Mutex;

use crate::policy::{Answer, Culprit};
use crate::report::{self, Report, Text, Words};
use crate::trap::Trap;
use crate::{blackbox, console, power};

#[cfg(elone_contained)]
mod application;
#[cfg(elone_contained)]
pub(crate) use application::{ApplicationFault, Cause, application};

/// Whose code runs at EL1.
const PROGRAM: &str = if cfg!(elone_contained) { "kernel" } else { "image" };
/// How many return addresses are reported.
const FRAMES: usize = 32;

/// How many reports were begun: a fault in a report must not begin another one without end.
static REPORTS: AtomicU8 = AtomicU8::new(0);
/// What is to follow the fault that is being reported, once that is decided.
static DECIDED: Mutex<Option<Answer>> = Mutex::new(None);
/// The latest report, and room for one about a fault in the making of that.
static TEXTS: [Mutex<Text>; 2] = [const { Mutex::new(Text::new()) }; 2];
/// What the application said last.
static SAID: Mutex<Words> = Mutex::new(Words::new());

/// Keeps the application's last words for its report.
pub(crate) fn said(words: &str) {
    if let Some(mut said) = SAID.try_lock() {
        said.replace(words);
    }
}

/// Has `tell` tell of the latest report since the boot.
pub(crate) fn with_latest<T>(tell: impl FnOnce(Option<&str>) -> T) -> T {
    let [first, _] = &TEXTS;
    let text = first.try_lock();
    tell(text.as_ref().map(|text| text.whole()).filter(|report| !report.is_empty()))
}

/// Reports an exception that nobody serves, and ends or restarts the machine.
pub(crate) fn exception(frame: &Frame, vector: Vector) -> ! {
    let meanwhile = begin();
    let cause = match vector.kind {
        Kind::Synchronous => {
            report::Cause::of(Trap::decode(frame.esr, frame.far), stacks::stack_guard_at)
        }
        Kind::SError => report::Cause::Late,
        Kind::Irq | Kind::Fiq => report::Cause::Uninvited,
    };
    let handling =
        (vector.origin == Origin::Handler).then_some("while another exception was being handled");
    interrupted(frame, cause, meanwhile.or(handling))
}

/// Reports that the application, linked with the kernel, hangs where `frame` says.
pub(crate) fn hang(frame: &Frame) -> ! {
    let meanwhile = begin();
    interrupted(frame, report::Cause::Hang, meanwhile)
}

/// Reports a fault of whoever ran at EL1 when an exception came.
fn interrupted(frame: &Frame, cause: report::Cause, besides: Option<&str>) -> ! {
    let said = SAID.try_lock();
    end(&Report {
        cause,
        syndrome: (frame.esr, frame.far),
        elr: frame.elr,
        spsr: frame.spsr,
        level: level(frame.spsr),
        besides,
        said: said.as_ref().map_or("", |said| said.as_str()),
        registers: Some((&frame.x, frame.sp)),
        program: PROGRAM,
        build: entry::build_id(),
        base: entry::image_base() as u64,
        backtrace: &trace(Some(frame.elr), Backtrace::from(frame.x[29])),
    })
}

/// Reports a panic of the kernel, or of an application that is linked with it.
pub(crate) fn panic(info: &PanicInfo<'_>) -> ! {
    let besides = begin();
    let mut words = Words::new();
    let _what_is_over_is_cut = match info.location() {
        Some(place) => write!(words, "panicked at {place}: {}", info.message()),
        None => write!(words, "panicked: {}", info.message()),
    };
    found(report::Cause::Panic, words.as_str(), besides)
}

/// Reports that memory is not what it was at boot: what it is, and the page that is another. A kernel
/// that may be somebody else's is not asked to go on.
pub(crate) fn altered(what: &'static str, page: u64) -> ! {
    let besides = begin();
    found(report::Cause::Altered(what, page), "", besides)
}

/// Reports what the kernel itself has found, here and now.
fn found(cause: report::Cause, said: &str, besides: Option<&str>) -> ! {
    let trace = trace(None, Backtrace::here());
    end(&Report {
        cause,
        syndrome: (0, 0),
        elr: trace.first().copied().unwrap_or(0),
        spsr: 0,
        level: cpu::level(),
        besides,
        said,
        registers: None,
        program: PROGRAM,
        build: entry::build_id(),
        base: entry::image_base() as u64,
        backtrace: &trace,
    })
}

/// Nothing more is taken in. Returns what is going on besides, if that is another report. A third
/// one, begun while the second was being made, is not: the machine ends, and if even that faults,
/// stays where it is.
fn begin() -> Option<&'static str> {
    cpu::mask_interrupts();
    match REPORTS.fetch_add(1, Ordering::Relaxed) {
        0 => None,
        1 => Some("while another fault was being reported"),
        2 => power::end_in_silence(),
        _ => cpu::halt(),
    }
}

/// The exception level in a saved processor state (Arm ARM, section C5.2.19).
#[expect(clippy::cast_possible_truncation, reason = "a field of two bits")]
const fn level(spsr: u64) -> u8 {
    (spsr >> 2) as u8 & 0b11
}

/// Addresses to symbolise with the program's ELF file, which the build id names.
fn trace(first: Option<u64>, rest: Backtrace) -> Vec<u64, FRAMES> {
    first.into_iter().chain(rest).take(FRAMES).collect()
}

/// Tells of a fault of the machine, and does what follows it.
fn end(report: &Report<'_>) -> ! {
    power::follow(tell(report, Culprit::Machine))
}

/// Writes a report down, has it remembered and answered, and shows it; returns the answer.
fn tell(report: &Report<'_>, culprit: Culprit) -> Answer {
    let Some(mut text) = TEXTS.iter().find_map(Mutex::try_lock) else { power::end_in_silence() };
    console::with_tail(|tail| text.compose(report, tail));
    let answer = decide(text.whole(), culprit);
    console::show(b"\n");
    for piece in text.for_console() {
        console::show(piece.as_bytes());
    }
    answer
}

/// What follows a fault. One in the report of another is not another: the first is remembered, and
/// answered, but never by going on with a kernel that cannot make a report.
fn decide(report: &str, culprit: Culprit) -> Answer {
    let Some(mut decided) = DECIDED.try_lock() else { return Answer::Off };
    let answer = match *decided {
        Some(Answer::RestartApplication) => Answer::RestartMachine,
        Some(answer) => answer,
        None => blackbox::record(report, culprit),
    };
    *decided = Some(answer);
    answer
}
