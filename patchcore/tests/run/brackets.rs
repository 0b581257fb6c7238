//! What is held around a change: taken before it, read back, given back after it, and on the ledger in between.

use std::time::Duration;

use patchcore::{
    ErrorKind, Estate, Journal, Run, Standing,
    clock::Clock as _,
    execute::{
        Story,
        kernel::{End, Phase, Resolution, Step},
    },
    plan::WhyLeftOut,
    policy::Policy,
    provider::{BracketKind, Guarantee},
    sim::{BracketChange, Script, Sim},
};

use super::{
    estate::{ALL, SELDOM, approved, broad_is_back, does, estate, plan, policy, sim, told},
    watch::{OFTEN, Watch},
};

const HOUR: Duration = Duration::from_secs(3600);

fn around() -> Policy {
    around_and(&[])
}

fn around_and(changes: &[(&str, &str)]) -> Policy {
    let brackets = "[[around]]\nsilence = \"alerts\"\n[[around]]\nselect = \"ring = test\"\npause = \"backup\"\n[[check]]";
    let mut all = vec![("[[check]]", brackets)];
    all.extend(changes);
    policy(&all)
}

fn held(sim: &Sim) -> Estate {
    estate(sim)
        .with(sim.brackets("alerts", [BracketKind::Silence]))
        .with(sim.brackets("backup", [BracketKind::Pause]))
}

async fn begun(sim: &Sim, policy: &Policy) -> Run {
    let (estate, journal) = (held(sim), Journal::in_memory().unwrap());
    let plan = plan(&estate, policy, &journal).await;
    estate.run(approved(&estate, plan), &journal).await.unwrap()
}

async fn carried_out(sim: &Sim, policy: &Policy) -> (Standing, Story, Run) {
    let run = begun(sim, policy).await;
    let standing = run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    (standing, story, run)
}

/// What became of everything that was held around one component.
fn changes(sim: &Sim, component: &str) -> Vec<&'static str> {
    sim.world(|w| {
        let of_it = w.brackets().iter().filter(|e| e.component == component);
        let words = of_it.map(|e| match e.change {
            BracketChange::Taken(_) => "taken",
            BracketChange::GivenBack(_) => "given back",
            BracketChange::Lapsed(_) => "lapsed",
            BracketChange::TakenByHand => "taken by hand",
            BracketChange::EndedByHand(_) => "ended by hand",
            _ => "else",
        });
        words.collect()
    })
}

fn silenced(sim: &Sim, component: &str) -> bool {
    sim.world(|w| w.is_held("alerts", BracketKind::Silence, component))
}

#[tokio::test]
async fn brackets_are_taken_before_and_given_back_after_and_stand_on_the_ledger_in_between() {
    let sim = sim();
    let watch = Watch::over(&sim);
    let run = begun(&sim, &around()).await;
    let seen = watch
        .until(&run, OFTEN, does("t-1", Step::Reboot))
        .await
        .ledger();
    drop(watch);
    let standing = run.finished().await.unwrap();
    assert!(matches!(standing, Standing::Ended { .. }), "{standing:?}");
    for line in [
        "t-1 has its alerts silenced in alerts since Mon 7 Dec 12:00 UTC, taken by run 1, is given back when it is healthy again, by Mon 7 Dec ",
        "t-1 has backup paused since Mon 7 Dec 12:00 UTC, taken by run 1, is given back when it is healthy again, by Mon 7 Dec ",
    ] {
        assert!(seen.iter().any(|s| s.starts_with(line)), "{seen:#?}");
    }
    for component in ALL {
        let both = match component {
            "t-1" => vec!["taken", "taken", "given back", "given back"],
            _ => vec!["taken", "given back"],
        };
        assert_eq!(changes(&sim, component), both, "{component}");
        let history = sim.history(component).unwrap();
        let (first, last) = sim.world(|w| {
            let all = w.brackets().iter().filter(|e| e.component == component);
            let at: Vec<_> = all.map(|e| e.at).collect();
            (at[0], at[at.len() - 1])
        });
        let out: Vec<_> = history.outages.iter().collect();
        assert!(!out.is_empty());
        for outage in out {
            assert!(
                first <= outage.from,
                "{component} was down unsilenced: {outage:?}"
            );
            assert!(
                outage.until.is_some_and(|until| until <= last),
                "{component}: {outage:?}"
            );
        }
    }
    let story = run.story().await.unwrap();
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
    let report = run.report().await.unwrap();
    assert_eq!(
        report.around,
        [
            "alerts silenced in alerts around 4 of 4",
            "backup paused around 1 of 1"
        ]
    );
    assert!(
        report.to_string().contains("backup paused around 1 of 1"),
        "{report}"
    );
    let lines = told(&run).await;
    for line in [
        "t-1: taking what is held around it · has its alerts silenced in alerts",
        "t-1: taken · alerts silenced in alerts",
        "t-1: gave back what it owed · backup goes on",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_silence_that_is_not_there_is_not_believed_and_nothing_is_patched_without_it() {
    let sim = sim().script(Script::take_lies().on("t-1"));
    let (standing, story, run) = carried_out(&sim, &around()).await;
    assert!(standing.is_halted(), "{standing:?}");
    let state = &story.components["t-1"];
    assert_eq!(
        state.phase,
        Phase::Ended(End::Untouched),
        "{:#?}",
        told(&run).await
    );
    assert_eq!(
        state.failures[0].kind,
        ErrorKind::VerifyFailed,
        "{:?}",
        state.failures
    );
    assert!(sim.history("t-1").unwrap().transactions.is_empty());
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
}

#[tokio::test]
async fn what_got_lost_on_the_way_is_taken_once_and_given_back_once() {
    for verb in ["take", "give_back"] {
        for guarantee in [
            Guarantee::Keyed { memory: HOUR * 24 },
            Guarantee::Locatable {
                consistency_delay: Duration::from_secs(60),
                memory: HOUR * 24,
            },
            Guarantee::StateOnly {
                quiet_after: Duration::from_secs(60),
            },
        ] {
            for script in [Script::loses_reply(verb, 1), Script::loses_request(verb, 1)] {
                let what = format!("{script} · {guarantee:?}");
                let sim = sim()
                    .with_guarantee_for("take", guarantee)
                    .with_guarantee_for("give_back", guarantee)
                    .script(script.on("w-1"));
                let (standing, story, run) = carried_out(&sim, &around()).await;
                assert!(
                    matches!(standing, Standing::Ended { .. }),
                    "{what}: {:#?}",
                    told(&run).await
                );
                assert_eq!(changes(&sim, "w-1"), ["taken", "given back"], "{what}");
                assert!(story.ledger().is_empty(), "{what}: {:?}", story.ledger());
            }
        }
    }
}

#[tokio::test]
async fn a_rolled_back_component_gives_back_what_was_held_when_it_is_healthy_again() {
    let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("t-1"));
    let (standing, story, run) = carried_out(&sim, &around()).await;
    assert!(standing.is_halted(), "{standing:?}");
    let state = &story.components["t-1"];
    assert_eq!(
        state.phase,
        Phase::Ended(End::RolledBack),
        "{:#?}",
        told(&run).await
    );
    assert_eq!(
        changes(&sim, "t-1"),
        ["taken", "taken", "given back", "given back"]
    );
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
    let last = sim
        .history("t-1")
        .unwrap()
        .transactions
        .last()
        .unwrap()
        .ended;
    sim.world(|w| {
        let given = w
            .brackets()
            .iter()
            .filter(|e| matches!(e.change, BracketChange::GivenBack(_)));
        assert!(given.clone().all(|e| e.at >= last), "{:?}", w.brackets());
    });
}

#[tokio::test]
async fn who_is_left_as_it_is_has_its_alerts_on_again_and_keeps_its_way_back() {
    let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("t-1"));
    let stop =
        "[on_fail]\ncomponent = \"stop\"\ntolerate = \"0\"\n[[check]]\nselect = \"tier = web\"";
    let policy = around_and(&[("[[check]]\nselect = \"tier = web\"", stop)]);
    let (standing, story, run) = carried_out(&sim, &policy).await;
    assert!(standing.is_halted(), "{standing:?}");
    assert_eq!(story.components["t-1"].phase, Phase::Ended(End::LeftAsIs));
    assert!(!silenced(&sim, "t-1"), "{:#?}", told(&run).await);
    let ledger = story.ledger();
    assert!(
        ledger.len() == 1 && ledger[0].contains("old packages for the way back"),
        "{ledger:?}"
    );
    run.end("maria", "looked at it").await.unwrap();
    run.finished().await.unwrap();
    assert!(run.story().await.unwrap().ledger().is_empty());
}

#[tokio::test]
async fn who_is_rolled_back_after_its_soak_has_its_brackets_taken_again() {
    let sim = sim();
    let watch = Watch::over(&sim);
    let run = begun(&sim, &around_and(&[("at_once = \"2\"", "at_once = \"1\"")])).await;
    watch.until(&run, SELDOM, broad_is_back).await;
    sim.world(|w| w.script(Script::health_breaks("nginx", "1.1-1").on("w-1")));
    drop(watch);
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    assert_eq!(story.components["w-1"].phase, Phase::Ended(End::RolledBack));
    assert_eq!(
        changes(&sim, "w-1"),
        ["taken", "given back", "taken", "given back"]
    );
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
}

/// A person switches the alerts on again while the component is patched.
async fn fought(sim: &Sim) -> Run {
    let watch = Watch::over(sim);
    let run = begun(sim, &around()).await;
    watch.until(&run, OFTEN, does("t-1", Step::Reboot)).await;
    sim.world(|w| w.end_by_hand("alerts", BracketKind::Silence, "t-1"));
    drop(watch);
    run.finished().await.unwrap();
    run
}

#[tokio::test]
async fn what_somebody_else_ended_is_a_fight_for_a_person_and_never_taken_again() {
    let sim = sim();
    let run = fought(&sim).await;
    let story = run.story().await.unwrap();
    let state = &story.components["t-1"];
    assert_eq!(state.phase, Phase::Quarantined, "{:#?}", told(&run).await);
    assert_eq!(state.quarantined_in, Some(Phase::Doing(Step::GiveBack)));
    let ledger = story.ledger();
    assert!(
        ledger.iter().any(|l| l.contains("t-1 has its alerts silenced in alerts")
            && l.contains("somebody else changed it: expected what we took but found somebody else ended it")),
        "{ledger:#?}"
    );
    // Only what cannot be given back is waived; the patch itself is good, and goes on into its soak.
    run.resolve(
        "t-1",
        Resolution::Abandon,
        "maria",
        "jon wants to see its alerts",
    )
    .await
    .unwrap();
    let standing = run.finished().await.unwrap();
    assert!(
        matches!(standing, Standing::Ended { .. }),
        "{:#?}",
        told(&run).await
    );
    let story = run.story().await.unwrap();
    let state = &story.components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Done));
    assert_eq!(state.waived.len(), 1, "{:?}", state.waived);
    assert!(
        state.waived[0].what.contains("alerts silenced"),
        "{:?}",
        state.waived
    );
    assert!(sim.world(|w| w.kept_for(&"t-1".into()).unwrap().is_empty()));
    assert_eq!(
        changes(&sim, "t-1"),
        ["taken", "taken", "ended by hand", "given back"]
    );
}

#[tokio::test]
async fn a_person_may_also_say_that_it_is_given_back() {
    let sim = sim();
    let run = fought(&sim).await;
    run.resolve("t-1", Resolution::AdoptDone, "maria", "its alerts are on")
        .await
        .unwrap();
    let standing = run.finished().await.unwrap();
    assert!(
        matches!(standing, Standing::Ended { .. }),
        "{:#?}",
        told(&run).await
    );
    let story = run.story().await.unwrap();
    assert_eq!(story.components["t-1"].phase, Phase::Ended(End::Done));
    assert!(story.components["t-1"].waived.is_empty());
}

#[tokio::test]
async fn what_somebody_else_paused_stays_paused_and_is_not_owed() {
    let sim = sim();
    sim.world(|w| w.hold_by_hand("backup", BracketKind::Pause, "t-1"));
    let (standing, story, run) = carried_out(&sim, &around()).await;
    assert!(matches!(standing, Standing::Ended { .. }), "{standing:?}");
    assert!(sim.world(|w| w.is_held("backup", BracketKind::Pause, "t-1")));
    assert_eq!(
        changes(&sim, "t-1"),
        ["taken by hand", "taken", "given back"]
    );
    assert!(story.ledger().is_empty());
    let lines = told(&run).await;
    let line = "t-1: already taken · backup is paused by somebody else";
    assert!(lines.iter().any(|l| l == line), "{lines:#?}");
}

#[tokio::test]
async fn a_change_does_not_begin_under_a_silence_that_ended_meanwhile() {
    let sim = sim();
    let run = begun(&sim, &around()).await;
    run.pause_before(Step::Apply, None, "jon", "the vendor looks first")
        .await
        .unwrap();
    run.finished().await.unwrap();
    assert!(silenced(&sim, "t-1"));
    sim.clock().advance_to(sim.clock().now() + HOUR * 24);
    assert!(!silenced(&sim, "t-1"));
    let ledger = run.ledger().await.unwrap();
    assert!(
        ledger
            .iter()
            .any(|l| l.contains("alerts silenced") && l.contains("overdue since")),
        "{ledger:#?}"
    );
    run.unpause_before(Step::Apply, None, "jon", "they have looked")
        .await
        .unwrap();
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    let state = &story.components["t-1"];
    assert_eq!(
        state.phase,
        Phase::Ended(End::Untouched),
        "{:#?}",
        told(&run).await
    );
    assert!(sim.history("t-1").unwrap().transactions.is_empty());
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
}

#[tokio::test]
async fn a_run_that_is_cancelled_gives_back_first() {
    let sim = sim();
    let watch = Watch::over(&sim);
    let run = begun(&sim, &around()).await;
    watch.until(&run, OFTEN, does("w-1", Step::Apply)).await;
    run.cancel("jon", "the freeze comes early").await.unwrap();
    drop(watch);
    let standing = run.finished().await.unwrap();
    assert!(matches!(standing, Standing::Ended { .. }), "{standing:?}");
    for component in ALL {
        assert!(!silenced(&sim, component), "{component}");
    }
    assert!(run.story().await.unwrap().ledger().is_empty());
}

#[tokio::test]
async fn a_plan_shows_what_is_held_and_refuses_what_nobody_can_hold() {
    let (sim, journal) = (sim(), Journal::in_memory().unwrap());
    let shown = plan(&held(&sim), &around(), &journal).await;
    let text = shown.to_string();
    assert!(
        text.contains("around it: alerts silenced in alerts, backup paused"),
        "{text}"
    );
    let why = shown.explain("t-1").unwrap().to_string();
    assert!(
        why.contains("around it: alerts silenced in alerts, backup paused"),
        "{why}"
    );

    let without = estate(&sim).with(sim.brackets("pager", [BracketKind::Silence]));
    let refused = plan(&without, &around(), &journal).await;
    assert!(refused.envelope.targets.is_empty());
    let left = refused
        .left_out
        .iter()
        .find(|l| l.component == "t-1")
        .unwrap();
    let WhyLeftOut::Blocked { reasons } = &left.reason else {
        panic!("{left:?}");
    };
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    for reason in reasons {
        assert_eq!(reason.kind, ErrorKind::Unsupported);
        assert!(
            reason.hint.as_ref().is_some_and(|h| h.contains(".with(")),
            "{reason:?}"
        );
    }
    assert!(
        reasons[0].to_string().contains("silence = \"alerts\""),
        "{}",
        reasons[0]
    );

    let diff = shown.diff(&plan(&held(&sim), &policy(&[]), &journal).await);
    let line = "around it: alerts silenced in alerts, was nothing is held around it";
    assert!(diff.to_string().contains(line), "{diff}");

    // A run needs the providers that its plan names.
    let approved = approved(&held(&sim), shown);
    let error = estate(&sim).run(approved, &journal).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("alerts"), "{error}");
}
