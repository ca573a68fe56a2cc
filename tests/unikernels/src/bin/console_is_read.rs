//! Says back, in capitals, a line that is typed on the console. It takes a byte each time that it
//! is told of some, so what it leaves must be told of again.
#![no_std]
#![no_main]

use elone::gate::{Events, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(_platform: Platform) {
    let mut line = [0; 64];
    let mut length = calls::console_read(&mut line[..1]);
    info!("type a line");
    while !line[..length].contains(&b'\r') && !line[..length].contains(&b'\n') {
        if calls::wait(None).contains(Events::CONSOLE) {
            length += calls::console_read(&mut line[length..][..1]);
        }
    }
    line.make_ascii_uppercase();
    let text = core::str::from_utf8(&line[..length]).unwrap_or("?");
    info!("you said {}", text.trim_end());
}
