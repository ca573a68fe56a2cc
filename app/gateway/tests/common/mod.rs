//! What the tests share: a clock that stands still, a wire, a client, and a machine to show.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod clock;
pub mod metrics;
pub mod response;
pub mod wire;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use gateway::Gateway;
use gateway::http::{self, Buffers};
use gateway::machine::{About, Configured, Heap, Machine, Network, Past, Protections};

use response::Response;
use wire::{Stream, Wire};

/// A machine whose every word is unlike any other, so that a test finds it where it is shown.
pub struct Fake {
    pub date: Cell<Option<u64>>,
    pub stolen: Cell<Option<u64>>,
    about: About,
    past: Past,
}

const ABOUT: About = About {
    entered_at: "EL2",
    running_at: "EL1",
    protections: Protections { names: &["w^x", "heap-tags", "sealed-tables"], in_force: 0b101 },
    hypervisor: "<KVM & \"friends\">",
    board: "linux,dummy-virt",
    core: "Cortex-A72",
    interrupt_controller: "GICv3",
    memory: 128 << 20,
    version: "Elone 9.8.7",
};

impl Machine for Fake {
    fn about(&self) -> &About {
        &self.about
    }

    fn past(&self) -> &Past {
        &self.past
    }

    fn network(&self) -> Network {
        Network {
            address: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15))),
            gateway: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2))),
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            configured: Configured::Dhcp,
            received: 4711,
            sent: 1174,
        }
    }

    fn heap(&self) -> Option<Heap> {
        Some(Heap { used: 3 << 20, size: 77 << 20 })
    }

    fn stolen(&self) -> Option<u64> {
        self.stolen.get()
    }

    fn date(&self) -> Option<u64> {
        self.date.get()
    }
}

pub const DATE: u64 = 1_795_347_000;

/// A gateway on a fake machine, for as long as the test runs.
pub fn gateway() -> &'static Gateway<Fake> {
    on(ABOUT, Past::default())
}

/// One that runs at that level.
pub fn gateway_at(running_at: &'static str) -> &'static Gateway<Fake> {
    on(About { running_at, ..ABOUT }, Past::default())
}

/// One with a past.
pub fn gateway_with(past: Past) -> &'static Gateway<Fake> {
    on(ABOUT, past)
}

fn on(about: About, past: Past) -> &'static Gateway<Fake> {
    let (date, stolen) = (Cell::new(Some(DATE)), Cell::new(None));
    let machine = Fake { date, stolen, about, past };
    Box::leak(Box::new(Gateway::new(machine, 4)))
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A task on its own: polled when it was woken, and never otherwise, so a lost wake-up shows.
pub struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    flag: Arc<Flag>,
}

impl Task {
    pub fn new(future: impl Future<Output = ()> + 'static) -> Self {
        let mut task =
            Self { future: Some(Box::pin(future)), flag: Arc::new(Flag(AtomicBool::new(true))) };
        task.run();
        task
    }

    pub fn run(&mut self) {
        let waker = Waker::from(self.flag.clone());
        while self.flag.0.swap(false, Ordering::Relaxed) {
            let Some(future) = &mut self.future else { return };
            if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.future = None;
            }
        }
    }

    pub fn ended(&self) -> bool {
        self.future.is_none()
    }
}

/// A client, at the other end of a wire to a server.
pub struct Client {
    pub wire: Rc<Wire>,
    pub task: Task,
}

impl Client {
    /// Connects to a gateway of its own.
    pub fn new() -> Self {
        Self::of(gateway())
    }

    pub fn of(gateway: &'static Gateway<Fake>) -> Self {
        Self::over(Wire::new(usize::MAX), gateway)
    }

    pub fn over(wire: Rc<Wire>, gateway: &'static Gateway<Fake>) -> Self {
        let stream = Stream(wire.clone());
        let task = Task::new(async move {
            let mut stream = stream;
            http::serve(&mut stream, &mut Buffers::new(), &gateway).await;
        });
        Self { wire, task }
    }

    /// Sends bytes as one segment.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.wire.deliver(bytes.as_ref());
        self.task.run();
        self
    }

    /// Says that it will send no more.
    pub fn finish(&mut self) -> &mut Self {
        self.wire.finish();
        self.task.run();
        self
    }

    /// Lets time pass, alarm by alarm.
    pub fn wait(&mut self, span: Duration) -> &mut Self {
        clock::pass(span, || self.task.run());
        self
    }

    /// What was answered so far, taken apart, to requests by `GET` and `POST`.
    pub fn responses(&self) -> Vec<Response> {
        response::all(&self.wire.sent(), self.wire.closed())
    }

    /// The statuses of what was answered so far.
    pub fn statuses(&self) -> Vec<u16> {
        self.responses().iter().map(|response| response.status).collect()
    }
}

/// What a gateway answers to one request, whole.
pub fn ask(gateway: &'static Gateway<Fake>, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::of(gateway);
    client.send(request);
    let mut responses = client.responses();
    assert_eq!(responses.len(), 1, "{:?}", String::from_utf8_lossy(&client.wire.sent()));
    responses.remove(0)
}

/// What a gateway answers to `GET target`.
pub fn get(gateway: &'static Gateway<Fake>, target: &str) -> Response {
    ask(gateway, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// What a gateway answers to readings.
pub fn post(gateway: &'static Gateway<Fake>, content: &str) -> Response {
    let length = content.len();
    let head =
        format!("POST /api/readings HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    ask(gateway, head + content)
}
