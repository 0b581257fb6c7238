//! What was measured, and what it must be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run of one tool, as `measure.py` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The status with which it ended.
    pub(crate) status: i32,
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// Seconds of processors, of itself and all it started.
    pub(crate) cpu: f64,
    /// The peak of its resident memory in bytes, summed over its processes.
    pub(crate) rss: u64,
    /// The same, with shared pages divided among those who share them.
    pub(crate) pss: u64,
    /// The most processes at once.
    pub(crate) processes: u64,
    /// The machine's load at its end.
    pub(crate) load: f64,
}

/// A tool of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tool {
    Patchcore,
    Python,
    Ansible,
    Pyinfra,
    Xargs,
}

impl Tool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Patchcore => "patchcore",
            Self::Python => "patchcore from Python",
            Self::Ansible => "ansible-core",
            Self::Pyinfra => "pyinfra",
            Self::Xargs => "xargs ssh",
        }
    }
}

/// What all tools do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Gather,
    Upgrade,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Who is measured beside whom, at what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Comparison {
    /// Our side as a Rust program, beside all others.
    #[default]
    Rust,
    /// Our side as a Python program, beside the one that is another.
    Python,
}

impl Comparison {
    pub(crate) const fn tools(self) -> &'static [Tool] {
        match self {
            Self::Rust => &[Tool::Patchcore, Tool::Ansible, Tool::Pyinfra, Tool::Xargs],
            Self::Python => &[Tool::Python, Tool::Pyinfra],
        }
    }

    pub(crate) const fn works(self) -> &'static [Work] {
        match self {
            Self::Rust => &[Work::Gather, Work::Upgrade],
            Self::Python => &[Work::Gather],
        }
    }

    const fn ours(self) -> Tool {
        match self {
            Self::Rust => Tool::Patchcore,
            Self::Python => Tool::Python,
        }
    }

    /// Our side may spend this share of the other's: the tool, one over which part of its CPU time, and of its memory.
    const fn shares(self) -> &'static [(Tool, f64, f64)] {
        match self {
            Self::Rust => &[(Tool::Ansible, 20.0, 12.0), (Tool::Pyinfra, 4.0, 2.0)],
            Self::Python => &[(Tool::Pyinfra, 2.0, 1.0)],
        }
    }
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) comparison: Comparison,
    /// The machine, the versions, the day.
    pub(crate) about: Vec<(String, String)>,
    pub(crate) guests: usize,
    pub(crate) rounds: usize,
    /// One entry a round.
    pub(crate) runs: Vec<Run>,
    /// Our connections, held all at once.
    pub(crate) held: Option<Held>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) work: Work,
    pub(crate) tool: Tool,
    pub(crate) figures: Figures,
}

#[derive(Debug, Serialize)]
pub(crate) struct Held {
    pub(crate) connections: usize,
    pub(crate) figures: Figures,
}

/// One target, and whether it is met.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Judged {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) target: String,
    pub(crate) holds: bool,
}

/// The most resident memory for a thousand open connections, in bytes.
const HELD_BYTES: u64 = 120_000_000;

impl Results {
    /// The medians of the rounds, each figure by itself.
    pub(crate) fn medians(&self) -> BTreeMap<(Work, Tool), Figures> {
        let mut of: BTreeMap<(Work, Tool), Vec<&Figures>> = BTreeMap::new();
        for run in &self.runs {
            of.entry((run.work, run.tool))
                .or_default()
                .push(&run.figures);
        }
        of.into_iter()
            .filter_map(|(key, runs)| Some((key, median(&runs)?)))
            .collect()
    }

    /// Every target with what was found. A target whose figures are missing is not met.
    pub(crate) fn judged(&self) -> Vec<Judged> {
        let medians = self.medians();
        let mut judged = Vec::new();
        for &work in self.comparison.works() {
            for &(tool, cpu, pss) in self.comparison.shares() {
                let pair = medians
                    .get(&(work, self.comparison.ours()))
                    .zip(medians.get(&(work, tool)));
                let mut ratio = |what: &str, target: f64, of: fn(&Figures) -> f64| {
                    let found = pair.map(|(ours, theirs)| of(ours) / of(theirs));
                    judged.push(Judged {
                        what: format!("{} of {}, {}", what, tool.name(), work.name()),
                        found: found.map_or_else(
                            || "not measured".to_owned(),
                            |found| format!("1/{:.1}", 1.0 / found),
                        ),
                        target: format!("at most 1/{target}"),
                        holds: found.is_some_and(|found| found <= 1.0 / target),
                    });
                };
                ratio("CPU", cpu, |figures| figures.cpu);
                #[expect(clippy::cast_precision_loss, reason = "a ratio of memory in bytes")]
                ratio("PSS", pss, |figures| figures.pss as f64);
            }
        }
        if let Some(held) = &self.held {
            judged.push(Judged {
                what: format!("memory with {} connections open", held.connections),
                found: megabytes(held.figures.rss),
                target: format!("at most {}", megabytes(HELD_BYTES)),
                holds: held.figures.rss <= HELD_BYTES,
            });
        }
        judged
    }
}

/// In units of 10⁶ bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn median(runs: &[&Figures]) -> Option<Figures> {
    let middle = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(|run| of(run)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let whole = |of: fn(&Figures) -> u64| {
        let mut values: Vec<u64> = runs.iter().map(|run| of(run)).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some(Figures {
        status: runs
            .iter()
            .map(|run| run.status)
            .find(|status| *status != 0)
            .unwrap_or(0),
        wall: middle(|run| run.wall)?,
        cpu: middle(|run| run.cpu)?,
        rss: whole(|run| run.rss)?,
        pss: whole(|run| run.pss)?,
        processes: whole(|run| run.processes)?,
        load: middle(|run| run.load)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn figures(cpu: f64, pss: u64) -> Figures {
        Figures {
            status: 0,
            wall: 1.0,
            cpu,
            rss: pss,
            pss,
            processes: 1,
            load: 0.5,
        }
    }

    fn results(ours: (f64, u64), ansible: (f64, u64), pyinfra: (f64, u64)) -> Results {
        let mut results = Results::default();
        for &work in results.comparison.works() {
            for (tool, (cpu, pss)) in [
                (Tool::Patchcore, ours),
                (Tool::Ansible, ansible),
                (Tool::Pyinfra, pyinfra),
            ] {
                results.runs.push(Run {
                    work,
                    tool,
                    figures: figures(cpu, pss),
                });
            }
        }
        results
    }

    #[test]
    fn a_target_holds_up_to_its_share() {
        fn check(results: &Results, expect: [bool; 4]) {
            let found: Vec<bool> = results.judged().iter().map(|judged| judged.holds).collect();
            // Both works alike: CPU and PSS of the one tool, then of the other.
            assert_eq!(found, [expect, expect].concat(), "{:?}", results.judged());
        }
        check(&results((0.1, 10), (2.0, 120), (0.4, 20)), [true; 4]);
        check(
            &results((0.11, 10), (2.0, 120), (0.5, 20)),
            [false, true, true, true],
        );
        check(
            &results((0.1, 11), (2.0, 120), (0.4, 22)),
            [true, false, true, true],
        );
        check(
            &results((0.1, 10), (2.0, 120), (0.3, 19)),
            [true, true, false, false],
        );
        let mut lacking = results((0.1, 10), (2.0, 120), (0.4, 20));
        lacking.runs.retain(|run| run.tool != Tool::Ansible);
        check(&lacking, [false, false, true, true]);
    }

    #[test]
    fn a_program_in_python_has_its_own_share() {
        for (cpu, pss, expect) in [
            (0.2, 20, [true, true]),
            (0.21, 20, [false, true]),
            (0.2, 21, [true, false]),
        ] {
            let mut results = Results {
                comparison: Comparison::Python,
                ..Results::default()
            };
            for (tool, cpu, pss) in [(Tool::Python, cpu, pss), (Tool::Pyinfra, 0.4, 20)] {
                results.runs.push(Run {
                    work: Work::Gather,
                    tool,
                    figures: figures(cpu, pss),
                });
            }
            let found: Vec<bool> = results.judged().iter().map(|judged| judged.holds).collect();
            assert_eq!(found, expect, "{:?}", results.judged());
            results.runs.pop();
            assert!(results.judged().iter().all(|judged| !judged.holds));
        }
    }

    #[test]
    fn the_median_is_of_each_figure_by_itself() {
        let runs = [figures(3.0, 1), figures(1.0, 2), figures(2.0, 9)];
        let found = median(&runs.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((found.cpu, found.pss), (2.0, 2));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn held_connections_have_their_bound() {
        let mut results = Results::default();
        for (rss, expect) in [(HELD_BYTES, true), (HELD_BYTES + 1, false)] {
            results.held = Some(Held {
                connections: 1000,
                figures: figures(1.0, rss),
            });
            assert_eq!(
                results.judged().last().map(|judged| judged.holds),
                Some(expect)
            );
        }
    }
}
