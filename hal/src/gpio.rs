//! A button on a line of a PrimeCell GPIO (PL061), after its Technical Reference Manual (Arm
//! DDI 0190B), chapter 3.
//!
//! The line's edge is what counts, not how long it lasts: monitors press for a tenth of a second,
//! for an instant, or until somebody looks. So the edge is latched by the controller, and the line
//! is looked at after each: a monitor of the last kind lets go only then.

pub mod line;

use crate::mmio::Window;

/// Registers, by the manual's names (table 3-1). Bits 9:2 of a data register's address say which
/// lines the access is about (section 3.3.1).
const GPIODATA: usize = 0x000;
const GPIODIR: usize = 0x400;
const GPIOIS: usize = 0x404;
const GPIOIBE: usize = 0x408;
const GPIOIEV: usize = 0x40c;
const GPIOIE: usize = 0x410;
const GPIORIS: usize = 0x414;
const GPIOMIS: usize = 0x418;
const GPIOIC: usize = 0x41c;
const GPIOAFSEL: usize = 0x420;

/// How many lines a controller has.
pub const LINES: u8 = 8;

/// The level of a line while its button is held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// Active high.
    High,
    /// Active low.
    Low,
}

/// A button. A handle to registers: whoever has it may ask it, an interrupt handler too.
#[derive(Clone, Copy, Debug)]
pub struct Button {
    registers: Window,
    /// The line's bit.
    line: u32,
    pressed: Pressed,
}

impl Button {
    /// Takes over the button on `line`, below [`LINES`] (`None` else), of the PL061 behind
    /// `registers`. The other lines are left as they are, bar that none of them interrupts. Nothing
    /// does until [`listen`](Self::listen).
    #[must_use]
    pub fn new(registers: Window, line: u8, pressed: Pressed) -> Option<Self> {
        let line = (line < LINES).then(|| 1 << line)?;
        registers.write32(GPIOIE, 0);
        let button = Self { registers, line, pressed };
        button.change(GPIOAFSEL, Bit::Clear); // software's, no peripheral's
        button.change(GPIODIR, Bit::Clear); // an input
        button.change(GPIOIS, Bit::Clear); // edges
        button.change(GPIOIBE, Bit::Clear); // of one kind:
        button.change(GPIOIEV, if pressed == Pressed::High { Bit::Set } else { Bit::Clear });
        Some(button)
    }

    /// Has the button interrupt from now on, each time that it is pressed. Returns whether it was
    /// before anybody listened: it is held down, or an edge was latched.
    #[must_use]
    pub fn listen(self) -> bool {
        let latched = self.registers.read32(GPIORIS) & self.line != 0;
        self.registers.write32(GPIOIC, self.line);
        self.registers.write32(GPIOIE, self.line);
        self.is_held() || latched
    }

    /// For the interrupt handler: whether the button was pressed since this was last asked. Takes
    /// the interrupt back.
    #[must_use]
    pub fn was_pressed(self) -> bool {
        let pressed = self.registers.read32(GPIOMIS) & self.line != 0;
        // Every line's: one that somebody else let interrupt would hold the controller's own up.
        self.registers.write32(GPIOIC, 0xff);
        let _looked_at = self.is_held();
        pressed
    }

    fn is_held(self) -> bool {
        let is_high = self.registers.read32(GPIODATA + ((self.line as usize) << 2)) != 0;
        is_high == (self.pressed == Pressed::High)
    }

    /// Sets or clears the line's bit in a register, and leaves the others.
    fn change(self, register: usize, bit: Bit) {
        let value = self.registers.read32(register);
        let changed = match bit {
            Bit::Set => value | self.line,
            Bit::Clear => value & !self.line,
        };
        self.registers.write32(register, changed);
    }
}

/// What a line's bit becomes.
#[derive(Clone, Copy)]
enum Bit {
    Set,
    Clear,
}
