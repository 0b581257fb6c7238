//! How a report reads on a terminal.

use std::fmt;

use super::{Report, Verdict};
use crate::execute::kernel::{End, Phase};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Done => "done",
            Verdict::Halted => "halted",
            Verdict::Cancelled => "cancelled",
            Verdict::NeedsPerson => "needs a person",
            Verdict::Open => "not over",
        };
        writeln!(
            f,
            "report · run {} of estate {} · plan {} · {verdict}",
            self.run, self.estate, self.plan
        )?;
        for (ring, count) in &self.rings {
            writeln!(
                f,
                "ring {ring}: {} of {} done, {} failed, {} skipped",
                count.done, count.planned, count.failed, count.skipped
            )?;
        }
        for component in &self.components {
            if component.phase != Phase::Ended(End::Done) {
                writeln!(f, "  {}  {:?}", component.component, component.phase)?;
            }
        }
        Ok(())
    }
}
