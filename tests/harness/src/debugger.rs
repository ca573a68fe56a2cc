//! The debugger: what it is called, and what it has to be told about an image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt};

/// What debuggers that know aarch64 are called. The last knows it in some distributions.
const NAMES: [&str; 4] = ["gdb-multiarch", "aarch64-linux-gnu-gdb", "aarch64-none-elf-gdb", "gdb"];

/// A debugger that is told everything it needs to know: the symbols of all that runs in a machine,
/// each at its real address, where the sources are, and where the machine waits.
#[derive(Clone, Debug)]
pub struct Debugger {
    arguments: Vec<String>,
}

impl Debugger {
    /// For the machine that has booted `image` and waits at `address`, `host:port` or the path of
    /// a socket. `sources` is the root of the repository: images name their sources from there.
    #[must_use]
    pub fn new(image: &Path, sources: &Path, address: &str) -> Self {
        let mut arguments = vec![image.with_extension("elf").display().to_string()];
        let mut execute = |command: String| arguments.extend(["-ex".to_owned(), command]);
        // Linked where it runs, so no offset is needed.
        let application = image.with_extension("app.elf");
        if application.is_file() {
            execute(format!("add-symbol-file {}", application.display()));
        }
        execute(format!("set substitute-path elone {}", sources.display()));
        execute(format!("target remote {address}"));
        Self { arguments }
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The debugger that is installed here, if one is.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        let at = |name: &str| {
            let files = env::split_paths(&path).map(|directory| directory.join(name));
            files.into_iter().find(|file| file.is_file() && knows_the_architecture(file))
        };
        NAMES.iter().find_map(|name| at(name))
    }
}

/// As it is typed, with the name that it mostly has.
impl fmt::Display for Debugger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::find();
        let name = found.as_deref().and_then(Path::file_name);
        f.write_str(&name.map_or(NAMES[0].into(), |name| name.to_string_lossy()))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn knows_the_architecture(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(["-nx", "-batch", "-ex", "set architecture aarch64"]).stdin(Stdio::null());
    // It complains on its error stream, and ends with 0 all the same.
    command.output().is_ok_and(|output| output.status.success() && output.stderr.is_empty())
}

/// An argument as a shell takes it for one word.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    match !argument.is_empty() && argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_can_be_typed() {
        let debugger = Debugger::new(Path::new("/a b/it's.img"), Path::new("/a b"), "127.0.0.1:1");
        let line = debugger.to_string();
        let arguments = line.split_once(' ').unwrap().1;
        assert_eq!(
            arguments,
            r"'/a b/it'\''s.elf' -ex 'set substitute-path elone /a b' -ex 'target remote 127.0.0.1:1'"
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &format!("printf '%s\\n' {arguments}")]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        assert_eq!(words.lines().collect::<Vec<_>>(), debugger.arguments());
    }
}
