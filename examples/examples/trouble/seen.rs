//! What was seen of one line of trouble, and whether it is right.

use std::fmt;

use patchcore::{Error, ErrorKind, Failure};

/// Words that only a programmer reads; people never see them.
const DEBUG_OUTPUT: [&str; 7] = [
    "Some(",
    "None)",
    "Err(",
    "ErrorKind",
    "Error {",
    "panicked at",
    ".rs:",
];

/// What a user sees, and what was found out about it.
pub(crate) struct Seen {
    said: String,
    checks: Vec<(String, bool)>,
    skipped: Option<String>,
}

impl Seen {
    /// A text that is no error: a plan, a report, the lines of a run.
    pub(crate) fn text(said: impl Into<String>) -> Self {
        let said = said.into();
        let readable = DEBUG_OUTPUT.iter().all(|word| !said.contains(word));
        Self {
            said,
            checks: Vec::new(),
            skipped: None,
        }
        .quietly("it reads as a sentence for people", readable)
    }

    /// A call that must be refused.
    pub(crate) fn refused<T>(answer: patchcore::Result<T>, kind: ErrorKind) -> Self {
        match answer {
            Ok(_) => Self::text("(it was taken)").proves(format!("it is refused as {kind}"), false),
            Err(error) => Self::error(&error, kind),
        }
    }

    /// An error, as a failing `main` shows it.
    pub(crate) fn error(error: &Error, kind: ErrorKind) -> Self {
        let said = format!("{error:?}");
        let first = said.lines().next().unwrap_or_default();
        let styled = !first.ends_with('.') && !first.starts_with("the error");
        Self::text(said.clone())
            .quietly("its first line has no full stop", styled)
            .proves(format!("its kind is {kind}"), error.kind() == kind)
            .quietly(
                "it says what this means",
                said.contains("nothing ") || said.contains("goes on"),
            )
            .quietly(
                "it says what to do",
                error.remedy().is_some() || said.contains("mistakes;"),
            )
    }

    /// What a journal or a plan keeps of an error.
    pub(crate) fn failure(self, failure: Option<&Failure>, kind: ErrorKind) -> Self {
        let found = failure.map(|f| f.kind);
        self.proves(format!("its kind is {kind}"), found == Some(kind))
            .quietly(
                "it says what to do",
                failure.is_some_and(|f| f.hint.is_some()),
            )
    }

    /// Trouble that cannot be provoked here.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self {
            said: String::new(),
            checks: Vec::new(),
            skipped: Some(why.into()),
        }
    }

    /// The essential words: what people must read in it.
    pub(crate) fn says(mut self, words: &[&str]) -> Self {
        for word in words {
            let said = self.said.contains(word);
            self.checks.push((format!("it says \"{word}\""), said));
        }
        self
    }

    /// With what was seen besides, below it.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.said = format!("{}\n{}", self.said.trim_end(), more.said.trim());
        self.checks.extend(more.checks);
        self
    }

    /// One more thing that must hold, shown with the answer.
    pub(crate) fn proves(mut self, what: impl Into<String>, holds: bool) -> Self {
        self.checks.push((what.into(), holds));
        self
    }

    /// Shown only where it does not hold.
    fn quietly(mut self, what: &str, holds: bool) -> Self {
        if !holds {
            self.checks.push((what.to_owned(), false));
        }
        self
    }

    pub(crate) fn why_skipped(&self) -> Option<&str> {
        self.skipped.as_deref()
    }

    pub(crate) fn is_right(&self) -> bool {
        // A case that checks nothing shows nothing.
        !self.checks.is_empty() && self.checks.iter().all(|(_, holds)| *holds)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.said.trim_end())?;
        let right: Vec<&str> = self
            .checks
            .iter()
            .filter(|(what, holds)| *holds && !what.starts_with("it says"))
            .map(|(what, _)| what.as_str())
            .collect();
        for (what, _) in self.checks.iter().filter(|(_, holds)| !holds) {
            writeln!(f, "   WRONG: {what}: no")?;
        }
        let verdict = if self.is_right() { "ok" } else { "right" };
        write!(f, "   {verdict}: {}", right.join(" · "))
    }
}
