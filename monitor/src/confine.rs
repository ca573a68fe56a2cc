//! What this process may still do once the guest runs: use what it has opened, and end.
//!
//! A guest that takes over the monitor has the monitor's descriptors and these system calls. None
//! of them opens a file, makes a process, or makes memory executable. Whatever else is tried ends
//! the process, with a message that names the call. A signal can be sent to this process's threads
//! alone; of the ways to do that the C library's is not allowed where it cannot be told apart from one
//! to another process.

use anyhow::{Context as _, Result};
use libc::c_long;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};
use vmm_sys_util::signal::register_signal_handler;

use crate::arguments::OnReset;
use crate::outlet::complaints;
use crate::shell::refused;

/// What may be called whatever the arguments.
const PLAIN: &[c_long] = &[
    // Devices: the console, the TAP, the disk, the host's random bytes, what happens outside.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_fdatasync,
    libc::SYS_lseek,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    // Threads, locks, and their end.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Memory, bar what makes it executable.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_close,
];

/// What a machine that boots again needs in addition.
const AGAIN: &[c_long] = &[libc::SYS_epoll_create1, libc::SYS_eventfd2];

/// What may be asked of KVM while the guest runs: to run, to interrupt, and where a core is
/// (Linux, `include/uapi/linux/kvm.h`).
const RUN: &[u32] = &[0xae80, 0x4008_ae61, 0x4010_aeab];
/// What makes another machine: the machine, a capability, a core's size, its memory, a core, its
/// kind, its state, its registers, a device and its attributes.
const MAKE: &[u32] = &[
    0xae01,
    0xae03,
    0xae04,
    0x4020_ae46,
    0xae41,
    0x8020_aeaf,
    0x4020_aeae,
    0x4010_aeac,
    0xc00c_aee0,
    0x4018_aee1,
];

/// Confines this thread and those that it starts.
///
/// # Errors
/// The host's kernel has no such filters.
pub fn confine(on_reset: OnReset) -> Result<()> {
    register_signal_handler(libc::SIGSYS, refused).context("SIGSYS")?;
    // It cannot be made any more once it is needed.
    let _made = complaints();
    apply_filter(&filter(on_reset)?).context("confining this process")
}

fn filter(on_reset: OnReset) -> Result<BpfProgram> {
    let again = on_reset == OnReset::Again;
    let more = if again { AGAIN } else { &[] };
    let plain = PLAIN.iter().chain(more).map(|call| (*call, Vec::new()));
    let requests = RUN.iter().chain(if again { MAKE } else { &[] });
    let requests: Result<Vec<_>> =
        requests.map(|request| rule(1, Dword, Eq, u64::from(*request))).collect();
    let never_runs = || rule(2, Dword, MaskedEq(bits(libc::PROT_EXEC)), 0);
    let conditional = [
        (libc::SYS_ioctl, requests?),
        (libc::SYS_mmap, vec![never_runs()?]),
        (libc::SYS_mprotect, vec![never_runs()?]),
        // To have a core come out of the guest: the first argument says of which process.
        (libc::SYS_tgkill, vec![rule(0, Dword, Eq, std::process::id().into())?]),
        // A thread of this process, not a process.
        (libc::SYS_clone, vec![thread()?]),
        // To copy a descriptor, which C libraries do in one step or in two.
        (libc::SYS_fcntl, vec![command(libc::F_DUPFD_CLOEXEC)?, command(libc::F_SETFD)?]),
        // A thread's name.
        (libc::SYS_prctl, vec![rule(0, Dword, Eq, bits(libc::PR_SET_NAME))?]),
    ];
    let filter = SeccompFilter::new(
        plain.chain(conditional).collect(),
        SeccompAction::Trap,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    Ok(filter.try_into()?)
}

fn command(command: i32) -> Result<SeccompRule> {
    rule(1, Dword, Eq, bits(command))
}

fn thread() -> Result<SeccompRule> {
    let flag = bits(libc::CLONE_THREAD);
    rule(0, Qword, MaskedEq(flag), flag)
}

/// A rule that the `index`-th argument is so.
fn rule(
    index: u8,
    length: seccompiler::SeccompCmpArgLen,
    is: seccompiler::SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule> {
    Ok(SeccompRule::new(vec![SeccompCondition::new(index, length, is, value)?])?)
}

/// A constant of C's, all of which are positive.
fn bits(constant: i32) -> u64 {
    constant.unsigned_abs().into()
}
