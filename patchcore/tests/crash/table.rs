//! What is shown at the end; its last line has the counts.

use std::fmt;

use patchcore::{
    execute::step::{Answer, Verb},
    mutant::Mutant,
};

use super::{
    axes::{Class, Kept, Life},
    judge::Invariant,
    rules::IMPOSSIBLE,
    sweep::{Row, Sweep},
};

/// What became of one mutant.
pub(crate) struct Caught {
    pub(crate) mutant: Mutant,
    pub(crate) by: Option<(Invariant, String)>,
    pub(crate) runs: usize,
}

/// Everything that is told.
pub(crate) struct Told {
    pub(crate) seen: Sweep,
    pub(crate) caught: Vec<Caught>,
}

impl Told {
    /// Classes of whole runs at which no run was hurt.
    fn never_passed(&self) -> Vec<Class> {
        let all = Class::OF_ONE.into_iter().chain(Class::OF_RUNS);
        all.filter(|class| !self.seen.classes.contains(class))
            .collect()
    }

    /// Whether nothing was found.
    pub(crate) fn holds(&self) -> bool {
        self.seen.violations.is_empty()
            && self.seen.empty.is_empty()
            && self.seen.contradicted.is_empty()
            && self.seen.rules.iter().all(|n| *n > 0)
            && self.never_passed().is_empty()
            && self.caught.iter().all(|c| c.by.is_some())
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
            "\n| planted fault | caught by | after runs |\n|---|---|---|"
        )?;
        for caught in &self.caught {
            let by = caught
                .by
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |(i, _)| format!("{i:?}"));
            writeln!(f, "| {:?} | {by} | {} |", caught.mutant, caught.runs)?;
        }
        writeln!(f)?;
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
        writeln!(f, " · {caught} of {} mutants caught", self.caught.len())
    }
}
