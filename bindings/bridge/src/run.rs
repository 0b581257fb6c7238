//! The handle of a run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt as _;
use patchcore::{
    Error, ErrorKind, Plan, Result, Run, Standing,
    execute::{ComponentProgress, Told},
    id::RunId,
    report::Lines,
};
use tokio::task::JoinHandle;

use crate::runtime;

/// So many events are handed out at once at most.
const PAGE: usize = 256;
/// So many components in flight are named.
const NAMED: usize = 8;

/// A run in the hands of another language. A cheap clone.
///
/// It outlives the closing of its journal, after which every call is refused.
#[derive(Debug, Clone)]
pub struct RunHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: Mutex<Option<Run>>,
    id: RunId,
    plan: Plan,
    /// Holds it until it comes to rest.
    holder: Mutex<Option<JoinHandle<()>>>,
}

/// Every run that was handed out and that somebody still holds.
static HANDED_OUT: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// The runs of this process that are not at a safe point, so that they can be brought to one when the process ends.
#[must_use]
pub fn unfinished() -> Vec<RunHandle> {
    let mut all = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|run| run.strong_count() > 0);
    let held = all.iter().filter_map(Weak::upgrade).map(RunHandle);
    held.filter(|run| !run.is_final()).collect()
}

impl RunHandle {
    /// Of a run that was just started or taken up. Until it comes to rest it is held here, also if nobody else does.
    pub(crate) fn of(run: Run) -> Self {
        let handle = Self(Arc::new(Inner {
            id: run.id(),
            plan: run.plan().clone(),
            run: Mutex::new(Some(run.clone())),
            holder: Mutex::new(None),
        }));
        let mut all = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&handle.0));
        drop(all);
        if let Ok(runtime) = runtime::get() {
            let held = handle.clone();
            let holder = runtime.spawn(async move {
                // However it ended, it is at rest now.
                let _ = run.finished().await;
                drop((run, held));
            });
            *handle.holder() = Some(holder);
        }
        handle
    }

    fn held(&self) -> MutexGuard<'_, Option<Run>> {
        // A whole value is put in or taken out, so whoever panicked left it whole.
        self.0.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.0.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the run and of its journal.
    pub(crate) async fn close(&self) {
        let holder = self.holder().take();
        if let Some(holder) = holder {
            holder.abort();
            // It has let go of the journal once it has ended, in whatever way.
            let _ = holder.await;
        }
        self.held().take();
    }

    /// The run itself.
    ///
    /// # Errors
    /// `InvalidInput`: its journal was closed.
    pub fn run(&self) -> Result<Run> {
        self.held().clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the journal of run {} was closed", self.0.id),
            )
            .hint("ask before the journal is closed, or open it again and reopen the run")
        })
    }

    /// Its number in its journal.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.0.id
    }

    /// The plan it carries out.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Whether nothing more will happen by itself, or nobody here can know.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.held()
            .as_ref()
            .is_none_or(|run| run.standing().is_final())
    }

    /// Whether this process drives it no more, so that it can be reopened.
    pub(crate) fn is_let_go(&self) -> bool {
        self.held().as_ref().is_none_or(|run| {
            matches!(
                run.standing(),
                Standing::Parked { .. } | Standing::Ended { .. } | Standing::Broken { .. }
            )
        })
    }

    /// Asks that it be brought to a safe point, and does not wait.
    pub fn park(&self) {
        if self.is_final() {
            return;
        }
        if let (Ok(run), Ok(runtime)) = (self.run(), runtime::get()) {
            runtime.spawn(async move { run.park().await });
        }
    }

    /// Brings it to a safe point. A run at rest, or over, is at one.
    ///
    /// # Errors
    /// As [`Run::finished`].
    pub async fn parked(&self) -> Result<Standing> {
        self.run()?.park().await
    }

    /// What is in flight at this moment, a sentence each.
    ///
    /// # Errors
    /// As [`Run::progress`].
    pub async fn in_flight(&self) -> Result<Vec<String>> {
        let at_work = self.run()?.progress().await?.at_work;
        let more = at_work.len().saturating_sub(NAMED);
        let mut said: Vec<String> = at_work.iter().take(NAMED).map(one_in_flight).collect();
        if more > 0 {
            said.push(format!("{more} more"));
        }
        Ok(said)
    }

    /// The next events after a place in the journal, at least one; none when nothing more will happen by itself.
    ///
    /// # Errors
    /// `InvalidInput`: the journal was closed.
    pub async fn events_after(&self, seq: u64) -> Result<Vec<Told>> {
        let mut events = self.run()?.events_since(seq);
        let mut page = Vec::new();
        page.extend(events.next().await);
        // What was read along with the first is there at once; what would have to be waited for is left.
        while (1..PAGE).contains(&page.len())
            && let Some(Some(event)) = events.next().now_or_never()
        {
            page.push(event);
        }
        Ok(page)
    }

    /// Its lines, of what is new or of all.
    ///
    /// # Errors
    /// `InvalidInput`: the journal was closed.
    pub fn lines(&self, only_new: bool) -> Result<Lines> {
        let run = self.run()?;
        Ok(if only_new {
            run.new_lines()
        } else {
            run.lines()
        })
    }
}

fn one_in_flight(one: &ComponentProgress) -> String {
    let since = one.since.strftime("%H:%M:%S UTC");
    format!("{} {} since {since}", one.component, one.phase)
}
