//! Every device tree that a monitor was seen to hand over (`boards/fixtures`), read and compared
//! with what `dtc` shows in it.

use std::path::Path;

use elone_hal::address::PhysicalRange;
use elone_hal::{IntId, Trigger};
use elone_kernel::machine::{
    Conduit, Interrupt, InterruptController, Machine, Rtc, Tree, Uart, UartModel, VirtioSlot,
};

#[test]
fn show() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/fixtures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dtb") {
            let m = Machine::read(&std::fs::read(&path).unwrap());
            println!("{} {}\n{:#?}", path.display(), m.as_ref().unwrap(), m);
        }
    }
}
