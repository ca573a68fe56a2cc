//! The numbers that decide where a life has what.

use elone_gate::Gate;
use elone_hal::arch::timer;

use crate::platform::KERNEL;

/// Random numbers, as good as the machine has them.
#[derive(Debug, Default)]
pub(super) struct Dice {
    /// What numbers are made of where there is no entropy.
    guessable: u64,
    said: bool,
}

impl Dice {
    /// 64 bits: random ones, or, where there is no entropy, such as differ from life to life and can
    /// be guessed; which is then said, once.
    pub(super) fn roll(&mut self) -> u64 {
        let mut bytes = [0; 8];
        if KERNEL.entropy(&mut bytes).is_ok() {
            return u64::from_le_bytes(bytes);
        }
        if !self.said {
            self.said = true;
            log::warn!("without entropy it can be guessed where the application has what");
        }
        // SplitMix64 (Steele, Lea, Flood, 2014), stirred by the time.
        self.guessable =
            self.guessable.wrapping_add(timer::ticks()).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.guessable ^ self.guessable >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
