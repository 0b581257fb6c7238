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
        kernel::{
            ComponentEvent, ComponentState, OpResult, Phase, RollEffect, RollEvent, RollInput, Step,
        },
        step::{self, Answer, Asked, Made, Promise, Recorder, RollRecorder, Verb},
    },
    id::{ComponentId, OpKey},
    provider::{BracketKind, Change, PortCall},
};

use super::{
    axes::{Cell, Class, Life},
    brackets::Asks as _,
    cluster::HOSTS,
    judge::{self, Invariant, Truth, Verdict, Violation},
    rolling::{Rolled, due, is_of_roll},
    stepper::{
        At, Bench, FOREVER, Incarnation, Port, Stop, context, points_of, points_of_roll, poll_once,
        ports, recorded, word,
    },
    world::{Locating, NEW, OLD, Observing, PATCH, World},
};

const GUEST: &str = "g-1";

/// Whose operation it is.
#[derive(Debug)]
enum Whose {
    /// A component's, in this step.
    Component(Step, Box<ComponentState>),
    /// A cluster's roll's.
    Roll(Box<Rolled>),
}

/// The journal as far as one operation needs one.
#[derive(Debug)]
struct Journal {
    epoch: u64,
    whose: Whose,
    outcome: Option<OpResult>,
}

struct Pen {
    of: Arc<Incarnation>,
    journal: Arc<Mutex<Journal>>,
}

impl Pen {
    fn commit(&self, evolve: impl FnOnce(&mut Whose, Timestamp)) -> Result<()> {
        let mut journal = self.journal.lock().expect("one thread");
        if self.of.number < journal.epoch {
            return Err(fenced());
        }
        evolve(&mut journal.whose, context(&self.of).now());
        Ok(())
    }

    fn may_begin(&self) -> Result<()> {
        let newest = self.journal.lock().expect("one thread").epoch;
        (newest == self.of.number).then_some(()).ok_or_else(fenced)
    }
}

#[async_trait]
impl Recorder for Pen {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        recorded(&self.of, points_of(&event), || {
            self.commit(|whose, at| {
                if let Whose::Component(_, state) = whose {
                    state.evolve(&event, at);
                }
            })
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        Self::may_begin(self)
    }
}

#[async_trait]
impl RollRecorder for Pen {
    async fn record(&self, event: RollEvent) -> Result<()> {
        recorded(&self.of, points_of_roll(&event), || {
            self.commit(|whose, _| {
                if let Whose::Roll(rolled) = whose {
                    rolled.roll.evolve(&event);
                }
            })
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        Self::may_begin(self)
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

type Flight = Pin<Box<dyn Future<Output = Result<OpResult>> + Send>>;

struct Running {
    of: Arc<Incarnation>,
    future: Option<Flight>,
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

/// Tries a cell until it is hit, and goes deeper from there. One that cannot be hit is tried less, where the verb is one
/// of many that only differ by what they change, unless it is to be thorough.
pub(crate) fn try_cell(cell: Cell, is_possible: bool, thorough: bool) -> Tried {
    let mut tried = Tried::default();
    let briefly = !thorough && is_of_roll(cell.verb);
    let wakes: &[usize] = match briefly {
        true => &[0, 4, usize::MAX],
        false => &[0, 2, 4, 6, 9, usize::MAX],
    };
    let durations = [60_000, 20 * 60_000, 500, 0].map(Duration::from_millis);
    let away = match cell.kept.forgotten {
        true => &[90_000][..],
        // Before and after a search would show it.
        false => &[120, 420],
    };
    let (copies, away) = match briefly && !is_possible {
        true => (&[false][..], &away[..1]),
        false => (&[false, true][..], away),
    };
    'variants: for &copied in copies {
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
                    for &wakes_after in wakes {
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
        let promise = cell.kept.promise;
        let staged = OpKey::from("j/1/g-1/stage/1".to_owned());
        let change = Patch::new(PATCH, Some(OLD.into()), NEW, PatchClass::Security).change();
        let change = Change::new(GUEST, vec![change]);
        let (mut world, whose, key, request) = match cell.verb.made(change, staged.clone()) {
            Made::InStep(step, request) => {
                let state = ComponentState {
                    phase: Phase::Doing(step),
                    ..ComponentState::default()
                };
                let key = OpKey::from(format!("j/1/g-1/{}/1", word(cell.verb)));
                let whose = Whose::Component(step, Box::new(state));
                (of_guest(cell.verb, promise, staged), whose, key, request)
            }
            Made::InRoll => {
                let due = due(cell.verb, promise);
                let (key, request) = match due.rolled.due(cell.verb, due.now) {
                    Some((_, RollEffect::Ensure { key, request, .. })) => (key, request.call()),
                    other => panic!("it was due when it was found: {other:?}"),
                };
                let mut world = World::new(due.now, &HOSTS, promise);
                world.cluster = due.cluster.clone();
                (
                    world,
                    Whose::Roll(Box::new(due.rolled.clone())),
                    key,
                    request,
                )
            }
        };
        world.checks_fences = variant.checks_fences;
        script(cell, variant, &mut world);
        world.script.copied = variant.copied.then(|| (key.clone(), request.clone()));
        Self {
            cell,
            bench: Bench::new(world),
            journal: Arc::new(Mutex::new(Journal {
                epoch: 0,
                whose,
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
        let pen = Arc::new(Pen {
            of: Arc::clone(&of),
            journal: Arc::clone(&self.journal),
        });
        let future = match &journal.whose {
            Whose::Component(step, state) => {
                let asked = Asked {
                    step: *step,
                    key: self.key.clone(),
                    subject: ComponentId::from(GUEST),
                    request: self.request.clone(),
                    journaled: state.op.clone(),
                };
                let ports = ports(&Arc::new(Port(Arc::clone(&of))), None);
                Some(Box::pin(step::ensure(ports, context(&of), asked, pen)) as Flight)
            }
            // What is in flight for it now, as its kernel says it.
            Whose::Roll(rolled) => rolled.due(self.cell.verb, self.bench.now()).map(|due| {
                let flight = rolled.carried_out(&of, due, pen);
                Box::pin(async move {
                    match flight.await? {
                        RollInput::Operation(_, result) => Ok(result),
                        other => panic!("an operation came to {other:?}"),
                    }
                }) as Flight
            }),
        };
        Running {
            of,
            future,
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
                if let Whose::Roll(rolled) = &mut journal.whose {
                    let now = self.bench.now();
                    let due = rolled.due(self.cell.verb, now);
                    if let Some((task, _)) = due {
                        rolled.hears(RollInput::Operation(task, outcome.clone()), now);
                    }
                }
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
        let journal = self.journal.lock().expect("one thread");
        // What a target that lies says is over may be at work, and its loan off the ledger by then.
        let lied = self.cell.answer == Answer::DoneEarly && promise != Promise::StateOnly;
        if let Whose::Roll(rolled) = &journal.whose
            && !lied
        {
            judge::drained(&world, &rolled.roll, &mut self.verdict);
        }
        drop(journal);
        for life in lives {
            if let Some((result, truth)) = &life.said {
                judge::result(&self.cell, &world, result, *truth, &mut self.verdict);
            }
        }
    }
}

/// A world with one guest, of which a verb can be asked.
fn of_guest(verb: Verb, promise: Promise, staged: OpKey) -> World {
    let mut world = World::new(start(), &[GUEST], promise);
    let guest = world.guests.get_mut(GUEST).expect("it is there");
    match verb {
        Verb::Apply | Verb::RollBack | Verb::Discard => {
            guest.kept.insert(staged);
        }
        Verb::GiveBack => guest.held.take(staged, BracketKind::Silence, None),
        _ => {}
    }
    if verb == Verb::RollBack {
        guest.version = NEW.to_owned();
    }
    world
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
