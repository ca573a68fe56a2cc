//! What can go wrong with a device, and what its caller can do about it.

use core::fmt;

use super::{DeviceId, Features};
use crate::attempt::Absent;
use crate::dma::DmaError;
use crate::pci::PciError;

/// Why a device could not be taken over, or not again. Where the device had been touched, it is
/// marked FAILED. Do without it in every case; the variants say whom to tell what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Nothing answers at the slot's address, or only with zeros or ones: the device tree is wrong.
    Absent(Absent),
    /// The window is shorter than the registers: the device tree is wrong.
    WindowTooSmall,
    /// The window does not start with virtio's magic value but this: the device tree is wrong.
    NotVirtio(u32),
    /// A transport version (this one) that is neither 1 (legacy) nor 2: a driver is yet to be written.
    UnknownVersion(u32),
    /// A PCI function of this kind that speaks the legacy interface only: have it offer the modern one.
    LegacyOnly(DeviceId),
    /// A PCI function that does not say where its registers of this name are.
    NoCapability(&'static str),
    /// A PCI function that has its registers of this name where they cannot be.
    BadCapability(&'static str),
    /// What is wrong with the PCI function.
    Pci(PciError),
    /// The queue of this number is to be notified outside of the registers for that.
    BadDoorbell(u16),
    /// The device has no means to send the message that it was told to.
    NoVector,
    /// The device is of another kind: give it to that kind's driver.
    WrongDevice(DeviceId),
    /// The device did not come out of its reset. Memory that it was given before may still change.
    ResetTimeout,
    /// The device lacks these features, which the driver cannot do without.
    MissingFeatures(Features),
    /// The device refused what it had offered.
    FeaturesRefused,
    /// The configuration changed each time it was read.
    ConfigUnstable,
    /// The device lacks the queue of this number.
    NoQueue(u16),
    /// The queue of this number is in use after a reset.
    QueueBusy(u16),
    /// The queue of this number is too short for a single request.
    QueueTooSmall(u16),
    /// No memory for it: build with a larger pool.
    Memory(DmaError),
}

impl From<Absent> for ProbeError {
    fn from(absent: Absent) -> Self {
        Self::Absent(absent)
    }
}

impl From<PciError> for ProbeError {
    fn from(error: PciError) -> Self {
        Self::Pci(error)
    }
}

impl From<DmaError> for ProbeError {
    fn from(error: DmaError) -> Self {
        Self::Memory(error)
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(absent) => absent.fmt(f),
            Self::WindowTooSmall => f.write_str("window shorter than virtio's registers"),
            Self::NotVirtio(magic) => write!(f, "no virtio device: magic value {magic:#x}"),
            Self::UnknownVersion(version) => write!(f, "unknown transport version {version}"),
            Self::LegacyOnly(id) => write!(f, "{id}: it speaks the legacy interface only"),
            Self::NoCapability(what) => write!(f, "it does not say where its {what} are"),
            Self::BadCapability(what) => write!(f, "its {what} are where they cannot be"),
            Self::Pci(error) => error.fmt(f),
            Self::BadDoorbell(queue) => write!(f, "queue {queue} is notified out of its reach"),
            Self::NoVector => f.write_str("device refused the message it is to send"),
            Self::WrongDevice(id) => write!(f, "a device of another kind: {id}"),
            Self::ResetTimeout => f.write_str("device did not come out of its reset"),
            Self::MissingFeatures(features) => write!(f, "device lacks features: {features}"),
            Self::FeaturesRefused => f.write_str("device refused the features it had offered"),
            Self::ConfigUnstable => f.write_str("configuration changed each time it was read"),
            Self::NoQueue(queue) => write!(f, "device lacks queue {queue}"),
            Self::QueueBusy(queue) => write!(f, "queue {queue} in use after a reset"),
            Self::QueueTooSmall(queue) => write!(f, "queue {queue} too short for a request"),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ProbeError {}

/// Why a driver refused something. What is refused has had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The buffer is not the caller's now, or does not exist.
    BadBuffer,
    /// A length or a sector is outside of what the device has. Ask for less.
    OutOfRange,
    /// The queue is full. Try again when the device has completed something.
    Full,
    /// The device cannot do this (a write to a read-only disk).
    Unsupported,
    /// The device did not answer in time. It may yet: the same may be asked again.
    Silent,
    /// The device broke its protocol; it was reset and stays unusable until the driver's `restart`,
    /// where it has one. Tell the operator.
    Broken(Fault),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadBuffer => f.write_str("the buffer is not the caller's now"),
            Self::OutOfRange => f.write_str("outside of what the device has"),
            Self::Full => f.write_str("the queue is full"),
            Self::Unsupported => f.write_str("the device cannot do this"),
            Self::Silent => f.write_str("the device did not answer in time"),
            Self::Broken(fault) => write!(f, "the device was reset: {fault}"),
        }
    }
}

impl core::error::Error for DeviceError {}

/// How a device broke its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It claims to have completed this many chains, more than it had.
    IndexJump(u16),
    /// It completed a chain that does not exist.
    UnknownChain(u32),
    /// It completed a chain that it did not have (twice, say).
    ChainNotInFlight(u32),
    /// It claims to have written this many bytes, more than it was given.
    TooLong(u32),
    /// It wrote this many bytes, fewer than its own header has.
    TooShort(u32),
    /// It says itself that it needs a reset (virtio 1.2, section 2.1).
    NeedsReset,
    /// It did not come out of the reset of a restart: it may use the memory it was given still.
    StuckInReset,
    /// A restart reset it, and failed after that: it has let go of its memory.
    NotRestarted,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IndexJump(count) => write!(f, "{count} completions, more than in flight"),
            Self::UnknownChain(id) => write!(f, "completion of chain {id}, which does not exist"),
            Self::ChainNotInFlight(id) => write!(f, "completion of chain {id}, not in flight"),
            Self::TooLong(length) => write!(f, "{length} bytes written, more than there is room"),
            Self::TooShort(length) => write!(f, "{length} bytes written, less than a header"),
            Self::NeedsReset => f.write_str("it asked for a reset"),
            Self::StuckInReset => f.write_str("it did not come out of its reset"),
            Self::NotRestarted => f.write_str("it could not be restarted"),
        }
    }
}
