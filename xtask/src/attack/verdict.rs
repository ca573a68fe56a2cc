//! What became of an attack, read from what its machine left behind.
//!
//! Nothing is taken for granted: a fault counts only if it is the only one, of the class that the
//! attack is stopped by, at the target that the attack named, at the level that it ran at, with a
//! whole report, and if the machine then ended as policy asks. Whatever else is seen is wrong.

use std::fmt;

use elone_harness::{Ending, Mode, Shutdown};

use super::kind::{Place, Stop};

/// How a machine ends after a fault with `on-fault=off`, and after an attack that was refused.
const AFTER_A_FAULT: u8 = 101;
const AFTER_A_REFUSAL: u8 = 3;
/// What lies below a stack and counts as its guard, with the stack itself.
const STACK_AND_GUARD: u64 = (2 << 20) + (128 << 10);
/// Addresses have 48 bits; those above are all alike, or hold a signature.
const ADDRESS: u64 = (1 << 48) - 1;
/// Without the byte that holds a tag.
const UNTAGGED: u64 = (1 << 56) - 1;
/// How large the objects are whose memory has tags, in bytes.
const OBJECT: u64 = 64;

/// What became of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was stopped, by what the words say.
    Stopped(String),
    /// It came through.
    Survived,
    /// It could not be made, as the machine lacks what is tried; the words say what.
    LeftOut(String),
    /// None of these: what was seen instead.
    Wrong(String),
}

/// A fault's line.
struct Fault<'a> {
    class: &'a str,
    far: u64,
    elr: u64,
    level: &'a str,
}

impl<'a> Fault<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let field = |name: &str| {
            let mut words = line.split_ascii_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let number = |name: &str| hexadecimal(field(name)?);
        let (class, level) = (field("class")?, field("level")?);
        Some(Self { class, far: number("far")?, elr: number("elr")?, level })
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, far, elr, level } = self;
        write!(f, "{class} far={far:#x} elr={elr:#x} level={level}")
    }
}

/// Reads what became of an attack that `stop` is to stop, in this mode.
pub(super) fn judge(ending: &Ending, stop: Stop, mode: Mode) -> Outcome {
    let lines = || ending.console.lines();
    let survived = lines().any(|line| line.contains("SURVIVED"));
    let refused = lines().find_map(|line| line.strip_prefix("STOPPED by "));
    let faults: Vec<_> = lines().filter(|line| line.starts_with("FAULT ")).collect();
    let off = ending.shutdown == Shutdown::PoweredOff;
    // Faults that are the attack itself come to nothing by themselves.
    let faults = match stop.faults {
        0 => faults,
        own if own == faults.len() => Vec::new(),
        own => return Outcome::Wrong(format!("{} faults, and not {own}", faults.len())),
    };
    match (&faults[..], survived, refused) {
        ([], true, None) if off && ending.status == Some(0) => Outcome::Survived,
        ([], false, Some(by)) if off && ending.status == Some(AFTER_A_REFUSAL) => {
            if stop.refusal {
                Outcome::Stopped(by.to_owned())
            } else {
                Outcome::Wrong(format!("it was stopped by {by}, without a fault"))
            }
        }
        ([line], false, None) => match fault(ending, line, stop, mode) {
            Ok(by) => Outcome::Stopped(by),
            Err(why) => Outcome::Wrong(why),
        },
        ([], false, None) => Outcome::Wrong(format!("nothing came of it: {}", end(ending))),
        ([_, _, ..], false, _) => Outcome::Wrong(format!("{} faults", faults.len())),
        (_, true, _) => Outcome::Wrong(format!("it came through, but {}", end(ending))),
        (_, _, Some(_)) => Outcome::Wrong(format!("it was refused, but {}", end(ending))),
    }
}

/// Whether the one fault is the right one; what it was.
fn fault(ending: &Ending, line: &str, stop: Stop, mode: Mode) -> Result<String, String> {
    let fault = Fault::read(line).ok_or_else(|| format!("an unreadable report: {line}"))?;
    let target = ending.console.lines().find_map(|line| line.strip_prefix("TARGET "));
    let target = target.and_then(hexadecimal).ok_or("it named no target")?;
    let level = match mode {
        Mode::Contained if stop.place != Place::InKernel => "EL0",
        _ => "EL1",
    };
    let there = match stop.place {
        Place::There | Place::InKernel => fault.far == target,
        Place::At => fault.elr == target,
        Place::Spoiled => fault.far != target && fault.far & ADDRESS == target & ADDRESS,
        Place::Tag => {
            let within = (fault.far & UNTAGGED).wrapping_sub(target & UNTAGGED);
            within < OBJECT && is_of_a_tag(&ending.console)
        }
        Place::Below => fault.far < target && target - fault.far < STACK_AND_GUARD,
        Place::Nowhere => true,
    };
    if stop.class != Some(fault.class) {
        return Err(format!("another fault: {fault}"));
    }
    if !there {
        return Err(format!("a fault elsewhere than at {target:#x}: {fault}"));
    }
    if fault.level != level {
        return Err(format!("a fault at another level: {fault}"));
    }
    if !ending.console.lines().any(|line| line == "END FAULT") {
        return Err(format!("a report without an end: {fault}"));
    }
    if ending.shutdown != Shutdown::PoweredOff || ending.status != Some(AFTER_A_FAULT) {
        return Err(format!("{fault}, but {}", end(ending)));
    }
    Ok(match stop.place {
        Place::There | Place::InKernel | Place::Spoiled | Place::Below | Place::Tag => {
            format!("{} at {:#x}", fault.class, fault.far)
        }
        Place::At => format!("{} at {:#x}", fault.class, fault.elr),
        Place::Nowhere => fault.class.to_owned(),
    })
}

/// How the machine ended, in a line.
fn end(ending: &Ending) -> String {
    let faulted = ending.fault.as_deref().map_or(String::new(), |fault| format!(" after {fault}"));
    let last = ending.console.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.map_or(String::new(), |line| format!(", saying {line:?}"));
    match (ending.shutdown, ending.status) {
        (Shutdown::PoweredOff, Some(status)) => format!("it ended with status {status}{faulted}"),
        (how, _) => format!("the machine ended by itself ({how:?}){faulted}{last}"),
    }
}

/// Whether the report says that a tag was wrong.
fn is_of_a_tag(console: &str) -> bool {
    console
        .lines()
        .any(|line| line.starts_with("  ") && line.ends_with("the memory has another tag"))
}

/// Reads `0x…`.
pub(super) fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Stop =
        Stop { class: Some("write-abort"), place: Place::There, refusal: false, faults: 0 };
    const FAULT: &str = "FAULT class=write-abort esr=0x9600004f far=0xffffff8000001004 \
        elr=0xffffff8000002000 spsr=0x0 level=EL1\n  writing\nEND FAULT\nexit status 101\n";

    fn ending(console: &str) -> Ending {
        let status = console.lines().rev().find_map(|line| line.strip_prefix("exit status "));
        Ending {
            status: status.and_then(|status| status.parse().ok()),
            fault: console.lines().find(|line| line.starts_with("FAULT ")).map(str::to_owned),
            shutdown: Shutdown::PoweredOff,
            console: console.to_owned(),
            complaint: String::new(),
        }
    }

    fn judged(console: &str, stop: Stop) -> Outcome {
        judge(&ending(console), stop, Mode::Joined)
    }

    #[track_caller]
    fn is_wrong(outcome: Outcome, because: &str) {
        let Outcome::Wrong(why) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(because), "{why}");
    }

    #[test]
    fn a_fault_at_the_target_stops_an_attack() {
        let console = format!("TARGET 0xffffff8000001004\n{FAULT}");
        let by = "write-abort at 0xffffff8000001004".to_owned();
        assert_eq!(judged(&console, WRITE), Outcome::Stopped(by));
    }

    #[test]
    fn any_other_fault_does_not() {
        let console = format!("TARGET 0xffffff8000001004\n{FAULT}");
        let with = |from: &str, to: &str| judged(&console.replace(from, to), WRITE);
        is_wrong(with("class=write-abort", "class=read-abort"), "another fault");
        is_wrong(with("far=0xffffff8000001004", "far=0x0"), "elsewhere");
        is_wrong(with("level=EL1", "level=EL0"), "another level");
        is_wrong(with("END FAULT\n", ""), "without an end");
        is_wrong(with("exit status 101", "exit status 0"), "status 0");
        is_wrong(with("exit status 101", "restarting the machine"), "ended by itself");
        is_wrong(with("TARGET", "target"), "no target");
        is_wrong(with("far=", "fra="), "unreadable");
        is_wrong(with("END FAULT\n", &format!("END FAULT\n{FAULT}")), "2 faults");
        is_wrong(with("END FAULT\n", "END FAULT\nSURVIVED\n"), "came through, but");
        let reset = Ending { shutdown: Shutdown::Reset, ..ending(&console) };
        is_wrong(judge(&reset, WRITE, Mode::Joined), "ended by itself");
    }

    #[test]
    fn an_attack_has_come_through_only_with_a_good_end() {
        assert_eq!(judged("TARGET 0x0\nSURVIVED\nexit status 0\n", WRITE), Outcome::Survived);
        is_wrong(judged("SURVIVED\nexit status 1\n", WRITE), "status 1");
        is_wrong(judged("SURVIVED\nSTOPPED by a miss\nexit status 3\n", WRITE), "status 3");
        is_wrong(judged("SURVIVED\n", WRITE), "ended by itself");
    }

    #[test]
    fn a_refusal_counts_where_it_is_expected() {
        let console = "TARGET 0x0\nSTOPPED by the gate\nexit status 3\n";
        let refusal = Stop { refusal: true, ..WRITE };
        assert_eq!(judged(console, refusal), Outcome::Stopped("the gate".to_owned()));
        is_wrong(judged(console, WRITE), "without a fault");
        is_wrong(judged(&console.replace('3', "0"), refusal), "but it ended with status 0");
    }

    #[test]
    fn faults_that_are_the_attack_are_counted() {
        let console = format!("TARGET 0x0\n{FAULT}{FAULT}STOPPED by the same\nexit status 3\n");
        let stop = Stop { refusal: true, faults: 2, ..WRITE };
        assert_eq!(judged(&console, stop), Outcome::Stopped("the same".to_owned()));
        is_wrong(judged(&console, Stop { faults: 1, ..stop }), "2 faults, and not 1");
        is_wrong(judged(&console, Stop { faults: 0, ..stop }), "2 faults");
    }

    #[test]
    fn a_tag_must_be_what_is_wrong() {
        let console = format!("TARGET 0xf5ffff8000001004\n{FAULT}");
        let stop = Stop { place: Place::Tag, ..WRITE };
        is_wrong(judged(&console, stop), "elsewhere");
        let console = console.replace("  writing", "  writing 0x4: the memory has another tag");
        assert!(matches!(judged(&console, stop), Outcome::Stopped(_)));
    }

    #[test]
    fn nothing_at_all_is_wrong() {
        is_wrong(judged("", WRITE), "nothing came of it");
        is_wrong(judged("there is no attack \"x\"\nexit status 2\n", WRITE), "status 2");
    }

    #[test]
    fn places_are_told_apart() {
        let console = |far: u64, elr: u64| {
            format!(
                "TARGET 0x0000000000402000\nFAULT class=write-abort esr=0x0 far={far:#018x} \
                 elr={elr:#018x} spsr=0x0 level=EL0\nEND FAULT\nexit status 101\n"
            )
        };
        let stops = |place, far, elr| {
            let stop = Stop { place, ..WRITE };
            matches!(judge(&ending(&console(far, elr)), stop, Mode::Contained), Outcome::Stopped(_))
        };
        assert!(stops(Place::At, 0, 0x40_2000) && !stops(Place::At, 0x40_2000, 0));
        assert!(stops(Place::Spoiled, 0x0020_0000_0040_2000, 0));
        assert!(!stops(Place::Spoiled, 0x40_2000, 0) && !stops(Place::Spoiled, 0x0020_0000, 0));
        assert!(stops(Place::Below, 0x3f_0000, 0) && !stops(Place::Below, 0x40_3000, 0));
        assert!(stops(Place::There, 0x40_2000, 0) && !stops(Place::InKernel, 0x40_2000, 0));
        assert!(!stops(Place::Below, 0x1000, 0) && stops(Place::Nowhere, 1, 1));
    }
}
