//! Time: points, spans, timers, and the delays of embedded-hal. One tick is a microsecond.

pub use embassy_time::{
    Duration, Instant, TimeoutError, Timer, WithTimeout, with_deadline, with_timeout,
};

pub use crate::ticker::Ticker;

/// The delay that drivers of embedded-hal ask for.
///
/// The blocking kind keeps the whole application waiting, and the core busy: sleeping is for the
/// loop alone. It is meant for the microseconds that a bus protocol wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay;

impl embedded_hal_async::delay::DelayNs for Delay {
    /// Waits at least so long: a nanosecond is less than a tick, so it is rounded up.
    async fn delay_ns(&mut self, nanoseconds: u32) {
        Timer::after(Duration::from_nanos(u64::from(nanoseconds))).await;
    }
}

impl embedded_hal::delay::DelayNs for Delay {
    fn delay_ns(&mut self, nanoseconds: u32) {
        let end = elone_gate::calls::now().0.saturating_add(u64::from(nanoseconds));
        while elone_gate::calls::now().0 < end {
            core::hint::spin_loop();
        }
    }
}
