//! Where the system tests of a run leave their files.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// How many runs there can be at a time in one checkout.
const AT_A_TIME: u32 = 100;

/// A directory of this run's own: the first whose lock is free. What an earlier run left there is
/// removed, so what failed can be looked at until the next run, and nothing piles up.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) directory: PathBuf,
    /// Given back by the system when the process ends, in whatever way.
    _lock: File,
}

impl Scratch {
    /// Claims one below `place`.
    pub(crate) fn claim(place: &Path) -> Result<Self> {
        fs::create_dir_all(place)?;
        for number in 0..AT_A_TIME {
            let lock = File::create(place.join(format!("{number}.lock")))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let directory = place.join(number.to_string());
            if directory.exists() {
                fs::remove_dir_all(&directory)
                    .with_context(|| format!("clearing {}", directory.display()))?;
            }
            fs::create_dir(&directory)?;
            return Ok(Self { directory, _lock: lock });
        }
        bail!("{AT_A_TIME} runs are at work below {}", place.display())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn two_runs_share_nothing_and_a_later_one_clears_up() {
        let place = env::temp_dir().join(format!("elone-scratch-{}", process::id()));
        let first = Scratch::claim(&place).unwrap();
        let second = Scratch::claim(&place).unwrap();
        assert_ne!(first.directory, second.directory);
        let left = first.directory.join("left");
        fs::write(&left, "").unwrap();
        drop(first);
        assert!(left.exists());
        let third = Scratch::claim(&place).unwrap();
        assert!(third.directory == left.parent().unwrap() && !left.exists());
        fs::remove_dir_all(place).unwrap();
    }
}
