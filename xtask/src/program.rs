//! Running other programs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Looks for a program as a shell would.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Runs `command` quietly and returns what it prints, without the last line's end.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("running {name}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}: {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Runs `command`, whose output goes where ours goes; `None` if it took longer than `limit` and was
/// ended.
pub(crate) fn within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let name = Path::new(command.get_program()).display().to_string();
    let mut child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("running {name}"))?;
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_ended() {
        let status = within(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap();
        assert!(status.is_none());
        assert!(within(&mut Command::new("true"), Duration::from_secs(30)).unwrap().is_some());
    }

    #[test]
    fn a_failure_says_what_the_program_said() {
        let error = output(Command::new("ls").arg("/no/such/place")).unwrap_err().to_string();
        assert!(error.contains("/no/such/place"), "{error}");
    }
}
