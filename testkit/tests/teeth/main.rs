//! Each fault planted into a correct provider is named by exactly the check that is about it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own outside: what fails here fails the test"
)]

mod faulty;
mod faulty_bracket;
mod faulty_drainer;
mod faulty_lock;
mod faulty_operations;
mod plant;

use std::{collections::BTreeSet, sync::Arc};

use patchcore_testkit::{Verdict, checks};

use self::{
    faulty::FaultyFixture,
    plant::{PLANTS, Plant},
};

/// Checks that no fault can be planted for here, and where their own teeth are.
const PROVEN_ELSEWHERE: &[(&str, &str)] = &[(
    "deployer_every_claimed_capability_has_a_check",
    "capabilities have fixed fields; a unit test beside the check adds one",
)];

/// The checks that find a fault, and those that could not judge with the check they point to.
async fn judge(
    plant: Plant,
) -> (
    BTreeSet<&'static str>,
    BTreeSet<(&'static str, &'static str)>,
) {
    let (mut found, mut unjudged) = (BTreeSet::new(), BTreeSet::new());
    for check in checks() {
        match check.run(Arc::new(FaultyFixture::new(plant))).await {
            Verdict::Fault(_) => drop(found.insert(check.name)),
            Verdict::Unjudged { see, .. } => drop(unjudged.insert((check.name, see))),
            Verdict::NotRun(why) => panic!("{plant:?}: {check:?}: {why}"),
            _ => {}
        }
    }
    (found, unjudged)
}

#[tokio::test]
async fn each_fault_is_named_by_the_check_that_is_about_it_and_by_no_other() {
    let mut wrong = Vec::new();
    for (plant, check) in PLANTS {
        let (found, unjudged) = judge(*plant).await;
        if found != BTreeSet::from([*check]) {
            wrong.push(format!("{plant:?}: expected {check}, found {found:?}"));
        }
        // Whoever cannot judge must point to the fault that is in the way.
        for (name, see) in unjudged.iter().filter(|(_, see)| see != check) {
            wrong.push(format!(
                "{plant:?}: {name} could not judge and points to {see}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_check_has_a_fault_that_it_finds() {
    let bites: BTreeSet<&str> = PLANTS.iter().map(|(_, check)| *check).collect();
    let elsewhere: BTreeSet<&str> = PROVEN_ELSEWHERE.iter().map(|(check, _)| *check).collect();
    let toothless: Vec<_> = checks()
        .map(|c| c.name)
        .filter(|name| !bites.contains(name) && !elsewhere.contains(name))
        .collect();
    assert_eq!(toothless, Vec::<&str>::new());
}

#[test]
fn names_of_checks_are_unique_and_say_their_port() {
    let names: Vec<&str> = checks().map(|c| c.name).collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), unique.len());
    for check in checks() {
        let port = format!("{:?}_", check.port).to_lowercase();
        assert!(check.name.starts_with(&port), "{check:?}");
        assert!(!check.finds.is_empty(), "{check:?}");
    }
}
