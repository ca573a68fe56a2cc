//! The gateway's page in a real browser: Chromium, without a window. Where there is none, and none
//! can be had, the test is left out, and says so.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::gateway::{boot, client};
use crate::scenario::scenarios;
use crate::{Context, Guest, Mode, Scenario, spawn};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["page":
    Quick the_page_lives_in_a_browser,
    Quick the_page_says_how_to_begin,
];

/// How long a browser may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the page lives, by its own clock: two of its turns, and some.
const LIFE: &str = "--virtual-time-budget=5000";
/// The colour schemes, and how the browser is told that its user wants one (0 is dark).
const SCHEMES: [(&str, &str); 2] = [
    ("light", "--blink-settings=preferredColorScheme=1"),
    ("dark", "--blink-settings=preferredColorScheme=0"),
];

/// Live values, the readings as charts, nothing from elsewhere, and nothing to complain of.
fn the_page_lives_in_a_browser(context: &Context) -> Result<()> {
    let Some(browser) = browser()? else { return Ok(()) };
    let mut guest = boot(context, "qemu-virt")?;
    let mut poster = client(&mut guest)?;
    for number in 0..60 {
        let wave = f64::from(number) * 0.2;
        let readings = json!([
            {"sensor": "cellar", "value": 12.0 + wave.sin(), "unit": "°C", "time": 1_795_347_000 + number * 60},
            {"sensor": "attic", "value": 21.5 + 3.0 * wave.cos(), "unit": "°C", "time": 1_795_347_000 + number * 60},
            {"sensor": "pump", "value": 40 + number % 9, "unit": "W", "time": 1_795_347_000 + number * 60},
        ]);
        poster.post("/api/readings", &readings.to_string())?.expect(201)?;
    }
    let visit = visit(context, &browser, &guest, "data")?;
    let page = &visit.page;
    for words in [
        ">10.0.2.15<",
        "linux,dummy-virt",
        "Cortex-A72",
        "128 MiB",
        "3 sensors, 180 readings",
        "aria-label=\"cellar, attic\"",
        "aria-label=\"pump\"",
        "data-v=\"held\">180<",
        "application runs here",
        "data-past=\"none\"",
        match context.mode() {
            Mode::Joined => ">joined, entered at EL1<",
            Mode::Contained => ">contained, entered at EL1<",
        },
    ] {
        ensure!(page.contains(words), "{words:?} is not in the page:\n{page}");
    }
    ensure!(page.matches("<figure>").count() == 2, "not a chart a unit:\n{page}");
    ensure!(!page.contains("class=\"lost\""), "the page has lost its gateway:\n{page}");
    // What the template says of requests was overwritten by what the script has asked for since.
    let shown = page.split("data-v=\"requests\">").nth(1).and_then(|rest| rest.split('<').next());
    let shown: u64 = shown.context("no requests")?.parse()?;
    ensure!(shown > 61, "{shown} requests: the script has not run");
    visit.check()
}

fn the_page_says_how_to_begin(context: &Context) -> Result<()> {
    let Some(browser) = browser()? else { return Ok(()) };
    let guest = boot(context, "qemu-virt")?;
    let visit = visit(context, &browser, &guest, "none")?;
    let host = format!("<span id=\"host\">127.0.0.1:{}</span>/api/readings", guest.port(80)?);
    ensure!(visit.page.contains(&host), "no {host} in\n{}", visit.page);
    ensure!(!visit.page.contains("<figure>"), "a chart of nothing:\n{}", visit.page);
    visit.check()
}

/// What a browser saw.
struct Visit {
    /// The page after its script has run for a while.
    page: String,
    /// What the browser wrote to its log.
    log: String,
    /// The addresses that were asked for on the page's behalf.
    asked: Vec<String>,
    address: String,
}

impl Visit {
    fn check(&self) -> Result<()> {
        let complaints: Vec<_> = self.log.lines().filter(|line| line.contains("CONSOLE")).collect();
        ensure!(complaints.is_empty(), "the console has {complaints:#?}");
        ensure!(self.asked.iter().any(|url| url.ends_with("/api/status")), "{:?}", self.asked);
        let elsewhere: Vec<_> =
            self.asked.iter().filter(|url| !url.starts_with(&self.address)).collect();
        ensure!(elsewhere.is_empty(), "the page asks for {elsewhere:?}");
        Ok(())
    }
}

/// Opens the page, once for what becomes of it and once in each colour scheme for a picture of it.
fn visit(context: &Context, browser: &str, guest: &Guest, name: &str) -> Result<Visit> {
    let address = format!("http://127.0.0.1:{}/", guest.port(80)?);
    let network = context.scratch.join(format!("page-{name}.netlog"));
    let log = format!("--log-net-log={}", network.display());
    let (page, log) = run(context, browser, name, &[&log, LIFE, "--dump-dom", &address])?;

    for (scheme, wanted) in SCHEMES {
        picture(context, browser, (name, &address), (scheme, wanted))?;
    }

    let network: Value = serde_json::from_slice(&fs::read(&network)?)?;
    let events = network["events"].as_array().context("the browser logged nothing")?;
    let asked = events.iter().filter_map(|event| {
        let (of, url) = (&event["params"]["initiator"], event["params"]["url"].as_str()?);
        // The browser's own errands have no initiator, and are not the page's affair.
        let by_page = of.as_str().is_some_and(|of| address.starts_with(of));
        (by_page && !url.starts_with("data:")).then(|| url.to_owned())
    });
    Ok(Visit { page, log, asked: asked.collect(), address })
}

/// Takes a picture of the page in one colour scheme, for people; a test sees only that it is one.
fn picture(
    context: &Context,
    browser: &str,
    (name, address): (&str, &str),
    (scheme, wanted): (&str, &str),
) -> Result<()> {
    let picture = context.scratch.join(format!("page-{name}-{scheme}.png"));
    let _old = fs::remove_file(&picture);
    let shot = format!("--screenshot={}", picture.display());
    run(context, browser, name, &[&shot, wanted, LIFE, "--window-size=1120,1240", address])?;
    let size = fs::metadata(&picture).context("no picture was taken")?.len();
    ensure!(size > 10_000, "a picture of {size} bytes: {}", picture.display());
    eprintln!("the page's picture: {}", picture.display());
    Ok(())
}

/// Runs the browser with a profile of its own, and returns what it wrote to output and log. It can
/// reach this machine and nothing else.
fn run(
    context: &Context,
    browser: &str,
    name: &str,
    arguments: &[&str],
) -> Result<(String, String)> {
    let profile = context.scratch.join(format!("page-{name}.profile"));
    if profile.exists() {
        fs::remove_dir_all(&profile)?;
    }
    fs::create_dir_all(&profile)?;
    let files = ["out", "err"].map(|end| context.scratch.join(format!("page-{name}.{end}")));
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
    command.args(["--disable-component-update", "--enable-logging=stderr", "--hide-scrollbars"]);
    command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command.arg(format!("--user-data-dir={}", profile.display())).args(arguments);
    command.stdin(Stdio::null());
    command.stdout(fs::File::create(&files[0])?).stderr(fs::File::create(&files[1])?);
    let mut child = spawn(&mut command).with_context(|| format!("starting {browser}"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break Default::default();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let [output, log] = files.map(|file| fs::read(file).unwrap_or_default());
    let log = String::from_utf8_lossy(&log).into_owned();
    ensure!(status.success() && Instant::now() < deadline, "{browser}: {status}: {log}");
    Ok((String::from_utf8(output)?, log))
}

/// A browser's program: one that is there, or, as root on Debian, its package.
fn browser() -> Result<Option<String>> {
    if let Some(browser) = installed() {
        return Ok(Some(browser));
    }
    let install = ["install", "--yes", "--no-install-recommends", "chromium"];
    if on_the_path("apt-get").is_some() && is_root() {
        // A machine that is new has no lists of packages yet.
        for words in [&["update"][..], &install] {
            eprintln!("apt-get {}", words.join(" "));
            let mut command = Command::new("apt-get");
            command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
            // Why it fails it says itself; then there is no browser, as before.
            let _ = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
        }
    }
    let browser = installed();
    if browser.is_none() {
        eprintln!("left out: there is no Chromium; to have it: apt-get {}", install.join(" "));
    }
    Ok(browser)
}

fn installed() -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| on_the_path(name).is_some()).map(str::to_owned)
}

fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}
