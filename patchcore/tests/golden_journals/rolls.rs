//! Runs that roll a cluster.

use std::time::Duration;

use patchcore::{
    ClusterRoll, Estate, Journal, Policy, Run,
    clock::Clock as _,
    estate::{ComponentKind, Impact, Patch, PatchClass},
    id::RunId,
    plan::roll::{
        self, Answer, Cluster, Host, Migration, Mobility, NonMigratable, Objective, PatchTime, Pin,
        Vm, Wish,
    },
    provider::{ClusterSetting, Guarantee},
    sim::{Script, Sim, World},
};

use super::{
    estate::{approved, plan, start},
    watch::{OFTEN, Watch},
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
    let watch = Watch::over(&sim);
    let (journal, run) = begun(&sim).await;
    if fights {
        let is_held = || {
            let placement = |w: &mut World| {
                let setting = w.cluster_setting("cluster-1", ClusterSetting::Placement);
                setting.unwrap() != "automatic"
            };
            sim.world(placement)
        };
        watch.until(&run, OFTEN, |_| is_held()).await;
        sim.world(|w| w.set_by_hand("cluster-1", ClusterSetting::Placement, "partial"))
            .unwrap();
    }
    drop(watch);
    finished(&run, "it is to be partial").await;
    (journal, run.id())
}

/// Nobody can say what became of a move, and a person who looked lets the rest be planned anew.
pub(crate) async fn of_unknown_end() -> (Journal, RunId) {
    let sim = sim()
        .with_guarantee_for("migrate", Guarantee::Blind)
        .script(Script::loses_reply("migrate", 1).on("vm-1"));
    let (journal, run) = begun(&sim).await;
    assert!(run.finished().await.unwrap().is_halted());
    // At rest no time passes; the machine arrives all the same.
    sim.clock()
        .advance_to(sim.clock().now() + Duration::from_secs(3600));
    finished(&run, "vm-1 has arrived").await;
    (journal, run.id())
}

/// A machine starts so slowly that it does not get on for a while, again and again, until the program is ended.
pub(crate) async fn that_waits() -> (Journal, RunId) {
    let sim = sim().script(Script::slow("start", 4_000.0).on("vm-3"));
    let (journal, run) = begun(&sim).await;
    told(&run, "starting vm-3 gets on again").await;
    run.park().await.unwrap();
    (journal, run.id())
}

async fn begun(sim: &Sim) -> (Journal, Run) {
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
    (journal, run)
}

async fn told(run: &Run, what: &str) {
    let mut events = run.events();
    while let Some(event) = events.next().await {
        if event.event.to_string().contains(what) {
            return;
        }
    }
    panic!("nobody told of {what:?}");
}

/// To the end, also where a person has to say a word.
async fn finished(run: &Run, word: &str) {
    if run.finished().await.unwrap().is_halted() {
        run.lift_halt("maria", word).await.unwrap();
        run.finished().await.unwrap();
    }
}
