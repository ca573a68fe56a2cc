//! Row 17, seen from outside: whether an image has anything by a name that starts programs.

use super::verdict::Outcome;

/// What starts a program, or loads one, in the systems that there are.
const NAMES: &[&str] = &[
    "clone", "dlopen", "do_execve", "execl", "execle", "execlp", "execv", "execve", "execvp",
    "execvpe", "fexecve", "fork", "kernel_execve", "load_elf_binary", "popen", "posix_spawn",
    "posix_spawnp", "system", "vfork",
];

/// Looks for them; an attacker who finds one has what he wants.
pub(super) fn look(names: &[String]) -> Outcome {
    // A dynamic symbol may have its version behind it.
    let plain = |name: &String| name.split('@').next().unwrap_or_default().to_owned();
    match names.iter().map(plain).any(|name| NAMES.contains(&name.as_str())) {
        true => Outcome::Survived,
        false if names.len() < 10 => Outcome::Wrong(format!("{} names in all", names.len())),
        false => Outcome::Stopped(format!("none of {} symbols", names.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::image;

    #[test]
    fn only_the_whole_name_counts() {
        let mut names: Vec<_> = (0..20).map(|n| format!("poll_executor_{n}")).collect();
        assert_eq!(look(&names), Outcome::Stopped("none of 20 symbols".to_owned()));
        names.push("fork@GLIBC_2.17".to_owned());
        assert_eq!(look(&names), Outcome::Survived);
        assert!(matches!(look(&[]), Outcome::Wrong(_)));
    }

    /// This command starts others, so it has what no image has.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_that_starts_others_is_found_out() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(look(&image::names(&program).unwrap()), Outcome::Survived);
    }
}
