//! The published schemas are those of the types.

use std::{env, fs, path::PathBuf};

use patchcore::plan::roll::{Cluster, Roll, RollPlan};
use serde_json::Value;

use crate::{
    clusters::{Size, random},
    serial::serial,
};

#[test]
fn published_schemas_are_those_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for (name, schema) in [
        ("cluster", Cluster::json_schema()),
        ("roll", Roll::json_schema()),
        ("roll-plan", RollPlan::json_schema()),
    ] {
        let path = folder.join(format!("{name}.json"));
        if env::var_os("PATCHCORE_BLESS").is_some() {
            let text = serde_json::to_string_pretty(&schema).unwrap();
            fs::write(&path, format!("{text}\n")).unwrap();
        }
        let published: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            published, schema,
            "PATCHCORE_BLESS=1 writes docs/schema anew"
        );
    }
}

#[test]
fn what_is_written_keeps_to_its_schema_and_is_read_alike() {
    let clusters = jsonschema::validator_for(&Cluster::json_schema()).unwrap();
    let rolls = jsonschema::validator_for(&Roll::json_schema()).unwrap();
    let size = Size {
        hosts: (3, 5),
        used: (30, 60),
        largest: 25,
        rules: true,
    };
    for seed in 0..40 {
        let cluster = random(seed, size);
        let text = serde_json::to_string(&cluster).unwrap();
        assert_eq!(Cluster::from_json(&text).unwrap(), cluster);
        let mut value: Value = serde_json::from_str(&text).unwrap();
        assert!(clusters.is_valid(&value), "{text}");
        value["hosts"] = Value::from(7);
        assert!(!clusters.is_valid(&value));
        if let Some(roll) = serial(&cluster) {
            let text = roll.to_json().unwrap();
            assert_eq!(Roll::from_json(&text).unwrap(), roll);
            assert!(
                rolls.is_valid(&serde_json::from_str(&text).unwrap()),
                "{text}"
            );
        }
    }
    assert!(Roll::from_json("{\"schema\": \"patchcore.roll/9\"}").is_err());
}
