//! A cluster as it is read.

use std::collections::BTreeSet;

use patchcore::{
    ErrorKind,
    plan::roll::{Answer, Ha, HostState, Mobility, Objective, Rule, Wish, plan},
};
use patchcore_vsphere::{ClusterRead, VCenter, WhatCounts, WhyPinned};
use serde_json::json;

use crate::peer::Peer;

/// The peer's only cluster.
const CLUSTER: &str = "DC0_C0";

async fn read(vcenter: &VCenter) -> ClusterRead {
    let cluster = vcenter.cluster_named(CLUSTER).await.unwrap();
    vcenter.read_cluster(&cluster).await.unwrap()
}

#[tokio::test]
async fn a_roll_is_planned_from_what_is_read() {
    let Some(peer) = Peer::start(4, 24) else {
        return;
    };
    let read = read(&peer.connect().await).await;
    assert_eq!(read.cluster.hosts.len(), 4);
    assert_eq!(read.cluster.vms.len(), 24);
    assert_eq!(read.pinned, []);
    assert_eq!(read.not_modelled, Vec::<String>::new());
    for host in &read.cluster.hosts {
        assert_eq!(host.capacity[0], Some(384 * 1024), "{host:?}");
        assert_eq!(host.capacity[1], Some(32 * 2400), "{host:?}");
        assert_eq!(host.state, HostState::Open);
    }
    assert_eq!(read.cluster.vms[0].mem_mib, Some(4096));
    let wish = Wish::new(Objective::FewestMoves);
    let Ok(Answer::Planned(planned)) = plan(&read.cluster, &wish, &|| false) else {
        panic!("it must be planned");
    };
    assert_eq!(planned.best.figures().patched, 4);
}

#[tokio::test]
async fn more_machines_than_a_page_are_read_once_each() {
    let Some(peer) = Peer::start(2, 1203) else {
        return;
    };
    let vcenter = peer.connect().await;
    let names = |read: &ClusterRead| -> BTreeSet<String> {
        read.cluster
            .vms
            .iter()
            .map(|vm| vm.id.to_string())
            .collect()
    };
    let whole = read(&vcenter).await;
    assert_eq!(whole.cluster.vms.len(), 1203);
    assert_eq!(names(&whole).len(), 1203);
    // The session ends between two pages, and with it the view and the token: all is read anew.
    peer.tell(
        "rules",
        &json!({"method": "ContinueRetrievePropertiesEx", "fault": "NotAuthenticated", "skip": 1, "count": 2}),
    );
    let again = read(&vcenter).await;
    assert_eq!(again.cluster.vms.len(), 1203, "nobody is read twice");
    assert_eq!(names(&again), names(&whole));
}

#[tokio::test]
async fn each_reason_to_stay_is_seen() {
    let Some(peer) = Peer::start(2, 12) else {
        return;
    };
    let vm = |n: u32| format!("{CLUSTER}-vm{n:04}");
    let set = |n: u32, what: serde_json::Value| {
        let mut what = what;
        what["name"] = vm(n).into();
        peer.tell("machine", &what);
    };
    set(0, json!({"connection": "disconnected"}));
    set(1, json!({"question": true}));
    set(2, json!({"fault_tolerant": true}));
    set(3, json!({"cpu_affinity": true}));
    set(4, json!({"disabled": "RelocateVM_Task"}));
    set(5, json!({"pci": "PCI device 0"}));
    set(6, json!({"cdrom": "CD/DVD drive 1"}));
    set(7, json!({"iso": "CD/DVD drive 1"}));
    set(8, json!({"power": "poweredOff"}));
    set(9, json!({"agent": "com.vmware.vim.eam"}));
    let vcenter = peer.connect().await;
    let seen = read(&vcenter).await;
    let whys: Vec<(String, WhyPinned)> = seen
        .pinned
        .iter()
        .map(|pinned| (pinned.vm.to_string(), pinned.why.clone()))
        .collect();
    let label = |text: &str| text.to_owned();
    assert_eq!(
        whys,
        [
            (vm(0), WhyPinned::NotConnected),
            (vm(1), WhyPinned::Question),
            (vm(2), WhyPinned::FaultTolerant),
            (vm(3), WhyPinned::CpuAffinity),
            (
                vm(4),
                WhyPinned::Disabled {
                    call: label("RelocateVM_Task")
                }
            ),
            (
                vm(5),
                WhyPinned::PassedThrough {
                    device: label("PCI device 0")
                }
            ),
            (
                vm(6),
                WhyPinned::Connected {
                    device: label("CD/DVD drive 1")
                }
            ),
        ]
    );
    let pinned_in_model = seen
        .cluster
        .vms
        .iter()
        .filter(|vm| matches!(vm.mobility, Mobility::Pinned(_)));
    assert_eq!(pinned_in_model.count(), 7);
    assert_eq!(
        seen.cluster.vms.len(),
        10,
        "one is off, and one belongs to the service"
    );
    assert!(
        seen.not_modelled[0].contains("1 machines of vSphere Cluster Services"),
        "{:?}",
        seen.not_modelled
    );

    peer.tell("store", &json!({"name": "LocalDS_0", "shared": false}));
    let local = read(&vcenter).await;
    let of = |n: u32| -> Vec<&WhyPinned> {
        let it = local.pinned.iter().filter(|pinned| pinned.vm == *vm(n));
        it.map(|pinned| &pinned.why).collect()
    };
    let store = WhyPinned::LocalStorage {
        datastore: label("LocalDS_0"),
    };
    assert_eq!(of(10), [&store]);
    // All reasons at once; the medium lies on storage of its host now.
    assert_eq!(of(1), [&WhyPinned::Question, &store]);
    let medium = WhyPinned::Connected {
        device: label("CD/DVD drive 1"),
    };
    assert_eq!(of(7), [&medium, &store]);
    let mut machines: Vec<&str> = local.pinned.iter().map(|p| p.vm.as_str()).collect();
    machines.dedup();
    assert_eq!(machines.len(), 10);
    let asks = local.cluster.vms.iter().find(|it| it.id == *vm(1));
    let Some(Mobility::Pinned(pin)) = asks.map(|it| &it.mobility) else {
        panic!("{asks:?}");
    };
    assert_eq!(
        pin.reason,
        "it waits for the answer to a question; no other host has its datastore LocalDS_0"
    );
}

#[tokio::test]
async fn states_rules_and_reserves_are_read() {
    let Some(peer) = Peer::start(4, 8) else {
        return;
    };
    let vm = |n: u32| format!("{CLUSTER}-vm{n:04}");
    let host = |n: u32| format!("{CLUSTER}_H{n}");
    peer.tell(
        "host",
        &json!({"name": host(2), "set": {"inMaintenanceMode": true}}),
    );
    peer.tell(
        "host",
        &json!({"name": host(3), "set": {"connectionState": "notResponding"}}),
    );
    peer.tell(
        "cluster",
        &json!({
            "name": CLUSTER,
            "apart": {"dc": [vm(0), vm(1)]},
            "together": {"app": [vm(4), vm(5)]},
            "bound": [
                {"rule": "licence", "vms": [vm(0)], "hosts": [host(0), host(1)], "mandatory": true},
                {"rule": "noisy", "vms": [vm(1)], "hosts": [host(3)], "never": true, "mandatory": true},
                {"rule": "near", "vms": [vm(2)], "hosts": [host(0)]},
            ],
            "ha": "percent",
            "percent": 30,
        }),
    );
    let vcenter = peer.connect().await;
    let seen = read(&vcenter).await;
    let states: Vec<HostState> = seen.cluster.hosts.iter().map(|host| host.state).collect();
    assert_eq!(
        states,
        [
            HostState::Open,
            HostState::Open,
            HostState::Closed,
            HostState::Down
        ]
    );
    let words: Vec<String> = seen
        .cluster
        .rules
        .iter()
        .map(|rule| serde_json::to_string(rule).unwrap())
        .collect();
    let text = words.join("\n");
    assert!(
        text.contains(&format!(
            r#""anti_affinity":{{"vms":["{}","{}"]"#,
            vm(0),
            vm(1)
        )),
        "{text}"
    );
    assert!(
        text.contains(&format!(r#""affinity":{{"vms":["{}","{}"]"#, vm(4), vm(5))),
        "{text}"
    );
    assert!(
        seen.cluster.rules.iter().any(
            |rule| matches!(rule, Rule::Fence { vms, hosts } if vms.len() == 1 && hosts.len() == 2)
        ),
        "{text}"
    );
    assert!(
        seen.cluster.rules.iter().any(
            |rule| matches!(rule, Rule::Avoid { vms, hosts } if vms.len() == 1 && hosts.len() == 1)
        ),
        "{text}"
    );
    assert!(
        seen.not_modelled.iter().any(|note| note.contains("near")),
        "{:?}",
        seen.not_modelled
    );
    assert_eq!(seen.cluster.limits.ha, Ha::Percent(30));

    for (how, level, expect) in [("failures", 2, Ha::Failures(2)), ("off", 0, Ha::None)] {
        peer.tell(
            "cluster",
            &json!({"name": CLUSTER, "ha": how, "level": level}),
        );
        assert_eq!(read(&vcenter).await.cluster.limits.ha, expect, "{how}");
    }
    peer.tell(
        "cluster",
        &json!({"name": CLUSTER, "ha": "hosts", "level": 1}),
    );
    let Ha::Dedicated { hosts, keep } = read(&vcenter).await.cluster.limits.ha else {
        panic!("a host of its own");
    };
    assert_eq!((hosts.len(), keep), (1, 1));
}

#[tokio::test]
async fn storage_that_only_some_hosts_have_is_a_fence() {
    let Some(peer) = Peer::start(3, 3) else {
        return;
    };
    peer.tell(
        "store",
        &json!({"name": "LocalDS_0", "shared": true, "hosts": [format!("{CLUSTER}_H0"), format!("{CLUSTER}_H1")]}),
    );
    let read = read(&peer.connect().await).await;
    let fences: Vec<_> = read
        .cluster
        .rules
        .iter()
        .filter_map(|rule| match rule {
            Rule::Fence { vms, hosts } => Some((vms.len(), hosts.len())),
            _ => None,
        })
        .collect();
    assert_eq!(fences, [(3, 2)], "{:?}", read.cluster.rules);
}

#[tokio::test]
async fn names_are_unique_and_memory_counts_as_asked() {
    let Some(peer) = Peer::start(2, 3) else {
        return;
    };
    let first = format!("{CLUSTER}-vm0000");
    peer.tell(
        "machine",
        &json!({"name": format!("{CLUSTER}-vm0001"), "rename": first, "demand": 700}),
    );
    let seen = read(&peer.connect().await).await;
    let names: Vec<String> = seen
        .cluster
        .vms
        .iter()
        .map(|vm| vm.id.to_string())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with(&format!("{first} (vm-")))
            .count(),
        2,
        "{names:?}"
    );
    assert!(
        seen.cluster.vms.iter().any(|vm| vm.demand[1] == Some(700)),
        "{:?}",
        seen.cluster.vms
    );
    assert_eq!(seen.cluster.vms[2].demand[0], Some(4096));

    let held = VCenter::connect(peer.config().with_memory(WhatCounts::Held))
        .await
        .unwrap();
    let held = read(&held).await;
    assert_ne!(held.cluster.vms[2].demand[0], Some(4096));
    assert_eq!(
        held.cluster.vms[2].mem_mib,
        Some(4096),
        "all of it is copied"
    );
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let error = peer
        .connect()
        .await
        .cluster_named("DC0_C7")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.to_string().contains(CLUSTER), "{error:?}");
}
