//! The drainer passes the suite that every drainer passes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, SystemClock,
    clock::{Clock as _, SharedClock},
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{
        Change, ClusterSetting, ClusterView, EvidenceLabel, HostView, Provider, VmPower, VmView,
    },
};
use patchcore_testkit::{
    ClusterStock, ClusterTruth, Fixture, Made, NoFixture, Seen, Stock, Trouble, conformance,
    peers::Missing,
};
use patchcore_vsphere::VsphereCluster;
use serde_json::{Value, json};

use crate::peer::Peer;

/// The peer's only cluster.
pub(crate) const CLUSTER: &str = "DC0_C0";

/// The peer as the outside.
#[derive(Debug)]
struct Outside(Peer);

async fn outside() -> Result<Outside, NoFixture> {
    match Peer::start(3, 1) {
        Some(peer) => Ok(Outside(peer)),
        None => Err(NoFixture::PeerMissing(Missing::new(
            "vcpeer",
            "cargo xtask test peers",
        ))),
    }
}

conformance!(drainer, outside);

pub(crate) fn host(n: u32) -> ComponentId {
    format!("{CLUSTER}_H{n}").into()
}

pub(crate) fn machine(n: u32) -> ComponentId {
    format!("{CLUSTER}-vm{n:04}").into()
}

#[async_trait]
impl Fixture for Outside {
    fn clock(&self) -> SharedClock {
        Arc::new(SystemClock)
    }

    /// The port has no patches; its one change is never tried.
    fn stock(&self) -> Stock {
        let none = PatchChange {
            patch: "none".into(),
            from: Some("1".into()),
            to: Some("2".into()),
            pin: Pin::Version,
        };
        Stock::of(vec![Change::new(machine(0), vec![none])], "0")
    }

    /// A machine's own system is shut down by the simulator; all else that changes anything is the program's.
    fn evidence(&self, verb: &str) -> EvidenceLabel {
        match verb {
            "shut_down" => EvidenceLabel::IndependentPeer,
            _ => EvidenceLabel::OwnFake,
        }
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let vcenter = self.0.connect().await;
        let cluster = vcenter.cluster_named(CLUSTER).await?;
        Ok(Arc::new(VsphereCluster::new(vcenter, cluster)))
    }

    async fn look(&self, _: &ComponentId) -> Result<Seen> {
        Ok(Seen {
            versions: [("none".into(), "1".into())].into(),
            trace: self.0.ask("truth"),
        })
    }

    async fn meddle(&self, _: &ComponentId, _: &PatchId, _: &Version) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "there is nothing to patch",
        ))
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        match trouble {
            Trouble::VmMoved(vm, to) => {
                let what = json!({"name": vm.as_str(), "host": to.as_str()});
                self.0.tell("machine", &what);
            }
            Trouble::SettingChanged(cluster, ClusterSetting::Placement) => {
                let what = json!({"name": cluster.as_str(), "drs": "manual"});
                self.0.tell("cluster", &what);
            }
            _ => return Ok(Made::CannotBeMade),
        }
        Ok(Made::Yes)
    }

    fn cluster(&self) -> Option<ClusterStock> {
        Some(ClusterStock {
            cluster: CLUSTER.into(),
            vm: machine(0),
            from: host(0),
            to: host(1),
            third: host(2),
            // A migration takes a tenth of a second here.
            longest: Duration::from_secs(2),
        })
    }

    async fn cluster_truth(&self) -> Result<ClusterTruth> {
        Ok(truth(&self.0))
    }
}

/// How the cluster is, past the API.
pub(crate) fn truth(peer: &Peer) -> ClusterTruth {
    let told = peer.ask("truth");
    let each = |of: &str| told[of].as_object().unwrap().clone().into_iter();
    let number = |value: &Value| value.as_u64().unwrap();
    let hosts = each("hosts").map(|(name, host)| {
        let view = HostView {
            responds: host["responds"].as_bool().unwrap(),
            maintenance: host["maintenance"].as_bool().unwrap(),
        };
        (name.into(), view)
    });
    let vms = each("vms").map(|(name, vm)| {
        let power = match vm["power"].as_str().unwrap() {
            "poweredOn" => VmPower::On,
            "suspended" => VmPower::Suspended,
            _ => VmPower::Off,
        };
        let memory = number(&vm["memory_mib"]);
        let cpu = match power {
            VmPower::On => number(&vm["demand_mhz"]),
            _ => number(&vm["cpus"]) * 2400,
        };
        let view = VmView {
            host: vm["host"].as_str().unwrap().into(),
            power,
            moving_to: None,
            demand: vec![memory, cpu],
            mem_mib: memory,
        };
        (name.into(), view)
    });
    let cluster = &told["clusters"][CLUSTER];
    let is = |what: &str| cluster[what].as_bool().unwrap();
    let drs = cluster["drs"].as_str().unwrap();
    let placement = match (is("drs_on"), is("overrides")) {
        (false, _) => "off".to_owned(),
        (true, true) => drs.to_owned(),
        (true, false) => format!("{drs} without overrides"),
    };
    let admission = match (is("ha_on"), is("admission")) {
        (false, _) => "off",
        (true, true) => "enabled",
        (true, false) => "disabled",
    };
    ClusterTruth {
        view: ClusterView {
            at: SystemClock.now(),
            resources: vec!["memory_mib".to_owned(), "cpu_mhz".to_owned()],
            hosts: hosts.collect(),
            vms: vms.collect(),
        },
        settings: BTreeMap::from([
            (ClusterSetting::Placement, placement),
            (ClusterSetting::Admission, admission.to_owned()),
        ]),
    }
}
