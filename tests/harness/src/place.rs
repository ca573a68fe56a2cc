//! Where an emulator runs: on this machine ([`here`](crate::here)), or on a host that is itself
//! emulated ([`there`](crate::there)). A [`Guest`](crate::Guest) is the same either way.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Result, bail};

use crate::Forward;
use crate::wire::Wire;

/// Both ways of a connection.
pub(crate) trait Stream: Read + Write + Debug + Send {}
impl<T: Read + Write + Debug + Send> Stream for T {}

/// One way, to be written to.
pub(crate) trait Input: Write + Debug + Send {}
impl<T: Write + Debug + Send> Input for T {}

/// An emulator that was just started.
pub(crate) struct Started {
    pub(crate) emulator: Box<dyn Emulator>,
    /// The guest's console, either way.
    pub(crate) input: Box<dyn Input>,
    pub(crate) output: Box<dyn Read + Send>,
    pub(crate) wire: Option<Wire>,
}

/// An emulator's process, wherever it runs. Dropped, it is killed.
pub(crate) trait Emulator: Debug + Send {
    /// Its call, once it has called: the other end of its monitor.
    ///
    /// # Errors
    /// Nobody can call.
    fn caller(&mut self) -> Result<Option<Box<dyn Stream>>>;

    /// Waits for its end, once its output has ended.
    ///
    /// # Errors
    /// It cannot be told how it ended.
    fn wait(&mut self) -> Result<ExitStatus>;

    /// Ends it as it is.
    fn kill(&mut self);

    /// What it complained of, once it has ended.
    fn complaint(&mut self) -> String;

    /// The port of this machine's 127.0.0.1 that leads to `port` where the emulator runs, which is
    /// what a forward that was `asked` for became there.
    ///
    /// # Errors
    /// There can be none.
    fn reach(&mut self, asked: Forward, port: u16) -> Result<u16>;

    /// Returns when connections that were made to such ports have been taken by whatever is on the
    /// way to the emulator.
    ///
    /// # Errors
    /// What is on the way has ended.
    fn let_pass(&mut self) -> Result<()>;

    /// What is to be told of the place where it runs, when a guest is stuck; mostly nothing.
    fn remark(&self) -> String;
}

/// What an emulator's command line says of the place where it runs.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Where its monitor is to call, as `-chardev socket` takes it.
    pub(crate) monitor: String,
    /// Stands before the path of every file.
    pub(crate) root: PathBuf,
    /// The address at which its forwards listen; empty for all that there are.
    pub(crate) address: &'static str,
    /// What stands for a wire to the test, as its `-netdev` takes it, if there can be one.
    pub(crate) wire: Option<String>,
}

impl Surroundings {
    /// This machine, with sockets in `directory`.
    pub(crate) fn here(directory: &Path) -> Self {
        Self {
            monitor: format!("path={}", directory.join("monitor").display()),
            root: PathBuf::new(),
            address: "127.0.0.1",
            wire: Some(Wire::argument(directory)),
        }
    }

    /// Where a file of this machine is there.
    pub(crate) fn path(&self, file: &Path) -> PathBuf {
        match self.root.as_os_str().is_empty() {
            true => file.to_owned(),
            false => self.root.join(file.strip_prefix("/").unwrap_or(file)),
        }
    }

    /// A wire, as `-netdev` takes it.
    pub(crate) fn wire(&self) -> Result<&str> {
        let Some(wire) = &self.wire else { bail!("no wire leads to a host that is emulated") };
        Ok(wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_names_elsewhere() {
        let here = Surroundings::here(Path::new("/d"));
        assert_eq!(here.path(Path::new("relative/i")), Path::new("relative/i"));
        let there = Surroundings { root: "/run/7".into(), wire: None, ..here };
        assert_eq!(there.path(Path::new("/a/image")), Path::new("/run/7/a/image"));
        assert_eq!(there.path(Path::new("b/image")), Path::new("/run/7/b/image"));
        assert!(there.wire().is_err());
    }
}
