//! The journal of a whole run, and the run as one process knows it.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use patchcore::{
    Result, Timestamp,
    execute::{
        kernel::{
            ComponentEvent, ComponentState, Components, Event, RollEvent, RunEvent, RunState,
        },
        step::{Recorder, RollRecorder},
    },
    id::ComponentId,
};

use super::{
    cases::Case,
    micro::fenced,
    stepper::{Incarnation, context, points_of, points_of_roll, recorded},
};

/// One decision in the journal.
pub(crate) type Entry = (Option<ComponentId>, Event, Timestamp);

/// The journal: what is durable, and who may write.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) epoch: u64,
    pub(crate) entries: Vec<Entry>,
}

/// The run as one process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) run: RunState,
    pub(crate) components: Components,
}

impl Story {
    pub(crate) fn empty(case: &Case) -> Self {
        let targets = case.plan.envelope.targets.iter();
        Self {
            run: RunState::default(),
            components: targets
                .map(|t| (t.component.clone(), ComponentState::default()))
                .collect(),
        }
    }

    pub(crate) fn evolve(&mut self, (component, event, at): &Entry) {
        match (event, component) {
            (Event::Run(event), _) => self.run.evolve(event),
            (Event::Component(event), Some(component)) => self
                .components
                .get_mut(component)
                .expect("it is in the plan")
                .evolve(event, *at),
            _ => {}
        }
    }
}

/// Journal and story of one process.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) of: Arc<Incarnation>,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) story: Arc<Mutex<Story>>,
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("one thread")
}

impl Book {
    pub(crate) fn commit(&self, events: Vec<(Option<ComponentId>, Event)>) -> Result<()> {
        let at = context(&self.of).now();
        let mut journal = lock(&self.journal);
        if journal.epoch != self.of.number {
            return Err(fenced());
        }
        for (component, event) in events {
            let entry = (component, event, at);
            lock(&self.story).evolve(&entry);
            journal.entries.push(entry);
        }
        Ok(())
    }

    fn may_begin(&self) -> Result<()> {
        let newest = lock(&self.journal).epoch;
        (newest == self.of.number).then_some(()).ok_or_else(fenced)
    }
}

pub(crate) struct Pen {
    pub(crate) book: Book,
    pub(crate) component: ComponentId,
}

#[async_trait]
impl Recorder for Pen {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        recorded(&self.book.of, points_of(&event), || {
            let event = Event::Component(event.clone());
            self.book
                .commit(vec![(Some(self.component.clone()), event)])
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        self.book.may_begin()
    }
}

pub(crate) struct RollPen {
    pub(crate) book: Book,
    pub(crate) cluster: ComponentId,
}

#[async_trait]
impl RollRecorder for RollPen {
    async fn record(&self, event: RollEvent) -> Result<()> {
        recorded(&self.book.of, points_of_roll(&event), || {
            self.book
                .commit(vec![of_roll(&self.cluster, event.clone())])
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        self.book.may_begin()
    }
}

pub(crate) fn of_roll(cluster: &ComponentId, event: RollEvent) -> (Option<ComponentId>, Event) {
    let event = RunEvent::Roll {
        cluster: cluster.clone(),
        event: Box::new(event),
    };
    (None, Event::Run(event))
}
