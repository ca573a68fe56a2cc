//! The console.

use elone_hal::fake::honest;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::console::Console;

use crate::common::{CONSOLE, MODERN, open, open_serving, pool, variants};

#[test]
fn bytes_go_out_and_come_in_in_order() {
    for (version, features) in variants() {
        let device = Virtio::new(version, CONSOLE, features, &[64, 64], &[]);
        let (_, transport) = open_serving(device, honest::console());
        let mut console = Console::probe(transport, &mut pool()).expect("a console");
        let lengths: &[usize] = if cfg!(miri) { &[1, 257] } else { &[1, 255, 256, 257, 1000] };
        for &length in lengths {
            let text: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
            assert_eq!(console.write(&text, || false), Ok(length));
            let mut back = vec![];
            loop {
                let mut bytes = [0; 100];
                match console.read(&mut bytes).expect("honest") {
                    0 => break,
                    count => back.extend_from_slice(&bytes[..count]),
                }
            }
            assert_eq!(back, text.to_ascii_uppercase());
        }
    }
}

#[test]
fn a_console_that_nobody_reads_does_not_stop_the_machine() {
    let (device, transport) = open(Virtio::new(MODERN, CONSOLE, 0, &[64, 64], &[]));
    let mut console = Console::probe(transport, &mut pool()).expect("a console");
    let mut patience = 0..10;
    let written = console.write(&[b'x'; 2000], || patience.next().is_some());
    assert_eq!((written, patience.len()), (Ok(4 * 256), 0));
    let chain = device.lock().pop(1).expect("sent");
    device.lock().push(1, chain.head, 0);
    assert_eq!(console.write(b"more", || false), Ok(4));
}

#[test]
fn what_is_left_unread_counts_as_something() {
    let (device, transport) = open(Virtio::new(MODERN, CONSOLE, 0, &[64, 64], &[]));
    let mut console = Console::probe(transport, &mut pool()).expect("a console");
    assert!(!console.arm());
    let chain = device.lock().pop(0).expect("offered");
    let written = chain.write(b"two");
    device.lock().push(0, chain.head, written);
    assert_eq!(device.lock().interrupts, 1);
    let mut byte = [0];
    assert_eq!((console.read(&mut byte), byte), (Ok(1), *b"t"));
    assert!(console.arm(), "two bytes are left");
    let mut rest = [0; 8];
    assert_eq!(console.read(&mut rest), Ok(2));
    assert!(!console.arm());
}
