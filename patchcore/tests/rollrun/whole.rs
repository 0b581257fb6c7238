//! Rolls in which nothing goes wrong.

use std::collections::BTreeMap;

use patchcore::{
    ClusterRoll, ErrorKind, Journal, Standing,
    id::ComponentId,
    plan::roll::{self, Answer, Objective, Wish},
    provider::ClusterSetting,
};

use super::{
    cluster::{
        Setup, all_are_patched, all_is_back, is_done, judged, moves, planned, planned_for, plans,
        rolled, started, told, try_start,
    },
    watch::{OFTEN, Watch},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hosts_are_rolled_and_everything_is_back() {
    let setup = Setup::of(8).pinned(&["h03-vm1", "h06-vm2"]);
    let sim = setup.sim();
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{standing:?}\n{lines}");
    all_is_back(&sim, &story, &lines);
    all_are_patched(&sim, &setup, &lines);
    // It went as it was planned: at most two hosts at once, and two of them at some instant.
    assert_eq!(plans(&story), 1, "{lines}");
    // It is told where each goes, and why they move.
    let said = [
        "its new host needs no more patch, so it moves once",
        "the move of h01-vm1 from h01 to ",
    ];
    for said in said {
        assert!(lines.contains(said), "{said}: {lines}");
    }
    assert_eq!(sim.most_out_of_service(setup.host_names()), 2, "{lines}");
    let planned = planned(&setup.model()).figures().moves;
    let moved: usize = moves(&sim).values().sum();
    assert_eq!(moved, planned as usize, "{lines}");
}

#[tokio::test]
async fn every_setting_that_is_held_comes_back() {
    let setup = Setup::of(8);
    let sim = setup.sim();
    let roll = setup.roll().holding(ClusterSetting::ALL);
    let (standing, story, run) = rolled(&sim, roll).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{standing:?}\n{lines}");
    all_is_back(&sim, &story, &lines);
    for setting in ClusterSetting::ALL {
        let restored = format!("restoring {}: ", setting.slug());
        assert!(lines.contains(&restored), "{restored}{lines}");
    }
}

#[tokio::test]
async fn a_roll_of_another_cluster_is_refused() {
    let (setup, other) = (Setup::of(8), Setup::of(9));
    let sim = setup.sim();
    let journal = Journal::in_memory().unwrap();
    let roll = ClusterRoll::new("c1", "sim", setup.model(), planned(&other.model()));
    let error = try_start(&sim, roll, &journal).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error
            .to_string()
            .contains("checked against another cluster"),
        "{error}"
    );
    judged(&sim, "nothing was begun");
    assert!(sim.world(|w| w.cluster_log("c1").unwrap().is_empty()));
}

#[tokio::test]
async fn a_roll_that_closes_more_than_the_ring_lets_go_is_refused() {
    let setup = Setup::of(8);
    let sim = setup.sim();
    let journal = Journal::in_memory().unwrap();
    let mut cluster = setup.model();
    cluster.limits.max_hosts_down = Some(3);
    let roll = planned(&cluster);
    let error = try_start(&sim, ClusterRoll::new("c1", "sim", cluster, roll), &journal).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("may close 3 hosts at once, and ring all lets 2 go"),
        "{error}"
    );
}

/// Two of the hosts were patched by an earlier run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_that_was_begun_before_moves_no_more_than_was_planned() {
    let setup = Setup::of(16);
    let sim = setup.sim();
    let patched = ["h01", "h02"];
    for host in patched {
        sim.world(|w| w.install_by_hand(host, "hypervisor", "7.0-2"))
            .unwrap();
    }
    let mut cluster = setup.model();
    for host in &mut cluster.hosts {
        host.needs_patch = !patched.contains(&host.id.as_str());
    }
    let roll = match roll::plan(&cluster, &Wish::new(Objective::FewestMoves), &|| false).unwrap() {
        Answer::Planned(planned) => planned.best,
        other => panic!("{other:?}"),
    };
    let left = cluster
        .vms
        .iter()
        .filter(|vm| !patched.contains(&vm.host.as_str()))
        .count();
    let planned = usize::try_from(roll.figures().moves).unwrap();
    let (standing, story, _) = rolled(&sim, ClusterRoll::new("c1", "sim", cluster, roll)).await;
    assert!(is_done(&standing), "{standing:?}");
    all_is_back(&sim, &story, "begun before");
    let moved: usize = moves(&sim).values().sum();
    assert_eq!(moved, planned);
    assert!(moved >= left);
}

/// The roll of 64 hosts is ended when two are patched, and another day what is left is planned from what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_an_interrupted_roll_moves_every_machine_once() {
    let mut setup = Setup::of(64);
    setup.vms_per_host = 1;
    let sim = setup.sim();
    let is_patched = |host: &str| sim.version(host, "hypervisor") == Some("7.0-2".into());
    let hosts = setup.host_names();
    let patched = || hosts.iter().filter(|host| is_patched(host)).count();
    let journal = Journal::in_memory().unwrap();
    let watch = Watch::over(&sim);
    let run = started(&sim, setup.roll(), &journal).await;
    watch.until(&run, OFTEN, |_| patched() >= 2).await;
    run.cancel("maria", "for today").await.unwrap();
    drop(watch);
    assert!(matches!(
        run.finished().await.unwrap(),
        Standing::Ended { .. }
    ));
    all_is_back(&sim, &run.story().await.unwrap(), "interrupted");
    let before = moves(&sim);
    assert!((2..8).contains(&patched()), "{} are patched", patched());

    let mut cluster = setup.model();
    let placement = sim.world(|w| w.placement("c1").unwrap());
    for host in &mut cluster.hosts {
        host.needs_patch = !is_patched(host.id.as_str());
    }
    for vm in &mut cluster.vms {
        vm.host = placement[&vm.id].clone();
    }
    let roll = planned_for(&cluster, Objective::FewestMoves);
    let (standing, story, _) = rolled(&sim, ClusterRoll::new("c1", "sim", cluster, roll)).await;
    assert!(is_done(&standing), "{standing:?}");
    all_is_back(&sim, &story, "what was left");
    all_are_patched(&sim, &setup, "what was left");
    let after = moves(&sim);
    for (vm, host) in &placement {
        let times = |of: &BTreeMap<ComponentId, usize>| of.get(vm).copied().unwrap_or(0);
        let left = story.state.rolls["c1"].first.hosts.iter();
        let mut left = left.filter(|h| h.needs_patch);
        let left = left.any(|h| h.id == *host);
        assert_eq!(
            times(&after) - times(&before),
            usize::from(left),
            "{vm} was on {host}"
        );
    }
}
