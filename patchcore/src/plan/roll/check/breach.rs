//! What a roll would break.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, ErrorKind};

/// Which rule. Match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BreachKind {
    /// The cluster itself is faulty, so no roll over it can be checked.
    BadCluster,
    /// A step names what the cluster has not, or waits for a step that is listed after it.
    Malformed,
    /// Two steps that must follow each other could run at once or the other way round.
    Unordered,
    /// A step takes a machine from where it is not.
    WrongPlace,
    /// A host could be patched while a machine is on it.
    NotEmpty,
    /// A machine could arrive on a host that is closed, down or kept for failures.
    IntoClosed,
    /// More than a host has for machines.
    TooFull,
    /// A move fills its destination above the cap.
    FillCap,
    /// What is kept free for hosts that fail would be used up.
    HaReserve,
    /// More hosts down than a limit allows, in the whole, in a rack or in a site.
    TooManyDown,
    /// Two hosts that are never to be closed at once.
    Exclusive,
    /// A host closes before one that goes before it.
    Order,
    /// Too many machines of a group in one place.
    AntiAffinity,
    /// Machines that belong together go different ways.
    Affinity,
    /// A machine on a host that a rule keeps it from.
    Fence,
    /// Too few machines of a group are up.
    KeepUp,
    /// A machine would meet a CPU below its own level.
    CpuLevel,
    /// A machine is moved or stopped in a way that it, or its policy, does not allow.
    NotAllowed,
    /// A machine is stopped and never started again.
    Lost,
    /// Before a machine's notice is over, or before it has ended.
    TooEarly,
    /// Outside of every window.
    OutsideWindow,
    /// A host that needs the patch and neither gets it nor is left out.
    NotPatched,
    /// A host that is patched twice, or without need.
    PatchedAmiss,
    /// A host that is left out without a reason that holds.
    LeftOutAmiss,
}

/// One rule that a roll would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which rule.
    pub kind: BreachKind,
    /// The step at which it shows.
    pub step: Option<u32>,
    /// What happens, in one line that names the things.
    pub message: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "step {step}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// All that a roll would break; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaches {
    listed: Vec<Breach>,
    more: usize,
}

impl Breaches {
    /// The first hundred.
    #[must_use]
    pub fn listed(&self) -> &[Breach] {
        &self.listed
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Whether one of those listed is of this kind.
    #[must_use]
    pub fn has(&self, kind: BreachKind) -> bool {
        self.listed.iter().any(|breach| breach.kind == kind)
    }
}

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for breach in &self.listed {
            writeln!(f, "{breach}")?;
        }
        match self.count() {
            1 => f.write_str("the roll breaks 1 rule"),
            count => write!(f, "the roll breaks {count} rules"),
        }
    }
}

impl StdError for Breaches {}

impl From<Breaches> for Error {
    fn from(breaches: Breaches) -> Self {
        Self::new(ErrorKind::InvalidInput, breaches.to_string())
            .operation("roll.check")
            .consequence("nothing of it may run")
            .hint("plan again from the cluster as it is now")
    }
}

/// More breaches than these say nothing new.
const LISTED: usize = 100;

/// Breaches while they are looked for.
#[derive(Debug, Default)]
pub(super) struct Found {
    listed: Vec<Breach>,
    more: usize,
}

impl Found {
    pub(super) fn add(
        &mut self,
        kind: BreachKind,
        step: Option<usize>,
        message: impl Into<String>,
    ) {
        if self.listed.len() == LISTED {
            self.more += 1;
            return;
        }
        self.listed.push(Breach {
            kind,
            step: step.and_then(|step| u32::try_from(step).ok()),
            message: message.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn into_breaches(self) -> Breaches {
        Breaches {
            listed: self.listed,
            more: self.more,
        }
    }
}
