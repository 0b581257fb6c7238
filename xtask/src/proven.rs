//! What is proven of each provider, verb by verb: a table that is made from what the tests said that ran, and held against it.
//!
//! A test that passes says `evidence: PROVIDER VERB LABEL`, and the suites also what a provider says of itself:
//! `claimed: PROVIDER VERB LABEL`. The table may say no more than that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::ExitCode,
};

use crate::{programs, workspace::Workspace};

const PAGE: &str = "docs/evidence/providers.md";

/// Lowest first.
const LABELS: [&str; 6] = [
    "DocumentOnly",
    "OwnFake",
    "RecordedCapture",
    "VendorSchema",
    "IndependentPeer",
    "LiveSystem",
];

/// A provider and one of its verbs.
type Verb = (String, String);

/// What tests said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// By label, the tests that earned it.
    earned: BTreeMap<Verb, BTreeMap<usize, BTreeSet<String>>>,
    /// What a provider says of itself.
    claimed: BTreeMap<Verb, usize>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    label: usize,
    test: String,
}

type Table = BTreeMap<Verb, Row>;

impl Said {
    /// Reads the output of the test programs. What a test said that failed, or that was skipped, counts for nothing.
    pub(crate) fn read(output: &str, of: &BTreeSet<String>) -> Self {
        let mut said = Self::default();
        let (mut failing, mut test) = (false, String::new());
        let mut skipped = BTreeSet::new();
        let mut lines = Vec::new();
        for line in output.lines() {
            if line.starts_with("test result: ") {
                failing = false;
                test.clear();
            } else if line == "failures:" {
                failing = true;
            } else if let Some(name) = line
                .strip_prefix("---- ")
                .and_then(|rest| rest.strip_suffix(" stdout ----"))
            {
                name.clone_into(&mut test);
            } else if line.starts_with("skipped: ") {
                skipped.insert(test.clone());
            } else if !failing && !test.is_empty() {
                lines.push((test.clone(), line));
            }
        }
        for (test, line) in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, provider, verb, label] = words[..] else {
                continue;
            };
            let Some(label) = LABELS.iter().position(|known| *known == label) else {
                continue;
            };
            if !of.contains(provider) || skipped.contains(&test) {
                continue;
            }
            let verb = (provider.to_owned(), verb.to_owned());
            match what {
                "evidence:" => {
                    let labels = said.earned.entry(verb).or_default();
                    labels.entry(label).or_default().insert(test);
                }
                "claimed:" => {
                    let most = said.claimed.entry(verb).or_default();
                    *most = label.max(*most);
                }
                _ => {}
            }
        }
        said
    }

    /// The table that says all of it and nothing more.
    fn table(&self) -> Table {
        let best = |labels: &BTreeMap<usize, BTreeSet<String>>| {
            let (label, tests) = labels.last_key_value()?;
            let test = tests.first()?.clone();
            Some(Row {
                label: *label,
                test,
            })
        };
        let rows = self.earned.iter();
        rows.filter_map(|(verb, labels)| Some((verb.clone(), best(labels)?)))
            .collect()
    }

    /// Everything in which a table and what was said differ. Where tests were skipped, what they would have earned is not
    /// missed.
    fn against(&self, table: &Table, whole: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for ((provider, verb), row) in table.iter().filter(|_| whole) {
            let at = format!("{provider} {verb}");
            let labels = self.earned.get(&(provider.clone(), verb.clone()));
            let most = labels.and_then(|labels| labels.last_key_value());
            match most {
                None => faults.push(format!("{at}: no test that ran earned any label")),
                Some((most, tests)) if *most < row.label => faults.push(format!(
                    "{at}: the table says {}, and no test earned more than {} ({})",
                    LABELS[row.label],
                    LABELS[*most],
                    tests.first().map_or("", String::as_str)
                )),
                Some(_) => {
                    let earned = labels.and_then(|labels| labels.get(&row.label));
                    if !earned.is_some_and(|tests| tests.contains(&row.test)) {
                        faults.push(format!(
                            "{at}: {} did not run, or did not earn {}",
                            row.test, LABELS[row.label]
                        ));
                    }
                }
            }
        }
        for (verb, label) in &self.claimed {
            let at = format!("{} {}", verb.0, verb.1);
            match table.get(verb) {
                None => faults.push(format!(
                    "{at}: the provider says {}, and the table nothing",
                    LABELS[*label]
                )),
                Some(row) if row.label != *label => faults.push(format!(
                    "{at}: the provider says {}, and the table {}",
                    LABELS[*label], LABELS[row.label]
                )),
                Some(_) => {}
            }
        }
        for (provider, verb) in self.earned.keys() {
            if !table.contains_key(&(provider.clone(), verb.clone())) {
                faults.push(format!("{provider} {verb}: was earned, and stands nowhere"));
            }
        }
        faults
    }
}

/// The providers of this workspace, by their folders.
fn providers(workspace: &Workspace) -> BTreeSet<String> {
    let folders = fs::read_dir(workspace.root().join("providers"));
    let folders = folders.into_iter().flatten().flatten();
    folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Holds the table against the output of all tests: an error says all that is wrong.
pub(crate) fn check(workspace: &Workspace, output: &str, whole: bool) -> Result<(), String> {
    let said = Said::read(output, &providers(workspace));
    let page = fs::read_to_string(workspace.root().join(PAGE));
    let page = page.map_err(|error| format!("{PAGE} cannot be read: {error}"))?;
    let faults = said.against(&parsed(&page), whole);
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{PAGE} differs from what ran:\n   {}\n   look at each; `cargo xtask evidence --write` writes what was earned",
        faults.join("\n   ")
    ))
}

/// `cargo xtask evidence`: holds the table against the last run of all tests, or writes it anew from that.
pub(crate) fn command(workspace: &Workspace, write: bool) -> ExitCode {
    match attempt(workspace, write) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn attempt(workspace: &Workspace, write: bool) -> Result<String, String> {
    let log = programs::log(workspace);
    let output = fs::read_to_string(&log)
        .map_err(|_| "no run of all tests is known\n   run: cargo xtask test tests".to_owned())?;
    let whole = !output.lines().any(|line| line.starts_with("skipped: "));
    if !write {
        check(workspace, &output, whole)?;
        let less = match whole {
            true => "",
            false => "; what skipped tests would earn was not looked at",
        };
        return Ok(format!("{PAGE} says what ran, and no more{less}"));
    }
    if !whole || output.contains("test result: FAILED") {
        return Err(format!(
            "nothing was written: tests failed or were skipped in the last run\n   look into {}",
            log.display()
        ));
    }
    let table = Said::read(&output, &providers(workspace)).table();
    fs::write(workspace.root().join(PAGE), page(&table))
        .map_err(|error| format!("{PAGE} cannot be written: {error}"))?;
    Ok(format!("{PAGE} was written: {} verbs", table.len()))
}

fn page(table: &Table) -> String {
    let mut page = "# What is proven of each provider\n\nWritten by `cargo xtask evidence --write` from what the tests said \
         that ran; do not edit.\n`cargo xtask test` fails where a line says more than its tests earned, where the test that it \
         names did not run, and where a provider says something else of itself.\nWhat the labels mean: \
         [evidence](README.md).\nA test that is named is one of those that earned the label.\n"
        .to_owned();
    let mut last = "";
    for ((provider, verb), row) in table {
        if provider != last {
            page.push_str(&format!(
                "\n## {provider}\n\n| verb | label | such as |\n|---|---|---|\n"
            ));
            last = provider;
        }
        page.push_str(&format!(
            "| {verb} | `{}` | `{}` |\n",
            LABELS[row.label], row.test
        ));
    }
    page
}

fn parsed(page: &str) -> Table {
    let mut table = Table::new();
    let mut provider = String::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut provider);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", verb, label, test, ""] = cells[..] else {
            continue;
        };
        let label = label.trim_matches('`');
        if let Some(label) = LABELS.iter().position(|known| *known == label) {
            let test = test.trim_matches('`').to_owned();
            table.insert((provider.clone(), verb.to_owned()), Row { label, test });
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
successes:

---- a::moves stdout ----
evidence: vsphere migrate OwnFake
claimed: vsphere migrate OwnFake
claimed: vsphere apply VendorSchema
evidence: sim migrate OwnFake

---- b::types stdout ----
evidence: vsphere apply VendorSchema

---- c::fakes stdout ----
evidence: vsphere apply OwnFake

---- d::left stdout ----
skipped: no peer
evidence: vsphere start LiveSystem

successes:
    a::moves

test result: ok. 4 passed; 0 failed
failures:

---- e::bad stdout ----
evidence: vsphere start LiveSystem

failures:
    e::bad

test result: FAILED. 0 passed; 1 failed
";

    fn said(output: &str) -> Said {
        Said::read(output, &BTreeSet::from(["vsphere".to_owned()]))
    }

    fn faults(output: &str, page: &str, whole: bool) -> String {
        said(output).against(&parsed(page), whole).join("\n")
    }

    #[test]
    fn a_table_is_made_of_what_passed_and_read_again() {
        let table = said(OUTPUT).table();
        let text = page(&table);
        assert!(
            text.contains(
                "| apply | `VendorSchema` | `b::types` |\n| migrate | `OwnFake` | `a::moves` |"
            ),
            "{text}"
        );
        assert!(!text.contains("start") && !text.contains("sim"), "{text}");
        assert_eq!(parsed(&text), table);
        assert_eq!(faults(OUTPUT, &text, true), "");
    }

    #[test]
    fn more_than_was_earned_is_refused() {
        let text = page(&said(OUTPUT).table());
        let high = text.replace("`OwnFake` | `a::moves`", "`IndependentPeer` | `a::moves`");
        let told = faults(OUTPUT, &high, true);
        assert!(
            told.contains("vsphere migrate: the table says IndependentPeer, and no test earned more than OwnFake"),
            "{told}"
        );
        assert!(
            told.contains("the provider says OwnFake, and the table IndependentPeer"),
            "{told}"
        );
    }

    #[test]
    fn a_test_that_is_gone_is_missed() {
        let text = page(&said(OUTPUT).table());
        let gone = OUTPUT.replace("evidence: vsphere apply VendorSchema", "");
        let told = faults(&gone, &text, true);
        assert!(told.contains("no test earned more than OwnFake"), "{told}");
        let gone = gone.replace("evidence: vsphere apply OwnFake", "");
        let told = faults(&gone, &text, true);
        assert!(
            told.contains("vsphere apply: no test that ran earned any label"),
            "{told}"
        );
        // Where tests were skipped nobody knows.
        assert_eq!(faults(&gone, &text, false), "");
        let renamed = OUTPUT.replace("b::types", "b::kinds");
        let told = faults(&renamed, &text, true);
        assert!(
            told.contains("b::types did not run, or did not earn VendorSchema"),
            "{told}"
        );
    }

    #[test]
    fn what_stands_nowhere_is_missed() {
        let text = page(&said(OUTPUT).table());
        let text = text.replace("| apply | `VendorSchema` | `b::types` |\n", "");
        let told = faults(OUTPUT, &text, true);
        assert!(
            told.contains("vsphere apply: was earned, and stands nowhere"),
            "{told}"
        );
        assert!(
            told.contains("vsphere apply: the provider says VendorSchema, and the table nothing"),
            "{told}"
        );
    }
}
