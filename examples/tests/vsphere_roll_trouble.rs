//! The example `vsphere_roll` where something goes wrong for good: each ends as the policy says, with the cause named,
//! and nothing is lost.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "the functions around the tests are tests too, and other processes know no virtual time"
)]

#[expect(
    dead_code,
    reason = "the program joins a server, and this test starts one"
)]
#[path = "../examples/vsphere_roll/stand.rs"]
mod stand;

use std::{
    fs::{self, File},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::{need, vcenter::program};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::stand::{APART, CLUSTER, Stand};

const PATIENCE: Duration = Duration::from_secs(240);

struct Scene {
    stand: Stand,
    folder: TempDir,
}

impl Scene {
    fn new() -> Option<Self> {
        need(program())?;
        Some(Self {
            stand: Stand::started(4, 8, 300).unwrap(),
            folder: TempDir::new().unwrap(),
        })
    }

    fn tell(&self, path: &str, what: &Value) {
        self.stand.vcenter().tell(path, what).unwrap();
    }

    fn ask(&self, path: &str) -> Value {
        self.stand.vcenter().ask(path).unwrap()
    }

    fn start(&self) -> Child {
        let at = self.folder.path().join("vcenter.json");
        self.stand.vcenter().write_to(&at).unwrap();
        let output = File::create(self.folder.path().join("said.txt")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_vsphere-roll"))
            .arg("--vcenter")
            .arg(at)
            .arg("--journal")
            .arg(self.folder.path().join("run.db"))
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            .spawn()
            .unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said.txt")).unwrap()
    }

    /// Waits until it says this.
    fn until(&self, child: &mut Child, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            let over = child.try_wait().unwrap();
            assert!(
                over.is_none() && Instant::now() < end,
                "{words}\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ends(&self, mut child: Child) -> (ExitStatus, String) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return (status, self.said());
            }
            if Instant::now() > end {
                child.kill().unwrap();
                panic!("it does not end:\n{}", self.said());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whatever else happened: no machine was lost, and nothing ran where it must not.
    fn nothing_is_lost(&self, said: &str) {
        assert_eq!(self.ask("violations"), json!([]), "{said}");
        let truth = self.ask("truth");
        for (vm, is) in truth["vms"].as_object().unwrap() {
            assert_eq!(is["power"], "poweredOn", "{vm}\n{said}");
            let host = &truth["hosts"][is["host"].as_str().unwrap()];
            assert_eq!(host["responds"], true, "{vm}\n{said}");
            assert_eq!(host["maintenance"], false, "{vm}\n{said}");
        }
    }
}

#[test]
fn a_move_that_fails_for_ever_is_named() {
    let Some(scene) = Scene::new() else { return };
    scene.stand.vcenter().behave().unwrap();
    let vm = "DC0_C0-vm0003";
    scene.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "object": vm, "fault": "NoCompatibleHost", "stage": "task"}),
    );
    scene.stand.slow(300).unwrap();
    let (status, said) = scene.ends(scene.start());
    assert!(!status.success(), "{said}");
    assert!(
        said.contains(vm) && said.contains("NoCompatibleHost"),
        "{said}"
    );
    scene.nothing_is_lost(&said);
    assert_eq!(
        scene.ask("truth")["clusters"][CLUSTER]["drs"],
        "fullyAutomated",
        "{said}"
    );
}

#[test]
fn a_host_that_never_returns_is_named_and_nothing_is_on_it() {
    let Some(scene) = Scene::new() else { return };
    let host = "DC0_C0_H2";
    scene.tell("settings", &json!({"boot_wait_ms": 2000}));
    scene.tell(
        "image",
        &json!({"cluster": CLUSTER, "sabotage": {host: {"stay_down": true}}}),
    );
    let (status, said) = scene.ends(scene.start());
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("does not respond after the image was put in"),
        "{said}"
    );
    assert!(
        said.contains(&format!("{host} is in maintenance mode")),
        "{said}"
    );
    scene.nothing_is_lost(&said);
}

#[test]
fn a_machine_that_an_operator_moves_is_planned_anew() {
    let Some(scene) = Scene::new() else { return };
    let mut child = scene.start();
    scene.until(&mut child, "maintenance mode of ");
    let truth = scene.ask("truth");
    let closed = |host: &str| truth["hosts"][host]["maintenance"] == true;
    let hosts = ["DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2", "DC0_C0_H3"];
    let to = hosts.into_iter().rev().find(|host| !closed(host)).unwrap();
    let vms = truth["vms"].as_object().unwrap();
    // None of a rule: what breaks one stops the roll.
    let may = |(vm, is): &(&String, &Value)| is["host"] != to && !APART.contains(&vm.as_str());
    let (vm, _) = vms.iter().find(may).unwrap();
    println!("maria moves {vm} to {to}");
    scene.tell("machine", &json!({"name": vm, "host": to, "by": "maria"}));
    let (status, said) = scene.ends(child);
    assert!(status.success(), "{said}");
    assert!(said.contains("as the server saw it"), "{said}");
    scene.nothing_is_lost(&said);
}

#[test]
fn a_rule_that_an_operator_breaks_stops_the_roll() {
    let Some(scene) = Scene::new() else { return };
    let mut child = scene.start();
    scene.until(&mut child, "maintenance mode of ");
    let truth = scene.ask("truth");
    let to = truth["vms"][APART[1]]["host"].clone();
    scene.tell(
        "machine",
        &json!({"name": APART[0], "host": to, "by": "maria"}),
    );
    let (status, said) = scene.ends(child);
    assert!(!status.success(), "{said}");
    assert!(said.contains("rules[0].anti_affinity"), "{said}");
    assert!(said.contains("nothing is owed"), "{said}");
}

#[test]
fn a_setting_that_an_operator_changes_is_not_overwritten() {
    let Some(scene) = Scene::new() else { return };
    let mut child = scene.start();
    scene.until(&mut child, "maintenance mode of ");
    scene.tell("cluster", &json!({"name": CLUSTER, "drs": "manual"}));
    let (status, said) = scene.ends(child);
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("somebody else changed what was borrowed"),
        "{said}"
    );
    assert_eq!(
        scene.ask("truth")["clusters"][CLUSTER]["drs"],
        "manual",
        "{said}"
    );
    scene.nothing_is_lost(&said);
}
