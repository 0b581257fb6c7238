//! At every event of a run, everything that can be read of it reads well.

use std::collections::BTreeSet;

use patchcore::{
    Report, Standing,
    execute::{
        Story,
        kernel::{RunStatus, advance},
    },
    policy::Calendar,
};

use crate::{estate, fit_for_people};

fn standing(story: &Story, now: patchcore::Timestamp) -> Standing {
    let envelope = &story.plan.envelope;
    let calendar = Calendar::new(&envelope.windows, &envelope.blackouts).unwrap();
    let decision = advance(
        story.run,
        envelope,
        &story.plan.schedule,
        &calendar,
        &story.state,
        &story.components,
        now,
    );
    match (&story.state.status, decision.wake) {
        (RunStatus::Ended { verdict }, _) => Standing::Ended { verdict: *verdict },
        (_, Some(until)) => Standing::Waiting {
            until,
            waits: decision.waits,
        },
        (_, None) => Standing::AtRest {
            waits: decision.waits,
        },
    }
}

#[test]
fn why_report_and_ledger_at_every_event() {
    estate::runtime().block_on(async {
        let (journal, run) = estate::halted().await;
        let all = estate::stored(&journal, run).await;
        let mut whys = BTreeSet::new();
        for upto in 1..=all.len() {
            let events: Vec<_> = all[..upto].iter().cloned().map(estate::new).collect();
            let now = events[upto - 1].at;
            let story = estate::retold(&journal, run, events).await;
            let standing = standing(&story, now);
            fit_for_people(&standing.to_string());

            let report = Report::of(&story, now);
            assert!(report.adds_up(), "{report}");
            fit_for_people(&report.to_string());
            fit_for_people(&report.to_markdown());
            assert_eq!(
                Report::from_json(&report.to_json().unwrap()).unwrap(),
                report
            );

            let owed: usize = story.components.values().map(|c| c.owed.len()).sum();
            let ledger = story.ledger();
            assert_eq!(ledger.len(), owed);
            for sentence in &ledger {
                fit_for_people(sentence);
                assert!(sentence.contains("keeps 2 old packages"), "{sentence}");
                assert!(sentence.contains(" CET, taken by run 1, "), "{sentence}");
            }
            for component in story.components.keys() {
                let why = story.why(component, &standing, now).unwrap();
                fit_for_people(&why);
                let lines = why.lines().count();
                assert!((2..=8).contains(&lines), "{lines} lines:\n{why}");
                assert!(why.starts_with(component.as_str()), "{why}");
                assert!(why.contains("since"), "{why}");
                whys.insert(why);
            }
        }
        for expect in [
            "web-t1 waits for its turn, since the run began Mon 7 Dec 15:00 CET\n   run 1 · ring test, wave 1 of 2\n   ring test: window weeknights is not open · next Mon 7 Dec 22:00 CET\n   planned for Mon 7 Dec 22:00 CET at the earliest",
            "web-t1 is being patched, since Mon 7 Dec 22:00 CET",
            "the target took it\n   owed: web-t1 keeps 2 old packages for the way back since Mon 7 Dec 22:00 CET, taken by run 1, is given back when its soak ends",
            "web-t1 is back in service and watched, since Mon 7 Dec 22:0",
            "\n   its soak begins when all of its ring are back in service",
            "\n   soak of test until Tue 8 Dec 22:0",
            "\n   ring test comes first, and is at work",
            "web-02 failed and is rolled back, since Tue 8 Dec 22:0",
            "\n   failed: the postinst script of nginx failed · read /var/log/apt/term.log on web-02",
            "web-06 had no turn, since Tue 8 Dec 22:0",
            "\n   because the run was ended before its turn",
            "\n   halted: 1 of 6 failed in ring broad, policy tolerates 0 · lift the halt with a reason, or end the run",
            "\n   ring broad goes on when web-01, web-02 are back in service",
        ] {
            assert!(whys.iter().any(|why| why.contains(expect)), "{expect}: in none of\n{}", whys.iter().cloned().collect::<Vec<_>>().join("\n"));
        }
        let last = estate::retold(&journal, run, all.into_iter().map(estate::new).collect()).await;
        assert!(last.ledger().is_empty());
        let now = last.ended_at.unwrap_or(last.started_at);
        let missing = last
            .why(&"web-99".into(), &standing(&last, now), now)
            .unwrap_err();
        assert_eq!(missing.kind(), patchcore::ErrorKind::NotFound);
    });
}

#[test]
fn progress_counts_everybody_once_at_every_event() {
    estate::runtime().block_on(async {
        let (journal, run) = estate::done().await;
        let all = estate::stored(&journal, run).await;
        let ended = all.last().unwrap().at;
        let mut seen = BTreeSet::new();
        for upto in 1..=all.len() {
            let events: Vec<_> = all[..upto].iter().cloned().map(estate::new).collect();
            let now = events[upto - 1].at;
            let story = estate::retold(&journal, run, events).await;
            let progress = story.progress(&standing(&story, now), now).unwrap();
            fit_for_people(&progress.heartbeat());
            for ring in &progress.rings {
                let all = story.plan.envelope.targets.iter();
                let there = all.filter(|t| t.ring == ring.ring).count();
                let counts = [
                    ring.waiting,
                    ring.at_work,
                    ring.in_service,
                    ring.done,
                    ring.failed,
                    ring.undecided,
                    ring.skipped,
                ];
                assert_eq!(ring.components, there);
                assert_eq!(counts.iter().sum::<usize>(), there, "{ring:?}");
            }
            let busy: usize = progress.rings.iter().map(|r| r.at_work + r.undecided).sum();
            let confirming = progress
                .at_work
                .iter()
                .filter(|c| c.phase.to_string().contains("its soak is over"));
            assert_eq!(progress.at_work.len(), busy + confirming.count());
            for one in &progress.at_work {
                assert!(one.since <= now);
                assert_eq!(Some(one.since), story.components[&one.component].since);
                seen.insert(one.phase.to_string());
            }
            if let Some(ends) = progress.ends {
                assert!(ends >= now, "{ends} is before {now}");
                // What was expected of the last waves may be longer than they took.
                let late = ends.duration_since(ended).as_mins();
                assert!(
                    (-90..=90).contains(&late),
                    "{late} min from the end, at {now}"
                );
            }
        }
        for phase in [
            "is being patched",
            "restarts",
            "is being scanned",
            "is being checked",
        ] {
            assert!(seen.contains(phase), "{phase}: not in {seen:?}");
        }
    });
}

#[test]
fn a_halted_run_has_no_estimated_end() {
    estate::runtime().block_on(async {
        let (journal, run) = estate::halted().await;
        let all = estate::stored(&journal, run).await;
        let halts = all.iter().position(|e| e.kind == "halted").unwrap();
        for (upto, is_known) in [(halts, true), (halts + 1, false)] {
            let events: Vec<_> = all[..upto].iter().cloned().map(estate::new).collect();
            let now = events[upto - 1].at;
            let story = estate::retold(&journal, run, events).await;
            let progress = story.progress(&standing(&story, now), now).unwrap();
            assert_eq!(progress.ends.is_some(), is_known);
        }
    });
}
