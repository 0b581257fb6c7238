//! Runs in which something goes wrong.

use patchcore::{
    Standing,
    execute::kernel::{End, Phase},
    sim::Script,
};

use super::{
    estate::{ALL, SELDOM, broad_is_back, carried_out, estate, plan, policy, sim, start, told},
    watch::Watch,
};

/// A bad patch on the test guest: rolled back, halted, denied, and nobody else was touched.
async fn rolls_back(script: Script, blamed: &[&str]) {
    let sim = sim().script(script);
    let journal = patchcore::Journal::in_memory().unwrap();
    let run = super::estate::started(&sim, &policy(&[]), &journal).await;
    let standing = run.finished().await.unwrap();
    let lines = told(&run).await;
    assert!(standing.is_halted(), "{standing:?} {lines:#?}");
    let story = run.story().await.unwrap();
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Ended(End::RolledBack),
        "{lines:#?}"
    );
    assert_eq!(sim.version("t-1", "nginx"), Some("1.0-1".into()));
    assert_eq!(sim.version("t-1", "linux"), Some("6.1-1".into()));
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
    for other in &ALL[1..] {
        assert!(
            sim.history(other).unwrap().transactions.is_empty(),
            "{other} was touched"
        );
    }
    let denied: Vec<&str> = story
        .state
        .denials
        .iter()
        .map(|d| d.patch.as_str())
        .collect();
    assert_eq!(denied, blamed, "{lines:#?}");

    run.end("maria", "looked at it").await.unwrap();
    run.finished().await.unwrap();
    let again = plan(
        &estate(&sim),
        &policy(&[("at_least = 1", "at_least = 1")]),
        &journal,
    )
    .await;
    for target in &again.envelope.targets {
        assert!(
            target
                .patches
                .iter()
                .all(|p| !blamed.contains(&p.id.as_str())),
            "{again}"
        );
    }
}

#[tokio::test]
async fn a_failing_script_is_rolled_back_and_only_its_package_is_blamed() {
    rolls_back(
        Script::postinst_fails("nginx", "1.1-1").on("t-1"),
        &["nginx"],
    )
    .await;
}

#[tokio::test]
async fn a_patch_that_breaks_the_service_is_rolled_back() {
    // No check says which patch it was, so none of those that went in together is believed again. The restart
    // for the kernel is undone by another.
    let sim = sim().script(Script::health_breaks("nginx", "1.1-1").on("t-1"));
    let (standing, story, run) = carried_out(&sim, &policy(&[])).await;
    assert!(standing.is_halted());
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Ended(End::RolledBack),
        "{:#?}",
        told(&run).await
    );
    let denied: Vec<&str> = story
        .state
        .denials
        .iter()
        .map(|d| d.patch.as_str())
        .collect();
    assert_eq!(denied, ["linux", "nginx"]);
    assert_eq!(sim.history("t-1").unwrap().boots.len(), 2);
}

#[tokio::test]
async fn a_tool_that_lies_is_not_believed() {
    let sim = sim().script(Script::lies_success("nginx").on("t-1"));
    let (standing, story, run) = carried_out(&sim, &policy(&[])).await;
    let lines = told(&run).await;
    assert!(standing.is_halted(), "{lines:#?}");
    let failures = &story.components["t-1"].failures;
    assert!(
        failures[0]
            .message
            .contains("expected nginx 1.1-1 but found 1.0-1"),
        "{failures:?}"
    );
}

#[tokio::test]
async fn a_way_back_that_fails_needs_a_person() {
    let sim = sim()
        .script(Script::postinst_fails("nginx", "1.1-1").on("t-1"))
        .script(Script::roll_back_fails().on("t-1"));
    let (standing, story, run) = carried_out(&sim, &policy(&[])).await;
    assert!(matches!(standing, Standing::AtRest { .. }), "{standing:?}");
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Quarantined,
        "{:#?}",
        told(&run).await
    );
    assert_eq!(
        run.report().await.unwrap().verdict,
        patchcore::report::Verdict::NeedsPerson
    );
}

#[tokio::test]
async fn skip_leaves_it_and_counts_it_and_stop_halts() {
    for (word, tolerate, halts) in [
        ("skip", "1", false),
        ("skip", "0", true),
        ("stop", "5", true),
    ] {
        let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("w-1"));
        let on_fail =
            format!("[on_fail]\ncomponent = \"{word}\"\ntolerate = \"{tolerate}\"\n[[check]]");
        let (standing, story, run) = carried_out(&sim, &policy(&[("[[check]]", &on_fail)])).await;
        let lines = told(&run).await;
        assert_eq!(
            story.components["w-1"].phase,
            Phase::Ended(End::LeftAsIs),
            "{word}: {lines:#?}"
        );
        assert_eq!(
            standing.is_halted(),
            halts,
            "{word} {tolerate}: {standing:?} {lines:#?}"
        );
        if !halts {
            // It may be out of service, so its slot stays taken: the others went one after the other.
            assert_eq!(
                story.components["w-3"].phase,
                Phase::Ended(End::Done),
                "{lines:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_lock_is_waited_for() {
    let until = start() + std::time::Duration::from_secs(600);
    let sim =
        sim().script(Script::lock_held("unattended-upgrade (pid 412)", start(), until).on("t-1"));
    let (standing, story, run) = carried_out(&sim, &policy(&[])).await;
    assert!(
        matches!(standing, Standing::Ended { .. }),
        "{:#?}",
        told(&run).await
    );
    assert!(story.components["t-1"].reached["applied"] >= until);
}

#[tokio::test]
async fn a_lock_that_nobody_lets_go_ends_untouched_and_names_the_holder() {
    let until = start() + std::time::Duration::from_secs(86_400);
    let sim =
        sim().script(Script::lock_held("unattended-upgrade (pid 412)", start(), until).on("t-1"));
    let (standing, story, _) = carried_out(&sim, &policy(&[])).await;
    assert!(standing.is_halted());
    let state = &story.components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Untouched));
    assert!(
        state.failures[0]
            .message
            .contains("unattended-upgrade (pid 412)"),
        "{:?}",
        state.failures
    );
    assert!(sim.history("t-1").unwrap().transactions.is_empty());
}

#[tokio::test]
async fn what_changed_after_approval_is_drift_and_nothing_is_done() {
    let sim = sim();
    let journal = patchcore::Journal::in_memory().unwrap();
    let estate = estate(&sim);
    let plan = plan(&estate, &policy(&[]), &journal).await;
    sim.world(|w| w.withdraw("nginx", "1.1-1"));
    let run = estate
        .run(super::estate::approved(&estate, plan), &journal)
        .await
        .unwrap();
    assert!(run.finished().await.unwrap().is_halted());
    let state = &run.story().await.unwrap().components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Untouched));
    assert_eq!(
        state.failures[0].kind,
        patchcore::ErrorKind::PlanDrift,
        "{:?}",
        state.failures
    );
    assert!(sim.history("t-1").unwrap().transactions.is_empty());
}

#[tokio::test]
async fn what_fails_in_its_soak_is_rolled_back_within_the_budget() {
    // The fault shows at the end of the soak, on every guest of the ring at once.
    let sim = sim();
    let journal = patchcore::Journal::in_memory().unwrap();
    let watch = Watch::over(&sim);
    let run = super::estate::started(
        &sim,
        &policy(&[("at_once = \"2\"", "at_once = \"1\"")]),
        &journal,
    )
    .await;
    watch.until(&run, SELDOM, broad_is_back).await;
    sim.world(|w| w.script(Script::health_breaks("nginx", "1.1-1")));
    drop(watch);
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    let lines = told(&run).await;
    for name in &ALL[1..] {
        assert_eq!(
            story.components[*name].phase,
            Phase::Ended(End::RolledBack),
            "{name}: {lines:#?}"
        );
    }
    let worked: Vec<_> = ALL[1..]
        .iter()
        .flat_map(|n| sim.history(n).unwrap().transactions)
        .filter(|t| t.verb == "roll_back")
        .collect();
    assert_eq!(worked.len(), 3);
    for (i, a) in worked.iter().enumerate() {
        for b in &worked[i + 1..] {
            assert!(
                a.ended <= b.began || b.ended <= a.began,
                "two were rolled back at once: {a:?} {b:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_person_takes_a_patch_off_the_deny_list() {
    let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("t-1"));
    let journal = patchcore::Journal::in_memory().unwrap();
    let run = super::estate::started(&sim, &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let denials = patchcore::execute::denials(&journal).await.unwrap();
    assert_eq!(denials.len(), 1);
    run.lift_denial(&denials[0], "maria", "its postinst is mended on t-1")
        .await
        .unwrap();
    assert!(
        patchcore::execute::denials(&journal)
            .await
            .unwrap()
            .is_empty()
    );
    run.end("maria", "planning again").await.unwrap();
    run.finished().await.unwrap();
    let again = plan(&estate(&sim), &policy(&[]), &journal).await;
    let target = again.envelope.target(&"t-1".into()).unwrap();
    assert!(target.patches.iter().any(|p| p.id == "nginx"), "{again}");
}
