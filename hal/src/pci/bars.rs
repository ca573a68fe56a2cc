//! Base address registers: how much memory a function has, and where (section 6.2.5.1).

use super::Function;
use super::bridge::BRIDGE;
use super::registers::{BAR, command};

/// How many of them a function has, and a bridge.
pub(super) const BARS: usize = 6;
const BRIDGE_BARS: usize = 2;

/// In a register: it is about input and output, which is not used here.
const IS_PORTS: u32 = 1;
/// In one about memory: how wide it is.
const WIDTH: u32 = 3 << 1;
const IS_64_BITS: u32 = 2 << 1;
const IS_PREFETCHABLE: u32 = 1 << 3;
/// What of a register about memory is no address.
const NO_ADDRESS: u64 = 0xf;

/// A function's memory, by register.
pub(super) type Bars = [Option<Bar>; BARS];

/// Memory that a function has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// Which register says so.
    pub(super) index: u8,
    /// Where it is on the bus; 0 where nobody has put it anywhere.
    pub(super) start: u64,
    /// In bytes: a power of two.
    pub(super) size: u64,
    /// Whether it can be anywhere, or below 4 GiB only.
    pub(super) is_wide: bool,
    /// Whether a bridge may read more of it than it is asked to: such memory, and only that, may lie
    /// above 4 GiB behind one.
    pub(super) is_prefetchable: bool,
}

impl Function {
    /// Its memory, by register. Each is asked for its size by writing ones to it, with the function's
    /// memory off meanwhile, as that would be all over the place; then all is as it was.
    pub(super) fn bars(&self) -> Bars {
        let commanded = self.commanded();
        if commanded & command::DECODE != 0 {
            self.command(0, command::DECODE);
        }
        let count = if self.header().0 == BRIDGE { BRIDGE_BARS } else { BARS };
        let mut bars = [None; BARS];
        let mut index = 0;
        while index < count {
            let low = self.ask(index);
            let is_memory = low.size & IS_PORTS == 0 && low.size != 0;
            let is_wide = is_memory && low.size & WIDTH == IS_64_BITS && index + 1 < count;
            let high = if is_wide { self.ask(index + 1) } else { Half::default() };
            if is_memory && let Some(bar) = bars.get_mut(index) {
                let number = |half: fn(&Half) -> u32| {
                    (u64::from(half(&low)) | u64::from(half(&high)) << 32) & !NO_ADDRESS
                };
                let mask = number(|half| half.size);
                // The lowest bit that can be set is the size, whatever those above it are.
                let size = mask & mask.wrapping_neg();
                *bar = (size != 0).then_some(Bar {
                    #[expect(clippy::cast_possible_truncation, reason = "less than six")]
                    index: index as u8,
                    start: number(|half| half.start),
                    size,
                    is_wide,
                    is_prefetchable: low.size & IS_PREFETCHABLE != 0,
                });
            }
            index += if is_wide { 2 } else { 1 };
        }
        if commanded & command::DECODE != 0 {
            self.command(commanded & command::DECODE, 0);
        }
        bars
    }

    /// What a register holds, and what it holds of ones.
    fn ask(&self, index: usize) -> Half {
        let (registers, at) = (self.registers(), BAR + 4 * index);
        let start = registers.read32(at);
        registers.write32(at, u32::MAX);
        let size = registers.read32(at);
        registers.write32(at, start);
        Half { start, size }
    }

    /// Puts memory somewhere else on the bus. The function's memory is off.
    pub(super) fn put(&self, bar: &Bar, start: u64) {
        let at = BAR + 4 * usize::from(bar.index);
        self.registers().write32(at, (start & 0xffff_ffff) as u32);
        if bar.is_wide {
            self.registers().write32(at + 4, (start >> 32) as u32);
        }
    }
}

/// What one register says.
#[derive(Default)]
struct Half {
    start: u32,
    size: u32,
}
