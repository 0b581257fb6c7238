//! The ways by which hosts reach their storage.

use patchcore::{
    ErrorKind,
    id::ComponentId,
    provider::{EvidenceLabel, Hanging, HostPaths, PathState, Provider as _, StoragePath},
};
use patchcore_testkit::evidence::earned;
use serde_json::{Value, json};

use crate::{
    conformance::host,
    deployer::{cluster, ctx},
    peer::Peer,
};

/// Ports of an array with two controllers: the first two are of the first one.
const PORTS: [i64; 4] = [0x5001_0001, 0x5001_0002, 0x5002_0001, 0x5002_0002];

fn fibre(adapter: &str, port: usize, state: &str) -> Value {
    json!({"adapter": adapter, "wwpn": PORTS[port], "wwnn": 0x5000_0000_i64, "state": state})
}

fn wwpn(port: usize) -> String {
    let bytes = PORTS[port].to_be_bytes();
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

fn controller(path: &StoragePath) -> Option<String> {
    let port = &path.target.as_ref()?.port;
    let nth = (0..PORTS.len()).find(|nth| wwpn(*nth) == *port)?;
    Some(["first", "second"][nth / 2].to_owned())
}

fn storage(peer: &Peer, devices: &Value) {
    peer.tell("around", &json!({"host": host(0), "storage": devices}));
}

async fn read(peer: &Peer, hosts: &[ComponentId]) -> Vec<patchcore::Result<HostPaths>> {
    let port = cluster(peer).await.ports().paths.unwrap();
    let answers = port.paths(&ctx(), hosts).await.unwrap();
    assert!(answers.keys().eq(hosts), "{answers:?}");
    answers.into_values().collect()
}

fn told(hanging: &[Hanging]) -> Vec<(&str, Option<&str>)> {
    let told = hanging.iter();
    told.map(|one| (&*one.device, one.part.as_deref()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_told_by_adapter_and_port_with_their_names() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    storage(
        &peer,
        &json!([
            {"name": "naa.safe", "paths": [fibre("vmhba2", 0, "active"), fibre("vmhba3", 2, "standby")]},
            {"name": "naa.one-controller", "paths": [fibre("vmhba2", 0, "active"), fibre("vmhba3", 1, "active")]},
            {"name": "naa.one-adapter", "paths": [fibre("vmhba2", 1, "active"), fibre("vmhba2", 3, "active")]},
            {"name": "naa.half", "paths": [fibre("vmhba2", 0, "active"), fibre("vmhba3", 2, "dead")]},
            {"name": "naa.iscsi", "paths": [
                {"adapter": "vmhba64", "iqn": "iqn.2026-01.example:array", "address": ["10.0.0.8:3260"], "state": "active"},
            ]},
            {"name": "mpx.local", "paths": [{"adapter": "vmhba0", "state": "active"}]},
        ]),
    );
    let seen = read(&peer, &[host(0)]).await.remove(0).unwrap();
    let safe = &seen.devices["naa.safe"];
    assert_eq!(safe[0].name, "vmhba2:C0:T0:L0");
    assert_eq!(safe[0].adapter.as_deref(), Some("vmhba2"));
    let target = safe[0].target.as_ref().unwrap();
    assert_eq!(target.port, "00:00:00:00:50:01:00:01");
    assert_eq!(target.node.as_deref(), Some("00:00:00:00:50:00:00:00"));
    assert_eq!(safe[1].state, PathState::Standby);
    let iscsi = seen.devices["naa.iscsi"][0].target.as_ref().unwrap();
    assert_eq!(iscsi.port, "10.0.0.8:3260");
    assert_eq!(iscsi.node.as_deref(), Some("iqn.2026-01.example:array"));
    assert_eq!(seen.devices["mpx.local"][0].target, None);
    assert_eq!(
        told(&seen.hanging_on_an_adapter()),
        [
            ("naa.half", Some("vmhba2")),
            ("naa.iscsi", Some("vmhba64")),
            ("naa.one-adapter", Some("vmhba2"))
        ]
    );
    // Counting paths, adapters and ports finds nothing of this one.
    assert_eq!(
        told(&seen.hanging_on(controller)),
        [
            ("naa.half", Some("first")),
            ("naa.iscsi", None),
            ("naa.one-controller", Some("first"))
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_does_not_come_back_is_missed() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let with = |state: &str| json!([{"name": "naa.1", "paths": [fibre("vmhba2", 0, "active"), fibre("vmhba3", 2, state)]}]);
    storage(&peer, &with("active"));
    let before = read(&peer, &[host(0)]).await.remove(0).unwrap();
    storage(&peer, &with("dead"));
    let after = read(&peer, &[host(0)]).await.remove(0).unwrap();
    let lost = after.lost_since(&before);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].path, "vmhba3:C0:T1:L0");
    assert_eq!(lost[0].now, Some(PathState::Down));
    storage(&peer, &with("standby"));
    let again = read(&peer, &[host(0)]).await.remove(0).unwrap();
    assert_eq!(again.lost_since(&before), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_asked_has_an_answer_of_its_own() {
    let Some(peer) = Peer::start(2, 1) else {
        return;
    };
    let nobody = ComponentId::from("a-host-of-nobody");
    let mut hosts = vec![host(0), host(1), nobody];
    hosts.sort();
    let answers = read(&peer, &hosts).await;
    let known = |answer: &&patchcore::Result<HostPaths>| {
        answer.as_ref().is_ok_and(|paths| !paths.devices.is_empty())
    };
    assert_eq!(answers.iter().filter(known).count(), 2, "{answers:?}");
    let refused = answers.iter().find_map(|answer| answer.as_ref().err());
    assert_eq!(refused.unwrap().kind(), ErrorKind::NotFound);
    // Of the simulator's own devices.
    earned("vsphere", "paths", EvidenceLabel::IndependentPeer);
}
