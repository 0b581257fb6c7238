//! The whole of `apt-get -s dist-upgrade`, checked against its own summary.

use std::collections::BTreeSet;

use patchcore::{Error, ErrorKind, Result};

use super::line::{Install, Line};

/// What apt would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Simulation {
    pub(crate) installs: Vec<Install>,
    pub(crate) configures: usize,
    pub(crate) removals: Vec<Line>,
    /// Names as apt prints them, `name` or `name:arch`.
    pub(crate) kept_back: BTreeSet<String>,
    /// The kept-back ones of which apt itself says that their phase has not come.
    pub(crate) deferred: BTreeSet<String>,
    /// Packages that an earlier run left half way.
    pub(crate) unfinished: usize,
    /// Warnings of apt, such as a repository whose list is missing.
    pub(crate) warnings: Vec<String>,
}

impl Simulation {
    /// Reads the text.
    ///
    /// # Errors
    /// A line that is not understood, or lines whose number is not that of the summary.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut found = Self::default();
        let mut summary = None;
        let mut list = List::Other;
        for line in text.lines() {
            if let Some(parsed) = Line::parse(line) {
                match parsed? {
                    Line::Install(install) => found.installs.push(install),
                    Line::Configure(_) => found.configures += 1,
                    removal @ Line::Remove { .. } => found.removals.push(removal),
                }
            } else if let Some(names) = line.strip_prefix("  ") {
                let names = names.split_whitespace().map(str::to_owned);
                match list {
                    List::KeptBack => found.kept_back.extend(names),
                    List::Deferred => found.deferred.extend(names),
                    List::Other => {}
                }
            } else {
                list = List::of_heading(line);
                if let Some(counts) = counts(line) {
                    summary = Some(counts);
                } else if let Some(number) = line.strip_suffix(" not fully installed or removed.") {
                    found.unfinished = number
                        .parse()
                        .map_err(|_| mismatch("a number of unfinished packages", line))?;
                } else if line.starts_with("W: ") || line.starts_with("E: ") {
                    found.warnings.push(line.to_owned());
                }
            }
        }
        found.kept_back.extend(found.deferred.iter().cloned());
        let summary = summary
            .ok_or_else(|| mismatch("the line `N upgraded, N newly installed, …`", "none"))?;
        found.check(&summary)?;
        Ok(found)
    }

    /// A grammar that this reader does not know would show here and not as patches that are missing.
    fn check(&self, summary: &Counts) -> Result<()> {
        let new = self.installs.iter().filter(|i| i.from.is_none()).count();
        let lines = Counts {
            changed: self.installs.len() - new,
            new,
            removed: self.removals.len(),
            kept: self.kept_back.len(),
        };
        if lines == *summary {
            return Ok(());
        }
        Err(mismatch(
            &format!("as many lines as its summary says, {summary:?}"),
            &format!("{lines:?}"),
        ))
    }
}

enum List {
    KeptBack,
    Deferred,
    Other,
}

impl List {
    fn of_heading(line: &str) -> Self {
        if line.ends_with("kept back:") {
            Self::KeptBack
        } else if line.ends_with("deferred due to phasing:") {
            Self::Deferred
        } else {
            Self::Other
        }
    }
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Counts {
    /// Upgraded, downgraded or installed again.
    changed: usize,
    new: usize,
    removed: usize,
    kept: usize,
}

/// Reads `1 upgraded, 2 newly installed, 0 to remove and 3 not upgraded.` and its longer forms.
fn counts(line: &str) -> Option<Counts> {
    let line = line.strip_suffix(" not upgraded.")?;
    let (line, kept) = line.rsplit_once(" and ")?;
    let mut counts = Counts {
        kept: kept.parse().ok()?,
        ..Counts::default()
    };
    for part in line.split(", ") {
        let (number, what) = part.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match what {
            "upgraded" | "downgraded" | "reinstalled" => counts.changed += number,
            "newly installed" => counts.new = number,
            "to remove" => counts.removed = number,
            _ => return None,
        }
    }
    Some(counts)
}

fn mismatch(expected: &str, found: &str) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        "the answer of apt-get -s is not understood",
    )
    .expected(expected)
    .found(found)
    .consequence("nothing of this scan is used, because a patch could be missing from it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REAL: &str = include_str!("../../../tests/fixtures/debian12-dist-upgrade.txt");

    #[test]
    fn a_real_machine_is_read_whole() {
        let found = Simulation::parse(REAL).unwrap();
        assert_eq!(
            found.installs.len(),
            REAL.lines().filter(|l| l.starts_with("Inst ")).count()
        );
        assert!(found.installs.len() > 100);
        assert_eq!(found.configures, found.installs.len());
        assert!(found.kept_back.is_empty() && found.removals.is_empty());
    }

    #[test]
    fn a_lost_line_is_noticed() {
        let lost: String = REAL
            .lines()
            .filter(|l| !l.starts_with("Inst bash "))
            .map(|l| format!("{l}\n"))
            .collect();
        assert_ne!(lost, REAL);
        let error = Simulation::parse(&lost).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("as many lines as its summary says"),
            "{error}"
        );
        let unknown = REAL.replacen("Inst bash ", "Put bash ", 1);
        assert!(Simulation::parse(&unknown).is_err());
        assert!(Simulation::parse("Reading package lists...\n").is_err());
    }

    #[test]
    fn both_forms_of_a_phased_patch_are_kept_back() {
        let older = "The following packages have been kept back:\n  a1 b2:i386\n0 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.\n";
        let newer = "The following upgrades have been deferred due to phasing:\n  a1\nThe following packages have been kept back:\n  b2:i386\n\
                     0 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.\n1 not fully installed or removed.\n";
        let (older, newer) = (
            Simulation::parse(older).unwrap(),
            Simulation::parse(newer).unwrap(),
        );
        assert_eq!(older.kept_back, newer.kept_back);
        assert_eq!(
            (older.deferred.len(), newer.deferred.len(), newer.unfinished),
            (0, 1, 1)
        );
    }

    #[test]
    fn the_longer_summaries_are_read() {
        let line = "1 upgraded, 2 newly installed, 3 downgraded, 4 to remove and 5 not upgraded.";
        assert_eq!(
            counts(line),
            Some(Counts {
                changed: 4,
                new: 2,
                removed: 4,
                kept: 5
            })
        );
        assert_eq!(
            counts("1 upgraded, 2 turned round, 4 to remove and 5 not upgraded."),
            None
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).*", at in 0..REAL.len(), with in ".{0,4}") {
            let _ = Simulation::parse(&text);
            if REAL.is_char_boundary(at) {
                let _ = Simulation::parse(&format!("{}{with}{}", &REAL[..at], &REAL[at..]));
            }
        }
    }
}
