//! The same trouble in a fleet: real Debian guests, reached over SSH by an inventory file.
//!
//! Each case has guests of its own: `web-1`, which has the trouble, and `web-2`, which has none and is to be patched
//! as if nothing was. What the guests look like afterwards is read in them, by dpkg-query and from apt's history.

pub(super) mod others;
pub(super) mod packages;
pub(super) mod reaching;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    future::Future,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Estate, Failure, Journal, Plan, Policy, Result, Run, plan::WhyLeftOut,
};
use patchcore_linux::Linux;
use patchcore_testkit::peers::{
    debian_root::Guest,
    lab::{GuestRecipe, Kind, Lab, Recipe},
};

use super::{
    seen::Seen,
    stage::{self, io},
};

/// A package that every guest is offered.
const HELLO: &str = "pc-hello";

/// Two guests, and how they were.
pub(super) struct Fleet {
    lab: Lab,
    before: BTreeMap<String, State>,
}

/// Runs a case on guests of its own. The lab's network is one of the calling thread, so that the case has a thread
/// and a runtime for itself.
async fn on_guests<F>(
    names: &'static [&'static str],
    prepare: fn(&Lab),
    case: impl FnOnce(Fleet) -> F + Send + 'static,
) -> Result<Seen>
where
    F: Future<Output = Result<Seen>>,
{
    let work = move || {
        let recipe = names.iter().fold(Recipe::new(), |recipe, name| {
            recipe.with(GuestRecipe::new(*name, Kind::Bare))
        });
        let lab = match Lab::up(recipe) {
            Ok(lab) => lab,
            Err(missing) => return Ok(Seen::skipped(missing.to_string())),
        };
        prepare(&lab);
        lab.enter_thread();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| io("start a runtime", e))?;
        let before = lab
            .guests()
            .map(|guest| (guest.host_name().to_owned(), State::of(guest)))
            .collect();
        runtime.block_on(case(Fleet { lab, before }))
    };
    let thread = thread::Builder::new()
        .spawn(work)
        .map_err(|e| io("start a thread", e))?;
    let done = tokio::task::spawn_blocking(move || thread.join()).await;
    match done {
        Ok(Ok(seen)) => seen,
        // It has told why on its way.
        _ => Err(Error::new(ErrorKind::Io, "the guests fell over")),
    }
}

/// `web-1` with the trouble and `web-2` without.
async fn on_two<F>(
    prepare: fn(&Lab),
    case: impl FnOnce(Fleet) -> F + Send + 'static,
) -> Result<Seen>
where
    F: Future<Output = Result<Seen>>,
{
    on_guests(&["web-1", "web-2"], prepare, case).await
}

impl Fleet {
    fn guest(&self, name: &str) -> &Guest {
        self.lab.guest(name)
    }

    fn estate(&self) -> Result<Estate> {
        self.estate_of(self.lab.inventory())
    }

    fn estate_of(&self, inventory: &Path) -> Result<Estate> {
        Ok(Estate::named("dc-north").with(Linux::from_file(inventory)?))
    }

    /// The lab's inventory with some lines more for `web-1`, in a file beside it.
    fn inventory_with(&self, lines: &str) -> Result<PathBuf> {
        let text = fs::read_to_string(self.lab.inventory()).map_err(|e| io("read a file", e))?;
        let name = "name    = \"web-1\"\n";
        self.inventory_of(&text.replace(name, &format!("{name}{lines}\n")))
    }

    fn inventory_of(&self, text: &str) -> Result<PathBuf> {
        let file = self.lab.inventory().with_file_name("trouble.toml");
        fs::write(&file, text).map_err(|e| io("write a file", e))?;
        Ok(file)
    }

    /// What a guest looks like now.
    fn now(&self, name: &str) -> State {
        State::of(self.guest(name))
    }

    /// The answer, what the guests look like after, and that `web-1` was not touched while `web-2` was patched.
    fn only_the_other_patched(&self, said: &str) -> Seen {
        self.told(said)
            .proves("web-1 was not touched", self.is_untouched("web-1"))
            .proves("web-2 was patched as usual", self.is_patched("web-2"))
    }

    /// The answer, and below it what the guests look like after.
    fn told(&self, said: &str) -> Seen {
        let mut text = said.trim_end().to_owned();
        for (name, before) in &self.before {
            let after = self.now(name);
            let boots = match after.boot_id == before.boot_id {
                true => "not restarted",
                false => "another boot id than before",
            };
            text.push_str(&format!("\nafter: {name}: {after}; {boots}"));
        }
        Seen::text(text)
    }

    fn is_untouched(&self, name: &str) -> bool {
        self.before.get(name) == Some(&self.now(name))
    }

    /// Whether it has what is on offer, by one transaction, with nothing broken.
    fn is_patched(&self, name: &str) -> bool {
        self.now(name).is_patched_once()
    }
}

/// What a guest says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// `NAME VERSION` of every package of the tests, by dpkg.
    versions: BTreeMap<String, String>,
    /// Packages that are not whole, with dpkg's word.
    broken: BTreeSet<String>,
    /// What apt did since the guest was made.
    history: Vec<String>,
    boot_id: String,
}

impl State {
    fn of(guest: &Guest) -> Self {
        let format = "-f=${Package}\\t${Version}\\t${db:Status-Status}\\n";
        let (mut versions, mut broken) = (BTreeMap::new(), BTreeSet::new());
        for line in guest.run(["dpkg-query", "-W", format]).ok().lines() {
            let [name, version, status] = line.split('\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            if status != "installed" && status != "config-files" && status != "not-installed" {
                broken.insert(format!("{name} {status}"));
            }
            if name.starts_with("pc-") || name == "libpc1" {
                versions.insert(name.to_owned(), version.to_owned());
            }
        }
        let history = guest
            .apt_history()
            .iter()
            .filter(|t| !t.changes.is_empty())
            .map(|t| {
                let mut words: Vec<String> = Vec::new();
                for change in &t.changes {
                    if words.iter().all(|word| *word != change.action) {
                        words.push(change.action.clone());
                    }
                }
                format!("{} of {} packages", words.join(" and "), t.changes.len())
            })
            .collect();
        Self {
            versions,
            broken,
            history,
            boot_id: guest.boot_id(),
        }
    }

    fn version(&self, name: &str) -> Option<&str> {
        self.versions.get(name).map(String::as_str)
    }

    fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    fn is_patched_once(&self) -> bool {
        self.version(HELLO) == Some("1.1-1") && self.is_whole() && self.history.len() == 1
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "dpkg: {HELLO} {}, ",
            self.version(HELLO).unwrap_or("not there")
        )?;
        match self.broken.iter().cloned().collect::<Vec<_>>().join(", ") {
            broken if broken.is_empty() => write!(f, "nothing half-configured")?,
            broken => write!(f, "{broken}")?,
        }
        match self.history.join(", then ") {
            history if history.is_empty() => write!(f, "; apt history: empty"),
            history => write!(f, "; apt history: {history}"),
        }
    }
}

async fn plan(estate: &Estate) -> Result<Plan> {
    plan_by(estate, &stage::policy_on_debian(&stage::LEFT_OUT)).await
}

async fn plan_by(estate: &Estate, policy: &str) -> Result<Plan> {
    let policy = Policy::from_toml(policy, "policy.toml")?;
    estate.plan(&policy).requested_by("sam").await
}

async fn started(estate: &Estate, plan: Plan) -> Result<Run> {
    let approval = estate.approval(&plan, "maria")?;
    let approved = estate.approve(plan, [approval])?;
    estate.run(approved, &Journal::in_memory()?).await
}

/// Approves the plan and carries it out to its end.
async fn carried_out(estate: &Estate, plan: Plan) -> Result<Run> {
    let run = started(estate, plan).await?;
    run.finished().await?;
    Ok(run)
}

/// A `sleep` of 600 seconds takes as long as `/run/let-go` does not exist: `pc-slow` sleeps in its postinst, and nobody
/// knows how long the rest of a case takes.
fn slow_until_let_go(guest: &Guest) {
    guest
        .run(["mv", "/usr/bin/sleep", "/usr/bin/sleep.real"])
        .ok();
    let sleep = "#!/bin/sh\n[ \"$1\" = 600 ] || exec sleep.real \"$@\"\n\
        until [ -e /run/let-go ]; do sleep.real 0.1; done\n";
    guest.put("/usr/bin/sleep", sleep);
    guest.run(["chmod", "755", "/usr/bin/sleep"]).ok();
    guest.put("/etc/pc-slow.seconds", "600\n");
}

fn let_go(guest: &Guest) {
    guest.put("/run/let-go", "");
}

/// Whether what takes long is to be done too.
fn is_full() -> bool {
    std::env::var("PATCHCORE_FULL").is_ok_and(|full| full == "1")
}

/// Waits until something is so in a guest while the run goes on, on this very thread.
#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for happens in other machines, which know no virtual time"
)]
async fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + patience;
    while !holds() {
        if tokio::time::Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

/// Why a component is not in a plan.
fn blocked<'a>(plan: &'a Plan, component: &str) -> Option<&'a Failure> {
    plan.left_out.iter().find_map(|left| match &left.reason {
        WhyLeftOut::Blocked { reasons } if left.component == *component => reasons.first(),
        _ => None,
    })
}

/// A plan without `web-1`, which is carried out on the others.
async fn left_out(fleet: &Fleet, estate: &Estate, kind: ErrorKind) -> Result<Seen> {
    let plan = plan(estate).await?;
    let said = stage::lines_with(&plan.to_string(), &["blocked now", "web-1", "found ="]);
    let failure = blocked(&plan, "web-1").cloned();
    carried_out(estate, plan).await?;
    Ok(fleet
        .only_the_other_patched(&said)
        .failure(failure.as_ref(), kind)
        .says(&["web-1", "2 found = 1 planned"]))
}
