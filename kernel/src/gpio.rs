//! Lines of GPIO controllers that the application may have: those that the setting `gpio=` names, and
//! no others. What else hangs on a controller (the power button, what feeds the memory card) is the
//! machine's.

use core::sync::atomic::{AtomicU32, Ordering};

use elone_gate::{Error, GpioLevel, GpioLine, GpioOperation};
use elone_hal::gpio::line::{Level, Line};
use heapless::Vec;
use spin::Once;

use crate::machine::{GpioController, Machine};
use crate::memory::Memory;
use crate::settings::GPIO_LINES;

/// Those lines, and what each is called.
static GRANTED: Once<Vec<(GpioLine, Line), GPIO_LINES>> = Once::new();
/// Which of them the application has claimed: a bit each.
static CLAIMED: AtomicU32 = AtomicU32::new(0);

const _: () = assert!(GPIO_LINES <= 32);

/// From here on the application may claim these lines, as far as they are there.
pub(crate) fn grant(lines: impl Iterator<Item = GpioLine>, machine: &Machine, memory: &mut Memory) {
    let mut granted = Vec::new();
    for place in lines {
        let GpioLine { controller, line } = place;
        match find(place, machine, memory) {
            // There is room for as many as can be named.
            Some(found) => drop(granted.push((place, found))),
            None => log::warn!("gpio {controller}:{line}: there is no such line to be had"),
        }
    }
    GRANTED.call_once(|| granted);
}

fn find(place: GpioLine, machine: &Machine, memory: &mut Memory) -> Option<Line> {
    let GpioController { model, registers } = *machine.gpios.get(usize::from(place.controller))?;
    let is_button = machine
        .power_button
        .is_some_and(|button| button.registers == registers && button.line == place.line);
    if is_button || machine.is_ram(&registers) {
        return None;
    }
    let window = memory.device(registers).ok()?;
    Line::find(window, model, place.line).ok()
}

/// Does what the application asks for: see `Gate::gpio`.
pub(crate) fn operate(place: GpioLine, operation: GpioOperation) -> Result<GpioLevel, Error> {
    let granted = GRANTED.get().into_iter().flatten();
    let (index, line) = granted
        .zip(0..)
        .find_map(|((known, line), index)| (*known == place).then_some((index, line)))
        .ok_or(Error::NoSuchDevice)?;
    let bit = 1_u32 << index;
    match operation {
        GpioOperation::Claim if CLAIMED.fetch_or(bit, Ordering::Relaxed) & bit != 0 => {
            return Err(Error::Claimed);
        }
        GpioOperation::Claim => {}
        _ if CLAIMED.load(Ordering::Relaxed) & bit == 0 => return Err(Error::BadHandle),
        GpioOperation::Listen => line.listen(),
        GpioOperation::DriveLow => line.drive(Level::Low),
        GpioOperation::DriveHigh => line.drive(Level::High),
        GpioOperation::Read => {}
    }
    Ok(match line.level() {
        Level::Low => GpioLevel::Low,
        Level::High => GpioLevel::High,
    })
}

/// Takes back what the application had: nothing drives its lines any more, and they have no owner.
pub(crate) fn take_back() {
    let claimed = CLAIMED.swap(0, Ordering::Relaxed);
    for ((_, line), index) in GRANTED.get().into_iter().flatten().zip(0..) {
        if claimed & 1_u32 << index != 0 {
            line.listen();
        }
    }
}
