//! Who drives a run, as another process sees it.

use super::journal::Holder;

/// Who drives a run, as another process sees it: the journal's lock says who has it, its records say what for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DrivenBy {
    /// This process has the journal, and has taken up the run.
    Process(Holder),
    /// This process has the journal, and has not taken up the run: it only reads, or has only just begun.
    NotYet(Holder),
    /// Nobody has the journal, so nothing goes on.
    Nobody {
        /// Who had it last.
        last: Option<Holder>,
    },
}

impl DrivenBy {
    /// Whether nobody has the journal, so that nothing goes on.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody { .. })
    }
}
