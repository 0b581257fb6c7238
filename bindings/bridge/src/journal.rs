//! The handle of a journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use patchcore::{ClusterRoll, Error, ErrorKind, Estate, Journal, Result, approve::ApprovedPlan};

use crate::run::RunHandle;

/// A journal in the hands of another language. A cheap clone.
///
/// It holds the run that this process drives, so that one whose handle nobody took is not lost: reopening finds it.
#[derive(Debug, Clone)]
pub struct JournalHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: String,
    held: Mutex<Held>,
    /// Held while a run is started, taken up or let go: whoever asks meanwhile finds it whole.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Held {
    journal: Option<Journal>,
    /// Every run that was handed out: each holds the journal open.
    runs: Vec<RunHandle>,
}

impl JournalHandle {
    /// A journal that was opened, and what people call it.
    #[must_use]
    pub fn of(journal: Journal, place: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            place: place.into(),
            held: Mutex::new(Held {
                journal: Some(journal),
                runs: Vec::new(),
            }),
            turn: tokio::sync::Mutex::new(()),
        }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whole values are put in or taken out, so whoever panicked left it whole.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal itself.
    ///
    /// # Errors
    /// `InvalidInput`: it was closed.
    pub fn journal(&self) -> Result<Journal> {
        self.held().journal.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("journal {} was closed", self.0.place),
            )
            .consequence("nothing was done")
            .hint("open it again")
        })
    }

    /// What people call it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.held().journal.is_none()
    }

    fn keep(&self, run: RunHandle) -> RunHandle {
        self.held().runs.push(run.clone());
        run
    }

    /// Starts a run.
    ///
    /// # Errors
    /// As [`Estate::run`].
    pub async fn start(&self, estate: &Estate, approved: ApprovedPlan) -> Result<RunHandle> {
        let _turn = self.0.turn.lock().await;
        let run = estate.run(approved, &self.journal()?).await?;
        Ok(self.keep(RunHandle::of(run)))
    }

    /// Starts a run in which clusters are rolled.
    ///
    /// # Errors
    /// As [`Estate::run_rolling`].
    pub async fn start_rolling(
        &self,
        estate: &Estate,
        approved: ApprovedPlan,
        rolls: Vec<ClusterRoll>,
    ) -> Result<RunHandle> {
        let _turn = self.0.turn.lock().await;
        let journal = self.journal()?;
        let run = estate.run_rolling(approved, rolls, &journal).await?;
        Ok(self.keep(RunHandle::of(run)))
    }

    /// Goes on with the run that is open; where this process drives it already, that is its handle.
    ///
    /// # Errors
    /// As [`Estate::reopen`].
    pub async fn reopen(&self, estate: &Estate) -> Result<Option<RunHandle>> {
        let _turn = self.0.turn.lock().await;
        let driven = self
            .held()
            .runs
            .iter()
            .find(|run| !run.is_let_go())
            .cloned();
        if let Some(run) = driven {
            return Ok(Some(run));
        }
        let run = estate.reopen(&self.journal()?).await?;
        Ok(run.map(|run| self.keep(RunHandle::of(run))))
    }

    /// Brings what runs to a safe point, and closes. Handles of its runs are refused from then on.
    ///
    /// # Errors
    /// As [`Journal::close`].
    pub async fn close(&self) -> Result<()> {
        let _turn = self.0.turn.lock().await;
        let runs = self.held().runs.clone();
        for run in &runs {
            if !run.is_final() {
                run.parked().await?;
            }
        }
        let journal = {
            let mut held = self.held();
            held.runs.clear();
            held.journal.take()
        };
        for run in &runs {
            run.close().await;
        }
        match journal {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }
}
