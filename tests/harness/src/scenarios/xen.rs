//! Under another hypervisor: Debian's Xen for arm64, as a guest that Xen makes at boot, and as the
//! hardware domain.

use anyhow::{Context as _, Result, ensure};

use crate::client::{PATIENCE, connect};
use crate::conformance::{self, Verdict};
use crate::http::Client;
use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::{Device, Tree};
use crate::{
    Board, Context, Ending, Forward, Guest, LeftOut, Machine, Mode, Network, Scenario, Shutdown,
};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["xen":
    Quick hello_as_a_guest,
    Long hello_as_a_guest_on_gicv2,
    Long hello_as_a_guest_with_every_feature,
    Quick a_guests_timer_is_exact,
    Quick a_guest_is_typed_to,
    Long a_guest_that_restarts_is_stopped,
    Quick the_gateway_as_the_hardware_domain,
    Long the_gateway_as_the_hardware_domain_on_gicv2,
    Quick a_hardware_domain_has_everything,
    Long the_hardware_domain_restarts_its_machine,
    Quick a_tree_that_claims_xen_is_told,
];

const GUEST: &str = "xen-domu";
const HARDWARE: &str = "xen";

/// The machine outlives it: what is looked for is its own word, and Xen's that it was stopped.
fn hello_as_a_guest(context: &Context) -> Result<()> {
    greets(context, GUEST, &["GICv3, SBSA UART"])
}

fn hello_as_a_guest_on_gicv2(context: &Context) -> Result<()> {
    greets(context, "xen-domu-gicv2", &["GICv2, SBSA UART"])
}

/// What Xen hides of it from its guests is not used.
fn hello_as_a_guest_with_every_feature(context: &Context) -> Result<()> {
    greets(context, "xen-domu-max", &["GICv3, SBSA UART", "QEMU max"])
}

/// Interrupts come by Xen's interrupt controller, from its virtual timer.
fn a_guests_timer_is_exact(context: &Context) -> Result<()> {
    let ending = context.machine(GUEST, "timer_is_exact")?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)
}

fn a_guest_is_typed_to(context: &Context) -> Result<()> {
    is_typed_to(context, GUEST)
}

/// Nobody is there to start it again: it is what its operator restarts with the machine.
fn a_guest_that_restarts_is_stopped(context: &Context) -> Result<()> {
    let machine = context
        .machine(GUEST, "faults_are_named")?
        .setting("app.what=panic")
        .setting("on-fault=reset");
    let ending = machine.boot()?.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Reset && ending.fault.is_some(), "{ending}");
    Ok(())
}

fn the_gateway_as_the_hardware_domain(context: &Context) -> Result<()> {
    serves(context, HARDWARE, "GICv3")
}

fn the_gateway_as_the_hardware_domain_on_gicv2(context: &Context) -> Result<()> {
    serves(context, "xen-gicv2", "GICv2")
}

/// Timer, entropy, a disk, a network, what is typed on a console that does not interrupt, and an end.
fn a_hardware_domain_has_everything(context: &Context) -> Result<()> {
    let board = Board::find(&context.boards, HARDWARE)?;
    let findings = conformance::on_a_board(context, &board, "hardware-domain");
    if let Some(reason) = &findings.left_out {
        return Err(LeftOut(reason.clone()).into());
    }
    ensure!(findings.conform(), "{findings}");
    let is_kept = |(_, verdict): &(_, Verdict)| *verdict == Verdict::Kept;
    ensure!(findings.verdicts.iter().all(is_kept), "{:?}", findings.verdicts);
    Ok(())
}

/// Xen restarts the machine when its hardware domain wants to.
fn the_hardware_domain_restarts_its_machine(context: &Context) -> Result<()> {
    let machine = context
        .machine(HARDWARE, "faults_are_named")?
        .setting("app.what=panic")
        .setting("on-fault=reset");
    let ending = machine.boot()?.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Reset && ending.fault.is_some(), "{ending}");
    Ok(())
}

/// Somebody else answers Xen's hypercall, with an error; the rest is as ever.
fn a_tree_that_claims_xen_is_told(context: &Context) -> Result<()> {
    let xen =
        Device { compatible: "xen,xen", address: 0x0b00_0000, length: 0x1000, interrupt: None };
    for (uart, bootargs) in [(Some("arm,pl011"), ""), (Some("arm,pl011"), "console=hvc0")] {
        let tree = Tree { devices: vec![xen], uart, bootargs, ..Tree::default() }.bytes()?;
        let image = with_tree(&context.image("hello")?, &tree, &context.scratch, "claims-xen")?;
        let machine = Machine::new(&Board::find(&context.boards, "qemu-virt")?, &image);
        let ending = machine.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        says(
            &ending,
            &["WARN  kernel: the device tree names Xen: its hypercall is answered with -1"],
        )?;
        says(&ending, &["hypervisor unknown", "PL011", "Hello from"])?;
    }
    Ok(())
}

/// Boots hello on `board`: it says who is below, and each of `facts`.
fn greets(context: &Context, board: &str, facts: &[&str]) -> Result<()> {
    let ending = context.machine(board, "hello")?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    says(&ending, facts)?;
    says(&ending, &[banner(context), "\nHello from "])
}

/// A gateway that answers, says who is below, and ends the machine when it is asked.
fn serves(context: &Context, board: &str, controller: &str) -> Result<()> {
    let machine = context.machine(board, "gateway")?.setting("console-end=ctrl-d");
    let mut guest = machine.network(Network::User(vec![Forward::tcp(80)])).boot()?;
    guest.wait_for(banner(context), PATIENCE)?;
    guest.wait_for(controller, PATIENCE)?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    let mut client = Client::new(connect(&mut guest, 80)?);
    client.post("/api/readings", r#"{"sensor":"a","value":1}"#)?.expect(201)?;
    let status = client.get("/api/status")?.expect(200)?.json()?;
    let below = status["machine"]["hypervisor"].as_str().context("no hypervisor")?;
    ensure!(below.starts_with("Xen 4."), "the status says {below}");
    let metrics = client.get("/metrics")?.expect(200)?.text();
    ensure!(metrics.contains("hypervisor=\"Xen 4."), "the metrics do not say so");
    drop(client);
    switched_off(guest)
}

/// Asks it to end, on its console: Xen ends the machine.
fn switched_off(mut guest: Guest) -> Result<()> {
    guest.type_in(&[4])?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    says(&ending, &["asked to end: console"])
}

fn is_typed_to(context: &Context, board: &str) -> Result<()> {
    let mut guest = context.machine(board, "console_is_read")?.boot()?;
    guest.wait_for("type a line", PATIENCE)?;
    guest.type_in(b"what is typed\r")?;
    guest.wait_for("you said WHAT IS TYPED", PATIENCE)?;
    guest.ending(PATIENCE)?.expect_status(0)
}

/// What the boot says of who is below, and at which level the application runs.
fn banner(context: &Context) -> &'static str {
    match context.mode() {
        Mode::Joined => "entered at EL1, application at EL1, hypervisor Xen 4.",
        Mode::Contained => "entered at EL1, application at EL0, hypervisor Xen 4.",
    }
}

fn says(ending: &Ending, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}
