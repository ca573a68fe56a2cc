//! Walking the frame records of a stack (AAPCS64, section 6.4.6), without trusting any of them.

use core::arch::asm;

unsafe extern "C" {
    static __last_stack_bottom: u8;
    static __last_stack_top: u8;
    static __exception_stack_bottom: u8;
    static __exception_stack_top: u8;
    static __stack_bottom: u8;
    static __stack_top: u8;
    static __text_start: u8;
    static __text_end: u8;
}

/// The return addresses from a frame outwards, the caller's first. Ends at the first record that
/// does not lie on one of the image's stacks, does not lie above the one before, or does not
/// return into the image's text: a smashed stack ends a backtrace, it does not fault it.
#[derive(Debug)]
pub struct Backtrace {
    record: u64,
}

impl Backtrace {
    /// From the frame record at `frame_pointer` (x29 of an exception's frame, say).
    #[must_use]
    pub const fn from(frame_pointer: u64) -> Self {
        Self { record: frame_pointer }
    }

    /// From here.
    #[must_use]
    pub fn here() -> Self {
        let record;
        // SAFETY: reads a register.
        unsafe { asm!("mov {}, x29", out(reg) record, options(nomem, nostack, preserves_flags)) };
        Self { record }
    }
}

impl Iterator for Backtrace {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if !self.record.is_multiple_of(16) || !on_a_stack(self.record) {
            return None;
        }
        let record = self.record as *const [u64; 2];
        // SAFETY: 16 aligned bytes of a stack, which is mapped readable (`on_a_stack`); they hold
        // plain numbers, whatever wrote them.
        let [next, return_address] = unsafe { record.read() };
        let text = (&raw const __text_start).addr() as u64..(&raw const __text_end).addr() as u64;
        if !text.contains(&return_address) {
            return None;
        }
        self.record = if next > self.record { next } else { 0 };
        Some(return_address)
    }
}

/// Which of the image's stacks holds `address`, guard page included; by name.
#[must_use]
pub fn stack_guard_at(address: u64) -> Option<&'static str> {
    stacks().into_iter().find_map(|(name, bottom, _)| {
        let guard = bottom - crate::address::PAGE as u64..bottom;
        guard.contains(&address).then_some(name)
    })
}

/// Whether a frame record at `address` lies on a stack whole.
fn on_a_stack(address: u64) -> bool {
    stacks().into_iter().any(|(_, bottom, top)| (bottom..=top - 16).contains(&address))
}

fn stacks() -> [(&'static str, u64, u64); 3] {
    let at = |symbol: *const u8| symbol.addr() as u64;
    [
        ("the stack", at(&raw const __stack_bottom), at(&raw const __stack_top)),
        (
            "the exception stack",
            at(&raw const __exception_stack_bottom),
            at(&raw const __exception_stack_top),
        ),
        ("the last stack", at(&raw const __last_stack_bottom), at(&raw const __last_stack_top)),
    ]
}
