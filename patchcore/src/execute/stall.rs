//! Whether what is in flight gets on. What does not is named, and goes on being waited for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::kernel::ComponentEvent;
use crate::{clock::later, error::Error, plan::text::duration, provider::Progress};

/// Whoever says nothing new for this long does not get on: tools of packages say something every few seconds, and a
/// quarter of an hour is soon enough for a person who may look at it.
const STALLED: Duration = Duration::from_secs(15 * 60);

/// A running operation that has not moved for this long is a person's to judge: longer than the slowest self-test of
/// a restart and than flashing a controller.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(6 * 3600);

/// Watches one operation. A cheap clone.
#[derive(Debug, Clone)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    call: &'static str,
    last: Option<Progress>,
    since: Timestamp,
    /// What it waits for, and who holds that.
    cause: Option<(String, Option<String>)>,
    /// Whether the journal says that it stalled.
    said: bool,
    moved: bool,
}

impl Watch {
    /// From now on; `said` where the journal says already that it does not get on.
    pub(super) fn new(now: Timestamp, said: bool) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            call: "prepare",
            last: None,
            since: now,
            cause: None,
            said,
            moved: false,
        })))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change is one assignment, so that a panic leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which call is made now.
    pub(super) fn calls(&self, call: &'static str) {
        self.seen().call = call;
    }

    /// What the tool says. Something new is movement; the first word of a tool is what later ones are compared with.
    pub(super) fn heard(&self, progress: &Progress, now: Timestamp) {
        let mut seen = self.seen();
        if seen.last.as_ref() != Some(progress) {
            seen.moved |= seen.said && seen.last.is_some();
            seen.last = Some(progress.clone());
            (seen.since, seen.cause) = (now, None);
        }
    }

    /// It got on: the target took it.
    pub(super) fn moves(&self, now: Timestamp) {
        let mut seen = self.seen();
        seen.moved |= seen.said;
        (seen.since, seen.cause) = (now, None);
    }

    /// What keeps it. That is no movement, also where it is said in other words each time.
    pub(super) fn waits(&self, cause: String, holder: Option<String>) {
        self.seen().cause = Some((cause, holder));
    }

    /// The same, as an error says it.
    pub(super) fn failed(&self, error: &Error) {
        self.waits(error.chain(), error.fact("holder").map(str::to_owned));
    }

    /// For how long nothing has moved.
    pub(super) fn still_for(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.seen().since)).unwrap_or_default()
    }

    /// When there may be news without a word from the tool.
    pub(super) fn next_look(&self) -> Timestamp {
        let seen = self.seen();
        if seen.said {
            Timestamp::MAX
        } else {
            later(seen.since, STALLED)
        }
    }

    /// What keeps it, as a sentence.
    pub(super) fn why(&self, now: Timestamp) -> String {
        let still = duration(self.still_for(now));
        let seen = self.seen();
        if let Some((cause, _)) = &seen.cause {
            return cause.clone();
        }
        let said = seen.last.as_ref().and_then(|last| {
            let percent = last.percent.map(|p| format!("{p} %"));
            let parts: Vec<String> = percent.into_iter().chain(last.message.clone()).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        });
        match said {
            Some(said) => format!("its tool says nothing new for {still}, last: {said}"),
            None => format!("its tool says nothing for {still}"),
        }
    }

    /// What the journal is to be told, once.
    pub(super) fn news(&self, now: Timestamp) -> Option<ComponentEvent> {
        let why = self.why(now);
        let mut seen = self.seen();
        if seen.moved {
            (seen.moved, seen.said) = (false, false);
            return Some(ComponentEvent::Moved);
        }
        if seen.said || now < later(seen.since, STALLED) {
            return None;
        }
        seen.said = true;
        Some(ComponentEvent::Stalled {
            call: seen.call.to_owned(),
            since: seen.since,
            why,
            holder: seen.cause.as_ref().and_then(|(_, holder)| holder.clone()),
        })
    }
}
