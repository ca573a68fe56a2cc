//! The console: where the log goes, and what is typed comes from.
//!
//! Whatever the device tree names serves: a PL011, a 16550, or else a virtio console. Which of
//! several UARTs it is, [`crate::machine`] says; one that is not there is named, and the next one in
//! the tree's order serves. Before the tree is read, the board's early UART does, and it is looked at,
//! and written to, only if there is something to complain of: on another machine nothing may be there.
//! On a machine with none of them everything is dropped, and all else works.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use elone_boards::Early;
use elone_hal::address::PhysicalRange;
use elone_hal::arch::tables::MapError;
use elone_hal::attempt::Absent;
use elone_hal::mmio::Window;
use elone_hal::uart::{Ns16550, Pl011, Received, RegisterWidth, Uart};
use elone_hal::virtio::InterruptPort;
use elone_hal::virtio::console::Console as Virtio;
use heapless::String;
use spin::{Mutex, MutexGuard, Once};

use crate::input;
use crate::interrupts::Source;
use crate::machine::{Interrupt, Machine, UartModel};
use crate::memory::Memory;
use crate::tail::Tail;

/// The registers of a PL011 (PrimeCell UART TRM, section 3.1).
const PL011_LENGTH: u64 = 0x1000;

/// Until the tree is read: the registers of the board's guess, untouched.
static EARLY: Once<Window> = Once::new();
/// What the device tree names.
static SERIAL: Once<Uart> = Once::new();
/// Its line.
static SERIAL_LINE: Once<Interrupt> = Once::new();
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
    let registers = PhysicalRange::new(board.uart, PL011_LENGTH);
    if let Some(Ok(window)) = registers.map(|registers| memory.early_device(registers)) {
        EARLY.call_once(|| window);
    }
    crate::log::open();
}

/// From here on the log goes where the device tree says, or to the first UART of it that is there.
pub(crate) fn open(machine: &Machine, memory: &mut Memory) {
    DECIDED.store(true, Ordering::Relaxed);
    let others = machine.uarts.iter().filter(|uart| machine.console != Some(**uart));
    for uart in machine.console.iter().chain(others) {
        let place = format_args!("{} {}", uart.model, uart.registers.start());
        // Memory is mapped later, and must not find that it has a name already.
        if machine.is_ram(&uart.registers) {
            log::warn!("{place}: {}", MapError::InMemory);
            continue;
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
}

/// Takes a UART over, if it is there.
fn find(model: UartModel, window: Window) -> Result<Uart, Absent> {
    match model {
        UartModel::Pl011 => Pl011::find(window).map(Uart::Pl011),
        UartModel::Ns16550 { register_shift, access_width } => {
            let width =
                if access_width == 4 { RegisterWidth::Bits32 } else { RegisterWidth::Bits8 };
            Ns16550::find(window, register_shift.into(), width).map(Uart::Ns16550)
        }
    }
}

/// Takes a virtio console, which serves where there is no UART, and says what could not be said.
pub(crate) fn offer(mut console: Virtio, interrupt: Interrupt) {
    let mut virtio = VIRTIO.lock();
    if virtio.is_none() && SERIAL.get().is_none() {
        let _dropped = console.write(BACKLOG.lock().as_bytes(), patience());
        VIRTIO_LINE.call_once(|| (interrupt, console.interrupt_port()));
        *virtio = Some(console);
    }
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
    SERIAL.get().is_some()
}

/// The board's guess, for as long as nobody knows better.
fn early_uart() -> Option<Uart> {
    let guess = EARLY.get().filter(|_| !DECIDED.load(Ordering::Relaxed))?;
    Pl011::guess(*guess).map(Uart::Pl011).ok()
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
