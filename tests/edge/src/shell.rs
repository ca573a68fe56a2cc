//! Commands for a host, as they go over the wire.
//!
//! Who wants something connects to [`PORT`] and sends a line for the host's shell. The shell answers
//! with the line [`BEGUN`], runs what was sent, and from then on the connection is that command's
//! standard input and output; when it ends, the connection does. So there is nothing between a
//! command and who runs it: no framing, and no program of ours on the host. Its standard error and
//! its exit status are left in files of the host, for another command to ask.

use std::fmt::Write as _;

/// The host's port for commands.
pub const PORT: u16 = 7000;
/// Where the server's program is, and what it is.
pub(crate) const SERVE: &str = "/bin/serve";
pub(crate) const SERVER: &str = "#!/bin/sh\nread -r line || exit\necho begun\neval \"$line\"\n";
/// The line by which a host shows that it has taken a command.
pub const BEGUN: &str = "begun";
/// What stands before the exit status, in the last line of what [`answered`] is sent.
const STATUS: &str = "status ";

/// A word, so that the shell takes it for one whatever is in it.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The line that runs `words` as a program with its files in `directory`, which is made: `pid` while
/// it runs, `error`, what it complains of, and once it has ended `status`.
#[must_use]
pub fn program(directory: &str, words: &[String]) -> String {
    let mut line = format!("mkdir -p {directory}; cd {directory}; ");
    // The number of the process stays the same when the program takes its place.
    line.push_str("sh -c 'echo $$ >pid; exec \"$@\"' sh");
    for word in words {
        // Writing to a text cannot fail.
        let _ = write!(line, " {}", quoted(word));
    }
    line.push_str(" 2>error; echo $? >status");
    line
}

/// The line that runs `command` and then says how it ended, for [`answer`] to read.
#[must_use]
pub fn answered(command: &str) -> String {
    format!("{{ {command}; }} 2>&1; ended=$?; echo; echo \"{STATUS}$ended\"")
}

/// What a command printed and its exit status, from all that was sent; `None` if it did not come to
/// its end.
#[must_use]
pub fn answer(sent: &str) -> Option<(&str, u8)> {
    let (printed, status) = sent.strip_suffix('\n')?.rsplit_once('\n')?;
    let status = status.strip_prefix(STATUS)?.parse().ok()?;
    Some((printed, status))
}

/// The line that stores the next `length` bytes as `path`.
#[must_use]
pub fn store(path: &str, length: u64) -> String {
    let (path, place) =
        (quoted(path), quoted(path.rsplit_once('/').map_or("/", |(place, _)| place)));
    let store = format!("mkdir -p {place} && head -c {length} > {path} && chmod 755 {path}");
    answered(&store)
}

/// The line that sends the file at `path`: its length as a line, then its bytes.
#[must_use]
pub fn send(path: &str) -> String {
    let path = quoted(path);
    format!("stat -c %s {path} && cat {path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// Runs a line as the host's server does, by this machine's shell.
    fn serve(line: &str, input: &[u8]) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", SERVER.split_once('\n').unwrap().1]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        said.strip_prefix(&format!("{BEGUN}\n")).unwrap().to_owned()
    }

    fn scratch(name: &str) -> String {
        let directory = std::env::temp_dir().join(format!("elone-{name}-{}", std::process::id()));
        directory.to_string_lossy().into_owned()
    }

    #[test]
    fn a_word_stays_one_whatever_is_in_it() {
        for word in ["", "a b", "it's", "$HOME `id` \"x\" \\", "'; rm -rf /; '", "*"] {
            assert_eq!(serve(&format!("printf %s {}", quoted(word)), b""), word);
        }
    }

    #[test]
    fn a_program_has_the_connection_and_leaves_the_rest_in_files() {
        let directory = scratch("program");
        let script = "cat; echo \"$0 $1\"; echo oh >&2; exit 7";
        let words = ["sh", "-c", script, "it's", "a b"].map(str::to_owned);
        assert_eq!(serve(&program(&directory, &words), b"typed\n"), "typed\nit's a b\n");
        let left = |name: &str| fs::read_to_string(format!("{directory}/{name}")).unwrap();
        assert_eq!((left("error").as_str(), left("status").as_str()), ("oh\n", "7\n"));
        assert!(left("pid").trim().parse::<u32>().is_ok());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_answer_has_an_end() {
        let said = serve(&answered("echo one; echo two >&2; false"), b"");
        assert_eq!(answer(&said), Some(("one\ntwo\n", 1)));
        assert_eq!(answer("one\n\nstatus 3\n"), Some(("one\n", 3)));
        assert_eq!(answer("\nstatus 0\n"), Some(("", 0)));
        for cut in ["", "one\n", "one\n\nstatus 3", "one\n\nstat\n"] {
            assert_eq!(answer(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn a_file_goes_there_and_comes_back() {
        let directory = scratch("files");
        let path = format!("{directory}/it's here/file");
        let contents = "lines\nand 'quotes'\n";
        let length = contents.len() as u64;
        let said = serve(&store(&path, length), format!("{contents}more").as_bytes());
        assert_eq!(answer(&said), Some(("", 0)));
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        assert_eq!(serve(&send(&path), b""), format!("{length}\n{contents}"));
        fs::remove_dir_all(directory).unwrap();
    }
}
