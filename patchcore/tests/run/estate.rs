//! The small estate that these tests patch.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use patchcore::{
    Estate, Journal, Plan, Policy, Run, Standing, Timestamp,
    approve::ApprovedPlan,
    estate::{Impact, Patch, PatchClass},
    execute::{
        Story,
        kernel::{Phase, Step},
    },
    sim::{GuestSpec, Sim},
};

/// Two rings, always open, two days of soak in all.
pub(crate) const POLICY: &str = r#"
policy = 1
name = "test"
approval = { needs = 1, from = ["maria", "jon"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name = "test"
select = "ring = test"
soak = "24h"
[[ring]]
name = "broad"
select = "*"
at_once = "2"
start_after = { ring = "test", success = "100%", at_least = 1 }
soak = "24h"
[[check]]
select = "tier = web"
http = "http://{address}/healthz"
within = "5m"
steady = "1m"
"#;

pub(crate) fn start() -> Timestamp {
    "2026-12-07T12:00:00Z".parse().unwrap()
}

/// One test guest and three more; a service patch and a kernel.
pub(crate) fn sim() -> Sim {
    sim_of(3)
}

/// The same with other durations.
pub(crate) fn sim_of(seed: u64) -> Sim {
    let web = |g: GuestSpec| {
        g.label("tier", "web")
            .address("10.0.0.1")
            .package("nginx", "1.0-1")
            .package("linux", "6.1-1")
    };
    Sim::starting(start(), seed)
        .guest("t-1", |g| web(g).label("ring", "test"))
        .guests(["w-1", "w-2", "w-3"], web)
        .publish(
            Patch::new("nginx", None, "1.1-1", PatchClass::Security)
                .with_impact(Impact::ServiceRestart),
        )
        .publish(
            Patch::new("linux", None, "6.2-1", PatchClass::Security).with_impact(Impact::Reboot),
        )
}

pub(crate) const ALL: [&str; 4] = ["t-1", "w-1", "w-2", "w-3"];

/// Its runs keep checkpoints all the time, so that whatever is tried here is tried with them.
pub(crate) fn estate(sim: &Sim) -> Estate {
    Estate::named("test")
        .with(sim.provider())
        .with_clock(sim.shared_clock())
        .with_checkpoint_every(4)
}

/// One whose targets keep locks.
pub(crate) fn locked_estate(sim: &Sim) -> Estate {
    Estate::named("test")
        .with(sim.provider().with_target_locks())
        .with_clock(sim.shared_clock())
}

pub(crate) fn policy(changes: &[(&str, &str)]) -> Policy {
    let mut text = POLICY.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} does not stand in the policy");
        text = text.replace(from, to);
    }
    Policy::from_toml(&text, "policy.toml").unwrap()
}

pub(crate) async fn plan(estate: &Estate, policy: &Policy, journal: &Journal) -> Plan {
    estate
        .plan(policy)
        .history(journal)
        .requested_by("sam")
        .await
        .unwrap()
}

pub(crate) fn approved(estate: &Estate, plan: Plan) -> ApprovedPlan {
    let approval = estate.approval(&plan, "maria").unwrap();
    estate.approve(plan, [approval]).unwrap()
}

pub(crate) async fn started(sim: &Sim, policy: &Policy, journal: &Journal) -> Run {
    let estate = estate(sim);
    let plan = plan(&estate, policy, journal).await;
    estate.run(approved(&estate, plan), journal).await.unwrap()
}

/// Carries a whole run out and tells how it stands and what its journal says.
pub(crate) async fn carried_out(sim: &Sim, policy: &Policy) -> (Standing, Story, Run) {
    let journal = Journal::in_memory().unwrap();
    let run = started(sim, policy, &journal).await;
    let standing = run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    (standing, story, run)
}

/// Every event so far, as people read it.
pub(crate) async fn told(run: &Run) -> Vec<String> {
    let mut events = run.events();
    let mut lines = Vec::new();
    while let Some(event) = events.next().await {
        lines.push(format!(
            "{}: {}",
            event
                .component
                .map_or_else(|| "run".to_owned(), |c| c.to_string()),
            event.event
        ));
    }
    lines
}

/// Whether a component is at a step.
pub(crate) fn does(component: &str, step: Step) -> impl Fn(&Story) -> bool {
    move |story| story.components[component].phase == Phase::Doing(step)
}

/// How often is looked for what lasts a day, as a soak does.
pub(crate) const SELDOM: Duration = Duration::from_secs(600);

/// Whether all of the second ring are back in service.
pub(crate) fn broad_is_back(story: &Story) -> bool {
    let back = |name: &&str| story.components[*name].phase == Phase::InService;
    ALL[1..].iter().all(back)
}

/// A folder of the test's own, taken away with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "patchcore-run-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("run.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away lies in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
