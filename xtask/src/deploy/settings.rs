//! The settings that a machine is given, checked before it is built: by the kernel's own reader, so
//! that what passes here has its effect there.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use elone_kernel::settings::Settings;

/// The longest line that every monitor hands over: Linux takes 2,048 bytes for arm64, the last a
/// zero, and kvmtool and Firecracker have made that theirs. Both add words of their own, as does
/// `firecracker.json`; they have 128 of them.
const LONGEST: usize = 2047 - 128;

/// The settings as one line.
///
/// # Errors
/// One of them is none, or has a value that it cannot have: the message is the kernel's.
pub(crate) fn line(words: &[String]) -> Result<String> {
    for word in words {
        let plain = !word.is_empty() && word.chars().all(|letter| letter.is_ascii_graphic());
        ensure!(plain, "the setting {word:?} is not one word of ASCII");
    }
    let line = words.join(" ");
    ensure!(line.len() <= LONGEST, "the settings take {} bytes, of {LONGEST}", line.len());
    let mut wrong = String::new();
    Settings::parse(&line, |error| {
        // Writing to a string does not fail.
        let _ = write!(wrong, "{}{error}", if wrong.is_empty() { "" } else { "; " });
    });
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(line)
}

/// How long these settings give the application to end once it is asked to, in seconds.
pub(crate) fn shutdown(line: &str) -> u32 {
    Settings::parse(line, |_| {}).shutdown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<String> {
        line(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_the_kernel_understands_is_handed_over() {
        assert_eq!(of(&[]).unwrap(), "");
        let words = ["ip=192.168.1.20/24,192.168.1.1", "app.site=it's\"$HOME\"", "watchdog=off"];
        assert_eq!(of(&words).unwrap(), words.join(" "));
    }

    #[test]
    fn what_it_does_not_is_refused_in_its_words() {
        let cases = [
            ("colour=red", "unknown setting \"colour\""),
            ("watchdog=soon", "bad value \"soon\" for \"watchdog\": expected"),
            ("ip=10.0.0.1", "bad value \"10.0.0.1\" for \"ip\": expected"),
            ("app.=1", "expected app.NAME=VALUE"),
            ("app.a=one two", "is not one word"),
            ("app.a=caf\u{e9}", "is not one word of ASCII"),
            ("", "is not one word"),
        ];
        for (word, mention) in cases {
            let message = of(&[word]).unwrap_err().to_string();
            assert!(message.contains(mention), "{word:?}: {message}");
        }
        let both = of(&["a=1", "log=info", "b=2"]).unwrap_err().to_string();
        assert!(both.contains("\"a\"; unknown setting \"b\""), "{both}");
        let long = format!("app.a={}", "x".repeat(LONGEST));
        let message = of(&[&long]).unwrap_err().to_string();
        assert!(message.contains(&format!("{} bytes, of {LONGEST}", long.len())), "{message}");
    }
}
