//! The thread that reads a journal on disk, so that a long look never holds up a commit.

use std::{collections::BTreeMap, path::Path, thread::JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::{
    anchor::{self, Anchor},
    cause::Place,
    chain::{ChainFault, ChainReport, RunChain, gaps},
    query, schema,
    writer::{Look, Message},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::RunId,
};

/// How many looks may wait.
const QUEUE: usize = 1024;

/// Where looks at the journal are taken.
pub(super) enum Looks {
    /// On a connection of their own.
    Thread {
        sender: mpsc::Sender<Look>,
        thread: JoinHandle<()>,
    },
    /// Between the commits of the writer: a database in memory has one connection.
    Writer(mpsc::Sender<Message>),
}

impl Looks {
    /// Starts the thread over a connection for reading.
    pub(super) fn start(path: &Path, place: &Place) -> Result<Self> {
        let connection = schema::connect_for_reading(path, place)?;
        schema::check(&connection, place)?;
        let (sender, mut receiver) = mpsc::channel::<Look>(QUEUE);
        let work = move || {
            while let Some(look) = receiver.blocking_recv() {
                look(&connection);
            }
        };
        let thread = std::thread::Builder::new()
            .name("patchcore-journal-reader".to_owned())
            .spawn(work)
            .map_err(|error| place.io("start its reader", error))?;
        Ok(Self::Thread { sender, thread })
    }

    /// Takes one consistent look.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        place: &Place,
        look: impl FnOnce(&rusqlite::Connection, &Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let at = place.clone();
        // Somebody who no longer waits for an answer is no reason to fail.
        let look: Look = Box::new(move |connection| drop(answer.send(look(connection, &at))));
        let sent = match self {
            Self::Thread { sender, .. } => sender.send(look).await.is_ok(),
            Self::Writer(sender) => sender.send(Message::Look(look)).await.is_ok(),
        };
        if !sent {
            return Err(ended(place));
        }
        answered.await.unwrap_or_else(|_| Err(ended(place)))
    }

    /// Checks the chain of every run, in strides, so that others can look in between.
    pub(super) async fn verify(&self, place: &Place) -> Result<ChainReport> {
        self.look(place, query::check_pages).await?;
        let (spans, head) = self.look(place, query::spans).await?;
        let mut runs = Vec::new();
        for run in spans.iter().map(|span| span.run) {
            let mut follower = self
                .look(place, move |c, p| query::follower(c, p, run))
                .await?;
            loop {
                let (next, done) = self
                    .look(place, move |c, p| {
                        let done = query::follow(c, p, run, &mut follower)?;
                        Ok((follower, done))
                    })
                    .await?;
                follower = next;
                if done {
                    break;
                }
            }
            runs.push(follower.finish());
        }
        for (run, fault) in gaps(&spans, head) {
            match runs.iter_mut().find(|chain| chain.run == run) {
                // What stands earlier in the run was found first.
                Some(chain) => chain.fault = chain.fault.take().or(Some(fault)),
                None => runs.push(RunChain::missing(run, fault)),
            }
        }
        runs.sort_by_key(|chain| chain.run);
        Ok(ChainReport {
            journal: place.to_string(),
            runs,
        })
    }

    /// The same, and what anchors show besides.
    pub(super) async fn verify_against(
        &self,
        place: &Place,
        anchors: &[Anchor],
    ) -> Result<ChainReport> {
        let mut faults: BTreeMap<RunId, ChainFault> = BTreeMap::new();
        for anchor in anchors.iter().cloned() {
            let run = anchor.run;
            let fault = self
                .look(place, move |c, p| anchor::compare(c, p, &anchor))
                .await?;
            if let Some(fault) = fault
                && faults.get(&run).is_none_or(|first| fault.seq < first.seq)
            {
                faults.insert(run, fault);
            }
        }
        Ok(self.verify(place).await?.with_anchors(faults))
    }

    /// Ends the thread and closes its connection.
    pub(super) fn end(self) {
        if let Self::Thread { sender, thread } = self {
            drop(sender);
            // A reader that panicked has no connection left to close.
            let _ = thread.join();
        }
    }
}

fn ended(place: &Place) -> Error {
    place
        .error(ErrorKind::Io, "its reader has ended")
        .hint("open the journal again")
}
