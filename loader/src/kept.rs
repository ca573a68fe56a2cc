//! Memory that stays firmware's when the loader leaves it: what it runs on (runtime services), and
//! what it has told others about (tables).

use core::ops::Range;

/// How many ranges are told apart. The kernel has room for twice as many reservations, its tree's own
/// among them.
pub const RANGES: usize = 16;

/// Ranges in the order of their addresses, none of which touches another. There is always room for
/// one more: where there would be too many, the two that are closest become one, and what lies
/// between them is lost.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The first `count`, and room for one that is too many.
    ranges: [(u64, u64); RANGES + 1],
    count: usize,
}

impl Kept {
    /// Keeps one more range of addresses.
    pub fn keep(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let at = self.ranges[..self.count].partition_point(|one| one.0 < range.start);
        self.ranges[at..=self.count].rotate_right(1);
        self.ranges[at] = (range.start, range.end);
        self.count += 1;
        // What now touches its neighbour becomes one with it.
        let mut last = 0;
        for next in 1..self.count {
            let (start, end) = self.ranges[next];
            if start <= self.ranges[last].1 {
                self.ranges[last].1 = end.max(self.ranges[last].1);
            } else {
                last += 1;
                self.ranges[last] = (start, end);
            }
        }
        self.count = last + 1;
        if self.count > RANGES {
            self.join_the_closest();
        }
    }

    /// All of them.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges[..self.count].iter().map(|&(start, end)| start..end)
    }

    fn join_the_closest(&mut self) {
        let gap = |at: &usize| self.ranges[at + 1].0 - self.ranges[*at].1;
        let Some(at) = (0..self.count - 1).min_by_key(gap) else { return };
        self.ranges[at].1 = self.ranges[at + 1].1;
        self.ranges.copy_within(at + 2..self.count, at + 1);
        self.count -= 1;
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list may have one range")]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn kept(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut kept = Kept::default();
        for range in ranges {
            kept.keep(range.clone());
        }
        kept.ranges().collect()
    }

    #[test]
    fn what_touches_or_overlaps_is_one() {
        assert_eq!(kept(&[4..6, 0..2, 2..3]), [0..3, 4..6]);
        assert_eq!(kept(&[0..2, 4..6, 1..5]), [0..6]);
        assert_eq!(kept(&[0..9, 2..3, 4..5]), [0..9]);
        assert_eq!(kept(&[3..3, 1..2, 1..2, 1..1]), [1..2]);
        assert_eq!(kept(&[0..2, 4..6, 8..10, 1..9]), [0..10]);
    }

    #[test]
    fn where_there_are_too_many_the_closest_become_one() {
        let far: Vec<_> = (0..RANGES as u64).map(|index| index * 100..index * 100 + 10).collect();
        assert_eq!(kept(&far), far);
        let near = [&far[..], &[520..530]].concat();
        let mut expected = far.clone();
        expected[5] = 500..530;
        assert_eq!(kept(&near), expected);
        // The same at either end, and a great many.
        assert_eq!(kept(&[&far[..], &[5000..5001, 5002..5003]].concat()).len(), RANGES);
        let many: Vec<_> = (0..1000).rev().map(|index| index * 3..index * 3 + 1).collect();
        let all = kept(&many);
        assert_eq!((all.len(), all[0].start, all[RANGES - 1].end), (RANGES, 0, 2998));
        for one in &many {
            assert!(all.iter().any(|range| range.start <= one.start && range.end >= one.end));
        }
    }
}
