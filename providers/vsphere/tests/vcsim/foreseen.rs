//! What stands against every host, or against one that somebody else works on, is told when it is planned.

use std::time::Duration;

use patchcore::provider::{Deployer, InventorySource};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;

use crate::{
    conformance::host,
    deployer::{cluster, ctx},
    peer::{Peer, USER},
};

/// What is said of a host, by a listing and by a scan alike.
async fn said(on: &VsphereCluster, n: u32) -> Vec<String> {
    let listed = on.list(&ctx()).await.unwrap().scans.remove(&host(n));
    let scanned = on.scan(&ctx(), &[host(n)]).await.unwrap().remove(&host(n));
    let (listed, scanned) = (listed.unwrap().unwrap(), scanned.unwrap().unwrap());
    assert_eq!(listed.unhealthy, scanned.unhealthy);
    listed.unhealthy.into_iter().map(|u| u.what).collect()
}

async fn closed_by(peer: &Peer, n: u32, user: &str) {
    peer.tell("host", &json!({"name": host(n).as_str(), "by": user}));
    for _ in 0..100 {
        if peer.ask("hosts")[host(n).as_str()]["maintenance"] == true
            && peer.ask("running") == json!([])
        {
            return;
        }
        ctx().sleep(Duration::from_millis(50)).await;
    }
    panic!("it is never in maintenance mode")
}

#[tokio::test]
async fn a_right_that_every_roll_needs_is_missed_before() {
    let Some(peer) = Peer::start(2, 2) else {
        return;
    };
    let on = cluster(&peer).await;
    assert_eq!(said(&on, 0).await, Vec::<String>::new());
    // One that only some rolls need is none.
    peer.tell(
        "rights",
        &json!({"missing": ["Resource.HotMigrate", "VirtualMachine.Interact.Suspend"]}),
    );
    let missing = format!("{USER} lacks the right Resource.HotMigrate");
    assert_eq!(said(&on, 0).await, [&*missing]);
    assert_eq!(said(&on, 1).await, [&*missing]);
    // Nobody says: the vCenter refuses itself what is not allowed.
    peer.tell(
        "rules",
        &json!({"method": "FetchUserPrivilegeOnEntities", "fault": "NoPermission"}),
    );
    assert_eq!(said(&on, 0).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_vcenter_of_cloud_foundation_is_left_to_it() {
    let Some(peer) = Peer::start(2, 2) else {
        return;
    };
    let on = cluster(&peer).await;
    peer.tell("extension", &json!({"key": "com.vmware.vlcm.client"}));
    assert_eq!(said(&on, 0).await, Vec::<String>::new());
    peer.tell("extension", &json!({"key": "com.vmware.sddcManager"}));
    let all = said(&on, 0).await;
    assert!(
        all.len() == 1 && all[0].contains("Cloud Foundation"),
        "{all:?}"
    );
}

#[tokio::test]
async fn maintenance_mode_is_whose_it_is() {
    let Some(peer) = Peer::start(4, 0) else {
        return;
    };
    let on = cluster(&peer).await;
    closed_by(&peer, 0, "maria").await;
    // Left over from a roll of ours, which gives it back.
    closed_by(&peer, 1, USER).await;
    peer.tell(
        "host",
        &json!({"name": host(2).as_str(), "set": {"inMaintenanceMode": true}}),
    );
    assert_eq!(said(&on, 0).await, ["it is in maintenance mode, by maria"]);
    assert_eq!(said(&on, 1).await, Vec::<String>::new());
    assert_eq!(
        said(&on, 2).await,
        ["it is in maintenance mode, and the vCenter does not know by whom"]
    );
    assert_eq!(said(&on, 3).await, Vec::<String>::new());
}
