//! What the report of a run says of the cluster that it rolled.

use patchcore::{
    Report,
    id::ComponentId,
    sim::{ClusterChange, Script, Sim},
};

use super::cluster::{Setup, is_done, rolled};

/// Every move of ours in the world's own log: which machine, from where, where to.
fn moved(setup: &Setup, sim: &Sim) -> Vec<(ComponentId, ComponentId, ComponentId)> {
    let model = setup.model();
    let vms = model.vms.into_iter();
    let mut at: std::collections::BTreeMap<_, _> = vms.map(|vm| (vm.id, vm.host)).collect();
    sim.world(|w| {
        let log = w.cluster_log("c1").unwrap().iter();
        let moved = log.filter_map(|entry| match &entry.change {
            ClusterChange::Moved { vm, to, .. } => {
                let from = at.insert(vm.clone(), to.clone()).unwrap();
                Some((vm.clone(), from, to.clone()))
            }
            _ => None,
        });
        moved.collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_move_is_reported_with_its_reason_in_all_forms() {
    let setup = Setup::of(8).pinned(&["h03-vm1"]);
    let sim = setup.sim().script(Script::migration_fails(1).on("h04-vm2"));
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    assert!(is_done(&standing), "{standing:?}");
    let report = run.report().await.unwrap();
    assert_eq!(report, Report::of(&story, report.made));
    let [roll] = &report.rolls[..] else {
        panic!("{:?}", report.rolls);
    };
    // It was planned anew in the middle, and the moves of both plans are there.
    assert_eq!((roll.plans, &roll.stopped), (2, &None));
    let mut said: Vec<_> = roll
        .moves
        .iter()
        .map(|m| (m.vm.clone(), m.from.clone(), m.to.clone()))
        .collect();
    let mut truly = moved(&setup, &sim);
    said.sort();
    truly.sort();
    assert_eq!(said, truly);
    let memory = |vm: &ComponentId| {
        let model = setup.model();
        let found = model.vms.iter().find(|v| v.id == *vm).unwrap();
        found.mem_mib.unwrap()
    };
    let mib: u64 = truly.iter().map(|(vm, ..)| memory(vm)).sum();
    assert_eq!(roll.moved_mib, mib);
    assert!(roll.moves.is_sorted_by_key(|m| m.at));

    let (text, page) = (report.to_string(), report.to_markdown());
    let about = format!(
        "machines moved: c1: {} moves, {} GiB of memory, planned twice",
        truly.len(),
        mib / 1024
    );
    assert!(text.contains(&about), "{text}");
    assert!(page.contains("## Machines moved\n\nC1: "), "{page}");
    for moved in &roll.moves {
        let told = text.lines().any(|line| {
            let words = line.trim_start();
            words.starts_with(&format!("{}  ", moved.from))
                && words.contains(&format!("to {}", moved.to))
                && words.contains(&moved.why.to_string())
        });
        assert!(told, "{moved:?}: {text}");
        let why = moved.why.to_string();
        assert!(page.contains(&why), "{why}: {page}");
    }
    let json = report.to_json().unwrap();
    assert!(json.contains(r#""why":"into_patched""#), "{json}");
    assert_eq!(Report::from_json(&json).unwrap(), report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_that_stopped_says_why_in_its_report() {
    let setup = Setup::of(8);
    let sim = setup
        .sim()
        .script(Script::migration_fails(99).on("h04-vm2"));
    let (standing, _, run) = rolled(&sim, setup.roll()).await;
    assert!(!is_done(&standing), "{standing:?}");
    let report = run.report().await.unwrap();
    let stopped = report.rolls[0].stopped.clone().unwrap();
    assert!(stopped.contains("the move of h04-vm2 failed"), "{stopped}");
    let text = report.to_string();
    assert!(
        text.contains("and stopped: the move of h04-vm2 failed"),
        "{text}"
    );
    let ours = report.rolls[0].moves.iter();
    assert!(ours.clone().all(|m| m.vm.as_str() != "h04-vm2"), "{text}");
    assert_eq!(ours.count(), moved(&setup, &sim).len());
}
