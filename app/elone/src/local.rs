//! Statics that belong to one application.
//!
//! An image holds one application on one core, so there they are plain statics. On the developer's
//! machine several applications run side by side in the threads of a test, so there each thread
//! has its own. This file is the only one that knows.

/// Declares a static that is reached by `NAME.with(|value| …)`, whose type need not be `Sync`.
#[cfg(not(target_os = "none"))]
macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $initial:expr;) => {
        std::thread_local! { $(#[$doc])* static $name: $type = const { $initial }; }
    };
}

#[cfg(target_os = "none")]
macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $initial:expr;) => {
        $(#[$doc])* static $name: $crate::local::one_core::Local<$type> =
            $crate::local::one_core::Local::new($initial);
    };
}

#[cfg(target_os = "none")]
pub(crate) mod one_core {
    #![expect(unsafe_code, reason = "what one core may share with itself")]

    /// A value that only the application touches.
    pub(crate) struct Local<T>(T);

    // SAFETY: the application's side of the gate is one thread of execution (gate, crate docs): one
    // core, and interrupt handlers are the kernel's and never enter the application's code. So a
    // value that is not `Sync` is never reached from two threads.
    unsafe impl<T> Sync for Local<T> {}

    impl<T> Local<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(value)
        }

        pub(crate) fn with<R>(&'static self, visit: impl FnOnce(&T) -> R) -> R {
            visit(&self.0)
        }
    }

    struct OneCore;

    critical_section::set_impl!(OneCore);

    // SAFETY: a critical section must exclude every other section, on every core and in every
    // interrupt. The application has one core, and its code never runs in an interrupt (as above),
    // so whoever is inside a section is the only one who could enter another.
    unsafe impl critical_section::Impl for OneCore {
        unsafe fn acquire() -> critical_section::RawRestoreState {}

        unsafe fn release(_: critical_section::RawRestoreState) {}
    }
}
