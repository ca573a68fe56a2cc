//! An application that fails again and again is there again each time, with all that it had; one that
//! ends is not started again.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, Guest, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["endurance":
    Quick a_hundred_lives_lack_nothing in Contained,
    Long a_thousand_lives_lack_nothing in Contained,
    Quick hangs_are_found_in_time in Contained,
    Long a_hundred_hangs_of_a_hundred_are_found in Contained,
    Quick who_ends_is_not_started_again in Contained,
];

const PATIENCE: Duration = Duration::from_secs(60);
/// For a thousand lives.
const LONG: Duration = Duration::from_secs(900);

/// How the lives of `lives_without_end` end, in turn.
const DEATHS: [&str; 8] = [
    "panic",
    "write-abort",
    "stack-overflow",
    "panic",
    "execute-abort",
    "supervisor-call",
    "write-abort",
    "undefined-instruction",
];

fn a_hundred_lives_lack_nothing(context: &Context) -> Result<()> {
    lives(context, "qemu-virt", 51)?;
    lives(context, "qemu-virt-modern-gicv3", 51)
}

fn a_thousand_lives_lack_nothing(context: &Context) -> Result<()> {
    lives(context, "qemu-virt", 1_001)?;
    lives(context, "qemu-virt-max", 201)
}

/// Life after life: each is given what the first one was, finds on the disk what the last one left,
/// and dies as it should; the last one still sends and receives.
fn lives(context: &Context, board: &str, lives: usize) -> Result<()> {
    let file = context.scratch.join(format!("{board}.disk"));
    fs::create_dir_all(&context.scratch)?;
    fs::write(&file, vec![0; 1 << 20])?;
    let machine = context.machine(board, "lives_without_end")?.network(Network::Wire).disk(&file);
    let machine = machine.setting("fault-limit=none").setting(&format!("app.lives={lives}"));
    let guest = machine.boot()?;
    let heard = converse(&guest)?;
    let ending = guest.ending(PATIENCE)?;
    ensure!(ending.status == Some(0), "{ending}");

    let said = |what: &str| {
        let lines = ending.console.lines();
        lines.filter(|line| line.contains(what)).map(str::to_owned).collect::<Vec<_>>()
    };
    let given: Vec<_> = said("Usage {").into_iter().filter_map(after_the_number).collect();
    ensure!(given.len() == lives, "{} lives of {lives}: {ending}", given.len());
    let other = given.iter().find(|life| *life != &given[0]);
    ensure!(other.is_none(), "one life had {:?}, the first {:?}", other, given[0]);
    let under_way: Vec<_> =
        said("requests under way").into_iter().filter_map(after_the_number).collect();
    let other = under_way.iter().find(|life| *life != &under_way[0]);
    ensure!(other.is_none() && under_way.len() == lives - 1, "{:?}, {:?}", other, under_way[0]);

    let faults: Vec<_> = ending.console.lines().filter(|line| line.starts_with("FAULT ")).collect();
    ensure!(faults.len() == lives - 1, "{} deaths of {}: {ending}", faults.len(), lives - 1);
    for (life, fault) in faults.iter().enumerate() {
        let class = DEATHS[life % DEATHS.len()];
        ensure!(fault.contains(&format!("class={class} ")), "life {life}, {class}: {fault}");
    }
    for known in (0..lives).step_by(10) {
        ensure!(heard.contains(&known), "the frame of life {known} did not arrive");
    }
    ensure!(ending.console.contains("was the last one"), "{ending}");
    fs::write(context.scratch.join(format!("{board}.restarts")), restarts(&ending)?)?;
    Ok(())
}

/// What a line says after `life N: `.
fn after_the_number(line: String) -> Option<String> {
    let (_, rest) = line.split_once(": life ")?;
    Some(rest.split_once(": ")?.1.to_owned())
}

/// How long each restart took by the guest's clock, in nanoseconds, from the last words of one life
/// to the first ones of the next; a line each. To be looked at: it is the host's speed.
fn restarts(ending: &Ending) -> Result<String> {
    let times = |word: &str| -> Result<Vec<u64>> {
        let parts =
            ending.console.lines().filter_map(|line| line.split_once(word)?.1.split_once(' '));
        parts.map(|(time, _)| Ok(time.parse()?)).collect()
    };
    let (ends, begins) = (times(" ends at ")?, times(" begins at ")?);
    let spans =
        ends.iter().zip(begins.iter().skip(1)).map(|(end, begin)| begin.saturating_sub(*end));
    Ok(spans.map(|span| format!("{span}\n")).collect())
}

/// Answers all that the guest sends, until it has ended; returns the lives that were heard of.
fn converse(guest: &Guest) -> Result<HashSet<usize>> {
    const WORDS: &[u8] = b"here is life ";
    let wire = guest.wire()?;
    let mut answer = vec![0xff; 6];
    answer.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    answer.extend(b"it goes on");
    answer.resize(64, 0);
    let mut heard = HashSet::new();
    let deadline = Instant::now() + LONG;
    while !guest.has_ended(Duration::ZERO) && Instant::now() < deadline {
        let Some(frame) = wire.receive(Duration::from_millis(20))? else { continue };
        if frame.get(14..).is_some_and(|rest| rest.starts_with(WORDS)) {
            let life =
                frame.get(32..36).and_then(|life| life.try_into().ok()).map(u32::from_le_bytes);
            heard.extend(life.and_then(|life| usize::try_from(life).ok()));
        }
        // A guest that ends in this moment leaves nobody to send to.
        let _ = wire.send(&answer);
    }
    Ok(heard)
}

fn hangs_are_found_in_time(context: &Context) -> Result<()> {
    hangs(context, 5)
}

fn a_hundred_hangs_of_a_hundred_are_found(context: &Context) -> Result<()> {
    hangs(context, 100)
}

/// With `-icount` the guest's second is so many instructions, however slow the host; so that it is
/// found in no more than the time that was set can be asked for, and no less than half of it. (At
/// 64 ns an instruction, what passes between the alarm and the report's registers is no time.)
fn hangs(context: &Context, lives: usize) -> Result<()> {
    const SLACK: u64 = 1_000;
    let machine = context.machine("qemu-virt", "hangs_in_every_way")?.setting("watchdog=1");
    let machine = machine.setting("fault-limit=none").setting(&format!("app.lives={lives}"));
    let machine = machine.argument("-icount").argument("shift=6,sleep=off");
    let ending = machine.boot()?.ending(LONG)?;
    ensure!(ending.status == Some(0), "{ending}");
    let faults: Vec<_> = ending.console.lines().filter(|line| line.starts_with("FAULT ")).collect();
    let found = faults.iter().filter(|line| line.starts_with("FAULT class=hang ")).count();
    ensure!(found == lives && faults.len() == lives, "{found} of {lives}: {ending}");

    let [last, first, frequency] = ["x20", "x21", "x22"].map(|name| registers(&ending, name));
    ensure!(last.len() == lives && first.len() == lives, "{} registers: {ending}", last.len());
    for ((last, first), second) in last.iter().zip(&first).zip(&frequency) {
        let took = last.saturating_sub(*first);
        let (least, most) = (second / 2, second + second / SLACK);
        ensure!((least..=most).contains(&took), "found after {took} ticks of {second}: {ending}");
    }
    Ok(())
}

/// What each report says of a register, in order.
fn registers(ending: &Ending, name: &str) -> Vec<u64> {
    let lines = ending.console.lines().filter(|line| line.starts_with("  x"));
    let values = lines.filter_map(|line| line.split_once(&format!("  {name} "))?.1.get(..16));
    values.filter_map(|value| u64::from_str_radix(value, 16).ok()).collect()
}

/// By `exit`, or by coming back from `main`, well or not.
fn who_ends_is_not_started_again(context: &Context) -> Result<()> {
    for (how, status) in [("exit", 7), ("return", 0), ("error", 1)] {
        let machine = context.machine("qemu-virt", "ends_by_itself")?;
        let ending = machine.setting(&format!("app.how={how}")).boot()?.ending(PATIENCE)?;
        ending.expect_status(status).with_context(|| how.to_owned())?;
        let lives = ending.console.matches("this is a life").count();
        ensure!(lives == 1 && !ending.console.contains("restarting"), "{how}: {ending}");
    }
    Ok(())
}
