//! Any bytes give a machine or an error; what is a machine can be printed, and has free memory
//! only where it has RAM.
#![no_main]

use elone_hal::address::PhysicalRange;
use elone_kernel::machine::{Machine, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut machine) = Machine::read(bytes) else { return };
    assert!(Tree::check(bytes).is_ok_and(|size| size <= bytes.len()));
    assert!(machine.seeds.places().iter().all(|place| bytes.get(place.clone()).is_some()));
    let _ = format!("{machine} {machine:?} {:?}", machine.warnings());

    let taken = PhysicalRange::new(0x4000_0000, 0x20_0000).expect("does not wrap");
    for free in machine.free_memory([taken; 3]) {
        assert!(!free.is_empty() && free.inner_pages() == free);
        assert!(!free.overlaps(&taken));
        assert!(machine.ram.iter().any(|bank| bank.overlaps(&free)));
        assert!(
            machine.reservations.iter().all(|r| r.range.is_empty() || !r.range.overlaps(&free))
        );
    }
    machine.seeds.wipe();
});
