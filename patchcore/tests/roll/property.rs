//! Random clusters: no order of a planned roll breaks anything, and no kind of change to one gets past the checker.

use std::collections::BTreeMap;

use patchcore::plan::roll::{Answer, Cluster, Objective, Roll, Wish, check, plan};

use crate::{
    clusters::{Dice, Size, random},
    mutations::KINDS,
    walk::{MANNERS, walk},
};

const SIZE: Size = Size {
    hosts: (3, 16),
    used: (60, 95),
    largest: 30,
    rules: true,
};

fn count() -> u64 {
    if std::env::var_os("PATCHCORE_FULL").is_some() {
        10_000
    } else {
        600
    }
}

pub(crate) fn planned(seed: u64) -> Option<(Cluster, Roll)> {
    let cluster = random(seed, SIZE);
    let objectives = [Objective::Knee, Objective::FewestMoves, Objective::Fastest];
    let wish = Wish {
        attempts: Some(4),
        effort: 20_000,
        allow_partial: seed.is_multiple_of(3),
        ..Wish::new(objectives[usize::try_from(seed % 3).unwrap()])
    };
    match plan(&cluster, &wish, &|| false).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"))
    {
        Answer::Planned(planned) => Some((cluster, planned.best.into_roll())),
        Answer::Infeasible(infeasible) => {
            assert!(
                infeasible.certificate.holds(&cluster),
                "seed {seed}: {infeasible}"
            );
            None
        }
        Answer::NotFound(_) => None,
    }
}

#[test]
fn no_order_of_a_planned_roll_breaks_anything_and_no_mutation_passes() {
    let mut caught: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut rolls, mut walked, mut broken) = (0, 0, 0);
    for seed in 0..count() {
        let Some((cluster, roll)) = planned(seed) else {
            continue;
        };
        rolls += 1;
        let mut dice = Dice::new(seed);
        for manner in MANNERS {
            walked += 1;
            if let Err(what) = walk(&cluster, &roll, manner, &mut dice) {
                panic!(
                    "seed {seed}: {manner:?}: the checker lets pass what breaks: {what}\n{roll:#?}"
                );
            }
        }
        for (name, change, kinds) in KINDS {
            let Some(changed) = change(&cluster, &roll, &mut dice) else {
                continue;
            };
            // What the oracle sees of it, of the few orders that it tries.
            broken += u32::from(
                MANNERS
                    .iter()
                    .any(|manner| walk(&cluster, &changed, *manner, &mut dice).is_err()),
            );
            match check(&cluster, changed) {
                Ok(_) => panic!("seed {seed}: the checker lets pass: {name}"),
                Err(breaches) => assert!(
                    kinds.iter().any(|kind| breaches.has(*kind)),
                    "seed {seed}: {name}: {breaches}"
                ),
            }
            *caught.entry(name).or_default() += 1;
        }
    }
    println!(
        "{rolls} of {} clusters have a roll; {walked} orders were walked through",
        count()
    );
    for (name, _, _) in KINDS {
        println!(
            "{:>7} caught: {name}",
            caught.get(name).copied().unwrap_or(0)
        );
    }
    let mutants: u32 = caught.values().sum();
    println!(
        "{mutants} in all; the oracle itself saw {broken} of them break in the orders it tried"
    );
    assert!(
        rolls * 4 > count(),
        "only {rolls} of {} were planned",
        count()
    );
    for (name, _, _) in KINDS {
        let many = caught.get(name).copied().unwrap_or(0);
        assert!(many >= 2, "{name} was tried {many} times");
    }
    // The oracle is no ornament: it sees by itself that most of them break something.
    assert!(broken * 2 > mutants, "{broken} of {mutants}");
}
