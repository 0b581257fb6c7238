//! The wall clock is set by an hour in the middle, forward and back, while time itself goes on: what becomes of everything that
//! waits for a time.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use patchcore::{
    Estate, Journal, Run, Timestamp,
    clock::{AtWork, Clock as _},
    execute::{
        Story,
        journal::{Faults, Synchronous},
        kernel::Phase,
        step::{Promise, Verb},
    },
    id::RunId,
    sim::VirtualClock,
};

use super::{
    outside::{Outlet, Outside, Process},
    seeded::Place,
    setup::{Call, Setup, Trouble, Wrong},
    wall::Wall,
};
use crate::{
    judge::{self, Verdict, Violation},
    micro::start,
    world::{Call as Reached, World},
};

const HOUR: i64 = 3600;
const MINUTE: u64 = 60;

/// One thing that waits, and what becomes of it.
struct Case {
    what: &'static str,
    setup: fn() -> Setup,
    /// When the clock is set, in seconds from the start.
    set_at: u64,
    /// When the process dies, and for how long nobody is there.
    dies_at: Option<(u64, u64)>,
    seen: fn(&Seen) -> String,
}

/// As often as everybody else on the thread has his turn before time passes: no start of a run needs more.
const TURNS: usize = 100;

/// What is expected, in the form of the table.
const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/driver/clocks.md");

/// A run that came to an end, or to rest.
struct Seen {
    world: World,
    story: Story,
    /// Every call of a port that went out: when, and which.
    asked: Vec<(Timestamp, Call)>,
    stands: String,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct ClockRow {
    what: &'static str,
    /// Where the clock is not set, is set forward by an hour, and back by one.
    seen: [String; 3],
    is_expected: bool,
    violations: Vec<Violation>,
}

impl ClockRow {
    pub(crate) fn holds(&self) -> bool {
        self.is_expected && self.violations.is_empty()
    }

    fn line(&self) -> String {
        let [not, forward, back] = &self.seen;
        format!("| {} | {not} | {forward} | {back} |", self.what)
    }
}

/// The table, and what is not as it must be.
pub(crate) struct Clocks<'a>(pub(crate) &'a [ClockRow]);

impl fmt::Display for Clocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n| the clock is set by an hour in | not set | forward | back |\n|---|---|---|---|"
        )?;
        for row in self.0 {
            writeln!(f, "{}", row.line())?;
        }
        for row in self.0.iter().filter(|row| !row.holds()) {
            writeln!(f, "FAILED: {row:?}")?;
        }
        Ok(())
    }
}

/// Every row.
pub(crate) fn rows() -> Vec<ClockRow> {
    let expected = std::fs::read_to_string(EXPECTED).expect("what is expected");
    let row = |case: &Case| {
        let mut violations = Vec::new();
        let seen = [0, HOUR, -HOUR].map(|by| {
            let seen = timed(case, by);
            let promise = (case.setup)().promise;
            let mut verdict = Verdict::default();
            judge::operations(&seen.world, |_| promise, false, &mut verdict);
            violations.extend(verdict.0);
            (case.seen)(&seen)
        });
        let mut row = ClockRow {
            what: case.what,
            seen,
            is_expected: false,
            violations,
        };
        row.is_expected = expected.lines().any(|line| line == row.line());
        row
    };
    cases().iter().map(row).collect()
}

fn timed(case: &Case, by: i64) -> Seen {
    let outside = Arc::new(Outside::new((case.setup)()));
    let place = Place::new();
    let mut dies_at = case.dies_at;
    let mut set_at = Some(case.set_at).filter(|_| by != 0);
    let mut off = 0;
    let mut asked = Vec::new();
    loop {
        let now = outside.world().now;
        let clock = Wall::over(VirtualClock::starting(now), off, true);
        let (process, _signals) = Process::new(&outside, clock.clone(), None);
        let estate = Estate::named("crash")
            .with(Outlet::of(&process))
            .with_clock(Arc::new(clock.clone()));
        // Held until the process is gone: no time passes while it dies.
        let mut guard = None;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let seen = runtime.block_on(async {
            let disk = Faults::none().in_step().with_synchronous(Synchronous::Off);
            let journal = Journal::open_with(place.journal(), disk).expect("a journal");
            let run = match estate.reopen(&journal).await.expect("it opens") {
                Some(run) => run,
                None => {
                    let approved = outside.setup.approved();
                    estate.run(approved, &journal).await.expect("it starts")
                }
            };
            let stands = held(&run, &clock, &mut set_at, by, &mut dies_at, &mut guard).await?;
            let story = Story::read(&journal, RunId(1)).await.expect("its story");
            Some((stands, story))
        });
        off = clock.off();
        asked.extend(process.asked());
        let mut world = outside.world();
        world.move_to(clock.truly.now());
        if let Some((stands, story)) = seen {
            return Seen {
                world: world.clone(),
                story,
                asked,
                stands,
            };
        }
        let away = case.dies_at.map_or(0, |(_, away)| away);
        let until = world.now + Duration::from_secs(away);
        world.move_to(until);
        drop(world);
        if let Some(at) = set_at
            && outside.world().now >= start() + Duration::from_secs(at)
        {
            // It was set while nobody was there.
            set_at = None;
            off += by;
        }
    }
}

/// Holds the run until it is over or at rest; none where its process dies before.
async fn held(
    run: &Run,
    clock: &Wall,
    set_at: &mut Option<u64>,
    by: i64,
    dies_at: &mut Option<(u64, u64)>,
    guard: &mut Option<AtWork>,
) -> Option<String> {
    // Time must not pass a moment at which something is to happen.
    *guard = Some(clock.at_work());
    // Whoever drives the run is at work before it passes at all: everybody is on this thread.
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    loop {
        let at = |seconds: u64| start() + Duration::from_secs(seconds);
        let set = set_at.map(at);
        let dies = dies_at.map(|(seconds, _)| at(seconds));
        let next = set.into_iter().chain(dies).min();
        if next.is_none() {
            *guard = None;
        }
        let due = async {
            match next {
                Some(next) => clock.truly.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            finished = run.finished() => {
                return Some(finished.map_or_else(|e| e.chain(), |stands| stands.to_string()));
            }
            () = due => {}
        }
        if next == dies {
            *dies_at = None;
            return None;
        }
        *set_at = None;
        clock.set(by);
    }
}

fn minutes(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs() / 60
}

impl Seen {
    fn first(&self, call: &str, verb: Verb) -> &Reached {
        let mut found = self.world.log.iter();
        let found = found.find(|c| c.call == call && c.verb == verb);
        found.expect("it was called")
    }

    /// How long after the interrupted start of applying it was asked for the last time.
    fn quiet(&self) -> String {
        let begun = self.first("begin", Verb::Apply);
        let starts = self
            .world
            .log
            .iter()
            .filter(|c| c.started && c.verb == Verb::Apply);
        let mut locates = self
            .world
            .log
            .iter()
            .filter(|c| c.call == "locate" && c.verb == Verb::Apply);
        let last = locates.next_back().map_or(begun.at, |c| c.at);
        format!(
            "believed after {} min, begun {}",
            minutes(begun.at, last),
            times(starts.count())
        )
    }

    /// How far apart the second and the third of these calls were.
    fn apart(&self, call: Call) -> i64 {
        let mut calls = self.asked.iter().filter(|(_, of)| *of == call);
        let (first, second) = (calls.next(), calls.next());
        first
            .zip(second)
            .map_or(-1, |((a, _), (b, _))| minutes(*a, *b))
    }

    fn phase(&self, guest: &str) -> Phase {
        self.story.components[guest].phase
    }
}

fn times(n: usize) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

fn one(promise: Promise) -> Setup {
    Setup::plain("when = \"any time\"", "soak = \"0h\"", &["a"], promise)
}

/// Two, one after the other, each of which takes forty minutes to patch.
fn two_slow(window: &str) -> Setup {
    let mut setup = Setup::plain(window, "soak = \"0h\"", &["a", "b"], Promise::Keyed);
    setup.takes = BTreeMap::from([(Verb::Apply, Duration::from_secs(40 * MINUTE))]);
    setup
}

fn wrong(mut setup: Setup, call: Call, nth: u32, wrong: Wrong) -> Setup {
    setup.troubles.push(Trouble { call, nth, wrong });
    setup
}

fn cases() -> Vec<Case> {
    let lost_apply = || {
        // Its tool still works when the clock is set.
        let mut setup = wrong(one(Promise::StateOnly), Call::Begin, 2, Wrong::ReplyLost);
        setup.takes = BTreeMap::from([(Verb::Apply, Duration::from_secs(25 * MINUTE))]);
        setup
    };
    vec![
        Case {
            what: "the quiet wait of what only shows its state",
            setup: lost_apply,
            set_at: 10 * MINUTE,
            dies_at: None,
            seen: Seen::quiet,
        },
        Case {
            what: "the same, where its process died and the clock is set in the wait of the next one",
            setup: lost_apply,
            set_at: 12 * MINUTE,
            dies_at: Some((5 * MINUTE, 60)),
            seen: Seen::quiet,
        },
        Case {
            what: "the same, where it is set while nobody is there",
            setup: lost_apply,
            set_at: 5 * MINUTE + 30,
            dies_at: Some((5 * MINUTE, 60)),
            seen: Seen::quiet,
        },
        Case {
            what: "a target that forgets after 24 h, asked after 24 h 30 min about a start nobody heard of",
            setup: || wrong(one(Promise::Keyed), Call::Begin, 2, Wrong::HangsAfter),
            set_at: 2 * MINUTE,
            dies_at: Some((MINUTE, 24 * 3600 + 30 * MINUTE)),
            seen: |seen| {
                let starts = seen
                    .world
                    .log
                    .iter()
                    .filter(|c| c.started && c.verb == Verb::Apply);
                format!(
                    "begun {}, then {:?}",
                    times(starts.count()),
                    seen.phase("a")
                )
            },
        },
        Case {
            what: "the deadline of a call that is not answered (10 min)",
            setup: || wrong(one(Promise::Keyed), Call::Observe, 1, Wrong::Hangs),
            set_at: 2 * MINUTE,
            dies_at: None,
            seen: |seen| {
                let after = seen.apart(Call::Observe);
                format!("asked again after {after} min, {:?}", seen.phase("a"))
            },
        },
        Case {
            what: "a scan under way",
            setup: || {
                wrong(
                    one(Promise::Keyed),
                    Call::Scan,
                    1,
                    Wrong::Slow(10 * MINUTE - 5),
                )
            },
            set_at: 8 * MINUTE,
            dies_at: None,
            seen: |seen| {
                let after = seen.apart(Call::Scan);
                match after {
                    -1 => format!("believed, {:?}", seen.phase("a")),
                    after => format!("asked again after {after} min, {:?}", seen.phase("a")),
                }
            },
        },
        Case {
            what: "checks of a service that does not answer for half a minute, and has a minute",
            setup: || {
                (1..=6).fold(one(Promise::Keyed), |setup, nth| {
                    wrong(setup, Call::Probe, nth, Wrong::RequestLost)
                })
            },
            set_at: 2 * MINUTE + 40,
            dies_at: None,
            seen: |seen| {
                let asked = seen.asked.iter().filter(|(_, call)| *call == Call::Probe);
                format!("asked {}, {:?}", times(asked.count()), seen.phase("a"))
            },
        },
        Case {
            what: "a soak of 24 h",
            setup: || {
                Setup::plain(
                    "when = \"any time\"",
                    "soak = \"24h\"",
                    &["a"],
                    Promise::Keyed,
                )
            },
            set_at: 12 * 3600,
            dies_at: None,
            seen: |seen| {
                let back = seen.first("begin", Verb::Apply).at;
                let gives = seen.first("begin", Verb::Discard).at;
                format!(
                    "lasts {} h, {:?}",
                    minutes(back, gives) / 60,
                    seen.phase("a")
                )
            },
        },
        Case {
            what: "an approval that expires after an hour, and a second guest whose turn comes after 45 min",
            setup: || {
                let mut setup = two_slow("when = \"any time\"");
                setup.plan.envelope.expires = start() + Duration::from_secs(3600);
                setup
            },
            set_at: 20 * MINUTE,
            dies_at: None,
            seen: |seen| {
                let stands = match seen.stands.contains("the approval expired") {
                    true => "halted: the approval expired",
                    false => "it goes on",
                };
                format!("{:?} and {:?}; {stands}", seen.phase("a"), seen.phase("b"))
            },
        },
        Case {
            what: "a window that closes at 13:30, and a second guest whose turn comes at 12:45",
            setup: || {
                two_slow("zone = \"UTC\"\nwhen = \"daily\"\nfrom = \"11:00\"\nuntil = \"13:30\"")
            },
            set_at: 20 * MINUTE,
            dies_at: None,
            seen: |seen| {
                let mut begins = seen.world.log.iter();
                let second = begins.find(|c| c.call == "begin" && c.subject.as_str() == "b");
                let after = second.map_or(-1, |c| minutes(start(), c.at));
                format!(
                    "begins after {} h {} min, {:?}",
                    after / 60,
                    after % 60,
                    seen.phase("b")
                )
            },
        },
    ]
}
