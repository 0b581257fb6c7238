//! What a simulated cluster says of what happened in it: each thing that must never happen is found in its log.

use super::*;
use crate::provider::{ClusterDrainer, DrainRequest, MoveKind};

fn drainer(sim: &Sim) -> Arc<dyn ClusterDrainer> {
    sim.provider().ports().drainer.unwrap()
}

fn ctx(sim: &Sim) -> OpContext {
    Caller::of(sim).ctx()
}

fn two_hosts() -> Sim {
    Sim::starting(start(), 7)
        .guests(["h1", "h2"], |host| host)
        .cluster("c", ["memory_mib"], |c| {
            c.host("h1", [10])
                .host("h2", [10])
                .vm("v", "h1", [6], 4_000)
                .vm("w", "h2", [6], 4_000)
        })
}

fn faults(sim: &Sim) -> String {
    sim.world(|w| w.cluster_faults("c")).unwrap().join("; ")
}

fn migrate(vm: &str, from: &str, to: &str) -> DrainRequest {
    DrainRequest::Migrate {
        vm: vm.into(),
        from: from.into(),
        to: to.into(),
        how: MoveKind::Live,
    }
}

/// Does it, and lets time pass until it is over.
async fn drain(sim: &Sim, key: &str, request: DrainRequest) -> SubjectResult {
    let ports = drainer(sim);
    let subject = request.subject().clone();
    let op = Op::new(key.into(), request, Baseline::empty());
    let Begun::Started(handle) = ports.begin(&ctx(sim), &op).await.unwrap() else {
        panic!("{op:?} did not start");
    };
    loop {
        match ports.observe(&ctx(sim), &op, &handle).await.unwrap() {
            Observed::Running { poll_after, .. } => {
                let clock = sim.clock();
                clock.advance_to(clock.now() + poll_after);
            }
            Observed::Settled(mut settled) => return settled.subjects.remove(&subject).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_host_that_restarts_under_its_machine_is_found() {
    let sim = two_hosts();
    let components = vec!["h1".into()];
    let reboot = Op::new(
        "k".into(),
        DeployRequest::Reboot { components },
        Baseline::empty(),
    );
    Caller::of(&sim).begin(&reboot).unwrap();
    assert!(faults(&sim).contains("v ran on h1 when that went down"));
    assert_eq!(sim.world(|w| w.vms_off("c")).unwrap(), ["v"]);
}

#[tokio::test]
async fn a_host_with_more_on_it_than_it_has_is_found() {
    let sim = two_hosts();
    // The cluster itself counts no room; whoever plans does.
    drain(&sim, "k", migrate("v", "h1", "h2")).await;
    assert!(faults(&sim).contains("h2 has 10 memory_mib, and 12 are taken"));
}

#[tokio::test]
async fn a_start_on_a_host_that_is_closed_is_found() {
    let sim = two_hosts();
    sim.world(|w| {
        let now = w.now();
        let cluster = w.clusters.all.get_mut("c").unwrap();
        cluster.note(now, ClusterChange::InMaintenance { host: "h1".into() });
    });
    let found = faults(&sim);
    assert!(
        found.contains("v runs on h1, which is in maintenance mode"),
        "{found}"
    );
    sim.world(|w| {
        let now = w.now();
        let cluster = w.clusters.all.get_mut("c").unwrap();
        let (vm, to) = ("w".into(), "h1".into());
        cluster.note(now, ClusterChange::Moving { vm, to });
    });
    let found = faults(&sim);
    assert!(
        found.contains("w began to move to h1, which is in maintenance mode"),
        "{found}"
    );
}

#[tokio::test]
async fn what_is_done_in_order_is_no_fault() {
    let sim = Sim::starting(start(), 7)
        .guests(["h1", "h2"], |host| host)
        .cluster("c", ["memory_mib"], |c| {
            c.host("h1", [10])
                .host("h2", [10])
                .vm("v", "h1", [6], 4_000)
        })
        .script(Script::migration_fails(1).on("v"));
    let first = drain(&sim, "k1", migrate("v", "h1", "h2")).await;
    assert!(matches!(first, SubjectResult::Failed(_)), "{first:?}");
    assert_eq!(sim.world(|w| w.placement("c")).unwrap()["v"], "h1");
    drain(&sim, "k2", migrate("v", "h1", "h2")).await;
    let host = || "h1".into();
    drain(&sim, "k3", DrainRequest::EnterMaintenance { host: host() }).await;
    assert_eq!(sim.world(|w| w.in_maintenance("c")).unwrap(), ["h1"]);
    let ports = drainer(&sim);
    let back = migrate("v", "h2", "h1");
    let mut prepared = ports.prepare(&ctx(&sim), &back).await.unwrap();
    let readiness = prepared.subjects.pop_first().unwrap().1;
    assert!(matches!(readiness, Readiness::Blocked(_)), "{readiness:?}");
    let view = ports.view(&ctx(&sim), &"c".into()).await.unwrap();
    assert!(view.hosts["h1"].maintenance);
    let taken = "k3".into();
    drain(
        &sim,
        "k4",
        DrainRequest::ExitMaintenance {
            host: host(),
            taken,
        },
    )
    .await;
    assert_eq!(faults(&sim), "");
    assert!(sim.world(|w| w.in_maintenance("c")).unwrap().is_empty());
    assert!(sim.world(|w| w.scripts_unmet()).is_empty());
}
