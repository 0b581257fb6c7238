//! The example `vsphere_roll` is killed with SIGKILL at random points, and its connections are cut; run again with the
//! same journal it comes to the outcome of a run that nobody disturbed, and nothing was done twice.
//!
//! What runs at a kill is asked of the server, past its API, and printed.

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
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant, SystemTime},
};

use patchcore_testkit::peers::{need, vcenter::program};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::stand::Stand;

/// How often it is killed, and how often at least while a task of the vCenter runs.
const KILLS: usize = 10;
const IN_A_TASK: usize = 8;

/// No incarnation takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

/// Chance from a seed that is printed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

struct Scene {
    stand: Stand,
    folder: TempDir,
    began: u32,
}

impl Scene {
    fn new() -> Option<Self> {
        need(program())?;
        let folder = TempDir::new().unwrap();
        let stand = Stand::started(8, 24, 2000).unwrap();
        let file = folder.path().join("vcenter.json");
        stand.vcenter().write_to(&file).unwrap();
        Some(Self {
            stand,
            folder,
            began: 0,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) -> Child {
        self.began += 1;
        let output = File::create(self.path(&format!("{}.txt", self.began))).unwrap();
        Command::new(env!("CARGO_BIN_EXE_vsphere-roll"))
            .arg("--vcenter")
            .arg(self.path("vcenter.json"))
            .arg("--journal")
            .arg(self.path("run.db"))
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            .spawn()
            .unwrap()
    }

    fn said(&self) -> String {
        let file = self.path(&format!("{}.txt", self.began));
        fs::read_to_string(file).unwrap()
    }

    fn running(&self) -> Vec<String> {
        let running = self.stand.vcenter().ask("running").unwrap();
        serde_json::from_value(running).unwrap()
    }

    /// The last incarnation: it must come to its end, and the server must have seen nothing that must not be.
    fn ends(&mut self) {
        let mut child = self.start();
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                child.kill().unwrap();
                panic!("it does not end:\n{}", self.said());
            }
            thread::sleep(Duration::from_millis(50));
        };
        let said = self.said();
        assert!(status.success(), "{status}\n{said}");
        assert!(said.contains("ledger: nothing is owed"), "{said}");
        self.stand.verdict().unwrap().unwrap();
        self.nothing_twice();
    }

    /// No machine was moved again to where it was already, and no host patched twice.
    fn nothing_twice(&self) {
        let journal = self.stand.vcenter().ask("journal").unwrap();
        let mut patched: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in journal.as_array().unwrap() {
            if entry["kind"] == "remediate" {
                *patched.entry(entry["host"].as_str().unwrap()).or_default() += 1;
            }
        }
        assert_eq!(patched.len(), 8, "{patched:?}");
        assert!(patched.values().all(|n| *n == 1), "{patched:?}");
    }
}

fn chance() -> Chance {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let seed = now.as_nanos() as u64;
    println!("seed {seed}");
    Chance(seed)
}

#[test]
fn killed_at_ten_random_points_it_comes_to_the_same_end() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let mut chance = chance();
    let mut in_a_task = 0;
    for kill in 1..=KILLS {
        let mut child = scene.start();
        let began = Instant::now();
        let end = began + PATIENCE;
        // The first of them while a task runs, and the last anywhere at all.
        let wait = Duration::from_millis(1500 + chance.below(5000));
        thread::sleep(wait);
        let must_be_in_a_task = kill <= IN_A_TASK;
        while must_be_in_a_task && scene.running().is_empty() {
            assert!(
                child.try_wait().unwrap().is_none() && Instant::now() < end,
                "{}",
                scene.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
        let running = scene.running();
        child.kill().unwrap();
        child.wait().unwrap();
        in_a_task += usize::from(!running.is_empty());
        println!(
            "kill {kill} after {:.1} s: {}",
            began.elapsed().as_secs_f64(),
            match running.is_empty() {
                true => "no task runs".to_owned(),
                false => running.join("; "),
            }
        );
    }
    assert!(
        in_a_task >= IN_A_TASK,
        "{in_a_task} of {KILLS} during a task"
    );
    scene.ends();
}

#[test]
fn ten_cut_connections_change_nothing() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let vcenter = scene.stand.vcenter();
    let mut chance = chance();
    vcenter.behave().unwrap();
    let cuts = [
        ("RelocateVM_Task", "lose_reply"),
        ("RelocateVM_Task", "abort"),
        ("EnterMaintenanceMode_Task", "lose_reply"),
        ("ExitMaintenanceMode_Task", "lose_reply"),
        ("RetrievePropertiesEx", "abort"),
        ("RetrievePropertiesEx", "abort"),
        ("vlcm.apply", "lose_reply"),
        ("vlcm.stage", "lose_reply"),
        ("vlcm.compliance", "abort"),
        ("cis.task", "abort"),
    ];
    for (method, how) in cuts {
        // Before the one that makes it take its time: the first rule that fits is taken.
        // What is read before the run begins is asked by whoever plans, who asks again.
        let first = if how == "abort" && method != "RelocateVM_Task" {
            30
        } else {
            0
        };
        let skip = first + chance.below(5);
        let cut = json!({"method": method, how: true, "skip": skip, "count": 1, "task_ms": 2000});
        vcenter.tell("rules", &cut).unwrap();
    }
    scene.stand.slow(2000).unwrap();
    scene.ends();
    let rules = scene.stand.vcenter().ask("rules").unwrap();
    let number = |rule: &Value, what: &str| rule[what].as_u64().unwrap();
    let cut = |rule: &&Value| rule["count"] == 1 && number(rule, "hits") > number(rule, "skip");
    let done: Vec<&Value> = rules.as_array().unwrap().iter().filter(cut).collect();
    for rule in &done {
        let how = if rule["abort"] == true {
            "call"
        } else {
            "answer"
        };
        println!(
            "cut: the {how} of {} after {} others",
            rule["method"], rule["skip"]
        );
    }
    assert_eq!(done.len(), cuts.len(), "{rules}");
}
