//! Exceptions: what the vectors save, and who is told.

unsafe extern "Rust" {
    /// The kernel's handler. Runs on the exception stack with interrupts masked; when it returns,
    /// the core goes on as the frame says.
    safe fn __elone_exception(frame: &mut Frame, vector: Vector);
}

/// Everything that the interrupted code could see, as the vectors saved it.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer of ordinary code, `SP_EL0`.
    pub sp: u64,
    /// Where the exception happened, `ELR_EL1`.
    pub elr: u64,
    /// The processor state then, `SPSR_EL1`.
    pub spsr: u64,
    /// Why, `ESR_EL1`. Means nothing for interrupts.
    pub esr: u64,
    /// The address that faulted, `FAR_EL1`, where the syndrome says that it is valid.
    pub far: u64,
    /// v0 to v31.
    pub q: [u128; 32],
    /// Floating-point status.
    pub fpsr: u64,
    /// Floating-point control.
    pub fpcr: u64,
}

// The vectors know these offsets by heart.
const _: () = assert!(core::mem::offset_of!(Frame, elr) == 256);
const _: () = assert!(core::mem::offset_of!(Frame, q) == 288);
const _: () = assert!(core::mem::size_of::<Frame>() == 816);

/// Which of the sixteen vectors was taken (Arm ARM, table D1-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    /// Who was interrupted.
    pub origin: Origin,
    /// By what.
    pub kind: Kind,
}

/// Who was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Ordinary code at EL1, on `SP_EL0`.
    Kernel,
    /// The handling of another exception, on `SP_EL1`.
    Handler,
    /// An application at EL0.
    Application,
}

/// The four kinds of exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Caused by the instruction at `ELR_EL1`.
    Synchronous,
    /// An interrupt.
    Irq,
    /// A fast interrupt, which nothing here uses.
    Fiq,
    /// An error that came back late, from the bus.
    SError,
}

#[unsafe(no_mangle)]
extern "C" fn elone_hal_exception(number: u64, frame: &mut Frame) {
    let origin = match number / 4 {
        0 => Origin::Kernel,
        1 => Origin::Handler,
        _ => Origin::Application,
    };
    let kind = match number % 4 {
        0 => Kind::Synchronous,
        1 => Kind::Irq,
        2 => Kind::Fiq,
        _ => Kind::SError,
    };
    let vector = Vector { origin, kind };
    if !super::seal::landed(frame, vector) && !super::attempt::failed(frame, vector) {
        __elone_exception(frame, vector);
    }
}
