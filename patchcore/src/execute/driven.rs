//! Who drives a run, as another process sees it.

use super::journal::Holder;

/// Who drives a run, as another process sees it: the journal's lock says who has it and what it drives, its
/// records what it has taken up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DrivenBy {
    /// This process has the journal, and has taken up the run.
    Process(Holder),
    /// This process has the journal and does not drive the run: it parked it, came to rest with it and let go of it, or
    /// has not taken it up. Nobody looks into the inbox of the run meanwhile.
    Held(Holder),
    /// Nobody has the journal, so nothing goes on.
    Nobody {
        /// Who had it last.
        last: Option<Holder>,
    },
}

impl DrivenBy {
    /// Whether a process drives it, and so looks into its inbox.
    #[must_use]
    pub const fn is_driven(&self) -> bool {
        matches!(self, Self::Process(_))
    }

    /// Whether nobody has the journal, so that nothing goes on.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody { .. })
    }
}
