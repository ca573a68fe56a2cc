//! [`Start`] as bytes: how a kernel tells it to an application that was linked without it.
//!
//! Numbers are 64 bits, little-endian; text is its length, then its bytes. The application's side
//! borrows text from where the kernel wrote it. Both sides are here, and neither trusts the other
//! to have been built from the same source: what does not fit is `None`, and the reason to stop.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    Hypervisor, Level, MachineInfo, MemoryRange, MemoryRanges, Network, Past, Protections, Start,
    Verbosity,
};

/// The layout's name and number: whoever changes what is written changes this.
const VERSION: u64 = u64::from_le_bytes(*b"ELONE\0\0\x02");

/// How an application reads the time without a call: nanoseconds are
/// `(counter - start) * scale / 2^32`, where `counter` is `CNTVCT_EL0` (Arm ARM, section D11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The counter at the machine's start.
    pub start: u64,
    /// Nanoseconds a tick, as a fraction of 2^32.
    pub scale: u64,
}

impl Counter {
    /// The time since the machine's start, in nanoseconds, when the counter shows `ticks`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wraps after centuries, as documented")]
    pub const fn nanoseconds(self, ticks: u64) -> u64 {
        let ticks = ticks.saturating_sub(self.start);
        ((ticks as u128 * self.scale as u128) >> 32) as u64
    }
}

/// Writes a start down. Returns how many bytes it took; `None` if there was not enough room.
pub fn encode(start: &Start, counter: Counter, bytes: &mut [u8]) -> Option<usize> {
    let Past { restarts, faults, report } = start.past;
    let again = Again { heap: &start.heap, past: (restarts, faults, report) };
    encode_again(start, &again, counter, bytes)
}

/// What differs from one life of an application to the next, and so is not in its [`Start`].
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// Where its heap is.
    pub heap: &'a MemoryRanges,
    /// What became of it: by the names of [`Past`] restarts, faults and report.
    pub past: (u32, u32, &'a str),
}

/// As [`encode`], for a life of an application that has several.
pub fn encode_again(
    start: &Start,
    again: &Again<'_>,
    counter: Counter,
    bytes: &mut [u8],
) -> Option<usize> {
    let Again { heap, past: (restarts, faults, report) } = *again;
    let mut writer = Writer { bytes, length: 0 };
    writer.number(VERSION)?;
    writer.number(counter.start)?;
    writer.number(counter.scale)?;
    writer.number(heap.len() as u64)?;
    for range in heap.iter() {
        writer.number(range.start as u64)?;
        writer.number(range.length as u64)?;
    }
    let machine = &start.machine;
    writer.number(machine.entered_at as u64)?;
    writer.number(machine.application_at as u64)?;
    for number in machine.hypervisor.encode() {
        writer.number(number)?;
    }
    writer.text(machine.board)?;
    writer.text(machine.core)?;
    writer.text(machine.interrupt_controller)?;
    writer.number(machine.memory)?;
    writer.text(machine.version)?;
    writer.number(machine.protections.bits().into())?;
    match start.network {
        Network::Dhcp => writer.number(0)?,
        Network::Static { address, prefix, gateway, dns } => {
            writer.number(1)?;
            writer.address(Some(address))?;
            writer.number(prefix.into())?;
            writer.address(gateway)?;
            writer.address(dns)?;
        }
    }
    writer.text(start.settings)?;
    writer.number(start.verbosity.0.into())?;
    writer.number(restarts.into())?;
    writer.number(faults.into())?;
    writer.text(report)?;
    Some(writer.length)
}

/// Reads a start that [`encode`] wrote; `None` for anything else.
#[must_use]
pub fn decode(bytes: &'static [u8]) -> Option<(Start, Counter)> {
    let mut reader = Reader(bytes);
    (reader.number()? == VERSION).then_some(())?;
    let counter = Counter { start: reader.number()?, scale: reader.number()? };
    let mut heap = MemoryRanges::NONE;
    for _ in 0..reader.number()? {
        let (start, length) = (reader.size()?, reader.size()?);
        heap.push(MemoryRange { start, length }).then_some(())?;
    }
    let machine = MachineInfo {
        entered_at: reader.level()?,
        application_at: reader.level()?,
        hypervisor: reader.hypervisor()?,
        board: reader.text()?,
        core: reader.text()?,
        interrupt_controller: reader.text()?,
        memory: reader.number()?,
        version: reader.text()?,
        protections: reader.protections()?,
    };
    let network = match reader.number()? {
        0 => Network::Dhcp,
        1 => Network::Static {
            address: reader.address()??,
            prefix: u8::try_from(reader.number()?).ok()?,
            gateway: reader.address()?,
            dns: reader.address()?,
        },
        _ => return None,
    };
    let settings = reader.text()?;
    let verbosity = Verbosity(u8::try_from(reader.number()?).ok()?);
    let past = Past {
        restarts: u32::try_from(reader.number()?).ok()?,
        faults: u32::try_from(reader.number()?).ok()?,
        report: reader.text()?,
    };
    Some((Start { heap, machine, network, settings, verbosity, past }, counter))
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    fn number(&mut self, number: u64) -> Option<()> {
        self.raw(&number.to_le_bytes())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.number(text.len() as u64)?;
        self.raw(text.as_bytes())
    }

    /// The address's version, 0 for none, and the address itself.
    fn address(&mut self, address: Option<IpAddr>) -> Option<()> {
        match address {
            None => self.number(0),
            Some(IpAddr::V4(address)) => {
                self.number(4)?;
                self.number(address.to_bits().into())
            }
            Some(IpAddr::V6(address)) => {
                self.number(6)?;
                self.raw(&address.octets())
            }
        }
    }
}

struct Reader(&'static [u8]);

impl Reader {
    fn raw(&mut self, length: usize) -> Option<&'static [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.raw(8)?.try_into().ok()?))
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn text(&mut self) -> Option<&'static str> {
        let length = self.size()?;
        core::str::from_utf8(self.raw(length)?).ok()
    }

    /// None if there is any that nobody here knows.
    fn protections(&mut self) -> Option<Protections> {
        let bits = u32::try_from(self.number()?).ok()?;
        Some(Protections::from_bits(bits)).filter(|known| known.bits() == bits)
    }

    fn level(&mut self) -> Option<Level> {
        Level::from_code(self.number()?)
    }

    fn hypervisor(&mut self) -> Option<Hypervisor> {
        Hypervisor::decode([self.number()?, self.number()?, self.number()?])
    }

    #[expect(clippy::option_option, reason = "an address that cannot be read, and none")]
    fn address(&mut self) -> Option<Option<IpAddr>> {
        Some(match self.number()? {
            0 => None,
            4 => {
                let bits = u32::try_from(self.number()?).ok()?;
                Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))
            }
            6 => {
                let octets: [u8; 16] = self.raw(16)?.try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)))
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::format;
    use std::sync::Mutex;
    use std::vec::Vec;

    fn start() -> Start {
        let mut heap = MemoryRanges::NONE;
        assert!(heap.push(MemoryRange { start: 0x1000, length: 0x2000 }));
        let machine = MachineInfo {
            entered_at: Level::El2,
            application_at: Level::El0,
            hypervisor: Hypervisor::Other([1, 2, 3, 4]),
            board: "böard",
            core: "core",
            interrupt_controller: "GICv3",
            memory: 1 << 40,
            version: "elone",
            protections: Protections::from_bits(0b1011),
        };
        let network = Network::Static {
            address: "fe80::1".parse().expect("an address"),
            prefix: 64,
            gateway: Some("10.0.2.2".parse().expect("an address")),
            dns: None,
        };
        let past = Past { restarts: 1, faults: 2, report: "FAULT class=hang\n" };
        let (settings, verbosity) = ("app.a=b", Verbosity(5));
        Start { heap, machine, network, settings, verbosity, past }
    }

    const COUNTER: Counter = Counter { start: 5, scale: 16 << 32 };

    fn encoded(start: &Start) -> &'static [u8] {
        let mut bytes = std::vec![0; 4096];
        let length = encode(start, COUNTER, &mut bytes).expect("there is room");
        bytes.truncate(length);
        kept(bytes)
    }

    /// For good, as a start is: and where whoever looks for lost memory finds it.
    fn kept(bytes: Vec<u8>) -> &'static [u8] {
        static KEPT: Mutex<Vec<&[u8]>> = Mutex::new(Vec::new());
        let bytes = Box::leak(bytes.into_boxed_slice());
        KEPT.lock().expect("no test fails while it holds this").push(bytes);
        bytes
    }

    #[test]
    fn both_sides_read_the_same() {
        for start in [start(), Start { network: Network::Dhcp, ..start() }] {
            let (read, counter) = decode(encoded(&start)).expect("a start");
            assert_eq!(format!("{read:?}"), format!("{start:?}"));
            assert_eq!(counter, COUNTER);
        }
    }

    #[test]
    fn another_start_tells_of_another_past_and_another_heap() {
        let mut bytes = std::vec![0; 4096];
        let past = (7, 8, "FAULT class=panic\n");
        let mut heap = MemoryRanges::NONE;
        assert!(heap.push(MemoryRange { start: 0x5000, length: 0x1000 }));
        let again = Again { heap: &heap, past };
        let length = encode_again(&start(), &again, COUNTER, &mut bytes).expect("there is room");
        bytes.truncate(length);
        let (read, _) = decode(kept(bytes)).expect("a start");
        assert_eq!((read.past.restarts, read.past.faults, read.past.report), past);
        assert_eq!(*read.heap, *heap);
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        let whole = encoded(&start());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_none(), "cut to {length}");
            let mut room = std::vec![0; length];
            assert!(encode(&start(), COUNTER, &mut room).is_none());
        }
    }

    #[test]
    fn another_layout_is_refused() {
        let mut bytes = encoded(&start()).to_vec();
        bytes[7] += 1;
        assert!(decode(kept(bytes)).is_none());
    }

    #[test]
    fn ticks_become_nanoseconds() {
        assert_eq!(COUNTER.nanoseconds(7), 32);
        assert_eq!(COUNTER.nanoseconds(0), 0);
    }
}
