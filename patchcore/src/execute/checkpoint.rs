//! Checkpoints: what the events of each component come to, kept beside them, so that going on with a large run reads
//! each component once and not everything that ever happened to it.
//!
//! The events stay the truth. A checkpoint is used only where it and all others are as they were written, where this
//! version wrote them, and where they and the events after them come to as many events as the journal holds; else
//! everything is folded anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    journal::{ChainFault, Checkpoint, ReadJournal, StoredEvent},
    kernel::{ComponentState, RunState},
    story::{self, RUN, Story, Told},
};
use crate::{
    digest::canonical_json,
    error::{ErrorKind, Result},
    id::{ComponentId, RunId},
};

/// The form of a state in a checkpoint. Whoever changes what a field means counts on: others read the events then.
const VERSION: u64 = 1;

/// How many events are recorded until what they come to is kept again, where nobody says otherwise.
pub(crate) const EVERY: u64 = 50_000;

/// How many checkpoints one transaction keeps: more would delay those who wait for theirs.
const AT_ONCE: usize = 1000;

/// The body of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Body<T> {
    v: u64,
    state: T,
    /// Of the run: when its newest event was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_at: Option<Timestamp>,
}

fn read<T: DeserializeOwned>(body: &str) -> Option<Body<T>> {
    let body = serde_json::from_str::<Body<T>>(body).ok()?;
    (body.v == VERSION).then_some(body)
}

/// What a state is before anything happened: that need not be kept.
#[derive(Debug, Clone)]
struct Blank {
    component: Map<String, Value>,
    run: Map<String, Value>,
}

impl Blank {
    fn new() -> Result<Self> {
        Ok(Self {
            component: fields(&ComponentState::default())?,
            run: fields(&RunState::default())?,
        })
    }

    fn component(&self, story: &Story, component: &ComponentId) -> Result<Option<Checkpoint>> {
        let Some(state) = story.components.get(component) else {
            return Ok(None);
        };
        let body = Body {
            v: VERSION,
            state: beyond(&self.component, state)?,
            told_at: None,
        };
        Ok(Some(Checkpoint {
            stream: story::stream(component),
            seq: story.seq,
            body: canonical_json(&body)?,
        }))
    }

    fn run(&self, story: &Story) -> Result<Checkpoint> {
        let body = Body {
            v: VERSION,
            state: beyond(&self.run, &story.state)?,
            told_at: Some(story.told_at),
        };
        Ok(Checkpoint {
            stream: RUN.to_owned(),
            seq: story.seq,
            body: canonical_json(&body)?,
        })
    }
}

fn fields(state: &impl Serialize) -> Result<Map<String, Value>> {
    match serde_json::to_value(state) {
        Ok(Value::Object(fields)) => Ok(fields),
        other => Err(crate::Error::new(
            ErrorKind::InvalidInput,
            "a state cannot be written as JSON",
        )
        .expected("its fields")
        .found(format!("{other:?}"))),
    }
}

fn beyond(blank: &Map<String, Value>, state: &impl Serialize) -> Result<Map<String, Value>> {
    let mut all = fields(state)?;
    all.retain(|name, value| blank.get(name) != Some(value));
    Ok(all)
}

/// Where a story that began with checkpoints is beyond them.
#[derive(Debug, Clone)]
pub(super) struct Resumed {
    /// Everything up to here was in them.
    upto: u64,
    /// Who had events after that.
    touched: BTreeSet<ComponentId>,
}

impl Resumed {
    pub(super) fn touch(&mut self, component: &ComponentId) {
        if !self.touched.contains(component) {
            self.touched.insert(component.clone());
        }
    }
}

impl Story {
    /// Its checkpoints: what its events come to so far, for [`Journal::checkpoint`](super::journal::Journal::checkpoint)
    /// with [`seq`](Self::seq) as the place up to which everything is in them.
    ///
    /// # Errors
    /// As [`canonical_json`].
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let blank = Blank::new()?;
        let mut rows = vec![blank.run(self)?];
        for (component, state) in &self.components {
            if state.events > 0 {
                rows.extend(blank.component(self, component)?);
            }
        }
        Ok(rows)
    }

    /// The place in the journal before its first event.
    fn before(&self) -> u64 {
        let components: u64 = self.components.values().map(|state| state.events).sum();
        self.seq.saturating_sub(self.state.events + components)
    }

    /// Begins with the checkpoints of its run, and reads on from there. `false`, and in an unknown state, where they
    /// cannot be relied on.
    pub(super) async fn resume(&mut self, journal: &impl ReadJournal, upto: u64) -> Result<bool> {
        let before = self.seq;
        let Some(ahead) = self.take_checkpoints(journal, upto).await? else {
            return Ok(false);
        };
        self.seq = upto;
        self.resumed = Some(Resumed {
            upto,
            touched: ahead.keys().filter_map(|s| story::component(s)).collect(),
        });
        loop {
            let page = journal.events(self.run, self.seq, 1000).await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                if ahead
                    .get(&stored.stream)
                    .is_some_and(|seq| *seq >= stored.seq)
                {
                    // It is in the checkpoint of its stream, which was kept later than the others.
                    self.seq = stored.seq;
                    self.told_at = stored.at;
                } else if self.follows(&stored) {
                    self.evolve(&Told::read(stored))?;
                } else {
                    return Ok(false);
                }
            }
        }
        Ok(self.before() == before)
    }

    /// Whether an event is the next one of its stream.
    fn follows(&self, stored: &StoredEvent) -> bool {
        let events = match story::component(&stored.stream) {
            Some(component) => self.components.get(&component).map_or(0, |s| s.events),
            None => self.state.events,
        };
        stored.tseq == events + 1
    }

    /// Reads every checkpoint once. Answers those that are later than the place up to which all are; none where one of
    /// them cannot be relied on.
    async fn take_checkpoints(
        &mut self,
        journal: &impl ReadJournal,
        upto: u64,
    ) -> Result<Option<BTreeMap<String, u64>>> {
        let mut ahead = BTreeMap::new();
        let mut after = String::new();
        loop {
            let rows = match journal.checkpoints(self.run, &after).await {
                // The pages that hold them may be damaged, and those of the events whole.
                Err(error) if error.kind() == ErrorKind::JournalDamaged => return Ok(None),
                rows => rows?,
            };
            let Some(rows) = rows else {
                return Ok(None);
            };
            let Some(last) = rows.last() else {
                return Ok(Some(ahead));
            };
            after.clone_from(&last.stream);
            for row in rows {
                if !self.take_checkpoint(&row) {
                    return Ok(None);
                }
                if row.seq > upto {
                    ahead.insert(row.stream, row.seq);
                }
            }
        }
    }

    fn take_checkpoint(&mut self, row: &Checkpoint) -> bool {
        if row.stream == RUN {
            let Some(body) = read::<RunState>(&row.body) else {
                return false;
            };
            self.state = body.state;
            self.told_at = body.told_at.unwrap_or(self.told_at);
            return true;
        }
        let state =
            story::component(&row.stream).and_then(|component| self.components.get_mut(&component));
        match (state, read::<ComponentState>(&row.body)) {
            (Some(state), Some(body)) => {
                *state = body.state;
                self.seen.share(&mut state.outcome);
                true
            }
            _ => false,
        }
    }
}

/// Where checkpoints of a run would be believed and are not what its events come to: whoever can write the file can
/// write one that looks as it should. None where nothing of it can be read: others say so.
pub(crate) async fn fault(journal: &impl ReadJournal, run: RunId) -> Option<ChainFault> {
    let upto = journal.run_text(run).await.ok()??.checkpoint?;
    let kept = Story::read(journal, run).await.ok()?;
    kept.resumed.as_ref()?;
    let plan = Arc::clone(&kept.plan);
    let folded = Story::read_to(journal, run, plan, kept.seq).await.ok()?;
    let same = (&kept.state, &kept.components) == (&folded.state, &folded.components);
    (!same).then(|| ChainFault {
        seq: upto,
        what: "what is kept beside the events up to it is not what they come to".to_owned(),
    })
}

/// What of a run that is driven is to be kept, and when.
pub(super) struct Keeper {
    every: u64,
    blank: Blank,
    /// Up to where everything is kept.
    kept: u64,
    /// Who has events that are not kept.
    changed: BTreeSet<u32>,
    /// Whose turn it is; everything up to `from` is kept when nobody is left.
    pending: BTreeSet<u32>,
    from: Option<u64>,
}

impl Keeper {
    pub(super) fn new(story: &Story, every: u64) -> Result<Self> {
        let targets = (0..).zip(&story.plan.envelope.targets);
        let resumed = story.resumed.as_ref();
        let changed = targets.filter(|(_, target)| match resumed {
            Some(resumed) => resumed.touched.contains(&target.component),
            None => {
                let state = story.components.get(&target.component);
                state.is_some_and(|s| s.events > 0)
            }
        });
        Ok(Self {
            every: every.max(1),
            blank: Blank::new()?,
            kept: resumed.map_or_else(|| story.before(), |resumed| resumed.upto),
            changed: changed.map(|(place, _)| place).collect(),
            pending: BTreeSet::new(),
            from: None,
        })
    }

    /// The component at a place has an event more.
    pub(super) fn changed(&mut self, place: u32) {
        self.changed.insert(place);
    }

    /// Whether something is to be kept now.
    pub(super) fn is_due(&self, story: &Story) -> bool {
        self.from.is_some() || story.seq.saturating_sub(self.kept) >= self.every
    }

    /// What is to be kept now, where something is; with the place up to which everything is kept then.
    pub(super) fn next(&mut self, story: &Story) -> Result<Option<(Vec<Checkpoint>, Option<u64>)>> {
        let from = match self.from {
            Some(from) => from,
            None if !self.is_due(story) => return Ok(None),
            None => {
                self.pending = std::mem::take(&mut self.changed);
                *self.from.insert(story.seq)
            }
        };
        let mut rows = Vec::new();
        while rows.len() < AT_ONCE {
            let Some(place) = self.pending.pop_first() else {
                break;
            };
            let target = story.plan.envelope.targets.get(place as usize);
            if let Some(target) = target {
                rows.extend(self.blank.component(story, &target.component)?);
            }
        }
        if !self.pending.is_empty() {
            return Ok(Some((rows, None)));
        }
        rows.push(self.blank.run(story)?);
        (self.kept, self.from) = (from, None);
        Ok(Some((rows, Some(from))))
    }
}
