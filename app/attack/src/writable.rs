//! Row 1: writable memory is never executable, and code never writable.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};

use elone::gate::{DeviceClass, DeviceInfo, calls};

use crate::code::{self, ANSWER, INJECTED, SAY_ANSWER};
use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("write-own-code", write_own_code),
    ("run-heap", run_heap),
    ("run-stack", run_stack),
    ("run-data", run_data),
    ("run-constants", run_constants),
    ("run-buffers", run_buffers),
];

static DATA: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
static CONSTANTS: [u32; 3] = INJECTED;

/// Has: a store to any address. Wants: a function of this program to do something else.
fn write_own_code(scene: &Scene) -> Outcome {
    let target = code::seven();
    scene::target(target);
    code::store(target, SAY_ANSWER);
    code::publish(scene, target);
    answers(code::attack_seven())
}

/// Has: code in a block of the heap, and a jump to any address. Wants: it to be run.
fn run_heap(scene: &Scene) -> Outcome {
    let block = Box::new(black_box(INJECTED));
    run(scene, block.as_ptr())
}

/// Has: code in a variable on the stack, and a jump to any address. Wants: it to be run.
fn run_stack(scene: &Scene) -> Outcome {
    let local = black_box(INJECTED);
    run(scene, local.as_ptr())
}

/// Has: code in a static variable, and a jump to any address. Wants: it to be run.
fn run_data(scene: &Scene) -> Outcome {
    for (place, word) in DATA.iter().zip(INJECTED) {
        place.store(word, Ordering::Relaxed);
    }
    run(scene, DATA.as_ptr().cast())
}

/// Has: constants that happen to be code, and a jump to any address. Wants: them to be run.
fn run_constants(scene: &Scene) -> Outcome {
    run(scene, black_box(&CONSTANTS).as_ptr())
}

/// Has: code that came in from the network, in a buffer that the device filled, and a jump to it.
/// Wants: it to be run.
fn run_buffers(scene: &Scene) -> Outcome {
    let Ok(DeviceInfo::Net(net)) = calls::device(DeviceClass::Net, 0) else {
        return Outcome::NotMade("there is no network device");
    };
    let buffer = net.area.base().as_ptr().addr();
    for (index, word) in INJECTED.iter().enumerate() {
        code::store(buffer + 4 * index, *word);
    }
    run(scene, core::ptr::with_exposed_provenance(buffer))
}

/// Jumps to code in a place that is not for code.
fn run(scene: &Scene, code: *const u32) -> Outcome {
    let target = code.expose_provenance();
    code::publish(scene, target);
    scene::target(target);
    answers(code::call(target))
}

/// What the code says that was run: that of an attacker, or that which was there.
fn answers(said: u32) -> Outcome {
    if said == ANSWER {
        Outcome::Survived
    } else {
        Outcome::Stopped("code that was not changed".to_string())
    }
}
