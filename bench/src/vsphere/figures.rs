//! The figures, and what they are judged by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Machines in the simulator whose inventory is read.
pub(crate) const MACHINES: usize = 10_000;

/// Hosts and machines of the cluster that is rolled.
pub(crate) const HOSTS: u32 = 32;
pub(crate) const ROLLED: u32 = 1_000;

/// Calls that a roll may have beside those of its hosts and moves.
const BESIDE: u64 = 100;
const OF_A_MOVE: u64 = 3;
const OF_A_HOST: u64 = 12;

/// Who reads the inventory, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    /// Where machines are and what they take, as a roll looks at its cluster before each host.
    Patchcore,
    PyVmomi,
    Govc,
}

impl Reader {
    pub(crate) const ALL: [Self; 3] = [Self::Patchcore, Self::PyVmomi, Self::Govc];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Patchcore => "patchcore",
            Self::PyVmomi => "pyVmomi",
            Self::Govc => "govc",
        }
    }

    pub(crate) const fn reads(self) -> &'static str {
        match self {
            Self::Patchcore => {
                "11 properties of each machine, hosts and tasks, as a roll's view of its cluster"
            }
            Self::PyVmomi | Self::Govc => "6 properties of each machine",
        }
    }

    /// What it is asked for of each machine; ours knows by itself.
    pub(crate) const fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Patchcore => &[],
            Self::PyVmomi | Self::Govc => &[
                "name",
                "runtime.host",
                "runtime.powerState",
                "summary.config.memorySizeMB",
                "summary.config.numCpu",
                "summary.config.guestId",
            ],
        }
    }
}

/// What one process cost, with everything that it started.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
pub(crate) struct Cost {
    pub(crate) status: i32,
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    /// The peak of the memory, in bytes.
    pub(crate) rss: u64,
}

/// One roll, as the simulator counted it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rolled {
    /// How long each task took, in milliseconds.
    pub(crate) task_ms: u32,
    pub(crate) wall: f64,
    pub(crate) migrations: u64,
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Rolled {
    pub(crate) fn all(&self) -> u64 {
        self.calls.values().sum()
    }

    /// The calls beside those that hosts and moves may have; below none where there are fewer.
    fn beside(&self) -> i64 {
        let may = OF_A_MOVE * self.migrations + OF_A_HOST * u64::from(HOSTS);
        self.all().cast_signed() - may.cast_signed()
    }
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) about: Vec<(String, String)>,
    pub(crate) loads: Vec<f64>,
    pub(crate) rounds: usize,
    pub(crate) costs: Vec<(Reader, Cost)>,
    /// A roll, and the same with tasks that take twice as long.
    pub(crate) rolls: Vec<Rolled>,
}

/// One figure beside its gate.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    pub(crate) target: String,
    pub(crate) holds: bool,
}

impl Figures {
    /// The medians of what a reader cost.
    pub(crate) fn median(&self, reader: Reader) -> Option<Cost> {
        let of_it = || self.costs.iter().filter(|(of, _)| *of == reader);
        let middle = |value: fn(&Cost) -> f64| {
            let mut all: Vec<f64> = of_it().map(|(_, cost)| value(cost)).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied()
        };
        Some(Cost {
            status: 0,
            wall: middle(|c| c.wall)?,
            cpu: middle(|c| c.cpu)?,
            rss: middle(|c| c.rss as f64)? as u64,
        })
    }

    /// Every figure of the parts that were asked for. What was not measured does not hold.
    pub(crate) fn judged(&self, only: Option<&str>) -> Vec<Judged> {
        let mut all = Vec::new();
        if only.is_none_or(|only| only == "inventory") {
            all.extend(self.inventory());
        }
        if only.is_none_or(|only| only == "calls") {
            all.extend(self.calls());
        }
        all
    }

    fn inventory(&self) -> [Judged; 3] {
        let ours = self.median(Reader::Patchcore);
        let share = |what, reader, value: fn(&Cost) -> f64, most: f64, target: &str| {
            let share = ours
                .zip(self.median(reader))
                .map(|(ours, other)| value(&ours) / value(&other))
                .filter(|share| share.is_finite());
            Judged {
                what,
                found: share.map_or("not measured".to_owned(), |s| format!("{s:.2} ×")),
                target: target.to_owned(),
                holds: share.is_some_and(|share| share <= most),
            }
        };
        [
            share(
                "processor time beside pyVmomi's for 6 properties",
                Reader::PyVmomi,
                |c| c.cpu,
                0.25,
                "at most 1/4",
            ),
            share(
                "processor time beside govc's for 6 properties",
                Reader::Govc,
                |c| c.cpu,
                0.5,
                "at most 1/2",
            ),
            share(
                "peak of memory beside pyVmomi's for 6 properties",
                Reader::PyVmomi,
                |c| c.rss as f64,
                1.0,
                "at most 1",
            ),
        ]
    }

    fn calls(&self) -> [Judged; 2] {
        let [first, second] = match self.rolls.as_slice() {
            [first, second] => [Some(first), Some(second)],
            _ => [None, None],
        };
        let unknown = || "not measured".to_owned();
        let beside = first.map(Rolled::beside);
        let more = first.zip(second).map(|(first, second)| {
            (second.all() as f64 - first.all() as f64) / first.all() as f64 * 100.0
        });
        [
            Judged {
                what: "calls of the roll beside 3 for each move and 12 for each host",
                found: beside.map_or_else(unknown, |beside| beside.to_string()),
                target: format!("at most {BESIDE}"),
                holds: beside.is_some_and(|beside| beside <= BESIDE.cast_signed()),
            },
            Judged {
                what: "more calls where every task takes twice as long",
                found: more.map_or_else(unknown, |more| format!("{more:.1} %")),
                target: "at most 5 %".to_owned(),
                holds: more.is_some_and(|more| more <= 5.0),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(cpu: f64, rss: u64) -> Cost {
        Cost {
            cpu,
            rss,
            ..Cost::default()
        }
    }

    fn rolled(calls: u64) -> Rolled {
        Rolled {
            migrations: 1_000,
            calls: [("RelocateVM_Task".to_owned(), calls)].into(),
            ..Rolled::default()
        }
    }

    fn good() -> Figures {
        let mut figures = Figures {
            rolls: vec![rolled(3_484), rolled(3_658)],
            ..Figures::default()
        };
        for _ in 0..3 {
            figures.costs.push((Reader::Patchcore, cost(0.5, 49)));
            figures.costs.push((Reader::PyVmomi, cost(2.0, 49)));
            figures.costs.push((Reader::Govc, cost(1.0, 33)));
        }
        // Of several the one in the middle counts.
        figures.costs[0].1 = cost(9.0, 99);
        figures
    }

    #[test]
    fn each_gate_is_held_to() {
        let check = |spoil: fn(&mut Figures), expect: &[usize]| {
            let mut figures = good();
            spoil(&mut figures);
            let judged = figures.judged(None);
            let unmet = judged.iter().enumerate().filter(|(_, j)| !j.holds);
            let unmet: Vec<usize> = unmet.map(|(place, _)| place).collect();
            assert_eq!(unmet, expect, "{judged:?}");
        };
        check(|_| {}, &[]);
        check(|f| f.costs[1].1.cpu = 1.9, &[]);
        check(|f| f.costs.iter_mut().for_each(|(_, c)| c.cpu -= 0.1), &[]);
        check(
            |f| f.costs.iter_mut().for_each(|(_, c)| c.cpu += 0.1),
            &[0, 1],
        );
        check(|f| f.costs[6].1.rss = 50, &[2]);
        check(|f| f.rolls[0] = rolled(3_485), &[3]);
        check(|f| f.rolls[1] = rolled(3_659), &[4]);
        // What was not measured is not met.
        check(|f| *f = Figures::default(), &[0, 1, 2, 3, 4]);
        assert_eq!(good().judged(Some("calls")).len(), 2);
    }
}
