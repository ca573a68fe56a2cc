//! The entropy source.

use elone_hal::fake::honest;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::DeviceError;
use elone_hal::virtio::rng::Rng;

use crate::common::{ENTROPY, MODERN, open, open_serving, pool, variants};

#[test]
fn bytes_are_the_devices_in_order() {
    for (version, features) in variants() {
        for most in [7, 1000] {
            let device = Virtio::new(version, ENTROPY, features, &[8], &[]);
            let (_, transport) = open_serving(device, honest::entropy(most));
            let mut source = Rng::probe(transport, &mut pool()).expect("a source");
            let mut bytes = [0; 32];
            source.fill(&mut bytes, || false).expect("it answers at once");
            assert!(bytes.iter().zip(0..).all(|(&byte, expected)| byte == expected));
        }
    }
}

#[test]
fn a_source_that_never_answers_is_given_up_and_may_answer_later() {
    let (device, transport) = open(Virtio::new(MODERN, ENTROPY, 0, &[8], &[]));
    let mut source = Rng::probe(transport, &mut pool()).expect("a source");
    let mut patience = 0..20;
    let mut bytes = [0; 4];
    let given_up = source.fill(&mut bytes, || patience.next().is_some());
    assert_eq!((given_up, patience.len()), (Err(DeviceError::Silent), 0));
    let chain = device.lock().pop(0).expect("asked");
    chain.write(&[9; 64]);
    device.lock().push(0, chain.head, 64);
    source.fill(&mut bytes, || false).expect("it has answered");
    assert_eq!(bytes, [9; 4]);
}

#[test]
fn a_source_that_answers_with_nothing_is_given_up() {
    let device = Virtio::new(MODERN, ENTROPY, 0, &[8], &[]);
    let (_, transport) = open_serving(device, honest::entropy(0));
    let mut source = Rng::probe(transport, &mut pool()).expect("a source");
    let mut patience = 0..20;
    let given_up = source.fill(&mut [0; 4], || patience.next().is_some());
    assert_eq!(given_up, Err(DeviceError::Silent));
}

#[test]
fn no_secret_stays_behind() {
    let (device, transport) = open(Virtio::new(MODERN, ENTROPY, 0, &[8], &[]));
    let mut source = Rng::probe(transport, &mut pool()).expect("a source");
    source.request().expect("asked");
    let chain = device.lock().pop(0).expect("asked");
    chain.write(&[9; 64]);
    device.lock().push(0, chain.head, 64);
    assert!(source.arm());
    assert_eq!(source.take(&mut [0; 4]), Ok(Some(4)));
    let left = elone_hal::fake::memory::read(chain.writable[0].0, 64);
    assert_eq!(left, [0; 64]);
}
