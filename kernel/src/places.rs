//! Where a contained application has what: drawn anew for each of its lives, so that no address that
//! one life had is worth anything in the next.
//!
//! Pure, so that it is tested on the host: numbers go in, places come out.

use core::ops::Range;

/// What stays unmapped between two things, in bytes: as much as anybody steps over by mistake.
pub const APART: u64 = 2 << 20;
/// How often a place is drawn before the first one is taken that is free. Where the numbers are
/// random and what is needed is less than half of what there is, that never comes to pass.
const DRAWS: usize = 64;

/// What a place is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// How many bytes, at least 1.
    pub length: u64,
    /// What its address is a multiple of: a power of two.
    pub alignment: u64,
    /// A power of two: it lies within one of the blocks that multiples of this bound, and so has no
    /// more tables than it must. One that is longer than half of it has a larger one.
    pub block: u64,
}

/// Draws a place for each of `needs` in `space`, by numbers of 64 random bits. Every place is as
/// likely as any other that what was drawn before has left. They do not overlap, nor come closer than
/// [`APART`]. `None` where there is no room.
#[must_use]
pub fn draw<const COUNT: usize>(
    needs: &[Need; COUNT],
    space: &Range<u64>,
    mut number: impl FnMut() -> u64,
) -> Option<[u64; COUNT]> {
    let mut places = [0; COUNT];
    for (index, need) in needs.iter().enumerate() {
        let (taken, _) = places.split_at(index);
        let is_free = |place: &u64| {
            need.fits(*place, space)
                && taken.iter().zip(needs).all(|(&other, its)| {
                    place.saturating_add(need.length + APART) <= other
                        || other.saturating_add(its.length + APART) <= *place
                })
        };
        let mut drawn = (0..DRAWS).filter_map(|_| need.any(space, number()));
        let place = drawn.find(is_free).or_else(|| {
            let behind = taken.iter().zip(needs).map(|(place, its)| place + its.length + APART);
            let starts = core::iter::once(space.start).chain(behind);
            starts.filter_map(|start| need.first_from(start)).filter(is_free).min()
        });
        *places.get_mut(index)? = place?;
    }
    Some(places)
}

impl Need {
    /// The block that it has to lie in one of.
    fn block(&self) -> Option<u64> {
        Some(self.length.checked_mul(2)?.checked_next_power_of_two()?.max(self.block))
    }

    fn fits(&self, place: u64, space: &Range<u64>) -> bool {
        let Some(end) = place.checked_add(self.length) else { return false };
        let Some(block) = self.block() else { return false };
        place >= space.start && end <= space.end && place / block == (end - 1) / block
    }

    /// The place of this number, of all that are aligned; perhaps one that is not free.
    fn any(&self, space: &Range<u64>, number: u64) -> Option<u64> {
        let first = space.start.checked_next_multiple_of(self.alignment)?;
        let last = space.end.checked_sub(self.length)?;
        let choices = last.checked_sub(first)? / self.alignment + 1;
        let choice = (u128::from(number) * u128::from(choices)) >> 64;
        Some(first + u64::try_from(choice).ok()? * self.alignment)
    }

    /// The lowest place from `start` on.
    fn first_from(&self, start: u64) -> Option<u64> {
        let place = start.checked_next_multiple_of(self.alignment)?;
        let block = self.block()?;
        let end = place.checked_add(self.length)?;
        if place / block == (end - 1) / block {
            return Some(place);
        }
        // A block begins where anything may.
        place.checked_next_multiple_of(block.max(self.alignment))
    }
}

#[cfg(test)]
mod tests;
