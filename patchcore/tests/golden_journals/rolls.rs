//! Runs that roll a cluster.

use patchcore::{
    ClusterRoll, Estate, Journal, Policy,
    estate::{ComponentKind, Impact, Patch, PatchClass},
    id::RunId,
    plan::roll::{
        self, Answer, Cluster, Host, Migration, Mobility, NonMigratable, Objective, PatchTime, Pin,
        Vm, Wish,
    },
    provider::ClusterSetting,
    sim::{Script, Sim},
};

use super::estate::{approved, plan, start};

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
soak = "1h"
"#;

const HOSTS: [&str; 3] = ["t-1", "t-2", "t-3"];
const MEM_MIB: u64 = 8192;

/// Each host has one machine; that of the last cannot move.
fn vms() -> [(&'static str, &'static str); 3] {
    [("vm-1", "t-1"), ("vm-2", "t-2"), ("vm-3", "t-3")]
}

fn sim() -> Sim {
    let sim = HOSTS
        .into_iter()
        .fold(Sim::starting(start(), 3), |sim, host| {
            sim.component(host, ComponentKind::Host, |h| {
                h.package("hypervisor", "7.0-1")
            })
        });
    sim.cluster("cluster-1", ["memory_gib"], |cluster| {
        let cluster = HOSTS
            .into_iter()
            .fold(cluster, |cluster, host| cluster.host(host, [64]));
        vms().into_iter().fold(cluster, |cluster, (vm, host)| {
            cluster.vm(vm, host, [8], MEM_MIB)
        })
    })
    .publish(
        Patch::new("hypervisor", None, "7.0-2", PatchClass::Security).with_impact(Impact::Reboot),
    )
}

fn roll() -> ClusterRoll {
    let mut cluster = Cluster::new(["memory_gib"]);
    cluster.hosts = HOSTS.into_iter().map(|h| Host::new(h, [64])).collect();
    cluster.vms = vms()
        .into_iter()
        .map(|(vm, host)| Vm::new(vm, host, [8], MEM_MIB))
        .collect();
    cluster.vms[2].mobility = Mobility::Pinned(Pin {
        reason: "passes a GPU through".to_owned(),
        policy: Some(NonMigratable::ShutdownRestart),
    });
    cluster.limits.max_hosts_down = Some(1);
    cluster.patch_time = Some(PatchTime {
        p50_s: 600,
        p95_s: 1200,
    });
    cluster.migration = Some(Migration {
        in_slots: 1,
        out_slots: 1,
        mib_per_s: 640,
    });
    let wish = Wish::new(Objective::FewestMoves);
    let roll = match roll::plan(&cluster, &wish, &|| false).unwrap() {
        Answer::Planned(planned) => planned.best,
        other => panic!("{other:?}"),
    };
    ClusterRoll::new("cluster-1", "sim", cluster, roll)
}

/// A move fails once, so that the rest is planned anew; and where somebody `fights`, the setting that was held is
/// changed by hand, and a person waives it.
pub(crate) async fn made(fights: bool) -> (Journal, RunId) {
    let sim = sim().script(Script::migration_fails(1).on("vm-1"));
    let estate = Estate::named("test")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let journal = Journal::in_memory().unwrap();
    let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
    let plan = plan(&estate, &policy, &journal).await;
    let approved = approved(&estate, plan);
    let run = estate
        .run_rolling(approved, [roll()], &journal)
        .await
        .unwrap();
    if fights {
        let mut events = run.events();
        while let Some(event) = events.next().await {
            if event.event.to_string().contains("holding placement: ") {
                break;
            }
        }
        sim.world(|w| w.set_by_hand("cluster-1", ClusterSetting::Placement, "partial"))
            .unwrap();
    }
    if run.finished().await.unwrap().is_halted() {
        run.lift_halt("maria", "it is to be partial").await.unwrap();
        run.finished().await.unwrap();
    }
    (journal, run.id())
}
