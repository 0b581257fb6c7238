//! A cursor over the events of a run.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::{
    Standing,
    journal::{Journal, StoredEvent},
    story::Told,
};
use crate::id::RunId;

/// A cursor over the events of a run: late and slow readers lose nothing.
#[derive(Debug)]
pub struct Events {
    journal: Journal,
    /// Held as long as this is, so that the driver knows that somebody reads along.
    committed: watch::Receiver<u64>,
    run: RunId,
    standing: watch::Receiver<Standing>,
    zone: TimeZone,
    seq: u64,
    page: VecDeque<Told>,
}

impl Events {
    pub(crate) fn new(
        journal: Journal,
        run: RunId,
        standing: watch::Receiver<Standing>,
        zone: TimeZone,
        seq: u64,
    ) -> Self {
        Self {
            committed: journal.committed(),
            journal,
            run,
            standing,
            zone,
            seq,
            page: VecDeque::new(),
        }
    }

    /// The next event; none when nothing more will happen by itself, or when the journal cannot be read (then
    /// [`Run::report`](crate::Run::report) says why).
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.page.pop_front() {
                self.seq = told.seq;
                return Some(told);
            }
            // First whether it is at an end, then whether there is more: what came before the end is never missed.
            self.committed.borrow_and_update();
            let over = self.standing.borrow_and_update().is_final();
            self.turn().await?;
            if !self.page.is_empty() {
                continue;
            }
            if over {
                return None;
            }
            tokio::select! {
                changed = self.committed.changed() => changed.ok()?,
                changed = self.standing.changed() => changed.ok()?,
            }
        }
    }

    /// The next event if one is recorded already.
    pub(crate) async fn ready(&mut self) -> Option<Told> {
        if self.page.is_empty() {
            self.turn().await?;
        }
        let told = self.page.pop_front()?;
        self.seq = told.seq;
        Some(told)
    }

    async fn turn(&mut self) -> Option<()> {
        let page = self.journal.events(self.run, self.seq, 256).await.ok()?;
        let told = |stored: StoredEvent| Told {
            zone: self.zone.clone(),
            ..Told::read(stored)
        };
        self.page = page.into_iter().map(told).collect();
        Some(())
    }

    /// The place of the last event that was handed out, to go on from later.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.seq
    }
}
