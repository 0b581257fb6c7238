//! Events of a run.

use super::*;
use crate::execute::kernel::RollEvent;

/// A place for every variant: a new one does not compile until it has a sentence below.
const fn place_of_run(event: &RunEvent) -> u8 {
    match event {
        RunEvent::Started { .. } => 0,
        RunEvent::TakenOver { .. } => 1,
        RunEvent::RingOpened { .. } => 2,
        RunEvent::SoakStarted { .. } => 3,
        RunEvent::SoakEnded { .. } => 4,
        RunEvent::RingPassed { .. } => 5,
        RunEvent::RingApproved { .. } => 6,
        RunEvent::Halted { .. } => 7,
        RunEvent::HaltLifted { .. } => 8,
        RunEvent::Paused { .. } => 9,
        RunEvent::Unpaused { .. } => 10,
        RunEvent::Ending { .. } => 11,
        RunEvent::Denied { .. } => 12,
        RunEvent::DenialLifted { .. } => 13,
        RunEvent::CommandRefused { .. } => 14,
        RunEvent::Ended { .. } => 15,
        RunEvent::PausePointSet { .. } => 16,
        RunEvent::PausePointCleared { .. } => 17,
        RunEvent::Roll { .. } => 18,
    }
}

#[test]
fn every_event_of_a_run_is_a_sentence() {
    let maria = || "maria".into();
    let why = || "the vendor fixed it".to_owned();
    let count = |planned, done, failed, skipped| RingCount {
        planned,
        done,
        failed,
        skipped,
    };
    let opened = |until| RunEvent::RingOpened {
        ring: "test".into(),
        of: 2,
        at_once: 1,
        window: "weeknights".into(),
        until,
    };
    let lifted = |forgiven, ring: Option<&str>| RunEvent::HaltLifted {
        by: maria(),
        reason: why(),
        forgiven,
        ring: ring.map(Into::into),
    };
    let passed = |count| RunEvent::RingPassed {
        ring: "test".into(),
        count,
    };
    let ended = |verdict, ends: &[(End, usize)]| RunEvent::Ended {
        verdict,
        ends: ends.to_vec(),
    };
    let table = [
        (
            RunEvent::Started {
                plan: "925b766c".to_owned(),
                components: 14,
                requested_by: "sam".into(),
                approved_by: vec!["maria (asserted)".to_owned(), "jon (signed)".to_owned()],
            },
            "plan 925b766c · 14 components · requested by sam · approved by maria (asserted), jon (signed)",
        ),
        (
            RunEvent::TakenOver {
                epoch: 2,
                from: None,
                forced: None,
            },
            "resumed from its journal (opening 2)",
        ),
        (
            RunEvent::TakenOver {
                epoch: 3,
                from: Some("process 412 on build-1".to_owned()),
                forced: None,
            },
            "resumed from its journal (opening 3, before by process 412 on build-1)",
        ),
        (
            RunEvent::TakenOver {
                epoch: 4,
                from: Some("process 412 on build-1".to_owned()),
                forced: Some(Forced {
                    by: "jon".into(),
                    reason: "it hangs".to_owned(),
                    held_for: std::time::Duration::from_secs(3 * 3600),
                }),
            },
            "taken over by jon from process 412 on build-1, which held it for 3 h: it hangs (opening 4)",
        ),
        (
            opened(Some(night())),
            "window weeknights open until Tue 8 Dec 22:05 CET · ring test: 1 of 2 may be down",
        ),
        (
            opened(None),
            "window weeknights open · ring test: 1 of 2 may be down",
        ),
        (
            RunEvent::SoakStarted {
                ring: "test".into(),
                until: night(),
            },
            "ring test is back in service · soak until Tue 8 Dec 22:05 CET",
        ),
        (
            RunEvent::SoakEnded {
                ring: "test".into(),
            },
            "soak of ring test is over · looking once more",
        ),
        (passed(count(0, 0, 0, 0)), "ring test: nothing to do"),
        (passed(count(2, 2, 0, 0)), "ring test passed: 2 of 2 done"),
        (
            passed(count(9, 5, 1, 3)),
            "ring test passed: 5 of 9 done, 1 failed, 3 skipped",
        ),
        (
            RunEvent::RingApproved {
                ring: "broad".into(),
                by: maria(),
                reason: why(),
            },
            "ring broad approved by maria: the vendor fixed it",
        ),
        (
            RunEvent::Halted {
                why: "1 of 2 failed in ring test, policy tolerates 0".to_owned(),
                ring: None,
            },
            "halted: 1 of 2 failed in ring test, policy tolerates 0 · nothing new starts",
        ),
        (
            lifted(1, None),
            "halt lifted by maria: the vendor fixed it · 1 failure forgiven",
        ),
        (
            lifted(0, Some("broad")),
            "halt lifted by maria: the vendor fixed it · ring broad may start",
        ),
        (
            RunEvent::Paused {
                by: maria(),
                reason: why(),
            },
            "paused by maria: the vendor fixed it · nothing new starts",
        ),
        (
            RunEvent::Unpaused {
                by: maria(),
                reason: why(),
            },
            "unpaused by maria: the vendor fixed it",
        ),
        (
            RunEvent::PausePointSet {
                point: pause_point(Some("web-07")),
            },
            "paused before reboot of web-07 by jon: the vendor looks first",
        ),
        (
            RunEvent::PausePointCleared {
                component: None,
                step: Step::Reboot,
                by: maria(),
                reason: why(),
            },
            "unpaused before reboot of each component by maria: the vendor fixed it",
        ),
        (
            RunEvent::Ending {
                verdict: RunVerdict::Cancelled,
                by: maria(),
                reason: why(),
            },
            "brought to an end by maria: the vendor fixed it · what is open is finished, what is owed is given back",
        ),
        (
            RunEvent::Denied { denial: denial() },
            "nginx 1.22.1-10 is on the deny-list from now on: on web-c2, the postinst script of nginx failed",
        ),
        (
            RunEvent::DenialLifted {
                patch: "nginx".into(),
                version: "1.22.1-10".into(),
                run: RunId(1),
                by: maria(),
                reason: why(),
            },
            "nginx 1.22.1-10 is taken off the deny-list by maria: the vendor fixed it",
        ),
        (
            RunEvent::CommandRefused {
                by: maria(),
                verb: "lift_halt".to_owned(),
                why: "it is not halted".to_owned(),
            },
            "lift halt by maria refused: it is not halted",
        ),
        (
            ended(RunVerdict::Done, &[(End::Done, 11)]),
            "the run is done · 11 of 11 done",
        ),
        (
            ended(
                RunVerdict::Halted,
                &[(End::Done, 2), (End::Unsoaked, 1), (End::RolledBack, 1)],
            ),
            "the run ended after its halt · of 4: 2 done, 1 patched without a full soak, 1 rolled back",
        ),
        (ended(RunVerdict::Cancelled, &[]), "the run was cancelled"),
        (
            RunEvent::Roll {
                cluster: "c1".into(),
                event: Box::new(RollEvent::Surprised {
                    why: "somebody moved vm-1 to h2".to_owned(),
                    host: None,
                }),
            },
            "c1: somebody moved vm-1 to h2 · what is left is planned anew",
        ),
    ];
    let mut seen = BTreeSet::new();
    for (event, expect) in &table {
        assert_eq!(run_event(event, &berlin()), *expect);
        seen.insert(place_of_run(event));
    }
    assert_eq!(seen, (0..19).collect());
}
