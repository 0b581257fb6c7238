//! What crosses to a provider in another language and back, where the core has no stored form of it: JSON in the form
//! that serde gives an enum, the same for every language.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use patchcore::{
    Error, ErrorKind, Failure,
    id::{ComponentId, PatchId},
    provider::{
        Baseline, Begun, Blocker, BracketCapabilities, DeployerCapabilities, Evidence, Handle,
        Held, Holding, Located, Observed, PerComponent, Prepared, Progress, Question, Readiness,
        Settled, Taken,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Facts of an error that may come from outside: the core knows its keys when it is compiled.
const FACTS: [&str; 8] = [
    "component",
    "host",
    "provider",
    "file",
    "journal",
    "ring",
    "run",
    "holder",
];

/// What another language says of an exception.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// The word of its kind; an unknown one is a fault of the provider.
    pub kind: String,
    /// One line.
    pub message: String,
    /// Whether doing the same again can help.
    #[serde(default)]
    pub retryable: bool,
    /// After how many seconds, where the other side said so.
    #[serde(default)]
    pub retry_after: Option<f64>,
    /// What it means for the rest of the work.
    #[serde(default)]
    pub consequence: Option<String>,
    /// What the reader can do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// Patches that are known to be the cause.
    #[serde(default)]
    pub blames: Vec<PatchId>,
    /// Further facts; those that the core does not know are left out.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
}

impl Raised {
    /// As an error of the core.
    #[must_use]
    pub fn into_error(self) -> Error {
        let kind = serde_json::from_value(self.kind.into()).unwrap_or(ErrorKind::ProviderFault);
        let mut error = Error::new(kind, self.message);
        if self.retryable {
            let after = self.retry_after;
            error = error.retryable(after.and_then(|s| Duration::try_from_secs_f64(s).ok()));
        }
        if let Some(consequence) = self.consequence {
            error = error.consequence(consequence);
        }
        if let Some(hint) = self.hint {
            error = error.hint(hint);
        }
        for key in FACTS {
            if let Some(fact) = self.context.get(key) {
                error = error.context(key, fact.clone());
            }
        }
        self.blames.into_iter().fold(error, Error::blame)
    }
}

/// One component's answer of a reading call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneAnswer<T> {
    /// It was read.
    Read(T),
    /// It could not be.
    Failed(Raised),
}

/// The answers of a reading call.
pub type Answers<T> = BTreeMap<ComponentId, OneAnswer<T>>;

/// As the core has them.
pub fn per_component<T, U>(answers: Answers<T>, form: impl Fn(T) -> U) -> PerComponent<U> {
    let one = |answer| match answer {
        OneAnswer::Read(read) => Ok(form(read)),
        OneAnswer::Failed(raised) => Err(Raised::into_error(raised)),
    };
    let all = answers.into_iter();
    all.map(|(component, answer)| (component, one(answer)))
        .collect()
}

macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident is $core:ident { $($variants:tt)* } by { $($arm:pat => $to:expr,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        #[expect(missing_docs, reason = "as those of the core")]
        pub enum $form { $($variants)* }

        impl From<$form> for $core {
            fn from(form: $form) -> Self {
                use $form as F;
                match form { $($arm => $to,)* }
            }
        }
    )*};
}

forms! {
    /// [`Readiness`].
    ReadinessForm is Readiness {
        Ready,
        AlreadyHolds(Evidence),
        Blocked(Vec<Blocker>),
        ChangedMeanwhile { expected: String, found: String },
    } by {
    F::Ready => Self::Ready,
    F::AlreadyHolds(evidence) => Self::AlreadyHolds(evidence),
    F::Blocked(blockers) => Self::Blocked(blockers),
    F::ChangedMeanwhile { expected, found } => Self::ChangedMeanwhile { expected, found },
    }

    /// [`Begun`].
    BegunForm is Begun { Started(Handle), Settled(Settled), Refused(Failure) } by {
    F::Started(handle) => Self::Started(handle),
    F::Settled(settled) => Self::Settled(settled),
    F::Refused(failure) => Self::Refused(failure),
    }

    /// [`Located`].
    LocatedForm is Located { NotFound, Running(Handle), Settled(Settled), Unknown { why: String } } by {
    F::NotFound => Self::NotFound,
    F::Running(handle) => Self::Running(handle),
    F::Settled(settled) => Self::Settled(settled),
    F::Unknown { why } => Self::Unknown { why },
    }

    /// [`Observed`].
    ObservedForm is Observed {
        Running { progress: Progress, #[schemars(with = "String")] poll_after: SignedDuration },
        NeedsPerson(Question),
        Settled(Settled),
        Lost { why: String },
    } by {
    // A negative time is none; that the engine is not asked without a pause is the core's business.
    F::Running { progress, poll_after } => Self::Running { progress, poll_after: poll_after.try_into().unwrap_or_default() },
    F::NeedsPerson(question) => Self::NeedsPerson(question),
    F::Settled(settled) => Self::Settled(settled),
    F::Lost { why } => Self::Lost { why },
    }

    /// [`Holding`].
    HoldingForm is Holding { Held(Evidence), NotHeld { found: String } } by {
    F::Held(evidence) => Self::Held(evidence),
    F::NotHeld { found } => Self::NotHeld { found },
    }

    /// [`Taken`].
    TakenForm is Taken { Ours { fence: u64 }, TakenOver { fence: u64, from: Held }, HeldBy(Held) } by {
    F::Ours { fence } => Self::Ours { fence },
    F::TakenOver { fence, from } => Self::TakenOver { fence, from },
    F::HeldBy(held) => Self::HeldBy(held),
    }
}

/// [`Prepared`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreparedForm {
    /// Success and undo are judged against this.
    pub baseline: Baseline,
    /// Each subject's answer.
    pub subjects: BTreeMap<ComponentId, ReadinessForm>,
}

impl From<PreparedForm> for Prepared {
    fn from(form: PreparedForm) -> Self {
        // The core has no constructor for any number of subjects.
        let mut prepared = Self::ready("".into(), form.baseline);
        let subjects = form.subjects.into_iter();
        prepared.subjects = subjects
            .map(|(c, readiness)| (c, readiness.into()))
            .collect();
        prepared
    }
}

/// Which ports a provider offers, and what it says of them once and for all.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// What is there.
    #[serde(default)]
    pub inventory: bool,
    /// What is on offer.
    #[serde(default)]
    pub source: bool,
    /// What puts patches in, with what it can do.
    #[serde(default)]
    pub deployer: Option<DeployerCapabilities>,
    /// The kinds of checks that it can run; none where it runs none.
    #[serde(default)]
    pub probe: Option<Vec<String>>,
    /// A lock on each target.
    #[serde(default)]
    pub lock: bool,
    /// What is taken around a change, with the kinds of it.
    #[serde(default)]
    pub bracket: Option<BracketCapabilities>,
}
