use super::*;

const KEY: [u8; 16] = *b"sixteen bytes...";
/// Words in a page.
const WORDS: usize = 512;

impl Content for &[u64] {
    fn tell(self, take: impl FnMut(u64)) {
        self.iter().copied().for_each(take);
    }
}

struct Sparse<'a>(&'a [u64]);

impl Content for Sparse<'_> {
    fn tell(self, take: impl FnMut(u64)) {
        tell_sparsely(self.0.iter().copied(), take);
    }
}

fn memory(pages: u64) -> std::vec::Vec<std::vec::Vec<u64>> {
    (0..pages).map(|page| (0..WORDS as u64).map(|word| page << 32 | word).collect()).collect()
}

fn learnt(memory: &[std::vec::Vec<u64>]) -> Baseline {
    let mut baseline = Baseline::new();
    let pages = memory.iter().map(|page| &page[..]);
    baseline.learn(KEY, pages).expect("there is room");
    baseline
}

/// A whole pass: the page that is another, if one is, and how many were looked at.
fn pass(baseline: &mut Baseline, memory: &[std::vec::Vec<u64>]) -> (Option<usize>, usize) {
    for looked_at in 1.. {
        match baseline.compare(|index| Some(&memory.get(index)?[..])) {
            Comparison::Same => {}
            Comparison::Over => return (None, looked_at),
            Comparison::Altered(page) => return (Some(page), looked_at),
        }
    }
    unreachable!("a pass ends")
}

#[test]
fn what_is_as_it_was_is_found_so_in_every_pass() {
    let memory = memory(7);
    let mut baseline = learnt(&memory);
    assert_eq!(baseline.pages(), 7);
    for _ in 0..3 {
        assert_eq!(pass(&mut baseline, &memory), (None, 7));
    }
}

#[test]
fn one_bit_counts() {
    let mut memory = memory(3);
    for page in 0..3 {
        for word in [0, 1, WORDS / 2, WORDS - 1] {
            for bit in [0, 1, 31, 32, 63] {
                let mut baseline = learnt(&memory);
                memory[page][word] ^= 1 << bit;
                assert_eq!(pass(&mut baseline, &memory), (Some(page), page + 1));
                memory[page][word] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn what_was_moved_is_another() {
    let mut words = memory(1);
    let mut baseline = learnt(&words);
    words[0].swap(3, 4);
    assert_eq!(pass(&mut baseline, &words), (Some(0), 1));
    let mut pages = memory(4);
    let mut baseline = learnt(&pages);
    pages.swap(1, 3);
    assert_eq!(pass(&mut baseline, &pages), (Some(1), 2));
}

#[test]
fn what_changes_behind_a_pass_is_found_by_the_next() {
    let mut memory = memory(4);
    let mut baseline = learnt(&memory);
    for page in &memory[..2] {
        let found = baseline.compare(|_| Some(&page[..]));
        assert_eq!(found, Comparison::Same);
    }
    memory[0][0] ^= 1;
    assert_eq!(pass(&mut baseline, &memory), (None, 2), "it has looked there already");
    assert_eq!(pass(&mut baseline, &memory), (Some(0), 1));
}

#[test]
fn a_page_that_is_gone_is_another() {
    let memory = memory(2);
    let mut baseline = learnt(&memory);
    assert_eq!(pass(&mut baseline, &memory[..1]), (Some(1), 2));
}

#[test]
fn the_hash_is_the_one_that_is_published() {
    // Key and message are the bytes 0 to 15: of the vectors that implementations of SipHash-1-3
    // are tested with, the one of sixteen bytes.
    let key = core::array::from_fn(|index| index.to_le_bytes()[0]);
    let words = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    assert_eq!(digest(&key, &words[..]), 0xcc4f_dd1a_7d90_8b66);
    assert_ne!(digest(&KEY, &words[..]), 0xcc4f_dd1a_7d90_8b66, "the key counts");
}

#[test]
fn what_is_told_sparsely_is_told_whole() {
    let mut page = [0; WORDS];
    (page[2], page[3], page[WORDS - 1]) = (2, 0x703, 9);
    let before = digest(&KEY, Sparse(&page));
    for word in [0, 1, 2, 3, 4, WORDS / 2, WORDS - 2, WORDS - 1] {
        for bit in [0, 1, 31, 32, 63] {
            page[word] ^= 1 << bit;
            assert_ne!(digest(&KEY, Sparse(&page)), before, "bit {bit} of word {word}");
            page[word] ^= 1 << bit;
        }
    }
    page.rotate_left(1);
    assert_ne!(digest(&KEY, Sparse(&page)), before);
    assert_ne!(digest(&KEY, Sparse(&[0; WORDS])), before);
}

#[test]
fn more_than_there_is_room_for_is_refused() {
    let mut baseline = Baseline::new();
    let pages = |count| (0..count).map(|_| &[0; WORDS][..]);
    assert_eq!(baseline.learn(KEY, pages(PAGES)), Ok(()));
    assert_eq!(baseline.learn(KEY, pages(PAGES + 1)), Err(TooManyPages));
    assert_eq!(baseline.pages(), 0);
    let nothing = baseline.compare(|_| None::<&[u64]>);
    assert_eq!(nothing, Comparison::Over);
}

#[test]
fn the_later_it_is_the_more_is_compared_at_once() {
    for (pages, late, period, expected) in [
        (100, 0, 60, 1),
        (100, 30, 60, 51),
        (100, 60, 60, 100),
        (100, u64::MAX, 1, 100),
        (100, 5, 0, 100),
        (0, 60, 60, 0),
        (1024, u64::MAX, u64::MAX, 1024),
    ] {
        assert_eq!(share(pages, late, period), expected, "{late} late of {period}");
    }
    // However seldom it comes to it, a pass is over within a period.
    for times in 1..60 {
        let compared: usize = (1..=times).map(|turn| share(100, 60 * turn / times, 60)).sum();
        assert!(compared >= 100, "{times} times");
    }
}
