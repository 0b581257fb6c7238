//! One operation: the production `ensure` in every cell of the matrix.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::{Patch, PatchClass},
    execute::{
        kernel::{ComponentEvent, ComponentState, OpResult, Phase},
        step::{self, Answer, Asked, Promise, Recorder, Verb},
    },
    id::{ComponentId, OpKey},
    provider::{BracketKind, Change, PortCall},
};

use super::{
    axes::{Cell, Class, Life},
    judge::{self, Invariant, Truth, Verdict, Violation},
    stepper::{
        At, Bench, FOREVER, Incarnation, Port, Stop, context, poll_once, ports, recorded, word,
    },
    world::{Locating, NEW, OLD, Observing, PATCH, World},
};

const GUEST: &str = "g-1";

/// The journal as far as one operation needs one.
#[derive(Debug)]
struct Journal {
    epoch: u64,
    state: ComponentState,
    outcome: Option<OpResult>,
}

struct Pen {
    of: Arc<Incarnation>,
    journal: Arc<Mutex<Journal>>,
}

#[async_trait]
impl Recorder for Pen {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        recorded(&self.of, &event, || {
            let mut journal = self.journal.lock().expect("one thread");
            if self.of.number < journal.epoch {
                return Err(fenced());
            }
            let at = context(&self.of).now();
            journal.state.evolve(&event, at);
            Ok(())
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        let newest = self.journal.lock().expect("one thread").epoch;
        (newest == self.of.number).then_some(()).ok_or_else(fenced)
    }
}

pub(crate) fn fenced() -> Error {
    Error::new(ErrorKind::JournalInUse, "another process took it over")
}

/// What differs between the runs of one cell.
#[derive(Debug, Clone, Copy)]
struct Variant {
    /// How long the tool works.
    takes: Duration,
    /// How long nobody is there after the crash.
    away: Duration,
    /// Somebody with a copy of the journal begins it at the moment of the crash.
    copied: bool,
    /// Where the second incarnation dies; `Nowhere` where it does not.
    dies_at: At,
    /// After how many points of the second one the zombie wakes up.
    wakes_after: usize,
    checks_fences: bool,
}

/// What became of one cell.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    pub(crate) hit: bool,
    pub(crate) runs: usize,
    pub(crate) violations: Vec<Violation>,
}

struct Running {
    of: Arc<Incarnation>,
    future: Option<Pin<Box<dyn Future<Output = Result<OpResult>> + Send>>>,
    said: Option<(OpResult, Truth)>,
}

struct Trial {
    cell: Cell,
    bench: Bench,
    journal: Arc<Mutex<Journal>>,
    key: OpKey,
    request: PortCall,
    verdict: Verdict,
}

/// Tries a cell until it is hit, and goes deeper from there.
pub(crate) fn try_cell(cell: Cell, thorough: bool) -> Tried {
    let mut tried = Tried::default();
    let durations = [60_000, 20 * 60_000, 500, 0].map(Duration::from_millis);
    let away = match cell.kept.forgotten {
        true => &[90_000][..],
        // Before and after a search would show it.
        false => &[120, 420],
    };
    'variants: for copied in [false, true] {
        let times = away.iter().flat_map(|a| durations.map(|takes| (*a, takes)));
        for (away, takes) in times {
            let variant = Variant {
                takes,
                away: Duration::from_secs(away),
                copied,
                dies_at: At::Nowhere,
                wakes_after: usize::MAX,
                checks_fences: true,
            };
            let (hit, passed) = one(&mut tried, cell, variant);
            if !hit {
                continue;
            }
            tried.hit = true;
            match cell.life {
                Life::First | Life::Next => {}
                Life::NextButOne => {
                    for n in 0..passed {
                        let dies_at = At::Nth(n);
                        one(&mut tried, cell, Variant { dies_at, ..variant });
                    }
                }
                Life::BesideZombie => {
                    for wakes_after in [0, 2, 4, 6, 9, usize::MAX] {
                        for checks_fences in [true, false] {
                            let variant = Variant {
                                wakes_after,
                                checks_fences,
                                ..variant
                            };
                            one(&mut tried, cell, variant);
                        }
                    }
                }
            }
            if !thorough {
                break 'variants;
            }
        }
    }
    tried
}

/// One run: whether it hit the cell, and how many points its second incarnation passed.
fn one(tried: &mut Tried, cell: Cell, variant: Variant) -> (bool, usize) {
    let mut trial = Trial::new(cell, variant);
    let (hit, passed) = trial.run(variant);
    tried.runs += 1;
    for mut violation in trial.verdict.0 {
        violation.what = format!("{cell} {variant:?}: {}", violation.what);
        tried.violations.push(violation);
    }
    (hit, passed)
}

pub(crate) fn start() -> Timestamp {
    "2026-12-07T12:00:00Z".parse().expect("a time")
}

impl Trial {
    fn new(cell: Cell, variant: Variant) -> Self {
        let mut world = World::new(start(), &[GUEST], cell.kept.promise);
        let staged = OpKey::from("j/1/g-1/stage/1".to_owned());
        let guest = world.guests.get_mut(GUEST).expect("it is there");
        if matches!(cell.verb, Verb::Apply | Verb::RollBack | Verb::Discard) {
            guest.kept.insert(staged.clone());
        }
        if cell.verb == Verb::GiveBack {
            guest.held.take(staged.clone(), BracketKind::Silence, None);
        }
        if cell.verb == Verb::RollBack {
            guest.version = NEW.to_owned();
        }
        world.checks_fences = variant.checks_fences;
        let change = Patch::new(PATCH, Some(OLD.into()), NEW, PatchClass::Security).change();
        let state = ComponentState {
            phase: Phase::Doing(cell.verb.step()),
            ..ComponentState::default()
        };
        let key = OpKey::from(format!("j/1/g-1/{}/1", word(cell.verb)));
        let request = cell.verb.request(Change::new(GUEST, vec![change]), staged);
        script(cell, variant, &mut world);
        world.script.copied = variant.copied.then(|| (key.clone(), request.clone()));
        Self {
            cell,
            bench: Bench::new(world),
            journal: Arc::new(Mutex::new(Journal {
                epoch: 0,
                state,
                outcome: None,
            })),
            key,
            request,
            verdict: Verdict::default(),
        }
    }

    fn run(&mut self, variant: Variant) -> (bool, usize) {
        let stop = match self.cell.life {
            Life::First => Stop::CallFails,
            _ => Stop::Crash,
        };
        let mut first = self.incarnation(stop, At::Class(self.cell.class));
        self.drive(&mut [&mut first], None);
        let reached = first.of.reached().is_some();
        if !reached {
            self.judge(&[&first]);
            return (false, 0);
        }
        if self.is_open() {
            // It died, or its journal failed: somebody opens the run again.
            if self.cell.life != Life::BesideZombie {
                first.future = None;
            }
            self.bench.move_to(self.bench.now() + variant.away);
        }
        let mut passed = 0;
        let mut lives = vec![first];
        if self.is_open() {
            let mut second = self.incarnation(Stop::Crash, variant.dies_at);
            match self.cell.life {
                Life::BesideZombie => {
                    let after = variant.wakes_after;
                    let mut zombie = lives.remove(0);
                    self.drive(&mut [&mut second, &mut zombie], Some(after));
                    lives.push(zombie);
                }
                _ => self.drive(&mut [&mut second], None),
            }
            passed = second.of.passed();
            let died = second.of.reached().is_some();
            if died {
                second.future = None;
            }
            lives.push(second);
            if died && self.is_open() {
                self.bench
                    .move_to(self.bench.now() + Duration::from_secs(60));
                let mut third = self.incarnation(Stop::Crash, At::Nowhere);
                self.drive(&mut [&mut third], None);
                lives.push(third);
            }
        }
        let lives: Vec<&Running> = lives.iter().collect();
        self.judge(&lives);
        let answered = |w: &mut World| w.answers.iter().any(|(_, a)| *a == self.cell.answer);
        (self.bench.world(answered), passed)
    }

    fn is_open(&self) -> bool {
        self.journal.lock().expect("one thread").outcome.is_none()
    }

    fn incarnation(&self, stop: Stop, at: At) -> Running {
        let of = self.bench.incarnation(stop, at);
        let mut journal = self.journal.lock().expect("one thread");
        journal.epoch = of.number;
        let asked = Asked {
            step: self.cell.verb.step(),
            key: self.key.clone(),
            subject: ComponentId::from(GUEST),
            request: self.request.clone(),
            journaled: journal.state.op.clone(),
        };
        let pen = Pen {
            of: Arc::clone(&of),
            journal: Arc::clone(&self.journal),
        };
        let port = Arc::new(Port(Arc::clone(&of)));
        let ports = ports(&port, None);
        let future = Box::pin(step::ensure(ports, context(&of), asked, Arc::new(pen)));
        Running {
            of,
            future: Some(future),
            said: None,
        }
    }

    /// Polls everybody in turn until the first of them is over or stopped, and the others too once they are awake.
    fn drive(&mut self, lives: &mut [&mut Running], wakes_after: Option<usize>) {
        let end = self.bench.now() + FOREVER;
        let mut asleep = wakes_after.is_some();
        loop {
            for life in lives.iter_mut() {
                self.poll(life);
            }
            let first_ended = lives[0].future.is_none() || lives[0].of.is_stopped();
            if asleep && (first_ended || wakes_after.is_some_and(|n| lives[0].of.passed() >= n)) {
                asleep = false;
                lives[1].of.wake();
                continue;
            }
            if lives
                .iter()
                .all(|l| l.future.is_none() || l.of.is_stopped())
            {
                return;
            }
            match self.bench.next_wake() {
                Some(wake) if wake <= end => self.bench.move_to(wake),
                _ => {
                    let what = "nothing happens any more".to_owned();
                    self.verdict.must(false, Invariant::Ends, || what);
                    return;
                }
            }
        }
    }

    fn poll(&self, life: &mut Running) {
        let Some(future) = &mut life.future else {
            return;
        };
        if life.of.is_stopped() {
            return;
        }
        let Poll::Ready(result) = poll_once(future) else {
            return;
        };
        let truth = self.bench.world(|w| Truth::of(w, &self.key));
        if let Ok(outcome) = &result {
            if life.of.stops_at(Class::OutcomeLost) {
                // It dies with what it saw; where it sleeps, it writes when it wakes up, and is fenced.
                life.future = None;
                return;
            }
            let mut journal = self.journal.lock().expect("one thread");
            // What a zombie says is not written any more.
            if journal.epoch == life.of.number {
                journal.outcome = Some(outcome.clone());
                life.said = Some((outcome.clone(), truth));
            }
            drop(journal);
            life.of.stops_at(Class::OutcomeDurable);
        }
        life.future = None;
    }

    fn judge(&mut self, lives: &[&Running]) {
        let world = self.bench.world(|w| w.clone());
        let promise = self.cell.kept.promise;
        let forgets = self.cell.kept.forgotten;
        judge::operations(&world, |_| promise, forgets, &mut self.verdict);
        judge::handle(&self.cell, &world, &mut self.verdict);
        for life in lives {
            if let Some((result, truth)) = &life.said {
                judge::result(&self.cell, &world, result, *truth, &mut self.verdict);
            }
        }
    }
}

/// What makes the world answer as the cell wants it.
fn script(cell: Cell, variant: Variant, world: &mut World) {
    let script = &mut world.script;
    script.takes = Some(variant.takes);
    script.fails = matches!(cell.answer, Answer::Failed | Answer::SeenFailed);
    script.refuses = cell.answer == Answer::Refused;
    script.talks = match cell.kept.promise {
        Promise::Blind => {
            let tells_nothing = matches!(cell.answer, Answer::Unknown | Answer::Refused);
            !(tells_nothing || cell.answer.is_observed() && cell.class.has_handle())
        }
        Promise::StateOnly => cell.answer == Answer::Running,
        _ => false,
    };
    script.locating = match cell.answer {
        Answer::NotFoundThoughBegun => Locating::Hides,
        Answer::DoneEarly => Locating::Early,
        Answer::Unknown => Locating::Unknown,
        Answer::LeftOut => Locating::LeavesOut,
        Answer::Error => Locating::Fails,
        Answer::ErrorPasses => Locating::FailsOnce,
        Answer::Never => Locating::Hangs,
        _ => Locating::Honest,
    };
    script.observing = match cell.answer {
        Answer::SeenRunning | Answer::SeenDone | Answer::SeenFailed | Answer::Refused => {
            Observing::Honest
        }
        Answer::SeenLeftOut => Observing::LeavesOut,
        Answer::SeenAsking => Observing::Asks,
        Answer::SeenErrorPasses => Observing::FailsOnce,
        Answer::SeenNever => Observing::Hangs,
        // What `locate` says counts, so it must be asked.
        _ => Observing::Lost,
    };
}
