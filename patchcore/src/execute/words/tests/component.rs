//! Events of a component.

use super::*;

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

fn intended(step: Step, owes: Option<&str>) -> ComponentEvent {
    ComponentEvent::Intended {
        step,
        key: OpKey::from("k"),
        request: PortCall::Deploy(DeployRequest::Reboot {
            components: vec!["web-c2".into()],
        }),
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
        only: None,
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
