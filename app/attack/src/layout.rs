//! Row 5 and 6: what an attacker learned of one boot, or of one build, is of no use for the next.
//!
//! Without the setting `app.target=` each of these only says where its target is; the next boot is
//! told that address, and attacks there.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::code::{self, ANSWER};
use crate::scene::{self, Attack, Outcome, Scene, say};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("jump-to-known-code", jump_to_code),
    ("write-known-heap", write_heap),
    ("write-known-stack", write_stack),
    ("write-known-data", write_data),
    ("jump-to-code-of-another-build", jump_to_other),
    ("write-data-of-another-build", write_other),
];

static DATA: AtomicU32 = AtomicU32::new(MARK);
/// A value that nothing else has, by which an attacker who may read finds what he looks for.
const MARK: u32 = 0x5eed_da7a;

/// Has: where a function was, and a jump to any address. Wants: that function to be run.
fn jump_to_code(scene: &Scene) -> Outcome {
    let function = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    let Some(target) = known(scene, function) else { return Outcome::Told };
    code::call(target);
    missed()
}

/// Has: where a block of the heap was, and a store to any address. Wants: it changed.
fn write_heap(scene: &Scene) -> Outcome {
    let block = Box::new(AtomicU32::new(7));
    write(scene, &block)
}

/// Has: where a variable on the stack was, and a store to any address. Wants: it changed.
fn write_stack(scene: &Scene) -> Outcome {
    write(scene, &AtomicU32::new(7))
}

/// Has: where a static variable was, and a store to any address. Wants: it changed.
fn write_data(scene: &Scene) -> Outcome {
    write(scene, &DATA)
}

/// Has: where a function was in another build, and a jump there if it is there. Wants: it to be run.
fn jump_to_other(scene: &Scene) -> Outcome {
    const WORDS: usize = 4;
    let function = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    let Some(target) = known(scene, function) else { return Outcome::Told };
    // Jumping blindly into other code might do anything; who can read sees what is there first.
    let is_there = |index| code::load(function + index * 4) == code::load(target + index * 4);
    if (0..WORDS).all(is_there) {
        code::call(target);
    }
    missed()
}

/// Has: where a variable was in another build, and a store there if it is there. Wants: it changed.
fn write_other(scene: &Scene) -> Outcome {
    let Some(target) = known(scene, DATA.as_ptr().addr()) else { return Outcome::Told };
    if code::load(target) == MARK {
        code::store(target, ANSWER);
    }
    if DATA.load(Ordering::Relaxed) == ANSWER { Outcome::Survived } else { missed() }
}

fn write(scene: &Scene, place: &AtomicU32) -> Outcome {
    let Some(target) = known(scene, place.as_ptr().addr()) else { return Outcome::Told };
    code::store(target, ANSWER);
    if place.load(Ordering::Relaxed) == ANSWER { Outcome::Survived } else { missed() }
}

/// What the boot before said; without it, says what is `here` now.
fn known(scene: &Scene, here: usize) -> Option<usize> {
    match scene.target() {
        Some(target) => scene::target(target),
        None => say!("HERE {here:#018x}"),
    }
    scene.target()
}

fn missed() -> Outcome {
    Outcome::Stopped("a miss: something else is there now".to_string())
}
