//! What a journal says of one run: the fold that the driver, reports and operators share.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize as _;

use super::{
    checkpoint::Resumed,
    journal::{ReadJournal, RunText, StoredEvent},
    kernel::{self, ComponentEvent, ComponentState, Event, Read, RunEvent, RunState, Seldom},
};
use crate::{
    approve::{self, ApprovedPlan, Counted},
    error::{Error, ErrorKind, Result},
    id::{ComponentId, RunId},
    judge::Outcome,
    plan::{Denial, Plan, Reading, Seen, Target},
};

/// The stream of the run itself.
pub(crate) const RUN: &str = "run";
/// The streams of components begin so.
const COMPONENT: &str = "component/";

/// One event with its place, as people and programs see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Told {
    /// Its place in the journal.
    pub seq: u64,
    /// When it was decided.
    pub at: crate::Timestamp,
    /// In which run.
    pub run: RunId,
    /// About which component; none where it is about the run.
    pub component: Option<ComponentId>,
    /// What.
    pub event: Event,
    /// The zone in which people read it: that of the run's window; UTC where nobody knows the run.
    pub zone: jiff::tz::TimeZone,
}

/// The component that a stream is of; none where it is of the run.
pub(super) fn component(stream: &str) -> Option<ComponentId> {
    stream.strip_prefix(COMPONENT).map(ComponentId::from)
}

/// The name of a component's stream.
pub(super) fn stream(component: &ComponentId) -> String {
    format!("{COMPONENT}{component}")
}

impl Told {
    /// Reads a stored event of this or an earlier version. One of a newer version becomes [`Event::Other`], one that
    /// cannot be read [`Event::Damaged`].
    #[must_use]
    pub fn read(stored: StoredEvent) -> Self {
        let component = component(&stored.stream);
        let (kind, body) = (stored.kind, stored.body);
        let event = match component {
            Some(_) => known(kind, body, Event::Component),
            None => known::<RunEvent>(kind, body, Event::Run),
        };
        Self {
            seq: stored.seq,
            at: stored.at,
            run: stored.run,
            component,
            event,
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}

fn known<E: serde::de::DeserializeOwned>(
    kind: String,
    body: serde_json::Value,
    event: fn(E) -> Event,
) -> Event {
    match kernel::read(&kind, body) {
        Read::Known(known) => event(known),
        Read::Newer(body) => Event::Other(kind, body),
        Read::Damaged(why) => Event::Damaged(kind, why),
    }
}

/// The error for an event of a run that cannot be read.
pub(super) fn damaged(run: RunId, kind: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::JournalDamaged,
        format!("run {run} holds a decision \"{kind}\" that cannot be read: {why}"),
    )
    .consequence("the run cannot go on from this journal")
    .hint("verify the journal: it names the first record that was changed")
}

/// The error for an event of a run that a newer version wrote.
fn newer(run: RunId, kind: &str) -> Error {
    Error::new(
        ErrorKind::JournalNewer,
        format!("run {run} holds a decision \"{kind}\" that this version does not know"),
    )
    .hint("continue it with the version of patchcore that wrote it")
}

/// Everything a journal says of one run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Story {
    /// Its number.
    pub run: RunId,
    /// What it carries out.
    pub plan: Arc<Plan>,
    /// The digest of that plan's envelope.
    pub(crate) digest: String,
    /// Who approved that.
    pub approvals: Vec<Counted>,
    /// When it started.
    pub started_at: crate::Timestamp,
    /// When it ended.
    pub ended_at: Option<crate::Timestamp>,
    /// The run as a whole.
    pub state: RunState,
    /// Each component.
    pub components: BTreeMap<ComponentId, ComponentState>,
    /// The place of the last event read.
    pub seq: u64,
    /// When that was decided.
    pub told_at: crate::Timestamp,
    /// What was seen of components: many are alike.
    pub(super) seen: Seen<Seldom<Outcome>>,
    /// Where it is beyond the checkpoints that it began with, if it did.
    pub(super) resumed: Option<Resumed>,
}

impl Story {
    /// Reads a run from its journal.
    ///
    /// # Errors
    /// `NotFound`: no such run. `JournalDamaged`: its plan or an event cannot be read. `JournalNewer`: it holds
    /// decisions of a newer version, which this one must not continue.
    pub async fn read(journal: &impl ReadJournal, run: RunId) -> Result<Self> {
        let row = row_of(journal, run).await?;
        let plan = plan_of(journal, &row).await?;
        Self::fold(journal, row, Arc::new(plan)).await
    }

    /// The same from its events alone, whatever is kept of what they come to.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_events(journal: &impl ReadJournal, run: RunId) -> Result<Self> {
        let mut row = row_of(journal, run).await?;
        let plan = plan_of(journal, &row).await?;
        row.checkpoint = None;
        Self::fold(journal, row, Arc::new(plan)).await
    }

    /// Reads a run whose plan is known.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn read_with(
        journal: &impl ReadJournal,
        run: RunId,
        plan: Arc<Plan>,
    ) -> Result<Self> {
        Self::fold(journal, row_of(journal, run).await?, plan).await
    }

    /// The same from its events alone, up to one of them.
    pub(super) async fn read_to(
        journal: &impl ReadJournal,
        run: RunId,
        plan: Arc<Plan>,
        to: u64,
    ) -> Result<Self> {
        let mut story = Self::begin(&row_of(journal, run).await?, plan)?;
        while story.seq < to {
            let page = journal.events(run, story.seq, 1000).await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                if stored.seq > to {
                    return Ok(story);
                }
                story.evolve(&Told::read(stored))?;
            }
        }
        Ok(story)
    }

    async fn fold(journal: &impl ReadJournal, row: RunText, plan: Arc<Plan>) -> Result<Self> {
        if let Some(upto) = row.checkpoint {
            let mut story = Self::begin(&row, Arc::clone(&plan))?;
            if story.resume(journal, upto).await? {
                return Ok(story);
            }
            tracing::warn!(run = %row.id, "its checkpoints are left out: they are not what this version kept of its events");
        }
        let mut story = Self::begin(&row, plan)?;
        story.read_on(journal).await?;
        Ok(story)
    }

    /// Reads what its journal holds beyond it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn read_on(&mut self, journal: &impl ReadJournal) -> Result<()> {
        loop {
            let page = journal.events(self.run, self.seq, 1000).await?;
            if page.is_empty() {
                return Ok(());
            }
            for stored in page {
                self.evolve(&Told::read(stored))?;
            }
        }
    }

    fn begin(row: &RunText, plan: Arc<Plan>) -> Result<Self> {
        let approvals = Vec::<Counted>::deserialize(&row.approvals)
            .map_err(|e| unreadable("approvals", row.id).source_error(e))?;
        let components = plan
            .envelope
            .targets
            .iter()
            .map(|t| (t.component.clone(), ComponentState::default()))
            .collect();
        Ok(Self {
            run: row.id,
            plan,
            digest: row.plan_digest.clone(),
            approvals,
            started_at: row.started_at,
            ended_at: row.ended_at,
            state: RunState::default(),
            components,
            seq: row.first_seq.saturating_sub(1),
            told_at: row.started_at,
            seen: Seen::default(),
            resumed: None,
        })
    }

    /// Records one event.
    ///
    /// # Errors
    /// `JournalNewer` for an event of a newer version, `JournalDamaged` for one that cannot be read.
    pub fn evolve(&mut self, told: &Told) -> Result<()> {
        self.seq = told.seq;
        self.told_at = told.at;
        match (&told.event, &told.component) {
            (Event::Run(event), _) => self.state.evolve(event),
            (Event::Component(event), Some(component)) => {
                self.component_evolves(component, event, told.at);
            }
            (Event::Component(_), None) => {}
            (Event::Other(kind, _), _) => return Err(newer(self.run, kind)),
            (Event::Damaged(kind, why), _) => return Err(damaged(self.run, kind, why)),
        }
        Ok(())
    }

    /// Records one event of a component; answers how many it has now.
    pub(super) fn component_evolves(
        &mut self,
        component: &ComponentId,
        event: &ComponentEvent,
        at: crate::Timestamp,
    ) -> u64 {
        let state = match self.components.get_mut(component) {
            Some(state) => state,
            None => self.components.entry(component.clone()).or_default(),
        };
        state.evolve(event, at);
        if matches!(
            event,
            ComponentEvent::Scanned { .. } | ComponentEvent::Checked { .. }
        ) {
            self.seen.share(&mut state.outcome);
        }
        if let Some(resumed) = &mut self.resumed {
            resumed.touch(component);
        }
        state.events
    }

    /// The plan with its approvals, counted again as they were.
    ///
    /// # Errors
    /// As [`approve`](crate::approve::approve), if the journal was tampered with.
    pub(crate) fn approved(&self) -> Result<ApprovedPlan> {
        approve::recount(
            Arc::clone(&self.plan),
            self.approvals.clone(),
            self.started_at,
        )
    }
}

async fn row_of(journal: &impl ReadJournal, run: RunId) -> Result<RunText> {
    journal.run_text(run).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("this journal has no run {run}"),
        )
        .operation("story.read")
    })
}

fn unreadable(what: &str, run: RunId) -> Error {
    Error::new(
        ErrorKind::JournalDamaged,
        format!("the {what} of run {run} cannot be read"),
    )
}

/// The plan of a run, read target by target.
async fn plan_of(journal: &impl ReadJournal, row: &RunText) -> Result<Plan> {
    let mut reading = Reading::begin(&row.plan)?;
    if row.hole.is_some() {
        loop {
            let parts = journal.parts(row.id, reading.taken()).await?;
            if parts.is_empty() {
                break;
            }
            for part in parts {
                let target = serde_json::from_str::<Target>(&part)
                    .map_err(|e| unreadable("plan", row.id).source_error(e))?;
                reading.take(target);
            }
        }
    }
    let plan = reading.end();
    if plan.envelope.digest()? != row.plan_digest {
        return Err(unreadable("plan", row.id)
            .expected("the plan that was approved")
            .found("another digest"));
    }
    Ok(plan)
}

/// The deny-list: what the runs of a journal rolled back and nobody lifted.
///
/// # Errors
/// As reading a run: a denial that cannot be read must not be taken for none.
pub async fn denials(journal: &impl ReadJournal) -> Result<Vec<Denial>> {
    let mut denials: Vec<Denial> = Vec::new();
    for stored in journal
        .events_of_kinds(&["denied", "denial_lifted"])
        .await?
    {
        let told = Told::read(stored);
        match told.event {
            Event::Other(kind, _) => return Err(newer(told.run, &kind)),
            Event::Damaged(kind, why) => return Err(damaged(told.run, &kind, &why)),
            Event::Run(RunEvent::Denied { denial }) => denials.push(denial),
            Event::Run(RunEvent::DenialLifted {
                patch,
                version,
                run,
                ..
            }) => {
                denials.retain(|d| (&d.patch, &d.version, d.run) != (&patch, &version, run));
            }
            _ => {}
        }
    }
    denials.sort();
    Ok(denials)
}
