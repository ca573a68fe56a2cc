//! The settings file: words as the kernel takes them in its boot arguments, on as many lines as one
//! likes; a line that begins with `#` is a remark.

use alloc::string::String;
use core::fmt;
use core::str;

/// How long boot arguments may be, in bytes: as long as Linux takes them on arm64
/// (`COMMAND_LINE_SIZE`). A file may have as much again in remarks.
pub const MOST: usize = 2048;
/// How long a settings file may be, in bytes.
pub const MOST_IN_FILE: usize = 2 * MOST;

/// Why a file is not taken as settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSettings {
    /// It has this many bytes.
    FileTooLong(usize),
    /// Its words make boot arguments of this many bytes.
    TooLong(usize),
    /// It is not printable ASCII, from this byte on.
    NotText(usize),
}

/// The boot arguments that a settings file says.
///
/// # Errors
/// It is too long, or no text.
pub fn read(file: &[u8]) -> Result<String, NoSettings> {
    if file.len() > MOST_IN_FILE {
        return Err(NoSettings::FileTooLong(file.len()));
    }
    let odd = |byte: &u8| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace();
    if let Some(at) = file.iter().position(odd) {
        return Err(NoSettings::NotText(at));
    }
    let text = str::from_utf8(file).map_err(|error| NoSettings::NotText(error.valid_up_to()))?;
    let mut arguments = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for word in line.split_ascii_whitespace() {
            if !arguments.is_empty() {
                arguments.push(' ');
            }
            arguments.push_str(word);
        }
    }
    if arguments.len() > MOST { Err(NoSettings::TooLong(arguments.len())) } else { Ok(arguments) }
}

impl fmt::Display for NoSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileTooLong(length) => {
                write!(f, "it is too long: {length} bytes, over {MOST_IN_FILE}")
            }
            Self::TooLong(length) => {
                write!(f, "its settings are too long: {length} bytes, over {MOST}")
            }
            Self::NotText(at) => write!(f, "it is no text: see its byte {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_lines_are_taken_and_remarks_are_not() {
        let file = b"# of the house\r\nip=dhcp\tlog=debug\r\n\n  # more\nx\n";
        assert_eq!(read(file).unwrap(), "ip=dhcp log=debug x");
        assert_eq!(read(b"").unwrap(), "");
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        assert_eq!(read(&[b'x'; MOST]).unwrap().len(), MOST);
        assert_eq!(read(&[b'x'; MOST + 1]), Err(NoSettings::TooLong(MOST + 1)));
        let remark = [b"#".repeat(MOST), b"\nx".to_vec()].concat();
        assert_eq!(read(&remark).unwrap(), "x");
        assert_eq!(read(&[b'#'; MOST_IN_FILE + 1]), Err(NoSettings::FileTooLong(MOST_IN_FILE + 1)));
        assert_eq!(read(b"log=\0"), Err(NoSettings::NotText(4)));
        assert_eq!(read("ip=\u{e9}".as_bytes()), Err(NoSettings::NotText(3)));
    }
}
