//! The system tests, a module an area. A new one is a function there and its name in the list
//! `SCENARIOS` beside it.

mod boards;
mod boot;
mod clock;
mod containment;
mod debugging;
mod devices;
mod dhcp;
mod endurance;
mod entropy;
mod faults;
mod gateway;
mod heap;
mod integrity;
mod kernel;
mod kvm;
mod kvm_time;
mod layout;
mod life;
mod loaders;
mod messages;
pub(crate) mod monitor;
mod network;
mod page;
mod pci;
mod protection;
mod raspi;
mod refusals;
mod survival;
mod trees;
mod xen;

use crate::Scenario;

/// Every system test, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        boot::SCENARIOS,
        boards::SCENARIOS,
        protection::SCENARIOS,
        containment::SCENARIOS,
        heap::SCENARIOS,
        kernel::SCENARIOS,
        layout::SCENARIOS,
        entropy::SCENARIOS,
        clock::SCENARIOS,
        faults::SCENARIOS,
        integrity::SCENARIOS,
        network::SCENARIOS,
        dhcp::SCENARIOS,
        gateway::SCENARIOS,
        refusals::SCENARIOS,
        survival::SCENARIOS,
        life::SCENARIOS,
        endurance::SCENARIOS,
        trees::SCENARIOS,
        devices::SCENARIOS,
        messages::SCENARIOS,
        raspi::SCENARIOS,
        debugging::SCENARIOS,
        loaders::SCENARIOS,
        page::SCENARIOS,
        pci::SCENARIOS,
        kvm::SCENARIOS,
        kvm_time::SCENARIOS,
        monitor::SCENARIOS,
        xen::SCENARIOS,
    ]
    .concat()
}
