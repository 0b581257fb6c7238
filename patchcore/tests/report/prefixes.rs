//! At every event of a run, everything that can be read of it reads well.

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
        let mut told_something = std::collections::BTreeSet::new();
        // A journal per prefix costs a few milliseconds; every third event still meets every phase.
        for upto in (1..=all.len()).step_by(3).chain([all.len()]) {
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
                told_something.insert(
                    why.lines()
                        .next()
                        .unwrap()
                        .split(", since")
                        .next()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
        for expect in [
            "web-t1 waits for its turn",
            "web-t1 is being patched",
            "web-t1 is back in service and watched",
            "web-02 failed and is rolled back",
            "web-06 had no turn",
        ] {
            assert!(
                told_something.contains(expect),
                "{expect} of {told_something:#?}"
            );
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
