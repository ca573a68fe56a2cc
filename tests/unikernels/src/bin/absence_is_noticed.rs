//! Does what it is told on the console, a word a line: `date` tells the date, `draw` a random number,
//! `stolen` for how long others ran instead, `end` ends it. Of its own accord it says when the machine
//! was restored, and what it drew first after that.
#![no_std]
#![no_main]

use elone::gate::{Hypervisor, calls};
use elone::{Platform, entropy, info};
use embedded_io_async::Read;

#[elone::main]
async fn main(platform: Platform) {
    let is_kvm = platform.machine().hypervisor == Hypervisor::Kvm;
    info!("hypervisor {}, KVM: {is_kvm}", platform.machine().hypervisor);
    let mut restored = platform.restored();
    platform.spawn(async move {
        loop {
            restored.await;
            restored = platform.restored();
            tell("restored, and drawn", entropy::word());
        }
    });
    let mut console = platform.console();
    let mut line = [0; 16];
    let mut length = calls::console_read(&mut line); // from here on what is typed is kept
    info!("ready");
    loop {
        // What was read may be more than a line.
        let Some(end) = line[..length].iter().position(|byte| *byte == b'\n') else {
            length %= line.len();
            let Ok(read) = console.read(&mut line[length..]).await;
            length += read;
            continue;
        };
        match &line[..end] {
            b"date" => match elone::wall_clock() {
                Ok(date) => info!("date {}", date.0 / 1_000_000_000),
                Err(error) => info!("date: {error}"),
            },
            b"draw" => tell("drawn", entropy::word()),
            b"stolen" => match elone::stolen_time() {
                Ok(time) => info!("stolen {}", time.0),
                Err(error) => info!("stolen: {error}"),
            },
            b"end" => return,
            other => info!("what is {other:?}?"),
        }
        line.copy_within(end + 1..length, 0);
        length -= end + 1;
    }
}

fn tell(what: &str, number: Result<u64, elone::Error>) {
    match number {
        Ok(number) => info!("{what} {number:016x}"),
        Err(error) => info!("{what}: {error}"),
    }
}
