//! The crash matrix: production code in a world whose own log is the judge.
//!
//! `cargo xtask test crash` runs it and shows what it prints; `--full` among its arguments goes deeper.
//! `--seed N` runs one seed of the driver and tells everything, `--seeds N` so many, `--clocks` what becomes of waits when
//! the clock is set, `--case WORDS` only the whole runs with these words in their name; `--mutant NAME` before one of these
//! plants a fault.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking"
)]

mod answers;
mod axes;
mod book;
mod brackets;
mod cases;
mod cluster;
mod driver;
mod judge;
mod locks;
mod micro;
mod rolling;
mod rules;
mod stepper;
mod sweep;
mod table;
mod whole;
mod world;

use std::process::ExitCode;

use patchcore::mutant::{Mutant, plant};

use driver::{ClockRow, Clocks, again, replay, rows, seeds};
use sweep::{Depth, sweep, whole_runs};
use table::{Caught, CaughtBySeeds};

/// So many seeds drive the real driver.
const SEEDS: u64 = 400;
const SEEDS_IN_FULL: u64 = 6000;

/// So many are given a mutant before it counts as not caught by seeds.
const SEEDS_OF_A_MUTANT: u64 = 120;

/// Cases, and how each ends where it is not hurt.
type Cases = (Vec<cases::Case>, Vec<Vec<String>>);

fn main() -> ExitCode {
    driver::keep_planted_panics_quiet();
    rolling::find_due();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let full = words.iter().any(|word| word == "--full");
    let number_after = |what: &str| {
        let at = words.iter().position(|word| word == what)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(at) = words.iter().position(|word| word == "--mutant") {
        let wanted = words.get(at + 1).cloned().unwrap_or_default();
        let mut all = Mutant::ALL.into_iter();
        plant(all.find(|mutant| format!("{mutant:?}") == wanted));
    }
    if let Some(seed) = number_after("--seed") {
        return one(seed);
    }
    if let Some(number) = number_after("--seeds") {
        return only_seeds(number);
    }
    if words.iter().any(|word| word == "--clocks") {
        let rows = rows();
        print!("{}", Clocks(&rows));
        return code(rows.iter().all(ClockRow::holds));
    }
    let mut cases = cases::cases();
    if let Some(at) = words.iter().position(|word| word == "--case") {
        let wanted = words.get(at + 1).cloned().unwrap_or_default();
        cases.retain(|case| case.name.contains(&wanted));
    }
    let ends: Vec<Vec<String>> = cases
        .iter()
        .map(|case| whole::run(case, whole::Hurt::NOT, None).end)
        .collect();
    let depth = Depth {
        full,
        to_the_first: false,
    };
    if words.iter().any(|word| word == "--case") {
        return only_cases(&cases, &ends, depth);
    }
    let seen = sweep(&cases, &ends, depth);
    let mut caught = Vec::new();
    // What stands where clusters are rolled is looked for there, and everything else where they are not.
    let with_ends = cases::cases().into_iter().zip(ends.clone());
    let (rolls, others): (Vec<_>, Vec<_>) = with_ends.partition(|(case, _)| case.rolls.is_some());
    let (rolls, others): (Cases, Cases) = (rolls.into_iter().unzip(), others.into_iter().unzip());
    for mutant in Mutant::ALL {
        plant(Some(mutant));
        let depth = Depth {
            full: false,
            to_the_first: true,
        };
        let (cases, ends) = match mutant.is_of_rolls() {
            true => &rolls,
            false => &others,
        };
        let sweep = sweep(cases, ends, depth);
        let by = sweep.violations.into_iter().next();
        caught.push(Caught {
            mutant,
            by: by.map(|(invariant, (_, what))| (invariant, what)),
            runs: sweep.runs,
        });
    }
    plant(None);
    let driven = seeds(0, if full { SEEDS_IN_FULL } else { SEEDS }, false);
    let told = table::Told {
        seen,
        caught,
        clocks: rows(),
        driven,
        by_seeds: by_seeds(),
    };
    print!("{told}");
    code(told.holds())
}

/// Hurts whole runs and nothing else.
fn only_cases(cases: &[cases::Case], ends: &[Vec<String>], depth: Depth) -> ExitCode {
    let seen = whole_runs(cases, ends, depth);
    for ((name, points, runs, _), end) in seen.cases.iter().zip(ends) {
        println!("{name}: {points} points, {runs} runs, ends {end:?}");
    }
    for (invariant, (n, what)) in &seen.violations {
        println!("FAILED: {invariant:?}, {n} times: {what}");
    }
    code(seen.violations.is_empty())
}

fn code(holds: bool) -> ExitCode {
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one seed, tells everything that happened, and says whether it held.
fn one(seed: u64) -> ExitCode {
    let seeded = replay(seed);
    for line in &seeded.trace {
        println!("{line}");
    }
    for violation in &seeded.violations {
        println!("FAILED: {violation}");
    }
    println!("{}", again(seed));
    code(seeded.violations.is_empty())
}

/// Runs seeds and nothing else: as they are, and each mutant until one of them catches it.
fn only_seeds(number: u64) -> ExitCode {
    let driven = seeds(0, number, false);
    println!("{driven}{}in {:?}", driven.failures(), driven.took);
    for (mutant, by) in Mutant::ALL.into_iter().zip(by_seeds()) {
        println!("{mutant:?}: {:?}", by.by);
    }
    code(driven.holds())
}

/// Which seed of the driver catches each mutant first.
fn by_seeds() -> Vec<CaughtBySeeds> {
    let by_seeds = Mutant::ALL.map(|mutant| {
        plant(Some(mutant));
        // No seed rolls a cluster.
        let seeds_of_it = match mutant.is_of_rolls() {
            true => 0,
            false => SEEDS_OF_A_MUTANT,
        };
        let tried = seeds(0, seeds_of_it, true);
        let by = tried.violations.into_iter().next();
        CaughtBySeeds {
            by: by.map(|(invariant, (_, seed, _))| (invariant, seed)),
        }
    });
    plant(None);
    by_seeds.into()
}
