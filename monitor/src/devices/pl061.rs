//! A PL061 (Arm DDI 0190): eight lines, of which one is a power button.

use crate::bus::Device;
use crate::line::Signal;

/// Registers (section 3.2). The data are at 256 places, whose number is the mask of the lines.
const DATA_END: u64 = 0x400;
const DIRECTION: u64 = 0x400;
const INTERRUPT_LEVEL: u64 = 0x404;
const BOTH_EDGES: u64 = 0x408;
const HIGH_OR_RISING: u64 = 0x40c;
const INTERRUPT_MASK: u64 = 0x410;
const RAW_INTERRUPTS: u64 = 0x414;
const MASKED_INTERRUPTS: u64 = 0x418;
const INTERRUPT_CLEAR: u64 = 0x41c;
const IDENTIFICATION: u64 = 0xfe0;
const IDENTITY: [u8; 8] = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// The lines.
#[derive(Debug)]
pub struct Pl061 {
    signal: Signal,
    /// The button's line, as a bit.
    button: u8,
    inputs: u8,
    outputs: u8,
    direction: u8,
    level: u8,
    both: u8,
    high: u8,
    mask: u8,
    /// Which lines have had the edge that they wait for.
    edges: u8,
}

impl Pl061 {
    /// Eight lines, all down, with a button on one: 0 to 7.
    #[must_use]
    pub fn new(signal: Signal, line: u8) -> Self {
        let (inputs, outputs, direction, level, both, high, mask, edges) = (0, 0, 0, 0, 0, 0, 0, 0);
        let button = 1 << (line & 7);
        Self { signal, button, inputs, outputs, direction, level, both, high, mask, edges }
    }

    fn set_inputs(&mut self, inputs: u8) {
        let changed = (self.inputs ^ inputs) & !self.direction & !self.level;
        self.edges |= changed & (self.both | !(inputs ^ self.high));
        self.inputs = inputs;
        self.settle();
    }

    fn raw(&self) -> u8 {
        self.edges | (self.level & !(self.inputs ^ self.high))
    }

    fn settle(&self) {
        self.signal.follow(self.raw() & self.mask != 0);
    }

    fn register(&self, offset: u64) -> u8 {
        let lines = (self.outputs & self.direction) | (self.inputs & !self.direction);
        match offset {
            ..DATA_END => lines & u8::try_from(offset / 4).unwrap_or(0),
            DIRECTION => self.direction,
            INTERRUPT_LEVEL => self.level,
            BOTH_EDGES => self.both,
            HIGH_OR_RISING => self.high,
            INTERRUPT_MASK => self.mask,
            RAW_INTERRUPTS => self.raw(),
            MASKED_INTERRUPTS => self.raw() & self.mask,
            IDENTIFICATION.. => {
                let index = usize::try_from((offset - IDENTIFICATION) / 4).unwrap_or(usize::MAX);
                IDENTITY.get(index).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

impl Device for Pl061 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        if let [first, ..] = data {
            *first = self.register(offset);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let [value, ..] = *data else { return };
        match offset {
            ..DATA_END => {
                let mask = u8::try_from(offset / 4).unwrap_or(0);
                self.outputs = (self.outputs & !mask) | (value & mask);
            }
            DIRECTION => self.direction = value,
            INTERRUPT_LEVEL => self.level = value,
            BOTH_EDGES => self.both = value,
            HIGH_OR_RISING => self.high = value,
            INTERRUPT_MASK => self.mask = value,
            INTERRUPT_CLEAR => self.edges &= !value,
            _ => {}
        }
        self.settle();
    }

    /// Presses the button and lets go of it.
    fn attend(&mut self) {
        self.set_inputs(self.inputs | self.button);
        self.set_inputs(self.inputs & !self.button);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::fake::Wire;
    use crate::map::Trigger;

    #[test]
    fn a_press_is_an_edge_that_stays_until_it_is_cleared() {
        let wire = Wire::default();
        let mut lines = Pl061::new(wire.signal(Trigger::Level), 3);
        lines.attend();
        assert_eq!((lines.register(RAW_INTERRUPTS), wire.history()), (8, vec![]), "masked");
        lines.write(INTERRUPT_CLEAR, &[8]);
        for (register, value) in [(HIGH_OR_RISING, 8), (INTERRUPT_MASK, 8)] {
            lines.write(register, &[value]);
        }
        lines.attend();
        assert_eq!(wire.history(), [true]);
        assert_eq!(lines.register(MASKED_INTERRUPTS), 8);
        lines.write(INTERRUPT_CLEAR, &[8]);
        assert_eq!(wire.history(), [false]);
    }

    #[test]
    fn data_are_masked_by_their_place() {
        let mut lines = Pl061::new(Wire::default().signal(Trigger::Level), 3);
        lines.write(DIRECTION, &[0b11]);
        lines.write(0b11 << 2, &[0b10]);
        lines.write(0b01 << 2, &[0xff]);
        assert_eq!(lines.register(0xff << 2), 0b11);
        lines.set_inputs(0xf0);
        assert_eq!(lines.register(0xff << 2), 0xf3);
        assert_eq!(lines.register(0x20 << 2), 0x20);
    }
}
