//! Hosts and their image pass the suites that every inventory, source and deployer passes.

use std::sync::Arc;

use async_trait::async_trait;
use patchcore::{
    Result, SystemClock,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, Provider},
};
use patchcore_testkit::{
    Fixture, Made, NoFixture, Seen, Stock, Trouble, conformance, peers::Missing,
};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;

use crate::{
    conformance::{CLUSTER, host},
    peer::{PASSWORD, Peer},
};

/// What every host of the peer runs at first, and what its image is then.
pub(crate) const OLD: &str = "8.0.2-22380479";
pub(crate) const NEW: &str = "8.0.3-24280767";
pub(crate) const NEW_IMAGE: &str = "8.0.3-0.35.24280767";

/// The peer as the outside: two hosts in maintenance mode with nothing on them, and a new image.
#[derive(Debug)]
struct Outside(Peer);

async fn outside() -> Result<Outside, NoFixture> {
    let Some(peer) = Peer::start(3, 0) else {
        return Err(NoFixture::PeerMissing(Missing::new(
            "vcpeer",
            "cargo xtask test peers",
        )));
    };
    quick(&peer);
    commit(&peer, NEW_IMAGE);
    close(&peer, 0);
    close(&peer, 1);
    Ok(Outside(peer))
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);

/// Hosts are back a moment after they restart.
pub(crate) fn quick(peer: &Peer) {
    peer.tell(
        "settings",
        &json!({"reboot_lag_ms": 100, "reboot_down_ms": 200}),
    );
}

/// Commits an image, and compares every host to it.
pub(crate) fn commit(peer: &Peer, version: &str) {
    let image = json!({"cluster": CLUSTER, "version": version, "compared": true});
    peer.tell("image", &image);
}

/// Puts a host into maintenance mode.
pub(crate) fn close(peer: &Peer, n: u32) {
    let closed = json!({"name": host(n).as_str(), "set": {"inMaintenanceMode": true}});
    peer.tell("host", &closed);
}

pub(crate) fn change(n: u32) -> Change {
    let patch = PatchChange {
        patch: "esxi".into(),
        from: Some(OLD.into()),
        to: Some(NEW.into()),
        pin: Pin::Version,
    };
    Change::new(host(n), vec![patch])
}

#[async_trait]
impl Fixture for Outside {
    fn clock(&self) -> SharedClock {
        Arc::new(SystemClock)
    }

    fn stock(&self) -> Stock {
        Stock::of(vec![change(0), change(1)], "8.0.1-21495797").with_secret(PASSWORD)
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let vcenter = self.0.connect().await;
        let cluster = vcenter.cluster_named(CLUSTER).await?;
        Ok(Arc::new(VsphereCluster::new(vcenter, cluster)))
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        let truth = self.0.ask("truth");
        let host = &truth["hosts"][component.as_str()];
        let said = |what: &str| host[what].as_str().unwrap_or_default().to_owned();
        let version = format!("{}-{}", said("version"), said("build"));
        Ok(Seen {
            versions: [("esxi".into(), version.into())].into(),
            trace: truth,
        })
    }

    async fn meddle(&self, component: &ComponentId, _: &PatchId, version: &Version) -> Result<()> {
        let (release, build) = version.as_str().split_once('-').unwrap_or_default();
        let set = json!({"version": release, "build": build});
        self.0
            .tell("host", &json!({"name": component.as_str(), "set": set}));
        Ok(())
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        let image = match trouble {
            Trouble::ToolLies(host) => json!({"sabotage": {host.as_str(): {"lies": true}}}),
            Trouble::LockTaken(_) => json!({"busy": "maria"}),
            Trouble::LockGivenBack(_) => json!({"busy": ""}),
            _ => return Ok(Made::CannotBeMade),
        };
        let mut image = image;
        image["cluster"] = CLUSTER.into();
        self.0.tell("image", &image);
        Ok(Made::Yes)
    }
}
