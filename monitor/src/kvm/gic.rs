//! KVM's interrupt controllers (Linux, `Documentation/virt/kvm/devices/arm-vgic*.rst`).

use anyhow::{Context as _, Result, bail};
use kvm_bindings::{
    KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_DEV_ARM_VGIC_GRP_CTRL,
    KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_VGIC_V2_ADDR_TYPE_CPU, KVM_VGIC_V2_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_DIST, KVM_VGIC_V3_ADDR_TYPE_REDIST, kvm_create_device, kvm_device_attr,
    kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2 as VGIC_V2,
    kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3 as VGIC_V3,
};
use kvm_ioctls::{DeviceFd, VmFd};

use crate::plan::Plan;
use crate::tree::GicVersion;

/// How many interrupts there are: the cores' own and those that a map can have.
static INTERRUPTS: u32 = super::FIRST_SHARED + crate::map::SHARED;

/// Makes the interrupt controller that was asked for, else the newest that map and host have. All
/// cores have to be there. It works as long as the device is open.
pub(super) fn create(vm: &VmFd, plan: &Plan) -> Result<(DeviceFd, GicVersion)> {
    let wanted = |version| plan.gic.is_none_or(|asked| asked == version);
    if let Some(gic) = plan.map.gic_v3.as_ref().filter(|_| wanted(GicVersion::V3)) {
        let places = [
            (KVM_VGIC_V3_ADDR_TYPE_DIST, gic.distributor),
            (KVM_VGIC_V3_ADDR_TYPE_REDIST, gic.redistributors(plan.cores)),
        ];
        match device(vm, VGIC_V3) {
            Ok(device) => return set_up(device, places, GicVersion::V3),
            Err(error) if plan.gic.is_some() || plan.map.gic_v2.is_none() => {
                return Err(error).context("KVM makes no GICv3 here");
            }
            Err(_) => {}
        }
    }
    let Some(gic) = plan.map.gic_v2.as_ref().filter(|_| wanted(GicVersion::V2)) else {
        bail!("the machine file has no interrupt controller that this host can make");
    };
    let places = [
        (KVM_VGIC_V2_ADDR_TYPE_DIST, gic.distributor),
        (KVM_VGIC_V2_ADDR_TYPE_CPU, gic.cpu_interface),
    ];
    set_up(device(vm, VGIC_V2).context("KVM makes no GICv2 here")?, places, GicVersion::V2)
}

fn device(vm: &VmFd, kind: u32) -> Result<DeviceFd, kvm_ioctls::Error> {
    vm.create_device(&mut kvm_create_device { type_: kind, fd: 0, flags: 0 })
}

fn set_up(
    device: DeviceFd,
    places: [(u32, u64); 2],
    version: GicVersion,
) -> Result<(DeviceFd, GicVersion)> {
    for (kind, place) in places {
        let address = (&raw const place).expose_provenance() as u64;
        set(&device, KVM_DEV_ARM_VGIC_GRP_ADDR, kind, address)
            .with_context(|| format!("KVM refuses an interrupt controller at {place:#x}"))?;
    }
    let address = (&raw const INTERRUPTS).expose_provenance() as u64;
    set(&device, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, address).context("KVM's interrupts")?;
    set(&device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0)
        .context("KVM's interrupt controller")?;
    Ok((device, version))
}

/// Sets an attribute; `address` is that of its value, where it has one.
fn set(device: &DeviceFd, group: u32, attribute: u32, address: u64) -> Result<()> {
    let attribute = kvm_device_attr { flags: 0, group, attr: attribute.into(), addr: address };
    Ok(device.set_device_attr(&attribute)?)
}
