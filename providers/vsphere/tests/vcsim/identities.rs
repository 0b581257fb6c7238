//! What is around the hosts of a cluster: machines that others know too, and whom hosts rely on.

use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc};

use async_trait::async_trait;
use patchcore::{
    Estate, Policy, Result,
    estate::{ComponentKind, IdentityKind, Relation, RelationKind, Sighting},
    id::ComponentId,
    provider::{InventorySource, Listing, OpContext, Ports, Provider, ProviderInfo},
};
use patchcore_testkit::peers::{need, vcenter::witness};
use patchcore_vsphere::VsphereCluster;
use serde_json::{Value, json};

use crate::peer::{PASSWORD, Peer, USER};

const CLUSTER: &str = "DC0_C0";

/// Whoever patches the systems of guests, by what they read of their firmware.
#[derive(Debug, Clone)]
struct Guests {
    info: ProviderInfo,
    known: Vec<(ComponentId, String)>,
}

impl Guests {
    fn of(known: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let known = known.into_iter();
        Self {
            info: ProviderInfo::new("guests", "1"),
            known: known.map(|(name, uuid)| (name.into(), uuid)).collect(),
        }
    }
}

impl Provider for Guests {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none().with_inventory(Arc::new(self.clone()))
    }
}

#[async_trait]
impl InventorySource for Guests {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let sightings = self.known.iter().map(|(name, uuid)| {
            Sighting::new(name.clone(), ComponentKind::Guest, ctx.now())
                .with_identity(IdentityKind::BiosUuid, uuid)
        });
        Ok(Listing::of(sightings.collect()))
    }
}

async fn cluster(peer: &Peer) -> VsphereCluster {
    let vcenter = peer.connect().await;
    let cluster = vcenter.cluster_named(CLUSTER).await.unwrap();
    VsphereCluster::new(vcenter, cluster)
}

/// What pyVmomi reads, with each UUID as the system of its machine reads it, by another program's arithmetic.
fn read_back(peer: &Peer, python: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/witness/read_back.py");
    let read = Command::new(python)
        .args([script, peer.server()])
        .arg(peer.ca())
        .args([USER, CLUSTER])
        .env("VSPHERE_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    serde_json::from_slice(&read.stdout).unwrap()
}

#[tokio::test]
async fn a_guest_that_another_provider_lists_is_one_component() {
    let Some(peer) = Peer::start(2, 4) else {
        return;
    };
    let Some(python) = need(witness()) else {
        return;
    };
    let seen = read_back(&peer, &python);
    let uuid = |vm: &str| seen["vms"][vm]["uuid"].as_str().unwrap().to_owned();
    let guests = Guests::of([
        ("web-1", uuid("DC0_C0-vm0001")),
        ("alone", "5c241f42-a87f-fa60-6af6-a46351ced0eb".to_owned()),
    ]);
    let estate = Estate::named("dc").with(cluster(&peer).await).with(guests);
    let inventory = estate.discover().await.unwrap();
    let names: BTreeSet<&str> = inventory
        .components
        .keys()
        .map(ComponentId::as_str)
        .collect();
    assert!(!names.contains("web-1"), "{names:?}");
    let one = &inventory.components["DC0_C0-vm0001"];
    let by: Vec<&str> = one.seen_by.iter().map(|by| by.as_str()).collect();
    assert_eq!(by, ["guests", "vsphere"]);
    assert_eq!(inventory.components["alone"].seen_by.len(), 1);
    // Who runs where is as the vendor's own client says.
    for (vm, is) in seen["vms"].as_object().unwrap() {
        let host = is["host"].as_str().unwrap();
        let runs = Relation::new(vm.as_str(), RelationKind::RunsOn, host);
        assert!(inventory.relations.contains(&runs), "{runs:?}");
    }
    // Nobody is asked what is installed on a machine that is only seen.
    assert_eq!(inventory.gaps, []);
}

#[tokio::test]
async fn whom_hosts_rely_on_is_named_in_the_plan() {
    let Some(peer) = Peer::start(2, 4) else {
        return;
    };
    for host in ["DC0_C0_H0", "DC0_C0_H1"] {
        let around =
            json!({"host": host, "dns": ["10.0.0.2", "10.0.0.3"], "domain": "Example.org"});
        peer.tell("around", &around);
    }
    let dns = json!({"machine": "DC0_C0-vm0002", "hours": [], "address": "10.0.0.2", "guest": "dns-1.example.org"});
    peer.tell("snapshots", &dns);
    let image = json!({"cluster": CLUSTER, "version": "8.0.3-0.35.24280767", "compared": true});
    peer.tell("image", &image);
    let estate = Estate::named("dc").with(cluster(&peer).await);
    let inventory = estate.discover().await.unwrap();
    let by = |kind: RelationKind| -> Vec<(String, String)> {
        let all = inventory.relations.iter().filter(|r| r.kind == kind);
        all.map(|r| (r.from.to_string(), r.to.to_string()))
            .collect()
    };
    let pairs = |to: &[&str]| -> Vec<(String, String)> {
        let hosts = ["DC0_C0_H0", "DC0_C0_H1"].into_iter();
        hosts
            .flat_map(|host| to.iter().map(move |to| (host.to_owned(), (*to).to_owned())))
            .collect()
    };
    // One name server is a machine of this vCenter, the other one is not.
    assert_eq!(
        by(RelationKind::ResolvesBy),
        pairs(&["10.0.0.3", "DC0_C0-vm0002"])
    );
    assert_eq!(by(RelationKind::AuthenticatesBy), pairs(&["example.org"]));
    assert_eq!(
        inventory.components["10.0.0.3"].kind,
        ComponentKind::RoleService
    );
    let policy = include_str!("../../../../examples/policies/hosts.toml");
    let policy = Policy::from_toml(policy, "hosts.toml").unwrap();
    let text = estate
        .plan(&policy)
        .requested_by("sam")
        .await
        .unwrap()
        .to_string();
    for said in [
        "DC0_C0_H0, DC0_C0_H1 rely on 10.0.0.3 for names, which no tool covers",
        "DC0_C0_H0, DC0_C0_H1 rely on DC0_C0-vm0002 for names, which no tool covers",
        "DC0_C0_H0, DC0_C0_H1 rely on example.org for logins, which no tool covers",
        "8 found = 2 planned + 6 not covered",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}
