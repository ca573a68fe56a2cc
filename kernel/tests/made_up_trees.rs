//! Device trees of machines that no monitor at hand makes, and of machines that should not be.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{GIC, Writer, problems, range};
use elone_hal::gpio::Pressed;
use elone_hal::interrupts::Line;
use elone_hal::{IntId, Trigger};
use elone_kernel::machine::{
    Conduit, Conflict, DEPTH, Interrupt, InterruptController, Machine, MachineError, NoticeBoard,
    PowerButton, Problem, RESERVATIONS, Rtc, Tree, UartModel,
};

const EDGE: Trigger = Trigger::Edge;
const LEVEL: Trigger = Trigger::Level;

fn interrupt(id: IntId, trigger: Trigger) -> Interrupt {
    Interrupt { line: Line::Gic(id), trigger }
}

#[test]
fn ram_is_every_entry_of_every_node_also_above_4_gib() {
    let machine = Writer::new()
        .begin("ram")
        .text("device_type", &["memory"])
        .list_64("reg", &[0x8000_0000, 0x4000_0000, 0x8_8000_0000, 0x1_0000_0000, 0, 0])
        .end()
        .ram(0x100_0000_0000, 0x2000)
        .read();
    let banks = [
        range(0x8000_0000, 0x4000_0000),
        range(0x8_8000_0000, 0x1_0000_0000),
        range(0x100_0000_0000, 0x2000),
    ];
    assert_eq!(machine.ram, banks);
    assert_eq!(machine.memory(), 0x1_4000_2000);
    assert_eq!(problems(&machine), []);
}

#[test]
fn cells_are_counted_as_the_bus_says() {
    for (address, size, reg) in [
        (1, 1, &[0x4000_0000, 0x1000_0000][..]),
        (2, 1, &[0, 0x4000_0000, 0x1000_0000]),
        (1, 2, &[0x4000_0000, 0, 0x1000_0000]),
        (3, 1, &[0, 0, 0x4000_0000, 0x1000_0000]),
    ] {
        let machine = Writer::with_reservations(&[])
            .cells(address, size)
            .begin("memory")
            .text("device_type", &["memory"])
            .list("reg", reg)
            .end()
            .read();
        assert_eq!(machine.ram, [range(0x4000_0000, 0x1000_0000)], "{address}, {size}");
    }
    // Where nothing is said, two and one (section 2.3.5).
    let memory = Writer::with_reservations(&[]).begin("m").text("device_type", &["memory"]);
    let machine = memory.list("reg", &[1, 0, 0x1000]).end().read();
    assert_eq!(machine.ram, [range(0x1_0000_0000, 0x1000)]);
}

#[test]
fn a_tree_without_ram_is_of_no_use() {
    let no_memory = |writer: Writer| {
        assert_eq!(Machine::read(&writer.finish()).err(), Some(MachineError::NoMemory));
    };
    no_memory(Writer::new().gic());
    no_memory(Writer::new().ram(0x4000_0000, 0));
    no_memory(Writer::new().begin("m").text("device_type", &["memory"]).end());
    let memory = || Writer::new().begin("m").text("device_type", &["memory"]);
    no_memory(memory().list("reg", &[0, 0x4000_0000, 0]));
    no_memory(memory().list_64("reg", &[0x4000_0000, 0x1000]).text("status", &["disabled"]));
    no_memory(memory().list_64("reg", &[u64::MAX - 1, 0x1000]));
    // Cells that are too many to read, or none, do not make RAM of nothing.
    let cells = |address, size| {
        let root = Writer::with_reservations(&[]).cells(address, size);
        root.begin("m").text("device_type", &["memory"]).list("reg", &[1, 1, 1, 1])
    };
    no_memory(cells(4, 0));
    no_memory(cells(0, 0));
    no_memory(cells(u32::MAX, u32::MAX));
}

#[test]
fn reservations_come_from_the_block_and_from_the_nodes() {
    let machine = Writer::with_reservations(&[(0x4000_0000, 0x1000), (0x4800_0000, 0x20)])
        .cells(2, 2)
        .ram(0x4000_0000, 0x1000_0000)
        .begin("reserved-memory")
        .cells(2, 2)
        .flag("ranges")
        .begin("firmware@41000000")
        .list_64("reg", &[0x4100_0000, 0x1000, 0x4200_0000, 0x2000])
        .flag("no-map")
        .end()
        .begin("anywhere")
        .list_64("size", &[0x10_0000])
        .end()
        .begin("unused@43000000")
        .list_64("reg", &[0x4300_0000, 0x1000])
        .text("status", &["disabled"])
        .end()
        .end()
        .read();
    let reserved: Vec<_> = machine.reservations.iter().map(|r| (r.range, r.no_map)).collect();
    let expected = [
        (range(0x4000_0000, 0x1000), false),
        (range(0x4800_0000, 0x20), false),
        (range(0x4100_0000, 0x1000), true),
        (range(0x4200_0000, 0x2000), true),
    ];
    assert_eq!(reserved, expected);
    assert_eq!(problems(&machine), []);
}

#[test]
fn a_reservation_that_makes_little_sense_is_kept_all_the_same() {
    let machine = Writer::machine()
        .begin("reserved-memory")
        .cells(2, 2)
        .begin("wild")
        .list_64("reg", &[0x4000_1000, 0x1000, u64::MAX - 0xfff, 0x2000])
        .read();
    let reserved: Vec<_> = machine.reservations.iter().map(|r| r.range).collect();
    assert_eq!(reserved, [range(0x4000_1000, 0x1000), range(u64::MAX - 0xfff, 0xfff)]);
    assert_eq!(problems(&machine), [("wild", Problem::NotTranslatable); 2]);
}

#[test]
fn too_many_reservations_end_the_boot() {
    let mut ranges: Vec<_> = (0..RESERVATIONS as u64).map(|n| (n * 0x2000, 0x1000)).collect();
    let tree = |ranges: &[_]| {
        Writer::with_reservations(ranges).cells(2, 2).ram(0x4000_0000, 0x1000).finish()
    };
    assert!(Machine::read(&tree(&ranges)).is_ok());
    ranges.push((0x1000_0000, 1));
    let error = Machine::read(&tree(&ranges)).err();
    assert_eq!(error, Some(MachineError::TooManyReservations));
}

/// Two UARTs on a bus, an alias for the second, and `/chosen` with the console's path.
fn two_uarts(stdout_path: Option<&str>) -> Machine {
    told_two_uarts(stdout_path, "")
}

/// The same, with boot arguments.
fn told_two_uarts(stdout_path: Option<&str>, bootargs: &str) -> Machine {
    let writer = Writer::machine()
        .begin("soc@0")
        .cells(2, 2)
        .flag("ranges")
        .device("serial@1000", "arm,pl011", 0x1000, 0x1000)
        .list("interrupts", &[0, 3, 4])
        .end()
        .device("serial@2000", "snps,dw-apb-uart", 0x2000, 0x100)
        .cell("reg-shift", 2)
        .cell("reg-io-width", 4)
        .list("interrupts", &[0, 4, 4])
        .end()
        .end()
        .begin("aliases")
        .text("serial7", &["/soc@0/serial@2000"])
        .text("nowhere", &["/soc@0/serial@3000"])
        .end()
        .begin("chosen")
        .text("bootargs", &[bootargs]);
    match stdout_path {
        Some(path) => writer.text("stdout-path", &[path]).read(),
        None => writer.read(),
    }
}

#[test]
fn the_console_is_where_stdout_path_leads() {
    for path in [
        "/soc@0/serial@2000",
        "/soc@0/serial@2000:115200n8",
        "/soc/serial@2000",
        "serial7",
        "serial7:115200n8",
        "serial7:",
    ] {
        let machine = two_uarts(Some(path));
        assert_eq!(problems(&machine), [], "{path}");
        let console = machine.console.expect(path);
        assert_eq!(console.registers, range(0x2000, 0x100), "{path}");
        let model = UartModel::Ns16550 { register_shift: 2, access_width: 4 };
        assert_eq!(console.model, model, "{path}");
        assert_eq!(console.interrupt, Some(interrupt(IntId::spi(4), LEVEL)), "{path}");
        assert_eq!(machine.uarts.len(), 2, "{path}");
    }
}

#[test]
fn the_first_uart_serves_where_stdout_path_leads_nowhere() {
    assert_eq!(problems(&two_uarts(None)), []);
    for path in ["", "/", ":", "/soc@0", "nowhere", "serial0", "/serial@2000", "/soc@1/serial@2000"]
    {
        let machine = two_uarts(Some(path));
        let told = [
            ("chosen", Problem::NoSuchConsole("stdout-path")),
            ("serial@1000", Problem::IsConsole(None)),
        ];
        assert_eq!(problems(&machine), told, "{path}");
        assert_eq!(machine.console.expect(path).registers, range(0x1000, 0x1000), "{path}");
    }
    let machine = Writer::machine().read();
    assert_eq!((machine.console, problems(&machine)), (None, vec![]));
    assert_eq!(machine.to_string(), "unknown machine: 16 MiB, GICv2, no UART, 0 cores");
}

#[test]
fn the_boot_arguments_name_the_console_as_linux_does() {
    for (bootargs, console) in [
        ("console=ttyAMA0", 0x1000),
        ("console=ttyS0", 0x2000),
        ("console=ttyS7,115200n8", 0x2000), // by its alias
        ("console=ttyS0 console=ttyAMA0", 0x1000),
        ("console=ttyS0 console=tty0 quiet", 0x2000),
        ("earlycon=uart8250,mmio32,0x2000,115200", 0x2000),
        ("earlycon=pl011,0x1000", 0x1000),
        ("earlycon", 0x1000),
        ("console=hvc0 consoles=ttyS0", 0x1000),
    ] {
        let machine = told_two_uarts(None, bootargs);
        assert_eq!(machine.console.expect(bootargs).registers.start().0, console, "{bootargs}");
        assert_eq!(problems(&machine), [], "{bootargs}");
    }
}

#[test]
fn consoles_that_disagree_are_told_which_counts() {
    let (path, none) = (Problem::IsNotConsole("stdout-path"), Problem::NoSuchConsole("console="));
    let early = Problem::IsNotConsole("earlycon=");
    for (stdout_path, bootargs, console, told) in [
        (
            Some("serial7"),
            "console=ttyAMA0",
            0x1000,
            vec![("serial@2000", path), ("serial@1000", Problem::IsConsole(Some("console=")))],
        ),
        (
            Some("serial7"),
            "earlycon=pl011,0x1000",
            0x2000,
            vec![("serial@1000", early), ("serial@2000", Problem::IsConsole(Some("stdout-path")))],
        ),
        (
            None,
            "console=ttyS0 earlycon=pl011,0x1000",
            0x2000,
            vec![("serial@1000", early), ("serial@2000", Problem::IsConsole(Some("console=")))],
        ),
        (
            Some("/soc/serial@2000"),
            "console=ttyS1",
            0x2000,
            vec![("chosen", none), ("serial@2000", Problem::IsConsole(Some("stdout-path")))],
        ),
        (
            None,
            "console=ttyAMA9 earlycon=uart,mmio,0x9999",
            0x1000,
            vec![
                ("chosen", none),
                ("chosen", Problem::NoSuchConsole("earlycon=")),
                ("serial@1000", Problem::IsConsole(None)),
            ],
        ),
    ] {
        let machine = told_two_uarts(stdout_path, bootargs);
        assert_eq!(machine.console.expect(bootargs).registers.start().0, console, "{bootargs}");
        assert_eq!(problems(&machine), told, "{bootargs}");
    }
}

#[test]
fn banks_that_overlap_are_told_and_count_once() {
    let machine = Writer::new()
        .ram(0x4000_0000, 0x20_0000)
        .ram(0x4010_0000, 0x20_0000)
        .ram(0x4030_0000, 0x10_0000)
        .read();
    assert_eq!(problems(&machine), [("memory@40100000", Problem::Overlaps)]);
    assert_eq!(machine.memory(), 0x40_0000);
}

#[test]
fn what_lies_over_the_image_or_the_tree_is_told() {
    let (image, tree) = (range(0x4010_0000, 0x10_0000), range(0x4080_0000, 0x1000));
    let conflicts = |machine: &Machine| machine.conflicts(image, tree).collect::<Vec<_>>();
    assert_eq!(conflicts(&Writer::machine().read()), []);
    // Two banks that touch are one.
    let halves = Writer::new().ram(0x4000_0000, 0x18_0000).ram(0x4018_0000, 0x10_0000);
    assert_eq!(conflicts(&halves.read()), []);

    let elsewhere = Writer::new().ram(0x4018_0000, 0x10_0000).read();
    assert_eq!(conflicts(&elsewhere), [Conflict::ImageOutside(image)]);

    let reserved = [(0x4000_0000, 0x10_0000), (0x401f_f000, 0x1000), (0x4080_0000, 0x1000)];
    let machine = Writer::with_reservations(&reserved).cells(2, 2).ram(0x4000_0000, 0x100_0000);
    assert_eq!(
        conflicts(&machine.read()),
        [Conflict::ReservedOverImage(range(0x401f_f000, 0x1000))],
        "what reserves the tree itself is as it should be"
    );
    for (start, told) in [
        (0x401f_0000, Conflict::InitrdOverImage as fn(_) -> _),
        (0x407f_0000, Conflict::InitrdOverTree),
    ] {
        let chosen = Writer::machine().begin("chosen").cell("linux,initrd-start", start);
        let machine = chosen.cell("linux,initrd-end", start + 0x2_0000).read();
        assert_eq!(conflicts(&machine), [told(range(start.into(), 0x2_0000))]);
    }
}

#[test]
fn a_uart_with_a_layout_that_cannot_be_is_left_out() {
    for (property, value) in [
        ("reg-shift", 4),
        ("reg-shift", 300),
        ("reg-io-width", 2),
        ("reg-io-width", 3),
        ("reg-io-width", 4),
    ] {
        let uart = Writer::machine().device("uart", "ns16550", 0x1000, 8).cell(property, value);
        let machine = uart.read();
        assert!(machine.uarts.is_empty());
        assert_eq!(problems(&machine), [("uart", Problem::BadProperty(property))]);
    }
}

#[test]
fn virtio_slots_are_sorted_and_may_share_a_page() {
    let mut writer = Writer::machine();
    for n in [3, 0, 2, 1] {
        writer = writer
            .device(&format!("virtio@{n}"), "virtio,mmio", 0xa00_0000 + 0x200 * u64::from(n), 0x200)
            .list("interrupts", &[0, 16 + n, 1]);
        writer = if n == 2 { writer.flag("dma-coherent").end() } else { writer.end() };
    }
    let machine = writer.read();
    assert_eq!(machine.virtio.len(), 4);
    for (n, slot) in (0..).zip(&machine.virtio) {
        assert_eq!(slot.registers, range(0xa00_0000 + 0x200 * u64::from(n), 0x200));
        assert_eq!(slot.interrupt, interrupt(IntId::spi(16 + n), EDGE));
        assert_eq!(slot.dma_coherent, n == 2);
    }
}

#[test]
fn coherence_is_inherited_and_can_be_refused() {
    let slot = |writer: Writer, n: u64| {
        writer.device("v", "virtio,mmio", 0x200 * n, 0x200).list("interrupts", &[0, 1, 1])
    };
    let bus = Writer::machine().begin("bus").cells(2, 2).flag("ranges").flag("dma-coherent");
    let machine = slot(slot(bus, 0).end(), 1).flag("dma-noncoherent").read();
    let coherent: Vec<_> = machine.virtio.iter().map(|slot| slot.dma_coherent).collect();
    assert_eq!(coherent, [true, false]);
}

#[test]
fn more_slots_than_there_is_room_for_are_a_warning() {
    let mut writer = Writer::machine();
    for n in 0..100 {
        writer = writer
            .device(&format!("virtio@{n}"), "virtio,mmio", 0x1000 * n, 0x200)
            .list("interrupts", &[0, 16, 1])
            .end();
    }
    let machine = writer.read();
    assert_eq!(machine.virtio.len(), 64);
    assert_eq!(machine.warnings().len() + machine.warnings_lost(), 36);
    assert_eq!(problems(&machine)[0], ("virtio@64", Problem::NoRoom));
    let words = machine.warnings()[0].to_string();
    assert_eq!(words, "device tree, virtio@64: one too many of its kind");
}

/// One virtio slot whose interrupt properties are `writer`'s to write; its interrupt or what is odd.
fn wired(writer: impl FnOnce(Writer) -> Writer) -> Result<Interrupt, Problem> {
    let slot = Writer::machine().device("slot", "virtio,mmio", 0xa00_0000, 0x200);
    let machine = writer(slot).read();
    match machine.virtio.first() {
        Some(slot) => Ok(slot.interrupt),
        None => Err(problems(&machine)[0].1),
    }
}

#[test]
fn interrupt_specifiers_are_read_as_the_binding_says() {
    let plain = |cells: &[u32]| wired(|slot| slot.list("interrupts", cells));
    assert_eq!(plain(&[0, 0, 1]), Ok(interrupt(IntId::spi(0), EDGE)));
    assert_eq!(plain(&[0, 987, 4]), Ok(interrupt(IntId::spi(987), LEVEL)));
    assert_eq!(plain(&[1, 15, 0xf08]), Ok(interrupt(IntId::ppi(15), LEVEL)));
    assert_eq!(plain(&[0, 5, 2, 9, 9, 9]), Ok(interrupt(IntId::spi(5), EDGE)));
    assert_eq!(plain(&[0, 5, 0]), Ok(interrupt(IntId::spi(5), LEVEL)));

    let bad = Err(Problem::BadProperty("interrupts"));
    for cells in [
        &[][..],
        &[0, 5],
        &[0, 988, 4],
        &[0, u32::MAX, 4],
        &[1, 16, 4],
        &[2, 0, 4], // extended: for version 3 only
        &[3, 0, 4],
        &[4, 0, 4],
        &[0, 5, 5],
    ] {
        assert_eq!(plain(cells), bad, "{cells:?}");
    }
    assert_eq!(wired(|slot| slot), bad);
}

#[test]
fn interrupts_go_where_the_tree_says() {
    let foreign = Err(Problem::ForeignInterrupt);
    let ours = Ok(interrupt(IntId::spi(7), EDGE));
    let plain = |slot: Writer| slot.list("interrupts", &[0, 7, 1]);
    assert_eq!(wired(|slot| plain(slot).cell("interrupt-parent", GIC)), ours);
    assert_eq!(wired(|slot| plain(slot).cell("interrupt-parent", 9)), foreign);
    assert_eq!(wired(|slot| plain(slot).flag("interrupt-parent")), foreign);

    let extended = |cells: &[u32]| wired(|slot| slot.list("interrupts-extended", cells));
    assert_eq!(extended(&[GIC, 0, 7, 1]), ours);
    assert_eq!(extended(&[9, 0, 7, 1]), foreign);
    assert_eq!(extended(&[GIC, 0, 7]), Err(Problem::BadProperty("interrupts-extended")));
    let both = |slot: Writer| slot.list("interrupts", &[0, 1, 4]);
    assert_eq!(wired(|slot| both(slot).list("interrupts-extended", &[GIC, 0, 7, 1])), ours);

    // Below a node that takes interrupts itself (a PCI bridge, say), they go there.
    let bridge = Writer::machine().begin("bridge").cells(2, 2).flag("ranges");
    let bridge = bridge.cell("#interrupt-cells", 1).cell("phandle", 5);
    let slot = bridge.device("slot", "virtio,mmio", 0, 0x200).list("interrupts", &[0, 7, 1]);
    assert_eq!(problems(&slot.read()), [("slot", Problem::ForeignInterrupt)]);
}

/// A GICv3 with the given cells a specifier and regions of redistributors, still open.
fn gic_v3(cells: u32, regions: &[u64]) -> Writer {
    let reg = [&[0x800_0000, 0x1_0000], regions, &[0x900_0000, 0x2000]].concat();
    Writer::new()
        .ram(0x4000_0000, 0x100_0000)
        .begin("intc")
        .text("compatible", &["arm,gic-v3"])
        .list_64("reg", &reg)
        .cell("#interrupt-cells", cells)
        .cell("phandle", GIC)
}

#[test]
fn a_gic_v3_may_have_many_regions() {
    let regions = [0x80a_0000, 0x2_0000, 0x1_0000_0000, 0x4_0000];
    let machine = gic_v3(3, &regions)
        .cell("#redistributor-regions", 2)
        .list_64("redistributor-stride", &[0x4_0000])
        .read();
    let expected = InterruptController::GicV3 {
        distributor: range(0x800_0000, 0x1_0000),
        redistributors: [range(0x80a_0000, 0x2_0000), range(0x1_0000_0000, 0x4_0000)]
            .into_iter()
            .collect(),
        redistributor_stride: Some(0x4_0000),
    };
    assert_eq!(machine.interrupt_controller, Some(expected));
    assert_eq!(problems(&machine), []);

    for (regions, stride, problem) in [
        (0, 0, Problem::BadProperty("#redistributor-regions")),
        (2, 0x1234, Problem::BadProperty("redistributor-stride")),
        (5, 0, Problem::BadProperty("reg")),
    ] {
        let machine = gic_v3(3, &[0x80a_0000, 0x2_0000])
            .cell("#redistributor-regions", regions)
            .cell("redistributor-stride", stride)
            .read();
        assert_eq!(machine.interrupt_controller, None);
        assert_eq!(problems(&machine), [("intc", problem)]);
    }
}

#[test]
fn a_gic_v3_has_extended_interrupts_and_core_sets() {
    let slot = |cells: u32, specifier: &[u32]| {
        let machine = gic_v3(cells, &[0x80a_0000, 0x2_0000])
            .end()
            .device("slot", "virtio,mmio", 0, 0x200)
            .list("interrupts", specifier)
            .read();
        machine.virtio.first().map(|slot| slot.interrupt)
    };
    assert_eq!(slot(3, &[2, 1023, 1]), Some(interrupt(IntId::espi(1023), EDGE)));
    assert_eq!(slot(3, &[3, 63, 4]), Some(interrupt(IntId::eppi(63), LEVEL)));
    assert_eq!(slot(3, &[2, 1024, 1]), None);
    assert_eq!(slot(3, &[3, 64, 4]), None);
    assert_eq!(slot(4, &[0, 3, 1, 0]), Some(interrupt(IntId::spi(3), EDGE)));
    assert_eq!(slot(4, &[1, 3, 4, 0]), Some(interrupt(IntId::ppi(3), LEVEL)));
    assert_eq!(slot(4, &[1, 3, 4, 77]), None);
    assert_eq!(slot(4, &[0, 3, 1]), None);
    assert_eq!(slot(2, &[0, 3, 1]), None);
}

#[test]
fn without_a_known_controller_there_are_no_interrupts_and_one_thing_missing() {
    let machine = Writer::new()
        .ram(0x4000_0000, 0x1000)
        .device("uart", "arm,pl011", 0x1000, 0x1000)
        .list("interrupts", &[0, 1, 4])
        .end()
        .device("slot", "virtio,mmio", 0, 0x200)
        .list("interrupts", &[0, 2, 1])
        .end()
        .device("plic", "riscv,plic0", 0x9000_0000, 0x1000)
        .cell("#interrupt-cells", 1)
        .read();
    assert_eq!(machine.interrupt_controller, None);
    assert_eq!(machine.console.expect("the UART").interrupt, None);
    assert!(machine.virtio.is_empty());
    assert_eq!(problems(&machine), []);
    assert_eq!(
        machine.to_string(),
        "unknown machine: 0 MiB, no interrupt controller, PL011, 0 cores"
    );
}

#[test]
fn the_timer_is_found_by_place_or_by_name() {
    let timer = |writer: Writer| {
        let machine = writer.read();
        (machine.timer, problems(&machine).first().map(|(_, problem)| *problem))
    };
    let node = || Writer::machine().begin("timer").text("compatible", &["arm,armv8-timer"]);
    let ppis = |numbers: &[u32]| -> Vec<u32> { numbers.iter().flat_map(|n| [1, *n, 4]).collect() };

    let (found, _) = timer(node().list("interrupts", &ppis(&[13, 14, 11, 10])));
    assert_eq!(found.expect("a timer").virtual_timer, interrupt(IntId::ppi(11), LEVEL));
    assert_eq!(found.expect("a timer").physical_timer, Some(interrupt(IntId::ppi(14), LEVEL)));

    let named = node()
        .list("interrupts", &ppis(&[1, 2, 3]))
        .text("interrupt-names", &["hyp-phys", "virt", "x"]);
    let (found, _) = timer(named);
    assert_eq!(found.expect("a timer").virtual_timer.line, Line::Gic(IntId::ppi(2)));
    assert_eq!(found.expect("a timer").physical_timer, None);

    let extended = [[GIC, 1, 13, 4], [GIC, 1, 14, 4], [GIC, 1, 9, 4]].concat();
    let (found, _) = timer(node().list("interrupts-extended", &extended));
    assert_eq!(found.expect("a timer").virtual_timer.line, Line::Gic(IntId::ppi(9)));

    let bad = Problem::BadProperty("interrupts");
    assert_eq!(timer(node().list("interrupts", &ppis(&[13, 14]))), (None, Some(bad)));
    let bad = Problem::BadProperty("interrupt-names");
    let named = node().list("interrupts", &ppis(&[1])).text("interrupt-names", &["phys"]);
    assert_eq!(timer(named), (None, Some(bad)));
}

#[test]
fn psci_is_called_as_the_tree_says() {
    let psci = |compatible: &[&str], method: &str| {
        let node = Writer::machine().begin("firmware").text("compatible", compatible);
        let machine = node.text("method", &[method]).read();
        machine.psci.ok_or_else(|| problems(&machine)[0].1)
    };
    assert_eq!(psci(&["arm,psci-1.0", "arm,psci"], "smc"), Ok(Conduit::Smc));
    assert_eq!(psci(&["arm,psci-0.2"], "hvc"), Ok(Conduit::Hvc));
    assert_eq!(psci(&["arm,psci"], "hvc"), Err(Problem::Unsupported));
    assert_eq!(psci(&["arm,psci-1.0"], "call"), Err(Problem::BadProperty("method")));
}

#[test]
fn addresses_are_translated_through_every_bus() {
    let on_bus = |outer: &[u32], inner: Option<&[u32]>| {
        let writer = Writer::machine()
            .begin("soc")
            .cells(1, 1)
            .list("ranges", outer)
            .begin("apb")
            .cells(1, 1);
        let writer = match inner {
            Some(ranges) => writer.list("ranges", ranges),
            None => writer,
        };
        let clock = writer.begin("rtc").text("compatible", &["arm,pl031"]);
        let machine = clock.list("reg", &[0x100, 0x1000]).read();
        machine.rtc.ok_or_else(|| problems(&machine)[0].1)
    };
    let at = |start| Ok(Rtc::Pl031(range(start, 0x1000)));
    // Child, parent (2 cells at the root), length.
    let outer = [0x1_0000, 1, 0, 0x1_0000, 0x8_0000, 8, 0, 0x1_0000];
    assert_eq!(on_bus(&outer, Some(&[0, 0x1_0000, 0x8000])), at(0x1_0000_0100));
    assert_eq!(on_bus(&outer, Some(&[0, 0x8_0000, 0x8000])), at(0x8_0000_0100));
    assert_eq!(on_bus(&[0, 2, 0, 0x1_0000], Some(&[])), at(0x2_0000_0100));
    assert_eq!(on_bus(&[], Some(&[])), at(0x100));

    let nowhere = Err(Problem::NotTranslatable);
    assert_eq!(on_bus(&outer, Some(&[])), nowhere); // outside of all ranges
    assert_eq!(on_bus(&outer, None), nowhere); // no way through
    assert_eq!(on_bus(&[0, 2, 0, 0x800], Some(&[])), nowhere); // half in a range
    assert_eq!(on_bus(&[0, 2, 0], Some(&[])), nowhere); // cut
    assert_eq!(on_bus(&[0, u32::MAX, u32::MAX, 0x1_0000], Some(&[])), nowhere); // wraps
}

#[test]
fn what_is_disabled_is_not_there() {
    let uart = |status: &str| {
        let writer = Writer::machine().device("uart", "arm,pl011", 0x1000, 0x1000);
        writer.text("status", &[status]).read().console.is_some()
    };
    assert!(uart("okay") && uart("ok"));
    assert!(!uart("disabled") && !uart("reserved") && !uart("fail-sss") && !uart(""));

    let secure = Writer::machine().device("uart", "arm,pl011", 0x1000, 0x1000);
    let secure = secure.text("status", &["disabled"]).text("secure-status", &["okay"]);
    assert!(secure.read().console.is_none());

    let bus = Writer::machine().begin("soc").cells(2, 2).flag("ranges");
    let bus = bus.text("status", &["disabled"]);
    assert!(bus.device("uart", "arm,pl011", 0x1000, 0x1000).read().console.is_none());
}

#[test]
fn of_two_of_a_kind_the_first_counts() {
    let machine = Writer::machine()
        .device("rtc@1", "arm,pl031", 0x1000, 0x1000)
        .end()
        .device("rtc@2", "arm,pl031", 0x2000, 0x1000)
        .end()
        .gic()
        .read();
    assert_eq!(machine.rtc, Some(Rtc::Pl031(range(0x1000, 0x1000))));
    assert_eq!(problems(&machine), [("rtc@2", Problem::Second), ("intc", Problem::Second)]);
}

#[test]
fn what_the_monitor_tells_of_itself_is_in_memory_that_is_not_ours() {
    let machine = Writer::machine()
        .begin("vmgenid")
        .text("compatible", &["vendor,other", "microsoft,vmgenid"])
        .list_64("reg", &[0x4000_1008, 16])
        .list("interrupts", &[0, 35, 1])
        .end()
        .device("ptp@40003000", "amazon,vmclock", 0x4000_3000, 0x1000)
        .end()
        .begin("hypervisor")
        .text("compatible", &["xen,xen-4.17", "xen,xen"])
        .read();
    let spi = interrupt(IntId::spi(35), EDGE);
    let generation = NoticeBoard { memory: range(0x4000_1008, 16), interrupt: Some(spi) };
    let vmclock = NoticeBoard { memory: range(0x4000_3000, 0x1000), interrupt: None };
    assert_eq!((machine.generation, machine.vmclock), (Some(generation), Some(vmclock)));
    assert_eq!(problems(&machine), []);
    assert!(machine.is_xen);
    let free = machine.free_memory([range(0, 0); 3]);
    for board in [generation, vmclock] {
        assert!(machine.ram.iter().any(|bank| bank.contains(&board.memory)), "it is RAM");
        assert!(!free.iter().any(|free| free.overlaps(&board.memory)), "and not free");
    }
}

#[test]
fn what_the_monitor_tells_badly_is_told() {
    let read = |compatible, length, lines: &[u32]| {
        let node = Writer::machine().device("told", compatible, 0x4000_1000, length);
        let machine = node.list("interrupts", lines).read();
        let boards = [machine.generation, machine.vmclock];
        (
            boards.into_iter().flatten().next(),
            problems(&machine).first().map(|(_, problem)| *problem),
        )
    };
    let short = (None, Some(Problem::BadProperty("reg")));
    assert_eq!(read("microsoft,vmgenid", 15, &[0, 35, 1]), short);
    assert_eq!(read("microsoft,vmgenid", 0, &[0, 35, 1]), short);
    assert_eq!(read("amazon,vmclock", 103, &[0, 35, 1]), short);
    // Without an interrupt that is understood it can be looked at all the same.
    let (board, problem) = read("microsoft,vmgenid", 16, &[0, 9999, 1]);
    assert_eq!(board.map(|board| board.interrupt), Some(None));
    assert_eq!(problem, Some(Problem::BadProperty("interrupts")));

    let twice = Writer::machine().device("one", "amazon,vmclock", 0x4000_1000, 0x1000).end();
    let machine = twice.device("two", "amazon,vmclock", 0x4000_2000, 0x1000).read();
    assert_eq!(machine.vmclock.map(|board| board.memory), Some(range(0x4000_1000, 0x1000)));
    assert_eq!(problems(&machine), [("two", Problem::Second)]);
    assert_eq!(machine.reservations.len(), 1);
}

#[test]
fn the_initrd_is_where_chosen_says() {
    let initrd = |write: fn(Writer) -> Writer| {
        let machine = write(Writer::machine().begin("chosen")).read();
        (machine.initrd, problems(&machine).len())
    };
    let found = (Some(range(0x4400_0000, 0x123)), 0);
    assert_eq!(
        initrd(|w| w.cell("linux,initrd-start", 0x4400_0000).cell("linux,initrd-end", 0x4400_0123)),
        found
    );
    assert_eq!(
        initrd(|w| w
            .list_64("linux,initrd-start", &[0x4400_0000])
            .list_64("linux,initrd-end", &[0x4400_0123])),
        found
    );
    assert_eq!(initrd(|w| w.cell("linux,initrd-start", 5).cell("linux,initrd-end", 5)), (None, 0));
    assert_eq!(initrd(|w| w.cell("linux,initrd-start", 5).cell("linux,initrd-end", 4)), (None, 1));
    assert_eq!(initrd(|w| w.cell("linux,initrd-start", 5)), (None, 1));
    assert_eq!(initrd(|w| w.cell("linux,initrd-end", 5)), (None, 1));
}

#[test]
fn bootargs_are_taken_whole_or_not_at_all() {
    let bootargs = |value: &[u8]| {
        let machine = Writer::machine().begin("chosen").bytes("bootargs", value).read();
        (machine.bootargs().len(), problems(&machine).len())
    };
    assert_eq!(bootargs(b"ip=dhcp log=info\0"), (16, 0));
    assert_eq!(bootargs(b"\0"), (0, 0));
    assert_eq!(bootargs(b"ip=dhcp"), (0, 1), "not terminated");
    assert_eq!(bootargs(b""), (0, 1));
    assert_eq!(bootargs(b"ip=\xff\xfe\0"), (0, 1), "not UTF-8");
    assert_eq!(bootargs(&[&[b'a'; 2048][..], &[0]].concat()), (2048, 0));
    assert_eq!(bootargs(&[&[b'a'; 2049][..], &[0]].concat()), (0, 1), "too long");
}

#[test]
fn the_machine_is_called_by_its_model() {
    let named = |model: &[&str], compatible: &[&str]| {
        let writer = Writer::with_reservations(&[]).text("model", model);
        let writer = writer.text("compatible", compatible).cells(2, 2);
        let machine = writer.ram(0x4000_0000, 0x4000_0000);
        let core = |writer: Writer| writer.begin("c").text("device_type", &["cpu"]).end();
        core(core(machine)).read()
    };
    let machine = named(&["Acme Board"], &["acme,board-2", "acme,board"]);
    assert_eq!(machine.compatible, "acme,board-2");
    let line = "Acme Board: 1024 MiB, no interrupt controller, no UART, 2 cores";
    assert_eq!(machine.to_string(), line);
    let line = "acme,b: 1024 MiB, no interrupt controller, no UART, 2 cores";
    assert_eq!(named(&[], &["acme,b"]).to_string(), line);
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize| {
        let mut writer = Writer::machine();
        for level in 0..levels {
            writer = writer.begin(&format!("level{level}"));
        }
        Machine::read(&writer.finish()).map(|machine| machine.warnings().len())
    };
    assert_eq!(nested(DEPTH), Ok(0));
    assert_eq!(nested(DEPTH + 1), Err(MachineError::TooDeep));
    assert_eq!(nested(60), Err(MachineError::TooDeep));
}

/// Overwrites what `dtc` and boot loaders overwrite when they delete something: `FDT_NOP`.
#[test]
fn nops_are_passed_over() {
    let tree = || {
        Writer::machine()
            .device("uart@1", "arm,pl011", 0x1000, 0x1000)
            .list("interrupts", &[0, 1, 4])
            .end()
            .device("uart@2", "arm,pl011", 0x2000, 0x1000)
            .list("interrupts", &[0, 2, 4])
            .end()
    };
    let bytes = tree().finish();
    let find = |bytes: &[u8], what: &[u8]| {
        bytes.windows(what.len()).position(|window| window == what).expect("is there")
    };
    let blank = |bytes: &[u8], start: usize, end: usize| {
        let mut bytes = bytes.to_vec();
        assert_eq!((start % 4, end % 4), (0, 0));
        for nop in bytes[start..end].chunks_mut(4) {
            nop.copy_from_slice(&[0, 0, 0, 4]);
        }
        Machine::read(&bytes).expect("still a tree")
    };
    // A whole node: from its FDT_BEGIN_NODE to past its FDT_END_NODE.
    let (first, second) = (find(&bytes, b"uart@1\0") - 4, find(&bytes, b"uart@2\0") - 4);
    let machine = blank(&bytes, first, second);
    assert_eq!(machine.uarts.len(), 1);
    assert_eq!(machine.console.expect("the other").registers, range(0x2000, 0x1000));
    // A property: the header's three words and the value's three.
    let interrupts = find(&bytes, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
    let machine = blank(&bytes, interrupts - 12, interrupts + 12);
    assert_eq!(machine.uarts.len(), 2);
    assert_eq!((machine.uarts[0].interrupt, machine.uarts[1].interrupt.is_some()), (None, true));
}

#[test]
fn what_is_no_tree_is_refused() {
    let tree = Writer::machine().finish();
    let patched = |offset: usize, value: u32| {
        let mut tree = tree.clone();
        tree[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        Machine::read(&tree).err()
    };
    assert_eq!(Machine::read(&[]).err(), Some(MachineError::NotATree));
    assert_eq!(Machine::read(&tree[..39]).err(), Some(MachineError::NotATree));
    assert_eq!(Machine::read(&[0; 64]).err(), Some(MachineError::NotATree));
    assert_eq!(Machine::read(&tree[..tree.len() - 1]).err(), Some(MachineError::Truncated));
    assert_eq!(Tree::check(&tree), Ok(tree.len()));

    assert_eq!(patched(0, 0xd00d_feee), Some(MachineError::NotATree));
    assert_eq!(patched(4, 0x20_0001), Some(MachineError::TooLarge(0x20_0001)));
    assert_eq!(patched(4, 39), Some(MachineError::Truncated));
    for offset in [8, 12, 16, 32, 36] {
        assert_eq!(patched(offset, u32::MAX), Some(MachineError::Truncated), "{offset}");
    }
    for offset in [8, 12, 16] {
        assert_eq!(patched(offset, 0), Some(MachineError::Truncated), "{offset}");
    }
    assert_eq!(patched(20, 16), Some(MachineError::Version(16)));
    assert_eq!(patched(24, 18), Some(MachineError::Version(17)));
    for size in [0, 1, 4, 8] {
        assert_eq!(patched(36, size), Some(MachineError::BadStructure), "{size}");
    }
}

#[test]
fn a_structure_block_of_nothing_is_refused() {
    let tree = Writer::machine().finish();
    let word = |n: usize| u32::from_be_bytes(tree[n * 4..n * 4 + 4].try_into().expect("four"));
    let (start, size) = (word(2) as usize, word(9) as usize);
    for last in [4, 9] {
        let mut tree = tree.clone();
        for token in tree[start..start + size].chunks_mut(4) {
            token.copy_from_slice(&[0, 0, 0, 4]); // FDT_NOP
        }
        tree[start + size - 1] = last; // FDT_END, or one more FDT_NOP
        assert_eq!(Machine::read(&tree).err(), Some(MachineError::BadStructure), "{last}");
    }
}

/// A PL061 and a key on one of its lines, written by `key` after the controller.
fn with_key(key: impl FnOnce(Writer) -> Writer) -> Machine {
    key(gpio(Writer::machine(), "arm,pl061")).read()
}

/// The GPIO controller's handle.
const GPIO: u32 = 9;

fn gpio(writer: Writer, compatible: &str) -> Writer {
    writer
        .begin("gpio@9030000")
        .text("compatible", &[compatible, "arm,primecell"])
        .list_64("reg", &[0x0903_0000, 0x1000])
        .list("interrupts", &[0, 7, 4])
        .cell("#gpio-cells", 2)
        .cell("phandle", GPIO)
        .end()
}

/// A `gpio-keys` node with one key.
fn key(writer: Writer, gpios: &[u32], code: u32) -> Writer {
    let keys = writer.begin("gpio-keys").text("compatible", &["gpio-keys"]).begin("poweroff");
    keys.list("gpios", gpios).cell("linux,code", code).end().end()
}

fn button_on(line: u8, pressed: Pressed) -> Option<PowerButton> {
    let interrupt = interrupt(IntId::spi(7), LEVEL);
    Some(PowerButton { registers: range(0x0903_0000, 0x1000), interrupt, line, pressed })
}

#[test]
fn the_power_button_is_a_key_on_a_line() {
    for (flags, pressed) in [(0, Pressed::High), (1, Pressed::Low), (4, Pressed::High)] {
        for line in [0, 3, 7] {
            let machine = with_key(|tree| key(tree, &[GPIO, line.into(), flags], 116));
            assert_eq!(machine.power_button, button_on(line, pressed), "{flags}, {line}");
            assert_eq!(problems(&machine), []);
        }
    }
    // The key may come before its controller.
    let machine = gpio(key(Writer::machine(), &[GPIO, 3, 0], 116), "arm,pl061").read();
    assert_eq!(machine.power_button, button_on(3, Pressed::High));
}

#[test]
fn a_key_for_something_else_is_no_power_button() {
    for code in [1, 115, 142, 116 << 8] {
        let machine = with_key(|tree| key(tree, &[GPIO, 3, 0], code));
        assert_eq!(machine.power_button, None, "{code}");
        assert_eq!(problems(&machine), []);
    }
    let keys = |tree: Writer| tree.begin("keys").text("compatible", &["gpio-keys"]);
    let machine = with_key(|tree| keys(tree).begin("a").list("gpios", &[GPIO, 3, 0]).end().end());
    assert_eq!((machine.power_button, problems(&machine)), (None, vec![]));
    let machine = with_key(|tree| {
        let off = keys(tree).begin("off").list("gpios", &[GPIO, 3, 0]).cell("linux,code", 116);
        off.text("status", &["disabled"]).end().end()
    });
    assert_eq!((machine.power_button, problems(&machine)), (None, vec![]));
    assert_eq!(with_key(|tree| keys(tree).end()).power_button, None);
}

#[test]
fn a_power_button_that_makes_no_sense_is_told_and_costs_nothing_else() {
    let bad = Problem::BadProperty("gpios");
    for (gpios, problem) in [
        (&[][..], bad),
        (&[GPIO], bad),
        (&[GPIO, 3], bad),
        (&[GPIO, 3, 0, 0], bad),
        (&[GPIO, 8, 0], bad),
        (&[GPIO, 0x103, 0], bad),
        (&[GPIO, u32::MAX, 0], bad),
        (&[77, 3, 0], Problem::ForeignLine),
    ] {
        let machine = with_key(|tree| key(tree, gpios, 116));
        assert_eq!(machine.power_button, None);
        assert_eq!(problems(&machine), [("poweroff", problem)], "{gpios:?}");
        assert!(machine.interrupt_controller.is_some());
    }
    let other = key(gpio(Writer::machine(), "acme,gpio"), &[GPIO, 3, 0], 116).read();
    assert_eq!(problems(&other), [("poweroff", Problem::ForeignLine)]);
    let nothing = Writer::machine().begin("k").text("compatible", &["gpio-keys"]).begin("poweroff");
    let nothing = nothing.cell("linux,code", 116).end().end().read();
    assert_eq!(problems(&nothing), [("poweroff", bad)]);
}

#[test]
fn a_gpio_controller_that_makes_no_sense_is_told() {
    let controller = || Writer::machine().begin("g").text("compatible", &["arm,pl061"]);
    let described = |writer: Writer, reg: &[u64], lines: &[u32], cells: u32| {
        let writer = writer.list_64("reg", reg).list("interrupts", lines);
        let writer = writer.cell("#gpio-cells", cells).cell("phandle", GPIO).end();
        key(writer, &[GPIO, 3, 0], 116).read()
    };
    let (reg, lines) = (&[0x0903_0000, 0x1000][..], &[0, 7, 4][..]);
    assert!(described(controller(), reg, lines, 2).power_button.is_some());
    for (machine, expected) in [
        (described(controller(), reg, lines, 3), vec![("g", Problem::BadProperty("#gpio-cells"))]),
        (described(controller(), reg, &[0], 2), vec![("g", Problem::BadProperty("interrupts"))]),
        (
            described(controller(), &[0x0903_0000], lines, 2),
            vec![("g", Problem::BadProperty("reg")), ("poweroff", Problem::ForeignLine)],
        ),
    ] {
        assert_eq!(machine.power_button, None);
        assert_eq!(problems(&machine), expected);
    }
    // One that nobody needs may be as it likes.
    let unused = controller().list_64("reg", reg).end().read();
    assert_eq!(problems(&unused), []);
}

#[test]
fn of_two_power_buttons_the_first_is_used() {
    let machine = with_key(|tree| {
        let keys = tree.begin("gpio-keys").text("compatible", &["gpio-keys"]);
        let one = keys.begin("one").list("gpios", &[GPIO, 1, 0]).cell("linux,code", 116).end();
        one.begin("two").list("gpios", &[GPIO, 2, 0]).cell("linux,code", 116).end().end()
    });
    assert_eq!(machine.power_button, button_on(1, Pressed::High));
    assert_eq!(problems(&machine), [("two", Problem::Second)]);
}
