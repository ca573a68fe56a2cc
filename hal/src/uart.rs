//! Serial ports: the PL011 of Arm, the 16550 of everybody else, and what Broadcom made of that,
//! behind one [`Uart`].
//!
//! A port is a handle to registers, without state or lock, so that the report of a fault can use
//! it whatever was going on. Who uses it from two places at once gets mixed lines, nothing worse.
//! Baud rates are never touched: firmware or hypervisor has chosen one.

mod bcm2835_aux;
mod cadence;
mod ns16550;
mod pl011;

pub use bcm2835_aux::Bcm2835Aux;
pub use cadence::Cadence;
pub use ns16550::{Ns16550, RegisterWidth};
pub use pl011::Pl011;

/// How often a port is asked whether it has room before the rest of a write is dropped. At 9,600
/// baud a FIFO of 16 bytes takes 17 ms, and a read takes 100 ns or more.
const ROOM_READS: u32 = 200_000;

/// How many bytes fit into a FIFO that is empty. Some have more; all that have one have these.
const FIFO: usize = 16;

/// What arrives at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A byte.
    Byte(u8),
    /// A break: the line was held down for longer than any byte does.
    Break,
}

/// A serial port.
#[derive(Clone, Copy, Debug)]
pub enum Uart {
    /// PrimeCell UART (PL011).
    Pl011(Pl011),
    /// 16550 or compatible.
    Ns16550(Ns16550),
    /// Broadcom's mini UART.
    Bcm2835Aux(Bcm2835Aux),
    /// Cadence's.
    Cadence(Cadence),
}

impl Uart {
    /// Writes `bytes`, waiting for room where there is none, for a bounded time; returns how many
    /// were taken. The rest is dropped: a port that nobody empties must not stop the machine.
    pub fn write(self, bytes: &[u8]) -> usize {
        match self {
            Self::Pl011(port) => fill(bytes, || port.room(), |byte| port.put(byte)),
            Self::Ns16550(port) => fill(bytes, || port.room(), |byte| port.put(byte)),
            Self::Bcm2835Aux(port) => fill(bytes, || port.room(), |byte| port.put(byte)),
            Self::Cadence(port) => fill(bytes, || port.room(), |byte| port.put(byte)),
        }
    }

    /// Writes a byte, or drops it after a bounded wait for room.
    pub fn write_byte(self, byte: u8) {
        self.write(&[byte]);
    }

    /// Takes the next thing that arrived.
    #[must_use]
    pub fn receive(self) -> Option<Received> {
        match self {
            Self::Pl011(port) => port.receive(),
            Self::Ns16550(port) => port.receive(),
            Self::Bcm2835Aux(port) => port.receive(),
            Self::Cadence(port) => port.receive(),
        }
    }

    /// Asks for an interrupt for as long as there is something to read.
    pub fn enable_receive_interrupt(self) {
        match self {
            Self::Pl011(port) => port.enable_receive_interrupt(),
            Self::Ns16550(port) => port.enable_receive_interrupt(),
            Self::Bcm2835Aux(port) => port.enable_receive_interrupt(),
            Self::Cadence(port) => port.enable_receive_interrupt(),
        }
    }

    /// Whether it can tell a break from a byte.
    #[must_use]
    pub const fn has_breaks(self) -> bool {
        !matches!(self, Self::Bcm2835Aux(_) | Self::Cadence(_))
    }

    /// Asks for no more interrupts: for a handler that leaves the reading to somebody else. Nothing
    /// is acknowledged: what arrived interrupts until it is read, and again once that is allowed.
    pub fn disable_interrupts(self) {
        match self {
            Self::Pl011(port) => port.disable_interrupts(),
            Self::Ns16550(port) => port.disable_interrupts(),
            Self::Bcm2835Aux(port) => port.disable_interrupts(),
            Self::Cadence(port) => port.disable_interrupts(),
        }
    }
}

/// Puts bytes as there is room for them; gives up on a port that has had none for too long.
fn fill(bytes: &[u8], room: impl Fn() -> usize, put: impl Fn(u8)) -> usize {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..)
        && !rest.is_empty()
    {
        let Some(room) = (0..ROOM_READS).map(|_| room()).find(|&room| room > 0) else { break };
        let now = rest.len().min(room);
        rest.iter().take(now).for_each(|&byte| put(byte));
        written += now;
    }
    written
}
