use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::*;
use crate::{
    error::{Error, ErrorKind, Failure},
    execute::kernel::{End, PausePoint, Phase, RunVerdict, Step},
    id::{OpKey, RunId},
    judge::{Answer, RingCount},
    plan::Denial,
    policy::ClosedBecause,
    provider::{Baseline, DeployRequest, Evidence, Guarantee, Handle, Undo},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn berlin() -> Times {
    Times::within(
        TimeZone::get("Europe/Berlin").unwrap(),
        at("2026-12-07T14:00:00Z"),
    )
}

fn night() -> Timestamp {
    at("2026-12-08T21:05:04Z")
}

fn yes(saw: &str) -> Answer {
    Answer::Yes {
        saw: saw.to_owned(),
    }
}

fn no(expected: &str, found: &str) -> Answer {
    Answer::No {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn denial() -> Denial {
    Denial {
        patch: "nginx".into(),
        version: "1.22.1-10".into(),
        component: "web-c2".into(),
        run: RunId(1),
        at: night(),
        why: "web-c2: the postinst script of nginx failed".to_owned(),
    }
}

fn pause_point(component: Option<&str>) -> PausePoint {
    PausePoint {
        component: component.map(Into::into),
        step: Step::Reboot,
        by: "jon".into(),
        reason: "the vendor looks first".to_owned(),
    }
}

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
            },
            "resumed from its journal (opening 2)",
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
    ];
    let mut seen = BTreeSet::new();
    for (event, expect) in &table {
        assert_eq!(run_event(event, &berlin()), *expect);
        seen.insert(place_of_run(event));
    }
    assert_eq!(seen, (0..18).collect());
}

const fn place_of_component(event: &ComponentEvent) -> u8 {
    match event {
        ComponentEvent::Admitted { .. } => 0,
        ComponentEvent::Intended { .. } => 1,
        ComponentEvent::Begun { .. } => 2,
        ComponentEvent::Settled { .. } => 3,
        ComponentEvent::Failed { .. } => 4,
        ComponentEvent::Scanned { .. } => 5,
        ComponentEvent::Checked { .. } => 6,
        ComponentEvent::SoakOver { .. } => 7,
        ComponentEvent::WayBackOpened { .. } => 8,
        ComponentEvent::Skipped { .. } => 9,
        ComponentEvent::Forgiven => 10,
        ComponentEvent::CutShort { .. } => 11,
        ComponentEvent::Quarantined { .. } => 12,
        ComponentEvent::Resolved { .. } => 13,
        ComponentEvent::Stalled { .. } => 14,
        ComponentEvent::Moved => 15,
        ComponentEvent::Fought { .. } => 16,
        ComponentEvent::Locked { .. } => 17,
        ComponentEvent::Unlocked { .. } => 18,
    }
}

fn failure(message: &str, hint: Option<&str>) -> Failure {
    let error = Error::new(ErrorKind::InstallFailed, message);
    Failure::from(&match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

fn intended(step: Step, owes: Option<&str>) -> ComponentEvent {
    ComponentEvent::Intended {
        step,
        key: OpKey::from("k"),
        request: DeployRequest::Reboot {
            components: vec!["web-c2".into()],
        },
        baseline: Baseline::empty(),
        guarantee: Guarantee::Blind,
        undo: Undo::Nothing,
        owes: owes.map(str::to_owned),
        give_back_by: None,
    }
}

#[test]
fn every_event_of_a_component_is_a_sentence() {
    let settled = |step, saw: &str, held_already| ComponentEvent::Settled {
        step,
        evidence: Evidence::observed(night(), saw),
        held_already,
        gives: None,
        next: Phase::VerifyApplied,
    };
    let failed = |failures: Vec<Failure>, next| ComponentEvent::Failed {
        step: Step::Apply,
        failures,
        next,
    };
    let scanned = |at, patched, in_effect, rebooted, next| ComponentEvent::Scanned {
        at,
        patched,
        in_effect,
        rebooted,
        boot_id: None,
        next,
    };
    let checked = |healthy, next| ComponentEvent::Checked {
        at: Phase::Checking,
        healthy,
        next,
    };
    let resolved = |waives| ComponentEvent::Resolved {
        by: "maria".into(),
        reason: "looked at it".to_owned(),
        how: "abandon".to_owned(),
        waives,
        gives: None,
        next: Phase::Ended(End::LeftAsIs),
    };
    let stalled = |why: &str, holder: Option<&str>| ComponentEvent::Stalled {
        call: "observe".to_owned(),
        since: night(),
        why: why.to_owned(),
        holder: holder.map(str::to_owned),
    };
    let all = "scan: 3 of 3 at the planned version";
    let table = [
        (
            ComponentEvent::Admitted {
                ring: "test".into(),
                wave: 2,
                next: Phase::Doing(Step::Stage),
            },
            "begins in wave 2 of ring test",
        ),
        (
            intended(Step::Stage, Some("keeps 3 old packages for the way back")),
            "fetching · keeps 3 old packages for the way back",
        ),
        (
            intended(Step::RebootFirst, None),
            "restarting before it is patched",
        ),
        (
            intended(Step::RebootBack, None),
            "restarting after rolling back",
        ),
        (intended(Step::GiveBack, None), "giving back what it owes"),
        (
            ComponentEvent::Begun {
                handle: Handle::new(1, &()).unwrap(),
            },
            "taken by the target",
        ),
        (
            settled(Step::Stage, "3 of 3 fetched, 3 old kept", false),
            "staged · 3 of 3 fetched, 3 old kept",
        ),
        (
            settled(Step::Reboot, "boot id changed", false),
            "restarted · boot id changed",
        ),
        (
            settled(Step::Apply, "3 of 3", true),
            "already applied · 3 of 3",
        ),
        (
            failed(
                vec![
                    failure(
                        "web-c2: the postinst script of nginx failed",
                        Some("read the log"),
                    ),
                    failure("disk full", None),
                ],
                Phase::Doing(Step::RollBack),
            ),
            "applying failed: the postinst script of nginx failed · read the log; disk full · rolling back",
        ),
        (
            failed(
                vec![failure("it is busy", None)],
                Phase::Ended(End::Untouched),
            ),
            "applying failed: it is busy · nothing was changed",
        ),
        (
            failed(vec![failure("it broke", None)], Phase::AwaitWayBack),
            "applying failed: it broke · waits for a slot to be rolled back in",
        ),
        (
            failed(vec![failure("it broke", None)], Phase::Quarantined),
            "applying failed: it broke · a person must decide",
        ),
        (
            scanned(
                Phase::VerifyRebooted,
                yes(all),
                yes("no process runs old code"),
                yes("boot id changed"),
                Phase::Checking,
            ),
            "scan: 3 of 3 at the planned version · boot id changed · in effect: no process runs old code",
        ),
        (
            scanned(
                Phase::VerifyApplied,
                yes(all),
                no("no process on replaced code", "nginx still maps libssl"),
                Answer::NotAsked,
                Phase::Doing(Step::Reboot),
            ),
            "scan: 3 of 3 at the planned version · restarting",
        ),
        (
            scanned(
                Phase::VerifyApplied,
                no("nginx 2", "1"),
                no("no process on replaced code", "nginx still maps libssl"),
                Answer::NotAsked,
                Phase::Ended(End::LeftAsIs),
            ),
            "scan: expected nginx 2 but found 1 · not in effect: expected no process on replaced code but found nginx still maps libssl · left as it is",
        ),
        (
            scanned(
                Phase::VerifyBack,
                yes("x"),
                Answer::NotAsked,
                Answer::NotAsked,
                Phase::CheckingBack,
            ),
            "scan: as before",
        ),
        (
            checked(yes("http 200"), Phase::InService),
            "healthy: http 200 · back in service",
        ),
        (
            checked(Answer::NotAsked, Phase::InService),
            "no checks are asked for · back in service",
        ),
        (
            checked(
                Answer::Unknown {
                    why: "no answer".to_owned(),
                },
                Phase::Doing(Step::RollBack),
            ),
            "not healthy: not known: no answer · rolling back",
        ),
        (
            ComponentEvent::SoakOver {
                next: Phase::ConfirmVersions,
            },
            "soak over",
        ),
        (
            ComponentEvent::WayBackOpened {
                next: Phase::Doing(Step::RollBack),
            },
            "has a slot to be rolled back in",
        ),
        (
            ComponentEvent::Skipped {
                why: "the run was ended before its turn".to_owned(),
            },
            "skipped: the run was ended before its turn",
        ),
        (ComponentEvent::Forgiven, "its failure is forgiven"),
        (
            ComponentEvent::CutShort {
                next: Phase::Ended(End::Unsoaked),
            },
            "the run ends before its soak does",
        ),
        (
            ComponentEvent::Quarantined {
                why: "web-c2: nobody knows".to_owned(),
            },
            "quarantined: nobody knows · a person must decide",
        ),
        (
            resolved(true),
            "abandon by maria: looked at it · what it owed is waived",
        ),
        (resolved(false), "abandon by maria: looked at it"),
        (
            stalled("web-c2: the tool says 40 % since 22:05", None),
            "stalled: the tool says 40 % since 22:05",
        ),
        (
            stalled("the package lock is held", Some("apt (pid 412)")),
            "stalled: the package lock is held, held by apt (pid 412)",
        ),
        (
            stalled("apt (pid 412) holds the lock", Some("apt (pid 412)")),
            "stalled: apt (pid 412) holds the lock",
        ),
        (ComponentEvent::Moved, "it gets on again"),
        (
            ComponentEvent::Fought {
                taken_by: OpKey::from("k"),
                expected: "the timer off".to_owned(),
                found: "on".to_owned(),
            },
            "somebody else changed what was borrowed: expected the timer off but found on · it is left as it is",
        ),
        (
            ComponentEvent::Locked {
                fence: 3,
                took_over: None,
            },
            "holds the lock of its target (fence 3)",
        ),
        (
            ComponentEvent::Locked {
                fence: 4,
                took_over: Some("pid 77 on ops-1, 3 h old".to_owned()),
            },
            "holds the lock of its target (fence 4) · taken over from pid 77 on ops-1, 3 h old",
        ),
        (
            ComponentEvent::Unlocked {
                fence: 4,
                lapses: None,
            },
            "gave back the lock of its target",
        ),
        (
            ComponentEvent::Unlocked {
                fence: 4,
                lapses: Some("web-c2: it does not answer".to_owned()),
            },
            "the lock of its target could not be given back and lapses by itself: it does not answer",
        ),
    ];
    let mut seen = BTreeSet::new();
    let who = ComponentId::from("web-c2");
    for (event, expect) in &table {
        assert_eq!(said(event, Some(&who)).join(" · "), *expect);
        seen.insert(place_of_component(event));
    }
    assert_eq!(seen, (0..19).collect());
}

const fn place_of_wait(wait: &Wait) -> u8 {
    match wait {
        Wait::Window { .. } => 0,
        Wait::Soak { .. } => 1,
        Wait::RingApproval { .. } => 2,
        Wait::Slot { .. } => 3,
        Wait::Floor { .. } => 4,
        Wait::Wave { .. } => 5,
        Wait::Paused { .. } => 6,
        Wait::Halted { .. } => 7,
        Wait::Person { .. } => 8,
        Wait::Journal { .. } => 9,
        Wait::PausePoint { .. } => 10,
        Wait::Stalled { .. } => 11,
        Wait::Overdue { .. } => 12,
    }
}

fn slot_of(component: &str) -> Wait {
    Wait::Slot {
        component: component.into(),
        held_by: vec!["web-01".into(), "web-02".into(), "web-03".into()],
    }
}

fn soak() -> Wait {
    Wait::Soak {
        ring: "test".into(),
        until: night(),
    }
}

#[test]
fn every_wait_is_a_sentence() {
    let window = |next, because: &[ClosedBecause]| Wait::Window {
        ring: "broad".into(),
        next,
        because: because.to_vec(),
    };
    let wave = |who: &[&str]| Wait::Wave {
        ring: "broad".into(),
        waits_for: who.iter().map(|w| (*w).into()).collect(),
    };
    let table = [
        (
            window(
                Some(night()),
                &[
                    ClosedBecause::OutsideWindow("weeknights".into()),
                    ClosedBecause::Blackout {
                        from: Date::constant(2026, 12, 20),
                        to: Date::constant(2027, 1, 3),
                        because: "year-end freeze".to_owned(),
                    },
                ],
            ),
            "ring broad: window weeknights is not open, blackout from 20 Dec to 3 Jan 2027, year-end freeze · next Tue 8 Dec 22:05 CET",
        ),
        (
            window(
                None,
                &[ClosedBecause::TooLate {
                    window: "weeknights".into(),
                    closes: night(),
                    needs_seconds: 4_200,
                }],
            ),
            "ring broad: window weeknights closes Tue 8 Dec 22:05 CET, and 1 h 10 min are needed · no window comes",
        ),
        (soak(), "soak of test until Tue 8 Dec 22:05 CET"),
        (
            Wait::RingApproval {
                ring: "broad".into(),
            },
            "ring broad needs an approval of its own",
        ),
        (
            slot_of("web-09"),
            "web-09 waits for a slot of the disruption budget, held by web-01 … web-03",
        ),
        (
            Wait::Floor {
                component: "dns-2".into(),
                group: "dns keeps 1 up, and dns-1 is down".to_owned(),
            },
            "dns-2 may not go down: group dns keeps 1 up, and dns-1 is down",
        ),
        (
            wave(&["web-01"]),
            "ring broad goes on when web-01 is back in service",
        ),
        (
            wave(&["web-01", "web-02"]),
            "ring broad goes on when web-01, web-02 are back in service",
        ),
        (
            Wait::Paused {
                by: "jon".into(),
                reason: "lunch".to_owned(),
            },
            "paused by jon: lunch",
        ),
        (
            Wait::PausePoint {
                component: "web-07".into(),
                point: pause_point(None),
            },
            "web-07 is paused before reboot of each component by jon: the vendor looks first",
        ),
        (
            Wait::Halted {
                why: "1 of 2 failed".to_owned(),
            },
            "halted: 1 of 2 failed · lift the halt with a reason, or end the run",
        ),
        (
            Wait::Person {
                component: "web-3".into(),
                why: "web-3: nobody knows".to_owned(),
            },
            "web-3: a person must decide: nobody knows",
        ),
        (
            Wait::Journal {
                why: "journal run.db: another program keeps a transaction open".to_owned(),
            },
            "it cannot record what it decides: journal run.db: another program keeps a transaction open",
        ),
    ];
    let mut seen = BTreeSet::new();
    for (one, expect) in &table {
        assert_eq!(wait(one, &berlin()), *expect);
        seen.insert(place_of_wait(one));
    }
    assert_eq!(seen, (0..11).collect());
}

#[test]
fn a_standing_is_a_heartbeat() {
    let broken = Standing::Broken {
        failure: failure("the disk is full", None),
    };
    for (given, expect) in [
        (Standing::Working { waits: vec![] }, "working"),
        (
            Standing::Working {
                waits: vec![slot_of("web-09"), slot_of("web-08"), slot_of("web-07")],
            },
            "working · waiting: web-07 … web-09 wait for a slot of the disruption budget, held by web-01 … web-03",
        ),
        (
            Standing::Waiting {
                until: night(),
                waits: vec![soak(), soak()],
            },
            "waiting: soak of test until Tue 8 Dec 22:05 CET",
        ),
        (
            Standing::Waiting {
                until: night(),
                waits: vec![],
            },
            "waiting until Tue 8 Dec 22:05 CET",
        ),
        (
            Standing::AtRest {
                waits: vec![Wait::RingApproval {
                    ring: "broad".into(),
                }],
            },
            "only a person can make it go on · waiting: ring broad needs an approval of its own",
        ),
        (
            Standing::Parked {
                until: Some(night()),
                waits: vec![soak()],
            },
            "parked · call again Tue 8 Dec 22:05 CET · waiting: soak of test until Tue 8 Dec 22:05 CET",
        ),
        (
            Standing::Parked {
                until: None,
                waits: vec![],
            },
            "parked · only a person can make it go on",
        ),
        (
            Standing::Ended {
                verdict: RunVerdict::Halted,
            },
            "the run ended after its halt",
        ),
        (
            broken,
            "its journal failed: the disk is full · nothing more is started; open the journal again and continue",
        ),
    ] {
        assert_eq!(standing(&given, &berlin()), expect);
    }
}

#[test]
fn who_does_not_know_the_zone_says_utc() {
    assert_eq!(
        soak().to_string(),
        "soak of test until Tue 8 Dec 2026 21:05 UTC"
    );
    let told = |zone: TimeZone| Told {
        seq: 1,
        at: night(),
        run: RunId(4),
        component: Some("web-3".into()),
        event: Event::Component(ComponentEvent::Skipped {
            why: "a\u{1b}[31m\nb".to_owned(),
        }),
        zone,
    };
    assert_eq!(
        told(TimeZone::UTC).to_string(),
        "Tue 8 Dec 21:05:04 UTC  web-3  skipped: a [31m b"
    );
    assert_eq!(
        told(TimeZone::get("Europe/Berlin").unwrap()).to_string(),
        "Tue 8 Dec 22:05:04 CET  web-3  skipped: a [31m b"
    );
}
