//! The stacks: where they are, and whose guard an address lies in.

use super::places::places;

/// What is not mapped below each, in bytes: as much as a large array on the stack may take.
pub(super) const GUARD: u64 = 2 << 20;

const NAMES: [&str; 3] = ["the last stack", "the exception stack", "the stack"];

/// Which of the stacks ran over into `address`, by name.
#[must_use]
pub fn stack_guard_at(address: u64) -> Option<&'static str> {
    let mut stacks = NAMES.into_iter().zip(places().stacks);
    stacks.find_map(|(name, stack)| {
        (stack.bottom.saturating_sub(GUARD)..stack.bottom).contains(&address).then_some(name)
    })
}

/// Whether a frame record at `address` lies on a stack whole.
pub(super) fn hold(address: u64) -> bool {
    let within = |bottom, top: u64| (bottom..=top.saturating_sub(16)).contains(&address);
    places().stacks.iter().any(|stack| within(stack.bottom, stack.top))
}
