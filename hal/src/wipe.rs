//! Forgetting: overwriting what must not be found later, so that it really happens.
//!
//! To the compiler a store that nobody reads is no store at all, and several in a row are one pair
//! or one vector. Neither will do: a secret is wiped for whoever reads memory without the program's
//! knowledge, and it may lie in firmware's tables, where a monitor may emulate each single store
//! (as for device registers, see [`crate::mmio`]).

/// How much of the stack [`stack`] overwrites, in bytes: more than what works with seeds needs.
const STACK: usize = 2048;

/// Overwrites `bytes` with zeros, by exactly one store each.
pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        store_zero(byte);
    }
}

/// Overwrites `words` with zeros, as [`wipe`] does: for the numbers made of secrets.
pub fn wipe_words(words: &mut [u64]) {
    for word in words {
        *word = 0;
        // Whoever looks must see the zero, says this; so it is stored.
        core::hint::black_box(word);
    }
}

/// Overwrites what functions that have just returned left below this one's caller on the stack:
/// copies of secrets that they, or the compiler, made on their way. The caller must not have
/// inlined them.
#[inline(never)]
pub fn stack() {
    let mut room = [0_u64; STACK / 8];
    core::hint::black_box(&mut room);
}

/// Stores a zero.
#[cfg(target_os = "none")]
#[inline(always)]
fn store_zero(byte: &mut u8) {
    // SAFETY: the reference allows the store; without `nomem` it stays where it stands.
    unsafe {
        core::arch::asm!(
            "strb wzr, [{byte}]",
            byte = in(reg) core::ptr::from_mut(byte),
            options(nostack, preserves_flags)
        );
    }
}

/// Stores a zero.
#[cfg(not(target_os = "none"))]
fn store_zero(byte: &mut u8) {
    // SAFETY: the reference allows the store.
    unsafe { core::ptr::from_mut(byte).write_volatile(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_and_nothing_else_is_touched() {
        let mut bytes: [u8; 9] = *b"a secret!";
        wipe(&mut bytes[2..8]);
        assert_eq!(bytes, *b"a \0\0\0\0\0\0!");
        wipe(&mut []);

        let mut words = [1, 2, 3];
        wipe_words(&mut words[1..]);
        assert_eq!(words, [1, 0, 0]);
    }
}
