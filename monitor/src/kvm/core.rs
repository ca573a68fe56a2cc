//! A core: entered as the Linux arm64 boot protocol has it, run until the machine ends.

use std::mem::offset_of;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kvm_bindings::{
    KVM_ARM_VCPU_POWER_OFF, KVM_ARM_VCPU_PSCI_0_2, KVM_ARM_VCPU_PTRAUTH_ADDRESS,
    KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_REG_ARM_CORE, KVM_REG_ARM64, KVM_REG_SIZE_U64,
    KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN, kvm_vcpu_init,
    user_pt_regs,
};
use kvm_ioctls::{Cap, VcpuExit, VcpuFd, VmFd};

use super::events::Events;
use crate::machine::Machine;
use crate::plan::Ending;
use crate::{shell, signals};

/// EL1 with its own stack pointer, all interrupts masked (Arm ARM, section C5.2.19).
const ENTRY_STATE: u64 = 0x3c5;

/// A core that does not run yet.
pub(super) struct Core {
    number: u32,
    vcpu: VcpuFd,
}

impl Core {
    /// The core called `number`, which is also its affinity.
    pub(super) fn new(vm: &VmFd, number: u32) -> Result<Self> {
        let vcpu = vm.create_vcpu(number.into());
        let vcpu = vcpu.with_context(|| format!("KVM makes no core {number}"))?;
        Ok(Self { number, vcpu })
    }

    /// Readies it: the first is entered at `entry` with the tree's place, the others are off.
    pub(super) fn prepare(&self, vm: &VmFd, entry: u64, tree: u64) -> Result<()> {
        let mut init = kvm_vcpu_init::default();
        vm.get_preferred_target(&mut init).context("KVM does not know this core")?;
        let mut features = 1 << KVM_ARM_VCPU_PSCI_0_2;
        let signs = [Cap::ArmPtrAuthAddress, Cap::ArmPtrAuthGeneric];
        if signs.into_iter().all(|capability| vm.check_extension(capability)) {
            features |= 1 << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1 << KVM_ARM_VCPU_PTRAUTH_GENERIC;
        }
        if self.number > 0 {
            features |= 1 << KVM_ARM_VCPU_POWER_OFF;
        }
        init.features[0] |= features;
        self.vcpu.vcpu_init(&init).with_context(|| format!("KVM's core {}", self.number))?;
        if self.number == 0 {
            self.set(offset_of!(user_pt_regs, pstate), ENTRY_STATE)?;
            self.set(offset_of!(user_pt_regs, pc), entry)?;
            self.set(offset_of!(user_pt_regs, regs), tree)?;
        }
        Ok(())
    }

    /// Sets the register at `offset` of the saved ones.
    fn set(&self, offset: usize, value: u64) -> Result<()> {
        let done = self.vcpu.set_one_reg(register(offset), &value.to_le_bytes());
        done.context("KVM's registers").map(drop)
    }

    /// Runs until the machine ends, or until it is told to stop.
    fn run(&mut self, machine: &Machine, stop: &AtomicBool) -> Result<Ending> {
        while !stop.load(Ordering::SeqCst) {
            match self.vcpu.run() {
                Ok(VcpuExit::MmioRead(address, data)) => machine.bus().read(address, data),
                Ok(VcpuExit::MmioWrite(address, data)) => machine.bus().write(address, data),
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_SHUTDOWN, _)) => return Ok(Ending::Off),
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_RESET, _)) => return Ok(Ending::Reset),
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_CRASH, _)) => bail!("the guest crashed"),
                Ok(exit) => bail!("KVM ended with {exit:?}"),
                Err(error) if error.errno() == libc::EINTR || error.errno() == libc::EAGAIN => {}
                // KVM has no other word for it: neither memory, nor an access it can take apart.
                Err(error) if error.errno() == libc::ENOSYS => {
                    bail!("an access to a device by an instruction that KVM cannot emulate")
                }
                Err(error) => bail!("KVM ended with {error}"),
            }
        }
        Ok(Ending::Off)
    }

    /// Where it is, for a report.
    fn place(&self) -> String {
        let mut at = [0; 8];
        let read = self.vcpu.get_one_reg(register(offset_of!(user_pt_regs, pc)), &mut at);
        let at = u64::from_le_bytes(at);
        read.map_or_else(
            |_| format!("core {}", self.number),
            |_| format!("core {} at {at:#x}", self.number),
        )
    }
}

/// The number by which KVM calls the register at `offset` of the saved ones, in words of 32 bits.
fn register(offset: usize) -> u64 {
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | u64::from(KVM_REG_ARM_CORE) | (offset / 4) as u64
}

/// A core's thread, and its number: 0 before it runs.
type Thread = (JoinHandle<()>, Arc<AtomicI32>);

/// The cores, each in a thread of its own.
pub(super) struct Cores {
    threads: Vec<Thread>,
    stop: Arc<AtomicBool>,
}

impl Cores {
    /// Lets `cores` run. The first to end tells `events` how.
    pub(super) fn start(cores: Vec<Core>, machine: &Arc<Machine>, events: &Events) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for mut core in cores {
            let (machine, sender, stop) = (machine.clone(), events.sender()?, stop.clone());
            let thread = thread::Builder::new().name(format!("core {}", core.number));
            let number = Arc::new(AtomicI32::new(0));
            let its_own = number.clone();
            let thread = thread.spawn(move || {
                its_own.store(shell::thread_number(), Ordering::SeqCst);
                let ended = core.run(&machine, &stop).with_context(|| core.place());
                sender.send(ended);
            })?;
            threads.push((thread, number));
        }
        Ok(Self { threads, stop })
    }

    /// Has all of them come out of the guest, for good.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for (thread, number) in self.threads {
            // A signal that comes just before a core enters the guest is lost: so there are more.
            while !thread.is_finished() {
                // It fails for a thread that has not begun, which will see `stop`, or just ended.
                let number = number.load(Ordering::SeqCst);
                let _sent = shell::signal_thread(process::id(), number, signals::come_out());
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
