//! An interface for one moment: as the real one, but with a generator that draws what is wanted.
//!
//! The protocol stack draws an initial sequence number at exactly two points: when it is asked to
//! connect, and when a SYN arrives at a socket that listens. A query's id and port are drawn when it is
//! begun. At these points, and only there, another interface is put in the real one's place, made for
//! this from a seed ([`generator`](super::generator)), and gone afterwards. It has the real one's
//! addresses. Neighbours and routes are not needed: what is to be sent, the real one sends. So no
//! other segment costs anything more, and none is ever changed on its way.

use smoltcp::iface::{Config, Interface, PollIngressSingleResult};

use super::place::Id;
use super::stack::{Inner, instant};

impl Inner {
    /// Lets in the segment that begins a connection, with the sequence number that `seed` leads to.
    ///
    /// Cold: most segments begin none, and pay neither for the call nor for the room on the stack.
    #[cold]
    #[inline(never)]
    pub(super) fn begin(&mut self, id: Id, seed: u64, now: u64) -> PollIngressSingleResult {
        let mut moment = self.moment(seed, now);
        let set = &mut self.table.place(id).set;
        moment.poll_ingress_single(instant(now), &mut self.port, set)
    }

    /// An interface as this one, with a generator from `seed`.
    pub(super) fn moment(&mut self, seed: u64, now: u64) -> Interface {
        let mut config = Config::new(self.interface.hardware_addr());
        config.random_seed = seed;
        let mut moment = Interface::new(config, &mut self.port, instant(now));
        // Both lists have the same length at most.
        moment.update_ip_addrs(|list| list.extend(self.interface.ip_addrs().iter().copied()));
        moment
    }
}
