//! A cursor over the lines of a run that is going on.

use std::collections::VecDeque;

use super::Timeline;
use crate::{
    clock::SharedClock,
    execute::{Events, Told},
};

/// The lines of a run, as they become known. Made by [`Run::lines`](crate::Run::lines).
#[derive(Debug)]
pub struct Lines {
    events: Events,
    timeline: Timeline,
    clock: SharedClock,
    lines: VecDeque<String>,
    /// What is recorded up to here is not said.
    after: u64,
}

impl Lines {
    pub(crate) fn new(events: Events, timeline: Timeline, clock: SharedClock) -> Self {
        Self {
            events,
            timeline,
            clock,
            lines: VecDeque::new(),
            after: 0,
        }
    }

    /// Only what is recorded after a place in the journal.
    #[must_use]
    pub(crate) fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self
    }

    /// Every event on a line of its own, in the order of the journal.
    #[must_use]
    pub fn verbose(mut self) -> Self {
        self.timeline = self.timeline.verbose();
        self
    }

    /// The next line; none when nothing more will happen by itself. After a person made the run go on, ask again.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let told = match self.timeline.closes() {
                None => self.events.next().await,
                Some(closes) => {
                    let clock = &self.clock;
                    tokio::select! {
                        biased;
                        told = self.events.next() => told,
                        () = clock.reached(closes) => {
                            self.catch_up().await;
                            continue;
                        }
                    }
                }
            };
            match told {
                Some(told) => self.tell(&told),
                None => {
                    self.lines.extend(self.timeline.flush());
                    if self.lines.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    fn tell(&mut self, told: &Told) {
        if told.seq <= self.after {
            self.timeline.skip(told);
        } else {
            self.lines.extend(self.timeline.tell(told));
        }
    }

    /// Time went on: what was recorded until now is read before the moment is closed.
    async fn catch_up(&mut self) {
        let now = self.clock.now();
        while let Some(told) = self.events.ready().await {
            self.tell(&told);
        }
        if self.timeline.closes().is_some_and(|closes| closes <= now) {
            self.lines.extend(self.timeline.flush());
        }
    }
}
