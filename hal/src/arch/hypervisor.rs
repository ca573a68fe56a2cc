//! Calls to the hypervisor for what it offers to any guest: its identity, the date, how long it let
//! others run (SMCCC 1.4; Linux's `Documentation/virt/kvm/arm/ptp_kvm.rst` and `pvtime.rst`, the
//! latter after Arm DEN0057A).
//!
//! Before version 1.1 of the calling convention nobody had to answer a call that he does not know,
//! and some took it for a fault. So the version is asked for first, by calls that have been there
//! for longer: PSCI's own version (since 0.2), then whether it knows of the convention's (since 1.0).

use smccc::{Hvc, Smc, psci};

use super::power::Conduit;
use crate::stolen;

const SMCCC_VERSION: u32 = 0x8000_0000;
const ARCH_FEATURES: u32 = 0x8000_0001;
/// From this version on every call is answered.
const VERSION_1_1: u32 = 0x1_0001;

// The vendor specific hypervisor service.
const CALL_UID: u32 = 0x8600_ff01;
/// The same question in the range of the standard hypervisor service, where Xen answers it, which was
/// there before the ranges were given their names (xen/include/public/arch-arm/smccc.h).
const STANDARD_CALL_UID: u32 = 0x8500_ff01;
/// KVM's: which of its calls there are, a bit each.
const KVM_FEATURES: u32 = 0x8600_0000;
const KVM_PTP: u32 = 0x8600_0001;
/// The clock is to be told together with the virtual counter.
const VIRTUAL_COUNTER: u32 = 0;

// The standard hypervisor service (Arm DEN0057A, section 3).
const PV_TIME_FEATURES: u32 = 0xc500_0020;
const PV_TIME_ST: u32 = 0xc500_0021;

/// What whoever is below offers, by calls of SMCCC 1.1 or later.
#[derive(Clone, Copy, Debug)]
pub struct Services(Conduit);

/// A date, and where the virtual counter was at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Nanoseconds since 1970-01-01 00:00:00 UTC.
    pub nanoseconds: u64,
    /// `CNTVCT_EL0`.
    pub ticks: u64,
}

impl Services {
    /// Those that are to be had by `conduit`; `None` where calls may not be answered in order.
    #[must_use]
    pub fn find(conduit: Conduit) -> Option<Self> {
        let version = match conduit {
            Conduit::Hvc => psci::version::<Hvc>(),
            Conduit::Smc => psci::version::<Smc>(),
        };
        if version.ok()?.major < 1 {
            return None;
        }
        let is_known = match conduit {
            Conduit::Hvc => psci::psci_features::<Hvc>(SMCCC_VERSION),
            Conduit::Smc => psci::psci_features::<Smc>(SMCCC_VERSION),
        };
        let services = Self(conduit);
        is_known.ok()?;
        let version = services.call(SMCCC_VERSION, 0)[0];
        (VERSION_1_1..1 << 31).contains(&version).then_some(services)
    }

    /// The answer to "Call UID" of the vendor specific hypervisor service (SMCCC, section 6.2), or of the
    /// standard one where that one is unknown.
    #[must_use]
    pub fn identity(self) -> [u32; 4] {
        match self.call(CALL_UID, 0) {
            [u32::MAX, ..] => self.call(STANDARD_CALL_UID, 0),
            identity => identity,
        }
    }

    /// KVM's clock. To be asked only of who says that he is KVM: elsewhere the number may mean
    /// anything. `None` where it has none now: its own clock may be one that it cannot tell of.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        if self.call(KVM_FEATURES, 0)[0] & 1 << 1 == 0 {
            return None;
        }
        let [date, low, counter, counter_low] = self.call(KVM_PTP, VIRTUAL_COUNTER);
        let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        // Errors are negative, and so would be dates before 1970.
        (date < 1 << 31)
            .then_some(Date { nanoseconds: both(date, low), ticks: both(counter, counter_low) })
    }

    /// Where the hypervisor tells how long it let others run instead of this core: an address of
    /// memory as [`StolenTime`](crate::stolen::StolenTime) has it.
    #[must_use]
    pub fn stolen_time(self) -> Option<u64> {
        // Errors are negative, and some have 32 bits whatever the call.
        const NEGATIVE: u64 = (1 << 63) | (1 << 31);
        let has = |answer: u32| answer < 1 << 31;
        if !has(self.call(ARCH_FEATURES, PV_TIME_FEATURES)[0]) {
            return None;
        }
        let is_known = self.call64(PV_TIME_FEATURES, PV_TIME_ST.into()) & NEGATIVE == 0;
        is_known.then(|| self.call64(PV_TIME_ST, 0)).and_then(stolen::address)
    }

    fn call(self, function: u32, argument: u32) -> [u32; 4] {
        let arguments = [argument, 0, 0, 0, 0, 0, 0];
        let [a, b, c, d, ..] = match self.0 {
            Conduit::Hvc => smccc::hvc32(function, arguments),
            Conduit::Smc => smccc::smc32(function, arguments),
        };
        [a, b, c, d]
    }

    fn call64(self, function: u32, argument: u64) -> u64 {
        let mut arguments = [0; 17];
        arguments[0] = argument;
        match self.0 {
            Conduit::Hvc => smccc::hvc64(function, arguments)[0],
            Conduit::Smc => smccc::smc64(function, arguments)[0],
        }
    }
}
