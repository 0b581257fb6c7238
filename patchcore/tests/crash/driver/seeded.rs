//! One seed: its processes one after the other, the people beside them, and the verdict.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use patchcore::{
    Error, Estate, Journal, Run, Standing, Timestamp,
    clock::Clock as _,
    execute::{
        Story,
        journal::{Faults, JournalReader, Synchronous},
        kernel::{ComponentEvent, Event},
    },
    id::{ComponentId, RunId},
    sim::VirtualClock,
};
use tokio::sync::mpsc;

use super::{
    Counts, happened,
    outside::{Outlet, Outside, Process, Signal},
    people::Words,
    setup::{Life, Setup, Wish},
    wall::Wall,
};
use crate::judge::{self, Invariant, Told, Verdict, Violation};

/// What became of a seed.
#[derive(Debug)]
pub(crate) struct Seeded {
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: Counts,
    /// Whether its end was compared with that of the same estate undisturbed.
    pub(crate) is_compared: bool,
    /// Everything that reached the world, in order.
    pub(crate) log: Vec<String>,
    /// The same beside what the journal says, for people.
    pub(crate) trace: Vec<String>,
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    Died,
    /// Its journal failed, and it gave up.
    Broken(String),
    Parked,
    Ended,
    /// Nothing happens any more, and nobody can do anything about it.
    Stuck(String),
}

pub(super) fn run(seed: u64) -> Seeded {
    let setup = Setup::of(seed);
    let calm = One::new(setup.undisturbed()).run();
    let (is_borne, is_knowable) = (setup.is_borne(), setup.is_knowable());
    let said = setup.to_string();
    let mut one = One::new(setup).run();
    let mut violations = std::mem::take(&mut one.verdict.0);
    violations.extend(calm.verdict.0.into_iter().map(|mut violation| {
        violation.what = format!("undisturbed: {}", violation.what);
        violation
    }));
    let mut verdict = Verdict(violations);
    // Where a person decided what becomes of it, the end is theirs.
    let is_compared = is_borne && !calm.is_theirs && !one.is_theirs;
    if is_compared {
        verdict.must(one.end == calm.end, Invariant::SameEnd, || {
            format!("{:?}, and undisturbed {:?}", one.end, calm.end)
        });
    }
    if is_knowable {
        verdict.must(
            one.words.resolved <= calm.words.resolved,
            Invariant::PersonSpared,
            || {
                format!(
                    "people decided {} times, and undisturbed {}",
                    one.words.resolved, calm.words.resolved
                )
            },
        );
    }
    let mut trace: Vec<String> = said.lines().map(str::to_owned).collect();
    trace.extend(one.trace);
    Seeded {
        violations: verdict.0,
        counts: one.counts,
        is_compared,
        log: one.log,
        trace,
    }
}

/// A journal's file and the folder around it, taken away with the value.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchcore-seeds-{}-{nth}", std::process::id());
        // What a disk loses is decided by the seed, and what a real one keeps has tests of its own: here a thousand
        // journals would wait for it.
        let memory = Path::new("/dev/shm");
        let temporary = match memory.is_dir() {
            true => memory.to_path_buf(),
            false => std::env::temp_dir(),
        };
        let folder = temporary.join(name);
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        Self(folder)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("run.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be taken away lies among temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One estate from the first life to the end of its run.
pub(super) struct One {
    pub(super) outside: Arc<Outside>,
    place: Place,
    verdict: Verdict,
    pub(super) counts: Counts,
    /// What people said, as far as the journal has it.
    pub(super) words: Words,
    pub(super) lifted: usize,
    pub(super) is_theirs: bool,
    end: Vec<String>,
    log: Vec<String>,
    trace: Vec<String>,
    /// What of the journal is in the trace.
    told: u64,
    over: bool,
}

/// Lives after those of the seed: the last one must come to the end.
const SPARE: usize = 2;

impl One {
    fn new(setup: Setup) -> Self {
        Self {
            outside: Arc::new(Outside::new(setup)),
            place: Place::new(),
            verdict: Verdict::default(),
            counts: Counts::default(),
            words: Words::default(),
            lifted: 0,
            is_theirs: false,
            end: Vec::new(),
            log: Vec::new(),
            trace: Vec::new(),
            told: 0,
            over: false,
        }
    }

    fn run(mut self) -> Self {
        let lives = self.outside.setup.lives.clone();
        let calm = Life {
            dies_at: None,
            disk: Vec::new(),
            away: Duration::from_secs(60),
        };
        let spare = std::iter::repeat_n(calm, SPARE + self.outside.setup.parks());
        for life in lives.into_iter().chain(spare) {
            self.live(&life);
            if self.over {
                break;
            }
            let mut world = self.outside.world();
            let until = world.now + life.away;
            world.move_to(until);
        }
        let ends = self.over;
        self.verdict.must(ends, Invariant::Ends, || {
            "it is not over after its last life".to_owned()
        });
        self.counts.points = self.outside.passed();
        let world = self.outside.world();
        self.counts.begins = world.log.iter().filter(|c| c.started).count();
        drop(world);
        self
    }

    /// One process, from its start to its end.
    fn live(&mut self, life: &Life) {
        self.counts.lives += 1;
        let now = self.outside.world().now;
        let setup = &self.outside.setup;
        let clock = Wall::over(
            VirtualClock::starting(now),
            self.outside.off(),
            !setup.jumps.is_empty(),
        );
        let (process, mut signals) = Process::new(&self.outside, clock.clone(), life.dies_at);
        let disk = life.disk.iter().fold(
            Faults::none().in_step().with_synchronous(Synchronous::Off),
            |faults, (nth, fault)| faults.at(*nth, *fault),
        );
        let estate = Estate::named("crash")
            .with(Outlet::of(&process))
            .with_clock(Arc::new(clock.clone()));
        let path = self.place.journal();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let number = process.number;
        self.note(&process, format!("process {number} starts"));
        let over = runtime.block_on(async {
            let journal = Journal::open_with(&path, disk).expect("nobody else holds it");
            self.explained(&journal).await;
            let run = match self.begin(&estate, &journal).await {
                Ok(Some(run)) => run,
                Ok(None) => return Over::Ended,
                Err(error) => return Over::Broken(error.chain()),
            };
            self.drive(&process, &run, &mut signals).await
        });
        let mut world = self.outside.world();
        world.move_to(clock.truly.now());
        drop(world);
        // Everything that ran is dropped in mid-step, as in a crash.
        drop(runtime);
        match &over {
            Over::Died => self.counts.died += 1,
            Over::Broken(_) => self.counts.journal_failed += 1,
            Over::Parked => self.counts.parked += 1,
            Over::Ended => self.over = true,
            Over::Stuck(why) => {
                self.over = true;
                let why = why.clone();
                self.verdict.must(false, Invariant::Ends, || why);
            }
        }
        self.write_down(&path);
        self.note(&process, format!("process {number} is over: {over:?}"));
        self.judge(&path, over == Over::Ended);
    }

    /// Goes on with the run of the journal, or starts it; none where it is over.
    async fn begin(&self, estate: &Estate, journal: &Journal) -> Result<Option<Run>, Error> {
        if let Some(run) = estate.reopen(journal).await? {
            return Ok(Some(run));
        }
        if !journal.runs().await?.is_empty() {
            return Ok(None);
        }
        let approved = self.outside.setup.approved();
        estate.run(approved, journal).await.map(Some)
    }

    /// Holds the run until its process is over.
    async fn drive(
        &mut self,
        process: &Process,
        run: &Run,
        signals: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> Over {
        let mut parks = false;
        loop {
            let now = parks;
            let finished = async move {
                match now {
                    true => run.finished_or_parked(Duration::ZERO).await,
                    false => run.finished().await,
                }
            };
            let finished = tokio::select! {
                biased;
                signal = signals.recv() => match signal {
                    Some(Signal::Dies) | None => return Over::Died,
                    Some(Signal::Never) => return Over::Stuck("it calls for ever".to_owned()),
                    Some(Signal::Wants(Wish::Park)) => {
                        parks = true;
                        continue;
                    }
                    Some(Signal::Wants(wish)) => {
                        self.wants(process, run, wish).await;
                        continue;
                    }
                },
                finished = finished => finished,
            };
            match finished {
                Ok(Standing::Ended { .. }) => return Over::Ended,
                Ok(Standing::Parked { .. }) => return Over::Parked,
                Ok(Standing::AtRest { waits }) => {
                    match self.somebody_steers(process, run, &waits).await {
                        Ok(true) => {}
                        Ok(false) => {
                            let waits: Vec<String> =
                                waits.iter().map(ToString::to_string).collect();
                            return Over::Stuck(format!("at rest for ever: {waits:?}"));
                        }
                        Err(error) => return Over::Broken(error.chain()),
                    }
                }
                Ok(other) => return Over::Stuck(format!("final as {other:?}")),
                Err(error) => return Over::Broken(error.chain()),
            }
        }
    }

    /// What the world holds beside what the journal says of it, before anybody goes on.
    async fn explained(&mut self, journal: &Journal) {
        let Ok(story) = Story::read(journal, RunId(1)).await else {
            return;
        };
        self.words = Words::read(journal).await;
        let world = self.outside.world().clone();
        let mut verdict = Verdict::default();
        judge::explained(&world, &self.told_by(&story), &mut verdict);
        self.verdict.0.extend(verdict.0);
    }

    fn told_by<'s>(&'s self, story: &'s Story) -> Told<'s> {
        Told {
            state: &story.state,
            components: &story.components,
            attested: &self.words.attested,
            resolved: self.words.resolved,
        }
    }

    /// Looks at journal and world after a process.
    fn judge(&mut self, path: &Path, ended: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let journal = JournalReader::open(path).expect("it is there");
            let intact = journal
                .verify()
                .await
                .is_ok_and(|report| report.is_intact());
            self.verdict.must(intact, Invariant::JournalIntact, || {
                "the chain of the journal is broken".to_owned()
            });
            let Ok(story) = Story::read(&journal, RunId(1)).await else {
                // Its start never became durable.
                return;
            };
            self.words = Words::read(&journal).await;
            let world = self.outside.world().clone();
            let mut verdict = Verdict::default();
            let told = self.told_by(&story);
            judge::explained(&world, &told, &mut verdict);
            if ended {
                let setup = &self.outside.setup;
                judge::operations(&world, |v| setup.promise_of(v), false, &mut verdict);
                judge::at_the_end(&world, &told, &mut verdict);
                let lapsing = lapsing(&journal).await;
                judge::locks(&world, &told, &lapsing, None, &mut verdict);
                let ledger = story.ledger();
                verdict.must(ledger.is_empty(), Invariant::NothingLeft, || {
                    format!("the ledger says {ledger:?}")
                });
                let exempt = self.exempt();
                judge::budgets(&world, &setup.plan.envelope, &exempt, &mut verdict);
                self.end = judge::end(&world, &story.components);
            }
            self.verdict.0.extend(verdict.0);
        });
    }

    /// Who may be out of service beside the budget: by itself, or because a person said so.
    fn exempt(&self) -> BTreeSet<ComponentId> {
        let world = self.outside.world();
        let by_themselves = world.guests.iter().filter(|(_, g)| g.by_itself);
        let by_people = self.words.attested.iter().chain(&self.words.sent_back);
        let faults = self.outside.setup.faults.iter();
        let breaks = faults.filter(|(_, _, f)| *f == crate::world::Fault::BreaksLater);
        by_themselves
            .map(|(c, _)| c.clone())
            .chain(by_people.cloned())
            .chain(breaks.map(|(c, _, _)| c.clone()))
            .collect()
    }

    pub(super) fn note(&mut self, process: &Process, what: String) {
        let line = format!("{} {what}", short(process.clock.truly.now()));
        happened(|| line.clone());
        self.trace.push(line);
    }

    /// Adds to the trace what reached the world and what the journal says since the last time.
    fn write_down(&mut self, path: &Path) {
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        let uid;
        {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let (own, told) = runtime.expect("a runtime").block_on(read(path, self.told));
            uid = own;
            for told in told {
                self.told = told.seq;
                let about = told.component.as_ref().map_or("run", |c| c.as_str());
                // The journal's times are of the wall clock.
                let by_wall = told.at;
                let event = words(&told.event);
                lines.push((by_wall, format!("          {about}: {event}")));
            }
        }
        let world = self.outside.world();
        let new = &world.log[self.log.len()..];
        let mut called = Vec::new();
        for call in new {
            let started = if call.started { " STARTED" } else { "" };
            let key = call.key.to_string().replace(&uid, "j");
            let line = format!(
                "{} {:?} {} {key}{started}{}",
                short(call.at),
                call.who,
                call.call,
                if call.stale { " STALE" } else { "" }
            );
            called.push((call.at, format!("     {line}")));
            self.log.push(line);
        }
        drop(world);
        lines.extend(called);
        lines.sort_by_key(|(at, _)| *at);
        let lines = lines
            .into_iter()
            .map(|(at, line)| format!("{} {line}", short(at)));
        self.trace.extend(lines);
    }
}

/// Whose lock the journal leaves to lapse.
async fn lapsing(journal: &JournalReader) -> BTreeSet<ComponentId> {
    let stored = journal.events(RunId(1), 0, 100_000).await;
    let told = stored
        .unwrap_or_default()
        .into_iter()
        .map(patchcore::execute::Told::read);
    let lapsing = told.filter(|t| {
        let Event::Component(event) = &t.event else {
            return false;
        };
        matches!(
            event,
            ComponentEvent::Unlocked {
                lapses: Some(_),
                ..
            }
        )
    });
    lapsing.filter_map(|t| t.component).collect()
}

async fn read(path: &Path, after: u64) -> (String, Vec<patchcore::execute::Told>) {
    let journal = JournalReader::open(path).expect("it is there");
    let uid = journal.identity().await.map(|i| i.uid).unwrap_or_default();
    let stored = journal.events(RunId(1), after, 100_000).await;
    let told = stored.unwrap_or_default().into_iter();
    (uid, told.map(patchcore::execute::Told::read).collect())
}

/// An event in one line, with its key where it has one.
fn words(event: &Event) -> String {
    match event {
        Event::Component(ComponentEvent::Intended { key, .. }) => {
            let key = key.to_string();
            let short = key.split_once('/').map_or(key.as_str(), |(_, rest)| rest);
            format!("{event} [{short}]")
        }
        _ => event.to_string(),
    }
}

fn short(at: Timestamp) -> String {
    at.strftime("%d %H:%M:%S").to_string()
}

pub(super) fn said(told: &Result<(), Error>) -> String {
    match told {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}
