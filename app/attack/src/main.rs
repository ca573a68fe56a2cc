//! Attacks its own kernel, its machine and itself, one attack a boot, as the setting `app.attack=`
//! says. `cargo xtask attack` boots it, and knows what each attack must come to.
//!
//! An attack ends in one of three ways: in a fault at its target, which the kernel reports; with
//! the line `STOPPED by …`, where it was refused without a fault; or with the line `SURVIVED`, once
//! it has seen for itself that it got what it wanted. It has said `TARGET` and the address before it
//! acts, as afterwards it may be too late.
//!
//! Whoever attacks runs code in this program already: that is what most attackers begin with, and
//! what each promise has to stand.
#![no_std]
#![no_main]

extern crate alloc;

mod code;
mod scene;

mod containment;
mod heap;
mod kernel;
mod landing;
mod layout;
mod low;
mod returns;
mod service;
mod stack;
mod tables;
mod writable;

use elone::Platform;

use scene::{Attack, Outcome, Scene, say};

/// Every attack, by name.
const ATTACKS: &[&[(&str, Attack)]] = &[
    writable::ATTACKS,
    low::ATTACKS,
    stack::ATTACKS,
    layout::ATTACKS,
    returns::ATTACKS,
    landing::ATTACKS,
    heap::ATTACKS,
    containment::ATTACKS,
    kernel::ATTACKS,
    service::ATTACKS,
];

/// The status after an attack that was refused without a fault.
const STOPPED: u8 = 3;
/// The status where there is no such attack, or what it needs to know was not said.
const NOT_MADE: u8 = 2;

#[elone::main]
async fn main(platform: Platform) {
    let wanted = platform.setting("attack").unwrap_or_default();
    let mut all = ATTACKS.iter().copied().flatten();
    let Some((_, attack)) = all.find(|(name, _)| *name == wanted) else {
        say!("there is no attack {wanted:?}");
        elone::exit(NOT_MADE)
    };
    match attack(&Scene::new(platform)) {
        Outcome::Survived => scene::survived(),
        Outcome::Stopped(by) => {
            say!("STOPPED by {by}");
            elone::exit(STOPPED)
        }
        Outcome::Told => {}
        Outcome::NotMade(what) => {
            say!("the attack was not made: {what}");
            elone::exit(NOT_MADE)
        }
    }
}
