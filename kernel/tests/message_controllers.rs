//! Who turns messages into interrupts, as the trees of monitors have it, and some that are made up.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{GIC, Writer, fixtures, problems, range};
use elone_hal::its::Coherence;
use elone_kernel::machine::{
    MESSAGE_CONTROLLERS, Machine, MessageController, MessageRegisters, Problem,
};

const ITS: &str = "arm,gic-v3-its";
const FRAME: &str = "arm,gic-v2m-frame";

fn its(handle: u32, start: u64) -> MessageController {
    let (registers, coherence) = (range(start, 0x2_0000), Coherence::AsItSays);
    MessageController { handle, registers: MessageRegisters::Its { registers, coherence } }
}

fn frame(handle: u32, start: u64) -> MessageController {
    let (registers, lines) = (range(start, 0x1000), None);
    MessageController { handle, registers: MessageRegisters::V2m { registers, lines } }
}

/// RAM and a GIC, still open.
fn gic(compatible: &str) -> Writer {
    Writer::new()
        .ram(0x4000_0000, 0x100_0000)
        .begin("intc")
        .text("compatible", &[compatible])
        .list_64("reg", &[0x800_0000, 0x1_0000, 0x80a_0000, 0x2_0000])
        .cell("#interrupt-cells", 3)
        .cell("phandle", GIC)
        .cells(2, 2)
        .flag("ranges")
}

#[test]
fn every_tree_says_who_it_is() {
    for (name, bytes) in fixtures() {
        let machine = Machine::read(&bytes).expect(&name);
        let expected = match name.as_str() {
            name if name.contains("no-its") => None,
            name if name.starts_with("qemu") && name.contains("gicv2") => {
                Some(frame(0x8003, 0x802_0000))
            }
            name if name.contains("gicv2") => None,
            name if name.starts_with("fire") => Some(its(3, 0x3ffb_0000)),
            name if name.starts_with("kvmtool") => Some(its(2, 0x3ffb_0000)),
            name if name.contains("smp2") => Some(its(0x8004, 0x808_0000)),
            name if name.contains("smp4") => Some(its(0x8006, 0x808_0000)),
            _ => Some(its(0x8003, 0x808_0000)),
        };
        assert_eq!(machine.message_controllers, expected.as_slice(), "{name}");
    }
}

#[test]
fn memory_that_is_not_coherent_is_said_so_by_either_node() {
    let its = |writer: Writer| writer.device("its", ITS, 0x808_0000, 0x2_0000).cell("phandle", 7);
    let coherence = |writer: Writer| {
        let machine = writer.read();
        assert_eq!(problems(&machine), []);
        match machine.message_controllers.first().map(|found| &found.registers) {
            Some(MessageRegisters::Its { coherence, .. }) => *coherence,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(coherence(its(gic("arm,gic-v3"))), Coherence::AsItSays);
    let past = its(gic("arm,gic-v3")).flag("dma-noncoherent");
    assert_eq!(coherence(past), Coherence::PastTheCaches);
    let past = its(gic("arm,gic-v3").flag("dma-noncoherent"));
    assert_eq!(coherence(past), Coherence::PastTheCaches);
}

#[test]
fn a_frame_may_be_told_its_lines() {
    let frame = |name, first: &[u32], count: &[u32]| {
        let node = gic("arm,gic-400").device(name, FRAME, 0x802_0000, 0x1000).cell("phandle", 7);
        let node = if first.is_empty() { node } else { node.list("arm,msi-base-spi", first) };
        if count.is_empty() { node } else { node.list("arm,msi-num-spis", count) }
    };
    let machine = frame("v2m", &[320], &[192]).read();
    let (registers, lines) = (range(0x802_0000, 0x1000), Some(320..512));
    let registers = MessageRegisters::V2m { registers, lines };
    assert_eq!(machine.message_controllers, [MessageController { handle: 7, registers }]);
    for (first, count, wrong) in [
        (&[][..], &[1][..], "arm,msi-base-spi"),
        (&[320], &[], "arm,msi-num-spis"),
        (&[320, 1], &[1], "arm,msi-base-spi"),
        (&[u32::MAX], &[1], "arm,msi-base-spi"),
    ] {
        let machine = frame("v2m", first, count).read();
        assert_eq!(problems(&machine), [("v2m", Problem::BadProperty(wrong))]);
        assert_eq!(machine.message_controllers, []);
    }
}

#[test]
fn what_is_malformed_or_too_much_is_left_out() {
    let problem = |writer: Writer, problem| {
        let machine = writer.read();
        assert_eq!(problems(&machine), [("it", problem)]);
        assert_eq!(machine.message_controllers, []);
    };
    let v3 = || gic("arm,gic-v3");
    for (compatible, length) in [(ITS, 0x1_0000), (FRAME, 0x800), (ITS, 0), (FRAME, 0)] {
        let short = v3().device("it", compatible, 0x808_0000, length).cell("phandle", 7);
        problem(short, Problem::BadProperty("reg"));
    }
    let nameless = v3().device("it", ITS, 0x808_0000, 0x2_0000);
    problem(nameless, Problem::BadProperty("phandle"));
    let off = v3().device("it", ITS, 0x808_0000, 0x2_0000).text("status", &["disabled"]);
    assert_eq!(off.read().message_controllers, []);

    let mut writer = v3();
    for n in 0..=MESSAGE_CONTROLLERS as u64 {
        let at = 0x1000_0000 + n * 0x10_0000;
        writer = writer.device("it", ITS, at, 0x2_0000).cell("phandle", 7).end();
    }
    let machine = writer.read();
    assert_eq!(machine.message_controllers.len(), MESSAGE_CONTROLLERS);
    assert_eq!(problems(&machine), [("it", Problem::NoRoom)]);
}
