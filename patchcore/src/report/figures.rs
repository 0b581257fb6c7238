//! Figures that add up.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execute::{
    kernel::{End, Phase},
    words,
};

/// How many components stand where. Every planned component is counted exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// In the plan.
    pub planned: usize,
    /// Patched, verified and soaked.
    pub done: usize,
    /// Patched and verified; the soak was cut short by the end of the run.
    pub unsoaked: usize,
    /// Failed, and back where they were.
    pub rolled_back: usize,
    /// Failed, and left as they are.
    pub left_as_is: usize,
    /// Failed, left as they are, and a person attests that they are in service.
    pub attested: usize,
    /// Could not begin, and nothing was changed.
    pub untouched: usize,
    /// Never had their turn.
    pub skipped: usize,
    /// Their part is not over.
    pub not_over: usize,
    /// Failed in any way, wherever they stand now: not one more part of the sum.
    pub failed: usize,
}

impl Figures {
    pub(super) fn add(&mut self, phase: Phase, failed: bool) {
        self.planned += 1;
        self.failed += usize::from(failed);
        *match phase {
            Phase::Ended(End::Done) => &mut self.done,
            Phase::Ended(End::Unsoaked) => &mut self.unsoaked,
            Phase::Ended(End::RolledBack) => &mut self.rolled_back,
            Phase::Ended(End::LeftAsIs) => &mut self.left_as_is,
            Phase::Ended(End::Attested) => &mut self.attested,
            Phase::Ended(End::Untouched) => &mut self.untouched,
            Phase::Ended(End::Skipped) => &mut self.skipped,
            _ => &mut self.not_over,
        } += 1;
    }

    /// The parts of the sum with their words.
    #[must_use]
    pub fn parts(&self) -> [(usize, &'static str); 8] {
        [
            (self.done, words::end(End::Done)),
            (self.unsoaked, words::end(End::Unsoaked)),
            (self.rolled_back, words::end(End::RolledBack)),
            (self.left_as_is, words::end(End::LeftAsIs)),
            (self.attested, words::end(End::Attested)),
            (self.untouched, words::end(End::Untouched)),
            (self.skipped, words::end(End::Skipped)),
            (self.not_over, "not over"),
        ]
    }

    /// Whether the parts make the whole.
    #[must_use]
    pub fn add_up(&self) -> bool {
        self.parts().iter().map(|(n, _)| n).sum::<usize>() == self.planned
            && self.failed <= self.planned
    }
}

/// `14 planned = 2 done + 1 rolled back + 11 skipped`.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .parts()
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        if parts.is_empty() {
            return f.write_str("0 planned");
        }
        write!(f, "{} planned = {}", self.planned, parts.join(" + "))
    }
}
