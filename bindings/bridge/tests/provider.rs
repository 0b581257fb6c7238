//! A foreign provider of one appliance, the short way, through the ports of the core.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, SystemClock, Timestamp,
    estate::{ComponentKind, Patch, PatchChange, PatchClass, Sighting},
    id::{ComponentId, OpKey, RunId},
    provider::{
        Baseline, Begun, CancelToken, Change, DeployRequest, Installed, Op, OpContext, Ports,
        Provider, ProviderInfo, Simple,
    },
};
use patchcore_bridge::provider::{Foreign, ForeignProvider};

#[derive(Debug, Clone, Default)]
struct Rack {
    listed: Arc<AtomicU32>,
    scanned: Arc<AtomicU32>,
    raises: Option<ErrorKind>,
}

#[async_trait]
impl ForeignProvider for Rack {
    fn quiet_after(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn patch_class(&self) -> PatchClass {
        PatchClass::Bugfix
    }

    async fn components(&self, now: Timestamp) -> Result<Vec<Sighting>> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        Ok(vec![
            Sighting::new("lb-1", ComponentKind::Appliance, now).with_address("10.0.0.7"),
        ])
    }

    async fn available(&self, component: Sighting) -> Result<Vec<Patch>> {
        assert_eq!(component.address.as_deref(), Some("10.0.0.7"));
        let newest = |name, class| Patch::new(name, None, "2", class);
        Ok(vec![
            newest("firmware", PatchClass::Security),
            newest("bios", PatchClass::Bugfix),
            newest("driver", PatchClass::Other),
        ])
    }

    async fn scan(&self, component: Sighting) -> Result<Installed> {
        assert_eq!(component.address.as_deref(), Some("10.0.0.7"));
        self.scanned.fetch_add(1, Ordering::SeqCst);
        Ok(Installed::running([("firmware", "1"), ("bios", "2")]))
    }

    async fn apply(&self, _component: Sighting, _change: PatchChange) -> Result<()> {
        match self.raises {
            Some(kind) => Err(Error::new(kind, "it stumbled")),
            None => Ok(()),
        }
    }
}

fn ports(rack: &Rack) -> Ports {
    Simple::new(ProviderInfo::new("rack", "0"), Foreign::new(rack.clone())).ports()
}

fn ctx() -> OpContext {
    OpContext::reading(Arc::new(SystemClock), Timestamp::MAX, CancelToken::new())
}

#[tokio::test]
async fn the_newest_version_alone_is_enough() {
    let rack = Rack::default();
    let (ports, lb) = (ports(&rack), [ComponentId::from("lb-1")]);
    ports.inventory.unwrap().list(&ctx()).await.unwrap();
    ports.deployer.unwrap().scan(&ctx(), &lb).await.unwrap();
    let offers = ports.source.unwrap().available(&ctx(), &lb).await.unwrap();
    let offers = &offers[&lb[0]].as_ref().unwrap().patches;
    let told: Vec<(&str, Option<&str>, PatchClass)> = offers
        .iter()
        .map(|p| (p.id.as_str(), p.from.as_ref().map(|v| v.as_str()), p.class))
        .collect();
    // What is in already is no offer, what is new comes from nothing, and what says no class is what its provider says.
    assert_eq!(
        told,
        [
            ("firmware", Some("1"), PatchClass::Security),
            ("driver", None, PatchClass::Bugfix)
        ]
    );
    // The scan of the same discovery is not made twice.
    assert_eq!(rack.scanned.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_process_that_takes_over_lists_by_itself() {
    let rack = Rack::default();
    let (ports, lb) = (ports(&rack), [ComponentId::from("lb-1"), "lb-2".into()]);
    let scans = ports.deployer.unwrap().scan(&ctx(), &lb).await.unwrap();
    assert!(scans[&lb[0]].is_ok());
    let missing = scans[&lb[1]].as_ref().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(rack.listed.load(Ordering::SeqCst) >= 1);
}

async fn begun(raises: ErrorKind) -> Result<Begun> {
    let rack = Rack {
        raises: Some(raises),
        ..Rack::default()
    };
    let patch = Patch::new("firmware", Some("1".into()), "2", PatchClass::Bugfix);
    let key = OpKey::of("journal", RunId(1), &"lb-1".into(), "apply", 1);
    let request = DeployRequest::Apply {
        changes: vec![Change::new("lb-1", vec![patch.change()])],
        staged: key.clone(),
    };
    let op = Op::new(key, request, Baseline::new(1, &()).unwrap());
    ports(&rack).deployer.unwrap().begin(&ctx(), &op).await
}

#[tokio::test]
async fn only_an_answer_of_the_tool_settles() {
    for unknown in [
        ErrorKind::Timeout,
        ErrorKind::Unreachable,
        ErrorKind::Cancelled,
        ErrorKind::Io,
        ErrorKind::ProviderFault,
    ] {
        assert_eq!(begun(unknown).await.unwrap_err().kind(), unknown);
    }
    for told in [
        ErrorKind::InstallFailed,
        ErrorKind::AuthzDenied,
        ErrorKind::Busy,
    ] {
        assert!(matches!(begun(told).await, Ok(Begun::Settled(_))), "{told}");
    }
}
