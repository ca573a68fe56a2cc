//! Every connection comes to an end, in time and with the right word.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use std::time::Duration;

use common::wire::{Closed, Wire};
use common::{Client, clock, gateway};

const SECOND: Duration = Duration::from_secs(1);
const REQUEST: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_client_that_never_says_a_word_is_not_answered() {
    let mut client = Client::new();
    client.wait(9 * SECOND);
    assert_eq!(client.wire.closed(), Closed::Open);
    client.wait(2 * SECOND);
    assert_eq!(client.wire.closed(), Closed::Both);
    assert!(client.wire.sent().is_empty());
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let mut client = Client::new();
    client.send(REQUEST);
    let sent = client.wire.sent();
    client.wait(59 * SECOND);
    assert_eq!(client.wire.closed(), Closed::Open);
    client.wait(2 * SECOND);
    assert_eq!(client.wire.closed(), Closed::Both);
    assert_eq!(client.wire.sent(), sent);
}

#[test]
fn each_request_gives_the_connection_new_time() {
    let mut client = Client::new();
    for _ in 0..20 {
        client.send(REQUEST).wait(50 * SECOND);
    }
    assert_eq!(client.statuses(), [200; 20]);
    client.wait(11 * SECOND);
    assert_eq!(client.wire.closed(), Closed::Both);
}

#[test]
fn half_a_head_is_waited_for_and_then_refused() {
    // At once, and after a request; sent once, and byte by byte without ever an end.
    for before in ["", REQUEST] {
        let mut client = Client::new();
        client.send(before).send("GET /health HTTP/1.1\r\n");
        for _ in 0..9 {
            client.send("A").wait(SECOND);
        }
        assert_eq!(client.wire.closed(), Closed::Open);
        client.wait(2 * SECOND);
        assert_eq!(client.statuses().last(), Some(&408), "after {before:?}");
        assert_eq!(client.wire.closed(), Closed::Both);
    }
}

#[test]
fn half_a_content_is_waited_for_and_then_refused() {
    for (fields, half) in [
        ("Content-Length: 9\r\n", "[{\"se"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n[{\"se\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 9\r\n", ""),
    ] {
        let mut client = Client::new();
        client.wait(5 * SECOND);
        client.send(format!("POST /api/readings HTTP/1.1\r\nHost: x\r\n{fields}\r\n{half}"));
        client.wait(9 * SECOND);
        assert!(client.statuses().is_empty());
        client.wait(2 * SECOND);
        assert_eq!(client.statuses(), [408], "{fields:?}");
        assert_eq!(client.wire.closed(), Closed::Both);
    }
}

#[test]
fn a_client_that_leaves_half_way_is_told_so() {
    let mut client = Client::new();
    client.send("GET /he").finish();
    assert_eq!(client.statuses(), [400]);
    let mut client = Client::new();
    client.send("POST /api/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[").finish();
    assert_eq!(client.statuses(), [400]);
    // One that leaves between requests is not.
    let mut client = Client::new();
    client.send(REQUEST).finish();
    assert_eq!(client.statuses(), [200]);
    assert!(client.task.ended());
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let wire = Wire::new(1000);
    let mut client = Client::over(wire.clone(), gateway());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").wait(9 * SECOND);
    assert_eq!(wire.closed(), Closed::Open);
    client.wait(2 * SECOND);
    assert_eq!(wire.closed(), Closed::Aborted);
    assert!(client.task.ended());
}

#[test]
fn a_client_that_takes_little_gets_it_all() {
    let wire = Wire::new(0);
    let mut client = Client::over(wire.clone(), gateway());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    for _ in 0..1000 {
        wire.take(999);
        client.task.run();
        client.wait(SECOND);
    }
    let pages = client.responses();
    assert_eq!(pages.len(), 2);
    assert!(pages[0].text().ends_with("</html>\n"));
}

#[test]
fn requests_in_a_row_leave_the_alarm_alone() {
    let mut client = Client::new();
    client.send(REQUEST);
    let before = clock::alarms_set();
    for _ in 0..1000 {
        client.send(REQUEST).wait(Duration::from_millis(10));
    }
    assert!(clock::alarms_set() - before <= 1, "{} alarms", clock::alarms_set() - before);
}
