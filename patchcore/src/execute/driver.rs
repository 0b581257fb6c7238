//! The embedded driver: one loop over state machines. It decides nothing and changes nothing itself: kernels
//! decide, the journal records, `ensure` and `looks` act.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Standing,
    ensure::{self, Ask, Record},
    inbox,
    journal::{CommandId, Driving, Durability, Journal, NewEvent},
    kernel::{
        self, Command, ComponentEvent, Decision, Effect, Event, Input, OpResult, RunEvent,
        RunStatus,
    },
    looks,
    story::{self, Story, Told},
    supervise::{self, Caller},
    workers::Workers,
};
use crate::{
    clock::{AtWork, SharedClock, later},
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, PersonId, ProviderName},
    policy::Calendar,
    provider::{CancelToken, Deployer, HealthProbe, OpContext, Progress},
};

/// Commands of other processes are looked for this often: a person at a terminal does not notice two seconds,
/// and the query costs microseconds.
const INBOX: Duration = Duration::from_secs(2);

/// The ports a run needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tools {
    pub(crate) deployers: BTreeMap<ProviderName, Arc<dyn Deployer>>,
    pub(crate) probes: Arc<BTreeMap<ProviderName, Arc<dyn HealthProbe>>>,
}

/// What is said to a driver.
pub(crate) enum Message {
    /// An effect wants a decision to be durable before it goes on.
    Record {
        component: ComponentId,
        event: ComponentEvent,
        ack: oneshot::Sender<Result<()>>,
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
    workers: Workers,
    story: Story,
    calendar: Calendar,
    in_flight: BTreeSet<ComponentId>,
    inbox: mpsc::UnboundedReceiver<Message>,
    sender: mpsc::WeakUnboundedSender<Message>,
    standing: watch::Sender<Standing>,
    progress: watch::Sender<BTreeMap<ComponentId, Progress>>,
    parking: bool,
    /// Given back before anybody hears that it is parked or over, who may reopen it at once.
    driving: Option<Driving>,
    cancel: CancelToken,
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
        let driver = Self {
            workers: Workers::start_in_this_runtime(),
            sender: sender.downgrade(),
            in_flight: BTreeSet::new(),
            parking: false,
            driving: Some(driving),
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
        if let Err(error) = self.run().await {
            // Whoever is still in flight begins nothing any more.
            self.cancel.cancel();
            tracing::error!(run = %self.story.run, error = %error.chain(), "the run stops: its journal failed");
            self.driving = None;
            self.standing.send_replace(Standing::Broken {
                failure: Failure::from(&error),
            });
        }
        self.at_work = None;
    }

    async fn run(&mut self) -> Result<()> {
        loop {
            self.commands().await?;
            let decision = self.decide().await?;
            if let RunStatus::Ended { verdict } = self.story.state.status {
                self.driving = None;
                self.standing.send_replace(Standing::Ended { verdict });
                return Ok(());
            }
            self.start_effects();
            let standing = self.stands(&decision);
            let parked = matches!(standing, Standing::Parked { .. });
            let at_rest = matches!(standing, Standing::AtRest { .. });
            if parked {
                // Nobody drives it any more: what is lazy must not be lost with the handle.
                self.journal.flush().await?;
                self.driving = None;
            }
            self.standing.send_if_modified(|now| {
                let changed = *now != standing;
                *now = standing;
                changed
            });
            if parked {
                return Ok(());
            }
            if !self.wait(decision.wake).await? && at_rest {
                // Nobody holds a handle, and only a person could make it go on: another process may.
                return Ok(());
            }
        }
    }

    /// Records everything that follows by itself.
    async fn decide(&mut self) -> Result<Decision> {
        loop {
            let story = &self.story;
            let mut state = std::borrow::Cow::Borrowed(&story.state);
            if self.parking && state.paused.is_none() {
                // Parking pauses without a word in the journal: it concerns this process only.
                state.to_mut().paused = Some((PersonId::from("patchcore"), "parking".to_owned()));
            }
            let decision = kernel::advance(
                story.run,
                &story.plan.envelope,
                &story.plan.schedule,
                &self.calendar,
                &state,
                &story.components,
                self.clock.now(),
            );
            if decision.is_empty() {
                return Ok(decision);
            }
            let run = decision.run.into_iter().map(|e| (None, Event::Run(e)));
            let components = decision
                .components
                .into_iter()
                .map(|(c, e)| (Some(c), Event::Component(e)));
            self.record(run.chain(components).collect(), &[]).await?;
        }
    }

    /// One transaction for one decision, also where it concerns several streams.
    async fn record(
        &mut self,
        events: Vec<(Option<ComponentId>, Event)>,
        answering: &[CommandId],
    ) -> Result<()> {
        let at = self.clock.now();
        let mut next: BTreeMap<Option<ComponentId>, u64> = BTreeMap::new();
        let mut stored = Vec::new();
        let mut ends = false;
        for (component, event) in &events {
            let place = next
                .entry(component.clone())
                .or_insert_with(|| match component {
                    Some(c) => self.story.components.get(c).map_or(0, |s| s.events),
                    None => self.story.state.events,
                });
            *place += 1;
            let (kind, body) = match event {
                Event::Run(event) => {
                    ends |= matches!(event, RunEvent::Ended { .. });
                    kernel::stored(event)
                }
                Event::Component(event) => kernel::stored(event),
                Event::Other(kind, body) => (kind.clone(), body.clone()),
                Event::Damaged(kind, why) => return Err(story::damaged(self.story.run, kind, why)),
            };
            let stream = component
                .as_ref()
                .map_or_else(|| story::RUN.to_owned(), story::stream);
            stored.push(NewEvent {
                stream,
                tseq: *place,
                at,
                kind,
                body,
            });
        }
        let run = self.story.run;
        let seqs = if ends {
            self.journal
                .append_and_close(run, stored, answering, at)
                .await?
        } else if answering.is_empty() {
            self.journal
                .append(run, stored, Durability::Durable)
                .await?
        } else {
            self.journal
                .append_answering(run, stored, answering)
                .await?
        };
        for ((component, event), seq) in events.into_iter().zip(seqs) {
            self.story.evolve(&Told {
                seq,
                at,
                run,
                component,
                event,
                zone: jiff::tz::TimeZone::UTC,
            })?;
        }
        Ok(())
    }

    /// What other processes want.
    async fn commands(&mut self) -> Result<()> {
        for row in self.journal.take_commands().await? {
            if row.run.is_some_and(|run| run != self.story.run) {
                let refused = RunEvent::CommandRefused {
                    by: row.by,
                    verb: row.verb,
                    why: format!(
                        "run {} is open, and it was meant for another",
                        self.story.run
                    ),
                };
                self.record(vec![(None, Event::Run(refused))], &[row.id])
                    .await?;
                continue;
            }
            let outcome = match inbox::read(&row) {
                Ok((command, reason)) => self.steer(&row.by, &reason, &command, &[row.id]).await?,
                Err(why) => Err(why),
            };
            if let Err(why) = outcome {
                let refused = RunEvent::CommandRefused {
                    by: row.by,
                    verb: row.verb,
                    why,
                };
                self.record(vec![(None, Event::Run(refused))], &[row.id])
                    .await?;
            }
        }
        Ok(())
    }

    async fn steer(
        &mut self,
        by: &PersonId,
        reason: &str,
        command: &Command,
        answering: &[CommandId],
    ) -> Result<std::result::Result<(), String>> {
        let steered = match self.story.steer(by, reason, command) {
            Ok(steered) => steered,
            Err(why) => return Ok(Err(why)),
        };
        let mut events: Vec<(Option<ComponentId>, Event)> = steered
            .run
            .into_iter()
            .map(|e| (None, Event::Run(e)))
            .collect();
        events.extend(
            steered
                .components
                .into_iter()
                .map(|(c, e)| (Some(c), Event::Component(e))),
        );
        self.record(events, answering).await?;
        Ok(Ok(()))
    }

    fn start_effects(&mut self) {
        let Some(sender) = self.sender.upgrade().or_else(|| self.own_sender()) else {
            return;
        };
        let story = &self.story;
        for target in &story.plan.envelope.targets {
            let component = &target.component;
            let Some(state) = story.components.get(component) else {
                continue;
            };
            if self.in_flight.contains(component) {
                continue;
            }
            let effect = state.effect(target, component, self.journal.uid(), story.run);
            if effect == Effect::None {
                continue;
            }
            let doing = Doing {
                component: component.clone(),
                known_as: target.known_as.clone(),
                deployer: self.tools.deployers.get(&target.tool).cloned(),
                tool: target.tool.clone(),
                workers: self.workers.clone(),
                probes: Arc::clone(&self.tools.probes),
                ctx: OpContext::reading(
                    Arc::clone(&self.clock),
                    Timestamp::MAX,
                    self.cancel.clone(),
                )
                .with_fence(self.journal.epoch()),
                give_back_by: story.plan.give_back_by(target, self.clock.now()),
                sender: sender.clone(),
            };
            self.in_flight.insert(component.clone());
            let (component, sender, at_work) =
                (component.clone(), sender.clone(), self.clock.at_work());
            let operating = match &effect {
                Effect::Ensure { step, .. } => Some(*step),
                _ => None,
            };
            supervise::supervised(doing.run(effect), move |result| {
                let input = match (result, operating) {
                    (Ok(input), _) => input,
                    // Whoever panics inside an operation leaves it in a state that nobody knows.
                    (Err(error), Some(step)) => Ok(Some(Input::Operation(
                        step,
                        OpResult::Unknown { why: error.chain() },
                    ))),
                    (Err(error), None) => Ok(Some(Input::Scan(Err(Failure::from(&error))))),
                };
                // The driver is gone only when the journal failed; then nothing may be recorded.
                let _ = sender.send(Message::Done {
                    component,
                    input,
                    at_work,
                });
            });
        }
    }

    /// A sender of our own when every handle was dropped: dropping handles detaches, it never stops a run.
    fn own_sender(&mut self) -> Option<mpsc::UnboundedSender<Message>> {
        let (sender, inbox) = mpsc::unbounded_channel();
        if self.in_flight.is_empty() && self.inbox.is_closed() {
            self.sender = sender.downgrade();
            self.inbox = inbox;
            return Some(sender);
        }
        None
    }

    fn stands(&self, decision: &Decision) -> Standing {
        let waits = decision.waits.clone();
        if !self.in_flight.is_empty() {
            return Standing::Working { waits };
        }
        if self.parking {
            // Parked decisions wait for "pause"; when to call again is what an unparked run would wait for.
            let free = self.story.advance(&self.calendar, self.clock.now());
            let until = if free.is_empty() {
                free.wake
            } else {
                Some(self.clock.now())
            };
            return Standing::Parked {
                until,
                waits: free.waits,
            };
        }
        match decision.wake {
            Some(until) => Standing::Waiting { until, waits },
            None => Standing::AtRest { waits },
        }
    }

    /// Waits for the next thing to happen. False when nobody is left who could say anything.
    async fn wait(&mut self, wake: Option<Timestamp>) -> Result<bool> {
        let clock = Arc::clone(&self.clock);
        let inbox = later(clock.now(), INBOX);
        if wake.is_none() {
            self.at_work = None;
        }
        let heard = self.listen(&clock, wake, inbox).await;
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
                () = clock.reached(inbox) => {}
            }
            return Ok(true);
        };
        self.hear(first).await?;
        while let Ok(message) = self.inbox.try_recv() {
            self.hear(message).await?;
        }
        Ok(true)
    }

    /// The next message, `Some(None)` when nobody can send one any more, or nothing when time has come.
    async fn listen(
        &mut self,
        clock: &SharedClock,
        wake: Option<Timestamp>,
        inbox: Timestamp,
    ) -> Option<Option<Message>> {
        tokio::select! {
            biased;
            message = self.inbox.recv() => Some(message),
            () = sleep(clock, wake) => None,
            () = clock.reached(inbox) => None,
        }
    }

    async fn hear(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Record {
                component,
                event,
                ack,
            } => {
                let recorded = self
                    .record(vec![(Some(component), Event::Component(event))], &[])
                    .await;
                let failed = recorded.clone();
                // The effect is gone only if it panicked; its intent is on the disk all the same.
                let _ = ack.send(recorded);
                failed
            }
            Message::MayBegin { ack } => {
                let confirmed = self.journal.confirm().await;
                // Whoever asked and is gone begins nothing.
                let _ = ack.send(confirmed.clone());
                confirmed
            }
            Message::Progressed {
                component,
                progress,
            } => {
                self.progress.send_modify(|all| {
                    all.insert(component, progress);
                });
                Ok(())
            }
            Message::Done {
                component,
                input,
                at_work,
            } => {
                self.in_flight.remove(&component);
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
                let events = events
                    .into_iter()
                    .map(|e| (Some(component.clone()), Event::Component(e)))
                    .collect();
                let recorded = self.record(events, &[]).await;
                drop(at_work);
                recorded
            }
            Message::Steer {
                by,
                reason,
                command,
                reply,
            } => {
                let steered = self.steer(&by, &reason, &command, &[]).await;
                let answer = match &steered {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(why)) => Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!("{}: {why}", command.verb()),
                    )
                    .operation("steer")
                    .consequence("nothing was changed")),
                    Err(error) => Err(error.clone()),
                };
                if matches!(steered, Ok(Ok(()))) {
                    // Whoever asked and then waits must not see how it stood before.
                    self.standing
                        .send_replace(Standing::Working { waits: Vec::new() });
                }
                // Whoever asked may have gone; the command took effect all the same.
                let _ = reply.send(answer);
                steered.map(drop)
            }
            Message::Park => {
                self.parking = true;
                Ok(())
            }
        }
    }
}

async fn sleep(clock: &SharedClock, until: Option<Timestamp>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// One effect of one component.
struct Doing {
    component: ComponentId,
    known_as: ComponentId,
    deployer: Option<Arc<dyn Deployer>>,
    tool: ProviderName,
    workers: Workers,
    probes: Arc<BTreeMap<ProviderName, Arc<dyn HealthProbe>>>,
    ctx: OpContext,
    give_back_by: Option<Timestamp>,
    sender: mpsc::UnboundedSender<Message>,
}

impl Doing {
    async fn run(self, effect: Effect) -> Result<Option<Input>> {
        let Some(deployer) = self.deployer.clone() else {
            let error = Error::new(
                ErrorKind::NotFound,
                format!("the tool of {} is not part of this estate", self.component),
            );
            return Err(error);
        };
        let to = Recorder {
            component: self.component.clone(),
            sender: self.sender.clone(),
        };
        let progress = to.clone();
        let ctx = self
            .ctx
            .clone()
            .with_progress(Arc::new(move |p| progress.progress(p)));
        let caller = Caller::of(&self.workers, &self.tool);
        Ok(match effect {
            Effect::Ensure {
                step,
                key,
                request,
                journaled,
            } => {
                let ask = Ask {
                    step,
                    key,
                    subject: self.known_as.clone(),
                    request,
                    journaled,
                    give_back_by: self.give_back_by,
                };
                Some(Input::Operation(
                    step,
                    ensure::ensure(&deployer, &caller, &ctx, ask, &to).await?,
                ))
            }
            Effect::Scan => Some(Input::Scan(
                looks::scan(&deployer, &caller, &ctx, &self.known_as).await,
            )),
            Effect::Check(checks) => Some(Input::Checks(
                looks::checks(&self.probes, &self.workers, &ctx, &self.component, &checks).await,
            )),
            Effect::None => None,
        })
    }
}

#[derive(Clone)]
struct Recorder {
    component: ComponentId,
    sender: mpsc::UnboundedSender<Message>,
}

impl Recorder {
    /// Waits for the driver's answer; none comes from one that is gone.
    async fn asked(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<()>>) -> Message,
    ) -> Result<()> {
        let gone = || Error::new(ErrorKind::JournalInUse, "the run is not driven any more");
        let (ack, answer) = oneshot::channel();
        self.sender.send(message(ack)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Record for Recorder {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        let component = self.component.clone();
        self.asked(|ack| Message::Record {
            component,
            event,
            ack,
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        self.asked(|ack| Message::MayBegin { ack }).await
    }

    fn progress(&self, progress: Progress) {
        // Progress may be lost.
        let _ = self.sender.send(Message::Progressed {
            component: self.component.clone(),
            progress,
        });
    }
}
