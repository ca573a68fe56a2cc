//! Rows 2, 11, 12 and 13: what is set up at boot stays set, page tables among it, and nothing is
//! left that could undo it. From EL1, where no level stands between attacker and kernel.
#![expect(unsafe_code, reason = "overwrites what is read-only")]

use core::hint::black_box;
use core::mem;

use crate::code::{self, ANSWER};
use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] =
    &[("overwrite-vtable", overwrite_vtable), ("overwrite-sealed-variable", overwrite_sealed)];

trait Says {
    fn says(&self) -> u32;
}

struct Seven;
impl Says for Seven {
    #[inline(never)]
    fn says(&self) -> u32 {
        black_box(7)
    }
}

struct Answer;
impl Says for Answer {
    #[inline(never)]
    fn says(&self) -> u32 {
        black_box(ANSWER)
    }
}

/// Has: a store to any address. Wants: every object of a type to be of another type from now on, by
/// its table of methods, which is a constant that was relocated at the start.
fn overwrite_vtable(_: &Scene) -> Outcome {
    let (seven, other): (&dyn Says, &dyn Says) = (black_box(&Seven), black_box(&Answer));
    // SAFETY: what a reference to a trait object is made of today: an object and its table.
    let [table, others] = [seven, other].map(|one| unsafe { mem::transmute::<&dyn Says, [usize; 2]>(one)[1] });
    const METHOD: usize = 3; // after drop, size and alignment
    let (target, from) = (table + METHOD * 8, others + METHOD * 8);
    scene::target(target);
    // SAFETY: reads a constant.
    let method = unsafe { (from as *const usize).read_volatile() };
    // SAFETY: none, on purpose: a constant is overwritten.
    unsafe { (target as *mut usize).write_volatile(method) };
    if black_box(seven).says() == ANSWER { Outcome::Survived } else { KEPT() }
}

/// Has: a store to any address. Wants: another value in a variable that only the boot writes.
fn overwrite_sealed(scene: &Scene) -> Outcome {
    let Some(target) = scene.number("target") else {
        return Outcome::NotMade("it takes app.target=");
    };
    scene::target(target);
    let kept = code::load(target);
    code::store(target, !kept);
    let changed = code::load(target) == !kept;
    code::store(target, kept);
    if changed { Outcome::Survived } else { KEPT() }
}

const KEPT: fn() -> Outcome = || Outcome::Stopped("memory that keeps its value".into());
