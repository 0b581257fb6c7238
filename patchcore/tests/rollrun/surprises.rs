//! Rolls in which something is not as it was planned.

use std::time::Duration;

use patchcore::{Journal, Standing, execute::kernel::Task, provider::ClusterSetting, sim::Script};

use super::{
    cluster::{
        Setup, all_are_patched, all_is_back, failures_of, is_done, judged, plans, rolled, start,
        started, told,
    },
    watch::{OFTEN, Watch},
};

fn after(minutes: u64) -> patchcore::Timestamp {
    start() + Duration::from_secs(60 * minutes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_is_planned_anew() {
    let setup = Setup::of(8);
    let sim = setup.sim().script(Script::migration_fails(1).on("h04-vm2"));
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{standing:?}\n{lines}");
    assert!(lines.contains("the move of h04-vm2 failed"), "{lines}");
    assert_eq!(plans(&story), 2, "{lines}");
    all_is_back(&sim, &story, &lines);
    all_are_patched(&sim, &setup, &lines);
    assert!(sim.world(|w| w.scripts_unmet()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_for_ever_stops_the_roll_with_its_cause() {
    let setup = Setup::of(8);
    let sim = setup
        .sim()
        .script(Script::migration_fails(99).on("h04-vm2"));
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, setup.roll(), &journal).await;
    let standing = run.finished().await.unwrap();
    let Standing::AtRest { waits } = &standing else {
        panic!("{standing:?}");
    };
    let said = format!("{waits:?}");
    assert!(
        said.contains("the move of h04-vm2 failed") && said.contains("3 times"),
        "{said}"
    );
    assert_eq!(
        failures_of(&run.story().await.unwrap(), &Task::Move("h04-vm2".into())),
        3
    );
    // Nothing is left closed while a person is waited for.
    judged(&sim, "stopped");
    assert!(sim.world(|w| w.in_maintenance("c1").unwrap().is_empty()));
    let placement = sim.world(|w| {
        w.cluster_setting("c1", ClusterSetting::Placement)
            .unwrap()
            .to_owned()
    });
    assert_eq!(placement, "automatic");
    run.end("maria", "the machine is broken").await.unwrap();
    let standing = run.finished().await.unwrap();
    assert!(matches!(standing, Standing::Ended { .. }), "{standing:?}");
    all_is_back(&sim, &run.story().await.unwrap(), "ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_moves_is_planned_anew() {
    let mut setup = Setup::of(8);
    setup.vms_per_host = 2;
    let sim = setup.sim().moves_at(after(2), "h01-vm1", "h02");
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{standing:?}\n{lines}");
    assert!(lines.contains("planned anew"), "{lines}");
    all_is_back(&sim, &story, &lines);
    all_are_patched(&sim, &setup, &lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_broke_stops_the_roll_with_its_cause() {
    let setup = Setup::of(8);
    let sim = setup.sim().moves_at(after(3), "h07-vm1", "h08");
    let (standing, story, _) = rolled(&sim, setup.roll()).await;
    let said = format!("{standing:?}");
    assert!(
        said.contains("the machines on h08 take 68 memory_gib"),
        "{said}"
    );
    // What was in maintenance mode is back, and the cluster places machines by itself again.
    assert!(sim.world(|w| w.in_maintenance("c1").unwrap().is_empty()));
    let setting = sim.world(|w| {
        w.cluster_setting("c1", ClusterSetting::Placement)
            .unwrap()
            .to_owned()
    });
    assert_eq!(setting, "automatic");
    assert!(story.state.rolls["c1"].owed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_never_returns_is_given_up_and_named() {
    let setup = Setup::of(8);
    let sim = setup
        .sim()
        .script(Script::restart_never_returns().on("h03"));
    let journal = Journal::in_memory().unwrap();
    let run = started(&sim, setup.roll(), &journal).await;
    let standing = run.finished().await.unwrap();
    let lines = told(&run).await;
    judged(&sim, &lines);
    assert!(!is_done(&standing), "{standing:?}\n{lines}");
    assert!(lines.contains("h03"), "{lines}");
    // No machine was lost with it.
    assert!(
        sim.world(|w| w.vms_off("c1").unwrap().is_empty()),
        "{lines}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_fails_in_service_and_is_gone_stops_the_roll_with_its_cause() {
    let setup = Setup::of(5);
    for hours in [1, 20] {
        let gone = Script::unreachable(after(67), after(67 + 60 * hours)).on("h01");
        let sim = setup.sim().script(gone);
        let journal = Journal::in_memory().unwrap();
        let run = started(&sim, setup.roll(), &journal).await;
        // In virtual time all of it takes seconds.
        let standing = tokio::time::timeout(Duration::from_secs(60), run.finished()).await;
        let standing = standing.unwrap().unwrap();
        let lines = told(&run).await;
        let what = format!("{hours} hours: {standing:?}\n{lines}");
        judged(&sim, &what);
        assert!(standing.is_halted(), "{what}");
        assert!(
            lines.contains("h01 failed in service and goes back"),
            "{what}"
        );
        assert!(
            lines.contains("h01 failed in service and cannot go back"),
            "{what}"
        );
        assert!(
            sim.world(|w| w.in_maintenance("c1").unwrap().is_empty()),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gets_lost_on_its_way_is_found_again() {
    for verb in [
        "hold_setting",
        "migrate",
        "enter_maintenance",
        "exit_maintenance",
        "shut_down",
        "start",
        "restore_setting",
    ] {
        for script in [Script::loses_reply(verb, 1), Script::loses_request(verb, 1)] {
            let setup = Setup::of(8).pinned(&["h03-vm1"]);
            let what = script.to_string();
            let sim = setup.sim().script(script);
            let (standing, story, run) = rolled(&sim, setup.roll()).await;
            assert!(
                is_done(&standing),
                "{what}: {standing:?}\n{}",
                told(&run).await
            );
            all_is_back(&sim, &story, &what);
            all_are_patched(&sim, &setup, &what);
            assert!(sim.world(|w| w.scripts_unmet()).is_empty(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_somebody_else_changed_is_not_overwritten() {
    let setup = Setup::of(8);
    let sim = setup.sim();
    let journal = Journal::in_memory().unwrap();
    let watch = Watch::over(&sim);
    let run = started(&sim, setup.roll(), &journal).await;
    let placement = || {
        sim.world(|w| {
            let setting = w.cluster_setting("c1", ClusterSetting::Placement);
            setting.unwrap().to_owned()
        })
    };
    watch
        .until(&run, OFTEN, |_| placement() != "automatic")
        .await;
    sim.world(|w| w.set_by_hand("c1", ClusterSetting::Placement, "partial"))
        .unwrap();
    drop(watch);
    let standing = run.finished().await.unwrap();
    let said = format!("{standing:?}");
    assert!(
        said.contains("somebody else changed what was borrowed"),
        "{said}"
    );
    run.lift_halt("maria", "it is to be partial").await.unwrap();
    let standing = run.finished().await.unwrap();
    assert!(is_done(&standing), "{standing:?}");
    let story = run.story().await.unwrap();
    assert_eq!(story.ledger(), Vec::<String>::new());
    assert!(
        story.waived()[0].contains("waived by maria"),
        "{:?}",
        story.waived()
    );
    assert_eq!(placement(), "partial");
}
