//! The figures, and what they are judged by.

use std::fmt::Write as _;

use super::measure::{Alone, Cost, Reopened};
use crate::page::head;

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) about: Vec<(String, String)>,
    /// Of the machine, before and after.
    pub(crate) loads: Vec<f64>,
    /// 2,000 effects at once, on disk.
    pub(crate) at_once: Cost,
    pub(crate) alone: Alone,
    /// Instructions for one event in an estate of so many components.
    pub(crate) instructions: Vec<(usize, f64)>,
    /// 100,000 components on disk.
    pub(crate) large: Cost,
    /// 1,000,000 components on disk, all admitted, and two events more for each.
    pub(crate) million: Cost,
    /// The same run, gone on with by another process.
    pub(crate) reopened: Reopened,
}

/// One row of a checkpoint for each component, and one for the run.
const ROWS: u64 = 1_000_001;

/// One figure beside its bound.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    pub(crate) target: &'static str,
    pub(crate) holds: bool,
}

impl Figures {
    /// Every figure that has a bound. What was not measured does not hold.
    pub(crate) fn judged(&self) -> Vec<Judged> {
        let gathered = self.at_once.events as f64 / self.at_once.commits as f64;
        let ack = self.alone.ack / self.alone.fsync;
        let grows = match self.instructions.as_slice() {
            [(_, few), .., (_, many)] => many / few,
            _ => f64::NAN,
        };
        let peak = self.large.peak as f64 / MIB;
        let million = self.million.peak as f64 / MIB;
        let judged = |what, found, target, holds| Judged {
            what,
            found,
            target,
            holds,
        };
        vec![
            judged(
                "events in one commit, 2,000 effects at once",
                format!("{gathered:.1}"),
                "≥ 50",
                gathered >= 50.0,
            ),
            judged(
                "one client's acknowledgement beside one fsync",
                format!("{ack:.2} ×"),
                "≤ 2 ×",
                ack <= 2.0,
            ),
            judged(
                "instructions for one event, 30,000 components beside 1,000",
                format!("{grows:.2} ×"),
                "< 1.3 ×",
                grows < 1.3,
            ),
            judged(
                "most memory, 100,000 components of 15 events on disk",
                format!("{peak:.0} MiB"),
                "≤ 256 MiB",
                self.large.peak > 0 && peak <= 256.0,
            ),
            judged(
                "most memory, 1,000,000 components admitted, and two events more for each",
                format!("{million:.0} MiB"),
                "≤ 1,024 MiB",
                self.million.peak > 0 && self.million.events >= 3_000_000 && million <= 1024.0,
            ),
            judged(
                "rows of checkpoints read to go on with 1,000,000 components",
                self.reopened.rows.to_string(),
                "1,000,001: each once",
                self.reopened.rows == ROWS,
            ),
        ]
    }

    /// All of them, for people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("| figure | found | expected | |\n|---|---|---|---|\n");
        for judged in self.judged() {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                judged.what,
                judged.found,
                judged.target,
                if judged.holds { "met" } else { "**not met**" },
            );
        }
        let mut shown = |what: &str, found: String| {
            let _ = writeln!(text, "| {what} | {found} | shown only | |");
        };
        let each = |cost: &Cost, of: f64| of / cost.events.max(1) as f64;
        let large = &self.large;
        shown(
            "one fsync of 4 KiB",
            format!("{:.0} µs", self.alone.fsync * 1e6),
        );
        for (components, instructions) in &self.instructions {
            shown(
                &format!("instructions for one event, {components} components"),
                format!("{instructions:.0}"),
            );
        }
        shown(
            "processor time for one event, 2,000 effects at once (aim: 50 µs)",
            format!("{:.0} µs", each(&self.at_once, self.at_once.cpu * 1e6)),
        );
        shown(
            "processor time for one event, 100,000 components",
            format!("{:.0} µs", each(large, large.cpu * 1e6)),
        );
        shown(
            "bytes of one event on disk",
            format!("{:.0}", each(&self.at_once, self.at_once.bytes as f64)),
        );
        shown(
            "memory when 100,000 components were started",
            format!("{:.0} MiB", large.at_start as f64 / MIB),
        );
        shown(
            "events and commits of 100,000 components",
            format!(
                "{} and {} in {:.0} s",
                large.events, large.commits, large.wall
            ),
        );
        shown(
            "events and commits of 1,000,000 components",
            format!(
                "{} and {} in {:.0} s",
                self.million.events, self.million.commits, self.million.wall
            ),
        );
        shown(
            "going on with 1,000,000 components",
            format!(
                "{:.0} s ({:.0} s of processor time), {} events read beside the checkpoints, at most {:.0} MiB",
                self.reopened.wall,
                self.reopened.cpu,
                self.reopened.events,
                self.reopened.peak as f64 / MIB
            ),
        );
        text
    }

    /// The page of evidence.
    pub(crate) fn page(&self) -> String {
        let title = "The last measuring of the engine";
        let mut page = head(title, "bench engine", &self.about, &self.loads);
        page.push_str(
            "\nA run over an estate whose every call answers at once, so that nothing but the engine is measured: kernels, driver, `ensure` and journal.\n\
             Each component takes 15 events. Counts and ratios are judged; times depend on the machine and are shown only.\n\
             Instructions are counted by callgrind with a journal in memory, between two points of one run.\n\
             Memory is the most that a process of its own ever had, the making of the plan included.\n\
             The run of 1,000,000 components is ended by the end of its process, and another process goes on with it.\n\n",
        );
        page.push_str(&self.table());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Figures {
        Figures {
            about: Vec::new(),
            loads: Vec::new(),
            at_once: Cost {
                events: 30_000,
                commits: 600,
                ..Cost::default()
            },
            alone: Alone {
                fsync: 0.001,
                ack: 0.002,
            },
            instructions: vec![(1000, 100.0), (30_000, 129.0)],
            large: Cost {
                peak: 256 << 20,
                ..Cost::default()
            },
            million: Cost {
                events: 3_000_000,
                peak: 1 << 30,
                ..Cost::default()
            },
            reopened: Reopened {
                rows: ROWS,
                ..Reopened::default()
            },
        }
    }

    fn unmet(figures: &Figures) -> Vec<usize> {
        let judged = figures.judged();
        let unmet = judged.iter().enumerate().filter(|(_, j)| !j.holds);
        unmet.map(|(place, _)| place).collect()
    }

    #[test]
    fn each_bound_is_held_to() {
        let check = |spoil: fn(&mut Figures), expect: &[usize]| {
            let mut figures = good();
            spoil(&mut figures);
            assert_eq!(unmet(&figures), expect, "{figures:?}");
        };
        check(|_| {}, &[]);
        check(|f| f.at_once.commits = 601, &[0]);
        check(|f| f.alone.ack = 0.002_01, &[1]);
        check(|f| f.instructions[1].1 = 130.0, &[2]);
        check(|f| f.large.peak += 1, &[3]);
        check(|f| f.million.peak += 1, &[4]);
        check(|f| f.million.events -= 1, &[4]);
        check(|f| f.reopened.rows -= 1, &[5]);
        check(|f| f.reopened.rows += 1, &[5]);
        // What was not measured is not met.
        check(|f| *f = Figures::default(), &[0, 1, 2, 3, 4, 5]);
    }
}
