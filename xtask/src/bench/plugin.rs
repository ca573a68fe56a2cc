//! Exact counts of what a guest does, whatever else the machine is doing: a plugin in the emulator
//! counts, and this reads the counters while the guest runs.
//!
//! The plugin is C, because QEMU's interface for plugins is; it is compiled when it is needed.

use std::fs::{self, File};
use std::io;
use std::ops::Sub;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::install::{self, Need, Permission};
use crate::program;

const SOURCE: &str = include_str!("plugin.c");

const COMPILER: Need = Need {
    what: "gcc (it compiles the emulator's counting plugin)",
    packages: &[
        ("apt-get", &["gcc", "libc6-dev"]),
        ("dnf", &["gcc", "glibc-devel"]),
        ("pacman", &["gcc"]),
        ("zypper", &["gcc", "glibc-devel"]),
        ("apk", &["gcc", "musl-dev"]),
    ],
    otherwise: "install a C compiler that is called gcc",
};

/// QEMU 9.0 has version 2 of the plugin interface, and refuses plugins for version 1.
const SECOND_INTERFACE: u32 = 9;

/// Where the counters are in the file, in words of eight bytes, as the plugin has them.
const CONSOLE_BYTES: u64 = 3;
const FIRST_RECORD: u64 = 8;
const WORD: u64 = 8;

/// How much later than the console the plugin may be, on a busy machine.
const LATENESS: Duration = Duration::from_secs(2);

/// The plugin, compiled for the emulator that is here.
#[derive(Debug)]
pub(crate) struct Plugin {
    library: PathBuf,
}

/// What a guest has done since its first instruction, or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Instructions executed.
    pub(crate) instructions: u64,
    /// Loads and stores that a device answered.
    pub(crate) accesses: u64,
    /// How often it went to sleep.
    pub(crate) sleeps: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            instructions: self.instructions - earlier.instructions,
            accesses: self.accesses - earlier.accesses,
            sleeps: self.sleeps - earlier.sleeps,
        }
    }
}

/// The counters of one guest.
#[derive(Debug)]
pub(crate) struct Counters(File);

impl Plugin {
    /// Compiles the plugin into `directory`.
    pub(crate) fn build(directory: &Path, emulator: u32, permission: Permission) -> Result<Self> {
        if program::find("gcc").is_none() {
            install::install(&COMPILER, permission)?;
        }
        let interface = if emulator < SECOND_INTERFACE { 1 } else { 2 };
        fs::create_dir_all(directory)?;
        // In one step under its name: another bench may have it loaded.
        let (source, library) = (directory.join("plugin.c"), directory.join("plugin.so"));
        let unfinished = directory.join(format!("plugin.{}", std::process::id()));
        fs::write(&source, SOURCE).with_context(|| format!("writing {}", source.display()))?;
        let mut compiler = Command::new("gcc");
        compiler.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC"]);
        compiler.args(["-D_DEFAULT_SOURCE", &format!("-DINTERFACE={interface}")]);
        compiler.arg("-o").args([&unfinished, &source]);
        program::output(&mut compiler).context("compiling the emulator's counting plugin")?;
        fs::rename(&unfinished, &library)?;
        Ok(Self { library })
    }

    /// The emulator's arguments that load the plugin, with its counters in `file`.
    pub(crate) fn arguments(&self, file: &Path) -> Result<[String; 2]> {
        let (library, file) = (self.library.display(), file.display());
        let value = format!("{library},counters={file}");
        if value.matches(',').count() > 1 {
            bail!("a comma in the path {library} or {file}: the emulator's options cannot hold it");
        }
        Ok(["-plugin".to_owned(), value])
    }
}

impl Counters {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        File::open(file).map(Self).with_context(|| {
            format!(
                "the plugin left no counters in {}: is this emulator built without plugins?",
                file.display()
            )
        })
    }

    /// What the guest has done so far.
    pub(crate) fn now(&self) -> io::Result<Counts> {
        Ok(Counts { instructions: self.word(0)?, accesses: self.word(1)?, sleeps: self.word(2)? })
    }

    /// What the guest had done when it wrote byte number `byte` to its console, counted from 0;
    /// sleeps are not recorded there.
    ///
    /// The emulator shows a byte before the plugin hears of it, so this may have to wait.
    pub(crate) fn at_console_byte(&self, byte: u64) -> Result<Counts> {
        let begin = Instant::now();
        while self.word(CONSOLE_BYTES)? <= byte && begin.elapsed() < LATENESS {
            thread::sleep(Duration::from_millis(1));
        }
        let instructions = self.word(FIRST_RECORD + 2 * byte)?;
        let accesses = self.word(FIRST_RECORD + 2 * byte + 1)?;
        if instructions == 0 {
            bail!("the plugin saw no byte {byte} of the console: does this machine have a PL011?");
        }
        Ok(Counts { instructions, accesses, sleeps: 0 })
    }

    /// Waits until the guest has executed nothing for `calm`, but no longer than `limit`.
    pub(crate) fn wait_for_calm(&self, calm: Duration, limit: Duration) -> io::Result<Counts> {
        let begin = Instant::now();
        let mut last = self.now()?;
        let mut since = Instant::now();
        while since.elapsed() < calm && begin.elapsed() < limit {
            thread::sleep(Duration::from_millis(10));
            let now = self.now()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    fn word(&self, index: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, index * WORD)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_where_the_plugin_keeps_them() {
        let path = std::env::temp_dir().join(format!("elone-counters-{}", std::process::id()));
        let words: [u64; 12] = [100, 20, 3, 2, 0, 0, 0, 0, 50, 10, 60, 12];
        fs::write(&path, words.map(u64::to_ne_bytes).concat()).unwrap();
        let counters = Counters::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let now = counters.now().unwrap();
        assert_eq!(now, Counts { instructions: 100, accesses: 20, sleeps: 3 });
        let second = counters.at_console_byte(1).unwrap();
        assert_eq!(second, Counts { instructions: 60, accesses: 12, sleeps: 0 });
        assert_eq!((now - second).instructions, 40);
        assert!(counters.at_console_byte(2).is_err());
    }

    #[test]
    fn the_plugin_compiles_for_both_interfaces() {
        let directory = std::env::temp_dir().join(format!("elone-plugin-{}", std::process::id()));
        for emulator in [7, 10] {
            let plugin = Plugin::build(&directory, emulator, Permission::Denied).unwrap();
            assert!(plugin.library.is_file());
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
