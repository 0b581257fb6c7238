//! What one turn of the driver decides: recorded in one transaction, answered after it, and only then acted on.

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    journal::{CommandId, Journal, NewEvent},
    kernel::{self, ComponentEvent, Event, OpState, RunEvent},
    story::{self, Story},
};
use crate::{
    clock::AtWork,
    error::{Error, Result},
    id::ComponentId,
    provider::Guarantee,
};

/// As many decisions as one transaction takes without delaying those who wait for it.
const LARGE: usize = 4096;

/// A decision with its place in its stream.
struct Decided {
    component: Option<ComponentId>,
    event: Event,
    tseq: u64,
    at: Timestamp,
    loss: Loss,
}

/// Whether a crash may lose a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    No,
    /// Yes; and whoever reads along in this process should hear of it at once.
    Told,
    Yes,
}

/// What is decided and not yet recorded: of this turn, and of earlier ones what may wait. The story is ahead of the journal
/// by exactly this, so a driver whose transaction fails must end: nobody may act on what it holds.
#[derive(Default)]
pub(super) struct Turn {
    decided: Vec<Decided>,
    answering: Vec<CommandId>,
    acks: Vec<oneshot::Sender<Result<()>>>,
    /// Whether somebody in this process reads the journal along.
    pub(super) is_followed: bool,
    /// Whether one of those who wait is about to begin an operation.
    confirms: bool,
    /// Of those whose results are heard here: virtual time waits until these are recorded.
    pub(super) heard: Vec<AtWork>,
    /// Whether a person waits for an answer.
    pub(super) steered: bool,
}

impl Turn {
    /// Records a decision in the story, to be recorded in the journal at the end of the turn.
    pub(super) fn decide(
        &mut self,
        story: &mut Story,
        at: Timestamp,
        component: Option<ComponentId>,
        event: Event,
    ) {
        let op = component.as_ref().and_then(|of| story.components.get(of));
        let loss = loss(&event, op.and_then(|state| state.op.as_deref()));
        let tseq = match (&event, &component) {
            (Event::Component(event), Some(component)) => {
                story.component_evolves(component, event, at)
            }
            (Event::Run(event), _) => {
                story.state.evolve(event);
                story.state.events
            }
            // Kernels decide nothing else.
            _ => return,
        };
        story.told_at = at;
        self.decided.push(Decided {
            component,
            event,
            tseq,
            at,
            loss,
        });
    }

    /// Somebody waits until what was decided so far is recorded.
    pub(super) fn answer(&mut self, ack: oneshot::Sender<Result<()>>) {
        self.acks.push(ack);
    }

    /// Somebody is about to begin an operation, and waits until the journal says that it is still ours.
    pub(super) fn confirm(&mut self, ack: oneshot::Sender<Result<()>>) {
        self.confirms = true;
        self.acks.push(ack);
    }

    /// Whether the journal must be asked: a durable transaction asks by itself.
    pub(super) fn wants_confirmation(&self) -> bool {
        self.confirms && self.may_wait()
    }

    /// What was decided so far answers a command of another process.
    pub(super) fn answers(&mut self, command: CommandId) {
        self.answering.push(command);
    }

    /// Whether there is nothing to record.
    pub(super) fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Whether it is as much as one transaction should take.
    pub(super) fn is_large(&self) -> bool {
        self.decided.len() >= LARGE
    }

    /// Whether nobody needs to wait until it is on the disk: all of it may be lost in a crash, and nobody reads along.
    pub(super) fn may_wait(&self) -> bool {
        let may_wait = |decided: &Decided| match decided.loss {
            Loss::No => false,
            Loss::Told => !self.is_followed,
            Loss::Yes => true,
        };
        self.answering.is_empty() && self.decided.iter().all(may_wait)
    }

    /// One transaction. May be tried again: it is the same each time.
    pub(super) async fn append(&self, story: &Story, journal: &Journal) -> Result<Vec<u64>> {
        let ends = self.decided.iter().rev().find_map(|d| match d.event {
            Event::Run(RunEvent::Ended { .. }) => Some(d.at),
            _ => None,
        });
        let events = self.decided.iter().map(Decided::stored);
        journal
            .record(story.run, events, &self.answering, ends)
            .await
    }

    /// The journal has what was decided so far.
    pub(super) fn recorded(&mut self) {
        self.decided.clear();
        self.answering.clear();
    }

    /// Tells everybody who waits that they may go on.
    pub(super) fn go_on(&mut self) {
        self.confirms = false;
        self.heard.clear();
        for ack in self.acks.drain(..) {
            // Whoever asked may be gone; what was recorded stays.
            let _ = ack.send(Ok(()));
        }
    }

    /// Tells everybody who waits that it cannot go on.
    pub(super) fn breaks(self, error: &Error) {
        for ack in self.acks {
            let _ = ack.send(Err(error.clone()));
        }
    }
}

impl Decided {
    fn stored(&self) -> NewEvent {
        let (kind, body) = match &self.event {
            Event::Run(event) => kernel::stored(event),
            Event::Component(event) => kernel::stored(event),
            // Kernels decide nothing else.
            Event::Other(kind, _) | Event::Damaged(kind, _) => (kind.clone(), Value::Null),
        };
        let stream = self
            .component
            .as_ref()
            .map_or_else(|| story::RUN.to_owned(), story::stream);
        NewEvent {
            stream,
            tseq: self.tseq,
            at: self.at,
            kind,
            body,
        }
    }
}

/// Whether a crash may lose a decision: its loss changes neither what may begin nor what is owed, and it is taken again.
/// Whatever begins because of it is recorded durably first, and takes it along; where nothing begins, it is written a
/// moment later all the same.
///
/// - Who is let in, what a look found and what follows from it: the kernel decides that again, and a look can be had again.
/// - That a lock was taken or given back: the target knows it, and is asked again. That it was somebody else's is told at
///   once.
/// - That an operation was taken or is done, where the target knows it by its key: it is asked for that. Where it can only
///   be guessed from what is found, the answer is written down before anything else.
fn loss(event: &Event, op: Option<&OpState>) -> Loss {
    let Event::Component(event) = event else {
        return Loss::No;
    };
    match event {
        ComponentEvent::Admitted { .. }
        | ComponentEvent::Locked {
            took_over: None, ..
        } => Loss::Yes,
        ComponentEvent::Scanned { .. }
        | ComponentEvent::Checked { .. }
        | ComponentEvent::SoakOver { .. }
        | ComponentEvent::Unlocked { .. } => Loss::Told,
        ComponentEvent::Begun { .. } | ComponentEvent::Settled { .. }
            if op.is_some_and(|op| matches!(op.guarantee, Guarantee::Keyed { .. })) =>
        {
            Loss::Told
        }
        _ => Loss::No,
    }
}
