//! The debugger: what it is called, and what it has to be told about an image.
//!
//! Nothing runs where it is linked: the kernel moves its image to an address that each boot draws
//! anew, and a contained application is somewhere else in each of its lives. The debugger learns it
//! from the machine, by a script that lies beside the image: it goes on to where the one address is
//! known, and stops for a moment wherever the other is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt, fs, io};

/// What debuggers that know aarch64 are called. The last knows it in some distributions.
const NAMES: [&str; 4] = ["gdb-multiarch", "aarch64-linux-gnu-gdb", "aarch64-none-elf-gdb", "gdb"];

/// Where applications are linked (`app/elone/application.ld`).
const APPLICATION: u64 = 0x40_0000;

/// Goes on to where the image has moved (`hal/src/arch/slide.rs`): the one function returns to the
/// entry code, which has the distance on its stack. Both are linked where they run. The symbols then
/// stand for addresses at which the image will run, and is mapped already.
const IMAGE_MOVES: &str = "\
set confirm off
set breakpoint pending on
set language c
thbreak *elone_hal_slide
continue
thbreak *$x30
continue
set $elone_slide = *(unsigned long *) $sp
symbol-file -o $elone_slide IMAGE
";

/// Stops where a life of a contained application begins (`kernel/src/contained`), whose image then is
/// at the address that is the first argument; takes the symbols along, and goes on.
const APPLICATION_BEGINS: &str = "\
set $elone_begun = 0
break elone_kernel::mode::begins
commands
  silent
  if $elone_begun
    remove-symbol-file -a $elone_base
  end
  set $elone_begun = 1
  set $elone_base = $x0
  add-symbol-file APPLICATION -o $elone_base-BASE
  continue
end
";

/// A debugger that is told everything it needs to know: the symbols of all that runs in a machine,
/// each at its real address, where the sources are, and where the machine waits.
#[derive(Clone, Debug)]
pub struct Debugger {
    arguments: Vec<String>,
}

impl Debugger {
    /// For the machine that has booted `image`, is held before its first instruction, and waits at
    /// `address`, `host:port` or the path of a socket. `sources` is the root of the repository: images
    /// name their sources from there.
    ///
    /// # Errors
    /// The script cannot be written beside the image.
    pub fn new(image: &Path, sources: &Path, address: &str) -> io::Result<Self> {
        let (symbols, file) = (image.with_extension("elf"), image.with_extension("gdb"));
        let mut script = IMAGE_MOVES.replace("IMAGE", &escaped(&symbols));
        let application = image.with_extension("app.elf");
        if application.is_file() {
            let begins = APPLICATION_BEGINS.replace("APPLICATION", &escaped(&application));
            script += &begins.replace("BASE", &format!("{APPLICATION:#x}"));
        }
        script += "set language auto\n";
        // In one step: another debugger may be reading it, and reads the same.
        let new = file.with_added_extension(std::process::id().to_string());
        fs::write(&new, script)?;
        fs::rename(&new, &file)?;

        let mut arguments = vec![symbols.display().to_string()];
        let mut execute = |command: String| arguments.extend(["-ex".to_owned(), command]);
        execute(format!("set substitute-path elone {}", sources.display()));
        execute(format!("target remote {address}"));
        arguments.extend(["-x".to_owned(), file.display().to_string()]);
        Ok(Self { arguments })
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Those of them that connect it, without the script.
    pub(crate) fn connecting(&self) -> &[String] {
        let script = self.arguments.iter().position(|argument| argument == "-x");
        self.arguments.split_at(script.unwrap_or(self.arguments.len())).0
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

/// A path as the debugger takes it for one word.
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    for character in path.display().to_string().chars() {
        if character.is_whitespace() || "\\'\"".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
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
        let directory = env::temp_dir().join(format!("elone it's {}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let image = directory.join("a.img");
        let debugger = Debugger::new(&image, Path::new("/a b"), "127.0.0.1:1").unwrap();
        let line = debugger.to_string();
        let arguments = line.split_once(' ').unwrap().1;
        let expected =
            r" -ex 'set substitute-path elone /a b' -ex 'target remote 127.0.0.1:1' -x '";
        assert!(arguments.contains(expected), "{arguments}");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &format!("printf '%s\\n' {arguments}")]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        assert_eq!(words.lines().collect::<Vec<_>>(), debugger.arguments());

        let script = fs::read_to_string(image.with_extension("gdb")).unwrap();
        let symbols = script.lines().find_map(|line| line.strip_prefix("symbol-file -o "));
        let escaped = symbols.unwrap().split_once(' ').unwrap().1;
        assert!(escaped.ends_with("a.elf") && escaped.contains(r"elone\ it\'s\ "), "{escaped}");
        assert!(!script.contains("add-symbol-file"), "there is no application:\n{script}");
        fs::write(image.with_extension("app.elf"), b"").unwrap();
        Debugger::new(&image, Path::new("/a b"), "127.0.0.1:1").unwrap();
        let script = fs::read_to_string(image.with_extension("gdb")).unwrap();
        assert!(script.contains(r"a.app.elf -o $elone_base-0x400000"), "{script}");
        fs::remove_dir_all(directory).unwrap();
    }
}
