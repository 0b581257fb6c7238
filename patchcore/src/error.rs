//! The one error type.
//!
//! An [`Error`] says what was being done, what was expected and what was found, whether trying
//! again can help, and what the reader can do. `Display` is one line without the source; `Debug`
//! is the full form for people, because that is what a failing `main` prints.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::id::PatchId;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal,)*) => {
        /// What went wrong, as a stable word. Match on this, never on message text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name used in JSON, logs and bindings, such as `plan_drift`.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }
        }
    };
}

kinds! {
    /// The caller's input is wrong: a policy, an inventory file, an argument.
    InvalidInput = "invalid_input",
    /// A thing named in the input does not exist.
    NotFound = "not_found",
    /// Two components share one id but are different machines, or one identity points two ways.
    AmbiguousIdentity = "ambiguous_identity",
    /// Two tools could act on one component and the policy does not choose.
    AmbiguousTool = "ambiguous_tool",
    /// Dependencies or orders form a circle.
    Cycle = "cycle",
    /// The plan has no valid approval.
    NotApproved = "not_approved",
    /// The approval was given to other content than this plan.
    ApprovalMismatch = "approval_mismatch",
    /// The approval or the plan is too old.
    ApprovalExpired = "approval_expired",
    /// The requester approved their own plan.
    SelfApproved = "self_approved",
    /// The plan contains a patch that an earlier run rolled back.
    Denied = "denied",
    /// What was approved and what is there now differ.
    PlanDrift = "plan_drift",
    /// Another run is open on this journal.
    RunOpen = "run_open",
    /// Another process holds this journal.
    JournalInUse = "journal_in_use",
    /// The journal belongs to another estate.
    JournalForeign = "journal_foreign",
    /// The journal was written by a newer version of patchcore.
    JournalNewer = "journal_newer",
    /// The journal is damaged, or its chain of hashes is broken.
    JournalDamaged = "journal_damaged",
    /// A disk is full.
    DiskFull = "disk_full",
    /// Another process holds what is needed, such as the dpkg lock.
    Busy = "busy",
    /// Another orchestrator has taken over the lock of the target.
    Fenced = "fenced",
    /// The component is broken before we start, such as a half-configured package.
    Unhealthy = "unhealthy",
    /// The target refused us for lack of a right.
    AuthzDenied = "authz_denied",
    /// The target's host key is unknown or changed.
    HostKey = "host_key",
    /// The target did not answer.
    Unreachable = "unreachable",
    /// A repository or package source failed or cannot be trusted.
    RepoError = "repo_error",
    /// A job was interrupted by a restart of its machine.
    LostReboot = "lost_reboot",
    /// A job ended without leaving a result.
    LostDied = "lost_died",
    /// A call took longer than its deadline.
    Timeout = "timeout",
    /// The caller asked to stop.
    Cancelled = "cancelled",
    /// This provider cannot do this.
    Unsupported = "unsupported",
    /// The provider of the cloud patches this component, nobody else can.
    HostManagedByProvider = "host_managed_by_provider",
    /// A provider broke its contract: it panicked, or answered what it must not.
    ProviderFault = "provider_fault",
    /// An input/output error of this machine.
    Io = "io",
    /// A patch went in and does not do what it must: verification failed.
    VerifyFailed = "verify_failed",
    /// A package's own script failed, or the package manager refused.
    InstallFailed = "install_failed",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// Whether doing the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// The same call fails the same way.
    #[default]
    Never,
    /// It may work later; where the other side said when, after this time.
    After(Option<Duration>),
}

struct Inner {
    kind: ErrorKind,
    message: String,
    retry: Retry,
    operation: Option<&'static str>,
    expected: Option<String>,
    found: Option<String>,
    context: Vec<(&'static str, String)>,
    consequence: Option<String>,
    hint: Option<String>,
    blames: Vec<PatchId>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What went wrong, for a person and for a program.
///
/// ```
/// use patchcore::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::PlanDrift, "web-1: openssl is not as approved")
///     .expected("3.0.14-1")
///     .found("3.0.15-1")
///     .hint("plan again and have the new plan approved");
/// assert_eq!(error.kind(), ErrorKind::PlanDrift);
/// assert!(!error.is_retryable());
/// assert_eq!(
///     error.to_string(),
///     "web-1: openssl is not as approved: expected 3.0.14-1 but found 3.0.15-1"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of a kind with one line that names the thing; lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            retry: Retry::Never,
            operation: None,
            expected: None,
            found: None,
            context: Vec::new(),
            consequence: None,
            hint: None,
            blames: Vec::new(),
            source: None,
        }))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner,
            Err(shared) => Inner {
                kind: shared.kind,
                message: shared.message.clone(),
                retry: shared.retry,
                operation: shared.operation,
                expected: shared.expected.clone(),
                found: shared.found.clone(),
                context: shared.context.clone(),
                consequence: shared.consequence.clone(),
                hint: shared.hint.clone(),
                blames: shared.blames.clone(),
                source: shared.source.clone(),
            },
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// What should have been there.
    #[must_use]
    pub fn expected(self, expected: impl Into<String>) -> Self {
        self.with(|e| e.expected = Some(expected.into()))
    }

    /// What was there instead.
    #[must_use]
    pub fn found(self, found: impl Into<String>) -> Self {
        self.with(|e| e.found = Some(found.into()))
    }

    /// The call during which it happened, such as `apply` or `journal.open`.
    #[must_use]
    pub fn operation(self, operation: &'static str) -> Self {
        self.with(|e| e.operation = Some(operation))
    }

    /// One more fact, such as `("component", "web-1")`.
    #[must_use]
    pub fn context(self, key: &'static str, value: impl Into<String>) -> Self {
        self.with(|e| e.context.push((key, value.into())))
    }

    /// What this means for the rest of the work, such as `nothing was changed`.
    #[must_use]
    pub fn consequence(self, consequence: impl Into<String>) -> Self {
        self.with(|e| e.consequence = Some(consequence.into()))
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.with(|e| e.hint = Some(hint.into()))
    }

    /// A patch that is known to be the cause. The deny-list is made from these.
    #[must_use]
    pub fn blame(self, patch: PatchId) -> Self {
        self.with(|e| e.blames.push(patch))
    }

    /// The cause.
    #[must_use]
    pub fn source_error(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with(|e| e.source = Some(Arc::new(source)))
    }

    /// Marks the error as one that may pass; `after` where the other side said when.
    #[must_use]
    pub fn retryable(self, after: Option<Duration>) -> Self {
        self.with(|e| e.retry = Retry::After(after))
    }

    /// What went wrong, as a stable word.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The line that names the thing, without expected and found.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether and when doing the same again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether doing the same again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.retry, Retry::After(_))
    }

    /// The call during which it happened.
    #[must_use]
    pub fn failed_operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// What should have been there.
    #[must_use]
    pub fn expectation(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// What was there instead.
    #[must_use]
    pub fn finding(&self) -> Option<&str> {
        self.0.found.as_deref()
    }

    /// What this means for the rest of the work.
    #[must_use]
    pub fn meaning(&self) -> Option<&str> {
        self.0.consequence.as_deref()
    }

    /// Patches that are known to be the cause.
    #[must_use]
    pub fn blamed(&self) -> &[PatchId] {
        &self.0.blames
    }

    /// Further facts as key and value.
    #[must_use]
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// One fact of its context, where it has it.
    pub(crate) fn fact(&self, key: &str) -> Option<&str> {
        let mut facts = self.0.context.iter();
        facts
            .find(|(k, _)| *k == key)
            .map(|(_, fact)| fact.as_str())
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The error and all its causes in one line, outermost first, for logs.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    }

    /// The causes in words, outermost first. Libraries often wrap an error in one that repeats its text; what was
    /// said already is not said again.
    fn causes(&self) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            let repeats = said
                .last()
                .is_some_and(|last| last.contains(&text) || text.ends_with(last.as_str()));
            if !repeats {
                said.push(text);
            }
            next = cause.source();
        }
        said
    }

    /// Whether a further fact stands in the message already: it is kept for programs and not shown twice.
    fn tells(&self, key: &str, value: &str) -> bool {
        let e = &*self.0;
        let texts = [Some(&e.message), e.expected.as_ref(), e.found.as_ref()];
        let named = format!("{key} {value}");
        // A short value such as a number stands in a text by chance.
        texts
            .into_iter()
            .flatten()
            .any(|text| text.contains(&named) || (value.len() > 4 && text.contains(value)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match (&self.0.expected, &self.0.found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected} but found {found}"),
            (Some(expected), None) => write!(f, ": expected {expected}"),
            (None, Some(found)) => write!(f, ": found {found}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        f.write_str(&e.message)?;
        if let Some(expected) = &e.expected {
            write!(f, "\n   expected  {expected}")?;
        }
        match (&e.expected, &e.found) {
            (Some(_), Some(found)) => write!(f, "\n   but found {found}")?,
            (None, Some(found)) => write!(f, "\n   found     {found}")?,
            (_, None) => {}
        }
        for cause in self.causes() {
            write!(f, "\n   because {cause}")?;
        }
        for (key, value) in e.context.iter().filter(|(k, v)| !self.tells(k, v)) {
            write!(f, "\n   {key}: {value}")?;
        }
        if let Some(consequence) = &e.consequence {
            write!(f, "\n   {consequence}")?;
        }
        if let Some(hint) = &e.hint {
            write!(f, "\n   {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}

/// The part of an [`Error`] that outlives the process: what a journal or a report keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The kind's stable name.
    #[schemars(with = "String")]
    pub kind: ErrorKind,
    /// The whole line, with expected and found.
    pub message: String,
    /// What the reader can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Patches that are known to be the cause; empty where nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blames: Vec<PatchId>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.chain(),
            hint: error.remedy().map(str::to_owned),
            blames: error.0.blames.clone(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.kind, failure.message).with(|e| e.blames = failure.blames);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_the_form_for_people() {
        let error = Error::new(
            ErrorKind::HostKey,
            "web-03 could not be reached over ssh: its host key changed",
        )
        .expected("SHA256:mV0")
        .found("SHA256:Qp1")
        .consequence("nothing was sent to it; the other 34 components go on")
        .hint("if the host was rebuilt: ssh-keygen -R web-03, then plan again");
        assert_eq!(
            format!("{error:?}"),
            "web-03 could not be reached over ssh: its host key changed\n   expected  SHA256:mV0\n   \
             but found SHA256:Qp1\n   nothing was sent to it; the other 34 components go on\n   \
             if the host was rebuilt: ssh-keygen -R web-03, then plan again"
        );
    }

    #[test]
    fn each_part_can_be_asked_for() {
        let error = Error::new(ErrorKind::PlanDrift, "web-1: openssl is not as approved")
            .expected("3.0.14-1")
            .found("3.0.15-1")
            .consequence("nothing was changed")
            .blame("openssl".into());
        assert_eq!(error.expectation(), Some("3.0.14-1"));
        assert_eq!(error.finding(), Some("3.0.15-1"));
        assert_eq!(error.meaning(), Some("nothing was changed"));
        assert_eq!(error.blamed(), ["openssl"]);
        let bare = Error::new(ErrorKind::Io, "x");
        assert_eq!(
            (bare.expectation(), bare.finding(), bare.meaning()),
            (None, None, None)
        );
    }

    #[test]
    fn display_leaves_the_source_to_the_chain() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Io, "could not read policy.toml").source_error(cause);
        assert_eq!(error.to_string(), "could not read policy.toml");
        assert_eq!(error.chain(), "could not read policy.toml: disk on fire");
    }

    #[test]
    fn nothing_is_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("file is not a database")]
        struct Outer(#[source] std::io::Error);
        let inner = std::io::Error::other("error code 26: file is not a database");
        let error = Error::new(ErrorKind::JournalDamaged, "journal run.db: run 7 is open")
            .found("process 412 on vm")
            .context("run", "7")
            .context("holder", "process 412 on vm")
            .context("estate", "dc-north")
            .source_error(Outer(inner));
        assert_eq!(
            format!("{error:?}"),
            "journal run.db: run 7 is open\n   found     process 412 on vm\n   \
             because file is not a database\n   estate: dc-north"
        );
        assert_eq!(error.facts().len(), 3);
    }

    #[test]
    fn slugs_are_what_serde_writes() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.slug());
        }
    }
}
