//! What an application is told at its start: read, it is what stands there and nothing else.
#![expect(unsafe_code, reason = "a start borrows for good from bytes of which there are millions")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use elone_gate::handover::{self, Counter};
use elone_gate::{
    Hypervisor, Level, MachineInfo, MemoryRange, MemoryRanges, Network, Past, Protections, Start,
    Verbosity,
};

use super::bytes::Bytes;

/// Takes `bytes` for a start, or for what to make one of and what to make wrong in it; whether it
/// could be read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 16 {
        0 => look(bytes.0.to_vec()),
        _ => look(made_wrong(&mut bytes)),
    }
}

/// Where it is said how many ranges of memory there are: behind the layout's name and the counter.
const HEAP: usize = 24;
const TEXTS: [&str; 8] =
    ["", "none", "böard", "app.a=b log=info", "\0", "𝄞𝄞", "FAULT class=hang\n", "x x x x x x x"];

fn hypervisor(bytes: &mut Bytes<'_>) -> Hypervisor {
    match bytes.below(4) {
        0 => Hypervisor::Nobody(Level::El3),
        1 => Hypervisor::Kvm,
        2 => Hypervisor::Other([0; 4].map(|_: u32| bytes.long() as u32)),
        _ => Hypervisor::Unknown,
    }
}

fn made_wrong(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let text = |bytes: &mut Bytes<'_>| TEXTS[bytes.below(TEXTS.len())];
    let mut heap = MemoryRanges::NONE;
    let ranges = if bytes.byte() < 250 { bytes.below(6) } else { MemoryRanges::CAPACITY };
    for _ in 0..ranges {
        heap.push(MemoryRange { start: bytes.long() as usize, length: bytes.byte().into() });
    }
    let level = |code| [Level::El0, Level::El1, Level::El2, Level::El3][code];
    let machine = MachineInfo {
        entered_at: level(bytes.below(4)),
        application_at: level(bytes.below(4)),
        hypervisor: hypervisor(bytes),
        board: text(bytes),
        core: text(bytes),
        interrupt_controller: text(bytes),
        memory: bytes.long(),
        version: text(bytes),
        protections: Protections::from_bits(bytes.long() as u32),
    };
    let address = |bytes: &mut Bytes<'_>| match bytes.byte() % 2 {
        0 => IpAddr::V4(Ipv4Addr::from_bits(bytes.long() as u32)),
        _ => IpAddr::V6(Ipv6Addr::from_bits(bytes.long().into())),
    };
    let network = match bytes.byte() % 2 {
        0 => Network::Dhcp,
        _ => Network::Static {
            address: address(bytes),
            prefix: bytes.byte(),
            gateway: bytes.coin().then(|| address(bytes)),
            dns: bytes.coin().then(|| address(bytes)),
        },
    };
    let (restarts, faults) = (bytes.long() as u32, bytes.long() as u32);
    let past = Past { restarts, faults, report: text(bytes) };
    let (settings, verbosity) = (text(bytes), Verbosity(bytes.byte()));
    let start = Start { heap, machine, network, settings, verbosity, past };
    let counter = Counter { start: bytes.long(), scale: bytes.long() };

    let mut written = vec![0; 4096];
    let length = handover::encode(&start, counter, &mut written).expect("there is room");
    written.truncate(length);
    if bytes.byte() < 8 {
        // One range of memory more, which may be one too many.
        written[HEAP..HEAP + 8].copy_from_slice(&(ranges as u64 + 1).to_le_bytes());
        written.splice(HEAP + 8..HEAP + 8, [7; 16]);
    }
    bytes.damage(&mut written);
    written
}

/// What is read is written again, byte for byte; and every text is one that stands there.
fn look(bytes: Vec<u8>) -> bool {
    let mut again = vec![0; bytes.len()];
    let raw = Box::into_raw(bytes.into_boxed_slice());
    // SAFETY: the box is given up and freed by nobody but this function, at its end.
    let bytes: &'static [u8] = unsafe { &*raw };
    let length = handover::decode(bytes).map(|(start, counter)| {
        let past = start.past;
        assert!(
            [past.report, start.settings, start.machine.board]
                .iter()
                .all(|text| { text.is_empty() || bytes.as_ptr_range().contains(&text.as_ptr()) })
        );
        let _ = format!("{start:?} {:?} {}", past.class(), counter.nanoseconds(u64::MAX));
        handover::encode(&start, counter, &mut again).expect("as long as it was")
    });
    if let Some(length) = length {
        assert_eq!(again[..length], bytes[..length]);
    }
    // SAFETY: it was made by `Box::into_raw` above, and what borrowed from it is gone.
    drop(unsafe { Box::from_raw(raw) });
    length.is_some()
}
