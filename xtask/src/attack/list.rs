//! Every attack, by row of the table; and what is tried elsewhere.

use elone_gate::Protection;

use super::kind::{Attack, Case, Core, Course, Place, Stop, attack, on_row, stop};

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
const KERNEL_READ: Stop = stop("read-abort", Place::InKernel);
const REFUSED: Stop = Stop { class: None, place: Place::Nowhere, refusal: true, faults: 0 };
const PANIC: Stop = stop("panic", Place::Nowhere);
const TAG: Stop = stop("tag-check", Place::Tag);
/// What the kernel knows of where everything is, and what fills in its first tables.
const PLACES: Course = Course::Symbol("ELONE_PLACES");
const BOOT: Course = Course::Symbol("map_pages");
/// What keeps the heap where tags do not.
const CHECKS: &[Protection] = &[Protection::HeapChecks];

/// All that there are, by row.
pub(super) fn all() -> Vec<Attack> {
    [addresses(), jumps_and_blocks(), the_seal(), the_kernel()].concat()
}

/// What may be done where, and where that is: rows 1 to 6.
fn addresses() -> Vec<Attack> {
    use Case::{Absent, Stopped};
    use Course::{Builds, Twice};
    use Protection as P;

    let w_xor_x = P::WriteXorExecute;
    let guards = P::StackGuards;
    // At EL0 the lower half is the application's, and low is what it has nothing at.
    let low = |name, stop| attack(name, P::LowUnmapped, stop).contained(Stopped);
    let at_el1 = |name, protection, stop| attack(name, protection, stop).contained(Absent);
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
    ]
}

/// Where code may go on, and what a program may do with its own heap: rows 7 to 10.
fn jumps_and_blocks() -> Vec<Attack> {
    use Case::ByDesign;
    use Core::{Max, Tagged};
    use Protection as P;

    vec![
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
        attack("read-after-free", P::HeapTags, TAG).core(Tagged).along(CHECKS),
        attack("write-after-free", P::HeapTags, TAG).core(Tagged).along(CHECKS),
        attack("overrun-by-one", P::HeapTags, TAG).core(Tagged).along(CHECKS),
        attack("overrun-within-a-granule", P::HeapTags, TAG)
            .core(Tagged)
            .joined(ByDesign)
            .contained(ByDesign),
        attack("free-twice", P::HeapTags, TAG).core(Tagged).along(CHECKS),
        attack("overrun-then-free", P::HeapChecks, PANIC),
        attack("write-after-free-and-wait", P::HeapChecks, PANIC),
        attack("write-into-a-large-block-after-free", P::HeapChecks, PANIC)
            .joined(ByDesign)
            .contained(ByDesign),
        attack("free-twice", P::HeapChecks, PANIC),
    ]
}

/// What the boot has set up: rows 11 to 13.
fn the_seal() -> Vec<Attack> {
    use Case::Absent;
    use Protection as P;

    let at_el1 = |name, protection, stop| attack(name, protection, stop).contained(Absent);
    vec![
        attack("overwrite-vtable", P::SealedData, WRITE),
        at_el1("overwrite-sealed-variable", P::SealedData, WRITE).course(PLACES),
        at_el1("map-code-writable", P::SealedTables, WRITE).course(PLACES),
        at_el1("map-data-executable", P::SealedTables, WRITE).course(PLACES),
        at_el1("find-writable-name-of-tables", P::SealedTables, REFUSED).course(PLACES),
        at_el1("find-instructions-that-undo", P::SealedCode, REFUSED).course(PLACES),
        at_el1("call-boot-code", P::SealedCode, RUN).course(BOOT),
    ]
}

/// What is the kernel's, and what it does for others: rows 14 to 17.
fn the_kernel() -> Vec<Attack> {
    use Case::{Absent, ByDesign, Control, Stopped};
    use Core::Max;
    use Course::{Lives, Symbol};
    use Protection as P;

    let at_el0 = |name, stop| attack(name, P::Containment, stop).joined(Control).contained(Stopped);
    vec![
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
        attack("have-kernel-follow-a-pointer", P::PrivilegedAccessNever, KERNEL_READ)
            .core(Max)
            .joined(Absent),
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
        0,
        "an instruction changed from outside",
        "tests/harness/src/scenarios/integrity.rs",
        "another_instruction_is_found",
    ),
    elsewhere(
        0,
        "a descriptor changed from outside",
        "tests/harness/src/scenarios/integrity.rs",
        "another_descriptor_is_found",
    ),
    elsewhere(
        0,
        "changes that nobody looks for",
        "tests/harness/src/scenarios/integrity.rs",
        "what_is_not_checked_is_not_found",
    ),
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
    elsewhere(
        16,
        "predict ten thousand sequence numbers",
        "app/elone/tests/sequence_numbers.rs",
        "with_it_none_of_ten_thousand_is_predicted",
    ),
    elsewhere(
        16,
        "predict them without the keyed hash",
        "app/elone/tests/sequence_numbers.rs",
        "without_the_protection_ten_thousand_are_predicted",
    ),
    elsewhere(
        16,
        "predict ports and ids of queries",
        "app/elone/tests/sequence_numbers.rs",
        "queries_have_ids_and_ports_of_their_own",
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
