//! The system tests, a module an area. A new one is a function there and its name in the list
//! `SCENARIOS` beside it.

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
mod monitor;
mod network;
mod page;
mod protection;
mod refusals;
mod survival;
mod trees;

use crate::Scenario;

/// Every system test, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        boot::SCENARIOS,
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
        debugging::SCENARIOS,
        page::SCENARIOS,
        kvm::SCENARIOS,
        kvm_time::SCENARIOS,
        monitor::SCENARIOS,
    ]
    .concat()
}
