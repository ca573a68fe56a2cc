//! One function's configuration space.

use super::registers::{
    CAPABILITIES, CLASS, COMMAND, DEVICE_ID, HAS_CAPABILITIES, HEADER_TYPE, INTERRUPT_PIN,
    MANY_FUNCTIONS, STATUS, SUBSYSTEM_ID, VENDOR_ID, capability, command,
};
use super::{Address, BusMaster};
use crate::mmio::Window;

/// Where capabilities can be: behind the header, in the first 256 bytes.
const FIRST: usize = 0x40;
const END: usize = 0x100;
/// A capability is at least four bytes, so there are no more than this, unless they go in circles.
const CAPABILITIES_AT_MOST: usize = (END - FIRST) / 4;

/// A function that answers.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    registers: Window,
    address: Address,
}

/// A capability: its bytes from the first one on, to the end of where capabilities are.
pub(crate) type Capability = Window;

impl Function {
    /// Looks whether there is a function. Nobody answers with an external abort, or all ones.
    pub(super) fn look(registers: Window, address: Address) -> Option<Self> {
        let identity = registers.attempt32(VENDOR_ID).ok()?;
        // All ones is nobody (section 6.1); zeros come from where configuration space is not.
        (identity & 0xffff != 0xffff && identity != 0).then_some(Self { registers, address })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    pub(super) const fn is_on(&self, bus: u8) -> bool {
        self.address.bus == bus
    }

    /// Who made it.
    #[must_use]
    pub fn vendor_id(&self) -> u16 {
        self.registers.read16(VENDOR_ID)
    }

    /// What its maker calls it.
    #[must_use]
    pub fn device_id(&self) -> u16 {
        self.registers.read16(DEVICE_ID)
    }

    /// What its maker calls it as a part of something else.
    #[must_use]
    pub fn subsystem_id(&self) -> u16 {
        self.registers.read16(SUBSYSTEM_ID)
    }

    /// What it is for: the base class and its sub-class (appendix D).
    pub(super) fn class(&self) -> (u8, u8) {
        (self.registers.read8(CLASS + 3), self.registers.read8(CLASS + 2))
    }

    /// Which pin it interrupts by: 0 (A) to 3 (D).
    #[must_use]
    pub fn pin(&self) -> Option<u8> {
        self.registers.read8(INTERRUPT_PIN).checked_sub(1).filter(|pin| *pin < 4)
    }

    /// The layout of its header (0: an ordinary function, 1: a bridge), and whether its device has
    /// further functions.
    pub(super) fn header(&self) -> (u8, bool) {
        let header = self.registers.read8(HEADER_TYPE);
        (header & !MANY_FUNCTIONS, header & MANY_FUNCTIONS != 0)
    }

    /// Its configuration space.
    pub(super) const fn registers(&self) -> Window {
        self.registers
    }

    /// Sets and clears bits of the command register, which shares its word with others that clear
    /// what is written to them.
    pub(super) fn command(&self, set: u16, clear: u16) {
        let before = self.registers.read16(COMMAND);
        self.registers.write16(COMMAND, before & !clear | set);
        // Writes may be acknowledged before they have arrived, unlike reads: what comes next counts on it.
        let _ = self.registers.read16(COMMAND);
    }

    /// The command register.
    pub(super) fn commanded(&self) -> u16 {
        self.registers.read16(COMMAND)
    }

    /// Ends what firmware, or a driver that failed, had it do: from here on it neither reads nor writes
    /// memory, and interrupts in no way.
    pub(super) fn silence(&self) {
        self.command(command::INTERRUPT_DISABLE, command::BUS_MASTER);
        self.stop_messages();
    }

    /// The same for good, of a function that nobody drives: its memory is off as well.
    pub fn turn_off(&self) {
        self.command(0, command::MEMORY);
        self.silence();
    }

    /// Has it send no messages in place of its pin, of whichever kind.
    pub fn stop_messages(&self) {
        for (id, registers) in self.capabilities() {
            let enable = match id {
                capability::FEW_MESSAGES => 1,
                capability::MESSAGES => 1 << 15,
                _ => continue,
            };
            let control = registers.read16(2);
            if control & enable != 0 {
                registers.write16(2, control & !enable);
            }
        }
    }

    /// What lets it reach memory, for whoever has reset it.
    pub(crate) const fn bus_master(&self) -> BusMaster {
        BusMaster(self.registers)
    }

    /// Has it interrupt by its pin, which is off since it was found: for when there is somebody who asks
    /// it why.
    pub fn use_pin(&self) {
        self.command(0, command::INTERRUPT_DISABLE);
    }

    /// Its capabilities, each with its kind (section 6.7).
    pub(crate) fn capabilities(&self) -> impl Iterator<Item = (u8, Capability)> + use<> {
        let registers = self.registers;
        let has_some = registers.read16(STATUS) & HAS_CAPABILITIES != 0;
        let mut next = if has_some { registers.read8(CAPABILITIES) } else { 0 };
        core::iter::from_fn(move || {
            let at = usize::from(next & !3); // the lower bits are reserved
            (FIRST..END).contains(&at).then_some(())?;
            let (id, after) = (registers.read8(at), registers.read8(at + 1));
            next = after;
            Some((id, registers.part(at, END - at)?))
        })
        .take(CAPABILITIES_AT_MOST)
    }
}
