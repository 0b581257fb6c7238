//! What is shown at the end; its last line has the counts.

use std::fmt;

use patchcore::{
    execute::step::{Answer, HeldAnswer, LockAnswer, LockCall, Occasion, Verb},
    mutant::Mutant,
};

use super::{
    axes::{Class, Kept, Life},
    driver::{ClockRow, Clocks, Seeds},
    judge::Invariant,
    rules::{IMPOSSIBLE, NO_LOCK_SAYS_SO, lock_rule},
    sweep::{Caller, HeldCell, LockCell, Row, Sweep},
};

/// What became of one mutant.
pub(crate) struct Caught {
    pub(crate) mutant: Mutant,
    pub(crate) by: Option<(Invariant, String)>,
    pub(crate) runs: usize,
}

/// Which seed of the driver found a mutant first.
pub(crate) struct CaughtBySeeds {
    pub(crate) by: Option<(Invariant, u64)>,
}

/// Everything that is told.
pub(crate) struct Told {
    pub(crate) seen: Sweep,
    pub(crate) caught: Vec<Caught>,
    pub(crate) clocks: Vec<ClockRow>,
    pub(crate) driven: Seeds,
    pub(crate) by_seeds: Vec<CaughtBySeeds>,
}

impl Told {
    /// Classes of whole runs at which no run was hurt.
    fn never_passed(&self) -> Vec<Class> {
        let all = Class::OF_ONE
            .into_iter()
            .chain(Class::OF_RUNS)
            .chain(Class::OF_LOCKS)
            .chain(Class::OF_LOOKS)
            .chain(Class::OF_VIEWS);
        all.filter(|class| !self.seen.classes.contains(class))
            .collect()
    }

    /// Every cell of the matrix of locks: how often it was hit, and the rule that says that it cannot be.
    fn lock_cells(&self) -> Vec<(LockCell, usize, Option<usize>)> {
        let cells = LockCall::ALL.into_iter().flat_map(|call| {
            LockAnswer::ALL
                .into_iter()
                .flat_map(move |answer| Caller::ALL.into_iter().map(move |who| (call, answer, who)))
        });
        let hit = |cell: &LockCell| self.seen.lock_cells.get(cell).copied();
        cells
            .map(|cell| (cell, hit(&cell).unwrap_or_default(), lock_rule(&cell)))
            .collect()
    }

    /// Cells of locks that are empty without a reason, and that a reason denies wrongly.
    fn lock_cells_wrong(&self) -> Vec<String> {
        let cells = self.lock_cells().into_iter();
        let wrong = cells.filter(|(_, hit, rule)| (*hit == 0) != rule.is_some());
        wrong.map(|cell| format!("{cell:?}")).collect()
    }

    /// Every cell of the matrix of looks at what is held: how often it was hit.
    fn held_cells(&self) -> Vec<(HeldCell, usize)> {
        let cells = Occasion::ALL.into_iter().flat_map(|occasion| {
            HeldAnswer::ALL.into_iter().flat_map(move |answer| {
                Caller::ALL
                    .into_iter()
                    .map(move |who| (occasion, answer, who))
            })
        });
        let hit = |cell: &HeldCell| self.seen.held_cells.get(cell).copied();
        cells
            .map(|cell| (cell, hit(&cell).unwrap_or_default()))
            .collect()
    }

    /// Those that nothing hits.
    fn held_cells_empty(&self) -> Vec<HeldCell> {
        let cells = self.held_cells().into_iter();
        let empty = cells.filter(|(_, hit)| *hit == 0);
        empty.map(|(cell, _)| cell).collect()
    }

    /// Whether nothing was found.
    pub(crate) fn holds(&self) -> bool {
        self.seen.violations.is_empty()
            && self.seen.empty.is_empty()
            && self.seen.contradicted.is_empty()
            && self.seen.rules.iter().all(|n| *n > 0)
            && self.never_passed().is_empty()
            && self.lock_cells_wrong().is_empty()
            && self.held_cells_empty().is_empty()
            && self.caught.iter().all(|c| c.by.is_some())
            && self.clocks.iter().all(ClockRow::holds)
            && self.driven.holds()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        writeln!(
            f,
            "| the first life ends at | cells | hit | explained | runs |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        let mut all = Row::default();
        for (class, row) in &seen.rows {
            let Row {
                cells,
                hit,
                explained,
                runs,
            } = row;
            writeln!(f, "| {class:?} | {cells} | {hit} | {explained} | {runs} |")?;
            all.cells += cells;
            all.hit += hit;
            all.explained += explained;
        }
        writeln!(
            f,
            "\n| cells that cannot be hit, because | cells |\n|---|---|"
        )?;
        for (rule, cells) in IMPOSSIBLE.iter().zip(&seen.rules) {
            writeln!(f, "| {} | {cells} |", rule.why)?;
        }
        writeln!(
            f,
            "\n| whole run | points | runs | crashes that leave the same behind |"
        )?;
        writeln!(f, "|---|---|---|---|")?;
        for (name, points, runs, same) in &seen.cases {
            writeln!(f, "| {name} | {points} | {runs} | {same} |")?;
        }
        writeln!(
            f,
            "\n| the first life ends at | crashed | put to sleep |\n|---|---|---|"
        )?;
        for (class, [crashed, asleep]) in &seen.of_locks {
            writeln!(f, "| {class:?} | {crashed} | {asleep} |")?;
        }
        writeln!(
            f,
            "\n| the lock of a target | says | to the first life | to a later one | to one that slept |\n|---|---|---|---|---|"
        )?;
        for three in self.lock_cells().chunks(Caller::ALL.len()) {
            let ((call, answer, _), ..) = three[0];
            write!(f, "| {call:?} | {answer:?} |")?;
            for (_, hit, rule) in three {
                match rule {
                    Some(rule) => write!(f, " {} |", NO_LOCK_SAYS_SO[*rule].why)?,
                    None => write!(f, " {hit} |")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "\n| what is held, looked at when it is | says | to the first life | to a later one | to one that slept |\n|---|---|---|---|---|"
        )?;
        for three in self.held_cells().chunks(Caller::ALL.len()) {
            let ((occasion, answer, _), _) = three[0];
            write!(f, "| {occasion:?} | {answer:?} |")?;
            for (_, hit) in three {
                write!(f, " {hit} |")?;
            }
            writeln!(f)?;
        }
        write!(f, "{}", Clocks(&self.clocks))?;
        write!(f, "{}", self.driven)?;
        writeln!(
            f,
            "\n| planted fault | caught by | after runs | by a seed of the driver |\n|---|---|---|---|"
        )?;
        for (caught, by_seeds) in self.caught.iter().zip(&self.by_seeds) {
            let by = caught
                .by
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |(i, _)| format!("{i:?}"));
            let seed = by_seeds.by.as_ref().map_or_else(
                || "no".to_owned(),
                |(i, seed)| format!("{i:?}, seed {seed}"),
            );
            writeln!(
                f,
                "| {:?} | {by} | {} | {seed} |",
                caught.mutant, caught.runs
            )?;
        }
        writeln!(f)?;
        write!(f, "{}", self.driven.failures())?;
        for cell in self.lock_cells_wrong() {
            writeln!(f, "FAILED: a cell of the locks: {cell}")?;
        }
        for cell in self.held_cells_empty() {
            writeln!(f, "FAILED: nothing hits {cell:?}")?;
        }
        for (invariant, (n, what)) in &seen.violations {
            writeln!(f, "FAILED: {invariant:?}, {n} times: {what}")?;
        }
        for cell in seen.empty.iter().take(200) {
            writeln!(f, "FAILED: nothing hits {cell}")?;
        }
        for cell in seen.contradicted.iter().take(200) {
            writeln!(f, "FAILED: said to be impossible, and hit: {cell}")?;
        }
        for (rule, _) in IMPOSSIBLE.iter().zip(&seen.rules).filter(|(_, n)| **n == 0) {
            writeln!(f, "FAILED: no cell needs the reason: {}", rule.why)?;
        }
        for class in self.never_passed() {
            writeln!(f, "FAILED: no whole run was hurt at {class:?}")?;
        }
        for caught in self.caught.iter().filter(|c| c.by.is_none()) {
            writeln!(f, "FAILED: nothing catches {:?}", caught.mutant)?;
        }
        let violations: usize = seen.violations.values().map(|(n, _)| n).sum();
        let caught = self.caught.iter().filter(|c| c.by.is_some()).count();
        write!(
            f,
            "crash: {} verbs × {} classes × {} answers × {} promises × {} lives: {} cells, {} hit, {} explained, {} empty · {} whole runs of cases × points · {} runs · {violations} violations",
            Verb::ALL.len(),
            Class::OF_ONE.len(),
            Answer::ALL.len(),
            Kept::ALL.len(),
            Life::ALL.len(),
            all.cells,
            all.hit,
            all.explained,
            seen.empty.len(),
            seen.cases.iter().map(|(_, _, runs, _)| runs).sum::<usize>(),
            seen.runs,
        )?;
        let by_seeds = self.by_seeds.iter().filter(|c| c.by.is_some()).count();
        writeln!(
            f,
            " · {caught} of {} mutants caught · {} seeds of the driver, {} violations, {by_seeds} mutants caught",
            self.caught.len(),
            self.driven.seeds,
            self.driven
                .violations
                .values()
                .map(|(n, ..)| n)
                .sum::<usize>(),
        )
    }
}
