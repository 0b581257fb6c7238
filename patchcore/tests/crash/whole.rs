//! Whole runs: the production kernels and the production effects, stepped from the first decision to the last.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use patchcore::{
    Result, Timestamp,
    execute::{
        kernel::{
            self, Command, ComponentEvent, Effect, Event, Index, Input, Moment, Phase, Resolution,
            RollInput, RunStatus, Step, Task,
        },
        step::{self, Locked, WatchedLock},
    },
    id::{ComponentId, PersonId, RunId},
    provider::Claim,
};

use super::{
    axes::Class,
    book::{Book, Journal, Pen, RollPen, Story, lock, of_roll},
    brackets::HeldSaid,
    cases::Case,
    cluster::CLUSTER,
    judge::{self, Invariant, Told, Verdict},
    locks::LockSaid,
    micro::start,
    stepper::{At, Bench, FOREVER, Port, Stop, context, poll_once, ports},
};

/// What has something on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Flying {
    Component(ComponentId),
    Roll(Task),
}

/// What it came to.
enum Landed {
    Component(Option<Input>),
    Roll(Box<RollInput>),
}

type Flight = Pin<Box<dyn Future<Output = Result<Landed>> + Send>>;

/// One process that drives the run.
struct Process<'a> {
    case: &'a Case,
    book: Book,
    /// The fences under which earlier processes held locks when this one started.
    locked_before: BTreeMap<ComponentId, u64>,
    in_flight: BTreeMap<Flying, Flight>,
    /// Its journal refused it: what it has in flight comes to its end, and nothing follows.
    is_refused: bool,
}

enum Turn {
    /// Only time, or a person, changes anything.
    Idle(Option<Timestamp>),
    Ended,
    /// It reached its point.
    Stopped,
    /// Its journal refused it.
    Broken,
}

impl Process<'_> {
    /// Everything that can be done at this moment.
    fn turn(&mut self) -> Turn {
        while self.is_refused {
            match self.hear() {
                Some(Ok(())) => {}
                Some(Err(turn)) => return turn,
                None if self.in_flight.is_empty() => return Turn::Broken,
                None => return Turn::Idle(None),
            }
        }
        loop {
            let story = Arc::clone(&self.book.story);
            let story = lock(&story);
            let (envelope, schedule) = (&self.case.plan.envelope, &self.case.plan.schedule);
            let mut index = Index::new(envelope, schedule, &story.components);
            let decision = self.moment(&story).advance(&mut index);
            if !decision.is_empty() {
                drop(story);
                let run = decision.run.into_iter().map(|e| (None, Event::Run(e)));
                let components = decision
                    .components
                    .into_iter()
                    .map(|(c, e)| (Some(c), Event::Component(e)));
                let events = run.chain(components).collect();
                match self.decided(events, Class::DecisionLost, Class::DecisionDurable) {
                    None => continue,
                    Some(turn) => return turn,
                }
            }
            if matches!(story.run.status, RunStatus::Ended { .. }) {
                return Turn::Ended;
            }
            self.start(&story);
            drop(story);
            match self.hear() {
                Some(Ok(())) => {}
                Some(Err(turn)) => return turn,
                None => return Turn::Idle(decision.wake),
            }
        }
    }

    fn moment<'m>(&'m self, story: &'m Story) -> Moment<'m> {
        static NOBODY: BTreeSet<(ComponentId, ComponentId)> = BTreeSet::new();
        Moment {
            run_id: RunId(1),
            envelope: &self.case.plan.envelope,
            schedule: &self.case.plan.schedule,
            calendar: &self.case.calendar,
            run: &story.run,
            components: &story.components,
            coming: &NOBODY,
            now: context(&self.book.of).now(),
        }
    }

    fn decided(
        &self,
        events: Vec<(Option<ComponentId>, Event)>,
        lost: Class,
        durable: Class,
    ) -> Option<Turn> {
        if self.book.of.stops_at(lost) {
            return Some(Turn::Stopped);
        }
        if self.book.commit(events).is_err() {
            return Some(Turn::Broken);
        }
        self.book.of.stops_at(durable).then_some(Turn::Stopped)
    }

    fn start(&mut self, story: &Story) {
        for target in &self.case.plan.envelope.targets {
            let component = &target.component;
            let state = &story.components[component];
            if self
                .in_flight
                .contains_key(&Flying::Component(component.clone()))
                || story.run.held_before(component, state).is_some()
            {
                continue;
            }
            let effect = state.effect(target, component, "j", RunId(1));
            if effect == Effect::None {
                continue;
            }
            let port = Arc::new(Port(Arc::clone(&self.book.of)));
            let pen = Pen {
                book: self.book.clone(),
                component: component.clone(),
            };
            let doing = step::carry_out(
                effect,
                target,
                state,
                ports(&port, self.lock(component)),
                context(&self.book.of),
                Arc::new(pen),
            );
            let flight = async move { doing.await.map(Landed::Component) };
            self.in_flight
                .insert(Flying::Component(component.clone()), Box::pin(flight));
        }
        self.start_rolling(story);
    }

    fn start_rolling(&mut self, story: &Story) {
        for (cluster, roll) in &story.run.rolls {
            let flying = self.in_flight.keys().filter_map(|flying| match flying {
                Flying::Roll(task) => Some(task.clone()),
                Flying::Component(_) => None,
            });
            let (flying, mut begins) = (flying.collect(), Vec::new());
            let moment = self.moment(story).roll(cluster, roll);
            for task in moment.begins(&flying) {
                let Some(effect) = moment.effect(&task, "j", RunId(1)) else {
                    continue;
                };
                let port = Arc::new(Port(Arc::clone(&self.book.of)));
                let pen = RollPen {
                    book: self.book.clone(),
                    cluster: cluster.clone(),
                };
                let rolling = step::carry_out_roll(
                    effect,
                    task.clone(),
                    &moment,
                    ports(&port, None),
                    context(&self.book.of),
                    Arc::new(pen),
                );
                let flight = async move {
                    let input = rolling.await?;
                    Ok(Landed::Roll(Box::new(input)))
                };
                begins.push((Flying::Roll(task), Box::pin(flight) as Flight));
            }
            self.in_flight.extend(begins);
        }
    }

    fn lock(&self, component: &ComponentId) -> Option<Locked> {
        let number = self.book.of.number;
        let watched = || WatchedLock {
            lock: Port(Arc::clone(&self.book.of)),
            watch: Port(Arc::clone(&self.book.of)),
        };
        self.case.locks.then(|| Locked {
            port: Arc::new(watched()),
            claim: Claim::new(
                "j",
                format!("o{number}"),
                number,
                format!("process {number}"),
            ),
            earlier: self.locked_before.get(component).copied(),
        })
    }

    /// The first answer that comes in; none if nobody gets on.
    fn hear(&mut self) -> Option<std::result::Result<(), Turn>> {
        let flying: Vec<Flying> = self.in_flight.keys().cloned().collect();
        for what in flying {
            let flight = self.in_flight.get_mut(&what)?;
            let answer = poll_once(flight);
            if self.book.of.is_stopped() {
                return Some(Err(Turn::Stopped));
            }
            let Poll::Ready(answer) = answer else {
                continue;
            };
            self.in_flight.remove(&what);
            let (lost, durable) = match &answer {
                Ok(Landed::Component(Some(Input::Unlocked { .. }))) => {
                    (Class::UnlockedLost, Class::UnlockedDurable)
                }
                _ => (Class::OutcomeLost, Class::OutcomeDurable),
            };
            let story = lock(&self.book.story);
            let events = match (what, answer) {
                (Flying::Component(component), Ok(Landed::Component(Some(input)))) => {
                    let envelope = &self.case.plan.envelope;
                    let target = envelope.target(&component).expect("it is in the plan");
                    let state = &story.components[&component];
                    kernel::decide(target, &envelope.on_fail, state, &input)
                        .into_iter()
                        .map(|e| (Some(component.clone()), Event::Component(e)))
                        .collect()
                }
                (Flying::Roll(_), Ok(Landed::Roll(input))) => {
                    let (cluster, roll) = story.run.rolls.first_key_value()?;
                    let moment = self.moment(&story).roll(cluster, roll);
                    let events = kernel::decide_roll(&moment, *input).into_iter();
                    events.map(|event| of_roll(cluster, event)).collect()
                }
                _ => return Some(Err(Turn::Broken)),
            };
            drop(story);
            let turn = self.decided(events, lost, durable);
            return Some(turn.map_or(Ok(()), Err));
        }
        None
    }
}

/// Where a run is hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hurt {
    pub(crate) first: At,
    pub(crate) second: At,
    /// The first process sleeps at its point instead of dying there, and wakes up after so many of the second one's.
    pub(crate) wakes_after: Option<usize>,
}

impl Hurt {
    pub(crate) const NOT: Self = Self {
        first: At::Nowhere,
        second: At::Nowhere,
        wakes_after: None,
    };
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// How many points the first and the second process passed.
    pub(crate) passed: [usize; 2],
    pub(crate) classes: BTreeSet<Class>,
    /// Versions, restarts and phases at the end.
    pub(crate) end: Vec<String>,
    /// What the world and the journal were like after the first crash, in short.
    pub(crate) state: Option<String>,
    /// What the locks of targets said.
    pub(crate) lock_says: Vec<LockSaid>,
    /// What was said of what is held around changes.
    pub(crate) held_says: Vec<HeldSaid>,
}

struct Run<'a> {
    case: &'a Case,
    bench: Bench,
    journal: Arc<Mutex<Journal>>,
    verdict: Verdict,
    resolved: usize,
    lifted: bool,
    /// A person said of these that they are done, or that they stay as they are: no longer for us to know.
    attested: BTreeSet<ComponentId>,
    /// What somebody holds before its step.
    held: Vec<(Step, Option<ComponentId>)>,
    /// The number of the process that sleeps.
    zombie: Option<u64>,
}

/// Drives a run to its end, hurt as wanted.
pub(crate) fn run(case: &Case, hurt: Hurt, end: Option<&[String]>) -> Report {
    let mut journal = Journal::default();
    if let Some((_, planned)) = &case.rolls {
        let (_, event) = of_roll(&CLUSTER.into(), planned.clone());
        journal.entries.push((None, event, start()));
    }
    let mut run = Run {
        case,
        bench: Bench::new(case.world(start())),
        journal: Arc::new(Mutex::new(journal)),
        verdict: Verdict::default(),
        resolved: 0,
        lifted: false,
        attested: BTreeSet::new(),
        held: Vec::new(),
        zombie: hurt.wakes_after.map(|_| 1),
    };
    let mut report = run.go(hurt);
    if let Some(end) = end {
        let there = report.end.clone();
        run.verdict.must(there == end, Invariant::SameEnd, || {
            format!("{there:?}, and without the crash {end:?}")
        });
    }
    report.verdict = run.verdict;
    report
}

impl<'a> Run<'a> {
    fn process(&self, at: At) -> Process<'a> {
        let of = self.bench.incarnation(Stop::Crash, at);
        let mut story = Story::empty(self.case);
        let mut journal = lock(&self.journal);
        journal.epoch = of.number;
        for entry in &journal.entries {
            story.evolve(entry);
        }
        let locked_before = story
            .components
            .iter()
            .filter_map(|(component, state)| Some((component.clone(), (*state.lock)?.fence)))
            .collect();
        let book = Book {
            of,
            journal: Arc::clone(&self.journal),
            story: Arc::new(Mutex::new(story)),
        };
        Process {
            case: self.case,
            locked_before,
            book,
            in_flight: BTreeMap::new(),
            is_refused: false,
        }
    }

    fn go(&mut self, hurt: Hurt) -> Report {
        let mut report = Report {
            verdict: Verdict::default(),
            passed: [0, 0],
            classes: BTreeSet::new(),
            end: Vec::new(),
            state: None,
            lock_says: Vec::new(),
            held_says: Vec::new(),
        };
        let mut zombie = None;
        let mut life = self.process(hurt.first);
        self.hold(&life);
        let stopped = self.live(&mut life, &mut None, usize::MAX);
        report.passed[0] = life.book.of.passed();
        report.classes.extend(life.book.of.reached());
        if stopped {
            self.explained(&life);
            if hurt.wakes_after.is_some() {
                zombie = Some(life);
            } else {
                drop(life);
            }
            self.bench
                .move_to(self.bench.now() + Duration::from_secs(120));
            report.state = Some(self.state());
            let mut next = self.process(hurt.second);
            let after = hurt.wakes_after.unwrap_or(usize::MAX);
            let stopped = self.live(&mut next, &mut zombie, after);
            report.passed[1] = next.book.of.passed();
            life = next;
            if stopped {
                self.explained(&life);
                drop(life);
                self.bench
                    .move_to(self.bench.now() + Duration::from_secs(120));
                life = self.process(At::Nowhere);
                self.live(&mut life, &mut None, usize::MAX);
            }
        }
        self.at_the_end(&life);
        report.end = self.end(&life);
        (report.lock_says, report.held_says) = self
            .bench
            .world(|w| (w.lock_says.clone(), w.brackets.says.clone()));
        report
    }

    /// Somebody sets the pause points of the case before anything happens.
    fn hold(&mut self, life: &Process<'_>) {
        for (step, component) in &self.case.pauses {
            let component = component.map(ComponentId::from);
            let step = *step;
            let command = Command::PauseBefore { step, component };
            self.steer(life, &command);
            let Command::PauseBefore { step, component } = command else {
                return;
            };
            self.held.push((step, component));
        }
    }

    /// Carries a command out; false where it is refused.
    fn steer(&self, life: &Process<'_>, command: &Command) -> bool {
        let story = lock(&life.book.story).clone();
        let steered = kernel::steer(
            &self.case.plan.envelope,
            &story.run,
            &story.components,
            &PersonId::from("maria"),
            "because",
            command,
        );
        let Ok(steered) = steered else { return false };
        let run = steered.run.into_iter().map(|e| (None, Event::Run(e)));
        let components = steered
            .components
            .into_iter()
            .map(|(c, e)| (Some(c), Event::Component(e)));
        life.book.commit(run.chain(components).collect()).is_ok()
    }

    /// Lives until the run has ended; true if it is stopped before. A zombie wakes up after so many of its points, or
    /// when the run has ended.
    fn live(
        &mut self,
        life: &mut Process<'_>,
        zombie: &mut Option<Process<'_>>,
        wakes_after: usize,
    ) -> bool {
        let until = self.bench.now() + FOREVER;
        let mut ended = false;
        let mut awake = false;
        let mut zombie_over = zombie.is_none();
        loop {
            let mut wakes: Vec<Timestamp> = Vec::new();
            if !ended {
                match life.turn() {
                    Turn::Idle(wake) => {
                        wakes.extend(wake);
                        if wake.is_none() && self.bench.next_wake().is_none() {
                            if !self.somebody_steers(life) {
                                self.verdict.must(false, Invariant::Ends, || {
                                    "nothing happens any more".to_owned()
                                });
                                return false;
                            }
                            continue;
                        }
                    }
                    Turn::Ended => ended = true,
                    Turn::Stopped => return true,
                    Turn::Broken => {
                        self.verdict.must(false, Invariant::Ends, || {
                            "the journal refused its own driver".to_owned()
                        });
                        return false;
                    }
                }
                self.explained(life);
            }
            if let Some(zombie) = zombie
                && !zombie_over
            {
                if !awake && (ended || life.book.of.passed() >= wakes_after) {
                    zombie.book.of.wake();
                    awake = true;
                }
                if awake {
                    match zombie.turn() {
                        Turn::Idle(wake) => wakes.extend(wake),
                        // Its journal refuses it. What it has in flight goes on until it is stopped, too.
                        Turn::Broken => {
                            zombie.is_refused = true;
                            zombie_over = zombie.in_flight.is_empty();
                        }
                        Turn::Ended | Turn::Stopped => zombie_over = true,
                    }
                }
            }
            if ended && zombie_over {
                return false;
            }
            wakes.extend(self.bench.next_wake());
            let now = self.bench.now();
            match wakes.into_iter().filter(|at| *at > now).min() {
                Some(wake) if wake <= until => self.bench.move_to(wake),
                _ if ended => return false,
                // Whoever slept was the last that waited for a time.
                None if self.somebody_steers(life) => {}
                _ => {
                    self.verdict
                        .must(false, Invariant::Ends, || "it never ends".to_owned());
                    return false;
                }
            }
        }
    }

    /// At rest: somebody does what the run waits for; false if there is nothing.
    fn somebody_steers(&mut self, life: &Process<'_>) -> bool {
        let story = lock(&life.book.story).clone();
        let find = |phase: Phase| {
            let mut found = story.components.iter().filter(|(_, s)| s.phase == phase);
            found.next().map(|(c, _)| c.clone())
        };
        let mut commands = Vec::new();
        if let Some(point) = story.run.pause_points.first() {
            let (step, component) = (point.step, point.component.clone());
            self.held.retain(|held| *held != (step, component.clone()));
            commands.push(Command::UnpauseBefore { step, component });
        } else if let Some(component) = find(Phase::Quarantined) {
            self.resolved += 1;
            let wanted = if self.resolved > 4 {
                Resolution::Abandon
            } else {
                self.case.resolution
            };
            for how in [wanted, Resolution::Abandon] {
                let component = component.clone();
                commands.push(Command::Resolve { component, how });
            }
        } else if let Some(component) = find(Phase::AwaitWayBack) {
            let how = Resolution::RollBack;
            commands.push(Command::Resolve { component, how });
        } else if matches!(story.run.status, RunStatus::Halted { .. }) {
            let lift = self.case.lifts && !self.lifted;
            self.lifted = true;
            commands.push(if lift {
                Command::LiftHalt
            } else {
                Command::End
            });
        } else if story.run.status == RunStatus::Open {
            // Somebody who is left as it is holds the slot that the others wait for.
            commands.push(Command::Cancel);
        }
        for command in commands {
            if !self.steer(life, &command) {
                continue;
            }
            if let Command::Resolve {
                component,
                how: Resolution::Abandon | Resolution::AdoptDone,
            } = &command
            {
                self.attested.insert(component.clone());
            }
            return true;
        }
        false
    }

    /// What the world holds beside what the journal tells, at this moment.
    fn explained(&mut self, life: &Process<'_>) {
        let story = lock(&life.book.story);
        let mut verdict = Verdict::default();
        self.bench.world(|world| {
            judge::explained(world, &self.told(&story), &mut verdict);
            judge::paused(world, &self.held, &mut verdict);
            for roll in story.run.rolls.values() {
                judge::drained(world, roll, &mut verdict);
                judge::known(world, roll, &mut verdict);
            }
        });
        self.verdict.0.extend(verdict.0);
    }

    fn told<'s>(&'s self, story: &'s Story) -> Told<'s> {
        Told {
            state: &story.run,
            components: &story.components,
            attested: &self.attested,
            resolved: self.resolved,
        }
    }

    fn at_the_end(&mut self, life: &Process<'_>) {
        let story = lock(&life.book.story).clone();
        let world = self.bench.world(|w| w.clone());
        let mut verdict = Verdict::default();
        let promise = |v| *self.case.promises.get(&v).unwrap_or(&self.case.promise);
        judge::operations(&world, promise, false, &mut verdict);
        judge::at_the_end(&world, &self.told(&story), &mut verdict);
        for roll in story.run.rolls.values() {
            judge::rolled(&world, roll, &mut verdict);
        }
        judge::locks(
            &world,
            &self.told(&story),
            &self.lapsing(),
            self.zombie,
            &mut verdict,
        );
        judge::budgets(
            &world,
            &self.case.plan.envelope,
            &BTreeSet::new(),
            &mut verdict,
        );
        self.verdict.0.extend(verdict.0);
    }

    /// Whose lock the journal leaves to lapse.
    fn lapsing(&self) -> BTreeSet<ComponentId> {
        let journal = lock(&self.journal);
        let entries = journal.entries.iter().filter(|(_, event, _)| {
            let Event::Component(event) = event else {
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
        entries.filter_map(|(c, ..)| c.clone()).collect()
    }

    fn end(&self, life: &Process<'_>) -> Vec<String> {
        let story = lock(&life.book.story).clone();
        self.bench.world(|w| judge::end(w, &story.components))
    }

    /// World and journal, in short: two runs with the same go on in the same way.
    fn state(&self) -> String {
        let journal = lock(&self.journal);
        let mut story = Story::empty(self.case);
        for entry in &journal.entries {
            story.evolve(entry);
        }
        let world = self.bench.world(|w| format!("{w:?}"));
        let told = format!("{story:?} {world} {} {}", self.resolved, self.lifted);
        patchcore::digest::sha256_hex(told.as_bytes())
    }
}
