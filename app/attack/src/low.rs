//! Row 3: null, and everything low, is unmapped.

use elone::gate::Protection;

use crate::code::{self, ANSWER, INJECTED};
use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("read-null", read_null),
    ("write-null", write_null),
    ("call-null", call_null),
    ("read-image-where-it-was-loaded", read_image),
];

/// Where the emulator loads the image, physically.
const LOADED: usize = 0x4020_0000;
/// The last word of an image's header (Linux, Documentation/arch/arm64/booting.rst): `ARM\x64`.
const MAGIC_AT: usize = 56;
const MAGIC: u32 = 0x644d_5241;

/// Has: a null pointer that is read through. Wants: whatever is there for data.
fn read_null(_: &Scene) -> Outcome {
    scene::target(0);
    code::load(0);
    Outcome::Survived
}

/// Has: a null pointer that is written through. Wants: something to be there afterwards.
fn write_null(_: &Scene) -> Outcome {
    scene::target(0);
    code::store(0, ANSWER);
    match code::load(0) {
        ANSWER => Outcome::Survived,
        _ => Outcome::Stopped("memory that keeps nothing".into()),
    }
}

/// Has: a null pointer that is called, and the patience to have put code there before, wherever
/// that can be done. Wants: it to be run.
fn call_null(scene: &Scene) -> Outcome {
    if !scene.is_contained() && !scene.has(Protection::LowUnmapped) {
        for (index, word) in INJECTED.iter().enumerate() {
            code::store(4 * index, *word);
        }
        code::publish(scene, 0);
    }
    scene::target(0);
    match code::call(0) {
        ANSWER => Outcome::Survived,
        _ => Outcome::Stopped("other code".into()),
    }
}

/// Has: a read from any address. Wants: the image by a name that is the same at each boot.
fn read_image(_: &Scene) -> Outcome {
    scene::target(LOADED + MAGIC_AT);
    match code::load(LOADED + MAGIC_AT) {
        MAGIC => Outcome::Survived,
        _ => Outcome::Stopped("other memory".into()),
    }
}
