//! The machine's end: asked for, or come to.
//!
//! Its owner asks for it, by a power button or on the console. The application is told once, and has
//! the time of the setting `shutdown=` to end by itself; the machine ends then in any case. To ask
//! again changes nothing: neither does it hurry the application, nor give it more time.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use elone_gate::Events;
use elone_hal::arch::core as cpu;
use elone_hal::arch::{power, timer};
use elone_hal::gpio::Button;
use elone_hal::pm::PowerManagement;
use spin::Once;

use crate::interrupts::Source;
use crate::machine::{Conduit, Interrupt, Machine, PowerButton};
use crate::memory::Memory;
use crate::policy::{Answer, FaultLimit};
use crate::{blackbox, console, gpio, interrupts, watchdog};

/// How PSCI is reached: 0 not at all, 1 by `hvc`, 2 by `smc`. An atomic, so that a fault at any
/// time can still power the machine off.
static CONDUIT: AtomicU8 = AtomicU8::new(0);

/// Where there is nobody below who can be asked: the machine's own block.
static POWER_MANAGEMENT: Once<PowerManagement> = Once::new();

/// What the machine ends with after a fault.
const FAULTY: u8 = 101;
/// What it ends with where the application was asked to end and did not.
const OVERDUE: u8 = 102;

/// How long the application has once it is asked to end, in seconds.
static GRACE: AtomicU32 = AtomicU32::new(0);
/// Who has asked for the end: a bit each.
static ASKED: AtomicU8 = AtomicU8::new(0);
/// Who has, and nobody was told of it yet.
static UNTOLD: AtomicU8 = AtomicU8::new(0);

/// By what the machine's owner asks for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Asked {
    /// The button that the device tree names.
    Button = 1 << 0,
    /// What is typed on the console ([`crate::attention`]).
    Console = 1 << 1,
}

impl Asked {
    const ALL: [Self; 2] = [Self::Button, Self::Console];
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Button => "power button",
            Self::Console => "console",
        })
    }
}

/// From now on an application that is asked to end has so many seconds.
pub(crate) fn grant(seconds: u32) {
    GRACE.store(seconds, Ordering::Relaxed);
}

/// The power button's line, where there is one.
pub(crate) fn button(machine: &Machine, memory: &mut Memory) -> Option<(Interrupt, Source)> {
    let PowerButton { registers, interrupt, line, pressed } = machine.power_button?;
    let window = memory.device(registers);
    let window = window.inspect_err(|error| log::warn!("power button: {error}")).ok()?;
    let found = window.attempt32(0); // lines that are masked out: read as 0, and without effect
    found
        .inspect_err(|absent| log::warn!("power button, PL061 {}: {absent}", registers.start()))
        .ok()?;
    Some((interrupt, Source::Button(Button::new(window, line, pressed)?)))
}

/// The machine's owner wants it to end. From an interrupt handler too: what there is to say is said
/// by [`announce`].
pub(crate) fn ask_to_end(by: Asked) {
    if ASKED.fetch_or(by as u8, Ordering::Relaxed) == 0 {
        watchdog::end_in(GRACE.load(Ordering::Relaxed));
        interrupts::remind(Events::SHUTDOWN);
    }
    UNTOLD.fetch_or(by as u8, Ordering::Relaxed);
}

/// Whether the machine's owner has asked for its end.
pub(crate) fn is_ending() -> bool {
    ASKED.load(Ordering::Relaxed) != 0
}

/// Says who has asked for the end, if nobody was told yet.
pub(crate) fn announce() {
    static TOLD: AtomicU8 = AtomicU8::new(0);
    if UNTOLD.load(Ordering::Relaxed) == 0 {
        return;
    }
    let untold = UNTOLD.swap(0, Ordering::Relaxed);
    for by in Asked::ALL.into_iter().filter(|by| untold & *by as u8 != 0) {
        let again = if TOLD.fetch_or(by as u8, Ordering::Relaxed) == 0 { "" } else { " again" };
        log::info!("asked to end{again}: {by}");
    }
}

/// Ends the machine of an application that was asked to end, and has not.
pub(crate) fn overdue() -> ! {
    cpu::mask_interrupts();
    announce();
    match GRACE.load(Ordering::Relaxed) {
        0 => console::print(format_args!("powering off at once\n")),
        seconds => console::print(format_args!("not ended in {seconds} s: powering off\n")),
    }
    end(OVERDUE)
}

/// From now on the machine can be powered off, if the device tree says how and somebody answers there.
/// Entered at EL2 there is nobody to answer `hvc`, entered at EL3 nobody at all: a call would end in
/// the middle of nowhere. Nor is the other way guessed, where the one that is named leads nowhere.
pub(crate) fn use_conduit(named: Option<Conduit>, entered_at: u8) {
    let (conduit, number) = match named {
        Some(Conduit::Hvc) if entered_at < 2 => (power::Conduit::Hvc, 1),
        Some(Conduit::Smc) if entered_at < 3 => (power::Conduit::Smc, 2),
        _ => return,
    };
    match power::try_out(conduit) {
        Ok(()) => CONDUIT.store(number, Ordering::Relaxed),
        Err(error) => log::warn!("psci: {conduit} {error}: this machine cannot be powered off"),
    }
}

/// From now on the machine can be powered off by its own block of power management, if it has one
/// that is known.
pub(crate) fn use_power_management(machine: &Machine, memory: &mut Memory) {
    let Some(registers) = machine.power_management else { return };
    let place = registers.start();
    match memory.device(registers).map(PowerManagement::find) {
        Ok(Ok(block)) => drop(POWER_MANAGEMENT.call_once(|| block)),
        Ok(Err(absent)) => log::warn!("power management {place}: {absent}"),
        Err(error) => log::warn!("power management {place}: {error}"),
    }
}

/// The way to whoever is below, where the device tree named one that leads there.
pub(crate) fn conduit() -> Option<power::Conduit> {
    match CONDUIT.load(Ordering::Relaxed) {
        1 => Some(power::Conduit::Hvc),
        2 => Some(power::Conduit::Smc),
        _ => None,
    }
}

/// Ends the machine. The status goes out as the console's last line, since PSCI has no place for
/// one; then the power goes off.
pub(crate) fn end(status: u8) -> ! {
    cpu::mask_interrupts();
    gpio::take_back();
    blackbox::save();
    console::print(format_args!("exit status {status}\n"));
    off()
}

/// Does what follows a fault. Where a machine cannot restart it ends instead, and says so; some
/// monitors end one that restarts, for whoever started it to start it again.
pub(crate) fn follow(answer: Answer) -> ! {
    cpu::mask_interrupts();
    gpio::take_back(); // a restart, too, leaves lines as they are
    let answer = if is_ending() { answer.in_the_end() } else { answer };
    match answer {
        Answer::End => {
            announce();
            console::print(format_args!("asked to end: not started again\n"));
        }
        Answer::RestartApplication | Answer::RestartMachine => {
            console::print(format_args!("restarting the machine\n"));
            blackbox::save();
            reset();
            console::print(format_args!("this machine cannot be restarted\n"));
        }
        Answer::Quarantine(FaultLimit { faults, seconds }) => {
            let plural = if faults == 1 { "" } else { "s" };
            console::print(format_args!(
                "{faults} fault{plural} in {seconds} s: not started again\n"
            ));
        }
        Answer::Halt => {
            blackbox::save();
            console::print(format_args!("exit status {FAULTY}\n"));
            cpu::halt()
        }
        Answer::Off => {}
    }
    end(FAULTY)
}

/// Ends the machine without a word more: for a report that cannot be made.
pub(crate) fn end_in_silence() -> ! {
    gpio::take_back();
    switch_off();
    cpu::halt()
}

/// Where the power cannot be switched off, the core sleeps for good.
fn off() -> ! {
    switch_off();
    console::print(format_args!("this machine cannot be powered off: halted\n"));
    cpu::halt()
}

/// Powers the machine off by whatever can. Returns only where nothing could.
fn switch_off() {
    if let Some(conduit) = conduit() {
        power::off(conduit);
    }
    if let Some(block) = POWER_MANAGEMENT.get() {
        block.off();
        wait();
    }
}

/// Restarts the machine, in the same way.
fn reset() {
    if let Some(conduit) = conduit() {
        power::reset(conduit);
    }
    if let Some(block) = POWER_MANAGEMENT.get() {
        block.restart();
        wait();
    }
}

/// What a block is told takes effect in a moment: much less than this second.
fn wait() {
    let end = timer::ticks().saturating_add(cpu::counter_frequency());
    while timer::ticks() < end {
        core::hint::spin_loop();
    }
}
