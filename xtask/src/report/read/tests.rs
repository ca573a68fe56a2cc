//! What consoles look like, and what they are made to look like.

use super::super::reports;
use super::*;

const WHOLE: &str = "\
FAULT class=write-abort esr=0x9600004f far=0xffffff8000001000 elr=0x4012a4 spsr=0x80000000 level=EL0
  writing 0xffffff8000001000: not permitted there
  said: panicked at app/x/src/main.rs:12:5: as asked for
  x0  0000000000000001  x1  0000000000000002  x2  0000000000000003  x3  0000000000000004
  sp  0000000000481f30
  program application
  build 5D41402abc4b2a76b9719d911017c592aabbccdd
  base 0x400000
  backtrace 0x4012a4 0x401288 0x400f10
END FAULT
";

fn found(console: &str) -> Vec<Report> {
    found_in(console.as_bytes())
}

fn found_in(console: &[u8]) -> Vec<Report> {
    let mut found = Vec::new();
    let count = reports(console, |report| {
        found.push(report.clone());
        Ok(())
    });
    assert_eq!(count.unwrap(), found.len());
    found
}

#[test]
fn a_report_is_read() {
    let [report] = &found(&format!("\nbefore\n{WHOLE}restarting the machine\n"))[..] else {
        panic!("not one report")
    };
    assert_eq!(report.class, "write-abort");
    assert_eq!(report.program.as_deref(), Some("application"));
    assert_eq!(report.build.as_deref(), Some("5d41402abc4b2a76b9719d911017c592aabbccdd"));
    assert_eq!(report.base, Some(0x40_0000));
    assert!(report.whole && report.lines.len() == 10, "{report:?}");
    let [stood, rest @ ..] = &report.addresses()[..] else { panic!("no addresses") };
    assert_eq!(*stood, Address::Exact(0x40_12a4));
    assert_eq!(*rest, [Address::Return(0x40_1288), Address::Return(0x40_0f10)]);
}

/// As it was written by a terminal, among the log's lines, and as the log shows it again.
#[test]
fn a_report_is_the_same_however_it_came() {
    let [plain] = &found(WHOLE)[..] else { panic!("not one report") };
    let coloured = WHOLE.replace('\n', "\x1b[0m\r\n").replace("FAULT class", "\x1b[31mFAULT class");
    let between = WHOLE.replace('\n', "\n[    1.000000] INFO  kernel: in between\nother words\n");
    let again: String =
        WHOLE.lines().map(|line| format!("[   12.345678] WARN  kernel: {line}\n")).collect();
    for console in [coloured, between, again] {
        assert_eq!(found(&console).as_slice(), std::slice::from_ref(plain), "{console}");
    }
}

#[test]
fn a_report_that_is_cut_off_is_read_as_far_as_it_goes() {
    for length in 0..WHOLE.len() - "END FAULT\n".len() {
        let reports = found(&WHOLE[..length]);
        assert!(reports.len() <= 1 && reports.iter().all(|report| !report.whole), "{reports:?}");
        assert_eq!(reports.len(), usize::from(length >= "FAULT class=".len()), "{length}");
    }
    // The machine ended in the middle of it, and another began; one has no end, the other has.
    let two = format!("{}exit status 101\n  build 77\n{WHOLE}", &WHOLE[..90]);
    assert_eq!(found(&two).iter().map(|report| report.whole).collect::<Vec<_>>(), [false, true]);
    let two = format!("{}\n{WHOLE}", &WHOLE[..90]);
    assert_eq!(found(&two).len(), 2);
    assert_eq!(found(&two)[0].build, None);
}

/// The log's tail is what others said before: nothing in it is taken for the report's own.
#[test]
fn the_logs_tail_does_not_speak_for_the_report() {
    let tail =
        "  log tail:\n  | FAULT class=x elr=0x1\n  | build 99\n  | backtrace 0x7\n  | END FAULT\n";
    let console = WHOLE.replace("END FAULT\n", &format!("{tail}END FAULT\n"));
    let [report] = &found(&console)[..] else { panic!("not one report") };
    assert_eq!(report.addresses().len(), 3);
    assert!(report.whole && report.lines.iter().any(|line| line.contains("| build 99")));
}

#[test]
fn absurd_addresses_are_no_addresses() {
    let with = |elr: &str, words: &str| {
        let console = format!("FAULT class=x elr={elr}\n  backtrace {words}\nEND FAULT\n");
        found(&console)[0].addresses()
    };
    assert_eq!(with("0xfffffffffffffffff", "0x1 0x2 zebra 0x3").len(), 2);
    assert_eq!(with("", ""), []);
    assert_eq!(with("0x-1", "0x+1 0x2"), []);
    assert_eq!(with("0xffffffffffffffff", "0x0"), [Address::Exact(u64::MAX), Address::Return(0)]);
    assert_eq!(with("0x1", &"0x2 ".repeat(10_000)).len(), 65);
}

#[test]
fn a_panic_that_stood_nowhere_begins_with_its_callers() {
    let console = "FAULT class=panic esr=0x0 far=0x0 elr=0x0\n  backtrace 0x10 0x20\nEND FAULT\n";
    assert_eq!(found(console)[0].addresses(), [Address::Return(16), Address::Return(32)]);
    // A jump to null stood there, and is told.
    let console = "FAULT class=execute-abort elr=0x0\n  backtrace 0x0 0x20\nEND FAULT\n";
    assert_eq!(found(console)[0].addresses(), [Address::Exact(0), Address::Return(32)]);
}

#[test]
fn garbage_is_no_report_and_breaks_nothing() {
    assert_eq!(found_in(&[0xff; 100_000]), []);
    assert_eq!(
        found("said FAULT class=x\nmy FAULT class=\n[ FAULT class=x\n[1] ä\u{20ac}: FAULT\n"),
        []
    );
    // Every byte in turn in every place of a report: no panic, and never more than one report.
    for place in 0..WHOLE.len() {
        for byte in [0, b'\n', 0x1b, b' ', 0xc3, b'0'] {
            let mut console = WHOLE.as_bytes().to_vec();
            console[place] = byte;
            assert!(found_in(&console).len() <= 1);
        }
    }
    let endless = format!("FAULT class=x\n{}", "  x\n".repeat(100_000));
    assert!(found(&endless)[0].lines.len() <= MOST_LINES);
}
