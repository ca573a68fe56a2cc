//! The gateway, with a real HTTP client: what it serves, kept up under many requests.

use std::collections::{HashMap, HashSet};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::client::{PATIENCE, connect};
use crate::http::Client;
use crate::scenario::scenarios;
use crate::{Context, Forward, Guest, Mode, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["gateway":
    Quick every_resource_is_served,
    Quick the_machine_is_told_as_it_is,
    Quick what_is_posted_is_listed,
    Quick the_oldest_readings_make_room,
    Quick metrics_can_be_parsed,
    Quick a_hundred_requests_can_be_sent_at_once,
    Quick a_connection_takes_a_thousand_requests,
    Quick a_request_may_come_byte_by_byte,
    Quick a_client_that_closes_its_half_is_answered,
    Quick it_serves_on_every_machine,
    Quick ten_thousand_requests_are_all_answered,
    Long a_thousand_connections_come_and_go,
];

const PORT: u16 = 80;

fn every_resource_is_served(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    for (target, kind, words) in [
        ("/", "text/html; charset=utf-8", "<title>Elone gateway</title>"),
        ("/health", "application/json", "\"status\":\"ok\""),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP elone_info "),
        ("/report", "text/plain; charset=utf-8", "no report: "),
        ("/api/status", "application/json", "\"machine\":"),
        ("/api/readings", "application/json", "\"readings\":[]"),
        ("/api/readings?limit=5&since=0&sensor=a%2Fb", "application/json", "\"newest\":0"),
        ("http://elone/health", "application/json", "\"status\":\"ok\""),
    ] {
        let response = client.get(target)?.expect(200)?;
        ensure!(response.field("content-type") == Some(kind), "{target}: {response:?}");
        ensure!(response.text().contains(words), "{target} has no {words}: {}", response.text());
        let head = client.ask("HEAD", target, "")?.expect(200)?;
        ensure!(head.field("content-type") == Some(kind), "HEAD {target}: {head:?}");
    }
    let page = client.get("/")?.text();
    ensure!(!page.contains("{{") && page.ends_with("</html>\n"), "a gap, or no end: {page}");
    Ok(())
}

/// What the guest says of itself is what it was given.
fn the_machine_is_told_as_it_is(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt-gicv3", "gateway")?.memory(96).cpu("cortex-a53");
    let machine = machine.setting("ip=10.0.2.77/24,10.0.2.2");
    let forward = "user,id=net0,hostfwd=tcp:127.0.0.1:0-10.0.2.77:80";
    // The harness forwards to the address that DHCP gives; this guest has another.
    let machine = machine.network(Network::Absent).argument("-netdev").argument(forward);
    let machine = machine.argument("-device").argument("virtio-net-device,netdev=net0");
    let mut guest = machine.boot()?;
    guest.wait_for("listening on 10.0.2.77:80", PATIENCE)?;
    let table = guest.qmp()?.monitor("info usernet")?;
    let port = table.lines().find(|line| line.contains("HOST_FORWARD"));
    let port = port.and_then(|line| line.split_whitespace().nth(3)).context("no forward")?;
    let mut client = Client::new(std::net::TcpStream::connect(("127.0.0.1", port.parse()?))?);
    let status = client.get("/api/status")?.expect(200)?.json()?;
    let machine = &status["machine"];
    for (name, expected) in [
        ("board", json!("linux,dummy-virt")),
        ("core", json!("Cortex-A53")),
        ("interrupt_controller", json!("GICv3")),
        ("entered_at", json!("EL1")),
        ("running_at", json!(level(context))),
        ("memory", json!(96 << 20)),
    ] {
        ensure!(machine[name] == expected, "{name} is {}", machine[name]);
    }
    let network = &status["network"];
    ensure!(network["address"] == "10.0.2.77" && network["gateway"] == "10.0.2.2", "{network}");
    ensure!(network["configured"] == "static", "{network}");
    ensure!(status["connections"]["open"] == 1, "{status}");
    ensure!(status["last_fault"].is_null(), "{status}");
    ensure!(status["faults"] == 0 && status["restarts"] == 0, "{status}");
    ensure!(status["uptime"].as_f64().is_some_and(|seconds| seconds > 0.0), "{status}");
    Ok(())
}

fn what_is_posted_is_listed(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    let one =
        r#"{"sensor": "cellar/temperature", "value": -12.5, "unit": "°C", "time": 1795347000}"#;
    let stored = client.post("/api/readings", one)?.expect(201)?.json()?;
    ensure!(stored == json!({"stored": 1, "first": 1, "last": 1}), "{stored}");
    let many = r#"[{"sensor": "a", "value": 1e3}, {"value": 0, "sensor": "b", "unit": "%"}]"#;
    let stored = client.post("/api/readings", many)?.expect(201)?.json()?;
    ensure!(stored == json!({"stored": 2, "first": 2, "last": 3}), "{stored}");

    let list = client.get("/api/readings")?.expect(200)?.json()?;
    let readings = list["readings"].as_array().context("no readings")?;
    ensure!(readings.len() == 3 && list["newest"] == 3, "{list}");
    let first = &readings[0];
    ensure!(first["sensor"] == "cellar/temperature" && first["value"] == -12.5, "{first}");
    ensure!(first["unit"] == "°C" && first["time"] == 1_795_347_000 && first["id"] == 1, "{first}");
    ensure!(readings[1]["value"].as_f64() == Some(1000.0), "{list}");
    // No time was given: the machine's clock says it.
    ensure!(readings[2]["time"].as_u64().is_some_and(|time| time > 1_700_000_000), "{list}");

    let names = |list: &Value| -> Vec<String> {
        let readings = list["readings"].as_array().into_iter().flatten();
        readings.map(|reading| reading["sensor"].as_str().unwrap_or("?").to_owned()).collect()
    };
    for (query, expected) in [
        ("?sensor=b", &["b"][..]),
        ("?limit=2", &["a", "b"]),
        ("?since=2", &["b"]),
        ("?since=3", &[]),
        ("?sensor=cellar%2Ftemperature&limit=1", &["cellar/temperature"]),
    ] {
        let list = client.get(&format!("/api/readings{query}"))?.expect(200)?.json()?;
        ensure!(names(&list) == expected, "{query}: {list}");
    }
    Ok(())
}

/// 1,024 are kept (`app/gateway/src/readings.rs`): of 1,200 the last ones, and none is mixed up.
fn the_oldest_readings_make_room(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    for batch in 0..24 {
        let readings: Vec<_> = (batch * 50..(batch + 1) * 50)
            .map(|number| json!({"sensor": format!("s{}", number % 7), "value": number}))
            .collect();
        client.post("/api/readings", &json!(readings).to_string())?.expect(201)?;
    }
    let list = client.get("/api/readings?limit=1024")?.expect(200)?.json()?;
    ensure!(
        list["newest"] == 1200 && list["dropped"] == 176,
        "{} {}",
        list["newest"],
        list["dropped"]
    );
    let readings = list["readings"].as_array().context("no readings")?;
    ensure!(readings.len() == 1024, "{} readings", readings.len());
    for (reading, number) in readings.iter().zip(176_u64..) {
        let right = reading["id"] == number + 1
            && reading["value"].as_f64() == Some(number as f64)
            && reading["sensor"] == format!("s{}", number % 7);
        ensure!(right, "reading {number} is {reading}");
    }
    Ok(())
}

/// By the grammar of the text exposition format: each metric has its help and type before its first
/// value, every value is a number, and none is there twice.
fn metrics_can_be_parsed(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    let two =
        r#"[{"sensor": "a", "value": 2.5, "unit": "\"\\"}, {"sensor": "b", "value": -1e300}]"#;
    client.post("/api/readings", two)?.expect(201)?;
    client.get("/nowhere")?.expect(404)?;
    let text = client.get("/metrics")?.expect(200)?.text();
    let values = metrics(&text)?;
    for (name, expected) in [
        ("elone_readings_stored_total", 2.0),
        ("elone_http_responses_total{class=\"4xx\"}", 1.0),
        ("elone_connections_open", 1.0),
        ("elone_reading{sensor=\"a\",unit=\"\\\"\\\\\"}", 2.5),
        ("elone_reading{sensor=\"b\",unit=\"\"}", -1e300),
        ("elone_memory_bytes", 134_217_728.0),
        ("elone_faults_total", 0.0),
        ("elone_restarts_total", 0.0),
    ] {
        ensure!(values.get(name) == Some(&expected), "{name} is {:?} in\n{text}", values.get(name));
    }
    ensure!(!text.contains("elone_last_fault_info"), "{text}");
    Ok(())
}

/// The values in a text of metrics, by name with labels.
fn metrics(text: &str) -> Result<HashMap<String, f64>> {
    let (mut kinds, mut values) = (HashMap::new(), HashMap::new());
    let mut help = "";
    ensure!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').context("help without words")?.0;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("a type without a kind")?;
            ensure!(help == name && ["counter", "gauge"].contains(&kind), "{line:?}");
            ensure!(kinds.insert(name, kind).is_none(), "{name} is typed twice");
        } else {
            let (name, value) = line.rsplit_once(' ').with_context(|| format!("{line:?}"))?;
            let metric = name.split('{').next().unwrap_or_default();
            ensure!(kinds.contains_key(metric), "{line:?} has no type before it");
            let value = value.parse().with_context(|| format!("{line:?}"))?;
            ensure!(values.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        }
    }
    Ok(values)
}

/// Pipelining (RFC 9112, section 9.3.2): all sent before any answer is read; the answers come in
/// order.
fn a_hundred_requests_can_be_sent_at_once(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    let mut requests = String::new();
    for number in 0..100 {
        let body = json!({"sensor": "pipe", "value": number}).to_string();
        let length = body.len();
        requests += &format!(
            "POST /api/readings HTTP/1.1\r\nHost: e\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        requests += "GET /api/readings?limit=1 HTTP/1.1\r\nHost: e\r\n\r\n";
    }
    client.send(requests)?;
    for number in 0..100 {
        let stored = client.response("POST")?.expect(201)?.json()?;
        ensure!(stored["last"] == number + 1, "answer {number} is {stored}");
        let list = client.response("GET")?.expect(200)?.json()?;
        ensure!(list["readings"][0]["value"].as_f64() == Some(f64::from(number)), "{list}");
    }
    Ok(())
}

fn a_connection_takes_a_thousand_requests(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    for number in 0..1_000 {
        let health = client.get("/health")?.expect(200)?.json()?;
        ensure!(health["requests"] == number + 1, "after {number} requests: {health}");
    }
    let status = client.get("/api/status")?.expect(200)?.json()?;
    ensure!(status["connections"]["accepted"] == 1, "{status}");
    Ok(())
}

/// A slow client is served like any other, and keeps nobody else waiting.
fn a_request_may_come_byte_by_byte(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let (mut slow, mut other) = (client(&mut guest)?, client(&mut guest)?);
    let body = r#"{"sensor": "slow", "value": 1}"#;
    let length = body.len();
    let head = "POST /api/readings HTTP/1.1\r\nHost: e\r\n";
    for byte in format!("{head}Content-Length: {length}\r\n\r\n{body}").bytes() {
        slow.send([byte])?;
        other.get("/health")?.expect(200)?;
    }
    slow.response("POST")?.expect(201)?;
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
    for byte in chunked.bytes() {
        slow.send([byte])?;
    }
    let stored = slow.response("POST")?.expect(201)?.json()?;
    ensure!(stored["last"] == 2, "{stored}");
    Ok(())
}

fn a_client_that_closes_its_half_is_answered(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut first = client(&mut guest)?;
    first.send("GET /health HTTP/1.1\r\nHost: e\r\n\r\n")?;
    first.finish()?;
    first.response("GET")?.expect(200)?;
    first.is_closed()?;
    let mut asked = client(&mut guest)?;
    asked.send("GET /health HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")?;
    let response = asked.response("GET")?.expect(200)?;
    ensure!(response.field("connection") == Some("close"), "{response:?}");
    asked.is_closed()
}

fn it_serves_on_every_machine(context: &Context) -> Result<()> {
    for board in
        ["qemu-virt-gicv3", "qemu-virt-modern", "qemu-virt-max", "qemu-virt-el2", "qemu-virt-el3"]
    {
        let mut guest = boot(context, board)?;
        let mut client = client(&mut guest)?;
        let status = client.get("/api/status")?.expect(200)?.json()?;
        ensure!(status["machine"]["running_at"] == level(context), "{board}: {status}");
    }
    Ok(())
}

fn ten_thousand_requests_are_all_answered(context: &Context) -> Result<()> {
    all_are_answered(context, "qemu-virt", 1_250)
}

/// Eight clients at a time, each of which asks so often; every answer is the request's own, and the
/// gateway counts them all.
pub(super) fn all_are_answered(context: &Context, board: &str, each: u64) -> Result<()> {
    let mut guest = boot(context, board)?;
    let clients: Vec<_> = (0..8).map(|_| client(&mut guest)).collect::<Result<_>>()?;
    let threads = clients.into_iter().enumerate().map(|(number, mut client)| {
        thread::spawn(move || -> Result<Vec<u64>> {
            let sensor = format!("client-{number}");
            let mut ids = Vec::new();
            for value in 0..each {
                let body = json!({"sensor": sensor, "value": value}).to_string();
                let stored = client.post("/api/readings", &body)?.expect(201)?.json()?;
                ids.extend(stored["first"].as_u64());
            }
            Ok(ids)
        })
    });
    let threads: Vec<_> = threads.collect();
    let (mut ids, all) = (HashSet::new(), 8 * each);
    for thread in threads {
        ids.extend(thread.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    let count = ids.len();
    ensure!(count as u64 == all, "{count} readings have a number of their own");
    ensure!(ids.iter().all(|id| (1..=all).contains(id)), "a number out of range");
    // Its own is counted too.
    let status = client(&mut guest)?.get("/api/status")?.expect(200)?.json()?;
    let requests = &status["requests"];
    ensure!(requests["2xx"] == all + 1 && requests["total"] == all + 1, "{status}");
    Ok(())
}

fn a_thousand_connections_come_and_go(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    for number in 0..1_000 {
        let mut client = client(&mut guest)?;
        let health = client.get("/health").with_context(|| format!("connection {number}"))?;
        let health = health.expect(200)?.json()?;
        ensure!(health["requests"] == number + 1, "after {number} requests: {health}");
    }
    let status = client(&mut guest)?.get("/api/status")?.expect(200)?.json()?;
    let connections = &status["connections"];
    ensure!(connections["accepted"] == 1_001 && connections["refused"] == 0, "{status}");
    Ok(())
}

/// The level at which applications run in this mode.
fn level(context: &Context) -> &'static str {
    match context.mode() {
        Mode::Joined => "EL1",
        Mode::Contained => "EL0",
    }
}

/// A gateway that listens.
pub(super) fn boot(context: &Context, board: &str) -> Result<Guest> {
    let network = Network::User(vec![Forward::tcp(PORT)]);
    let guest = context.machine(board, "gateway")?.network(network).boot()?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    Ok(guest)
}

/// A client of it.
pub(super) fn client(guest: &mut Guest) -> Result<Client> {
    connect(guest, PORT).map(Client::new)
}
