//! A check, its verdict, and how it is run.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    bench::Bench,
    fixture::{Fixture, NoFixture},
    peers::need,
};

/// What a check says of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The contract holds.
    Holds,
    /// The provider does not claim what is checked.
    NotClaimed(String),
    /// The outside cannot make the situation.
    NotOffered(String),
    /// The contract is broken.
    Fault(String),
    /// Another fault is in the way; the named check shows it.
    Unjudged {
        /// Which check shows the fault.
        see: &'static str,
        /// What was in the way.
        why: String,
    },
    /// The fixture itself failed.
    NotRun(String),
}

impl Verdict {
    /// Whether a provider may be used with this verdict. What could not be judged is not proven.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        matches!(
            self,
            Self::Holds | Self::NotClaimed(_) | Self::NotOffered(_)
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::NotClaimed(what) => write!(f, "not claimed: {what}"),
            Self::NotOffered(what) => write!(f, "not run, the outside cannot make it: {what}"),
            Self::Fault(what) => f.write_str(what),
            Self::Unjudged { see, why } => {
                write!(
                    f,
                    "could not be judged: {why}\n   mend first what {see} shows"
                )
            }
            Self::NotRun(why) => write!(f, "the fixture failed: {why}"),
        }
    }
}

impl From<patchcore::Error> for Verdict {
    /// For what the fixture answers: its failure says nothing about the provider.
    fn from(error: patchcore::Error) -> Self {
        Self::NotRun(format!("{error:?}"))
    }
}

/// `Ok` is [`Verdict::Holds`].
pub(crate) type Checked<T = ()> = Result<T, Verdict>;

/// Stops a check with a fault.
pub(crate) fn fault<T>(what: impl Into<String>) -> Checked<T> {
    Err(Verdict::Fault(what.into()))
}

/// A fault unless it holds.
pub(crate) fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { fault(otherwise()) }
}

/// The ports that have a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Port {
    /// [`InventorySource`](patchcore::provider::InventorySource).
    Inventory,
    /// [`PatchSource`](patchcore::provider::PatchSource).
    Source,
    /// [`Deployer`](patchcore::provider::Deployer).
    Deployer,
    /// [`Operations`](patchcore::provider::Operations) of a deployer.
    Operations,
    /// [`HealthProbe`](patchcore::provider::HealthProbe).
    Probe,
    /// [`TargetLock`](patchcore::provider::TargetLock).
    Lock,
    /// [`Bracket`](patchcore::provider::Bracket).
    Bracket,
    /// [`ClusterDrainer`](patchcore::provider::ClusterDrainer).
    Drainer,
}

type Running<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// One check of one port.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, which is what it demands.
    pub name: &'static str,
    /// The port that it is about.
    pub port: Port,
    /// The fault that it finds.
    pub finds: &'static str,
    pub(crate) run: for<'a> fn(&'a Bench) -> Running<'a>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How long one check may take on the wall clock. A package manager in a throw-away root needs a minute
/// for the longest one; ten times that is a hang.
const PATIENCE: Duration = Duration::from_secs(600);

impl Check {
    /// Runs it on a fresh outside. Needs a tokio runtime with time enabled.
    pub async fn run(&self, fixture: Arc<dyn Fixture>) -> Verdict {
        self.run_on(&Bench::new(fixture, self.name)).await
    }

    async fn run_on(&self, bench: &Bench) -> Verdict {
        match tokio::time::timeout(PATIENCE, (self.run)(bench)).await {
            Ok(Ok(())) => Verdict::Holds,
            Ok(Err(verdict)) => verdict,
            Err(_) => Verdict::Fault(format!("hung for {} s", PATIENCE.as_secs())),
        }
    }
}

/// Why a test of [`conformance!`](crate::conformance) fails.
pub struct NotConformant {
    check: &'static str,
    finds: &'static str,
    says: String,
}

impl fmt::Debug for NotConformant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n   {}\n   it finds: {}",
            self.check, self.says, self.finds
        )
    }
}

/// Runs one check as a test. [`conformance!`](crate::conformance) writes the calls.
///
/// # Errors
/// The contract is broken, could not be judged, or the fixture failed.
#[doc(hidden)]
pub fn run_as_test<F, M, Fut>(name: &str, make: M) -> Result<(), NotConformant>
where
    F: Fixture,
    M: FnOnce() -> Fut,
    Fut: Future<Output = Result<F, NoFixture>>,
{
    let unknown = |says: String| NotConformant {
        check: "conformance",
        finds: "tests that run nothing",
        says,
    };
    let check = crate::checks()
        .find(|c| c.name == name)
        .ok_or_else(|| unknown(format!("there is no check {name}")))?;
    let failed = |says: String| NotConformant {
        check: check.name,
        finds: check.finds,
        says,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| failed(format!("no runtime: {e}")))?;
    let verdict = runtime.block_on(async {
        match make().await {
            Ok(fixture) => {
                let bench = Bench::new(Arc::new(fixture), check.name);
                let verdict = check.run_on(&bench).await;
                if verdict == Verdict::Holds {
                    bench.tell_evidence();
                }
                verdict
            }
            Err(NoFixture::PeerMissing(missing)) => {
                let what = missing.to_string();
                need(Err::<(), _>(missing));
                Verdict::NotOffered(what)
            }
            Err(NoFixture::Broken(error)) => Verdict::NotRun(format!("{error:?}")),
        }
    });
    if verdict.is_fine() {
        if verdict != Verdict::Holds {
            println!("{name}: {verdict}");
        }
        return Ok(());
    }
    Err(failed(verdict.to_string()))
}
