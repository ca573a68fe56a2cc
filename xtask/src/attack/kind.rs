//! What is known of an attack: which promise it tries, on which machine, and what must become of it.

use elone_gate::Protection;
use elone_harness::Mode;

/// An attack of `app/attack`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// The row of the table in `SECURITY.md`.
    pub(super) row: u8,
    /// What stops it, and is left out to see that nothing else does.
    pub(super) protection: Option<Protection>,
    /// What has to be left out along with the protection for the attack to come through.
    pub(super) along: &'static [Protection],
    pub(super) stop: Stop,
    pub(super) joined: Case,
    pub(super) contained: Case,
    pub(super) core: Core,
    pub(super) course: Course,
}

/// How an attack is stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// The class in the fault's report; none where it is stopped without a fault.
    pub(super) class: Option<&'static str>,
    pub(super) place: Place,
    /// Whether it may also be refused, or miss, without a fault.
    pub(super) refusal: bool,
    /// How many faults are the attack itself, each in a life of its own.
    pub(super) faults: usize,
}

/// Where a fault is, seen from the target that the attack has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The address that faulted is the target.
    There,
    /// The instruction that faulted is the target: such faults have no other address.
    At,
    /// The address is the target but for its upper bits, which a signature has spoiled.
    Spoiled,
    /// The address is in the object at the target, bar the tag in its top byte; and the tag is what is
    /// wrong. Not always its first byte: memory that was used again in the meantime may have got the
    /// old tag there, by chance.
    Tag,
    /// The address is the target, and it is the kernel that faults, which is at EL1.
    InKernel,
    /// Below the target, by a stack and what is kept free below it.
    Below,
    /// It has none.
    Nowhere,
}

/// What is to become of an attack in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// It is stopped; and comes through where its protection is left out.
    Switched,
    /// It is stopped; that it is real shows in the other mode.
    Stopped,
    /// It comes through, as in this mode its protection is not there: shows that it is real.
    Control,
    /// It comes through, and nothing is claimed that would stop it.
    ByDesign,
    /// It makes no sense in this mode.
    Absent,
}

/// The core that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// The usual one, which has none of the newer features.
    Usual,
    /// One with every feature.
    Max,
    /// One with tagged memory as well.
    Tagged,
}

/// What the attacker has to know, and how he learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing.
    Once,
    /// Where things were at another boot.
    Twice,
    /// Where things are in another build.
    Builds,
    /// Where the image has a symbol.
    Symbol(&'static str),
    /// That as well, and several lives.
    Lives(&'static str),
}

impl Attack {
    pub(super) const fn case(&self, mode: Mode) -> Case {
        match mode {
            Mode::Joined => self.joined,
            Mode::Contained => self.contained,
        }
    }

    pub(super) const fn joined(self, joined: Case) -> Self {
        Self { joined, ..self }
    }

    pub(super) const fn contained(self, contained: Case) -> Self {
        Self { contained, ..self }
    }

    pub(super) const fn core(self, core: Core) -> Self {
        Self { core, ..self }
    }

    pub(super) const fn course(self, course: Course) -> Self {
        Self { course, ..self }
    }

    pub(super) const fn along(self, along: &'static [Protection]) -> Self {
        Self { along, ..self }
    }

    /// Its stop may also be that it is refused, or misses, without a fault.
    pub(super) const fn or_refused(mut self) -> Self {
        self.stop.refusal = true;
        self
    }
}

/// An attack on what one protection keeps, in both modes, on the usual core.
pub(super) const fn attack(name: &'static str, protection: Protection, stop: Stop) -> Attack {
    Attack {
        name,
        row: protection.row(),
        protection: Some(protection),
        along: &[],
        stop,
        joined: Case::Switched,
        contained: Case::Switched,
        core: Core::Usual,
        course: Course::Once,
    }
}

/// An attack on a promise that has no protection to be left out, as it is kept by what is not there.
pub(super) const fn on_row(row: u8, name: &'static str, stop: Stop) -> Attack {
    let attack = attack(name, Protection::Containment, stop);
    Attack { row, protection: None, ..attack }
}

/// A stop by a fault of this class there.
pub(super) const fn stop(class: &'static str, place: Place) -> Stop {
    Stop { class: Some(class), place, refusal: false, faults: 0 }
}
