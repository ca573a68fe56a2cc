//! Things side by side: one of each that is compared.

use anyhow::Result;

/// What there is of the application joined with its kernel, contained, and of another system. What
/// was not asked for is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Beside<T> {
    /// Linked with the kernel, at EL1.
    pub(crate) joined: Option<T>,
    /// Apart from it, at EL0.
    pub(crate) contained: Option<T>,
    pub(crate) linux: Option<T>,
}

impl<T> Beside<T> {
    /// Only of the contained application.
    pub(crate) const fn contained(thing: T) -> Self {
        Self { joined: None, contained: Some(thing), linux: None }
    }

    pub(crate) const fn as_ref(&self) -> Beside<&T> {
        let Self { joined, contained, linux } = self;
        Beside { joined: joined.as_ref(), contained: contained.as_ref(), linux: linux.as_ref() }
    }

    pub(crate) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Beside<U> {
        Beside {
            joined: self.joined.map(&mut change),
            contained: self.contained.map(&mut change),
            linux: self.linux.map(change),
        }
    }

    /// Measures one after the other.
    pub(crate) fn try_map<U>(self, mut change: impl FnMut(T) -> Result<U>) -> Result<Beside<U>> {
        Ok(Beside {
            joined: self.joined.map(&mut change).transpose()?,
            contained: self.contained.map(&mut change).transpose()?,
            linux: self.linux.map(change).transpose()?,
        })
    }

    pub(crate) fn each(self) -> impl Iterator<Item = T> {
        [self.joined, self.contained, self.linux].into_iter().flatten()
    }

    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.joined, &mut self.contained, &mut self.linux].into_iter().flatten()
    }

    /// What the contained one is in the joined one's, if there are both.
    pub(crate) fn contained_in_joined<U>(self, ratio: impl FnOnce(T, T) -> U) -> Option<U> {
        Some(ratio(self.contained?, self.joined?))
    }
}
