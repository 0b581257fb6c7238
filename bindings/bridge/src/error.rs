//! One error, flat and in owned parts.

use std::time::Duration;

use patchcore::{Error, Retry};

/// The facts that name what an error is about, the most telling first.
const SUBJECTS: [&str; 7] = [
    "component",
    "host",
    "provider",
    "file",
    "journal",
    "ring",
    "run",
];

/// An error as another language sees it.
#[derive(Debug, Clone)]
pub struct FaceError {
    /// The stable word of its kind, such as `plan_drift`.
    pub kind: &'static str,
    /// One line, with what was expected and what was found.
    pub message: String,
    /// The full form for people, over several lines: also the causes, what it means, and what to do.
    pub text: String,
    /// Whether doing the same again can help.
    pub retryable: bool,
    /// After how long, where the other side said so.
    pub retry_after: Option<Duration>,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there instead.
    pub found: Option<String>,
    /// What it means for the rest of the work.
    pub consequence: Option<String>,
    /// Patches that are known to be the cause.
    pub blames: Vec<String>,
    /// The call during which it happened.
    pub operation: Option<&'static str>,
    /// What it is about, where that is known: a component, a file, a journal.
    pub subject: Option<String>,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// Further facts.
    pub context: Vec<(&'static str, String)>,
}

impl From<Error> for FaceError {
    fn from(error: Error) -> Self {
        let facts = error.facts();
        let subject = SUBJECTS
            .iter()
            .find_map(|key| facts.iter().find(|(k, _)| k == key))
            .map(|(_, value)| value.clone());
        Self {
            kind: error.kind().slug(),
            message: error.to_string(),
            text: format!("{error:?}"),
            retryable: error.is_retryable(),
            retry_after: match error.retry() {
                Retry::After(after) => after,
                _ => None,
            },
            expected: error.expectation().map(str::to_owned),
            found: error.finding().map(str::to_owned),
            consequence: error.meaning().map(str::to_owned),
            blames: error.blamed().iter().map(ToString::to_string).collect(),
            operation: error.failed_operation(),
            subject,
            hint: error.remedy().map(str::to_owned),
            context: facts.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use patchcore::ErrorKind;

    use super::*;

    #[test]
    fn it_is_flat_and_names_what_it_is_about() {
        let error = Error::new(ErrorKind::HostKey, "web-03: its host key changed")
            .expected("A")
            .found("B")
            .operation("scan")
            .context("port", "22")
            .context("host", "web-03")
            .retryable(Some(Duration::from_secs(3)))
            .hint("ask who rebuilt it")
            .source_error(std::io::Error::other("inner"));
        let face = FaceError::from(error);
        assert_eq!(face.kind, "host_key");
        assert_eq!(
            face.message,
            "web-03: its host key changed: expected A but found B"
        );
        assert!(face.text.contains("because inner") && face.text.contains("ask who rebuilt it"));
        assert_eq!(face.subject.as_deref(), Some("web-03"));
        assert_eq!(face.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(face.context.len(), 2);
        assert_eq!(
            (face.expected.as_deref(), face.found.as_deref()),
            (Some("A"), Some("B"))
        );
        assert_eq!((face.consequence, face.blames.len()), (None, 0));
    }
}
