//! The protocol stack's generator of random numbers, foretold.
//!
//! The stack draws what must not be guessed (initial sequence numbers, a query's id and port) from a
//! permuted congruential generator of its own. It was made to be small and not to withstand anybody:
//! who has seen three of its numbers can work out all that follow (`tests/predictor` does). It takes
//! no numbers from elsewhere, but a seed for each interface. So what is to be drawn is decided here,
//! and the seed that leads to it is what an interface is given that draws once and is gone
//! ([`moment`](super::moment)).
//!
//! Should another version of the stack draw otherwise, then the numbers are no longer those that were
//! wanted, but are as hard to guess as the seed, which is made from them. The tests below notice.

/// The state's step: `state * MULTIPLIER + INCREMENT`, modulo 2^64.
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
/// The step back is a multiplication, too: this times the multiplier is 1.
const INVERSE: u64 = inverse(MULTIPLIER);

/// Where in the state a number is while the state's upper three bits, which say where, are 0.
const LOWEST: u32 = 29;

/// By Newton's iteration. Any odd number is its own inverse in the lowest three bits, and each round
/// doubles how many bits are right.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut bits = 3;
    while bits < 64 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// The generator, by its state.
#[derive(Clone, Copy, Debug)]
struct Generator(u64);

impl Generator {
    /// As a new interface leaves it: the first number that is not 0 is the interface's.
    fn of_interface(seed: u64) -> Self {
        let mut generator = Self(seed);
        while generator.half() == 0 {}
        generator
    }

    /// The next number.
    const fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        self.current()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the generator cuts its number out so")]
    const fn current(self) -> u32 {
        (self.0 >> (LOWEST as u64 - (self.0 >> 61))) as u32
    }

    /// The next number of 16 bits.
    const fn half(&mut self) -> u16 {
        let word = self.word();
        (word >> 16) as u16 ^ (word & 0xffff) as u16
    }

    /// The generator before its last number.
    const fn before(self) -> Self {
        Self(self.0.wrapping_sub(INCREMENT).wrapping_mul(INVERSE))
    }
}

/// The seed of an interface on which the first number of 32 bits is `number`.
pub(super) fn seed_for(number: u32) -> u64 {
    // Any of these states holds it. All but few come after one whose number an interface keeps.
    let states = (0..1 << LOWEST).map(|low| Generator(u64::from(number) << LOWEST | low));
    let mut before = states.map(Generator::before).filter(|generator| {
        let word = generator.current();
        word >> 16 != word & 0xffff
    });
    before.next().map_or(u64::from(number), |generator| generator.before().0)
}

/// The port from which the first query leaves on an interface of this seed.
pub(super) fn query_port(seed: u64) -> u16 {
    let mut generator = Generator::of_interface(seed);
    let _id = generator.half();
    loop {
        let port = generator.half();
        if port > 1024 {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use smoltcp::iface::SocketSet;
    use smoltcp::socket::{dns, tcp};
    use smoltcp::time::Instant;
    use smoltcp::wire::{DnsQueryType, IpAddress};

    use super::super::capture::{Capture, interface};
    use super::*;

    /// Numbers from everywhere, the ends of the range, and one before which an interface would draw
    /// twice, so that its first state is of no use.
    fn numbers() -> impl Iterator<Item = u32> {
        let ends = [0, 1, 0xffff, 0x1_0000, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX];
        let is_passed_over = |number: &u32| {
            let word = Generator(u64::from(*number) << LOWEST).before().current();
            word >> 16 == word & 0xffff
        };
        let rare = (0..u32::MAX).find(is_passed_over).unwrap();
        let many = (0..1000).map(|number: u32| number.wrapping_mul(0x9e37_79b9));
        ends.into_iter().chain([rare]).chain(many)
    }

    #[test]
    fn a_step_back_undoes_a_step() {
        let mut generator = Generator(0x0123_4567_89ab_cdef);
        for _ in 0..1000 {
            let before = generator.0;
            generator.word();
            assert_eq!(generator.before().0, before);
        }
    }

    #[test]
    fn the_stack_draws_the_number_that_is_wanted() {
        let remote = (IpAddress::v4(10, 0, 2, 2), 80);
        for wanted in numbers() {
            let mut capture = Capture::default();
            let mut interface = interface(seed_for(wanted), &mut capture);
            let buffer = || tcp::SocketBuffer::new(vec![0; 64]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            socket.connect(interface.context(), remote, 50_000).unwrap();
            let mut sockets = SocketSet::new(vec![]);
            sockets.add(socket);
            capture.introduce(&mut interface, &mut sockets);
            interface.poll_egress(Instant::ZERO, &mut capture, &mut sockets);
            let syn = capture.frames.pop().unwrap();
            assert_eq!(syn[38..42], wanted.to_be_bytes(), "{wanted:#x}");
        }
    }

    #[test]
    fn a_query_leaves_from_the_port_that_was_foretold() {
        for seed in (0..500).map(|number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let mut capture = Capture::default();
            let mut interface = interface(seed, &mut capture);
            let mut socket = dns::Socket::new(&[IpAddress::v4(10, 0, 2, 2)], vec![None]);
            socket.start_query(interface.context(), "a.example", DnsQueryType::A).unwrap();
            let mut sockets = SocketSet::new(vec![]);
            sockets.add(socket);
            capture.introduce(&mut interface, &mut sockets);
            interface.poll_egress(Instant::ZERO, &mut capture, &mut sockets);
            let query = capture.frames.pop().unwrap();
            assert_eq!(query[34..36], query_port(seed).to_be_bytes(), "{seed:#x}");
        }
    }
}
