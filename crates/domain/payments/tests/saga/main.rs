//! Money and visits together, on the real use cases of both domains over the memory adapters: thousands of random histories of
//! booking, paying, failing, calling off, moving, expiring, crashing and redelivering, in virtual time and in whatever order;
//! and what must hold when all has come to rest.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod cast;
mod interleave;
mod oracle;
mod play;
mod wrap;

use play::{Mutant, Tally, play};

/// One after another from here: a failure names its seed.
const FIRST_SEED: u64 = 1;

fn histories() -> u64 {
    // More of them on demand: SAGA_HISTORIES=100000 cargo test -p amrutam-payments --test saga
    std::env::var("SAGA_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

#[test]
fn whatever_happens_money_ends_in_one_outcome() {
    let stage = cast::stage();
    let only = std::env::var("SAGA_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = only.map_or(FIRST_SEED..FIRST_SEED + histories(), |seed| seed..seed + 1);
    let (mut tally, played) = (Tally::default(), seeds.end - seeds.start);
    for seed in seeds {
        let (found, violations) = play(&stage, seed, Mutant::None);
        if only.is_some() {
            violations.iter().for_each(|violation| println!("{violation}"));
        }
        assert!(violations.is_empty(), "SAGA_SEED={seed}: {violations:#?}");
        tally.add(&found);
    }
    println!("{played} histories from seed {FIRST_SEED}: {tally:?}");
    // A simulation in which nothing happens proves nothing.
    if only.is_none() && played >= 1_000 {
        tally.assert_eventful();
    }
}

#[test]
fn what_is_broken_on_purpose_is_noticed() {
    let stage = cast::stage();
    for mutant in Mutant::ALL {
        let caught = (FIRST_SEED..FIRST_SEED + 6_000).find(|seed| !play(&stage, *seed, *mutant).1.is_empty());
        println!("{mutant:?}: {caught:?}");
        assert!(caught.is_some(), "{mutant:?} went unnoticed");
    }
}
