//! Seeded runs of the real driver: `Estate::run` in virtual time, on a journal in a file whose disk fails as the seed says,
//! over the world of the matrix and under its judge.
//!
//! A process here is a runtime: it dies by being dropped with everything in it, and the next one opens the same journal. All
//! of it happens on one thread, so that a seed is the same each time.

mod chance;
mod jumps;
mod outside;
mod people;
mod seeded;
mod setup;
mod wall;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::judge::{Invariant, Violation};

pub(crate) use jumps::{ClockRow, Clocks, rows};
pub(crate) use seeded::Seeded;

/// A seed that takes longer than this never ends: no virtual time passes in it any more.
const STUCK: Duration = Duration::from_secs(120);

/// Seeds beyond those of the quick tier that once found a fault: they are run always.
const FOUND: [u64; 4] = [
    // A lock that an earlier process took within the same moment was taken for our own.
    454,  // The judge's: a person's word is durable, though its answer was lost.
    4476, // The judge's: a person says again what was not durable.
    5342, // The judge's: a tool that lied once works when it is begun again.
    1021,
];

/// What was counted over seeds.
#[derive(Debug, Default)]
pub(crate) struct Seeds {
    pub(crate) seeds: usize,
    pub(crate) counts: Counts,
    /// How many seeds had an end that must be as undisturbed.
    pub(crate) compared: usize,
    /// How many of them were run twice and told the same.
    pub(crate) replayed: usize,
    pub(crate) differed: Vec<u64>,
    pub(crate) violations: BTreeMap<Invariant, (usize, u64, String)>,
    pub(crate) took: Duration,
}

/// What happened in them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) lives: usize,
    pub(crate) died: usize,
    pub(crate) journal_failed: usize,
    pub(crate) parked: usize,
    pub(crate) commands: usize,
    pub(crate) points: usize,
    pub(crate) begins: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.died += other.died;
        self.journal_failed += other.journal_failed;
        self.parked += other.parked;
        self.commands += other.commands;
        self.points += other.points;
        self.begins += other.begins;
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            lives,
            died,
            journal_failed,
            parked,
            commands,
            points,
            begins,
        } = self.counts;
        writeln!(f, "\n| seeds of the driver | |\n|---|---|")?;
        writeln!(f, "| seeds | {} |", self.seeds)?;
        writeln!(f, "| processes | {lives} |")?;
        writeln!(f, "| of them died at a call | {died} |")?;
        writeln!(
            f,
            "| of them gave up because of their disk | {journal_failed} |"
        )?;
        writeln!(f, "| of them were parked | {parked} |")?;
        writeln!(f, "| words of people | {commands} |")?;
        writeln!(f, "| points of calls | {points} |")?;
        writeln!(f, "| operations begun | {begins} |")?;
        writeln!(f, "| ends that are as undisturbed | {} |", self.compared)?;
        writeln!(
            f,
            "| run twice, and the same to the last call | {} |",
            self.replayed
        )
    }
}

impl Seeds {
    pub(crate) fn holds(&self) -> bool {
        self.violations.is_empty() && self.differed.is_empty()
    }

    /// What did not hold, each with the command that shows it again.
    pub(crate) fn failures(&self) -> String {
        let violations = self.violations.iter();
        let violations = violations.map(|(invariant, (n, seed, what))| {
            format!(
                "FAILED: seed {seed}: {invariant:?}, {n} times: {what}\n    {}\n",
                again(*seed)
            )
        });
        let differed = self.differed.iter();
        let differed = differed
            .map(|seed| format!("FAILED: seed {seed} is not the same when it is run again\n"));
        violations.chain(differed).collect()
    }
}

/// Runs seeds, each of them once and some twice; ends with the first violation where that is wanted.
#[expect(
    clippy::disallowed_methods,
    reason = "it tells how long they really took"
)]
pub(crate) fn seeds(from: u64, number: u64, to_the_first: bool) -> Seeds {
    let started = Instant::now();
    let watch = Watch::start();
    let mut all = Seeds::default();
    let all_of = from..from + number;
    let others = FOUND
        .into_iter()
        .filter(|seed| !to_the_first && !all_of.contains(seed));
    for seed in all_of.clone().chain(others) {
        watch.at(seed);
        let seeded = seeded::run(seed);
        all.seeds += 1;
        all.counts.add(seeded.counts);
        all.compared += usize::from(seeded.is_compared);
        if seed % 10 == 0 && !to_the_first {
            all.replayed += 1;
            if seeded::run(seed).log != seeded.log {
                all.differed.push(seed);
            }
        }
        for Violation { invariant, what } in seeded.violations {
            let of_it = all.violations.entry(invariant);
            of_it.or_insert((0, seed, what)).0 += 1;
        }
        if to_the_first && !all.violations.is_empty() {
            break;
        }
    }
    all.took = started.elapsed();
    all
}

/// Runs one seed and tells everything.
pub(crate) fn replay(seed: u64) -> Seeded {
    let watch = Watch::start();
    watch.at(seed);
    seeded::run(seed)
}

/// The last calls and words of a seed: one that is stuck has no trace, since it never comes to its end.
static LATEST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

fn latest() -> MutexGuard<'static, VecDeque<String>> {
    LATEST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn happened(line: impl FnOnce() -> String) {
    /// Enough for the life in which it stuck.
    const KEPT: usize = 80;
    let mut latest = latest();
    if latest.len() == KEPT {
        latest.pop_front();
    }
    latest.push_back(line());
}

/// Ends the process where a seed never ends.
struct Watch {
    seed: Arc<AtomicU64>,
    _alive: mpsc::Sender<()>,
}

impl Watch {
    #[expect(
        clippy::disallowed_methods,
        reason = "what stands still in virtual time is seen from outside of it"
    )]
    fn start() -> Self {
        let seed = Arc::new(AtomicU64::new(0));
        let (alive, over) = mpsc::channel::<()>();
        let now = Arc::clone(&seed);
        std::thread::spawn(move || {
            let mut last = (0, Instant::now());
            while over.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout)
            {
                let seed = now.load(Ordering::Relaxed);
                if seed != last.0 {
                    last = (seed, Instant::now());
                }
                if last.1.elapsed() > STUCK {
                    for line in latest().iter() {
                        println!("{line}");
                    }
                    println!("FAILED: seed {seed} is stuck; {}", again(seed));
                    std::process::exit(1);
                }
            }
        });
        Self {
            seed,
            _alive: alive,
        }
    }

    fn at(&self, seed: u64) {
        latest().clear();
        self.seed.store(seed, Ordering::Relaxed);
    }
}

/// What a seed plants is no news.
pub(crate) fn keep_planted_panics_quiet() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<outside::Planted>() {
            usual(panic);
        }
    }));
}

/// The command that runs a seed again.
pub(crate) fn again(seed: u64) -> String {
    format!(
        "replay: cargo test --profile crash -p patchcore --features crash --test crash -- --seed {seed}"
    )
}
