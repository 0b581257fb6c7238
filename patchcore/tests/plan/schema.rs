//! The published schemas are those of the types, and what is stored keeps to them.

use std::{env, fs, path::PathBuf};

use patchcore::{approve::Approval, estate::Inventory, plan::Plan, policy};
use serde_json::Value;

use crate::rich_estate::{NOW, POLICY, at, empty, planned, rich};

fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("plan", Plan::json_schema()),
        ("approval", Approval::json_schema()),
        ("inventory", Inventory::json_schema()),
        ("policy", policy::schema()),
    ]
}

/// Each published schema that differs from what the types say.
fn drifted(published: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    schemas()
        .into_iter()
        .filter(|(name, schema)| {
            let text = published(name).and_then(|t| serde_json::from_str::<Value>(&t).ok());
            text.as_ref() != Some(schema)
        })
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn published_schemas_are_those_of_the_types() {
    let path = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../docs/schema")
            .join(format!("{name}.json"))
    };
    if env::var_os("PATCHCORE_BLESS").is_some() {
        for (name, schema) in schemas() {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            let text = serde_json::to_string_pretty(&schema).unwrap();
            fs::write(path(name), format!("{text}\n")).unwrap();
        }
    }
    let read = |name: &str| fs::read_to_string(path(name)).ok();
    assert_eq!(
        drifted(read),
        Vec::<&str>::new(),
        "PATCHCORE_BLESS=1 writes docs/schema anew"
    );
    // The comparison itself sees a drift and a missing file.
    let planted = |name: &str| read(name).map(|t| t.replacen("\"string\"", "\"number\"", 1));
    assert_eq!(
        drifted(planted),
        ["plan", "approval", "inventory", "policy"]
    );
    assert_eq!(drifted(|_| None).len(), 4);
}

#[test]
fn what_is_stored_keeps_to_its_schema() {
    let plan = planned(&rich(), POLICY);
    let approval = plan.approval("maria", at(NOW)).unwrap();
    let signed = approval
        .clone()
        .with_comment("yes")
        .with_proof("ed25519", "00");
    let rules = policy::Policy::from_toml(POLICY, "policy.toml").unwrap();
    let json = |value: &dyn erased::Stored| value.json();
    let stored = [
        ("plan", json(&plan)),
        (
            "plan",
            json(&planned(
                &rich(),
                "[[window]]\nname = \"w\"\nwhen = \"any time\"\n",
            )),
        ),
        ("approval", json(&approval)),
        ("approval", json(&signed)),
        ("inventory", json(&rich())),
        ("inventory", json(&empty())),
        ("policy", json(&rules)),
        ("policy", json(&policy::Policy::default())),
    ];
    for (name, value) in stored {
        let (_, schema) = schemas().into_iter().find(|(n, _)| *n == name).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mistakes: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert_eq!(mistakes, Vec::<String>::new(), "{name}");
        // A validator that takes anything would be no check.
        for key in value.as_object().unwrap().keys() {
            let mut broken = value.clone();
            broken[key] = Value::from(-1.5);
            assert!(
                !validator.is_valid(&broken),
                "{name}: {key} may be anything"
            );
        }
    }
}

/// Values of different types in one list.
mod erased {
    use serde_json::Value;

    pub(super) trait Stored {
        fn json(&self) -> Value;
    }

    impl<T: serde::Serialize> Stored for T {
        fn json(&self) -> Value {
            serde_json::to_value(self).unwrap_or_default()
        }
    }
}
