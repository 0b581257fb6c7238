//! What a run waits for, and how it stands.

use super::*;

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
        (
            Wait::Stalled {
                component: "web-3".into(),
                since: night(),
                why: "web-3: dpkg is locked".to_owned(),
                holder: Some("apt-get (pid 412)".to_owned()),
            },
            "web-3 stalled: dpkg is locked, held by apt-get (pid 412) · nothing moved since Tue 8 Dec 22:05 CET",
        ),
        (
            Wait::Overdue {
                component: "web-3".into(),
                what: "keeps 3 old packages for the way back".to_owned(),
                since: night(),
            },
            "web-3 keeps 3 old packages for the way back, overdue since Tue 8 Dec 22:05 CET",
        ),
    ];
    let mut seen = BTreeSet::new();
    for (one, expect) in &table {
        assert_eq!(wait(one, &berlin()), *expect);
        seen.insert(place_of_wait(one));
    }
    assert_eq!(seen, (0..13).collect());
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
