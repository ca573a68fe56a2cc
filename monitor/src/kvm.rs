//! The machine under KVM: memory, interrupt controller, cores, and the loop around its lives.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use kvm_ioctls::{Kvm, VmFd};
use linux_loader::loader::{KernelLoader as _, PE};
use vm_memory::{Bytes as _, GuestAddress};

use crate::arguments::OnReset;
use crate::confine::confine;
use crate::identity::Identity;
use crate::line::Line;
use crate::machine::{Machine, Wires};
use crate::memory::Ram;
use crate::outlet::complain;
use crate::plan::{Ending, Plan};
use crate::tree::GicVersion;
use crate::{shell, signals};

mod core;
mod events;
mod gic;

use self::core::{Core, Cores};
use self::events::Events;

/// The first shared interrupt's number among all (Arm IHI 0048, section 2.2.1).
const FIRST_SHARED: u32 = 32;

/// What stays while the machine boots again: the host's part, its memory, and who it is.
pub(crate) struct Host {
    plan: Plan,
    kvm: Kvm,
    ram: Ram,
    identity: Identity,
    /// Readable when a signal has come.
    signalled: i32,
}

/// Runs what `plan` says until the machine ends.
///
/// # Errors
/// The host has no KVM or cannot make such a machine, or a core does what no core should.
pub fn run(plan: Plan) -> Result<Ending> {
    let kvm = Kvm::new().context("/dev/kvm")?;
    let ram = plan.layout.allocate()?;
    let identity = Identity::new(plan.identity()?);
    let mut host = Host { signalled: signals::listen()?, plan, kvm, ram, identity };
    let mut is_confined = false;
    loop {
        let ending = host.live(&mut is_confined)?;
        if ending == Ending::Off || host.plan.on_reset == OnReset::End {
            return Ok(ending);
        }
        complain("monitor: the machine boots again");
    }
}

impl Host {
    /// One life of the machine, from its making to its end. All of it is made anew but RAM: KVM has
    /// no other way to put an interrupt controller back to how it is at first.
    fn live(&mut self, is_confined: &mut bool) -> Result<Ending> {
        let plan = &self.plan;
        let vm = Arc::new(self.kvm.create_vm().context("KVM makes no virtual machine")?);
        shell::give_memory(&vm, &self.ram)?;
        let numbers = 0..plan.cores;
        let cores = numbers.map(|number| Core::new(&vm, number)).collect::<Result<Vec<_>>>()?;
        let (_gic, version) = gic::create(&vm, plan)?;
        self.load(version)?;
        for core in &cores {
            core.prepare(&vm, plan.layout.image, plan.layout.tree)?;
        }
        let machine = Arc::new(Machine::new(&plan.map, &vm, &plan.plugged, &self.ram)?);
        let events = Events::new(&machine, self.signalled, plan.plugged.readable())?;
        if !*is_confined {
            confine(plan.on_reset)?;
            *is_confined = true;
        }
        let cores = Cores::start(cores, &machine, &events)?;
        let ending = events.follow(&machine, self);
        cores.stop();
        let unanswered = machine.bus().unanswered();
        if unanswered > 0 {
            complain(&format!("monitor: {unanswered} accesses where nothing is"));
        }
        ending
    }

    /// Puts image, tree and identity into memory.
    fn load(&self, version: GicVersion) -> Result<()> {
        let Plan { image, layout, map, .. } = &self.plan;
        let mut file = &image.as_ref().context("there is no image")?.file;
        PE::load(&self.ram, Some(GuestAddress(layout.image)), &mut file, None)
            .context("loading the image")?;
        let tree = self.plan.tree(version)?;
        let loaded = self.ram.write_slice(&tree, GuestAddress(layout.tree));
        loaded.context("loading the device tree")?;
        self.identity.write(map, &self.ram)
    }

    /// Makes the machine another, while it runs.
    fn change(&mut self) -> Result<()> {
        self.identity.change(self.plan.identity()?);
        self.identity.write(&self.plan.map, &self.ram)
    }
}

/// A wire into KVM's interrupt controller.
struct Wire {
    vm: Arc<VmFd>,
    spi: u32,
}

/// What kind of interrupt a wire is for (`KVM_IRQ_LINE`): one that all cores share.
const SHARED: u32 = kvm_bindings::KVM_ARM_IRQ_TYPE_SPI << kvm_bindings::KVM_ARM_IRQ_TYPE_SHIFT;

impl Line for Wire {
    fn set(&self, up: bool) {
        if let Err(error) = self.vm.set_irq_line(SHARED | (FIRST_SHARED + self.spi), up) {
            complain(&format!("monitor: shared interrupt {}: {error}", self.spi));
        }
    }
}

impl Wires for Arc<VmFd> {
    fn wire(&self, spi: u32) -> Arc<dyn Line> {
        Arc::new(Wire { vm: self.clone(), spi })
    }
}
