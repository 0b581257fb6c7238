//! Reading and steering the runs of a journal from another process.

mod line;
mod steer;
mod view;

use std::{path::Path, sync::Arc, time::Duration};

pub use line::{Said, operate};
pub use steer::Answer;
pub use view::RunView;

use crate::{
    clock::{SharedClock, SystemClock, later},
    error::{Error, ErrorKind, Result},
    execute::{
        DrivenBy, Story, checkpoint_fault, denials,
        journal::{Anchor, ChainReport, Holder, Holding, JournalReader},
    },
    id::RunId,
    plan::Denial,
};

/// A journal on disk, in the hands of an operator: every run can be read, and the open one steered, whether another
/// process drives it or none. Cheap to clone.
///
/// Reading needs the file alone: no network, no provider, no lock. What is steered goes into the journal's inbox,
/// for the process that drives the run.
///
/// ```no_run
/// # async fn night_shift() -> patchcore::Result<()> {
/// let operator = patchcore::Operator::open("run.db")?;
/// let run = operator.run(None).await?; // the open run, else the last one
/// println!("{run}"); // how it stands, who drives it, what a person can do
/// println!("{}", run.why("web-07")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Operator {
    reader: JournalReader,
    clock: SharedClock,
}

/// A process that opens a journal writes its name a moment after it has the lock.
const NAMELESS: Duration = Duration::from_millis(50);

impl Operator {
    /// Opens an existing journal. Never makes or changes one.
    ///
    /// # Errors
    /// `NotFound`, `JournalDamaged` (no journal, or damaged), `JournalNewer`, `InvalidInput` (a file system over
    /// the network), `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            reader: JournalReader::open(path)?,
            clock: Arc::new(SystemClock),
        })
    }

    /// With another clock, for runs in virtual time.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The runs of the journal, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn runs(&self) -> Result<Vec<RunId>> {
        Ok(self.reader.list().await?.iter().map(|r| r.0).collect())
    }

    /// One run as it stands now; where none is named, the open one, else the last.
    ///
    /// # Errors
    /// `NotFound`: no such run, or none at all. As [`Story::read`] and [`Story::standing`].
    pub async fn run(&self, run: Option<RunId>) -> Result<RunView> {
        let rows = self.reader.list().await?;
        let row = match run {
            Some(run) => rows.iter().find(|(id, _)| *id == run),
            None => rows.iter().find(|(_, open)| *open).or(rows.last()),
        };
        let Some((id, _)) = row else {
            return Err(self.no_such_run(run, &rows.iter().map(|r| r.0).collect::<Vec<_>>()));
        };
        let story = Story::read(&self.reader, *id).await?;
        let (driven, identity) = (self.driven_by(&story).await?, self.reader.identity().await?);
        let inbox = self.reader.open_commands().await?;
        let (open, now) = (story.ended_at.is_none(), self.now(&story));
        let inbox = inbox
            .into_iter()
            .filter(|c| c.run == Some(story.run) || (c.run.is_none() && open))
            .collect();
        RunView::new(story, driven, identity.estate, inbox, now)
    }

    /// The deny-list: what runs rolled back and nobody lifted.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn denials(&self) -> Result<Vec<Denial>> {
        denials(&self.reader).await
    }

    /// Checks the hash chain of every run, and that what is kept beside its events is what they come to. The answer names the first record of each that is not as it was written;
    /// [`ChainReport::into_result`] makes an error of it.
    ///
    /// # Errors
    /// `JournalDamaged` if the tables cannot be read at all, `Io`.
    pub async fn verify(&self) -> Result<ChainReport> {
        self.verify_against(&[]).await
    }

    /// The same, and whether everything that anchors saw is there as they saw it: only so is an end found that was cut off
    /// or lost, or a chain that was computed anew.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and `InvalidInput` for an anchor of another journal.
    pub async fn verify_against(&self, anchors: &[Anchor]) -> Result<ChainReport> {
        let mut report = self.reader.verify_against(anchors).await?;
        for chain in report.runs.iter_mut().filter(|c| c.fault.is_none()) {
            chain.fault = checkpoint_fault(&self.reader, chain.run).await;
        }
        Ok(report)
    }

    /// Where the journal ends, to be kept elsewhere; none before the first event.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn anchor(&self) -> Result<Option<Anchor>> {
        self.reader.anchor().await
    }

    /// Who drives a run.
    async fn driven_by(&self, story: &Story) -> Result<DrivenBy> {
        let identity = self.reader.identity().await?;
        let Some(Holding { holder, drives }) = self.holding().await? else {
            return Ok(DrivenBy::Nobody {
                last: identity.opened_by,
            });
        };
        // It may have parked the run, or let go of it. One of an earlier version does not say.
        let drives = drives.is_none_or(|runs| runs.contains(&story.run));
        // Whoever takes a run up records that first, so its newest event is of the present opening.
        let newest = self
            .reader
            .events(story.run, story.seq.saturating_sub(1), 1);
        let newest = newest.await?.pop().map(|event| event.epoch);
        let taken_up = story.ended_at.is_none() && newest == Some(identity.epoch);
        Ok(match drives && taken_up {
            true => DrivenBy::Process(holder),
            false => DrivenBy::Held(holder),
        })
    }

    /// Who has the journal; one that is only just being opened is asked again.
    async fn holding(&self) -> Result<Option<Holding>> {
        match self.reader.holding() {
            Err(error) if error.is_retryable() => {
                SystemClock.pause(NAMELESS).await;
                self.reader.holding()
            }
            answer => answer,
        }
    }

    /// Who holds the journal, whatever it does with it; none where nobody does.
    ///
    /// # Errors
    /// `Busy` if it is being opened at this moment, `JournalDamaged`, `Io`.
    pub async fn holder(&self) -> Result<Option<Holder>> {
        Ok(self.holding().await?.map(|holding| holding.holder))
    }

    /// The time now; never before what the journal holds, for a clock that was set back and for virtual time.
    fn now(&self, story: &Story) -> crate::Timestamp {
        self.clock.now().max(story.told_at)
    }

    fn no_such_run(&self, run: Option<RunId>, runs: &[RunId]) -> Error {
        let place = self.reader.place();
        let Some(run) = run.filter(|_| !runs.is_empty()) else {
            return Error::new(
                ErrorKind::NotFound,
                format!("journal {place}: it has no run yet"),
            )
            .hint("a run begins when a program calls estate.run with an approved plan");
        };
        let known: Vec<String> = runs.iter().map(ToString::to_string).collect();
        Error::new(
            ErrorKind::NotFound,
            format!("journal {place}: there is no such run"),
        )
        .expected(format!("one of {}", known.join(", ")))
        .found(run.to_string())
        .hint("list shows every run of the journal")
    }
}

/// Waiting in the real world, whatever time the run is in: another process does not live in ours.
trait Pause {
    async fn pause(&self, length: Duration);
}

impl Pause for SystemClock {
    async fn pause(&self, length: Duration) {
        use crate::clock::Clock as _;
        self.sleep_until(later(self.now(), length)).await;
    }
}
