//! Nothing lies where it lay before: not in two boots, and not in two that begin in the same second.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, Guest, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["layout":
    Long a_hundred_boots_have_a_hundred_layouts,
    Quick two_boots_of_the_same_second_differ,
];

const PATIENCE: Duration = Duration::from_secs(60);
const BOOTS: usize = 100;

/// What one boot says of itself: a function, a constant, a variable, a local, a block of the heap,
/// what it is told.
type Places = Vec<u64>;
/// Of these, those that are placed apart from each other.
const FUNCTION: usize = 0;
const LOCAL: usize = 3;
const BLOCK: usize = 4;

fn boot(context: &Context) -> Result<Guest> {
    let machine = context.machine("qemu-virt", "lives_are_elsewhere")?;
    machine.setting("app.lives=1").boot()
}

fn places(ending: &Ending) -> Result<Places> {
    ending.expect_status(0)?;
    let line = ending.console.lines().find_map(|line| line.split("it is at ").nth(1));
    let words = line.with_context(|| format!("it does not say where: {ending}"))?.split(' ');
    Ok(words.map(|word| u64::from_str_radix(word.trim(), 16)).collect::<Result<_, _>>()?)
}

/// Every place is another one each time, and so is what one would have to add to get from one place to
/// the next: who knows where one of them is does not know the others.
fn a_hundred_boots_have_a_hundred_layouts(context: &Context) -> Result<()> {
    let mut seen = [const { Vec::new() }; 6];
    while seen[0].len() < BOOTS {
        // Two at a time, which begin in the same second but for bad luck.
        for guest in [boot(context)?, boot(context)?] {
            let places = places(&guest.ending(PATIENCE)?)?;
            let between = |a: usize, b: usize| places[a].wrapping_sub(places[b]);
            let all = [
                places[FUNCTION],
                places[LOCAL],
                places[BLOCK],
                between(FUNCTION, LOCAL),
                between(FUNCTION, BLOCK),
                between(LOCAL, BLOCK),
            ];
            seen.iter_mut().zip(all).for_each(|(seen, place)| seen.push(place));
        }
    }
    for (index, places) in seen.iter().enumerate() {
        let distinct: HashSet<_> = places.iter().collect();
        let count = distinct.len();
        ensure!(count == BOOTS, "place {index}: {count} different ones in {BOOTS}: {places:x?}");
    }
    Ok(())
}

/// The clock of a machine without any other difference is not what a layout may hang on.
fn two_boots_of_the_same_second_differ(context: &Context) -> Result<()> {
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs());
    for _ in 0..10 {
        let before = second()?;
        let guests = [boot(context)?, boot(context)?];
        let same = second()? == before;
        let [one, other] = guests.map(|guest| places(&guest.ending(PATIENCE)?));
        let (one, other) = (one?, other?);
        ensure!(one.iter().zip(&other).all(|(one, other)| one != other), "{one:x?}, {other:x?}");
        if same {
            return Ok(());
        }
    }
    anyhow::bail!("two machines cannot be started in the same second here")
}
