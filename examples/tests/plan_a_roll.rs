//! What `plan_a_roll` says of clusters, good and bad, and what it leaves behind.
#![expect(
    clippy::unwrap_used,
    reason = "a program that cannot be run or read fails its test"
)]

use std::{
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use patchcore::plan::roll::{Cluster, RollPlan};
use serde_json::{Value, json};

fn told(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_plan-a-roll"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clusters/eight_hosts.json")
}

/// The cluster of the example with a change, as a file.
fn changed(folder: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut cluster: Value = serde_json::from_str(&fs::read_to_string(example()).unwrap()).unwrap();
    change(&mut cluster);
    let file = folder.join("cluster.json");
    fs::write(&file, cluster.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn the_plan_of_the_example_reads_alike() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plan_a_roll.txt");
    let (code, text, errors) = told(&["--what-if", "one more down"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    if env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "it differs from tests/golden/plan_a_roll.txt; PATCHCORE_BLESS=1 writes it anew. Now it is:\n{text}"
    );
}

#[test]
fn the_example_is_a_file_that_keeps_to_the_published_schema() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/cluster.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let text = fs::read_to_string(example()).unwrap();
    let cluster = Cluster::from_json(&text).unwrap();
    assert_eq!(schema["title"], "Cluster");
    assert!(
        text.lines().count() < 70,
        "a person does not write {} lines in five minutes",
        text.lines().count()
    );
    assert_eq!(cluster.hosts.len(), 8);
}

#[test]
fn every_step_is_said_as_json_and_the_picture_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("roll.svg");
    let (code, text, errors) = told(&["--json", "--svg", svg.to_str().unwrap()]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let value: Value = serde_json::from_str(&text).unwrap();
    let steps = value["steps"].as_array().unwrap();
    assert!(steps.len() > 50);
    assert!(
        steps
            .iter()
            .all(|step| step["why"].is_string() && step["from_ms"].is_u64())
    );
    let plan = RollPlan::from_json(&text).unwrap();
    assert_eq!(plan.to_json().unwrap() + "\n", text);
    let drawn = fs::read_to_string(svg).unwrap();
    assert_eq!(drawn, plan.svg());
    // The picture of the guide.
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/roll.svg");
    if env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(&shown, &drawn).unwrap();
    }
    assert!(
        fs::read_to_string(shown).unwrap_or_default() == drawn,
        "docs/pictures/roll.svg is another picture; PATCHCORE_BLESS=1 writes it anew"
    );
    for host in 1..=8 {
        assert!(
            drawn.contains(&format!(">p{host} is down from ")),
            "p{host}"
        );
    }
}

#[test]
fn a_cluster_without_a_roll_is_answered_with_a_proof_and_what_would_help() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(folder.path(), |cluster| {
        cluster["limits"]["ha"] = json!({ "failures": 4 })
    });
    let (code, text, _) = told(&["--cluster", &file]);
    assert_eq!(code, Some(3));
    assert!(
        text.starts_with("no roll patches every host\n   with p1 closed, "),
        "{text}"
    );
    assert!(
        text.contains("\n   set limits.ha.failures to 3\n"),
        "{text}"
    );
    let (code, text, _) = told(&["--json", "--cluster", &file]);
    assert_eq!(code, Some(3));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(value["infeasible"]["certificate"]["aggregate_capacity"].is_object());
}

#[test]
fn bad_input_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = changed(folder.path(), |cluster| {
        cluster["hosts"][3]["capacity"][1] = Value::Null;
        cluster["vms"][5]["host"] = json!("p9");
    });
    let (code, text, errors) = told(&["--cluster", &file]);
    assert_eq!((code, text.as_str()), (Some(2), ""));
    assert!(
        errors.contains("hosts[3].capacity[1]") && errors.contains("vms[5].host"),
        "{errors}"
    );
    for (arguments, expected) in [
        (
            &["--cluster", "/nowhere.json"][..],
            "/nowhere.json could not be read",
        ),
        (
            &["--roadef", "/nowhere.txt"],
            "its name does not begin with \"model_\"",
        ),
        (
            &["--objective", "best"],
            "expected  fewest_moves, balanced, fastest or knee",
        ),
        (&["--what-if", "it rains"], "\"one host fewer\""),
        (&["--what-if", "pin nobody"], "no machine nobody"),
        (
            &["--cluster", "a", "--btrplace", "b"],
            "one cluster is planned at a time",
        ),
    ] {
        let (code, _, errors) = told(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
}

#[test]
fn what_if_is_answered_in_a_few_lines() {
    for (words, expected) in [
        ("one host fewer", "what if: one host fewer:\n"),
        ("without p6", "what if: without p6:\n"),
        ("pin backup", "machines stopped for"),
    ] {
        let (code, text, errors) = told(&["--what-if", words]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{words}");
        let (_, answer) = text.split_once("\n\nwhat if: ").unwrap();
        assert!(text.contains(expected), "{words}: {answer}");
        assert!(
            (2..=8).contains(&answer.lines().count()),
            "{words}: {answer}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let file = changed(folder.path(), |cluster| {
        cluster["limits"]["ha"] = json!({ "failures": 3 })
    });
    let (_, text, _) = told(&["--cluster", &file, "--what-if", "one host fewer"]);
    assert!(
        text.contains("one host fewer: no roll patches every host then\n   with "),
        "{text}"
    );
}

#[test]
fn whoever_stops_reading_does_not_make_it_fail() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plan-a-roll"))
        .args(["--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything was read.
    drop(child.stdout.take());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), errors.as_str()),
        (Some(0), "")
    );
}
