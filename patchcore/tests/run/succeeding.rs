//! Runs in which nothing goes wrong.

use std::collections::BTreeMap;

use patchcore::{
    Journal, Standing,
    estate::RedundancyGroup,
    execute::kernel::{ComponentEvent, End, Event, Phase, RunVerdict},
    report::Verdict,
};

use super::estate::{
    ALL, approved, carried_out, estate, locked_estate, plan, policy, sim, sim_of, told,
};

#[tokio::test]
async fn everything_is_patched_once_and_nothing_is_owed() {
    let sim = sim();
    let (standing, story, run) = carried_out(&sim, &policy(&[])).await;
    assert_eq!(
        standing,
        Standing::Ended {
            verdict: RunVerdict::Done
        },
        "{:#?}",
        told(&run).await
    );
    for name in ALL {
        let history = sim.history(name).unwrap();
        assert_eq!(history.times_installed("nginx", "1.1-1"), 1, "{name}");
        assert_eq!(history.boots.len(), 1, "{name}");
        let state = &story.components[name];
        assert_eq!(state.phase, Phase::Ended(End::Done), "{name}");
        for (question, answer) in [
            ("patched", &state.outcome.patched),
            ("in effect", &state.outcome.in_effect),
            ("rebooted", &state.outcome.rebooted),
            ("healthy", &state.outcome.healthy),
        ] {
            assert!(answer.is_yes(), "{name}: {question}: {answer}");
        }
        assert!(
            sim.world(|w| w.kept_for(&name.into()).unwrap().is_empty()),
            "{name} still keeps old packages"
        );
    }
    assert!(story.ledger().is_empty());
    assert_eq!(run.report().await.unwrap().verdict, Verdict::Done);
}

#[tokio::test]
async fn a_lock_is_kept_for_a_last_step_that_follows_in_ten_seconds() {
    let mut kept = 0;
    let without = (0..12).map(|seed| ("0s", seed));
    for (soak, seed) in without.chain([("24h", 0)]) {
        let (sim, journal) = (sim_of(seed), Journal::in_memory().unwrap());
        let estate = locked_estate(&sim);
        let text = format!("soak = \"{soak}\"");
        let changes = [
            ("soak = \"24h\"", text.as_str()),
            ("at_once = \"2\"", "at_once = \"3\""),
        ];
        let planned = plan(&estate, &policy(&changes), &journal).await;
        let run = estate
            .run(approved(&estate, planned), &journal)
            .await
            .unwrap();
        run.finished().await.unwrap();
        let (mut locks, mut back, mut waited) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut events = run.events();
        while let Some(told) = events.next().await {
            let (Event::Component(event), Some(of)) = (told.event, told.component) else {
                continue;
            };
            match event {
                ComponentEvent::Locked { .. } => locks.push((of, 1)),
                ComponentEvent::Unlocked { .. } => locks.push((of, -1)),
                ComponentEvent::Checked {
                    next: Phase::InService,
                    ..
                } => {
                    back.insert(of, told.at);
                }
                ComponentEvent::SoakOver { .. } => {
                    let since = told.at.duration_since(back[&of]);
                    waited.insert(of, since.as_secs());
                }
                _ => {}
            }
        }
        for name in ALL {
            let of = |sign| {
                locks
                    .iter()
                    .filter(|(c, s)| c == name && *s == sign)
                    .count()
            };
            let waited = waited[name];
            let expected = if waited < 10 { 1 } else { 2 };
            assert_eq!(
                (of(1), of(-1)),
                (expected, expected),
                "{soak}, {name}: {waited} s"
            );
            kept += usize::from((1..10).contains(&waited));
        }
    }
    assert!(kept >= 3, "hardly anybody waited for others: {kept}");
}

#[tokio::test]
async fn the_budget_holds_at_every_instant() {
    let sim = sim();
    let (_, story, _) = carried_out(&sim, &policy(&[])).await;
    assert_eq!(sim.most_out_of_service(ALL), 2);
    assert_eq!(story.plan.envelope.rings[1].at_once, 2);
    let one = super::estate::sim();
    carried_out(&one, &policy(&[("at_once = \"2\"", "at_once = \"1\"")])).await;
    assert_eq!(one.most_out_of_service(ALL), 1);
}

#[tokio::test]
async fn a_group_stays_at_its_floor_at_every_instant() {
    let sim = sim().group(RedundancyGroup::all_but_one(
        "web",
        patchcore::estate::Role::Other("web".to_owned()),
        ["w-1", "w-2", "w-3"],
    ));
    let (standing, ..) = carried_out(&sim, &policy(&[])).await;
    assert_eq!(
        standing,
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    assert_eq!(sim.most_out_of_service(["w-1", "w-2", "w-3"]), 1);
}

#[tokio::test]
async fn the_second_ring_waits_for_the_soak_of_the_first() {
    let sim = sim();
    let (_, story, _) = carried_out(&sim, &policy(&[])).await;
    let applied = |name: &str| story.components[name].reached["applied"];
    let gap = applied("w-1").duration_since(applied("t-1"));
    assert!(gap >= jiff::SignedDuration::from_hours(24), "{gap}");
}

#[tokio::test]
async fn planning_again_finds_nothing_to_do() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    super::estate::started(&sim, &policy(&[]), &journal)
        .await
        .finished()
        .await
        .unwrap();
    let again = plan(&estate(&sim), &policy(&[]), &journal).await;
    assert!(again.is_empty(), "{again}");
}

#[tokio::test]
async fn without_a_restart_the_report_says_that_old_code_runs() {
    let sim = sim();
    let (standing, story, _) = carried_out(
        &sim,
        &policy(&[("[[check]]", "[reboot]\nwhen = \"never\"\n[[check]]")]),
    )
    .await;
    assert_eq!(
        standing,
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    let outcome = &story.components["t-1"].outcome;
    assert!(outcome.patched.is_yes());
    assert!(outcome.in_effect.is_bad(), "{}", outcome.in_effect);
    assert!(sim.history("t-1").unwrap().boots.is_empty());
}
