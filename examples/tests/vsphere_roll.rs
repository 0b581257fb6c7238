//! The roll of a cluster of a vCenter, and what the vendor's own client reads before and after it.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

#[expect(
    dead_code,
    reason = "the program joins a server, and this test starts one"
)]
#[path = "../examples/vsphere_roll/stand.rs"]
mod stand;

use std::{env, path::Path, process::Command};

use patchcore_testkit::peers::{
    need,
    vcenter::{PASSWORD, USER, program, witness},
};
use serde_json::Value;
use tempfile::TempDir;

use self::stand::{CLUSTER, Stand};

/// What pyVmomi reads.
fn read_back(python: &Path, stand: &Stand) -> Value {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../providers/vsphere/tests/witness/read_back.py"
    );
    let read = Command::new(python)
        .arg(script)
        .arg(stand.vcenter().server())
        .arg(stand.vcenter().ca())
        .args([USER, CLUSTER])
        .env("VSPHERE_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{errors}");
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
fn eight_hosts_get_a_new_image_and_a_second_client_sees_it() {
    let (Some(_), Some(python)) = (need(program()), need(witness())) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    let stand = Stand::started(8, 24, 2000).unwrap();
    stand.vcenter().write_to(&file("vcenter.json")).unwrap();
    let before = read_back(&python, &stand);

    let rolled = Command::new(env!("CARGO_BIN_EXE_vsphere-roll"))
        .arg("--vcenter")
        .arg(file("vcenter.json"))
        .arg("--journal")
        .arg(file("run.db"))
        .output()
        .unwrap();
    let said = String::from_utf8(rolled.stdout).unwrap();
    let errors = String::from_utf8(rolled.stderr).unwrap();
    println!("{said}{errors}");
    assert!(
        rolled.status.success() && errors.is_empty(),
        "{said}{errors}"
    );
    assert!(
        said.contains("as the server saw it: 8 hosts run build"),
        "{said}"
    );
    // Its bounds stand in the plan.
    assert!(said.contains("bound"), "{said}");
    // And the server itself saw nothing that must not be, at any moment.
    stand.verdict().unwrap().unwrap();

    let after = read_back(&python, &stand);
    assert_eq!(after["cluster"], before["cluster"], "rules, DRS and HA");
    let hosts = after["hosts"].as_object().unwrap();
    assert_eq!(hosts.len(), 8);
    for (host, is) in hosts {
        let was = &before["hosts"][host];
        assert_eq!(was["version"], "8.0.2-22380479", "{host}");
        assert_eq!(is["version"], "8.0.3-24280767", "{host}");
        assert_eq!(is["state"], "connected", "{host}");
        assert_eq!(is["maintenance"], false, "{host}");
        assert_ne!(is["boot"], was["boot"], "{host}");
    }
    let vms = after["vms"].as_object().unwrap();
    assert_eq!(vms.len(), 24);
    for (vm, is) in vms {
        assert_eq!(is["power"], "poweredOn", "{vm}");
    }
    let rules = after["cluster"]["apart"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    for rule in rules {
        let at = |n: usize| &vms[rule[n].as_str().unwrap()]["host"];
        assert_ne!(at(0), at(1), "{rule}");
    }
}
