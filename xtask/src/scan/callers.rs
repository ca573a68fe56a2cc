//! Which functions run only while the boot does, though they lie where code stays: those that no one
//! calls but the boot's own code, and of which nobody has the address.
//!
//! Most of what the boot calls is like that, and which of it lies where is up to the compiler. Such
//! a function may call the boot's code: whoever could call it by then is gone too.

use std::collections::{HashMap, HashSet};

use super::instructions::{Reference, add, address, branch, jumps, overwrites};
use super::linked::Linked;
use crate::names::Names;

/// How many instructions after an ADRP the ADD that completes it may be.
const NEAR: usize = 16;

/// Functions by their address.
#[derive(Debug)]
pub(super) struct Callers {
    boot_only: HashSet<u64>,
}

impl Callers {
    /// Looks for them.
    pub(super) fn of(linked: &Linked<'_>, names: &Names) -> Self {
        let mut taken: HashSet<u64> = linked.pointers().map(|(_, to)| to).collect();
        let mut callers: HashMap<u64, HashSet<u64>> = HashMap::new();
        for run in linked.runs() {
            for (index, &(at, word)) in run.iter().enumerate() {
                let from = names.start(at);
                match address(word) {
                    Some(Reference::Byte(distance)) => {
                        taken.extend(at.checked_add_signed(distance));
                    }
                    Some(Reference::Page(distance)) => {
                        let page = (at & !0xfff).checked_add_signed(distance);
                        let next = run[index..].iter().skip(1).take(NEAR).map(|&(_, next)| next);
                        taken
                            .extend(completed(word, next).filter_map(|low| page?.checked_add(low)));
                    }
                    None => {}
                }
                let to = branch(word).and_then(|distance| at.checked_add_signed(distance));
                // What falls through to the next function has no branch to it; that is assembly's.
                if let Some(to) = to.map(|to| names.start(to)).filter(|to| *to != from) {
                    callers.entry(to).or_default().insert(from);
                }
            }
        }
        let mut boot_only: HashSet<u64> = callers.keys().copied().collect();
        boot_only.retain(|function| !linked.is_init(*function) && !taken.contains(function));
        // Whoever is called by one that stays stays: until nothing changes.
        loop {
            let is_gone = |caller: &u64| linked.is_init(*caller) || boot_only.contains(caller);
            let stays = |function: &u64| !callers[function].iter().all(is_gone);
            let staying: Vec<_> = boot_only.iter().copied().filter(stays).collect();
            if staying.is_empty() {
                return Self { boot_only };
            }
            boot_only.retain(|function| !staying.contains(function));
        }
    }

    /// Whether the function that begins at this address is one of them.
    pub(super) fn is_boot_only(&self, function: u64) -> bool {
        self.boot_only.contains(&function)
    }
}

/// What the instructions `next` after ADRP may add to its page. From where another value is in its
/// register nothing they add is meant for it, unless a branch before that takes the page elsewhere.
fn completed(adrp: u32, next: impl Iterator<Item = u32>) -> impl Iterator<Item = u64> {
    let (mut straight, mut gone) = (true, false);
    next.map_while(move |word| {
        if gone {
            return None;
        }
        straight &= branch(word).is_none() && !jumps(word);
        gone = straight && overwrites(word, adrp);
        Some(add(word, adrp))
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_completed_until_its_register_holds_something_else() {
        let adrp = 0x9000_0000; // adrp x0, .
        let [other, add] = [0x9100_07e0, 0x9100_4001]; // add x0, sp, #1; add x1, x0, #16
        let completed = |next: &[u32]| completed(adrp, next.iter().copied()).collect::<Vec<_>>();
        assert_eq!(completed(&[add, other, add]), [16]);
        // In place, and nothing after that.
        assert_eq!(completed(&[0x9100_4000, add]), [16]);
        // What lies between may lead to the second one: cbz x9, b, br x9, blr x9, retaa.
        for away in [0xb400_0049, 0x1400_0002, 0xd61f_0120, 0xd63f_0120, 0xd65f_0bff] {
            assert_eq!(completed(&[away, other, add]), [16], "{away:#x}");
        }
    }
}
