//! The embedded driver: one loop over state machines. It decides nothing and changes nothing itself: kernels
//! decide, the journal records, `ensure` and `looks` act.

mod alarm;
mod locks;
mod rolls;
mod steering;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use self::{alarm::Alarm, locks::Unlocks};
use super::{
    Standing, checkpoint,
    checkpoint::Keeper,
    doing::{Asked, Doing, Recorder},
    ensure::Record as _,
    journal::{Driving, Journal},
    kernel::{
        self, Command, ComponentEvent, Decision, Effect, Event, Index, Input, Moment, RollEvent,
        RollInput, RunEvent, RunStatus, Task, Wait,
    },
    lock::Locker,
    story::Story,
    supervise::{self, Callers},
    turn::Turn,
    workers::Workers,
};
use crate::{
    clock::{AtWork, SharedClock, later},
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, PersonId, ProviderName},
    policy::Calendar,
    provider::{
        Bracket, CancelToken, Claim, ClusterDrainer, Deployer, HealthProbe, OpContext, Progress,
        TargetLock,
    },
};

/// What is not worth a transaction of its own waits no longer for one: a person who reads along from another process does
/// not notice.
const WRITTEN_WITHIN: Duration = Duration::from_millis(250);

/// Commands of other processes are looked for this often: a person at a terminal does not notice two seconds.
const INBOX: Duration = Duration::from_secs(2);

/// How many effects are in flight at once; more wait for their turn, those first that are out of service already.
/// Each costs some kilobytes, and more do not make one journal faster.
const MOST_IN_FLIGHT: usize = 2000;

/// While something is in flight, what is waited for is told anew this often: it names everybody, and who reads it is
/// a person.
const TELL: Duration = Duration::from_secs(1);

/// How many messages one turn hears: as many as one commit takes without delaying its first caller.
const HEARD: usize = 2000;

/// The ports a run needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tools {
    pub(crate) deployers: BTreeMap<ProviderName, Arc<dyn Deployer>>,
    pub(crate) probes: Arc<BTreeMap<ProviderName, Arc<dyn HealthProbe>>>,
    pub(crate) brackets: Arc<BTreeMap<ProviderName, Arc<dyn Bracket>>>,
    pub(crate) drainers: BTreeMap<ProviderName, Arc<dyn ClusterDrainer>>,
    pub(crate) locks: BTreeMap<ProviderName, Arc<dyn TargetLock>>,
    /// Whose calls never block their thread.
    pub(crate) never_block: Arc<BTreeSet<ProviderName>>,
    /// How many events are recorded until what they come to is kept again, where it is not the usual.
    pub(crate) checkpoint_every: Option<u64>,
    /// How long a holding of a target's lock lasts without a sign of life, where it is not the usual.
    pub(crate) lease: Option<Duration>,
}

impl Tools {
    /// On whose behalf the locks of targets are taken.
    fn claim(&self, journal: &Journal) -> Arc<Claim> {
        let holder = journal.holder().to_string();
        let claim = Claim::new(journal.uid(), journal.opening(), journal.epoch(), holder);
        let lease = self.lease.unwrap_or(claim.lease);
        Arc::new(claim.with_lease(lease))
    }
}

/// What is said to a driver.
pub(crate) enum Message {
    /// An effect wants a decision to be durable before it goes on.
    Record {
        component: ComponentId,
        event: ComponentEvent,
        ack: oneshot::Sender<Result<()>>,
    },
    /// An effect of a cluster's roll wants a decision to be durable before it goes on.
    RecordRoll {
        cluster: ComponentId,
        event: RollEvent,
        ack: oneshot::Sender<Result<()>>,
    },
    /// An effect of a cluster's roll is over.
    RollDone {
        cluster: ComponentId,
        task: Task,
        input: Result<RollInput>,
        at_work: AtWork,
    },
    /// An effect is about to begin, and asks whether the run is still ours.
    MayBegin { ack: oneshot::Sender<Result<()>> },
    /// An effect tells how far it is.
    Progressed {
        component: ComponentId,
        progress: Progress,
    },
    /// An effect is over. Its guard travels along, so that virtual time waits until this is heard.
    Done {
        component: ComponentId,
        input: Result<Option<Input>>,
        at_work: AtWork,
    },
    /// A person steers.
    Steer {
        by: PersonId,
        reason: String,
        command: Command,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Whoever waits has no more patience.
    Park,
}

/// What a handle holds of a run that is driven.
#[derive(Debug)]
pub(crate) struct Reins {
    /// To say something to the driver.
    pub(crate) sender: mpsc::UnboundedSender<Message>,
    /// How the run stands.
    pub(crate) standing: watch::Receiver<Standing>,
    /// What each operation in flight said last. It concerns this process only, so no journal keeps it.
    pub(crate) progress: watch::Receiver<BTreeMap<ComponentId, Progress>>,
}

pub(crate) struct Driver {
    journal: Journal,
    clock: SharedClock,
    tools: Tools,
    callers: Callers,
    story: Story,
    calendar: Calendar,
    /// The fences under which an earlier incarnation held locks, by the place in the envelope.
    locked_before: BTreeMap<u32, u64>,
    claim: Arc<Claim>,
    /// What deciding asks of all components.
    index: Index,
    /// Whose effect is on its way, by the place in the envelope.
    in_flight: BTreeSet<u32>,
    /// Which effects of which cluster's roll are on their way.
    rolling: BTreeSet<(ComponentId, Task)>,
    /// Who may need an effect; those first that have begun.
    next: BTreeSet<(bool, u32)>,
    /// Who gives its lock back, and when, unless its next step comes before.
    unlocks: Unlocks,
    /// Who is held before its next step, until the run as a whole says something.
    held: Vec<u32>,
    inbox: mpsc::UnboundedReceiver<Message>,
    sender: mpsc::WeakUnboundedSender<Message>,
    standing: watch::Sender<Standing>,
    progress: watch::Sender<BTreeMap<ComponentId, Progress>>,
    parking: bool,
    /// Given back before anybody hears that it is parked or over, who may reopen it at once.
    _driving: Driving,
    cancel: CancelToken,
    /// What this turn decides.
    turn: Turn,
    /// What is to be kept of what was recorded.
    keeper: Keeper,
    /// By when what may be lost is written, where something waits for a transaction.
    unwritten: Option<Timestamp>,
    /// When the inbox of other processes is looked at again.
    next_look: Timestamp,
    /// When what is waited for is told again.
    next_tell: Timestamp,
    /// Held while the loop works or sleeps for a time; let go while it waits for others only, because virtual
    /// time would else wait for it.
    at_work: Option<AtWork>,
}

impl Driver {
    /// A driver for a run as its journal tells it.
    pub(crate) fn new(
        journal: Journal,
        clock: SharedClock,
        tools: Tools,
        story: Story,
        driving: Driving,
    ) -> Result<(Self, Reins)> {
        let envelope = &story.plan.envelope;
        let calendar = Calendar::new(&envelope.windows, &envelope.blackouts)?;
        let (sender, inbox) = mpsc::unbounded_channel();
        let (standing, seen) = watch::channel(Standing::Working { waits: Vec::new() });
        let (progress, heard) = watch::channel(BTreeMap::new());
        let targets = || (0..).zip(&envelope.targets);
        let acts = |component| story.components.get(component).is_some_and(|s| s.acts());
        let callers = Callers::On {
            workers: Workers::start_in_this_runtime(),
            never_block: Arc::clone(&tools.never_block),
        };
        #[cfg(feature = "crash")]
        let callers = match journal.is_in_step() {
            true => Callers::InStep,
            false => callers,
        };
        let driver = Self {
            index: Index::new(envelope, &story.plan.schedule, &story.components),
            next: targets()
                .filter(|(_, target)| acts(&target.component))
                .map(|(place, _)| (false, place))
                .collect(),
            next_tell: clock.now(),
            held: Vec::new(),
            unlocks: Unlocks::default(),
            locked_before: targets()
                .filter_map(|(place, target)| {
                    let lock = (*story.components.get(&target.component)?.lock)?;
                    Some((place, lock.fence))
                })
                .collect(),
            claim: tools.claim(&journal),
            next_look: clock.now(),
            turn: Turn::default(),
            keeper: Keeper::new(&story, tools.checkpoint_every.unwrap_or(checkpoint::EVERY))?,
            unwritten: None,
            callers,
            sender: sender.downgrade(),
            in_flight: BTreeSet::new(),
            rolling: BTreeSet::new(),
            parking: false,
            _driving: driving,
            cancel: CancelToken::new(),
            at_work: None,
            journal,
            clock,
            tools,
            story,
            calendar,
            inbox,
            standing,
            progress,
        };
        let reins = Reins {
            sender,
            standing: seen,
            progress: heard,
        };
        Ok((driver, reins))
    }

    /// Drives the run until it is over, parked, or its journal fails.
    pub(crate) async fn drive(mut self) {
        self.at_work = Some(self.clock.at_work());
        let driven = supervise::caught(self.run()).await.unwrap_or_else(|said| {
            Err(Error::new(
                ErrorKind::ProviderFault,
                format!("whoever drives the run panicked: {said}"),
            )
            .operation("drive")
            .hint("report it with these words; the journal holds everything up to here"))
        });
        let last = driven.unwrap_or_else(|error| {
            // Those that are on their way must begin nothing any more: another process may have the run.
            self.cancel.cancel();
            std::mem::take(&mut self.turn).breaks(&error);
            tracing::error!(run = %self.story.run, error = %error.chain(), "the run stops");
            Some(Standing::Broken {
                failure: Failure::from(&error),
            })
        });
        let (standing, at_work) = (self.standing.clone(), self.at_work.take());
        // Whoever hears that it is over may close its journal, or open it anew, at once.
        drop(self);
        if let Some(last) = last {
            standing.send_replace(last);
        }
        drop(at_work);
    }

    /// Answers how it stands at last, where that was not told.
    async fn run(&mut self) -> Result<Option<Standing>> {
        let mut alarm = Alarm::default();
        loop {
            if self.clock.now() >= self.next_look {
                self.look().await?;
            }
            if self.unwritten.is_some_and(|by| self.clock.now() >= by) {
                self.write().await?;
            }
            self.unlock_in_time();
            let decision = self.decide().await?;
            self.commit().await?;
            if let RunStatus::Ended { verdict } = self.story.state.status {
                return Ok(Some(Standing::Ended { verdict }));
            }
            self.start_effects();
            self.start_rolling();
            // While nothing is in flight nobody is held up by it.
            while self.keep().await? && self.is_idle() {}
            if self.is_idle() {
                // Nothing will take along what waits for a transaction.
                self.write().await?;
            }
            let standing = self.stands();
            let parked = matches!(standing, Some(Standing::Parked { .. }));
            let at_rest = matches!(standing, Some(Standing::AtRest { .. }));
            // Who is told of a time must hear when it has come, also where nothing can be decided then.
            let told = match &standing {
                Some(Standing::Waiting { until, .. }) if *until > self.clock.now() => Some(*until),
                _ => None,
            };
            if parked {
                return Ok(standing);
            }
            if let Some(standing) = standing {
                self.standing.send_if_modified(|now| {
                    let changed = *now != standing;
                    *now = standing;
                    changed
                });
            }
            let unlock = self.unlocks.first();
            let wake = decision.wake.or(told).into_iter().chain(unlock).min();
            if !self.wait(wake, &mut alarm).await? && at_rest {
                // Nobody holds a handle, and only a person could make it go on: another process may.
                return Ok(None);
            }
        }
    }

    /// Decides everything that follows by itself. What is much is recorded in several transactions.
    async fn decide(&mut self) -> Result<Decision> {
        loop {
            let decision = self.advance(|moment, index| moment.events(index));
            if decision.is_empty() {
                return Ok(decision);
            }
            self.record(decision.run, decision.components);
            if self.turn.is_large() {
                self.commit().await?;
            }
        }
    }

    /// Asks the kernel.
    fn advance<T>(&mut self, ask: impl FnOnce(Moment<'_>, &mut Index) -> T) -> T {
        let story = &self.story;
        let mut state = std::borrow::Cow::Borrowed(&story.state);
        if self.parking && state.paused.is_none() {
            // Parking pauses without a word in the journal: it concerns this process only.
            state.to_mut().paused = Some((PersonId::from("patchcore"), "parking".to_owned()));
        }
        let coming = self.rolling.iter();
        let coming = coming.filter_map(|(by, task)| Some((by.clone(), task.takes_away()?.clone())));
        let coming = coming.collect();
        let moment = Moment {
            run_id: story.run,
            envelope: &story.plan.envelope,
            schedule: &story.plan.schedule,
            calendar: &self.calendar,
            run: &state,
            components: &story.components,
            coming: &coming,
            now: self.clock.now(),
        };
        ask(moment, &mut self.index)
    }

    /// Takes decisions into the turn.
    fn record(&mut self, run: Vec<RunEvent>, components: Vec<(ComponentId, ComponentEvent)>) {
        let at = self.clock.now();
        if !run.is_empty() {
            self.next_tell = at;
        }
        for event in run {
            self.turn
                .decide(&mut self.story, at, None, Event::Run(event));
            for place in std::mem::take(&mut self.held) {
                self.may_act(place);
            }
        }
        for (component, event) in components {
            let place = self.place(&component);
            let event = Event::Component(event);
            self.turn
                .decide(&mut self.story, at, Some(component.clone()), event);
            if let (Some(place), Some(state)) = (place, self.story.components.get(&component)) {
                self.index.changed(place, state);
                self.keeper.changed(place);
                self.unlocks.forget(place);
                self.may_act(place);
            }
        }
    }

    /// The place of a component in the envelope.
    fn place(&self, component: &ComponentId) -> Option<u32> {
        let targets = &self.story.plan.envelope.targets;
        let place = targets
            .binary_search_by(|t| t.component.cmp(component))
            .ok()?;
        u32::try_from(place).ok()
    }

    /// The component at a place may need an effect.
    fn may_act(&mut self, place: u32) {
        let target = self.story.plan.envelope.targets.get(place as usize);
        let state = target.and_then(|t| self.story.components.get(&t.component));
        if let Some(state) = state.filter(|s| s.acts()) {
            let fresh = state.generations.is_empty() && state.op.is_none();
            self.next.insert((fresh, place));
        }
    }

    /// Records the turn, unless that may wait for the next one, and answers those who wait for it. Nothing starts before.
    async fn commit(&mut self) -> Result<()> {
        self.turn.is_followed = self.journal.is_followed();
        if self.turn.wants_confirmation() {
            self.until_free(|| self.journal.confirm()).await?;
        }
        if self.turn.may_wait() && !self.turn.is_large() {
            if !self.turn.is_empty() {
                let by = later(self.clock.now(), WRITTEN_WITHIN);
                self.unwritten.get_or_insert(by);
            }
        } else {
            self.write().await?;
        }
        if std::mem::take(&mut self.turn.steered) {
            // Whoever asked and then waits must not see how it stood before.
            let waits = Vec::new();
            self.standing.send_replace(Standing::Working { waits });
        }
        self.turn.go_on();
        Ok(())
    }

    /// Records what is decided, in one transaction.
    async fn write(&mut self) -> Result<()> {
        self.unwritten = None;
        if !self.turn.is_empty() {
            let append = || self.turn.append(&self.story, &self.journal);
            let seqs = self.until_free(append).await?;
            if let Some(seq) = seqs.last() {
                self.story.seq = *seq;
            }
            self.turn.recorded();
        }
        Ok(())
    }

    /// Keeps some of what events come to, where it is time; answers whether there was something.
    async fn keep(&mut self) -> Result<bool> {
        if !self.keeper.is_due(&self.story) {
            return Ok(false);
        }
        // What is kept goes up to the last event that is recorded.
        self.write().await?;
        let Some((rows, upto)) = self.keeper.next(&self.story)? else {
            return Ok(false);
        };
        let run = self.story.run;
        self.until_free(|| self.journal.checkpoint(run, rows.clone(), upto))
            .await?;
        Ok(true)
    }

    /// A journal that another program holds up is asked until it is free, for that is no reason to give up a run.
    /// It waits for some seconds itself before it says so.
    async fn until_free<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> Result<T> {
        loop {
            match ask().await {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(run = %self.story.run, error = %error.chain(), "the run waits for its journal");
                    let why = error.to_string();
                    // Told until something else is: the next turn tells anew.
                    self.standing.send_replace(Standing::Waiting {
                        until: self.clock.now(),
                        waits: vec![Wait::Journal { why }],
                    });
                }
                answer => return answer,
            }
        }
    }

    fn start_effects(&mut self) {
        let Some(sender) = self.sender.upgrade().or_else(|| self.own_sender()) else {
            return;
        };
        while self.in_flight.len() < MOST_IN_FLIGHT {
            let Some((_, place)) = self.next.pop_first() else {
                return;
            };
            let story = &self.story;
            let Some(target) = story.plan.envelope.targets.get(place as usize) else {
                continue;
            };
            let component = &target.component;
            let Some(state) = story.components.get(component) else {
                continue;
            };
            if self.in_flight.contains(&place) {
                // What it finds leads on.
                continue;
            }
            if story.state.held_before(component, state).is_some() {
                self.held.push(place);
                continue;
            }
            let effect = state.effect(target, component, self.journal.uid(), story.run);
            if effect == Effect::None {
                continue;
            }
            if let Some(until) = self.keeps_lock(&effect, state, &target.ring) {
                self.unlocks.set(place, until);
                continue;
            }
            let recorder = Recorder {
                component: component.clone(),
                sender: sender.clone(),
            };
            let heard = recorder.clone();
            let doing = Doing {
                component: component.clone(),
                known_as: target.known_as.clone(),
                deployer: self.tools.deployers.get(&target.tool).cloned(),
                tool: target.tool.clone(),
                callers: self.callers.clone(),
                probes: Arc::clone(&self.tools.probes),
                brackets: Arc::clone(&self.tools.brackets),
                ctx: OpContext::reading(
                    Arc::clone(&self.clock),
                    Timestamp::MAX,
                    self.cancel.clone(),
                )
                .with_fence(self.journal.epoch())
                .with_progress(Arc::new(move |p| heard.progress(p))),
                give_back_by: story.plan.give_back_by(target, self.clock.now()),
                around: state.around(),
                lock: self.tools.locks.get(&target.tool).map(|port| Locker {
                    port: Arc::clone(port),
                    claim: Arc::clone(&self.claim),
                    held: *state.lock,
                    earlier: self.locked_before.get(&place).copied(),
                }),
            };
            self.in_flight.insert(place);
            let (component, sender, at_work) =
                (component.clone(), sender.clone(), self.clock.at_work());
            let asked = Asked::of(&effect);
            supervise::supervised(doing.run(effect, recorder), move |result| {
                let input =
                    result.unwrap_or_else(|error| Ok(asked.map(|asked| asked.unanswered(&error))));
                // The driver is gone only when the journal failed; then nothing may be recorded.
                let _ = sender.send(Message::Done {
                    component,
                    input,
                    at_work,
                });
            });
        }
    }

    /// Whether nothing is on its way.
    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.rolling.is_empty() && self.unlocks.is_empty()
    }

    /// A sender of our own when every handle was dropped: dropping handles detaches, it never stops a run.
    fn own_sender(&mut self) -> Option<mpsc::UnboundedSender<Message>> {
        let (sender, inbox) = mpsc::unbounded_channel();
        if self.in_flight.is_empty() && self.rolling.is_empty() && self.inbox.is_closed() {
            self.sender = sender.downgrade();
            self.inbox = inbox;
            return Some(sender);
        }
        None
    }

    /// How it stands now; none where nobody needs to know that it still works.
    fn stands(&mut self) -> Option<Standing> {
        let now = self.clock.now();
        let working = matches!(*self.standing.borrow(), Standing::Working { .. });
        if !self.is_idle() {
            if working && now < self.next_tell {
                return None;
            }
            self.next_tell = later(now, TELL);
            let waits = self.advance(|moment, index| moment.advance(index)).waits;
            return Some(Standing::Working { waits });
        }
        if self.parking {
            // Parked decisions wait for "pause"; when to call again is what an unparked run would wait for.
            let free = self.story.advance(&self.calendar, now);
            let until = if free.is_empty() {
                free.wake
            } else {
                Some(now)
            };
            return Some(Standing::Parked {
                until,
                waits: free.waits,
            });
        }
        let decision = self.advance(|moment, index| moment.advance(index));
        let waits = decision.waits;
        Some(match decision.wake {
            Some(until) => Standing::Waiting { until, waits },
            None => Standing::AtRest { waits },
        })
    }

    /// Waits for the next thing to happen. False when nobody is left who could say anything.
    async fn wait(&mut self, wake: Option<Timestamp>, alarm: &mut Alarm) -> Result<bool> {
        let clock = Arc::clone(&self.clock);
        let due = self.unwritten.unwrap_or(self.next_look);
        let due = due.min(self.next_look);
        if wake.is_none() {
            self.at_work = None;
        }
        let heard = tokio::select! {
            biased;
            message = self.inbox.recv() => Some(message),
            () = sleep(&clock, wake) => None,
            () = alarm.rings(&clock, due) => {
                self.is_due(due);
                None
            }
        };
        if self.at_work.is_none() {
            self.at_work = Some(clock.at_work());
        }
        let Some(heard) = heard else { return Ok(true) };
        let Some(first) = heard else {
            // Every handle is gone and nothing is in flight. Time still passes.
            if wake.is_none() {
                return Ok(false);
            }
            tokio::select! {
                () = sleep(&clock, wake) => {}
                () = alarm.rings(&clock, due) => self.is_due(due),
            }
            return Ok(true);
        };
        self.hear(first)?;
        for _ in 1..HEARD {
            let Ok(message) = self.inbox.try_recv() else {
                break;
            };
            self.hear(message)?;
        }
        Ok(true)
    }

    /// What was to be done by a time is to be done now, also where the clock was set back meanwhile.
    fn is_due(&mut self, at: Timestamp) {
        let now = self.clock.now();
        for due in [Some(&mut self.next_look), self.unwritten.as_mut()] {
            if let Some(due) = due.filter(|due| **due <= at) {
                *due = now.min(*due);
            }
        }
    }

    fn hear(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Record {
                component,
                event,
                ack,
            } => {
                self.record(Vec::new(), vec![(component, event)]);
                self.turn.answer(ack);
            }
            Message::RecordRoll {
                cluster,
                event,
                ack,
            } => {
                self.record_roll(&cluster, vec![event]);
                self.turn.answer(ack);
            }
            Message::RollDone {
                cluster,
                task,
                input,
                at_work,
            } => {
                self.turn.heard.push(at_work);
                self.rolling.remove(&(cluster.clone(), task));
                let input = input?;
                let events = self.advance(|moment, _| {
                    let mut rolls = moment.rolls().filter(|roll| *roll.cluster == cluster);
                    let roll = rolls.next();
                    roll.map(|roll| kernel::decide_roll(&roll, input))
                });
                self.record_roll(&cluster, events.unwrap_or_default());
            }
            Message::MayBegin { ack } => {
                self.turn.confirm(ack);
            }
            Message::Progressed {
                component,
                progress,
            } => {
                self.progress.send_modify(|all| {
                    all.insert(component, progress);
                });
            }
            Message::Done {
                component,
                input,
                at_work,
            } => {
                self.turn.heard.push(at_work);
                if let Some(place) = self.place(&component) {
                    self.in_flight.remove(&place);
                    self.may_act(place);
                }
                self.progress
                    .send_if_modified(|all| all.remove(&component).is_some());
                let input = input?;
                let target = self.story.plan.envelope.target(&component);
                let state = self.story.components.get(&component);
                let events = match (target, state, &input) {
                    (Some(target), Some(state), Some(input)) => {
                        kernel::decide(target, &self.story.plan.envelope.on_fail, state, input)
                    }
                    _ => Vec::new(),
                };
                let events = events.into_iter().map(|e| (component.clone(), e)).collect();
                self.record(Vec::new(), events);
            }
            Message::Steer {
                by,
                reason,
                command,
                reply,
            } => match self.steer(&by, &reason, &command) {
                Ok(()) => {
                    self.turn.steered = true;
                    self.turn.answer(reply);
                    // Whoever steers here may have posted something before.
                    self.next_look = self.clock.now();
                }
                Err(why) => {
                    let error = Error::new(
                        ErrorKind::InvalidInput,
                        format!("{}: {why}", command.verb()),
                    )
                    .operation("steer")
                    .consequence("nothing was changed");
                    // Whoever asked may have gone.
                    let _ = reply.send(Err(error));
                }
            },
            Message::Park => self.parking = true,
        }
        Ok(())
    }
}

async fn sleep(clock: &SharedClock, until: Option<Timestamp>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}
