//! The console: where the log goes, and what is typed comes from.
//!
//! Whatever the device tree names serves: a PL011, a 16550, or else Xen's console, or else a virtio
//! console. Which of several UARTs it is, [`crate::machine`] says; one that is not there is named, and
//! the next one in the tree's order serves. Before the tree is read, the board's early UART does, and it
//! is looked at, and written to, only if there is something to complain of: on another machine nothing
//! may be there. It goes on serving where the tree's own console is of an unknown kind.
//! On a machine with none of them everything is dropped, and all else works.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use elone_boards::{Early, EarlyUart, UartModel as Told};
use elone_hal::address::PhysicalRange;
use elone_hal::arch::tables::MapError;
use elone_hal::attempt::Absent;
use elone_hal::mmio::Window;
use elone_hal::uart::{Bcm2835Aux, Cadence, Ns16550, Pl011, Received, RegisterWidth, Uart};
use elone_hal::virtio::InterruptPort;
use elone_hal::virtio::console::Console as Virtio;
use elone_hal::xen::{Console as Hypercalls, Xen};
use heapless::String;
use spin::{Mutex, MutexGuard, Once};

use crate::hypervisor;
use crate::input;
use crate::interrupts::Source;
use crate::machine::{Interrupt, Machine, UartModel};
use crate::memory::Memory;
use crate::tail::Tail;

/// What is mapped of an early UART: no kind has more registers.
const EARLY_LENGTH: u64 = 0x1000;

/// Until the tree is read: the board's guess, and its registers, untouched.
static EARLY: Once<(EarlyUart, Window)> = Once::new();
/// What the device tree names.
static SERIAL: Once<Uart> = Once::new();
/// Its line.
static SERIAL_LINE: Once<Interrupt> = Once::new();
/// Where no UART is, or it is asked for: Xen's.
static XEN: Once<Hypercalls> = Once::new();
/// Where no UART is: the first virtio console.
static VIRTIO: Mutex<Option<Virtio>> = Mutex::new(None);
/// Its line, and what acknowledges it.
static VIRTIO_LINE: Once<(Interrupt, InterruptPort)> = Once::new();
/// What was said before there was anything to say it with. What does not fit is lost.
static BACKLOG: Mutex<String<1024>> = Mutex::new(String::new());
/// The tree has been read: the board's guess is not written to any more.
static DECIDED: AtomicBool = AtomicBool::new(false);

/// From here on complaints can be read, on the machine that the image was made for.
pub(crate) fn early(board: &Early, memory: &mut Memory) {
    if let Some(uart) = board.uart
        && let Some(registers) = PhysicalRange::new(uart.address, EARLY_LENGTH)
        && let Ok(window) = memory.early_device(registers)
    {
        EARLY.call_once(|| (uart, window));
    }
    crate::log::open();
}

/// From here on the log goes where the device tree says, or to the first UART of it that is there.
pub(crate) fn open(machine: &Machine, memory: &mut Memory) {
    DECIDED.store(true, Ordering::Relaxed);
    let xen = hypervisor::look_for_xen(machine, memory.entered_at());
    if machine.names_hypervisor_console && open_xen(xen) {
        return;
    }
    let others = machine.uarts.iter().filter(|uart| machine.console != Some(**uart));
    for uart in machine.console.iter().chain(others) {
        let place = format_args!("{} {}", uart.model, uart.registers.start());
        // Memory is mapped later, and must not find that it has a name already.
        if machine.is_ram(&uart.registers) {
            log::warn!("{place}: {}", MapError::InMemory);
            continue;
        }
        if uart.model == UartModel::Bcm2835Aux {
            power_up_aux(machine, memory);
        }
        match memory.device(uart.registers) {
            Err(error) => log::warn!("{place}: {error}"),
            Ok(window) => match find(uart.model, window) {
                Err(absent) => log::warn!("{place}: {absent}"),
                Ok(serial) => {
                    SERIAL.call_once(|| serial);
                    if let Some(interrupt) = uart.interrupt {
                        SERIAL_LINE.call_once(|| interrupt);
                    }
                    show(core::mem::take(&mut *BACKLOG.lock()).as_bytes());
                    if machine.console != Some(*uart) {
                        log::warn!("{place}: is the console instead");
                    }
                    return;
                }
            },
        }
    }
    if !open_xen(xen) && !machine.unknown_console.is_empty() {
        keep_early(&machine.unknown_console);
    }
}

/// The board's guess goes on serving, if it is there: what the tree has for a console is of a kind that
/// nobody here knows. Without an interrupt it is written to alone.
fn keep_early(unknown: &str) {
    DECIDED.store(false, Ordering::Relaxed);
    let Some(uart) = early_uart() else { return DECIDED.store(true, Ordering::Relaxed) };
    SERIAL.call_once(|| uart);
    show(core::mem::take(&mut *BACKLOG.lock()).as_bytes());
    log::warn!("console: `{unknown}` is not known; the early UART of the image's board serves");
}

/// Has the board's guess say what nobody else can: the boot has come to its end without a console.
pub(crate) fn fall_back() {
    let is_heard = SERIAL.get().is_some() || XEN.get().is_some();
    if is_heard || VIRTIO.try_lock().is_none_or(|virtio| virtio.is_some()) {
        return;
    }
    DECIDED.store(false, Ordering::Relaxed);
    show(core::mem::take(&mut *BACKLOG.lock()).as_bytes());
}

/// From here on the log goes to Xen, where it takes it; whether it does. What is typed has to be asked
/// for: see [`is_silent`].
fn open_xen(xen: Option<Xen>) -> bool {
    let Some(xen) = xen else { return false };
    match xen.console() {
        Ok(console) => {
            XEN.call_once(|| console);
            show(core::mem::take(&mut *BACKLOG.lock()).as_bytes());
            true
        }
        Err(error) => {
            log::warn!("Xen's console: {error}");
            false
        }
    }
}

/// Whether nothing interrupts when something is typed, so that it has to be looked.
pub(crate) fn is_silent() -> bool {
    XEN.get().is_some()
}

/// Has the block that the mini UART is a part of let it answer.
fn power_up_aux(machine: &Machine, memory: &mut Memory) {
    let Some(block) = machine.aux else { return };
    match memory.device(block).map(Bcm2835Aux::power_up) {
        Ok(Ok(())) => {}
        Ok(Err(absent)) => log::warn!("aux {}: {absent}", block.start()),
        Err(error) => log::warn!("aux {}: {error}", block.start()),
    }
}

/// Takes a UART over, if it is there.
fn find(model: UartModel, window: Window) -> Result<Uart, Absent> {
    match model {
        UartModel::Pl011 => Pl011::find(window).map(Uart::Pl011),
        UartModel::Sbsa => Pl011::find_generic(window).map(Uart::Pl011),
        UartModel::Bcm2835Aux => Bcm2835Aux::find(window).map(Uart::Bcm2835Aux),
        UartModel::Cadence => Cadence::find(window).map(Uart::Cadence),
        UartModel::Ns16550 { register_shift, access_width } => {
            let width =
                if access_width == 4 { RegisterWidth::Bits32 } else { RegisterWidth::Bits8 };
            Ns16550::find(window, register_shift.into(), width).map(Uart::Ns16550)
        }
    }
}

/// Takes a virtio console, which serves where there is no UART, and says what could not be said.
/// Returns whether it was wanted.
pub(crate) fn offer(mut console: Virtio, interrupt: Option<Interrupt>) -> bool {
    let mut virtio = VIRTIO.lock();
    if virtio.is_none() && SERIAL.get().is_none() && XEN.get().is_none() {
        let _dropped = console.write(BACKLOG.lock().as_bytes(), patience());
        if let Some(interrupt) = interrupt {
            VIRTIO_LINE.call_once(|| (interrupt, console.interrupt_port()));
        }
        *virtio = Some(console);
        return true;
    }
    false
}

/// The line on which the console's receiver interrupts, if it has one.
pub(crate) fn line() -> Option<(Interrupt, Source)> {
    if SERIAL.get().is_some() {
        return Some((*SERIAL_LINE.get()?, Source::Console(None)));
    }
    VIRTIO_LINE.get().map(|(interrupt, port)| (*interrupt, Source::Console(Some(*port))))
}

/// How much of what was written is kept for reports, in bytes.
const TAIL_LENGTH: usize = 1536;

/// The end of all that was written. Never waited for: what comes while it is held is not kept.
static TAIL: Mutex<Tail<TAIL_LENGTH>> = Mutex::new(Tail::new());

/// Has `tell` tell of the end of what was written: of nothing, where a fault came just in the midst
/// of keeping it.
pub(crate) fn with_tail(tell: impl FnOnce(&[u8])) {
    match TAIL.try_lock() {
        Some(mut tail) => tell(tail.in_order()),
        None => tell(&[]),
    }
}

/// Writes a piece of text, from anywhere, in a fault too: no lock is waited for.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let _never_fails = Out.write_fmt(text);
}

/// Writes bytes as they are, but for line ends, which terminals want with a carriage return.
pub(crate) fn write(bytes: &[u8]) {
    if let Some(mut tail) = TAIL.try_lock() {
        tail.push(bytes);
    }
    show(bytes);
}

/// Writes bytes that are not kept for reports: those of reports.
pub(crate) fn show(bytes: &[u8]) {
    if let Some(uart) = SERIAL.get().copied().or_else(early_uart) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => uart.write(text) + uart.write(b"\r\n"),
                None => uart.write(line),
            };
        }
    } else if let Some(xen) = XEN.get() {
        xen.write(bytes);
    } else if let Some(mut virtio) = VIRTIO.try_lock() {
        match (virtio.as_mut(), BACKLOG.try_lock(), core::str::from_utf8(bytes)) {
            (Some(virtio), _, _) => drop(virtio.write(bytes, patience())),
            (None, Some(mut backlog), Ok(text)) => drop(backlog.push_str(text)),
            _ => {}
        }
    }
}

/// Takes the next thing that arrived.
pub(crate) fn receive() -> Option<Received> {
    if let Some(uart) = SERIAL.get() {
        return uart.receive();
    }
    if let Some(xen) = XEN.get() {
        return xen.read().map(Received::Byte);
    }
    let mut byte = [0];
    match virtio()?.as_mut()?.read(&mut byte) {
        Ok(1) => Some(Received::Byte(byte[0])),
        _ => None,
    }
}

/// The virtio console; `None` where an interrupt has come just while it was written to.
fn virtio() -> Option<MutexGuard<'static, Option<Virtio>>> {
    let virtio = VIRTIO.try_lock();
    if virtio.is_none() {
        input::miss();
    }
    virtio
}

/// Asks for an interrupt when something arrives; takes what arrived just before that, for which
/// there may be none.
pub(crate) fn listen() -> Option<Received> {
    match SERIAL.get() {
        Some(uart) => uart.enable_receive_interrupt(),
        None if is_silent() => {}
        None if virtio()?.as_mut()?.arm() => {}
        None => return None,
    }
    receive()
}

/// No more interrupts until [`listen`]. What arrived stays where it is: nothing is acknowledged.
pub(crate) fn hold_back() {
    if let Some(uart) = SERIAL.get() {
        uart.disable_interrupts();
    }
}

/// Whether there is a wire, which can be broken.
pub(crate) fn has_breaks() -> bool {
    SERIAL.get().is_some_and(|uart| uart.has_breaks())
}

/// The board's guess, for as long as nobody knows better.
fn early_uart() -> Option<Uart> {
    let (guess, window) = EARLY.get().filter(|_| !DECIDED.load(Ordering::Relaxed))?;
    let model = match guess.model {
        // It says what it is, so that whatever is there instead is not taken for one.
        Told::Pl011 => return Pl011::guess(*window).map(Uart::Pl011).ok(),
        Told::Sbsa => UartModel::Sbsa,
        Told::Ns16550 { register_shift, access_width } => {
            UartModel::Ns16550 { register_shift, access_width }
        }
        Told::Bcm2835Aux => UartModel::Bcm2835Aux,
        Told::Cadence => UartModel::Cadence,
    };
    find(model, *window).ok()
}

/// How long to wait for room in a virtio console: looks at memory, some milliseconds of them.
fn patience() -> impl FnMut() -> bool {
    let mut looks = 0_u32;
    move || {
        looks += 1;
        looks < 1 << 20
    }
}

struct Out;

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}
