//! Every attack: which promise it tries, on which machine, and what must become of it.

use elone_gate::Protection;
use elone_harness::Mode;

/// An attack of `app/attack`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// The row of the table in `SECURITY.md`.
    pub(super) row: u8,
    /// What stops it, and is left out to see that nothing else does.
    pub(super) protection: Option<Protection>,
    /// What has to be left out along with the protection for the attack to come through.
    pub(super) along: &'static [Protection],
    pub(super) stop: Stop,
    pub(super) joined: Case,
    pub(super) contained: Case,
    pub(super) core: Core,
    pub(super) course: Course,
}

/// How an attack is stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// The class in the fault's report; none where it is stopped without a fault.
    pub(super) class: Option<&'static str>,
    pub(super) place: Place,
    /// Whether it may also be refused, or miss, without a fault.
    pub(super) refusal: bool,
    /// How many faults are the attack itself, each in a life of its own.
    pub(super) faults: usize,
}

/// Where a fault is, seen from the target that the attack has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The address that faulted is the target.
    There,
    /// The instruction that faulted is the target: such faults have no other address.
    At,
    /// The address is the target but for its upper bits, which a signature has spoiled.
    Spoiled,
    /// The address is the target, bar the tag in its top byte; and the tag is what is wrong.
    Tag,
    /// Below the target, by a stack and what is kept free below it.
    Below,
    /// It has none.
    Nowhere,
}

/// What is to become of an attack in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// It is stopped; and comes through where its protection is left out.
    Switched,
    /// It is stopped; that it is real shows in the other mode.
    Stopped,
    /// It comes through, as in this mode its protection is not there: shows that it is real.
    Control,
    /// It comes through, and nothing is claimed that would stop it.
    ByDesign,
    /// It makes no sense in this mode.
    Absent,
}

/// The core that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// The usual one, which has none of the newer features.
    Usual,
    /// One with every feature.
    Max,
    /// One with tagged memory as well.
    Tagged,
}

/// What the attacker has to know, and how he learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing.
    Once,
    /// Where things were at another boot.
    Twice,
    /// Where things are in another build.
    Builds,
    /// Where the image has a symbol.
    Symbol(&'static str),
    /// That as well, and several lives.
    Lives(&'static str),
}

impl Attack {
    pub(super) const fn case(&self, mode: Mode) -> Case {
        match mode {
            Mode::Joined => self.joined,
            Mode::Contained => self.contained,
        }
    }

    const fn joined(self, joined: Case) -> Self {
        Self { joined, ..self }
    }

    const fn contained(self, contained: Case) -> Self {
        Self { contained, ..self }
    }

    const fn core(self, core: Core) -> Self {
        Self { core, ..self }
    }

    const fn course(self, course: Course) -> Self {
        Self { course, ..self }
    }

    const fn along(self, along: &'static [Protection]) -> Self {
        Self { along, ..self }
    }

    /// Its stop may also be that it is refused, or misses, without a fault.
    const fn or_refused(mut self) -> Self {
        self.stop.refusal = true;
        self
    }
}

/// An attack on what one protection keeps, in both modes, on the usual core.
const fn attack(name: &'static str, protection: Protection, stop: Stop) -> Attack {
    Attack {
        name,
        row: protection.row(),
        protection: Some(protection),
        along: &[],
        stop,
        joined: Case::Switched,
        contained: Case::Switched,
        core: Core::Usual,
        course: Course::Once,
    }
}

/// An attack on a promise that has no protection to be left out, as it is kept by what is not there.
const fn on_row(row: u8, name: &'static str, stop: Stop) -> Attack {
    let attack = attack(name, Protection::Containment, stop);
    Attack { row, protection: None, ..attack }
}

const fn stop(class: &'static str, place: Place) -> Stop {
    Stop { class: Some(class), place, refusal: false, faults: 0 }
}

const READ: Stop = stop("read-abort", Place::There);
const WRITE: Stop = stop("write-abort", Place::There);
const RUN: Stop = stop("execute-abort", Place::There);
const OVERFLOW: Stop = stop("stack-overflow", Place::Below);
const UNDEFINED: Stop = stop("undefined-instruction", Place::Nowhere);
const TRAPPED: Stop = stop("system-access", Place::Nowhere);
const NO_SERVICE: Stop = stop("supervisor-call", Place::Nowhere);
/// A return to what a signature has spoiled.
const UNSIGNED: Stop = stop("execute-abort", Place::Spoiled);
const NO_PAD: Stop = stop("branch-target", Place::At);
const REFUSED: Stop = Stop { class: None, place: Place::Nowhere, refusal: true, faults: 0 };
const PANIC: Stop = stop("panic", Place::Nowhere);
const READ_TAG: Stop = stop("read-abort", Place::Tag);
const WRITE_TAG: Stop = stop("write-abort", Place::Tag);
/// What the kernel knows of where everything is, and what fills in its first tables.
const PLACES: Course = Course::Symbol("ELONE_PLACES");
const BOOT: Course = Course::Symbol("map_pages");
/// What keeps the heap where tags do not.
const CHECKS: &[Protection] = &[Protection::HeapChecks];

/// All that there are, by row.
pub(super) fn all() -> Vec<Attack> {
    use Case::{Absent, ByDesign, Control, Stopped};
    use Core::{Max, Tagged};
    use Course::{Builds, Lives, Symbol, Twice};
    use Protection as P;

    let (w_xor_x, guards) = (P::WriteXorExecute, P::StackGuards);
    // At EL0 the lower half is the application's, and low is what it has nothing at.
    let low = |name, stop| attack(name, P::LowUnmapped, stop).contained(Stopped);
    let at_el1 = |name, protection, stop| attack(name, protection, stop).contained(Absent);
    let at_el0 = |name, stop| attack(name, P::Containment, stop).joined(Control).contained(Stopped);
    vec![
        attack("write-own-code", w_xor_x, WRITE),
        attack("run-heap", w_xor_x, RUN),
        attack("run-stack", w_xor_x, RUN),
        attack("run-data", w_xor_x, RUN),
        attack("run-constants", w_xor_x, RUN),
        attack("run-buffers", w_xor_x, RUN),
        at_el1("find-writable-name-of-code", P::NoAliases, REFUSED).course(PLACES),
        at_el1("find-writable-name-of-constants", P::NoAliases, REFUSED).course(PLACES),
        low("read-null", READ),
        low("write-null", WRITE),
        // What is put at null first is run only where both are left out.
        low("call-null", RUN).along(&[P::WriteXorExecute]),
        low("read-image-where-it-was-loaded", READ),
        attack("deep-recursion", guards, OVERFLOW),
        attack("frame-as-large-as-the-stack", guards, OVERFLOW),
        attack("frame-of-a-mebibyte", guards, OVERFLOW),
        attack("jump-to-known-code", P::RandomLayout, RUN).course(Twice).or_refused(),
        attack("write-known-data", P::RandomLayout, WRITE).course(Twice).or_refused(),
        attack("write-known-heap", P::RandomLayout, WRITE).course(Twice).or_refused(),
        attack("write-known-stack", P::RandomLayout, WRITE).course(Twice).or_refused(),
        attack("jump-to-code-of-another-build", P::ShuffledImage, REFUSED).course(Builds),
        attack("write-data-of-another-build", P::ShuffledImage, REFUSED).course(Builds),
        attack("overwrite-own-return", P::SignedReturns, UNSIGNED).core(Max),
        attack("overwrite-callers-return", P::SignedReturns, UNSIGNED).core(Max),
        attack("reuse-a-signed-return", P::SignedReturns, UNSIGNED).core(Max),
        attack("sign-for-itself", P::SignedReturns, UNSIGNED)
            .core(Max)
            .joined(ByDesign)
            .contained(ByDesign),
        attack("call-past-a-landing-pad", P::LandingPads, NO_PAD).core(Max),
        attack("jump-into-a-function", P::LandingPads, NO_PAD).core(Max),
        attack("call-another-landing-pad", P::LandingPads, NO_PAD)
            .core(Max)
            .joined(ByDesign)
            .contained(ByDesign),
        attack("read-after-free", P::HeapTags, READ_TAG).core(Tagged).along(CHECKS),
        attack("write-after-free", P::HeapTags, WRITE_TAG).core(Tagged).along(CHECKS),
        attack("overrun-by-one", P::HeapTags, READ_TAG).core(Tagged).along(CHECKS),
        attack("overrun-within-a-granule", P::HeapTags, READ_TAG)
            .core(Tagged)
            .joined(ByDesign)
            .contained(ByDesign),
        attack("free-twice", P::HeapTags, PANIC).core(Tagged).along(CHECKS),
        attack("overrun-then-free", P::HeapChecks, PANIC),
        attack("write-after-free-and-wait", P::HeapChecks, PANIC),
        attack("free-twice", P::HeapChecks, PANIC),
        attack("overwrite-vtable", P::SealedData, WRITE),
        at_el1("overwrite-sealed-variable", P::SealedData, WRITE).course(PLACES),
        at_el1("map-code-writable", P::SealedTables, WRITE).course(PLACES),
        at_el1("map-data-executable", P::SealedTables, WRITE).course(PLACES),
        at_el1("find-writable-name-of-tables", P::SealedTables, REFUSED).course(PLACES),
        at_el1("find-instructions-that-undo", P::SealedCode, REFUSED).course(PLACES),
        at_el1("call-boot-code", P::SealedCode, RUN).course(BOOT),
        at_el0("read-kernel", READ).course(Symbol("vectors")),
        at_el0("write-kernel", WRITE).course(Symbol("ELONE_LEFT_OUT")),
        at_el0("run-kernel", RUN).course(Symbol("memset")),
        at_el0("read-system-register", UNDEFINED),
        at_el0("write-system-register", UNDEFINED),
        at_el0("mask-interrupts", TRAPPED),
        at_el0("call-hypervisor", UNDEFINED),
        at_el0("write-table-register", UNDEFINED).joined(Absent),
        at_el0("have-kernel-overwrite-itself", REFUSED).course(Symbol("ELONE_LEFT_OUT")),
        at_el0("have-kernel-overwrite-own-code", REFUSED).joined(Absent),
        attack("tell-mapped-from-unmapped", P::ConstantTimeFaults, Stop { faults: 2, ..REFUSED })
            .core(Max)
            .course(Lives("vectors"))
            .joined(Absent),
        on_row(17, "call-linux-to-execute", NO_SERVICE)
            .or_refused()
            .joined(Stopped)
            .contained(Stopped),
        on_row(17, "call-the-gate-by-svc", NO_SERVICE).joined(Stopped).contained(ByDesign),
        on_row(17, "call-another-service", NO_SERVICE).joined(Stopped).contained(Stopped),
    ]
}

/// A promise that no attack from inside can try, and what tries it instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elsewhere {
    pub(super) row: u8,
    pub(super) attack: &'static str,
    /// The file, below the workspace's root, and a test in it.
    pub(super) file: &'static str,
    pub(super) test: &'static str,
}

const fn elsewhere(
    row: u8,
    attack: &'static str,
    file: &'static str,
    test: &'static str,
) -> Elsewhere {
    Elsewhere { row, attack, file, test }
}

/// All of them.
pub(super) const ELSEWHERE: &[Elsewhere] = &[
    elsewhere(
        14,
        "a million random calls",
        "tests/harness/src/scenarios/containment.rs",
        "millions_of_random_calls_end_nothing",
    ),
    elsewhere(
        15,
        "a device that lies",
        "hal/tests/devices/hostile.rs",
        "whatever_a_device_does_no_buffer_gets_two_owners",
    ),
    elsewhere(
        15,
        "a device that lies about memory",
        "hal/tests/devices/hostile.rs",
        "memory_changed_after_it_was_checked_is_not_read_again",
    ),
    elsewhere(
        15,
        "a device that writes after its reset",
        "hal/tests/devices/restart_hostile.rs",
        "what_a_device_writes_before_its_reset_ends_is_not_seen",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn what_is_tried_elsewhere_is_there() {
        let root = Workspace::read().unwrap().root;
        for Elsewhere { file, test, .. } in ELSEWHERE {
            let source = fs::read_to_string(root.join(file)).unwrap();
            assert!(source.contains(&format!("fn {test}(")), "{test} is not in {file}");
        }
    }

    /// The application and this list are two sides of one thing.
    #[test]
    fn every_attack_is_one_of_the_applications_and_the_other_way_round() {
        let root = Workspace::read().unwrap().root;
        let files = fs::read_dir(root.join("app/attack/src")).unwrap();
        let sources = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let sources: String = sources.collect();
        let made: HashSet<_> = sources
            .lines()
            .filter_map(|line| {
                line.trim().trim_start_matches("&[").strip_prefix("(\"")?.split_once("\", ")
            })
            .filter(|(_, rest)| rest.contains("),"))
            .map(|(name, _)| name)
            .collect();
        let listed: HashSet<_> = all().iter().map(|attack| attack.name).collect();
        assert_eq!(made, listed);
        // One that is stopped by either of two protections is there for each.
        let mut rows: Vec<_> = all().iter().map(|attack| (attack.name, attack.row)).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(all().len(), rows.len());
    }

    #[test]
    fn every_row_that_applies_is_attacked_twice_at_least() {
        // 15 is about devices, 16 about the network: tried elsewhere.
        for row in (1..=17).filter(|row| ![15, 16].contains(row)) {
            let count = all().iter().filter(|attack| attack.row == row).count();
            assert!(count >= 2, "row {row}: {count}");
        }
    }

    /// Each has to come through somewhere.
    #[test]
    fn every_attack_that_is_stopped_is_seen_to_be_real() {
        for attack in all() {
            let cases = [attack.joined, attack.contained];
            let real = cases
                .iter()
                .any(|case| matches!(case, Case::Switched | Case::Control | Case::ByDesign));
            let excused = attack.protection.is_none()
                || attack.name.starts_with("write-table")
                || attack.name.ends_with("own-code");
            assert!(real || excused, "{}", attack.name);
        }
    }
}
