//! Runs the whole matrix and every whole run, and counts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    axes::{Class, cells},
    brackets::HeldSaid,
    cases::Case,
    judge::{Invariant, Violation},
    locks::LockSaid,
    micro, rules,
    stepper::At,
    whole::{self, Hurt},
    world::Who,
};

use patchcore::execute::step::{HeldAnswer, LockAnswer, LockCall, Occasion};

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Every variant of a cell, and pairs of crashes in whole runs.
    pub(crate) full: bool,
    /// Ends with the first violation.
    pub(crate) to_the_first: bool,
}

/// What was counted for one class of the matrix.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) cells: usize,
    pub(crate) hit: usize,
    pub(crate) explained: usize,
    pub(crate) runs: usize,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) rows: BTreeMap<Class, Row>,
    /// Cells that nothing hits and nothing explains, and cells that a rule denies and a run hits.
    pub(crate) empty: Vec<String>,
    pub(crate) contradicted: Vec<String>,
    /// How many cells each rule explains.
    pub(crate) rules: Vec<usize>,
    /// Points and runs of each case.
    pub(crate) cases: Vec<(&'static str, usize, usize, usize)>,
    pub(crate) runs: usize,
    /// The number of violations of each invariant, with the first one.
    pub(crate) violations: BTreeMap<Invariant, (usize, String)>,
    pub(crate) classes: BTreeSet<Class>,
    /// How often a run was hurt at each boundary of a lock or a look: crashed, and put to sleep.
    pub(crate) of_locks: BTreeMap<Class, [usize; 2]>,
    /// How often a lock said what to whom.
    pub(crate) lock_cells: BTreeMap<LockCell, usize>,
    /// The same of looks at what is held around changes.
    pub(crate) held_cells: BTreeMap<HeldCell, usize>,
}

/// Who calls a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Caller {
    First,
    Next,
    /// One that slept while it was taken over.
    Zombie,
}

impl Caller {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Next, Self::Zombie];
}

/// One cell of the matrix of locks.
pub(crate) type LockCell = (LockCall, LockAnswer, Caller);

/// One cell of the matrix of looks at what is held.
pub(crate) type HeldCell = (Occasion, HeldAnswer, Caller);

impl Caller {
    const fn of(who: Who, stale: bool) -> Self {
        match who {
            _ if stale => Self::Zombie,
            Who::Ours(1) => Self::First,
            _ => Self::Next,
        }
    }
}

impl Sweep {
    fn take(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            self.violations
                .entry(violation.invariant)
                .or_insert((0, violation.what))
                .0 += 1;
        }
    }

    fn take_locks(&mut self, says: &[LockSaid]) {
        for said in says {
            let cell = (said.call, said.answer, Caller::of(said.who, said.stale));
            *self.lock_cells.entry(cell).or_default() += 1;
        }
    }

    fn take_looks(&mut self, says: &[HeldSaid]) {
        for said in says {
            let caller = Caller::of(said.who, said.stale);
            let cell = (said.occasion, said.answer, caller);
            *self.held_cells.entry(cell).or_default() += 1;
        }
    }

    fn done(&self, depth: Depth) -> bool {
        depth.to_the_first && !self.violations.is_empty()
    }
}

/// Hurts the whole runs. `ends` are their ends without a crash.
pub(crate) fn whole_runs(cases: &[Case], ends: &[Vec<String>], depth: Depth) -> Sweep {
    let mut sweep = Sweep {
        rules: vec![0; rules::IMPOSSIBLE.len()],
        ..Sweep::default()
    };
    for (case, end) in cases.iter().zip(ends) {
        of_case(case, end, depth, &mut sweep);
        if sweep.done(depth) {
            break;
        }
    }
    sweep
}

/// Tries everything.
pub(crate) fn sweep(cases: &[Case], ends: &[Vec<String>], depth: Depth) -> Sweep {
    let mut sweep = whole_runs(cases, ends, depth);
    if sweep.done(depth) {
        return sweep;
    }
    for cell in cells() {
        let rule = rules::rule(&cell);
        let tried = micro::try_cell(cell, rule.is_none(), depth.full);
        let row = sweep.rows.entry(cell.class).or_default();
        row.cells += 1;
        row.runs += tried.runs;
        sweep.runs += tried.runs;
        match (tried.hit, rule) {
            (true, None) => row.hit += 1,
            (false, Some(rule)) => {
                row.explained += 1;
                sweep.rules[rule] += 1;
            }
            (false, None) => sweep.empty.push(cell.to_string()),
            (true, Some(_)) => sweep.contradicted.push(cell.to_string()),
        }
        sweep.take(tried.violations);
        if sweep.done(depth) {
            return sweep;
        }
    }
    sweep
}

/// One case: every single crash, every sleep and, where wanted, every pair of crashes.
fn of_case(case: &Case, end: &[String], depth: Depth, sweep: &mut Sweep) {
    let end = case.same_end.then_some(end);
    let before = sweep.runs;
    let mut same = 0;
    let plain = whole::run(case, Hurt::NOT, end);
    let points = plain.passed[0];
    sweep.take_locks(&plain.lock_says);
    sweep.take_looks(&plain.held_says);
    sweep.runs += 1;
    sweep.take(named(case, Hurt::NOT, plain.verdict.0));
    let mut states = BTreeSet::new();
    let every = if depth.full { 1 } else { case.every };
    for n in (0..points).step_by(every) {
        for wakes_after in [None, Some(0), Some(7), Some(usize::MAX)] {
            let hurt = Hurt {
                first: At::Nth(n),
                wakes_after,
                ..Hurt::NOT
            };
            let report = whole::run(case, hurt, end);
            sweep.runs += 1;
            for class in &report.classes {
                if Class::OF_LOCKS.contains(class) || Class::OF_LOOKS.contains(class) {
                    let of_it = sweep.of_locks.entry(*class).or_default();
                    of_it[usize::from(wakes_after.is_some())] += 1;
                }
            }
            sweep.classes.extend(report.classes);
            sweep.take_locks(&report.lock_says);
            sweep.take_looks(&report.held_says);
            sweep.take(named(case, hurt, report.verdict.0));
            if sweep.done(depth) {
                return;
            }
            if !depth.full || wakes_after.is_some() || case.every > 1 {
                continue;
            }
            // Two crashes that leave the same world and the same journal behind go on in the same way.
            if report.state.is_some_and(|state| !states.insert(state)) {
                same += 1;
                continue;
            }
            for m in 0..report.passed[1] {
                let hurt = Hurt {
                    second: At::Nth(m),
                    ..hurt
                };
                let report = whole::run(case, hurt, end);
                sweep.runs += 1;
                sweep.take(named(case, hurt, report.verdict.0));
            }
        }
    }
    let runs = sweep.runs - before;
    sweep.cases.push((case.name, points, runs, same));
}

fn named(case: &Case, hurt: Hurt, mut violations: Vec<Violation>) -> Vec<Violation> {
    for violation in &mut violations {
        violation.what = format!("{} {hurt:?}: {}", case.name, violation.what);
    }
    violations
}
