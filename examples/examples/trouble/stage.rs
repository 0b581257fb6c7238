//! What the cases play on: a small simulated estate, a policy, journals, and a witness of what changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use patchcore::{
    Error, ErrorKind, Estate, Journal, Plan, Policy, Result, Run, Timestamp,
    approve::ApprovedPlan,
    estate::{Impact, Patch, PatchClass},
    execute::Story,
    id::{PatchId, Version},
    provider::{Ports, Provider, ProviderInfo},
    sim::{GuestSpec, Sim},
};

/// Two rings and a window every night.
pub(crate) const POLICY: &str = r#"
policy   = 1
name     = "weekly"
approval = { needs = 1, from = ["maria", "jon"], valid = "14d" }

[[window]]
name  = "nights"
zone  = "Europe/Berlin"
when  = "daily"
from  = "22:00"
until = "04:00"

[[ring]]
name   = "test"
select = "ring = test"
soak   = "24h"

[[ring]]
name    = "broad"
select  = "*"
at_once = "2"
soak    = "24h"
start_after = { ring = "test", success = "100%", at_least = 1 }
"#;

/// The packages of the Debian guests that fail or take long on purpose.
pub(crate) const LEFT_OUT: [&str; 2] = ["pc-badpost", "pc-slow"];

/// For Debian guests: one ring, at any time, and one failure does not stop the others. These packages are exceptions.
pub(crate) fn policy_on_debian(left_out: &[&'static str]) -> String {
    let mut policy = r#"
policy   = 1
name     = "now"
approval = { needs = 1, from = ["maria"] }
[[window]]
name = "now"
zone = "UTC"
when = "any time"
[patches]
take = ["security", "bugfix", "enhancement", "other"]
[[ring]]
name   = "all"
select = "*"
at_once = "2"
soak   = "0s"
[reboot]
when = "never"
pending_before = "fold_in"
[on_fail]
component = "roll_back"
tolerate  = "1"
"#
    .to_owned();
    for name in left_out {
        policy.push_str(&format!(
            "[[exception]]\nmatch = {name:?}\nbecause = \"it is so on purpose\"\nrisk_owner = \"dana\"\nuntil = 2099-12-31\n"
        ));
    }
    policy
}

/// One test guest and two more, each with a web server that has a patch.
pub(crate) const GUESTS: [&str; 3] = ["web-t1", "web-01", "web-02"];

/// The afternoon before the first window.
pub(crate) fn start() -> Result<Timestamp> {
    at("2026-12-07T14:00:00Z")
}

pub(crate) fn at(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|e: jiff::Error| {
        Error::new(ErrorKind::InvalidInput, format!("{text} is no time")).source_error(e)
    })
}

pub(crate) fn web(guest: GuestSpec) -> GuestSpec {
    let address = format!("{}.example", guest.name());
    guest
        .address(address)
        .label("tier", "web")
        .package("nginx", "1.22.1-9")
}

pub(crate) fn nginx() -> Patch {
    Patch::new("nginx", None, "1.22.1-10", PatchClass::Security).with_impact(Impact::ServiceRestart)
}

/// The estate before anything goes wrong.
pub(crate) fn sim() -> Result<Sim> {
    Ok(Sim::starting(start()?, 7)
        .guest("web-t1", |g| web(g).label("ring", "test"))
        .guests(["web-01", "web-02"], web)
        .publish(nginx()))
}

pub(crate) fn estate(sim: &Sim) -> Estate {
    Estate::named("dc-north")
        .with(sim.provider())
        .with_clock(sim.shared_clock())
}

pub(crate) fn policy() -> Result<Policy> {
    Policy::from_toml(POLICY, "policy.toml")
}

/// The policy with more lines, or with others.
pub(crate) fn policy_with(change: impl FnOnce(&str) -> String) -> Result<Policy> {
    Policy::from_toml(&change(POLICY), "policy.toml")
}

pub(crate) async fn plan(estate: &Estate) -> Result<Plan> {
    estate.plan(&policy()?).requested_by("sam").await
}

pub(crate) fn approved(estate: &Estate, plan: Plan) -> Result<ApprovedPlan> {
    let approval = estate.approval(&plan, "maria")?;
    estate.approve(plan, [approval])
}

/// Plans, has it approved, and starts it.
pub(crate) async fn started(estate: &Estate, journal: &Journal) -> Result<Run> {
    let plan = estate
        .plan(&policy()?)
        .history(journal)
        .requested_by("sam")
        .await?;
    estate.run(approved(estate, plan)?, journal).await
}

/// Every event so far, as people read it.
pub(crate) async fn told(run: &Run) -> String {
    let mut events = run.events();
    let mut lines = String::new();
    while let Some(event) = events.next().await {
        lines.push_str(&format!("{event}\n"));
    }
    lines
}

/// The lines of a text that hold one of these words: the rest of a plan is not what a case shows.
pub(crate) fn lines_with(text: &str, words: &[&str]) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| words.iter().any(|word| line.contains(word)))
        .collect();
    lines.join("\n")
}

/// What failed on a component of a run first.
pub(crate) fn first_failure<'a>(
    story: &'a Story,
    component: &str,
) -> Option<&'a patchcore::Failure> {
    story.components.get(component)?.failures.first()
}

/// Remembers how a simulated estate is, and says afterwards whether anything changed.
pub(crate) struct Witness {
    sim: Sim,
    guests: Vec<String>,
    before: BTreeMap<String, BTreeMap<PatchId, Version>>,
}

impl Witness {
    pub(crate) fn of(sim: &Sim) -> Result<Self> {
        Self::of_guests(sim, &GUESTS)
    }

    pub(crate) fn of_guests(sim: &Sim, guests: &[&str]) -> Result<Self> {
        let mut before = BTreeMap::new();
        for guest in guests {
            before.insert((*guest).to_owned(), sim.installed(guest)?);
        }
        Ok(Self {
            sim: sim.clone(),
            guests: before.keys().cloned().collect(),
            before,
        })
    }

    /// What the package tools and the power of all guests say: nothing was installed, removed or restarted.
    pub(crate) fn untouched(&self) -> Result<(String, bool)> {
        let (mut transactions, mut boots, mut same) = (0, 0, true);
        for guest in &self.guests {
            let history = self.sim.history(guest)?;
            transactions += history.transactions.len();
            boots += history.boots.len();
            same &= self.before.get(guest) == Some(&self.sim.installed(guest)?);
        }
        let started: u32 = self
            .sim
            .world(|world| world.calls().values().map(|c| c.starts).sum());
        let what = format!(
            "{} component{s}: {transactions} package transactions, {boots} restarts, {started} operations, every version as before",
            self.guests.len(),
            s = if self.guests.len() == 1 { "" } else { "s" }
        );
        Ok((
            what,
            transactions == 0 && boots == 0 && started == 0 && same,
        ))
    }
}

impl Witness {
    /// Whether these components have every version that they had.
    pub(crate) fn versions_as_before(&self) -> Result<bool> {
        for guest in &self.guests {
            if self.before.get(guest) != Some(&self.sim.installed(guest)?)
                || !self.sim.history(guest)?.transactions.is_empty()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a journal holds: so many runs and no more.
pub(crate) async fn runs(journal: &Journal, expected: usize) -> Result<(String, bool)> {
    let runs = journal.runs().await?.len();
    let s = if runs == 1 { "" } else { "s" };
    Ok((format!("journal: {runs} run{s}"), runs == expected))
}

/// A folder of the program's own, taken away with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "patchcore-trouble-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(|e| io("make a folder", e))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("run.db")
    }

    /// Every file in it, byte for byte.
    pub(crate) fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&self.0).map_err(|e| io("list a folder", e))? {
            let path = entry.map_err(|e| io("list a folder", e))?.path();
            let bytes = std::fs::read(&path).map_err(|e| io("read a file", e))?;
            files.insert(path, bytes);
        }
        Ok(files)
    }

    /// Whether these files are still there as they were. SQLite may have left an empty log and an index of it beside.
    pub(crate) fn holds(&self, before: &BTreeMap<PathBuf, Vec<u8>>) -> Result<bool> {
        let now = self.files()?;
        Ok(before
            .iter()
            .all(|(path, bytes)| now.get(path) == Some(bytes)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away lies in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn io(doing: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("could not {doing}")).source_error(error)
}

/// A provider with some ports of another: the same estate seen by a tool of another name, or without its checks.
#[derive(Debug)]
pub(crate) struct Seeing {
    info: ProviderInfo,
    ports: Ports,
}

impl Seeing {
    pub(crate) fn new(name: &str, ports: Ports) -> Self {
        Self {
            info: ProviderInfo::new(name, "1.0"),
            ports,
        }
    }
}

impl Provider for Seeing {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        self.ports.clone()
    }
}
