//! The provider of the example `own_provider` is held to the same suites as every other.

#[path = "../examples/own_provider.rs"]
#[expect(
    dead_code,
    reason = "only the provider and its tool are used here, not the program around them"
)]
mod own_provider;

use std::sync::Arc;

use async_trait::async_trait;
use own_provider::{FlashTool, LoadBalancers};
use patchcore::{
    Result,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, Provider, ProviderInfo, Simple},
    sim::VirtualClock,
};
use patchcore_testkit::{Fixture, Made, NoFixture, Seen, Stock, Trouble, conformance};
use serde_json::json;

/// The tool itself is the way past the provider: what it says of a load balancer is the truth here.
#[derive(Debug)]
struct Outside {
    clock: VirtualClock,
    tool: FlashTool,
}

#[async_trait]
impl Fixture for Outside {
    fn clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    fn stock(&self) -> Stock {
        let change = PatchChange {
            patch: "lb-os".into(),
            from: Some("7.4.1".into()),
            to: Some("7.4.2".into()),
            pin: Pin::Version,
        };
        let changes = ["lb-1", "lb-2"].map(|name| Change::new(name, vec![change.clone()]));
        Stock::of(changes.to_vec(), "7.3.9")
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let info = ProviderInfo::new("flash-tool", "1");
        Ok(Arc::new(Simple::new(
            info,
            LoadBalancers(self.tool.clone()),
        )))
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        let versions = [("lb-os".into(), self.tool.version(component)?)].into();
        let flashed = self.tool.shelf().get(component).map(|there| there.flashed);
        Ok(Seen {
            versions,
            trace: json!({ "flashed": flashed }),
        })
    }

    async fn meddle(&self, component: &ComponentId, _: &PatchId, version: &Version) -> Result<()> {
        if let Some(there) = self.tool.shelf().get_mut(component) {
            there.version = version.clone();
        }
        Ok(())
    }

    async fn trouble(&self, _: &Trouble) -> Result<Made> {
        Ok(Made::CannotBeMade)
    }
}

async fn outside() -> std::result::Result<Outside, NoFixture> {
    let start = "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        patchcore::Error::new(patchcore::ErrorKind::InvalidInput, "no time").source_error(e)
    })?;
    Ok(Outside {
        clock: VirtualClock::starting(start),
        tool: FlashTool::default()
            .with("lb-1", "7.4.1")
            .with("lb-2", "7.4.1"),
    })
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
