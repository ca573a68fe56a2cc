//! Makes calls that ask for next to nothing, very many of each kind, with a line before and behind
//! them. For `cargo xtask bench`, which counts the instructions between the lines, and takes off those
//! of a loop that calls nobody. Says first how much memory there is for the application.
#![no_std]
#![no_main]

use core::hint::black_box;

use elone::gate::abi::Call;
use elone::gate::{DeviceClass, DeviceInfo, Error, Level, calls};
use elone::{Platform, info};

/// How many of each kind.
const CALLS: u32 = 100_000;

#[elone::main]
async fn main(platform: Platform) -> Result<(), Error> {
    let heap = elone::heap::usage();
    info!("{} bytes of heap", heap.allocated + heap.free);
    let DeviceInfo::Net(net) = calls::device(DeviceClass::Net, 0)? else {
        return Err(Error::NoSuchDevice);
    };
    measure("nothing", || ());
    match platform.machine().application_at {
        Level::El0 => measure("now", ask_from_el0),
        _ => measure("now", || {
            black_box(calls::now());
        }),
    }
    measure("receive", || {
        let _ = black_box(calls::net_receive(net.handle, &[], &mut []));
    });
    measure("send", || {
        let _ = black_box(calls::net_send(net.handle, &[], &mut []));
    });
    Ok(())
}

fn measure(kind: &str, call: impl Fn()) {
    say(["begin ", kind, "\n"]);
    for number in 0..CALLS {
        black_box(number);
        call();
    }
    say(["end ", kind, "\n"]);
}

/// Writes a line without a date, which would not be equally long each time.
fn say(words: [&str; 3]) {
    for word in words {
        calls::console_write(word.as_bytes());
    }
}

/// Asks the kernel, though an application that is contained can read the clock by itself.
fn ask_from_el0() {
    let (number, _) = Call::Now.encode();
    // SAFETY: the kernel keeps all registers but these (gate, `abi`), and the call names no memory.
    unsafe {
        core::arch::asm!(
            "svc #0",
            in("x8") number,
            lateout("x0") _,
            lateout("x1") _,
            lateout("x2") _,
            lateout("x3") _,
            lateout("x4") _,
            lateout("x5") _,
            options(nostack)
        );
    }
}
