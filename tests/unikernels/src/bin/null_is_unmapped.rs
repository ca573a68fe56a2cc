//! Reads, writes or calls an address, null or near it, as the settings `app.how=` and `app.at=`
//! (hexadecimal) say. Must end in an abort of that kind at that address.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let at = platform.setting("at").and_then(|at| usize::from_str_radix(at, 16).ok());
    let address = core::hint::black_box(at.unwrap_or_default());
    info!("target {address:#x}");
    match platform.setting("how") {
        // SAFETY: none; this is the attack.
        Some("write") => unsafe { (address as *mut u64).write_volatile(1) },
        Some("call") => {
            // SAFETY: none; this is the attack. No function is there.
            let run = unsafe {
                core::mem::transmute::<*const (), Option<extern "C" fn()>>(
                    core::ptr::without_provenance(address | 1),
                )
            };
            if let Some(run) = run {
                run();
            }
        }
        _ => {
            // SAFETY: none; this is the attack.
            let value = unsafe { (address as *const u64).read_volatile() };
            info!("read {value:#x}");
        }
    }
    info!("SURVIVED");
}
