//! The rolls of clusters: their effects are started beside those of components, and their decisions are the run's.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Driver, Message};
use crate::{
    execute::{
        kernel::{self, RollEffect, RollEvent, RunEvent},
        rolling::{self, RollRecorder, Rolling},
        supervise,
    },
    id::ComponentId,
    provider::OpContext,
};

impl Driver {
    /// Starts what the rolls of clusters need now.
    pub(super) fn start_rolling(&mut self) {
        if self.story.state.rolls.is_empty() {
            return;
        }
        let Some(sender) = self.sender.upgrade().or_else(|| self.own_sender()) else {
            return;
        };
        let (journal, run) = (self.journal.uid().to_owned(), self.story.run);
        let rolling = self.rolling.clone();
        let wanted = self.advance(|moment, _| {
            let mut wanted = Vec::new();
            let mut coming = moment.coming.clone();
            for (cluster, state) in &moment.run.rolls {
                let of_it = rolling.iter().filter(|(c, _)| c == cluster);
                let of_it = of_it.map(|(_, task)| task.clone()).collect();
                let before = coming.clone();
                // What one roll takes away now the next one must know.
                let roll = kernel::Moment {
                    coming: &before,
                    ..moment
                }
                .roll(cluster, state);
                for task in roll.begins(&of_it) {
                    if let Some(vm) = task.takes_away() {
                        coming.insert((cluster.clone(), vm.clone()));
                    }
                    let Some(effect) = roll.effect(&task, &journal, run) else {
                        continue;
                    };
                    let from = (effect == RollEffect::Plan).then(|| rolling::From::of(&roll));
                    let by = roll.roll.by.clone();
                    wanted.push((cluster.clone(), task, effect, by, from));
                }
            }
            wanted
        });
        for (cluster, task, effect, by, from) in wanted {
            let ctx =
                OpContext::reading(Arc::clone(&self.clock), Timestamp::MAX, self.cancel.clone())
                    .with_fence(self.journal.epoch());
            let doing = Rolling {
                cluster: cluster.clone(),
                task: task.clone(),
                drainer: self.tools.drainers.get(&by).cloned(),
                caller: self.callers.of(&by),
                by,
                ctx,
                from,
            };
            let recorder = RollRecorder {
                cluster: cluster.clone(),
                task: task.clone(),
                sender: sender.clone(),
                clock: Arc::clone(&self.clock),
            };
            self.rolling.insert((cluster.clone(), task.clone()));
            let (sender, at_work) = (sender.clone(), self.clock.at_work());
            supervise::supervised(doing.run(effect, recorder), move |result| {
                let input =
                    result.unwrap_or_else(|error| Ok(rolling::unanswered(task.clone(), &error)));
                // The driver is gone only when the journal failed; then nothing may be recorded.
                let _ = sender.send(Message::RollDone {
                    cluster,
                    task,
                    input,
                    at_work,
                });
            });
        }
    }

    /// Takes decisions about a cluster's roll into the turn.
    pub(super) fn record_roll(&mut self, cluster: &ComponentId, events: Vec<RollEvent>) {
        let event = |event| RunEvent::Roll {
            cluster: cluster.clone(),
            event: Box::new(event),
        };
        self.record(events.into_iter().map(event).collect(), Vec::new());
    }
}
