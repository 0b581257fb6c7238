//! The calendar against the wall clock.

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time, date, time},
};
use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

const HOUR: Duration = Duration::from_secs(3_600);

fn window(name: &str, zone: &str, when: &str, from: Time, until: Time) -> Window {
    Window::new(name, zone, when.parse().unwrap()).with_hours(from, until)
}

fn nights() -> Window {
    window(
        "nights",
        "Europe/Berlin",
        "daily",
        time(22, 0, 0, 0),
        time(6, 0, 0, 0),
    )
}

fn at(text: &str) -> Timestamp {
    text.parse::<DateTime>()
        .unwrap()
        .in_tz("Europe/Berlin")
        .unwrap()
        .timestamp()
}

fn calendar(windows: &[Window], blackouts: &[Blackout]) -> Calendar {
    Calendar::new(windows, blackouts).unwrap()
}

#[test]
fn a_night_lasts_as_long_as_the_clock_says() {
    let calendar = calendar(&[nights()], &[]);
    for (evening, hours) in [("2026-03-28", 7), ("2026-06-01", 8), ("2026-10-24", 9)] {
        let noon = at(&format!("{evening}T12:00"));
        let opening = calendar.next_opening(None, noon, Duration::ZERO).unwrap();
        assert_eq!(opening.from, at(&format!("{evening}T22:00")));
        assert_eq!(
            opening.until.duration_since(opening.from),
            SignedDuration::from_hours(hours),
            "{evening}"
        );
    }
}

#[test]
fn a_step_starts_only_if_it_fits() {
    let calendar = calendar(&[nights()], &[]);
    // The clock goes forward: seven hours from 22:00 on.
    let evening = at("2026-03-28T22:00");
    let until = at("2026-03-29T06:00");
    assert_eq!(
        calendar.gate(None, evening, 7 * HOUR),
        Gate::Open {
            window: "nights".into(),
            until
        }
    );
    let next = at("2026-03-29T22:00");
    assert_eq!(
        calendar.gate(None, evening, 8 * HOUR),
        Gate::Closed {
            next: Some(next),
            because: vec![ClosedBecause::TooLate {
                window: "nights".into(),
                closes: until,
                needs_seconds: 8 * 3_600
            }],
        }
    );
    assert_eq!(
        calendar.next_opening(None, evening, 10 * HOUR),
        None,
        "no night is so long"
    );
}

#[test]
fn a_time_that_the_clock_skips_is_taken_later_and_one_that_comes_twice_first() {
    let gap = window(
        "gap",
        "Europe/Berlin",
        "sun",
        time(2, 30, 0, 0),
        time(5, 0, 0, 0),
    );
    let opening = calendar(&[gap], &[])
        .next_opening(None, at("2026-03-29T00:00"), Duration::ZERO)
        .unwrap();
    assert_eq!(opening.from, at("2026-03-29T03:30"));
    let fold = window(
        "fold",
        "Europe/Berlin",
        "sun",
        time(1, 0, 0, 0),
        time(2, 30, 0, 0),
    );
    let opening = calendar(&[fold], &[])
        .next_opening(None, at("2026-10-25T00:00"), Duration::ZERO)
        .unwrap();
    assert_eq!(
        opening.until.duration_since(opening.from),
        SignedDuration::from_mins(90)
    );
    // 02:15 to 02:45 is skipped to 03:15 to 03:45, but 02:30 to 03:15 has its end before its start.
    let nothing = window(
        "nothing",
        "Europe/Berlin",
        "sun",
        time(2, 30, 0, 0),
        time(3, 15, 0, 0),
    );
    let opening = calendar(&[nothing], &[])
        .next_opening(None, at("2026-03-29T00:00"), Duration::ZERO)
        .unwrap();
    assert_eq!(opening.from, at("2026-04-05T02:30"));
}

#[test]
fn closed_says_why_all_at_once() {
    let freeze = Blackout::new(date(2026, 12, 20), date(2027, 1, 3), "year-end freeze");
    let frozen = ClosedBecause::Blackout {
        from: freeze.from,
        to: freeze.to,
        because: "year-end freeze".to_owned(),
    };
    let monthly = window(
        "monthly",
        "Europe/Berlin",
        "second tuesday + 5d",
        time(8, 0, 0, 0),
        time(12, 0, 0, 0),
    );
    let calendar = calendar(&[nights(), monthly], &[freeze]);
    let outside = |name: &str| ClosedBecause::OutsideWindow(name.into());
    for (now, bound_to, next, because) in [
        (
            "2026-12-25T12:00",
            None,
            Some("2027-01-04T00:00"),
            vec![frozen.clone(), outside("nights"), outside("monthly")],
        ),
        (
            "2026-12-25T23:00",
            None,
            Some("2027-01-04T00:00"),
            vec![frozen.clone(), outside("monthly")],
        ),
        (
            "2026-12-01T12:00",
            Some("monthly"),
            Some("2026-12-13T08:00"),
            vec![outside("monthly")],
        ),
        (
            "2026-12-13T23:00",
            Some("monthly"),
            Some("2027-01-17T08:00"),
            vec![outside("monthly")],
        ),
        (
            "2026-12-01T12:00",
            Some("weekly"),
            None,
            vec![ClosedBecause::UnknownWindow("weekly".into())],
        ),
    ] {
        assert_eq!(
            calendar.gate(bound_to.map(WindowName::from).as_ref(), at(now), HOUR),
            Gate::Closed {
                next: next.map(at),
                because
            },
            "{now}"
        );
    }
    assert_eq!(
        Calendar::new(&[], &[])
            .unwrap()
            .gate(None, at("2026-12-01T12:00"), HOUR),
        Gate::Closed {
            next: None,
            because: vec![ClosedBecause::NoWindow]
        }
    );
}

#[test]
fn windows_that_touch_are_one_open_time() {
    let early = window(
        "early",
        "UTC",
        "daily",
        time(20, 0, 0, 0),
        time(22, 0, 0, 0),
    );
    let late = window("late", "UTC", "daily", time(22, 0, 0, 0), time(23, 0, 0, 0));
    let calendar = calendar(&[early, late], &[]);
    let now: Timestamp = "2026-12-01T21:00:00Z".parse().unwrap();
    let until = "2026-12-01T23:00:00Z".parse().unwrap();
    assert_eq!(
        calendar.gate(None, now, 2 * HOUR),
        Gate::Open {
            window: "early".into(),
            until
        }
    );
    assert!(matches!(
        calendar.gate(Some(&"early".into()), now, 2 * HOUR),
        Gate::Closed { .. }
    ));
}

#[test]
fn any_time_is_closed_by_blackouts_alone() {
    let freeze =
        Blackout::new(date(2026, 12, 20), date(2026, 12, 20), "freeze").with_zone("Europe/Berlin");
    let calendar = calendar(&[Window::any_time("always")], &[freeze]);
    let now = at("2026-12-19T12:00");
    let until = at("2026-12-20T00:00");
    assert_eq!(
        calendar.gate(None, now, HOUR),
        Gate::Open {
            window: "always".into(),
            until
        }
    );
    let Gate::Closed { next, .. } = calendar.gate(None, now, 13 * HOUR) else {
        panic!("open")
    };
    assert_eq!(next, Some(at("2026-12-21T00:00")));
    let Gate::Open { until, .. } = calendar.gate(None, at("2026-12-21T00:00"), 9_000 * HOUR) else {
        panic!("closed")
    };
    assert_eq!(until, later(at("2026-12-21T00:00"), HORIZON));
}

#[test]
fn a_blackout_without_a_zone_holds_wherever_a_window_is() {
    let tokyo = window(
        "tokyo",
        "Asia/Tokyo",
        "daily",
        Time::midnight(),
        Time::midnight(),
    );
    let day = Blackout::new(date(2026, 12, 20), date(2026, 12, 20), "freeze");
    let calendar = calendar(&[Window::any_time("always"), nights(), tokyo], &[day]);
    for (now, open) in [
        ("2026-12-19T14:59:59Z", true),
        ("2026-12-19T15:00:00Z", false), // Midnight in Tokyo.
        ("2026-12-20T22:59:59Z", false),
        ("2026-12-20T23:00:00Z", true), // Midnight in Berlin.
    ] {
        let gate = calendar.gate(None, now.parse().unwrap(), Duration::ZERO);
        assert_eq!(matches!(gate, Gate::Open { .. }), open, "{now}");
    }
}

#[test]
fn a_zone_must_be_known() {
    for zone in ["Europe/Berlln", ""] {
        let error = Calendar::new(
            &[window(
                "w",
                zone,
                "daily",
                Time::midnight(),
                Time::midnight(),
            )],
            &[],
        );
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput, "{zone}");
    }
}

#[test]
fn the_edges_of_time_are_answered() {
    let calendar = calendar(
        &[nights(), Window::any_time("always")],
        &[Blackout::new(Date::MIN, Date::MAX, "ever")],
    );
    for now in [Timestamp::MIN, Timestamp::MAX] {
        for needs in [Duration::ZERO, Duration::MAX] {
            assert!(matches!(
                calendar.gate(None, now, needs),
                Gate::Closed { next: None, .. }
            ));
        }
    }
}

fn hour() -> impl Strategy<Value = Time> {
    // Clocks change between 01:00 and 03:00, where civil times are not one instant each.
    (
        prop_oneof![Just(0_i8), 4_i8..24],
        prop::sample::select(vec![0_i8, 30]),
    )
        .prop_map(|(h, m)| time(h, m, 0, 0))
}

fn any_window() -> impl Strategy<Value = Window> {
    let when = prop::sample::select(vec![
        "daily",
        "mon..thu",
        "sat",
        "fri..mon",
        "second tuesday + 5d",
        "last friday",
        "first monday - 3d",
    ]);
    let zone = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
    ]);
    (zone, when, hour(), hour())
        .prop_map(|(zone, when, from, until)| window("any", zone, when, from, until))
}

fn any_blackout() -> impl Strategy<Value = Blackout> {
    (0_i64..700, 0_i64..20).prop_map(|(first, days)| {
        let from = date(2026, 1, 1) + first.days();
        Blackout::new(from, from + days.days(), "freeze").with_zone("Europe/Berlin")
    })
}

fn any_calendar() -> impl Strategy<Value = (Vec<Window>, Vec<Blackout>)> {
    (
        prop::collection::vec(any_window(), 1..3),
        prop::collection::vec(any_blackout(), 0..3),
    )
}

fn any_instant() -> impl Strategy<Value = Timestamp> {
    // Half the instants lie around the changes of clocks of 2026.
    let year = 1_767_225_600_i64;
    prop_oneof![
        year..year + 600 * 86_400,
        (-48_i64..48, 0_i64..3_600).prop_map(move |(hours, s)| 1_774_746_000 + hours * 3_600 + s),
        (-48_i64..48, 0_i64..3_600).prop_map(move |(hours, s)| 1_792_890_000 + hours * 3_600 + s),
    ]
    .prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// The definition on the wall clock, in no way by intervals.
fn open_by_the_clock(windows: &[Window], blackouts: &[Blackout], now: Timestamp) -> bool {
    let berlin = now.in_tz("Europe/Berlin").unwrap().date();
    if blackouts
        .iter()
        .any(|blackout| blackout.from <= berlin && berlin <= blackout.to)
    {
        return false;
    }
    windows.iter().any(|window| {
        let here = now.in_tz(&window.zone).unwrap();
        let (today, clock) = (here.date(), here.time());
        let yesterday = today.yesterday().unwrap();
        if window.from < window.until {
            window.when.falls_on(today) && window.from <= clock && clock < window.until
        } else {
            (window.when.falls_on(today) && window.from <= clock)
                || (window.when.falls_on(yesterday) && clock < window.until)
        }
    })
}

proptest! {
    #[test]
    fn it_is_open_when_the_wall_clock_says_so((windows, blackouts) in any_calendar(), now in any_instant()) {
        let gate = calendar(&windows, &blackouts).gate(None, now, Duration::ZERO);
        prop_assert_eq!(matches!(gate, Gate::Open { .. }), open_by_the_clock(&windows, &blackouts, now));
    }

    #[test]
    fn gate_and_next_opening_agree(
        (windows, blackouts) in any_calendar(), now in any_instant(), minutes in 0_u64..1_800,
    ) {
        let (calendar, needs) = (calendar(&windows, &blackouts), Duration::from_secs(minutes * 60));
        let opening = calendar.next_opening(None, now, needs);
        match (calendar.gate(None, now, needs), &opening) {
            (Gate::Open { window, until }, Some(opening)) => {
                prop_assert_eq!((&window, until, now), (&opening.window, opening.until, opening.from));
            }
            (Gate::Closed { next, because }, opening) => {
                prop_assert_eq!(next, opening.as_ref().map(|opening| opening.from));
                prop_assert!(next.is_none_or(|next| next > now));
                prop_assert!(!because.is_empty());
            }
            (open, none) => prop_assert!(false, "{open:?} beside {none:?}"),
        }
        if let Some(Opening { window, from, until }) = opening {
            prop_assert!(fits(from, needs, until));
            let last_start = until.checked_sub(SignedDuration::try_from(needs).unwrap()).unwrap();
            if until < later(now, HORIZON) {
                prop_assert_eq!(calendar.gate(None, from, needs), Gate::Open { window, until });
                if last_start < until {
                    let open = matches!(calendar.gate(None, last_start, needs), Gate::Open { .. });
                    prop_assert!(open, "up to the last moment");
                }
                prop_assert!(!open_by_the_clock(&windows, &blackouts, until), "it ends where it ends");
            }
        }
    }

    #[test]
    fn a_blackout_wins((windows, mut blackouts) in any_calendar(), always in any::<bool>(), now in any_instant()) {
        let mut windows = windows;
        if always {
            windows.push(Window::any_time("always"));
        }
        let today = now.in_tz("Europe/Berlin").unwrap().date();
        blackouts.push(Blackout::new(today, today, "today").with_zone("Europe/Berlin"));
        let Gate::Closed { because, .. } = calendar(&windows, &blackouts).gate(None, now, Duration::ZERO) else {
            return Err(TestCaseError::fail("open in a blackout"));
        };
        let today_named = because.iter().any(
            |why| matches!(why, ClosedBecause::Blackout { because, .. } if because == "today"),
        );
        prop_assert!(today_named);
    }
}
