//! The handle of a run.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, oneshot};

use super::rolls::{self, ClusterRoll};
use crate::{
    approve::ApprovedPlan,
    clock::{SharedClock, later},
    error::{Error, ErrorKind, Result},
    execute::{
        Driver, Events, Message, RUN_STREAM, Reins, RunProgress, Standing, Story, Told, Tools,
        denials,
        journal::{Driving, Journal, NewEvent, NewRun, PlanText},
        kernel::{self, Command, Event, Resolution, RunEvent, Step},
        standing_words, supervise,
    },
    id::{ComponentId, PersonId, RingName, RunId},
    plan::{Denial, Plan, text::Times, time_words},
    report::{Lines, Report, Timeline},
};

/// A run that is being carried out. A cheap clone; dropping it detaches and never stops the run.
#[derive(Debug, Clone)]
pub struct Run(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: RunId,
    plan: Arc<Plan>,
    journal: Journal,
    clock: SharedClock,
    reins: Reins,
    /// What was recorded before this process began to drive it.
    before: u64,
    /// The story as far as [`Run::progress`] read it: a screen asks again and again, and reads only what is new.
    watched: Mutex<Option<Story>>,
}

impl Run {
    /// Starts a run of an approved plan.
    pub(crate) async fn start(
        approved: ApprovedPlan,
        rolls: Vec<ClusterRoll>,
        journal: &Journal,
        clock: SharedClock,
        tools: Tools,
    ) -> Result<Self> {
        let plan = approved.plan();
        let now = clock.now();
        if now >= plan.envelope.expires {
            return Err(Error::new(
                ErrorKind::ApprovalExpired,
                format!("plan {}: its approval has expired", plan.id()),
            )
            .expected(format!(
                "a start before {}",
                time_words(&plan.envelope, plan.envelope.expires)
            ))
            .found(time_words(&plan.envelope, now))
            .operation("run")
            .consequence("nothing was started")
            .hint("plan again and have the new plan approved"));
        }
        journal.bind(&plan.envelope.estate).await?;
        refuse_denied(plan, journal).await?;
        let started = RunEvent::Started {
            plan: Plan::id_of(approved.digest()),
            components: plan.envelope.targets.len(),
            requested_by: plan.envelope.requested_by.clone(),
            approved_by: approved
                .approvals()
                .iter()
                .map(|c| format!("{} ({})", c.approval.by, c.standing))
                .collect(),
        };
        let rolls = rolls.into_iter().map(|roll| roll.planned(now));
        let events = std::iter::once(started).chain(rolls);
        let events = events.zip(1..).map(|(event, tseq)| {
            let (kind, body) = kernel::stored(&event);
            NewEvent {
                stream: RUN_STREAM.to_owned(),
                tseq,
                at: now,
                kind,
                body,
            }
        });
        let events = events.collect();
        let json = |e: serde_json::Error| {
            Error::new(
                ErrorKind::InvalidInput,
                "the plan cannot be written as JSON",
            )
            .source_error(e)
        };
        let frame = plan.frame()?;
        let text = PlanText {
            text: frame.text,
            hole: Some(frame.hole),
            parts: pieces(Arc::clone(approved.shared())),
        };
        let new = NewRun {
            plan: serde_json::Value::Null,
            approvals: serde_json::to_value(approved.approvals()).map_err(json)?,
            plan_digest: approved.digest().to_owned(),
            at: approved.at(),
            events,
        };
        let id = journal.start_run_of(text, new).await?;
        let driving = journal.drives(id)?;
        let story = Story::read_with(journal, id, Arc::clone(approved.shared())).await?;
        Self::drive(story, 0, journal, clock, tools, driving)
    }

    /// Goes on with the run that is open in a journal, if one is.
    pub(crate) async fn reopen(
        journal: &Journal,
        clock: SharedClock,
        tools: Tools,
    ) -> Result<Option<Self>> {
        let Some(id) = journal.open_run_id().await? else {
            return Ok(None);
        };
        // Before anything is recorded: the driver there is would take it for a rival's.
        let driving = journal.drives(id)?;
        let mut story = Story::read(journal, id).await?;
        story.approved()?;
        missing_tools(&story.plan, &tools)?;
        for (cluster, roll) in &story.state.rolls {
            rolls::still_checked(cluster, roll, &tools)?;
        }
        let before = story.seq;
        let taken = RunEvent::TakenOver {
            epoch: journal.epoch(),
            from: journal.opened_before().map(ToString::to_string),
            forced: None,
        };
        let (kind, body) = kernel::stored(&taken);
        let (at, tseq) = (clock.now(), story.state.events + 1);
        let event = NewEvent {
            stream: RUN_STREAM.to_owned(),
            tseq,
            at,
            kind,
            body,
        };
        let seqs = journal.append(id, vec![event]).await?;
        for seq in seqs {
            story.evolve(&Told {
                seq,
                at,
                run: id,
                component: None,
                event: Event::Run(taken.clone()),
                zone: jiff::tz::TimeZone::UTC,
            })?;
        }
        Self::drive(story, before, journal, clock, tools, driving).map(Some)
    }

    fn drive(
        story: Story,
        before: u64,
        journal: &Journal,
        clock: SharedClock,
        tools: Tools,
        driving: Driving,
    ) -> Result<Self> {
        let (id, plan) = (story.run, Arc::clone(&story.plan));
        let (driver, reins) =
            Driver::new(journal.clone(), Arc::clone(&clock), tools, story, driving)?;
        supervise::detached(driver.drive());
        Ok(Self(Arc::new(Inner {
            id,
            plan,
            journal: journal.clone(),
            clock,
            reins,
            before,
            watched: Mutex::new(None),
        })))
    }

    /// Its number in its journal.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.0.id
    }

    /// The plan it carries out.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// How it stands at this moment.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.reins.standing.borrow().clone()
    }

    /// Its events from the beginning: a cursor over the journal, so late and slow readers lose nothing. It ends
    /// when nothing more will happen by itself.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events_since(0)
    }

    /// Its events after a place in the journal.
    #[must_use]
    pub fn events_since(&self, seq: u64) -> Events {
        Events::new(
            self.0.journal.clone(),
            self.0.id,
            self.0.reins.standing.clone(),
            Times::of(&self.0.plan.envelope, None).zone().clone(),
            seq,
        )
    }

    /// Its events as people read them, line by line: in the zone of its window, equal things folded, what tells
    /// nothing new left out. From the beginning, and to the end like [`events`](Self::events).
    #[must_use]
    pub fn lines(&self) -> Lines {
        let timeline = Timeline::of(&self.0.plan, self.0.id);
        Lines::new(self.events(), timeline, Arc::clone(&self.0.clock))
    }

    /// The lines of what is new: of a run that was reopened, from its taking over on; of one that was started here, all.
    #[must_use]
    pub fn new_lines(&self) -> Lines {
        self.lines().after(self.0.before)
    }

    /// How it stands at this moment, in one line and in the zone of its window, for a terminal that shows
    /// nothing else for hours: `waiting: soak of test until Tue 8 Dec 22:05 CET`.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        let times = Times::of(&self.0.plan.envelope, None);
        standing_words(&self.standing(), &times)
    }

    /// How far it is at this moment, as figures: each ring's counts, what is done to which component since when,
    /// and the estimated end. Cheap to ask again and again: only what is new in the journal is read.
    ///
    /// # Errors
    /// As [`Story::read`], and `InvalidInput` for windows that cannot be read.
    pub async fn progress(&self) -> Result<RunProgress> {
        let mut watched = self.0.watched.lock().await;
        let mut story = match watched.take() {
            Some(story) => story,
            None => self.story().await?,
        };
        story.read_on(&self.0.journal).await?;
        let said = self.0.reins.progress.borrow().clone();
        for (component, state) in &mut story.components {
            state.progress.set(said.get(component).cloned());
        }
        let progress = story.progress(&self.standing(), self.0.clock.now());
        *watched = Some(story);
        progress
    }

    /// Everything the journal says of it.
    ///
    /// # Errors
    /// As [`Story::read`].
    pub async fn story(&self) -> Result<Story> {
        Story::read_with(&self.0.journal, self.0.id, Arc::clone(&self.0.plan)).await
    }

    /// What was observed.
    ///
    /// # Errors
    /// As [`Story::read`].
    pub async fn report(&self) -> Result<Report> {
        Ok(Report::of(&self.story().await?, self.0.clock.now()))
    }

    /// What it owes, as sentences. Empty when it owes nothing.
    ///
    /// # Errors
    /// As [`Story::read`].
    pub async fn ledger(&self) -> Result<Vec<String>> {
        Ok(self.story().await?.ledger_at(self.0.clock.now()))
    }

    /// Why a component is where it is: which gate, who holds what, since when, and when it may open.
    ///
    /// # Errors
    /// `NotFound`: it is not in this plan.
    pub async fn why(&self, component: impl Into<ComponentId>) -> Result<String> {
        let component = component.into();
        let mut story = self.story().await?;
        if let (Some(state), Some(said)) = (
            story.components.get_mut(&component),
            self.0.reins.progress.borrow().get(&component),
        ) {
            state.progress.set(Some(said.clone()));
        }
        story.why(&component, &self.standing(), self.0.clock.now())
    }

    /// Waits until nothing more will happen by itself.
    ///
    /// # Errors
    /// The journal's, if it failed; `Cancelled` if the runtime ended in which the run was driven.
    pub async fn finished(&self) -> Result<Standing> {
        let mut standing = self.0.reins.standing.clone();
        let last = standing
            .wait_for(Standing::is_final)
            .await
            .map(|s| s.clone());
        match last {
            Ok(Standing::Broken { failure }) => Err(Error::from(failure)),
            Ok(last) => Ok(last),
            Err(_) => Err(Error::new(
                ErrorKind::Cancelled,
                format!(
                    "run {} is not driven any more: its runtime has ended",
                    self.0.id
                ),
            )
            .hint("open its journal again and continue it")),
        }
    }

    /// Waits until nothing more will happen by itself, or until patience ends: then the run is brought to a safe
    /// point, and the answer says when to call again. For scripts under cron.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    pub async fn finished_or_parked(&self, patience: Duration) -> Result<Standing> {
        let clock = &self.0.clock;
        let end = later(clock.now(), patience);
        tokio::select! {
            finished = self.finished() => return finished,
            () = clock.reached(end) => {}
        }
        // The driver may have come to rest meanwhile; then it does not listen and need not.
        let _ = self.0.reins.sender.send(Message::Park);
        self.finished().await
    }

    /// Brings it to a safe point and waits until it is there: what has begun is finished, nothing new begins, and
    /// reopening its journal goes on. A run at rest, or over, is at one. Nobody's decision, so nothing of it is recorded
    /// as one; [`pause`](Self::pause) is a person's.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    pub async fn park(&self) -> Result<Standing> {
        self.finished_or_parked(Duration::ZERO).await
    }

    /// Nothing new starts until somebody lets it go on.
    ///
    /// # Errors
    /// `InvalidInput`: it is paused already, over, or no reason is given.
    pub async fn pause(&self, by: impl Into<PersonId>, reason: &str) -> Result<()> {
        self.steer(by, reason, Command::Pause).await
    }

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// `InvalidInput`: it is not paused, or no reason is given.
    pub async fn unpause(&self, by: impl Into<PersonId>, reason: &str) -> Result<()> {
        self.steer(by, reason, Command::Unpause).await
    }

    /// A step does not begin until somebody says so, of one component or of all: a run that waits before each restart
    /// for a person who looks first. What has begun goes on, and what restores service is never held up.
    ///
    /// # Errors
    /// `InvalidInput`: the step is none of [`Step::PAUSABLE`], the component is not in this run, it is paused there
    /// already, or no reason is given.
    pub async fn pause_before(
        &self,
        step: Step,
        component: Option<ComponentId>,
        by: impl Into<PersonId>,
        reason: &str,
    ) -> Result<()> {
        let command = Command::PauseBefore { step, component };
        self.steer(by, reason, command).await
    }

    /// Lets the step begin.
    ///
    /// # Errors
    /// `InvalidInput`: it is not paused there, or no reason is given.
    pub async fn unpause_before(
        &self,
        step: Step,
        component: Option<ComponentId>,
        by: impl Into<PersonId>,
        reason: &str,
    ) -> Result<()> {
        let command = Command::UnpauseBefore { step, component };
        self.steer(by, reason, command).await
    }

    /// Brings it to an end: nothing new starts, what is open is finished, what is owed is given back.
    ///
    /// # Errors
    /// `InvalidInput`: it is over, or no reason is given.
    pub async fn cancel(&self, by: impl Into<PersonId>, reason: &str) -> Result<()> {
        self.steer(by, reason, Command::Cancel).await
    }

    /// Forgives the failures so far and lets a halted run go on.
    ///
    /// # Errors
    /// `InvalidInput`: it is not halted, or no reason is given.
    pub async fn lift_halt(&self, by: impl Into<PersonId>, reason: &str) -> Result<()> {
        self.steer(by, reason, Command::LiftHalt).await
    }

    /// Ends a halted run and gives back what it owes.
    ///
    /// # Errors
    /// `InvalidInput`: it is not halted, or no reason is given.
    pub async fn end(&self, by: impl Into<PersonId>, reason: &str) -> Result<()> {
        self.steer(by, reason, Command::End).await
    }

    /// Approves a ring that needs an approval of its own.
    ///
    /// # Errors
    /// `InvalidInput`: no such ring, it needs none, or this person may not.
    pub async fn approve_ring(
        &self,
        ring: impl Into<RingName>,
        by: impl Into<PersonId>,
        comment: &str,
    ) -> Result<()> {
        self.steer(by, comment, Command::ApproveRing { ring: ring.into() })
            .await
    }

    /// Decides about a component that nobody else can judge.
    ///
    /// # Errors
    /// `InvalidInput`: it needs no decision, or not this one.
    pub async fn resolve(
        &self,
        component: impl Into<ComponentId>,
        how: Resolution,
        by: impl Into<PersonId>,
        reason: &str,
    ) -> Result<()> {
        self.steer(
            by,
            reason,
            Command::Resolve {
                component: component.into(),
                how,
            },
        )
        .await
    }

    /// Takes a patch off the deny-list of this run's journal, so that it can be planned again.
    ///
    /// # Errors
    /// `InvalidInput`: the run is not driven here any more, or no reason is given.
    pub async fn lift_denial(
        &self,
        denial: &Denial,
        by: impl Into<PersonId>,
        reason: &str,
    ) -> Result<()> {
        let command = Command::LiftDenial {
            patch: denial.patch.clone(),
            version: denial.version.clone(),
            run: denial.run,
        };
        self.steer(by, reason, command).await
    }

    async fn steer(&self, by: impl Into<PersonId>, reason: &str, command: Command) -> Result<()> {
        let gone = |_| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("run {} is not driven here any more", self.0.id),
            )
            .hint("open its journal and continue it first")
        };
        let (reply, answer) = oneshot::channel();
        let message = Message::Steer {
            by: by.into(),
            reason: reason.to_owned(),
            command,
            reply,
        };
        self.0.reins.sender.send(message).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

/// The targets of a plan, written one by one.
fn pieces(plan: Arc<Plan>) -> Box<dyn Iterator<Item = Result<String>> + Send> {
    let places = 0..plan.envelope.targets.len();
    Box::new(places.map(move |at| plan.envelope.targets[at].piece()))
}

/// A plan must not hold what an earlier run of its journal rolled back, also if it was made without looking there.
async fn refuse_denied(plan: &Plan, journal: &Journal) -> Result<()> {
    let denials = denials(journal).await?;
    for target in &plan.envelope.targets {
        for patch in &target.patches {
            if let Some(denial) = crate::plan::denied(patch, &denials) {
                return Err(Error::new(
                    ErrorKind::Denied,
                    format!(
                        "plan {}: {} {} on {} was rolled back by run {}",
                        plan.id(),
                        patch.id,
                        patch.to,
                        target.component,
                        denial.run
                    ),
                )
                .found(denial.why.clone())
                .operation("run")
                .consequence("nothing was started")
                .hint(
                    "plan again with .history(&journal): it is left out until a newer version comes",
                ));
            }
        }
    }
    Ok(())
}

pub(crate) fn missing_tools(plan: &Plan, tools: &Tools) -> Result<()> {
    for target in &plan.envelope.targets {
        let probe = target
            .checks
            .iter()
            .map(|c| &c.by)
            .find(|by| !tools.probes.contains_key(*by));
        let tool = (!tools.deployers.contains_key(&target.tool)).then_some(&target.tool);
        let bracket = target
            .around
            .iter()
            .map(|b| &b.by)
            .find(|by| !tools.brackets.contains_key(*by));
        if let Some(missing) = tool.or(probe).or(bracket) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("plan {} needs provider {missing} for {}, and this estate has none of that name", plan.id(), target.component),
            )
            .operation("run")
            .consequence("nothing was started")
            .hint(format!("add it: Estate::named(…).with({missing})")));
        }
    }
    Ok(())
}
