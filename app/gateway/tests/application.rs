//! The whole application, on a machine of the host, and a client on another, cable between them.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

#[path = "../src/application.rs"]
mod application;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration as Real;

use elone::Platform;
use elone::gate::Past;
use elone::host::{Cable, Control, Machine};
use elone::net::{Net, TcpSocket};
use elone::time::{Duration, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use gateway::attend::LIMIT;

const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)), 80);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// Boots a gateway and a client that runs `visit`; returns what the gateway's console said.
fn visited(visit: impl AsyncFnOnce(Net, Control) + Send + 'static) -> String {
    visited_with(Past::default(), visit)
}

/// As [`visited`], a gateway with a past.
fn visited_with(past: Past, visit: impl AsyncFnOnce(Net, Control) + Send + 'static) -> String {
    let (near, plug) = Cable::new();
    let machine = Machine::new("ip=10.0.2.15/24").net(plug).past(past);
    let control = machine.control();
    let gateway = thread::spawn(move || machine.run(application::run));

    let (far, plug) = Cable::new();
    for (from, to) in [(near.clone(), far.clone()), (far, near)] {
        // These end with the test's process.
        thread::spawn(move || {
            loop {
                if let Some(frame) = from.receive(Real::from_secs(3600)) {
                    to.send(frame);
                }
            }
        });
    }
    let watched = control.clone();
    let client = thread::spawn(move || {
        Machine::new("ip=10.0.2.16/24").net(plug).run(async move |platform: Platform| {
            let net = platform.net().connections(200).configured().await.unwrap();
            visit(net, watched).await;
        })
    });
    assert_eq!(client.join().unwrap(), 0);
    control.ask_to_end();
    assert_eq!(gateway.join().unwrap(), 0);
    control.output()
}

async fn connect(net: Net) -> TcpSocket {
    with_timeout(PATIENCE, net.connect(GATEWAY)).await.unwrap().unwrap()
}

/// Reads until what came so far ends with `end`, or nothing comes any more.
async fn read_to(socket: &mut TcpSocket, end: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0; 2048];
    while end.is_empty() || !text.ends_with(end) {
        match with_timeout(PATIENCE, socket.read(&mut bytes)).await.expect("in time") {
            Ok(length @ 1..) => text.push_str(std::str::from_utf8(&bytes[..length]).unwrap()),
            _ => break,
        }
    }
    text
}

async fn health(socket: &mut TcpSocket) -> String {
    socket.write_all(REQUEST).await.unwrap();
    read_to(socket, "}\n").await
}

#[test]
fn a_client_is_served_and_the_log_says_where() {
    let log = visited(async |net, _| {
        let mut socket = connect(net).await;
        for _ in 0..100 {
            assert!(health(&mut socket).await.starts_with("HTTP/1.1 200 OK\r\n"));
        }
        let content = br#"{"sensor":"a","value":1}"#;
        let head = b"POST /api/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n";
        socket.write_all(head).await.unwrap();
        socket.write_all(content).await.unwrap();
        assert!(read_to(&mut socket, "}\n").await.starts_with("HTTP/1.1 201 Created\r\n"));
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let page = read_to(&mut socket, "").await;
        assert!(page.ends_with("</html>\n\r\n0\r\n\r\n"), "{page}");
        assert!(page.contains("10.0.2.15") && page.contains("<dd>static</dd>"));
    });
    assert!(log.contains(" gateway: listening on 10.0.2.15:80\n"), "{log}");
}

#[test]
fn a_gateway_that_was_started_again_tells_why() {
    const REPORT: &str = "FAULT class=write-abort esr=0x9600004f\n  said: <b>\nEND FAULT\n";
    visited_with(Past { restarts: 1, faults: 1, report: REPORT }, async |net, _| {
        let mut socket = connect(net).await;
        socket.write_all(b"GET /report HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(read_to(&mut socket, REPORT).await.starts_with("HTTP/1.1 200 "));
        socket.write_all(b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let status = read_to(&mut socket, "}\n").await;
        let words = "\"restarts\":1,\"faults\":1,\"last_fault\":\"write-abort\"";
        assert!(status.contains(words), "{status}");
    });
}

#[test]
fn connections_beyond_the_limit_are_told_to_come_back() {
    visited(async |net, _| {
        let mut held = Vec::new();
        for _ in 0..LIMIT {
            let mut socket = connect(net).await;
            assert!(health(&mut socket).await.starts_with("HTTP/1.1 200 "));
            held.push(socket);
        }
        for _ in 0..10 {
            let mut socket = connect(net).await;
            let refused = read_to(&mut socket, "").await;
            assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
            assert!(refused.contains("\r\nRetry-After: 5\r\n"));
            assert!(refused.contains("\r\nConnection: close\r\n"));
        }
        // Those that were there are still served, and who leaves makes room.
        for socket in &mut held {
            assert!(health(socket).await.starts_with("HTTP/1.1 200 "));
        }
        held.truncate(LIMIT - 1);
        Timer::after(Duration::from_millis(200)).await;
        assert!(health(&mut connect(net).await).await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn a_slow_client_keeps_nobody_waiting() {
    visited(async |net, _| {
        let mut slow = Vec::new();
        for _ in 0..LIMIT - 1 {
            let mut socket = connect(net).await;
            socket.write_all(b"GET /health HT").await.unwrap();
            slow.push(socket);
        }
        for _ in 0..20 {
            let mut socket = connect(net).await;
            let answer = with_timeout(Duration::from_secs(2), health(&mut socket)).await;
            assert!(answer.expect("at once").starts_with("HTTP/1.1 200 "));
            drop(socket);
            Timer::after(Duration::from_millis(20)).await;
        }
        // And each slow one is told, in the end.
        for mut socket in slow {
            assert!(read_to(&mut socket, "").await.starts_with("HTTP/1.1 408 "));
        }
    });
}

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    visited(async |net, _| {
        for _ in 0..1000 {
            let mut socket = connect(net).await;
            assert!(health(&mut socket).await.starts_with("HTTP/1.1 200 "));
        }
        Timer::after(Duration::from_millis(200)).await;
        let mut socket = connect(net).await;
        let request = b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n";
        socket.write_all(request).await.unwrap();
        let status = read_to(&mut socket, "}\n").await;
        let expected = "\"connections\":{\"open\":1,\"limit\":32,\"accepted\":1001,\"refused\":0}";
        assert!(status.contains(expected), "{status}");
    });
}

#[test]
fn an_idle_gateway_sleeps() {
    visited(async |net, gateway| {
        let mut socket = connect(net).await;
        for _ in 0..10 {
            health(&mut socket).await;
        }
        // An open connection, a served one that is gone, and then nothing.
        drop(connect(net).await);
        Timer::after(Duration::from_millis(500)).await;
        let before = gateway.sleeps();
        Timer::after(Duration::from_secs(3)).await;
        assert_eq!(gateway.sleeps(), before, "woken while idle");
    });
}

#[test]
fn it_closes_in_order() {
    let log = visited(async |net, gateway| {
        let (mut slow, mut idle) = (connect(net).await, connect(net).await);
        for socket in [&mut slow, &mut idle] {
            assert!(health(socket).await.starts_with("HTTP/1.1 200 "));
        }
        slow.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
        Timer::after(Duration::from_millis(100)).await;
        gateway.ask_to_end();
        assert_eq!(read_to(&mut idle, "").await, "", "it is closed without a word");
        let late = with_timeout(PATIENCE, net.connect(GATEWAY)).await.unwrap();
        assert!(late.is_err(), "nobody else is taken in");
        slow.write_all(b"Host: gateway\r\n\r\n").await.unwrap();
        let answer = read_to(&mut slow, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.contains("{\"status\":\"closing\""), "{answer}");
    });
    assert!(log.contains(" gateway: closing: 2 connections\n"), "{log}");
    assert!(log.contains(" gateway: closed: every request that had begun was answered\n"), "{log}");
}
