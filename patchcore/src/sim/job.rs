//! What runs, or ran, on behalf of one operation.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    id::{ComponentId, OpKey},
    provider::{DeployRequest, Guarantee, Progress, Settled, SubjectResult},
};

/// One operation on the target.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) key: OpKey,
    pub(super) request: DeployRequest,
    pub(super) began: Timestamp,
    pub(super) tasks: BTreeMap<ComponentId, Task>,
}

/// The part of a job on one component.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) ends: Timestamp,
    pub(super) result: Option<SubjectResult>,
}

impl Job {
    /// Its result, when every task has one.
    pub(super) fn settled(&self) -> Option<Settled> {
        let subjects: BTreeMap<_, _> = self
            .tasks
            .iter()
            .filter_map(|(component, task)| Some((component.clone(), task.result.clone()?)))
            .collect();
        (subjects.len() == self.tasks.len()).then_some(Settled { subjects })
    }

    fn ends(&self) -> Timestamp {
        self.tasks
            .values()
            .map(|t| t.ends)
            .max()
            .unwrap_or(self.began)
    }

    /// How far it is, and when to ask again.
    pub(super) fn progress(&self, now: Timestamp) -> (Progress, Duration) {
        /// A longer wait would make a person who watches wonder.
        const PATIENCE: Duration = Duration::from_secs(30);
        let left = Duration::try_from(self.ends().duration_since(now)).unwrap_or_default();
        let whole = Duration::try_from(self.ends().duration_since(self.began)).unwrap_or_default();
        let passed = whole.saturating_sub(left);
        let percent = (100 * passed.as_millis())
            .checked_div(whole.as_millis())
            .unwrap_or_default();
        let progress = Progress {
            percent: u8::try_from(percent).ok(),
            message: None,
        };
        (progress, left.min(PATIENCE))
    }
}

/// All jobs that the targets remember.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: BTreeMap<u64, Job>,
    /// The latest job of each key.
    by_key: BTreeMap<OpKey, u64>,
}

impl Jobs {
    pub(super) fn add(&mut self, job: Job) -> u64 {
        let id = self.all.last_key_value().map_or(1, |(last, _)| last + 1);
        self.by_key.insert(job.key.clone(), id);
        self.all.insert(id, job);
        id
    }

    pub(super) fn get(&self, id: u64) -> Option<&Job> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Job> {
        self.all.get_mut(&id)
    }

    /// Jobs that are at work on a component.
    pub(super) fn running_on(&self, component: &ComponentId) -> Vec<u64> {
        self.all
            .iter()
            .filter(|(_, job)| job.tasks.get(component).is_some_and(|t| t.result.is_none()))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The latest job of a key, as long as its target remembers it.
    pub(super) fn by_key(
        &self,
        key: &OpKey,
        guarantee: Guarantee,
        now: Timestamp,
    ) -> Option<(u64, &Job)> {
        let id = *self.by_key.get(key)?;
        let job = self.all.get(&id)?;
        let (delay, memory) = match guarantee {
            Guarantee::Keyed { memory } => (Duration::ZERO, memory),
            Guarantee::Locatable {
                consistency_delay,
                memory,
            } => (consistency_delay, memory),
            Guarantee::StateOnly { .. } | Guarantee::Blind => return None,
        };
        let since =
            |time: Timestamp| Duration::try_from(now.duration_since(time)).unwrap_or_default();
        let forgotten = job.settled().is_some() && since(job.ends()) > memory;
        (since(job.began) >= delay && !forgotten).then_some((id, job))
    }
}

/// What the target promises, by verb.
#[derive(Debug, Clone, Default)]
pub(super) struct Guarantees {
    pub(super) for_all: Option<Guarantee>,
    pub(super) by_verb: BTreeMap<String, Guarantee>,
}

impl Guarantees {
    pub(super) fn of(&self, verb: &str) -> Guarantee {
        /// As long as the systems that know keys remember a finished job: weeks, not hours.
        const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
        if let Some(said) = self.by_verb.get(verb).copied().or(self.for_all) {
            return said;
        }
        match verb {
            // A restart leaves no job behind; it is found by the boot id, which differs from the baseline's.
            "reboot" => Guarantee::Locatable {
                consistency_delay: Duration::ZERO,
                memory: MEMORY,
            },
            _ => Guarantee::Keyed { memory: MEMORY },
        }
    }
}
