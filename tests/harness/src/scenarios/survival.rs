//! A service that fails is there again: what its clients see of it.
//!
//! `crashes_on_request` fails when it is told to. What is started again is the application where it
//! is contained, and the whole machine where it is joined; to a client it is the same.

use std::io;

use anyhow::{Result, ensure};
use serde_json::json;

use super::gateway::client;
use crate::client::PATIENCE;
use crate::http::Client;
use crate::machine::Resets;
use crate::scenario::scenarios;
use crate::{Context, Forward, Guest, Mode, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["survival":
    Quick a_panic_is_a_reset_to_clients,
    Quick used_up_memory_is_a_reset_to_clients,
    Quick a_hang_is_a_reset_to_clients,
    Quick one_failure_after_the_other_is_survived,
];

/// How the first thing that a kernel says begins.
const BANNER: &str = "INFO  kernel: elone ";

fn a_panic_is_a_reset_to_clients(context: &Context) -> Result<()> {
    let mut guest = boot(context)?;
    survives(context, &mut guest, "/crash", 1)
}

fn used_up_memory_is_a_reset_to_clients(context: &Context) -> Result<()> {
    let mut guest = boot(context)?;
    survives(context, &mut guest, "/memory", 1)
}

fn a_hang_is_a_reset_to_clients(context: &Context) -> Result<()> {
    let mut guest = boot(context)?;
    survives(context, &mut guest, "/hang", 1)?;
    ensure!(guest.console().contains("FAULT class=hang "), "{}", guest.console());
    Ok(())
}

/// As many as there may be within the limit of five in a minute.
fn one_failure_after_the_other_is_survived(context: &Context) -> Result<()> {
    let mut guest = boot(context)?;
    for (target, restart) in ["/crash", "/memory", "/hang", "/crash"].into_iter().zip(1..) {
        survives(context, &mut guest, target, restart)?;
    }
    Ok(())
}

/// One client's request brings the application down for the `restart`-th time; another one's
/// connection is idle meanwhile. Both are told, and the next request is answered.
fn survives(context: &Context, guest: &mut Guest, target: &str, restart: u32) -> Result<()> {
    let (mut served, mut idle) = (client(guest)?, client(guest)?);
    for client in [&mut served, &mut idle] {
        expect_past(client, restart - 1)?;
    }
    served.send(format!("GET {target} HTTP/1.1\r\nHost: elone\r\n\r\n"))?;
    guest.wait_for("FAULT class=", PATIENCE)?;
    guest.wait_for("END FAULT", PATIENCE)?;
    guest.wait_for(&answer(context, restart), PATIENCE)?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    is_cut(&mut served)?;
    // What is sent on a connection that was cut may itself fail.
    let _ = idle.send("GET / HTTP/1.1\r\nHost: elone\r\n\r\n");
    is_cut(&mut idle)?;
    expect_past(&mut client(guest)?, restart)?;
    let boots = guest.console().lines().filter(|line| line.contains(BANNER)).count();
    let expected = if context.mode() == Mode::Joined { restart + 1 } else { 1 };
    ensure!(boots == usize::try_from(expected)?, "{boots} boots: {}", guest.console());
    Ok(())
}

/// What the kernel says that it does about a fault.
fn answer(context: &Context, restart: u32) -> String {
    match context.mode() {
        Mode::Joined => "restarting the machine".to_owned(),
        Mode::Contained => format!("restarting the application (restart {restart})"),
    }
}

fn expect_past(client: &mut Client, restarts: u32) -> Result<()> {
    let past = client.get("/")?.expect(200)?.json()?;
    let expected = json!({"restarts": restarts, "faults": restarts});
    ensure!(past == expected, "expected {expected}: {past}");
    Ok(())
}

/// The connection was reset, or ends without an answer. Silence until the client loses its patience
/// is what it must not be.
fn is_cut(client: &mut Client) -> Result<()> {
    match client.is_closed() {
        Ok(()) => Ok(()),
        Err(error) => {
            let kind = error.downcast_ref().map(io::Error::kind);
            ensure!(kind == Some(io::ErrorKind::ConnectionReset), "{error:#}");
            Ok(())
        }
    }
}

/// A machine that has just begun to serve, and answers faults as it does by itself.
fn boot(context: &Context) -> Result<Guest> {
    let network = Network::User(vec![Forward::tcp(80)]);
    let machine = context.machine("qemu-virt", "crashes_on_request")?.network(network);
    let machine = machine.setting("on-fault=restart-app").setting("watchdog=1");
    let guest = machine.resets(Resets::Reboot).boot()?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    Ok(guest)
}
