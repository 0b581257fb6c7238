//! What is so after a run, whatever happened to the program on the way.

use std::collections::{BTreeMap, BTreeSet};

use patchcore_testkit::peers::debian_root::{Guest, PackageChange, Transaction};

use super::stage::{GUESTS, Stage, WATCHED};

/// What is on offer, and the version that a patched guest has.
pub(crate) const PATCHED: [(&str, &str); 8] = [
    ("libpc1", "1.1-1"),
    ("pc-badpost", "1.1-1"),
    ("pc-conf", "1.1-1"),
    ("pc-hello", "1.1-1"),
    ("pc-kernel", "1.1-1"),
    ("pc-newdep", "1.0-1"),
    ("pc-removed", "1.1-1"),
    ("pc-slow", "1.1-1"),
];

/// What a run came to. Equal runs are equal in this, whoever was killed in them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    code: i32,
    runs: u32,
    verdict: String,
    owed: String,
    /// In which state each component ended.
    ends: BTreeMap<String, String>,
    guests: BTreeMap<&'static str, GuestEnd>,
}

#[derive(Debug, PartialEq, Eq)]
struct GuestEnd {
    /// Every package with its version and state.
    packages: Vec<String>,
    /// Those that may go when nothing needs them any more.
    automatic: Vec<String>,
    audit: String,
    /// What each transaction of apt did, without its time.
    apt: Vec<String>,
    /// What dpkg did by its own record, without its times.
    dpkg: Vec<String>,
    /// One job for each step.
    jobs: Vec<&'static str>,
    /// How many boots the guest's own records name.
    boots: usize,
    /// What is still kept for a way back.
    kept: String,
}

impl End {
    pub(crate) fn of(stage: &Stage, code: i32) -> Self {
        let report = std::fs::read(stage.file("report.json")).unwrap_or_default();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap_or_default();
        let components = report["components"].as_array().into_iter().flatten();
        Self {
            code,
            runs: stage.journal(WATCHED).unwrap().runs,
            verdict: report["verdict"].to_string(),
            owed: report["ledger"].to_string(),
            ends: components
                .map(|c| (c["component"].to_string(), c["phase"].to_string()))
                .collect(),
            guests: GUESTS.map(|name| (name, GuestEnd::of(stage, name))).into(),
        }
    }

    /// What a run is to come to that nobody disturbs, said apart from any run.
    pub(crate) fn check(&self, stage: &Stage) {
        let said = stage.said();
        // The policy tolerates one failure, so that also the run with a bad package is done.
        let of_run = (self.code, self.runs, &*self.verdict, &*self.owed);
        assert_eq!(of_run, (0, 1, "\"done\"", "[]"), "{said}");
        for name in GUESTS {
            let rolled_back = stage.is_bad && name == WATCHED;
            let found = &self.guests[name];
            let (steps, transactions): (&[&str], &[&str]) = match rolled_back {
                false => (
                    &["apply", "discard", "reboot", "stage"],
                    &["1 Install, 7 Upgrade"],
                ),
                true => (
                    &["apply", "discard", "reboot", "roll_back", "stage"],
                    &["1 Install, 7 Upgrade", "7 Downgrade, 1 Remove"],
                ),
            };
            assert_eq!(found.jobs, steps, "{name}\n{said}");
            let apt: Vec<&str> = found
                .apt
                .iter()
                .filter_map(|t| t.split(": ").next())
                .collect();
            assert_eq!(apt, transactions, "{name}\n{said}");
            assert_eq!(
                (found.boots, &*found.kept, &*found.audit),
                (2, "", ""),
                "{name}"
            );
            let versions = stage
                .lab
                .guest(name)
                .versions(PATCHED.map(|(package, _)| package));
            let expected: BTreeMap<String, String> = PATCHED
                .into_iter()
                .filter(|(package, _)| !rolled_back || *package != "pc-newdep")
                .map(|(package, version)| {
                    let version = if rolled_back { "1.0-1" } else { version };
                    (package.to_owned(), version.to_owned())
                })
                .collect();
            assert_eq!(versions, expected, "{name}\n{said}");
            let end = if rolled_back { "rolled_back" } else { "done" };
            let told = &self.ends[&format!("{name:?}")];
            assert!(told.contains(&format!("{end:?}")), "{name}: {told}\n{said}");
        }
    }
}

impl GuestEnd {
    fn of(stage: &Stage, name: &'static str) -> Self {
        let guest = stage.lab.guest(name);
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let jobs = stage.seen(name).jobs();
        let mut verbs: Vec<&str> = jobs.iter().map(|job| job.verb).collect();
        verbs.sort_unstable();
        let mut boots: BTreeSet<String> = jobs.iter().filter_map(|job| job.boot.clone()).collect();
        boots.extend([guest.boot_id(), stage.boots[name].clone()]);
        let format = "-f=${Package} ${Version} ${db:Status-Abbrev}\n";
        Self {
            packages: lines(guest.run(["dpkg-query", "-W", format]).ok()),
            automatic: lines(guest.run(["apt-mark", "showauto"]).ok()),
            audit: guest.run(["dpkg", "--audit"]).ok(),
            apt: guest.apt_history().iter().map(did).collect(),
            dpkg: dpkg(&guest.read_text("/var/log/dpkg.log")),
            jobs: verbs,
            boots: boots.len(),
            kept: guest
                .script("ls /var/lib/patchcore/rollback 2>/dev/null || :", [])
                .ok(),
        }
    }
}

/// What dpkg was told to do to packages, `upgrade pc-hello:amd64 1.0-1 1.1-1`, sorted.
fn dpkg(log: &str) -> Vec<String> {
    let mut actions: Vec<String> = log
        .lines()
        .filter_map(|line| line.splitn(3, ' ').nth(2))
        .filter(|action| {
            ["install ", "upgrade ", "remove "]
                .iter()
                .any(|a| action.starts_with(a))
        })
        .map(str::to_owned)
        .collect();
    actions.sort_unstable();
    actions
}

/// What one transaction of apt did: how much of what, and to which package.
fn did(transaction: &Transaction) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &transaction.changes {
        *counts.entry(&change.action).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(action, n)| format!("{n} {action}"))
        .collect();
    let mut changes: Vec<String> = transaction.changes.iter().map(moved).collect();
    changes.sort_unstable();
    format!("{}: {}", counts.join(", "), changes.join(", "))
}

fn moved(change: &PackageChange) -> String {
    let version = |v: &Option<String>| v.clone().unwrap_or_else(|| "none".to_owned());
    format!(
        "{} {} to {}",
        change.name,
        version(&change.from),
        version(&change.to)
    )
}

/// What apt itself recorded in a guest, a line for each transaction, for a reader to check.
pub(crate) fn history(guest: &Guest, name: &str) -> Vec<String> {
    let line = |(nth, transaction): (usize, &Transaction)| {
        let ended = match transaction.ended {
            Some(ended) => format!("to {}", ended.time()),
            None => "and never ended".to_owned(),
        };
        let started = transaction.started;
        format!(
            "{name} history.log {}: {started} {ended}: {}",
            nth + 1,
            did(transaction)
        )
    };
    guest.apt_history().iter().enumerate().map(line).collect()
}

/// Whatever was done more than once, by apt's own record: none where each guest had one transaction for the change, and
/// at most one for the way back.
pub(crate) fn done_twice(history: &[Transaction]) -> Vec<String> {
    let mut twice = Vec::new();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut directions: BTreeMap<&str, usize> = BTreeMap::new();
    for transaction in history {
        let mut went = BTreeSet::new();
        for change in &transaction.changes {
            let direction = match change.action.as_str() {
                "Install" | "Upgrade" => "forward",
                "Downgrade" | "Remove" => "back",
                other => {
                    twice.push(format!(
                        "{} of {}, which nobody planned",
                        other, change.name
                    ));
                    continue;
                }
            };
            went.insert(direction);
            *seen.entry((&change.name, direction)).or_default() += 1;
        }
        for direction in went {
            *directions.entry(direction).or_default() += 1;
        }
    }
    let many = |n: usize| n > 1;
    let of_guest = directions.into_iter().filter(|(_, n)| many(*n));
    twice.extend(of_guest.map(|(direction, n)| format!("{n} transactions went {direction}")));
    let of_packages = seen.into_iter().filter(|(_, n)| many(*n));
    twice.extend(
        of_packages.map(|((name, direction), n)| format!("{name} went {direction} {n} times")),
    );
    twice
}
