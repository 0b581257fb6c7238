//! The lock of a target: of two orchestrators that know nothing of each other, one decides there.
//!
//! A journal settles who drives its run. Two journals settle nothing between them; that only the target can, where it
//! has compare-and-set: a file that is made if it is not there, a conditional write. It also counts: every holding has a
//! number higher than all before it, the fence, and whoever comes with a lower one begins nothing any more.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OpContext;
use crate::{
    error::{Error, ErrorKind, Result},
    id::ComponentId,
};

/// Who asks for the lock of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Claim {
    /// The journal on whose behalf: its `uid`.
    pub journal: String,
    /// The opening of that journal, drawn anew each time: a copied journal has the same `uid` and counts the same epoch.
    pub opening: String,
    /// How often that journal was opened.
    pub epoch: u64,
    /// The process, as a sentence for people: `process 4711 on admin-1 since 2026-11-28 20:02:11 UTC`.
    pub holder: String,
    /// After so long without a sign of life the holding lapses.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub lease: Duration,
}

impl Claim {
    /// A claim with the lease that is usual: 15 minutes, some times longer than any pause between two calls of a driver
    /// that lives.
    pub fn new(
        journal: impl Into<String>,
        opening: impl Into<String>,
        epoch: u64,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            journal: journal.into(),
            opening: opening.into(),
            epoch,
            holder: holder.into(),
            lease: Self::LEASE,
        }
    }

    /// The usual lease.
    pub const LEASE: Duration = Duration::from_secs(15 * 60);

    /// With another lease.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Whether both are of one opening of one journal.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.journal == other.journal && self.opening == other.opening
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (journal {})", self.holder, self.journal)
    }
}

/// One holding of a target's lock, as the target tells it. Every time is by the target's own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Held {
    /// By whom.
    pub claim: Claim,
    /// The number of the holding.
    pub fence: u64,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When its holder gave the last sign of life.
    #[schemars(with = "String")]
    pub seen: Timestamp,
    /// When this was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl Held {
    /// A holding that was just taken.
    #[must_use]
    pub fn new(claim: Claim, fence: u64, at: Timestamp) -> Self {
        Self {
            claim,
            fence,
            since: at,
            seen: at,
            at,
        }
    }

    /// The same with another last sign of life.
    #[must_use]
    pub fn with_seen(mut self, seen: Timestamp) -> Self {
        self.seen = seen;
        self
    }

    /// The same as it is read at another time.
    #[must_use]
    pub fn read_at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// How long its holder has given no sign of life. A sign of the future is one from before the clock was set back:
    /// it counts as old as it is far off.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.at.duration_since(self.seen).unsigned_abs()
    }

    /// How long it is held.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.at.duration_since(self.since).unsigned_abs()
    }

    /// Whether it lapsed: its holder gave no sign of life for its lease.
    #[must_use]
    pub fn has_lapsed(&self) -> bool {
        self.silent_for() >= self.claim.lease
    }

    /// Whether somebody else may have it: a later opening of the same journal at once, because the operating system's
    /// lock on the journal says that the earlier one is gone, or a person replaced it; everybody else once it lapsed.
    #[must_use]
    pub fn yields_to(&self, claim: &Claim) -> bool {
        let goes_on = self.claim.journal == claim.journal && claim.epoch > self.claim.epoch;
        goes_on || self.has_lapsed()
    }

    /// The error for whoever wants the lock meanwhile. It may pass.
    #[must_use]
    pub fn error(&self, component: &ComponentId) -> Error {
        Error::new(
            ErrorKind::Busy,
            format!("{component}: its lock is held by {self}"),
        )
        .context("holder", self.claim.holder.clone())
        .context("journal", self.claim.journal.clone())
        .context("fence", self.fence.to_string())
        .consequence("nothing was begun there")
        .hint("wait for that run to be through with it, or end that process: its holding lapses after its lease")
        .retryable(None)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, held for {}, last sign of life {} ago",
            self.claim,
            spoken(self.age()),
            spoken(self.silent_for())
        )
    }
}

/// A length of time in the two largest units that it has.
fn spoken(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// The answer of [`TargetLock::take`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// It is ours: it was free, or was ours already.
    Ours {
        /// The number of our holding.
        fence: u64,
    },
    /// It is ours, and was somebody else's.
    TakenOver {
        /// The number of our holding.
        fence: u64,
        /// Whose it was.
        from: Held,
    },
    /// Somebody else has it.
    HeldBy(Held),
}

/// The lock of each target, kept on the target.
///
/// # Contract
/// - Of all who take at once exactly one has it. The target decides, by compare-and-set.
/// - Each new holding has a higher fence than every holding before it, over all journals.
/// - Taking again by the same opening of the same journal gives the same fence, and is a sign of life. So is every call
///   of the same provider's other ports that comes with the fence of the holding.
/// - Who holds gives way as [`Held::yields_to`] says, to nobody else.
/// - While it is held, `begin` of the same provider's deployer refuses every fence but the holder's, with
///   [`ErrorKind::Fenced`]; while it is free, every lower one than the last. Also one that was sent before the lock
///   changed hands and arrives after.
/// - Giving back what is not held with this fence changes nothing and is no error.
///
/// Conformance: `lock_*` in `patchcore-testkit`.
#[async_trait]
pub trait TargetLock: fmt::Debug + Send + Sync + 'static {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// The target could not be asked, or cannot keep a lock: a full disk, a missing right. Nobody knows whether it was
    /// taken; taking it again tells.
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken>;

    /// Gives it back, where it is held with this fence.
    ///
    /// # Errors
    /// The target could not be asked.
    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()>;

    /// Who has it. Changes nothing.
    ///
    /// # Errors
    /// The target could not be asked.
    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>>;
}

/// The error for whoever comes with the fence of a holding that is not the target's any more.
#[must_use]
pub fn fenced(component: &ComponentId, fence: u64, last: u64, by: Option<&Held>) -> Error {
    let error = Error::new(
        ErrorKind::Fenced,
        format!("{component}: its lock went to somebody else"),
    )
    .expected(format!("fence {fence}"))
    .consequence("nothing was begun")
    .hint("stop the older of the two orchestrators; patch a target with one of them only");
    match by {
        Some(held) => error
            .found(format!("fence {} of {held}", held.fence))
            .context("holder", held.claim.holder.clone())
            .context("journal", held.claim.journal.clone()),
        None => error.found(format!("fence {last}, given back since")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_gives_way_to_a_later_opening_and_to_nobody_else_before_its_lease() {
        let claim = Claim::new("a", "o1", 3, "process 1 on x").with_lease(Duration::from_secs(60));
        let held = |now| Held::new(claim.clone(), 5, at(1000)).read_at(at(now));
        let of = |journal: &str, opening: &str, epoch| Claim::new(journal, opening, epoch, "p");

        assert!(held(1001).yields_to(&of("a", "o2", 4)));
        // A copy of the journal counts the same epoch.
        assert!(!held(1001).yields_to(&of("a", "o2", 3)));
        assert!(!held(1001).yields_to(&of("a", "o0", 2)));
        assert!(!held(1059).yields_to(&of("b", "o9", 9)));
        assert!(held(1060).yields_to(&of("b", "o9", 1)));
        // The clock was set back, by less and by more than the lease.
        assert!(!held(980).yields_to(&of("b", "o9", 1)));
        assert!(held(900).yields_to(&of("b", "o9", 1)));
    }

    #[test]
    fn whoever_waits_reads_by_whom_and_since_when() {
        let claim = Claim::new("3f2a", "o1", 3, "process 4711 on admin-1");
        let held = Held::new(claim, 5, at(0))
            .with_seen(at(4000))
            .read_at(at(4030));
        let error = held.error(&"web-01".into());
        assert!(error.is_retryable());
        assert_eq!(
            error.to_string(),
            "web-01: its lock is held by process 4711 on admin-1 (journal 3f2a), held for 1 h 7 min, \
             last sign of life 30 s ago"
        );
        let error = fenced(&"web-01".into(), 4, 5, Some(&held));
        assert!(!error.is_retryable());
        assert_eq!(error.kind(), ErrorKind::Fenced);
        assert!(
            error
                .to_string()
                .contains("expected fence 4 but found fence 5 of process 4711 on admin-1"),
            "{error}"
        );
    }
}
