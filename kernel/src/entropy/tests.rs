//! The pool's and the generator's promises.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A generator that one source has given something.
fn seeded() -> Generator {
    let mut generator = Generator::new();
    generator.absorb(|pool| pool.mix(Source::RngSeed, &[1, 2, 3]));
    generator
}

fn output(mix: impl FnOnce(&mut Pool)) -> Result<[u8; 16], Error> {
    let mut generator = Generator::new();
    generator.absorb(mix);
    next(&mut generator)
}

fn next(generator: &mut Generator) -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    generator.fill(&mut bytes).map(|()| bytes)
}

/// Whether `part` is anywhere in `whole`.
fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[test]
fn without_a_source_there_is_no_entropy() {
    assert_eq!(output(|_| {}), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.stir(1)), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.mix(Source::RngSeed, &[0; 32])), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.mix_words(Source::Rndr, &[])), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.mix_words(Source::Rndr, &[u64::MAX])), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.mix_words(Source::Rndr, &[7, 7])), Err(Error::NoEntropy));
    assert_eq!(output(|pool| pool.mix_early(&EarlySeed::none())), Err(Error::NoEntropy));
    let mut bytes = [7; 9];
    assert_eq!(
        Generator::new().fill_fresh(&mut bytes, Nanoseconds(0), |_| {}),
        Err(Error::NoEntropy)
    );
    assert_eq!(bytes, [7; 9]);
}

#[test]
fn every_source_changes_the_output() {
    let one = output(|pool| pool.mix(Source::RngSeed, &[1, 2, 3]));
    for source in Source::ALL {
        let other = output(|pool| {
            pool.mix(Source::RngSeed, &[1, 2, 3]);
            pool.mix(source, &[4, 5, 6]);
        });
        assert_ne!(one, other, "{source:?}");
    }
    let words = |words: &[u64]| output(|pool| pool.mix_words(Source::Rndr, words));
    assert_ne!(words(&[1, 2]), words(&[1, 3]));
    assert!(words(&[1]).is_ok());
}

#[test]
fn what_was_gathered_early_counts_with_its_sources() {
    let early = |byte, sources| {
        let seed = EarlySeed { layout: [0; EarlySeed::LAYOUT], pool: [byte; 32], sources };
        output(|pool| pool.mix_early(&seed))
    };
    assert_eq!(early(1, 0), Err(Error::NoEntropy));
    assert_ne!(early(1, 2), early(2, 2));
    assert!(early(1, 2).is_ok());
    let mut generator = Generator::new();
    let seed = EarlySeed { layout: [0; EarlySeed::LAYOUT], pool: [1; 32], sources: 3 };
    generator.absorb(|pool| pool.mix_early(&seed));
    assert_eq!(generator.sources().to_string(), "kaslr-seed, rng-seed");
}

#[test]
fn the_time_changes_the_output() {
    let at = |time| {
        output(|pool| {
            pool.mix(Source::RngSeed, &[1, 2, 3]);
            pool.stir(time);
        })
    };
    assert_ne!(at(1), at(2));
    assert_eq!(at(1), at(1));
}

#[test]
fn the_same_bytes_cut_otherwise_are_another_seed() {
    let whole = output(|pool| pool.mix(Source::RngSeed, &[1, 2, 3, 4]));
    let halves = output(|pool| {
        pool.mix(Source::RngSeed, &[1, 2]);
        pool.mix(Source::RngSeed, &[3, 4]);
    });
    assert_ne!(whole, halves);
}

#[test]
fn sources_are_named() {
    let mut pool = Pool::default();
    assert_eq!(pool.sources().to_string(), "none");
    pool.mix(Source::KaslrSeed, &[1, 2]);
    pool.mix(Source::Virtio, &[1, 2]);
    assert_eq!(pool.sources().to_string(), "kaslr-seed, virtio-rng");
}

#[test]
fn no_secret_is_shown() {
    let generator = seeded();
    assert_eq!(format!("{generator:?}"), "Generator(rng-seed)");
    assert_eq!(format!("{:?}", Pool::default()), "Pool(none)");
}

/// The state after a request is all that an attacker may get: whatever is computed forward from it,
/// what was given out before is not there.
#[test]
fn what_was_given_out_cannot_be_computed_from_what_is_left() {
    let mut generator = seeded();
    for length in [1, 16, 32, 33, 64, 255, 256, 300, 5000] {
        let (before, mut given) = (generator.key, vec![0; length]);
        generator.fill(&mut given).expect("seeded");
        let mut later = vec![0; 8192];
        ChaCha20Rng::from_seed(generator.key).fill_bytes(&mut later);
        if length >= 16 {
            assert!(!holds(&later, &given[..16]) && !holds(&generator.key, &given[..16]));
            assert!(!holds(&given, &generator.key[..16]), "the key itself was given out");
        }
        // It is what it is said to be: the old key's stream, and the next key comes first.
        let mut stream = vec![0; 32 + length];
        ChaCha20Rng::from_seed(before).fill_bytes(&mut stream);
        assert!(stream[..32] == generator.key && stream[32..] == given, "{length}");
    }
}

#[test]
fn no_key_is_used_twice() {
    let mut generator = seeded();
    let mut keys = vec![generator.key];
    for round in 0..100 {
        match round % 3 {
            0 => generator.fill(&mut []).expect("seeded"),
            1 => generator.fill(&mut [0; 8]).expect("seeded"),
            _ => generator.absorb(|_| {}),
        }
        assert!(!keys.contains(&generator.key));
        keys.push(generator.key);
    }
}

/// How often fresh entropy is asked for in a request.
fn asked(generator: &mut Generator, length: usize, now: u64) -> usize {
    let mut count = 0;
    let mut bytes = vec![0; length];
    generator
        .fill_fresh(&mut bytes, Nanoseconds(now), |pool| {
            count += 1;
            pool.stir(1);
        })
        .expect("seeded");
    assert!(length < 16 || bytes[length - 16..] != [0; 16], "the end was not filled");
    count
}

#[test]
fn fresh_entropy_is_due_after_so_much_output() {
    let mut generator = seeded();
    assert_eq!(asked(&mut generator, 16, 0), 1, "the first request");
    assert_eq!(asked(&mut generator, MOST_OUTPUT - 17, 0), 0);
    assert_eq!(asked(&mut generator, 1, 0), 0, "not yet");
    assert_eq!(asked(&mut generator, 1, 0), 1);
    assert_eq!(asked(&mut generator, MOST_OUTPUT, 0), 1, "in its midst");
    assert_eq!(asked(&mut generator, 3 * MOST_OUTPUT, 0), 3);
}

#[test]
fn fresh_entropy_is_due_after_so_long() {
    let mut generator = seeded();
    assert_eq!(asked(&mut generator, 16, 0), 1);
    assert_eq!(asked(&mut generator, 16, 300 * SECOND - 1), 0);
    assert_eq!(asked(&mut generator, 16, 300 * SECOND), 1);
    assert_eq!(asked(&mut generator, 16, 599 * SECOND), 0);
    assert_eq!(asked(&mut generator, 16, 600 * SECOND), 1);
    assert_eq!(asked(&mut generator, 16, u64::MAX), 1, "no overflow");
}

#[test]
fn who_knew_the_key_does_not_know_what_follows_fresh_entropy() {
    let known = seeded().key;
    let with = |mix: &dyn Fn(&mut Pool)| {
        let mut generator = Generator { key: known, ..seeded() };
        generator.fill_fresh(&mut [], Nanoseconds(0), mix).expect("seeded");
        next(&mut generator).expect("seeded")
    };
    let fresh = with(&|pool| pool.mix(Source::Virtio, b"fresh"));
    assert_ne!(fresh, with(&|pool| pool.mix(Source::Virtio, b"other")));
    assert_ne!(fresh, with(&|_| {}));
}

/// Sources that fail, and that give what an attacker chose: the old key still counts.
#[test]
fn a_source_that_fails_takes_nothing_away() {
    for given in [&[][..], &[0; 32], &[1, 2, 3]] {
        let outputs = [b"one", b"two"].map(|secret| {
            let mut generator = Generator::new();
            generator.absorb(|pool| pool.mix(Source::RngSeed, secret));
            let fill = &mut [0; 16];
            let reseeded = |pool: &mut Pool| pool.mix(Source::Virtio, given);
            generator.fill_fresh(fill, Nanoseconds(0), reseeded).expect("still seeded");
            assert!(!generator.sources().is_empty());
            *fill
        });
        assert_ne!(outputs[0], outputs[1], "only the fresh bytes count");
    }
}

#[test]
fn a_source_that_comes_late_is_asked_at_each_request() {
    let mut generator = Generator::new();
    let mut bytes = [0; 16];
    for _ in 0..3 {
        let answer = generator.fill_fresh(&mut bytes, Nanoseconds(0), |pool| pool.stir(1));
        assert_eq!(answer, Err(Error::NoEntropy));
    }
    let late = |pool: &mut Pool| pool.mix(Source::Virtio, &[1, 2]);
    assert_eq!(generator.fill_fresh(&mut bytes, Nanoseconds(0), late), Ok(()));
    assert_ne!(bytes, [0; 16]);
}
