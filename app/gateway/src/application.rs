//! The service on an Elone machine: from the platform to tasks that listen on port 80.

use elone::gate::{Level, Protection};
use elone::net::Net;
use elone::time::{Duration, TimeoutError, Timer, with_timeout};
use elone::{Platform, info, warn};
use gateway::Gateway;
use gateway::attend::{LIMIT, SPARE, attend};
use gateway::machine::{About, Configured, Heap, Machine, Network, Past, Protections, lasting};
use gateway::turnstile::Turnstile;

/// HTTP (RFC 9110, section 4.2.1).
const PORT: u16 = 80;

/// What of the time for the service's end is left to the machine.
const RESERVE: Duration = Duration::from_secs(1);

/// How often the last connections are looked at.
const A_MOMENT: Duration = Duration::from_millis(5);

/// What may protect the machine, by name.
static NAMES: [&str; Protection::ALL.len()] = {
    let mut names = [""; Protection::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Protection::ALL[index].name();
        index += 1;
    }
    names
};

/// Serves until the machine's owner asks for the end.
///
/// # Errors
/// Those of the network's set-up; once it is up, none.
pub(crate) async fn run(platform: Platform) -> Result<(), elone::Error> {
    let Some(net) = platform.until_shutdown(platform.net().configured()).await else {
        info!(target: "gateway", "not begun: asked to end");
        return Ok(());
    };
    let net = net?;
    let gateway = elone::forever(Gateway::new(Elone::new(platform, net), LIMIT as u64));
    let listener = elone::forever(net.bind(PORT).await?);
    let turnstile = elone::forever(Turnstile::new(LIMIT + SPARE));
    for task in 0..LIMIT + SPARE {
        platform.spawn(attend(task, turnstile, listener, gateway));
    }
    info!(target: "gateway", "listening on {}", core::net::SocketAddr::new(net.address(), PORT));
    platform.shutdown().await;
    listener.close();
    close(platform, gateway, net).await;
    Ok(())
}

/// Ends the service: every request that has begun is answered, as far as there is time for it. Whoever
/// waited to be let in is turned away by a reset, and knows that nothing was done.
/// Nothing has to be stored: the readings are in memory alone.
async fn close(platform: Platform, gateway: &Gateway<Elone>, net: Net) {
    let open = gateway.connections.open();
    info!(target: "gateway", "closing: {open} connection{}", if open == 1 { "" } else { "s" });
    gateway.closing.begin();
    let answered = async {
        while gateway.connections.open() > 0 {
            Timer::after(A_MOMENT).await;
        }
        net.settled().await;
    };
    let time = platform.time_left().map_or(Duration::MIN, |left| left - (left / 2).min(RESERVE));
    match with_timeout(time, answered).await {
        Ok(()) => info!(target: "gateway", "closed: every request that had begun was answered"),
        Err(TimeoutError) => {
            let open = gateway.connections.open();
            warn!(target: "gateway", "closed: out of time, {open} still open");
        }
    }
}

/// The machine that Elone runs on.
struct Elone {
    about: About,
    past: Past,
    configured: Configured,
    net: Net,
}

impl Elone {
    fn new(platform: Platform, net: Net) -> Self {
        let machine = platform.machine();
        let about = About {
            entered_at: name(machine.entered_at),
            running_at: name(machine.application_at),
            protections: Protections { names: &NAMES, in_force: machine.protections.bits() },
            hypervisor: lasting(machine.hypervisor),
            board: machine.board,
            core: machine.core,
            interrupt_controller: machine.interrupt_controller,
            memory: machine.memory,
            version: machine.version,
        };
        let past = platform.past();
        let past = Past {
            restarts: past.restarts.into(),
            faults: past.faults.into(),
            last_fault: past.class(),
            report: past.report,
        };
        let configured = match platform.network() {
            elone::gate::Network::Dhcp => Configured::Dhcp,
            elone::gate::Network::Static { .. } => Configured::Static,
        };
        Self { about, past, configured, net }
    }
}

impl Machine for Elone {
    fn about(&self) -> &About {
        &self.about
    }

    fn past(&self) -> &Past {
        &self.past
    }

    fn network(&self) -> Network {
        let (address, traffic) = (self.net.address(), self.net.traffic());
        Network {
            address: (!address.is_unspecified()).then_some(address),
            gateway: self.net.gateway(),
            mac: self.net.mac(),
            configured: self.configured,
            received: traffic.frames_in,
            sent: traffic.frames_out,
        }
    }

    fn heap(&self) -> Option<Heap> {
        let usage = elone::heap::usage();
        let (used, free) = (usage.allocated as u64, usage.free as u64);
        (used > 0).then_some(Heap { used, size: used + free })
    }

    fn stolen(&self) -> Option<u64> {
        elone::stolen_time().ok().map(|time| time.0)
    }

    fn date(&self) -> Option<u64> {
        elone::wall_clock().ok().map(|date| date.0 / 1_000_000_000)
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::El0 => "EL0",
        Level::El1 => "EL1",
        Level::El2 => "EL2",
        Level::El3 => "EL3",
    }
}
