//! A machine's end: asked for by its owner, drained by its application, or come to.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::gateway::client;
use crate::client::{PATIENCE, connect};
use crate::http::Client;
use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::Tree;
use crate::{Board, Context, Ending, Forward, Guest, Machine, Network, Resets, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["life":
    Quick the_power_button_ends_the_application,
    Quick a_press_before_the_boot_is_not_lost,
    Quick to_ask_twice_is_to_ask_once,
    Quick who_ignores_it_is_ended,
    Quick who_spins_is_ended,
    Quick who_begins_to_spin_is_ended,
    Quick no_time_at_all_ends_it_at_once,
    Quick a_fault_on_the_way_out_is_the_end,
    Quick a_hang_on_the_way_out_is_the_end,
    Quick a_break_and_an_o_ask_for_the_end,
    Quick a_break_is_heard_while_the_application_spins,
    Quick the_console_is_the_applications_bar_the_break,
    Quick control_d_asks_where_it_may,
    Quick a_virtio_console_is_listened_to,
    Quick the_gateway_answers_before_it_ends,
    Quick the_gateway_closes_who_is_idle,
    Quick the_gateway_cuts_who_takes_too_long,
    Quick the_gateway_ends_before_it_has_begun,
    Quick a_broken_button_costs_nothing_else,
    Quick a_button_that_is_somewhere_else_is_found,
];

/// What `is_asked_to_end` ends with when it has been told.
const TOLD: u8 = 7;
/// What the machine ends with where the application does not.
const OVERDUE: u8 = 102;
/// And after a fault.
const FAULTY: u8 = 101;

fn machine(context: &Context, how: &str) -> Result<Machine> {
    let machine = context.machine("qemu-virt", "is_asked_to_end")?.network(Network::Absent);
    Ok(machine.setting(&format!("app.how={how}")))
}

fn press(guest: &mut Guest) -> Result<()> {
    guest.qmp()?.execute("system_powerdown", json!({})).map(drop)
}

/// Sends a break, and then what is typed after it.
fn break_and_type(guest: &mut Guest, bytes: &[u8]) -> Result<()> {
    guest.qmp()?.execute("chardev-send-break", json!({ "id": "console" }))?;
    guest.type_in(bytes)
}

fn expect(ending: &Ending, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// Checks that the machine went off by itself, with this status and these words.
fn expect_end(ending: &Ending, status: u8, words: &[&str]) -> Result<()> {
    ensure!(ending.shutdown == Shutdown::PoweredOff, "{ending}");
    ensure!(ending.status == Some(status), "expected status {status}: {ending}");
    expect(ending, words)
}

fn the_power_button_ends_the_application(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3", "qemu-virt-el2", "qemu-virt-max"] {
        let mut guest = context.machine(board, "is_asked_to_end")?.boot()?;
        guest.wait_for("ends: ready", PATIENCE)?;
        press(&mut guest)?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(TOLD)?;
        expect(&ending, &["asked to end: power button", "told: None before, "])?;
    }
    Ok(())
}

/// Pressed while the machine is still held before its first instruction.
fn a_press_before_the_boot_is_not_lost(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let machine = context.machine(board, "is_asked_to_end")?;
        let mut guest = machine.held().boot()?;
        press(&mut guest)?;
        guest.qmp()?.execute("cont", json!({}))?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(TOLD)?;
        expect(&ending, &["ends: ready", "asked to end: power button"])?;
    }
    Ok(())
}

fn to_ask_twice_is_to_ask_once(context: &Context) -> Result<()> {
    let mut guest = machine(context, "counts")?.boot()?;
    guest.wait_for("counts: ready", PATIENCE)?;
    press(&mut guest)?;
    guest.wait_for("asked to end: power button", PATIENCE)?;
    // The button is held down for a tenth of a second: a press within that is none.
    std::thread::sleep(Duration::from_millis(150));
    press(&mut guest)?;
    break_and_type(&mut guest, b"o")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(TOLD)?;
    expect(&ending, &["asked to end again: power button", "asked to end again: console"])?;
    expect(&ending, &["told 1 times"])
}

fn who_ignores_it_is_ended(context: &Context) -> Result<()> {
    let ending = pressed(machine(context, "ignores")?.setting("shutdown=1"))?;
    expect_end(&ending, OVERDUE, &["asked to end: power button", "not ended in 1 s: powering off"])
}

/// With nobody to watch it, and with somebody who would come too late.
fn who_spins_is_ended(context: &Context) -> Result<()> {
    for watchdog in ["watchdog=off", "watchdog=60"] {
        let machine = machine(context, "spins")?.setting("shutdown=1").setting(watchdog);
        let ending = pressed(machine)?;
        let words = ["asked to end: power button", "not ended in 1 s: powering off"];
        expect_end(&ending, OVERDUE, &words)?;
    }
    Ok(())
}

fn who_begins_to_spin_is_ended(context: &Context) -> Result<()> {
    for watchdog in ["watchdog=off", "watchdog=60"] {
        let machine = machine(context, "spins-then")?.setting("shutdown=1").setting(watchdog);
        let ending = pressed(machine)?;
        expect_end(&ending, OVERDUE, &["told: None before", "not ended in 1 s: powering off"])?;
    }
    Ok(())
}

fn no_time_at_all_ends_it_at_once(context: &Context) -> Result<()> {
    for how in ["ignores", "spins"] {
        let ending = pressed(machine(context, how)?.setting("shutdown=0"))?;
        expect_end(&ending, OVERDUE, &["asked to end: power button", "powering off at once"])?;
    }
    Ok(())
}

/// It must not come up again as if nothing had happened, where a fault is answered by a restart.
fn a_fault_on_the_way_out_is_the_end(context: &Context) -> Result<()> {
    for policy in ["on-fault=restart-app", "on-fault=reset"] {
        let machine = machine(context, "faults-then")?.setting(policy).resets(Resets::Reboot);
        let ending = pressed(machine)?;
        expect_end(&ending, FAULTY, &["FAULT class=panic", "asked to end: not started again"])?;
        ensure!(ending.console.matches("faults-then: ready").count() == 1, "{ending}");
        ensure!(!ending.console.contains("restarting the"), "{ending}");
    }
    Ok(())
}

fn a_hang_on_the_way_out_is_the_end(context: &Context) -> Result<()> {
    let machine = machine(context, "spins-then")?.setting("watchdog=1").resets(Resets::Reboot);
    let ending = pressed(machine)?;
    expect_end(&ending, FAULTY, &["FAULT class=hang", "asked to end: not started again"])
}

fn a_break_and_an_o_ask_for_the_end(context: &Context) -> Result<()> {
    let mut guest = machine(context, "ends")?.boot()?;
    guest.wait_for("ends: ready", PATIENCE)?;
    break_and_type(&mut guest, b"o")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(TOLD)?;
    expect(&ending, &["asked to end: console"])
}

fn a_break_is_heard_while_the_application_spins(context: &Context) -> Result<()> {
    let machine = machine(context, "spins")?.setting("watchdog=off").setting("shutdown=1");
    let mut guest = machine.boot()?;
    guest.wait_for("spins: ready", PATIENCE)?;
    break_and_type(&mut guest, b"o")?;
    let ending = guest.ending(PATIENCE)?;
    expect_end(&ending, OVERDUE, &["asked to end: console", "not ended in 1 s: powering off"])
}

/// What is typed reaches it, an `o` and Ctrl-D too, but for the byte that follows a break; and where
/// the setting says so, that as well.
fn the_console_is_the_applications_bar_the_break(context: &Context) -> Result<()> {
    for (setting, heard) in
        [("console-end=break", "NO \u{4}TON"), ("console-end=off", "NO \u{4}TOXN")]
    {
        let mut guest = context.machine("qemu-virt", "console_is_read")?.setting(setting).boot()?;
        guest.wait_for("type a line", PATIENCE)?;
        guest.type_in(b"no \x04to")?;
        // What was typed goes another way than the break does, and must not be overtaken.
        std::thread::sleep(Duration::from_millis(300));
        break_and_type(&mut guest, b"x")?;
        guest.type_in(b"n\n")?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(0)?;
        let console = ending.console.replace('\0', "");
        ensure!(console.contains(&format!("you said {heard}")), "{heard:?} is not in {ending}");
    }
    Ok(())
}

fn control_d_asks_where_it_may(context: &Context) -> Result<()> {
    let mut guest = machine(context, "ends")?.setting("console-end=ctrl-d").boot()?;
    guest.wait_for("ends: ready", PATIENCE)?;
    guest.type_in(b"\x04")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(TOLD)?;
    expect(&ending, &["asked to end: console"])
}

fn a_virtio_console_is_listened_to(context: &Context) -> Result<()> {
    let tree = Tree { uart: None, bootargs: "console-end=ctrl-d", ..Tree::default() }.bytes()?;
    let image = with_tree(&context.image("is_asked_to_end")?, &tree, &context.scratch, "virtcon")?;
    let board = Board::find(&context.boards, "qemu-virt")?;
    let board = Board { console: crate::Console::Virtio, ..board };
    let mut guest = Machine::new(&board, &image).boot()?;
    guest.wait_for("ends: ready", PATIENCE)?;
    guest.type_in(b"o\x04")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(TOLD)?;
    expect(&ending, &["asked to end: console"])
}

/// Presses the button once the application runs, and waits for the end.
fn pressed(machine: Machine) -> Result<Ending> {
    let mut guest = machine.boot()?;
    guest.wait_for(": ready, restarts 0", PATIENCE)?;
    press(&mut guest)?;
    guest.ending(PATIENCE)
}

fn gateway(context: &Context, settings: &[&str]) -> Result<Guest> {
    let network = Network::User(vec![Forward::tcp(80)]);
    let machine = context.machine("qemu-virt", "gateway")?.network(network);
    let machine = settings.iter().fold(machine, |machine, setting| machine.setting(setting));
    let guest = machine.boot()?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    Ok(guest)
}

/// A request that has begun, with its content still to come.
const BEGUN: &str = "POST /api/readings HTTP/1.1\r\nHost: elone\r\nContent-Length: 24\r\n\r\n";
const CONTENT: &str = r#"{"sensor":"a","value":1}"#;

fn the_gateway_answers_before_it_ends(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-modern-gicv3"] {
        let network = Network::User(vec![Forward::tcp(80)]);
        let mut guest = context.machine(board, "gateway")?.network(network).boot()?;
        guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
        let mut slow = client(&mut guest)?;
        slow.get("/health")?.expect(200)?;
        slow.send(BEGUN)?;
        slow.send(&CONTENT[..10])?;
        let mut other = client(&mut guest)?;
        other.get("/health")?.expect(200)?;
        press(&mut guest)?;
        guest.wait_for("closing: 2 connections", PATIENCE)?;
        other.is_closed()?;
        is_refused(&mut guest)?;
        slow.send(&CONTENT[10..])?;
        let response = slow.response("POST")?.expect(201)?;
        ensure!(response.field("connection") == Some("close"), "{response:?}");
        slow.is_closed()?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(0)?;
        expect(
            &ending,
            &["asked to end: power button", "closed: every request that had begun was answered"],
        )?;
    }
    Ok(())
}

/// Whoever connects now is turned away, by a reset: the emulator itself takes the connection first.
fn is_refused(guest: &mut Guest) -> Result<()> {
    let Ok(stream) = connect(guest, 80) else { return Ok(()) };
    let answer = Client::new(stream).get("/health");
    ensure!(answer.is_err(), "a new client is answered: {answer:?}");
    Ok(())
}

fn the_gateway_closes_who_is_idle(context: &Context) -> Result<()> {
    let mut guest = gateway(context, &[])?;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut client = client(&mut guest)?;
        client.get("/health")?.expect(200)?;
        idle.push(client);
    }
    press(&mut guest)?;
    guest.wait_for("closed: every request that had begun was answered", PATIENCE)?;
    for mut client in idle {
        client.is_closed()?;
    }
    guest.ending(PATIENCE)?.expect_status(0)
}

/// A request whose content never comes: the gateway goes without it, within its time, by itself.
fn the_gateway_cuts_who_takes_too_long(context: &Context) -> Result<()> {
    let mut guest = gateway(context, &["shutdown=2"])?;
    let mut slow = client(&mut guest)?;
    slow.get("/health")?.expect(200)?;
    slow.send(BEGUN)?;
    slow.send(&CONTENT[..10])?;
    let mut other = client(&mut guest)?;
    other.get("/health")?.expect(200)?;
    press(&mut guest)?;
    guest.wait_for("closed: out of time, 1 still open", PATIENCE)?;
    guest.ending(PATIENCE)?.expect_status(0)
}

/// While it waits for an address that nobody gives it.
fn the_gateway_ends_before_it_has_begun(context: &Context) -> Result<()> {
    let mut guest = context.machine("qemu-virt", "gateway")?.network(Network::Wire).boot()?;
    let asked = guest.wire()?.receive(PATIENCE)?;
    asked.context("it does not ask for an address")?;
    press(&mut guest)?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    expect(&ending, &["asked to end: power button", "not begun: asked to end"])
}

/// QEMU's `virt` machine, with an image that is handed this tree.
fn with_button(context: &Context, name: &str, tree: &Tree) -> Result<Machine> {
    let image = context.image("is_asked_to_end")?;
    let image = with_tree(&image, &tree.bytes()?, &context.scratch, &format!("life-{name}"))?;
    Ok(Machine::new(&Board::find(&context.boards, "qemu-virt")?, &image))
}

/// The machine boots, says what is wrong, and can be asked to end in another way.
fn a_broken_button_costs_nothing_else(context: &Context) -> Result<()> {
    let words = "device tree, poweroff: ";
    for (name, button, words) in [
        ("line", (0x903_0000, 8), format!("{words}`gpios` is missing or malformed")),
        (
            "memory",
            (0x4700_0000, 3),
            "power button: lies in memory that has a use already".to_owned(),
        ),
    ] {
        let tree = Tree { button: Some(button), ..Tree::default() };
        let mut guest = with_button(context, name, &tree)?.boot()?;
        guest.wait_for(&words, PATIENCE)?;
        guest.wait_for("ends: ready", PATIENCE)?;
        press(&mut guest)?;
        break_and_type(&mut guest, b"o")?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(TOLD)?;
        expect(&ending, &["asked to end: console"])?;
        ensure!(!ending.console.contains("asked to end: power button"), "{ending}");
    }
    Ok(())
}

/// Without the names that QEMU gives its nodes.
fn a_button_that_is_somewhere_else_is_found(context: &Context) -> Result<()> {
    let tree = Tree { button: Some((0x903_0000, 3)), ..Tree::default() };
    let mut guest = with_button(context, "found", &tree)?.boot()?;
    guest.wait_for("ends: ready", PATIENCE)?;
    press(&mut guest)?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(TOLD)?;
    expect(&ending, &["asked to end: power button"])
}
