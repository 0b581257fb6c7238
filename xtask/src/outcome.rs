//! What became of a step.

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It holds; the detail says what was counted, and may be empty.
    Passed(Passed),
    /// It does not hold.
    Failed {
        /// What a reader needs to see.
        output: String,
        /// What was not tried beside, each with its reason.
        left_out: Vec<String>,
    },
    /// It was not tried, for this reason.
    Skipped(String),
}

/// A step that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// What was counted, in a few words.
    pub(crate) detail: String,
    /// What could not be tried on this machine, each with its reason; a failure in continuous integration.
    pub(crate) missing: Vec<String>,
    /// What is left out on purpose, each with its reason.
    pub(crate) left_out: Vec<String>,
    /// What a reader should see although nothing failed.
    pub(crate) warnings: Vec<String>,
}

impl Outcome {
    pub(crate) fn passed(detail: impl Into<String>) -> Self {
        Self::Passed(Passed {
            detail: detail.into(),
            ..Passed::default()
        })
    }

    pub(crate) fn failed(output: impl Into<String>) -> Self {
        Self::Failed {
            output: output.into(),
            left_out: Vec::new(),
        }
    }

    /// What the step itself did not try, each with its reason.
    pub(crate) fn left_out(&self) -> Vec<&str> {
        match self {
            Self::Passed(passed) => passed
                .missing
                .iter()
                .chain(&passed.left_out)
                .map(String::as_str)
                .collect(),
            Self::Failed { left_out, .. } => left_out.iter().map(String::as_str).collect(),
            Self::Skipped(_) => Vec::new(),
        }
    }

    /// In continuous integration a skip is a failure: what is not tried there is tried nowhere.
    pub(crate) fn judged(self, in_ci: bool) -> Self {
        match self {
            Self::Skipped(reason) if in_ci => {
                Self::failed(format!("CI=true, so this may not be skipped: {reason}"))
            }
            Self::Passed(passed) if in_ci && !passed.missing.is_empty() => Self::Failed {
                output: format!(
                    "CI=true, so nothing may be missing, but this was:\n   {}",
                    passed.missing.join("\n   ")
                ),
                left_out: passed.missing.into_iter().chain(passed.left_out).collect(),
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_counts_as_failure_in_ci_only() {
        let skipped = Outcome::Skipped("not root".to_owned());
        assert_eq!(skipped.clone().judged(false), skipped);
        assert!(
            matches!(skipped.judged(true), Outcome::Failed { output, .. } if output.contains("not root"))
        );
    }

    #[test]
    fn what_is_missing_counts_as_failure_in_ci_only() {
        let passed = Outcome::Passed(Passed {
            missing: vec!["apt peer: no root".to_owned()],
            ..Passed::default()
        });
        assert_eq!(passed.clone().judged(false), passed);
        assert!(
            matches!(passed.judged(true), Outcome::Failed { output, .. } if output.contains("apt peer"))
        );
    }

    #[test]
    fn what_is_left_out_on_purpose_is_no_failure() {
        let passed = Outcome::Passed(Passed {
            left_out: vec!["scale: only with --full".to_owned()],
            ..Passed::default()
        });
        assert_eq!(passed.clone().judged(true), passed);
    }
}
