//! The hosts of a run: each is brought up when it is first asked for, and all share it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result, anyhow, ensure};
use elone_edge::{Firmware, Parts, Unavailable};

use crate::{Board, Host, LeftOut, TreeSource};

/// Hosts by the names of their boards. They end when this is dropped and nobody uses them.
pub struct Hosts {
    boards: PathBuf,
    cache: PathBuf,
    hosts: Mutex<HashMap<String, Arc<Place>>>,
}

/// A host's place: empty, taken, or why there is none. Locked while it is brought up, so that who
/// asks meanwhile waits.
type Place = Mutex<Option<Result<Arc<Host>, Failure>>>;

/// Why there is no host: it need not be found out twice.
#[derive(Clone, Debug)]
enum Failure {
    Unavailable(String),
    Broken(String),
}

impl Hosts {
    /// None yet, of the boards described in `boards`; what they are made of is kept in the directory
    /// `cache`.
    #[must_use]
    pub fn new(boards: &Path, cache: &Path) -> Self {
        let (boards, cache) = (boards.to_owned(), cache.to_owned());
        Self { boards, cache, hosts: Mutex::default() }
    }

    /// The host that the board called `board` describes. One that has ended is replaced.
    ///
    /// # Errors
    /// [`LeftOut`] where this machine cannot have one; else why it did not come up.
    pub fn host(&self, board: &str) -> Result<Arc<Host>> {
        let place = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hosts.entry(board.to_owned()).or_default())
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_some_and(|known| known.as_ref().is_ok_and(|host| host.has_ended())) {
            *place = None;
        }
        let known = place.get_or_insert_with(|| {
            self.bring_up(board).map(Arc::new).map_err(|error| Failure::of(&error))
        });
        known.clone().map_err(Failure::into_error)
    }

    /// The file with the device tree that a board is handed.
    ///
    /// # Errors
    /// [`LeftOut`] where this machine cannot have it; else what is wrong with it.
    pub fn tree(&self, source: &TreeSource) -> Result<PathBuf> {
        match source {
            TreeSource::File(name) => {
                let file = self.boards.join(name);
                ensure!(file.is_file(), "there is no device tree {}", file.display());
                Ok(file)
            }
            TreeSource::Package { package, path } => elone_edge::tree(&self.cache, package, path)
                .map_err(|error| match error.downcast_ref() {
                    Some(Unavailable(reason)) => {
                        LeftOut(format!("no device tree {path}: {reason}")).into()
                    }
                    None => error,
                }),
        }
    }

    /// The file with this firmware in it.
    ///
    /// # Errors
    /// [`LeftOut`] where this machine cannot have it; else what is wrong with it.
    pub fn firmware(&self, which: Firmware) -> Result<PathBuf> {
        elone_edge::firmware(&self.cache, which).map_err(|error| match error.downcast_ref() {
            Some(Unavailable(reason)) => LeftOut(format!("no firmware: {reason}")).into(),
            None => error,
        })
    }

    /// The file with Xen in it.
    ///
    /// # Errors
    /// [`LeftOut`] where this machine cannot have it; else what is wrong with it.
    pub fn xen(&self) -> Result<PathBuf> {
        elone_edge::xen(&self.cache).map_err(|error| match error.downcast_ref() {
            Some(Unavailable(reason)) => LeftOut(format!("no Xen: {reason}")).into(),
            None => error,
        })
    }

    /// What is to be told of hosts that do not answer, when something has failed; mostly nothing.
    #[must_use]
    pub fn remark(&self) -> String {
        let places: Vec<_> = {
            let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.values().cloned().collect()
        };
        // One that is being brought up is not what has failed.
        let hosts = places.iter().filter_map(|place| place.try_lock().ok()?.clone()?.ok());
        hosts.map(|host| host.remark()).collect()
    }

    fn bring_up(&self, board: &str) -> Result<Host> {
        let board = Board::find(&self.boards, board)?;
        Host::bring_up(&board, &Parts::gather(&self.cache)?, &self.cache)
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Failure {
    fn of(error: &Error) -> Self {
        match error.downcast_ref() {
            Some(Unavailable(reason)) => Self::Unavailable(reason.clone()),
            None => Self::Broken(format!("{error:#}")),
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Unavailable(reason) => LeftOut(format!("no host with KVM: {reason}")).into(),
            Self::Broken(reason) => anyhow!("the host with KVM: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn what_this_machine_cannot_have_is_left_out() {
        let error: Result<()> = Err(Unavailable("no apt-get".to_owned()).into());
        let error = Failure::of(&error.context("fetching").unwrap_err()).into_error();
        assert!(error.downcast_ref::<LeftOut>().unwrap().0.contains("no apt-get"));
        let broken = Failure::of(&anyhow!("it panicked").context("booting")).into_error();
        assert!(!broken.is::<LeftOut>() && broken.to_string().contains("booting: it panicked"));
    }

    #[test]
    fn a_board_that_is_not_there_is_no_reason_to_leave_anything_out() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let hosts = Hosts::new(&boards, Path::new("/no/such/cache"));
        for _ in 0..2 {
            let error = hosts.host("no-such-board").unwrap_err();
            assert!(!error.is::<LeftOut>() && error.to_string().contains("no-such-board"));
        }
        assert_eq!(hosts.remark(), "");
    }
}
