//! The operation protocol: how patchcore changes anything on the outside.
//!
//! The six calls and their order are fixed in `docs/adr/0001-operation-protocol.md`. The provider says
//! only what it sees; what that means for the run is decided by the engine, which has the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{OpContext, Progress};
use crate::{
    digest,
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, OpKey, PersonId},
};

/// A port's requests: an enum of its verbs.
pub trait PortRequest:
    Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The name of the port, such as `deploy`.
    const PORT: &'static str;

    /// The verb, such as `apply`.
    fn verb(&self) -> &'static str;

    /// Whom it changes; never empty.
    fn subjects(&self) -> BTreeSet<ComponentId>;

    /// The same request for some of its subjects; `None` when none is left.
    fn only(&self, keep: &BTreeSet<ComponentId>) -> Option<Self>;
}

/// One operation: what is to be done, under which key, against which baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(bound = "R: JsonSchema")]
#[non_exhaustive]
pub struct Op<R: PortRequest> {
    /// Stable over retries and restarts; a retry after a settled result has a new one.
    pub key: OpKey,
    /// What is to be done.
    pub request: R,
    /// What was there when it was prepared.
    pub baseline: Baseline,
    /// What people answered to this operation's questions, from the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

impl Baseline {
    /// Nothing that success or undo depend on.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            v: 0,
            body: Value::Null,
        }
    }
}

impl<R: PortRequest> Op<R> {
    /// An operation.
    pub fn new(key: OpKey, request: R, baseline: Baseline) -> Self {
        Self {
            key,
            request,
            baseline,
            answers: Vec::new(),
        }
    }
}

/// What a person answered to an operation's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// To which question.
    pub question: String,
    /// What.
    pub text: String,
    /// Who.
    pub by: PersonId,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl OpKey {
    /// A short form for targets that take few characters: `pc` and 30 hexadecimal digits, first a letter.
    #[must_use]
    pub fn token(&self) -> String {
        let digest = digest::sha256_hex(self.as_str().as_bytes());
        format!("pc{}", &digest[..30])
    }
}

/// What the target promises about an operation whose caller vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guarantee {
    /// The target itself refuses a second start under one key.
    Keyed {
        /// How long the target remembers a key. Later, *not found* says nothing.
        #[serde(with = "crate::clock::iso")]
        #[schemars(with = "String")]
        memory: Duration,
    },
    /// No key, but a started one can be found.
    Locatable {
        /// How long a started one may stay invisible.
        #[serde(with = "crate::clock::iso")]
        #[schemars(with = "String")]
        consistency_delay: Duration,
        /// How long the target remembers a finished one. Later, *not found* says nothing.
        #[serde(with = "crate::clock::iso")]
        #[schemars(with = "String")]
        memory: Duration,
    },
    /// Only the state can be seen, not whose doing it was.
    StateOnly {
        /// An operation whose caller died has stopped by then.
        #[serde(with = "crate::clock::iso")]
        #[schemars(with = "String")]
        quiet_after: Duration,
    },
    /// Neither; an interrupted start needs a person.
    Blind,
}

macro_rules! versioned {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The version of the body's shape, counted by the provider.
            pub v: u16,
            /// The provider's own facts; never a secret.
            pub body: Value,
        }

        impl $name {
            /// Wraps a provider's own facts.
            ///
            /// # Errors
            /// `ProviderFault` if the value cannot be written as JSON.
            pub fn new(v: u16, body: &impl Serialize) -> Result<Self> {
                let body = serde_json::to_value(body).map_err(|e| {
                    Error::new(ErrorKind::ProviderFault, concat!(stringify!($name), " cannot be written as JSON")).source_error(e)
                })?;
                Ok(Self { v, body })
            }

            /// Reads a provider's own facts of one version.
            ///
            /// # Errors
            /// `ProviderFault` with the version or field that differs.
            pub fn read<T: DeserializeOwned>(&self, v: u16) -> Result<T> {
                if self.v != v {
                    return Err(Error::new(ErrorKind::ProviderFault, concat!(stringify!($name), " has another version"))
                        .expected(v.to_string())
                        .found(self.v.to_string())
                        .hint("use the provider version that wrote it, or resolve the operation by hand"));
                }
                T::deserialize(&self.body).map_err(|e| {
                    Error::new(ErrorKind::ProviderFault, concat!(stringify!($name), " cannot be read")).source_error(e)
                })
            }
        }
    )*};
}

versioned! {
    /// What was there before, as far as success and undo depend on it.
    Baseline,
    /// By what a running operation is found again: a task id, an operation URL, a job folder.
    Handle,
}

/// How a result is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum How {
    /// Read back from the target.
    Observed,
    /// A person says so.
    Attested {
        /// Who.
        by: PersonId,
    },
}

/// What was seen that proves a result, as a sentence and as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Evidence {
    /// A sentence for people: `12 of 12 at the planned version`.
    pub saw: String,
    /// How it is known.
    pub how: How,
    /// When it was seen. Evidence older than the effect proves nothing.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// What the target said of itself, such as an exit status: a hint, never the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// The facts behind it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
}

impl Evidence {
    /// Something read back from the target.
    pub fn observed(as_of: Timestamp, saw: impl Into<String>) -> Self {
        Self {
            saw: saw.into(),
            how: How::Observed,
            as_of,
            claimed: None,
            facts: Value::Null,
        }
    }

    /// Something a person says.
    pub fn attested(as_of: Timestamp, by: PersonId, says: impl Into<String>) -> Self {
        Self {
            saw: says.into(),
            how: How::Attested { by },
            as_of,
            claimed: None,
            facts: Value::Null,
        }
    }

    /// What the target said of itself.
    #[must_use]
    pub fn with_claim(mut self, claimed: impl Into<String>) -> Self {
        self.claimed = Some(claimed.into());
        self
    }

    /// Further facts.
    #[must_use]
    pub fn with_facts(mut self, facts: Value) -> Self {
        self.facts = facts;
        self
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.saw)?;
        match &self.how {
            How::Attested { by } => write!(f, " (attested by {by})"),
            How::Observed => Ok(()),
        }
    }
}

/// One reason why an operation cannot begin now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// What is in the way, with its kind and its remedy.
    pub failure: Failure,
    /// Whether it may pass by itself, such as a lock that another process holds.
    pub passes: bool,
    /// Who holds what is waited for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Blocker {
    /// From an error; it passes if the error is retryable.
    #[must_use]
    pub fn from_error(error: &Error) -> Self {
        Self {
            failure: Failure::from(error),
            passes: error.is_retryable(),
            holder: error.fact("holder").map(str::to_owned),
        }
    }
}

/// Whether an operation can begin for one subject.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Readiness {
    /// It can begin.
    Ready,
    /// What is wanted is already so; nobody says whose doing that was.
    AlreadyHolds(Evidence),
    /// It cannot begin; all reasons at once.
    Blocked(Vec<Blocker>),
    /// What is to be given back is no longer as it was left: somebody else changed it. A person decides; it is never
    /// overwritten.
    ChangedMeanwhile {
        /// What was left there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// The answer of [`Operations::prepare`]. A subject that is left out counts as blocked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Prepared {
    /// Success and undo are judged against this.
    pub baseline: Baseline,
    /// Each subject's answer.
    pub subjects: BTreeMap<ComponentId, Readiness>,
}

impl Prepared {
    /// Ready for one subject.
    #[must_use]
    pub fn ready(subject: ComponentId, baseline: Baseline) -> Self {
        Self {
            baseline,
            subjects: BTreeMap::from([(subject, Readiness::Ready)]),
        }
    }

    /// Already so for one subject.
    #[must_use]
    pub fn already_holds(subject: ComponentId, evidence: Evidence) -> Self {
        Self {
            baseline: Baseline::empty(),
            subjects: BTreeMap::from([(subject, Readiness::AlreadyHolds(evidence))]),
        }
    }

    /// Blocked for one subject.
    #[must_use]
    pub fn blocked(subject: ComponentId, blockers: Vec<Blocker>) -> Self {
        Self {
            baseline: Baseline::empty(),
            subjects: BTreeMap::from([(subject, Readiness::Blocked(blockers))]),
        }
    }
}

/// The answer of [`Operations::begin`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Begun {
    /// It runs, and goes on when our connection ends.
    Started(Handle),
    /// It is over already.
    Settled(Settled),
    /// The target refused before anything happened.
    Refused(Failure),
}

/// The answer of [`Operations::locate`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Located {
    /// There is no trace of it. The engine decides whether that means *not started*.
    NotFound,
    /// It runs.
    Running(Handle),
    /// It is over.
    Settled(Settled),
    /// It cannot be told.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What an operation asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// By which its answer is matched.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// What can be answered; empty where any text can.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// The answer of [`Operations::observe`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Observed {
    /// It runs.
    Running {
        /// How far.
        progress: Progress,
        /// When to ask again.
        poll_after: Duration,
    },
    /// It waits for a person.
    NeedsPerson(Question),
    /// It is over.
    Settled(Settled),
    /// It is gone without a result.
    Lost {
        /// What was seen.
        why: String,
    },
}

/// One subject's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectResult {
    /// It worked, as read back from the target.
    Done(Evidence),
    /// It did not. A failure is a claim too: the state is read after it all the same.
    Failed(Failure),
}

/// A result per subject. A subject that is left out is lost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// Each subject's result.
    pub subjects: BTreeMap<ComponentId, SubjectResult>,
}

impl Settled {
    /// One subject that succeeded.
    #[must_use]
    pub fn done(subject: ComponentId, evidence: Evidence) -> Self {
        Self {
            subjects: BTreeMap::from([(subject, SubjectResult::Done(evidence))]),
        }
    }

    /// One subject that failed.
    #[must_use]
    pub fn failed(subject: ComponentId, failure: Failure) -> Self {
        Self {
            subjects: BTreeMap::from([(subject, SubjectResult::Failed(failure))]),
        }
    }
}

/// How an operation is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Undo<R> {
    /// Nothing remains to be undone.
    Nothing,
    /// By this request.
    By(R),
    /// This tool cannot undo it; the component may still have another way back.
    Unavailable {
        /// Why.
        why: String,
    },
}

impl<R> Undo<R> {
    /// The same with another form of its request.
    #[must_use]
    pub fn map<S>(self, form: impl FnOnce(R) -> S) -> Undo<S> {
        match self {
            Self::Nothing => Undo::Nothing,
            Self::By(request) => Undo::By(form(request)),
            Self::Unavailable { why } => Undo::Unavailable { why },
        }
    }
}

/// The six calls behind every change. Object-safe; one value may serve several ports.
///
/// # Contract
/// - `prepare` and `locate` and `observe` change nothing.
/// - `begin` is called after its intent is durable. The work outlives the call. An error of `begin` means
///   *may have been sent*; a target that surely did nothing answers [`Begun::Refused`].
/// - A target that is `Keyed` returns the running or settled operation for the same key and content, and
///   refuses the same key with other content. It is not located before a fresh operation is begun.
/// - `locate` works in a new process that knows nothing but the operation.
/// - A result is read back from the target (versions, boot identity, placement); an exit code is a hint.
/// - A result belongs to its key: a settled operation is never reported for another key.
///
/// Conformance: `operations_*` in `patchcore-testkit`.
#[async_trait]
pub trait Operations<R: PortRequest>: Debug + Send + Sync + 'static {
    /// What the target promises about this operation if its caller vanishes. Pure.
    fn guarantee(&self, op: &Op<R>) -> Guarantee;

    /// How the operation is undone. Pure: from key, request and baseline only.
    fn undo(&self, op: &Op<R>) -> Undo<R>;

    /// Whether it can begin, and from what.
    ///
    /// # Errors
    /// The target could not be asked.
    async fn prepare(&self, ctx: &OpContext, request: &R) -> Result<Prepared>;

    /// Begins it.
    ///
    /// # Errors
    /// Nobody knows whether it began: the engine will `locate` it. A sure refusal is [`Begun::Refused`].
    async fn begin(&self, ctx: &OpContext, op: &Op<R>) -> Result<Begun>;

    /// Finds it again, also from a new process.
    ///
    /// # Errors
    /// The target could not be asked; asked again later.
    async fn locate(&self, ctx: &OpContext, op: &Op<R>) -> Result<Located>;

    /// Looks how far it is.
    ///
    /// # Errors
    /// The target could not be asked; asked again later.
    async fn observe(&self, ctx: &OpContext, op: &Op<R>, handle: &Handle) -> Result<Observed>;
}
