//! The program, run as its user runs it, as far as that needs no KVM.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn machine(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/monitor").join(name)
}

#[expect(clippy::unwrap_used, reason = "a test's own function")]
fn monitor(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_elone-monitor");
    let machine = machine("firecracker.toml");
    Command::new(program).arg("--machine").arg(machine).args(arguments).output().unwrap()
}

/// The status that it ends with and what it says.
fn ending(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_it_cannot_use_is_named() {
    let not_an_image = machine("firecracker.toml");
    let not_an_image = not_an_image.to_str().unwrap();
    for (arguments, mention) in [
        (&["--image", "/nowhere.img"][..], "image /nowhere.img: "),
        (&["--image", not_an_image], "not an arm64 image"),
        (&[], "--image is missing"),
        (&["--memory", "1"], "1 MiB of memory"),
        (&["--memory", "lots"], "--memory"),
        (&["--cores", "9"], "--cores"),
        (&["--disk", "/nowhere.disk"], "--disk /nowhere.disk: "),
        (&["--net", "1"], "--net 1: that descriptor is a standard one"),
        (&["--net", "299"], "--net 299: "),
        (&["--net", "a-name-that-is-too-long"], "no interface can be called that"),
        (&["--mac", "03:00:00:00:00:01"], "address of a group"),
        (&["--mac", "elone"], "02:00:00:00:00:01"),
    ] {
        let (status, said) = ending(&monitor(arguments));
        assert_eq!(status, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(mention), "{arguments:?}: {said}");
    }
}

#[test]
fn the_tree_can_be_looked_at() {
    let file = std::env::temp_dir().join(format!("elone-monitor-{}.dtb", std::process::id()));
    let (status, said) = ending(&monitor(&["--write-tree", file.to_str().unwrap()]));
    assert_eq!(status, Some(0), "{said}");
    let tree = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(tree[..4], [0xd0, 0x0d, 0xfe, 0xed]);
}

/// The filter is the one that is in force while a guest runs.
#[test]
fn once_confined_it_opens_no_file_and_signals_no_other_process() {
    for (how, on_reset) in [("open", "end"), ("open", "again"), ("signal", "end")] {
        let (status, said) = ending(&monitor(&["--break-out", how, "--on-reset", on_reset]));
        assert_eq!(status, Some(1), "{said}");
        assert!(said.starts_with("monitor: confined: system call "), "{said}");
        // What it may do before, which is to signal its own threads, it has done.
        let number = said.trim_end().trim_end_matches(" is not allowed").rsplit(' ').next();
        let number: i64 = number.unwrap().parse().unwrap();
        let expected = if how == "open" { libc::SYS_openat } else { libc::SYS_tgkill };
        assert_eq!(number, expected, "{how}");
    }
}
