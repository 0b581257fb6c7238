//! The cluster that these tests roll.

use std::collections::BTreeMap;

use patchcore::{
    ClusterRoll, Estate, Journal, Policy, Run, Standing, Timestamp,
    estate::{ComponentKind, Impact, Patch, PatchClass},
    execute::{
        Story,
        kernel::{RunVerdict, Task},
    },
    id::ComponentId,
    plan::roll::{
        self, Answer, CheckedRoll, Cluster, Ha, Host, Migration, Mobility, NonMigratable,
        Objective, PatchTime, Pin, Vm, Wish,
    },
    provider::ClusterSetting,
    sim::Sim,
};

const POLICY: &str = r#"
policy = 1
name = "hosts"
approval = { needs = 1, from = ["maria"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name = "all"
select = "*"
at_once = "2"
soak = "1h"
"#;

pub(crate) fn start() -> Timestamp {
    "2026-12-07T12:00:00Z".parse().unwrap()
}

/// A cluster of hosts with some machines each.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) hosts: usize,
    pub(crate) vms_per_host: usize,
    /// Machines that cannot move and are shut down for their host's patch.
    pub(crate) pinned: Vec<String>,
    pub(crate) seed: u64,
}

impl Setup {
    pub(crate) fn of(hosts: usize) -> Self {
        Self {
            hosts,
            vms_per_host: 3,
            pinned: Vec::new(),
            seed: 7,
        }
    }

    pub(crate) fn pinned(mut self, vms: &[&str]) -> Self {
        self.pinned = vms.iter().map(|vm| (*vm).to_owned()).collect();
        self
    }

    pub(crate) fn host_names(&self) -> Vec<String> {
        (1..=self.hosts).map(|n| format!("h{n:02}")).collect()
    }

    fn vms(&self) -> impl Iterator<Item = (String, String, u64)> {
        let hosts = self.host_names().into_iter().enumerate();
        let per_host = self.vms_per_host;
        hosts.flat_map(move |(at, host)| {
            (1..=per_host).map(move |n| {
                let mem = 8 + ((at * 5 + n * 3) % 9) as u64;
                (format!("{host}-vm{n}"), host.clone(), mem)
            })
        })
    }

    pub(crate) fn sim(&self) -> Sim {
        let sim =
            self.host_names()
                .into_iter()
                .fold(Sim::starting(start(), self.seed), |sim, host| {
                    sim.component(host, ComponentKind::Host, |h| {
                        h.package("hypervisor", "7.0-1")
                    })
                });
        sim.cluster("c1", ["memory_gib"], |mut cluster| {
            for host in self.host_names() {
                cluster = cluster.host(host, [64]);
            }
            for (vm, host, mem) in self.vms() {
                cluster = cluster.vm(vm, host, [mem], mem * 1024);
            }
            cluster
        })
        .publish(
            Patch::new("hypervisor", None, "7.0-2", PatchClass::Security)
                .with_impact(Impact::Reboot),
        )
    }

    /// The same as the planner takes it.
    pub(crate) fn model(&self) -> Cluster {
        let mut cluster = Cluster::new(["memory_gib"]);
        cluster.hosts = self
            .host_names()
            .into_iter()
            .map(|host| Host::new(host, [64]))
            .collect();
        cluster.vms = self
            .vms()
            .map(|(vm, host, mem)| {
                let mut made = Vm::new(vm.clone(), host, [mem], mem * 1024);
                if self.pinned.contains(&vm) {
                    made.mobility = Mobility::Pinned(Pin {
                        reason: "passes a GPU through".to_owned(),
                        policy: Some(NonMigratable::ShutdownRestart),
                    });
                }
                made
            })
            .collect();
        cluster.limits.max_hosts_down = Some(2);
        cluster.limits.ha = Ha::Failures(1);
        cluster.patch_time = Some(PatchTime {
            p50_s: 600,
            p95_s: 1200,
        });
        cluster.migration = Some(Migration {
            in_slots: 2,
            out_slots: 2,
            mib_per_s: 640,
        });
        cluster
    }

    pub(crate) fn roll(&self) -> ClusterRoll {
        let cluster = self.model();
        let roll = planned(&cluster);
        ClusterRoll::new("c1", "sim", cluster, roll).with_objective(Objective::Fastest)
    }
}

pub(crate) fn planned(cluster: &Cluster) -> CheckedRoll {
    planned_for(cluster, Objective::Fastest)
}

pub(crate) fn planned_for(cluster: &Cluster, objective: Objective) -> CheckedRoll {
    match roll::plan(cluster, &Wish::new(objective), &|| false).unwrap() {
        Answer::Planned(planned) => planned.best,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn estate(sim: &Sim) -> Estate {
    Estate::named("test")
        .with(sim.provider())
        .with_clock(sim.shared_clock())
        .with_checkpoint_every(40)
}

pub(crate) async fn started(sim: &Sim, roll: ClusterRoll, journal: &Journal) -> Run {
    try_start(sim, roll, journal).await.unwrap()
}

pub(crate) async fn try_start(
    sim: &Sim,
    roll: ClusterRoll,
    journal: &Journal,
) -> patchcore::Result<Run> {
    try_start_in(&estate(sim), roll, journal).await
}

pub(crate) async fn started_in(estate: &Estate, roll: ClusterRoll, journal: &Journal) -> Run {
    try_start_in(estate, roll, journal).await.unwrap()
}

async fn try_start_in(
    estate: &Estate,
    roll: ClusterRoll,
    journal: &Journal,
) -> patchcore::Result<Run> {
    let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
    let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
    let approval = estate.approval(&plan, "maria").unwrap();
    let approved = estate.approve(plan, [approval]).unwrap();
    estate.run_rolling(approved, [roll], journal).await
}

/// Carries a whole roll out and tells how it stands and what its journal says.
pub(crate) async fn rolled(sim: &Sim, roll: ClusterRoll) -> (Standing, Story, Run) {
    let journal = Journal::in_memory().unwrap();
    let run = started(sim, roll, &journal).await;
    let standing = run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    (standing, story, run)
}

pub(crate) async fn told(run: &Run) -> String {
    let mut lines = run.lines();
    let mut all = String::new();
    while let Some(line) = lines.next().await {
        all.push_str(&line.to_string());
        all.push('\n');
    }
    all
}

/// What must hold of every roll that came to its end, whatever happened: judged from the world alone.
pub(crate) fn judged(sim: &Sim, what: &str) {
    sim.world(|w| {
        let faults = w.cluster_faults("c1").unwrap();
        assert_eq!(faults, Vec::<String>::new(), "{what}");
    });
}

/// And of one that ended well.
pub(crate) fn all_is_back(sim: &Sim, story: &Story, what: &str) {
    judged(sim, what);
    sim.world(|w| {
        assert_eq!(
            w.vms_off("c1").unwrap(),
            Vec::<ComponentId>::new(),
            "{what}"
        );
        let closed = w.in_maintenance("c1").unwrap();
        assert_eq!(closed, Vec::<ComponentId>::new(), "{what}");
        for setting in ClusterSetting::ALL {
            assert_eq!(
                w.cluster_setting("c1", setting).unwrap(),
                "automatic",
                "{what}"
            );
        }
    });
    assert_eq!(story.ledger(), Vec::<String>::new(), "{what}");
}

pub(crate) fn all_are_patched(sim: &Sim, setup: &Setup, what: &str) {
    for host in setup.host_names() {
        assert_eq!(
            sim.version(&host, "hypervisor"),
            Some("7.0-2".into()),
            "{what}: {host}"
        );
        let history = sim.history(&host).unwrap();
        assert_eq!(
            history.times_installed("hypervisor", "7.0-2"),
            1,
            "{what}: {host}"
        );
        assert_eq!(history.boots.len(), 1, "{what}: {host}");
    }
}

pub(crate) fn is_done(standing: &Standing) -> bool {
    matches!(
        standing,
        Standing::Ended {
            verdict: RunVerdict::Done
        }
    )
}

/// How often each machine was moved.
pub(crate) fn moves(sim: &Sim) -> BTreeMap<ComponentId, usize> {
    let mut moves = BTreeMap::new();
    sim.world(|w| {
        for entry in w.cluster_log("c1").unwrap() {
            if let patchcore::sim::ClusterChange::Moved {
                vm, by: Some(_), ..
            } = &entry.change
            {
                *moves.entry(vm.clone()).or_default() += 1;
            }
        }
    });
    moves
}

/// How often something was begun anew in the story.
pub(crate) fn plans(story: &Story) -> u32 {
    story.state.rolls["c1"].plans
}

pub(crate) fn failures_of(story: &Story, task: &Task) -> u32 {
    let roll = &story.state.rolls["c1"];
    roll.generations.get(task).copied().unwrap_or(0)
}
