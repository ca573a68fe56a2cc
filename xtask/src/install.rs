//! Getting what is missing with the distribution's package manager, as root or through sudo.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::program;

/// Something that is needed is missing and cannot be installed. Its message holds the commands that
/// would get it, as they are to be typed.
#[derive(Debug)]
pub(crate) struct Missing {
    what: String,
    why: String,
    remedy: Vec<String>,
}

impl Missing {
    pub(crate) fn new(what: &str, why: &str, remedy: Vec<String>) -> Self {
        Self { what: what.to_owned(), why: why.to_owned(), remedy }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing, and {}. To get it:", self.what, self.why)?;
        self.remedy.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Missing {}

/// Whether what is missing may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted,
    Denied,
}

/// Options of every command that may have to install something.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Install nothing: print the commands that would, and end with 2
    #[arg(long)]
    no_install: bool,
}

impl Options {
    pub(crate) fn permission(&self) -> Permission {
        if self.no_install { Permission::Denied } else { Permission::Granted }
    }
}

/// What is needed, and what its packages are called.
#[derive(Debug)]
pub(crate) struct Need {
    /// For messages.
    pub(crate) what: &'static str,
    /// Package manager → packages.
    pub(crate) packages: &'static [(&'static str, &'static [&'static str])],
    /// What to do where no package manager has it.
    pub(crate) otherwise: &'static str,
}

/// A package manager: how it learns what there is, and how it installs without asking.
struct Manager {
    program: &'static str,
    refresh: &'static [&'static str],
    install: &'static [&'static str],
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        refresh: &["update"],
        install: &[
            "install",
            "--yes",
            "--no-install-recommends",
            "--option=DPkg::Lock::Timeout=300",
        ],
    },
    Manager { program: "dnf", refresh: &[], install: &["install", "--assumeyes"] },
    Manager { program: "pacman", refresh: &[], install: &["-Sy", "--noconfirm", "--needed"] },
    Manager { program: "zypper", refresh: &[], install: &["--non-interactive", "install"] },
    Manager { program: "apk", refresh: &[], install: &["add"] },
];

/// Installs what is needed and says so; the manager's own output is the progress.
pub(crate) fn install(need: &Need, permission: Permission) -> Result<()> {
    let missing = |why: &str, remedy: Vec<String>| Missing::new(need.what, why, remedy);
    let known = MANAGERS.iter().find_map(|manager| {
        let (_, packages) = need.packages.iter().find(|(name, _)| *name == manager.program)?;
        program::find(manager.program).map(|_| (manager, *packages))
    });
    let Some((manager, packages)) = known else {
        let why = "there is no package manager here that is known to have it";
        return Err(missing(why, vec![need.otherwise.to_owned()]).into());
    };
    let steps = steps(manager, packages);
    let remedy = || steps.iter().map(|step| format!("sudo {}", step.join(" "))).collect();
    if permission == Permission::Denied {
        return Err(missing("--no-install was given", remedy()).into());
    }
    let Some(prefix) = privilege() else {
        let why = "installing it takes root or a sudo that asks for no password";
        return Err(missing(why, remedy()).into());
    };
    eprintln!("installing {}: {}", need.what, packages.join(" "));
    for step in &steps {
        let words: Vec<&str> = prefix.iter().copied().chain(step.iter().copied()).collect();
        eprintln!("+ {}", words.join(" "));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        // Our standard output is for results; the manager's talk goes where our own goes.
        command.stdout(std::io::stderr());
        let status = command.status().with_context(|| format!("running {}", words[0]))?;
        // A list that cannot be refreshed may still do: only the last step decides.
        let last = step == &steps[steps.len() - 1];
        if last && !status.success() {
            return Err(missing(&format!("{} failed ({status})", step[0]), remedy()).into());
        }
    }
    Ok(())
}

fn steps(manager: &Manager, packages: &[&'static str]) -> Vec<Vec<&'static str>> {
    let step = |arguments: &[&'static str], packages: &[&'static str]| {
        [&[manager.program], arguments, packages].concat()
    };
    let refresh = (!manager.refresh.is_empty()).then(|| step(manager.refresh, &[]));
    refresh.into_iter().chain([step(manager.install, packages)]).collect()
}

/// What to put in front of a command that takes root: nothing for root, sudo where it does not ask.
fn privilege() -> Option<&'static [&'static str]> {
    let user = program::output(Command::new("id").arg("-u")).ok()?;
    if user == "0" {
        return Some(&[]);
    }
    let sudo = program::output(Command::new("sudo").args(["-n", "true"]));
    sudo.is_ok().then_some(&["sudo", "-n", "DEBIAN_FRONTEND=noninteractive"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_installed_is_told_as_commands() {
        let need = Need {
            what: "the moon",
            packages: &[("apt-get", &["moon"]), ("dnf", &["moon"]), ("pacman", &["moon"])],
            otherwise: "ask a friend for the moon",
        };
        let error = install(&need, Permission::Denied).unwrap_err();
        assert!(error.is::<Missing>(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("the moon is missing") && text.contains("\n  "), "{text}");
        assert!(text.lines().last().unwrap().contains("moon"), "{text}");
    }

    #[test]
    fn where_nobody_has_it_the_message_says_what_to_do() {
        let need = Need { what: "the moon", packages: &[], otherwise: "ask a friend" };
        let error = install(&need, Permission::Granted).unwrap_err();
        assert!(error.to_string().ends_with("\n  ask a friend"), "{error}");
    }
}
