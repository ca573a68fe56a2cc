//! What cannot be said safely: all of it, so that the rest of the crate need not be read for it.
#![expect(unsafe_code, reason = "the kernel is handed addresses and descriptors here")]

use std::ffi::{c_int, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{FromRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result, ensure};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use libc::siginfo_t;
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _};
use vmm_sys_util::ioctl::ioctl_with_ref;

use crate::memory::Ram;

/// Gives the virtual machine its memory.
///
/// # Errors
/// KVM does not take it.
pub fn give_memory(vm: &VmFd, ram: &Ram) -> Result<()> {
    for (slot, bank) in (0..).zip(ram.iter()) {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: bank.start_addr().0,
            memory_size: bank.len(),
            userspace_addr: bank.as_ptr().expose_provenance() as u64,
        };
        // SAFETY: the region is `bank`'s mapping, of that length, and private to it. No reference is
        // ever made into it: `vm-memory` accesses it volatilely. KVM holds no more than the address:
        // were the mapping gone, a core would end with a fault.
        let given = unsafe { vm.set_user_memory_region(region) };
        given.with_context(|| format!("KVM takes no memory at {:#x}", region.guest_phys_addr))?;
    }
    Ok(())
}

/// The request for an interface (Linux, `include/uapi/linux/if_tun.h`): C libraries differ in its type.
const TUNSETIFF: c_ulong = 0x4004_54ca;

/// The TAP interface called `name`, made if it is not there.
///
/// # Errors
/// The name is none, or this process may not have the interface.
pub fn open_tap(name: &str) -> Result<File> {
    // SAFETY: all of an `ifreq` may be zeros.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let fits = !name.is_empty() && name.len() < request.ifr_name.len() && !name.contains('\0');
    ensure!(fits, "no interface can be called that");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as std::ffi::c_char;
    }
    // Frames as they are, with nothing before them.
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_TAP | libc::IFF_NO_PI)?;
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .context("/dev/net/tun")?;
    // SAFETY: the request takes an `ifreq` and writes, if anything, the name into it, which the
    // kernel does by `copy_to_user`; `request` is not read again.
    let done = unsafe { ioctl_with_ref(&tap, TUNSETIFF, &request) };
    ensure!(done == 0, io::Error::last_os_error());
    Ok(tap)
}

/// The file that whoever started this process left open as `descriptor`. To be called once, before
/// anything else is opened.
///
/// # Errors
/// Nothing is open there, or it is one of the standard three.
pub fn inherited(descriptor: RawFd) -> Result<File> {
    ensure!(descriptor > 2, "that descriptor is a standard one");
    // SAFETY: the call reads and sets flags of a descriptor, and fails if nothing is open there.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    ensure!(flags >= 0, io::Error::last_os_error());
    // SAFETY: as above.
    let set = unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK) };
    ensure!(set >= 0, io::Error::last_os_error());
    // SAFETY: it is open, and nobody else's: this process has opened none of its own yet.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// The number of the thread that calls this.
#[must_use]
pub fn thread_number() -> i32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Sends `signal` to the thread called `thread` of `process`, if it is still there: never to a thread
/// of another process that has got its number since.
///
/// # Errors
/// There is no such thread or signal, or this process may not send it.
pub fn signal_thread(process: u32, thread: i32, signal: c_int) -> io::Result<()> {
    // SAFETY: the call takes numbers. What a signal does is its handler's affair.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where in a `SIGSYS`'s `siginfo_t` the system call's number is, in `int`s (Linux,
/// `include/uapi/asm-generic/siginfo.h`: three words, padding, the address, then it).
const NUMBER: usize = 6;

/// Says which system call was refused, and ends. It is a signal handler: it locks and allocates
/// nothing.
pub(crate) extern "C" fn refused(_signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel hands a `SIGSYS`'s handler its `siginfo_t`, which is longer than that.
    let field = unsafe { info.cast::<c_int>().add(NUMBER) };
    // SAFETY: the field is there, and set.
    let number = unsafe { field.read() };
    let mut line = [0; 80];
    let mut rest = &mut line[..];
    let _fits = writeln!(rest, "monitor: confined: system call {number} is not allowed");
    let left = rest.len();
    let text = &line[..line.len() - left];
    // SAFETY: `text` is that many bytes.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    // SAFETY: it ends the process, wherever it is.
    unsafe { libc::_exit(1) }
}
