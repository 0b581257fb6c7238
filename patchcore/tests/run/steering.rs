//! Runs that people steer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Estate, Journal, Standing, SystemClock, Timestamp,
    clock::{AtWork, Clock},
    estate::{Impact, Patch, PatchClass},
    execute::{
        Story,
        journal::{CommandFate, JournalReader, NewCommand},
        kernel::{End, Phase, RunVerdict, Step, Wait},
    },
    sim::{Script, Sim, VirtualClock},
};

use super::{
    estate::{ALL, Folder, approved, does, estate, plan, policy, sim, start, started, told},
    watch::{OFTEN, Watch},
};

#[tokio::test]
async fn a_paused_run_starts_nothing_and_goes_on_when_unpaused() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, &policy(&[]), &journal).await;
    run.pause("jon", "the mail system is down").await.unwrap();
    let standing = run.finished().await.unwrap();
    assert!(
        matches!(&standing, Standing::AtRest { waits } if matches!(waits[..], [Wait::Paused { .. }])),
        "{standing:?}"
    );
    let twice = run.pause("jon", "again").await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidInput);
    for name in &ALL[1..] {
        assert!(sim.history(name).unwrap().transactions.is_empty(), "{name}");
    }
    run.unpause("jon", "it is back").await.unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
}

#[tokio::test]
async fn a_pause_point_holds_a_step_of_one_component_until_it_is_taken_away() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, &policy(&[]), &journal).await;
    let one = || Some("w-2".into());
    run.pause_before(Step::Reboot, one(), "jon", "the vendor looks first")
        .await
        .unwrap();
    let standing = run.finished().await.unwrap();
    let Standing::AtRest { waits } = &standing else {
        panic!("{standing:?}")
    };
    assert!(
        matches!(&waits[0], Wait::PausePoint { component, .. } if *component == "w-2"),
        "{waits:?}"
    );
    let why = run.why("w-2").await.unwrap();
    let reason = "w-2 is paused before reboot of w-2 by jon: the vendor looks first";
    assert!(why.contains(reason), "{why}");
    // Whoever holds it: how much longer than planned it is on the way is told.
    let story = run.story().await.unwrap();
    let takes = story.plan.envelope.target(&"w-2".into()).unwrap().takes.p95;
    let begun = story.components["w-2"].begun.unwrap();
    for (after, late) in [(takes, None), (takes + Duration::from_secs(720), Some(720))] {
        let progress = story.progress(&standing, begun + after).unwrap();
        let one = progress.at_work.iter().find(|c| c.component == "w-2");
        assert_eq!(one.unwrap().late, late.map(Duration::from_secs));
        let why = story.why(&"w-2".into(), &standing, begun + after).unwrap();
        let says = why.contains("12 min longer than 95 % of its kind take");
        assert_eq!(says, late.is_some(), "{why}");
    }
    let done = |name: &str| {
        let history = sim.history(name).unwrap();
        (history.transactions.len(), history.boots.len())
    };
    let before = done("w-2");
    assert_eq!(before.0, 1, "it was patched, and waits before its restart");
    // What restores service is never held up, and a pause point is set once.
    for (step, component) in [
        (Step::RollBack, None),
        (Step::Reboot, one()),
        (Step::Apply, Some("w-9".into())),
    ] {
        let refused = run.pause_before(step, component, "jon", "again").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    run.unpause_before(Step::Reboot, one(), "jon", "they have looked")
        .await
        .unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    assert_eq!(done("w-2"), (1, before.1 + 1));
}

#[tokio::test]
async fn a_run_that_is_ended_is_not_held_up_by_a_pause_point() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, &policy(&[]), &journal).await;
    run.pause_before(Step::Apply, None, "jon", "not yet")
        .await
        .unwrap();
    let standing = run.finished().await.unwrap();
    assert!(matches!(standing, Standing::AtRest { .. }), "{standing:?}");
    run.cancel("jon", "not this month").await.unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Cancelled
        }
    );
    assert!(run.ledger().await.unwrap().is_empty());
}

#[tokio::test]
async fn cancelling_finishes_what_is_open_and_gives_everything_back() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let watch = Watch::over(&sim);
    let run = started(&sim, &policy(&[]), &journal).await;
    watch.until(&run, OFTEN, does("w-1", Step::Apply)).await;
    run.cancel("jon", "the freeze comes early").await.unwrap();
    drop(watch);
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Cancelled
        }
    );
    let story = run.story().await.unwrap();
    assert_eq!(
        story.components["w-1"].phase,
        Phase::Ended(End::Unsoaked),
        "{:#?}",
        told(&run).await
    );
    assert_eq!(story.components["w-3"].phase, Phase::Ended(End::Skipped));
    assert!(story.ledger().is_empty());
    for name in ALL {
        assert!(
            sim.world(|w| w.kept_for(&name.into()).unwrap().is_empty()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_lifted_halt_forgives_and_goes_on() {
    let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("w-1"));
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, &policy(&[]), &journal).await;
    assert!(run.finished().await.unwrap().is_halted());
    run.lift_halt("maria", "w-1 has a local change; the others have not")
        .await
        .unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    let story = run.story().await.unwrap();
    assert_eq!(story.components["w-1"].phase, Phase::Ended(End::RolledBack));
    assert_eq!(
        story.components["w-3"].phase,
        Phase::Ended(End::Done),
        "{:#?}",
        told(&run).await
    );
}

#[tokio::test]
async fn a_ring_with_an_approval_of_its_own_waits_for_the_right_person() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let own = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let run = started(&sim, &own, &journal).await;
    let standing = run.finished().await.unwrap();
    assert!(
        matches!(&standing, Standing::AtRest { waits } if matches!(waits[..], [Wait::RingApproval { .. }])),
        "{standing:?}"
    );
    for (who, says) in [("sam", "asked for the plan"), ("eve", "may not approve")] {
        let error = run
            .approve_ring("broad", who, "looks good")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    run.approve_ring("broad", "jon", "the test ring looks good")
        .await
        .unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
}

#[tokio::test]
async fn nothing_is_admitted_after_the_approval_expired() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let short = policy(&[("\"jon\"] }", "\"jon\"], valid = \"20h\" }")]);
    let run = started(&sim, &short, &journal).await;
    let standing = run.finished().await.unwrap();
    assert!(standing.is_halted(), "{standing:?}");
    let story = run.story().await.unwrap();
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Ended(End::Done),
        "what was open is finished"
    );
    assert_eq!(story.components["w-1"].phase, Phase::Waiting);
    assert!(story.state.halted_because.unwrap().contains("expired"));
}

#[tokio::test]
async fn another_process_steers_through_the_inbox() {
    let folder = Folder::new();
    let sim = sim();
    let journal = Journal::open(folder.journal()).unwrap();
    let run = started(
        &sim,
        &policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]),
        &journal,
    )
    .await;
    run.finished().await.unwrap();
    let reader = JournalReader::open(folder.journal()).unwrap();
    let command = |by: &str, verb: &str, args| NewCommand {
        run: Some(run.id()),
        at: start(),
        by: by.into(),
        verb: verb.to_owned(),
        args,
    };
    let bad = command(
        "jon",
        "make_coffee",
        serde_json::json!({ "reason": "tired" }),
    );
    let bad = reader.post_command(bad).await.unwrap();
    let good = command(
        "jon",
        "approve_ring",
        serde_json::json!({ "ring": "broad", "reason": "looks good" }),
    );
    let good = reader.post_command(good).await.unwrap();
    rusqlite::Connection::open(folder.journal())
        .unwrap()
        .execute(
            "INSERT INTO command(at, person, verb, args) VALUES(0, 'jon', 'pause', 'for lunch')",
            [],
        )
        .unwrap();
    // Real time: the inbox is looked at when something happens or, by virtual time, never by itself.
    run.pause("jon", "only to make it look").await.unwrap();
    run.unpause("jon", "looked").await.unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    let lines = told(&run).await;
    let one = |what: &str| lines.iter().filter(|l| l.contains(what)).count();
    assert_eq!(one("make coffee by jon refused"), 1, "{lines:#?}");
    assert_eq!(one("ring broad approved by jon"), 1, "{lines:#?}");
    assert_eq!(
        one("pause by jon refused: it cannot be read"),
        1,
        "{lines:#?}"
    );
    assert!(reader.open_commands().await.unwrap().is_empty());
    // Each by its own decision, although both were taken in one look.
    for (id, decision) in [(bad, "command_refused"), (good, "ring_approved")] {
        let CommandFate::Answered(event) = reader.command(id).await.unwrap() else {
            panic!("{decision} is not answered");
        };
        assert_eq!(event.kind, decision);
    }
}

/// The machine's time, which somebody sets back.
#[derive(Debug)]
struct SetBack {
    truly: VirtualClock,
    is_set: AtomicBool,
}

#[async_trait]
impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        let set = self.is_set.load(Ordering::Relaxed);
        self.truly.now() - Duration::from_secs(if set { 3600 } else { 0 })
    }

    async fn sleep_until(&self, until: Timestamp) {
        while self.now() < until {
            self.truly.sleep_until(self.truly.now() + SECOND).await;
        }
    }

    async fn pause(&self, duration: Duration) {
        self.truly.pause(duration).await;
    }

    async fn reached(&self, time: Timestamp) {
        while self.now() < time {
            self.truly.reached(self.truly.now() + SECOND).await;
        }
    }

    async fn passed(&self, duration: Duration) {
        self.truly.passed(duration).await;
    }

    fn at_work(&self) -> AtWork {
        self.truly.at_work()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_no_command() {
    let folder = Folder::new();
    let sim = sim();
    let clock = Arc::new(SetBack {
        truly: sim.clock(),
        is_set: AtomicBool::new(false),
    });
    let estate = Estate::named("test")
        .with(sim.provider())
        .with_clock(Arc::clone(&clock) as patchcore::clock::SharedClock);
    let journal = Journal::open(folder.journal()).unwrap();
    let asks = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let plan = plan(&estate, &asks, &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    let standing = run.finished().await.unwrap();
    assert!(matches!(standing, Standing::AtRest { .. }), "{standing:?}");
    clock.is_set.store(true, Ordering::Relaxed);
    let reader = JournalReader::open(folder.journal()).unwrap();
    let post = |at| NewCommand {
        run: Some(run.id()),
        at,
        by: "jon".into(),
        verb: "make_coffee".to_owned(),
        args: serde_json::json!({ "reason": "tired" }),
    };
    // The second is found by a look that was planned after the clock was set.
    for _ in 0..2 {
        let posted = reader.post_command(post(clock.now())).await.unwrap();
        for _ in 0..10 {
            sim.clock().pause(SECOND).await;
        }
        let patience = SystemClock.now() + Duration::from_secs(20);
        while !matches!(
            reader.command(posted).await.unwrap(),
            CommandFate::Answered(_)
        ) {
            assert!(SystemClock.now() < patience, "nobody looks");
            SystemClock.pause(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_script_without_patience_parks_and_calls_again() {
    let folder = Folder::new();
    let sim = sim();
    {
        let journal = Journal::open(folder.journal()).unwrap();
        let estate = estate(&sim);
        let plan = plan(
            &estate,
            &policy(&[(
                "when = \"any time\"",
                "zone = \"Europe/Berlin\"\nwhen = \"sat\"",
            )]),
            &journal,
        )
        .await;
        let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
        let standing = run.finished_or_parked(Duration::ZERO).await.unwrap();
        let Standing::Parked {
            until: Some(until), ..
        } = standing
        else {
            panic!("{standing:?}")
        };
        assert_eq!(
            until.to_string(),
            "2026-12-11T23:00:00Z",
            "the next Saturday begins then in Berlin"
        );
        drop(run);
        journal.close().await.unwrap();
    }
    let journal = Journal::open(folder.journal()).unwrap();
    let run = estate(&sim).reopen(&journal).await.unwrap().unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
}

#[tokio::test]
async fn a_run_is_driven_once_in_a_process() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(
        &sim,
        &policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]),
        &journal,
    )
    .await;
    let refused = async || {
        let error = estate(&sim).reopen(&journal).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}");
        assert!(
            error
                .message()
                .contains("run 1 is driven in this process already"),
            "{error:?}"
        );
    };
    refused().await;
    // At rest it still answers whoever holds its handle.
    run.finished().await.unwrap();
    refused().await;
    run.approve_ring("broad", "jon", "looks good")
        .await
        .unwrap();
    assert_eq!(
        run.finished().await.unwrap(),
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    );
    let lines = told(&run).await;
    assert!(
        !lines.iter().any(|line| line.contains("resumed")),
        "a refused reopening was recorded: {lines:#?}"
    );
    assert!(estate(&sim).reopen(&journal).await.unwrap().is_none());
}

#[tokio::test]
async fn a_second_run_on_one_journal_is_refused_and_names_the_first() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(
        &sim,
        &policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]),
        &journal,
    )
    .await;
    run.finished().await.unwrap();
    let estate = estate(&sim);
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let error = estate
        .run(approved(&estate, plan), &journal)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RunOpen);
    assert!(
        error.facts().contains(&("run", "1".to_owned())),
        "{error:?}"
    );
}

#[tokio::test]
async fn dropping_every_handle_does_not_stop_a_run() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, &policy(&[]), &journal).await;
    let id = run.id();
    drop(run);
    let mut committed = journal.committed();
    while journal.run(id).await.unwrap().unwrap().is_open() {
        committed.changed().await.unwrap();
    }
    let story = Story::read(&journal, id).await.unwrap();
    for name in ALL {
        assert_eq!(
            story.components[name].phase,
            Phase::Ended(End::Done),
            "{name}"
        );
    }
}

#[tokio::test]
async fn why_names_who_holds_the_lock_while_it_is_waited_for() {
    // In real time: virtual time would not stand still while somebody asks.
    let now = SystemClock.now();
    let day = Duration::from_secs(86_400);
    let sim = Sim::starting(now, 1)
        .guest("t-1", |g| g.label("ring", "test").package("nginx", "1.0-1"))
        .publish(Patch::new("nginx", None, "1.1-1", PatchClass::Security).with_impact(Impact::Live))
        .script(Script::lock_held(
            "unattended-upgrade (pid 412)",
            now,
            now + day,
        ));
    let estate = Estate::named("test").with(sim.provider());
    let journal = Journal::in_memory().unwrap();
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    let mut why = String::new();
    for _ in 0..200 {
        why = run.why("t-1").await.unwrap();
        if why.contains("it says: waits: ") && why.contains("unattended-upgrade (pid 412)") {
            return;
        }
        SystemClock
            .sleep_until(SystemClock.now() + Duration::from_millis(50))
            .await;
    }
    panic!("{why}");
}
