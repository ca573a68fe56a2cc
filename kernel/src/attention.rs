//! What on the console is meant for the kernel, and not for the application: that the machine is to
//! end.
//!
//! A break is nothing that can be typed by accident, or be in a file that somebody sends, so what
//! follows it is the kernel's: `o` asks for the end, as in Linux (magic `SysRq`), whose habits
//! monitors and terminal servers have adopted. Where a monitor cannot send a break, the operator may
//! have Ctrl-D mean the same, at the price that the application never gets to see one.
//!
//! Who types on the console is whoever started the machine, or sits in front of it. Nothing that
//! comes over the network comes by here.

use elone_hal::uart::Received;

/// The key that asks for the end, after a break.
const OFF: u8 = b'o';
/// Ctrl-D: ASCII's end of transmission.
const END_OF_TRANSMISSION: u8 = 4;
/// How long a break is remembered, in seconds: a cable that is plugged in looks like one.
pub const PATIENCE: u64 = 5;

/// What asks for the end on the console: the setting `console-end=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleEnd {
    /// Nothing does.
    Off,
    /// A break, and then `o`.
    Break,
    /// That, or Ctrl-D.
    ControlD,
}

/// What became of something that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is the application's.
    Typed(u8),
    /// The machine is to end.
    End,
    /// It was the kernel's, and means nothing, or nothing yet.
    Nothing,
}

/// Listens to what arrives on a console.
#[derive(Debug)]
pub struct Attention {
    by: ConsoleEnd,
    /// How long a break is remembered, in ticks.
    patience: u64,
    /// When there was a break that nothing has followed yet.
    since: Option<u64>,
}

impl Attention {
    /// Listens for what `by` says; a break is remembered for `patience` ticks.
    #[must_use]
    pub const fn new(by: ConsoleEnd, patience: u64) -> Self {
        Self { by, patience, since: None }
    }

    /// What arrived at `now`, in ticks.
    pub fn hear(&mut self, received: Received, now: u64) -> Heard {
        match (self.by, received) {
            // Whoever asks for neither gets what the port makes of a break.
            (ConsoleEnd::Off, Received::Break) => Heard::Typed(0),
            (ConsoleEnd::Off, Received::Byte(byte)) => Heard::Typed(byte),
            (_, Received::Break) => {
                self.since = Some(now);
                Heard::Nothing
            }
            (by, Received::Byte(byte)) => {
                let since = self.since.take();
                let follows = since.is_some_and(|since| now.wrapping_sub(since) <= self.patience);
                match (byte, follows, by) {
                    (OFF, true, _) => Heard::End,
                    (END_OF_TRANSMISSION, _, ConsoleEnd::ControlD) => Heard::End,
                    (_, true, _) => Heard::Nothing,
                    (byte, false, _) => Heard::Typed(byte),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of each, a second apart, where a break is remembered for five.
    fn hear(by: ConsoleEnd, received: &[Option<Received>]) -> Vec<Heard> {
        let mut attention = Attention::new(by, 5);
        let moments = received.iter().zip(u64::MAX - 3..u64::MAX);
        let heard = moments.filter_map(|(one, now)| Some(attention.hear((*one)?, now)));
        heard.collect()
    }

    const BREAK: Option<Received> = Some(Received::Break);

    const fn typed(byte: u8) -> Option<Received> {
        Some(Received::Byte(byte))
    }

    #[test]
    fn a_break_and_an_o_ask_for_the_end() {
        for by in [ConsoleEnd::Break, ConsoleEnd::ControlD] {
            assert_eq!(hear(by, &[BREAK, typed(b'o')]), [Heard::Nothing, Heard::End]);
            assert_eq!(hear(by, &[BREAK, BREAK, typed(b'o')]).last(), Some(&Heard::End));
        }
    }

    #[test]
    fn what_else_follows_a_break_is_swallowed_once() {
        let heard = hear(ConsoleEnd::Break, &[BREAK, typed(b'h'), typed(b'o')]);
        assert_eq!(heard, [Heard::Nothing, Heard::Nothing, Heard::Typed(b'o')]);
    }

    #[test]
    fn a_break_long_ago_is_forgotten() {
        let mut attention = Attention::new(ConsoleEnd::Break, 5);
        assert_eq!(attention.hear(Received::Break, 100), Heard::Nothing);
        assert_eq!(attention.hear(Received::Byte(b'o'), 106), Heard::Typed(b'o'));
        assert_eq!(attention.hear(Received::Break, 200), Heard::Nothing);
        assert_eq!(attention.hear(Received::Byte(b'o'), 205), Heard::End);
    }

    #[test]
    fn everything_that_is_only_typed_is_the_applications() {
        for byte in 0..=255 {
            assert_eq!(hear(ConsoleEnd::Off, &[typed(byte)]), [Heard::Typed(byte)]);
            assert_eq!(hear(ConsoleEnd::Break, &[typed(byte)]), [Heard::Typed(byte)]);
            let expected = if byte == 4 { Heard::End } else { Heard::Typed(byte) };
            assert_eq!(hear(ConsoleEnd::ControlD, &[typed(byte)]), [expected]);
        }
    }

    #[test]
    fn who_is_not_to_listen_does_not() {
        let heard = hear(ConsoleEnd::Off, &[BREAK, typed(b'o'), typed(4)]);
        assert_eq!(heard, [Heard::Typed(0), Heard::Typed(b'o'), Heard::Typed(4)]);
    }
}
