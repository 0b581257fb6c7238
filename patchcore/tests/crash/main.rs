//! The crash matrix: production code in a world whose own log is the judge.
//!
//! `cargo xtask test crash` runs it and shows what it prints; `--full` among its arguments goes deeper.
#![expect(
    clippy::expect_used,
    reason = "a test says what went wrong by panicking"
)]

mod axes;
mod cases;
mod judge;
mod micro;
mod rules;
mod stepper;
mod sweep;
mod table;
mod whole;
mod world;

use std::process::ExitCode;

use patchcore::mutant::{Mutant, plant};

use sweep::{Depth, sweep};
use table::Caught;

fn main() -> ExitCode {
    let full = std::env::args().any(|a| a == "--full");
    let cases = cases::cases();
    let ends: Vec<Vec<String>> = cases
        .iter()
        .map(|case| whole::run(case, whole::Hurt::NOT, None).end)
        .collect();
    let depth = Depth {
        full,
        to_the_first: false,
    };
    let seen = sweep(&cases, &ends, depth);
    let mut caught = Vec::new();
    for mutant in Mutant::ALL {
        plant(Some(mutant));
        let depth = Depth {
            full: false,
            to_the_first: true,
        };
        let sweep = sweep(&cases, &ends, depth);
        let by = sweep.violations.into_iter().next();
        caught.push(Caught {
            mutant,
            by: by.map(|(invariant, (_, what))| (invariant, what)),
            runs: sweep.runs,
        });
    }
    plant(None);
    let told = table::Told { seen, caught };
    print!("{told}");
    if told.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
