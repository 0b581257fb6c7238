//! The provider of the example `own_provider_full` is held to the same suites as every other.

#[path = "../examples/own_provider_full/provider.rs"]
mod provider;
#[path = "../examples/own_provider_full/rack.rs"]
mod rack;

use std::sync::Arc;

use async_trait::async_trait;
use patchcore::{
    Result,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, Provider},
    sim::VirtualClock,
};
use patchcore_testkit::{Fixture, Made, NoFixture, Seen, Stock, Trouble, conformance};
use serde_json::json;

use provider::Appliances;
use rack::Rack;

/// The appliances themselves are the way past the provider.
#[derive(Debug)]
struct Outside {
    clock: VirtualClock,
    rack: Rack,
}

#[async_trait]
impl Fixture for Outside {
    fn clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    fn stock(&self) -> Stock {
        let change = |name: &str, to: &str| {
            let patch = PatchChange {
                patch: "lb-os".into(),
                from: Some("7.4.1".into()),
                to: Some(to.into()),
                pin: Pin::Version,
            };
            Change::new(name, vec![patch])
        };
        let changes = vec![change("lb-1", "7.4.2"), change("lb-2", "7.4.2")];
        Stock::of(changes, "7.3.9").with_bad(change("lb-2", "7.5.0"), "lb-os")
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(Appliances::new(self.rack.clone())))
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        let appliance = self.rack.appliance(component)?;
        Ok(Seen {
            versions: [("lb-os".into(), appliance.running)].into(),
            trace: json!({ "flashed": appliance.flashed }),
        })
    }

    async fn meddle(&self, component: &ComponentId, _: &PatchId, version: &Version) -> Result<()> {
        if let Some(there) = self.rack.state().appliances.get_mut(component) {
            there.running = version.clone();
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
    let clock = VirtualClock::starting(start);
    let rack = Rack::new(&clock)
        .with("lb-1", "7.4.1", None)
        .with("lb-2", "7.4.1", Some("7.5.0"));
    Ok(Outside { clock, rack })
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
