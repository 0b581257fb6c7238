//! The bracket of the example `own_bracket` is held to the same suite as every other.

#[path = "../examples/own_bracket.rs"]
#[expect(
    dead_code,
    reason = "only the provider and its pager are used here, not the program around them"
)]
mod own_bracket;

use std::sync::Arc;

use async_trait::async_trait;
use own_bracket::{OnCall, Pager};
use patchcore::{
    Error, ErrorKind, Result,
    clock::{Clock, SharedClock},
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{BracketKind, Change, Provider},
    sim::VirtualClock,
};
use patchcore_testkit::{Fixture, Made, NoFixture, Seen, Stock, Trouble, conformance};

/// The pager itself is the way past the provider.
#[derive(Debug)]
struct Outside {
    clock: VirtualClock,
    pager: Pager,
}

fn nothing_to_patch() -> Error {
    Error::new(ErrorKind::Unsupported, "nothing is patched by a pager")
}

#[async_trait]
impl Fixture for Outside {
    fn clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    fn stock(&self) -> Stock {
        let change = |name: &str| {
            let patch = PatchChange {
                patch: "nginx".into(),
                from: Some("1".into()),
                to: Some("2".into()),
                pin: Pin::Version,
            };
            Change::new(name, vec![patch])
        };
        Stock::of(vec![change("web-1"), change("web-2")], "0")
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(OnCall::new(self.pager.clone())))
    }

    async fn look(&self, _: &ComponentId) -> Result<Seen> {
        Err(nothing_to_patch())
    }

    async fn meddle(&self, _: &ComponentId, _: &PatchId, _: &Version) -> Result<()> {
        Err(nothing_to_patch())
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        let Trouble::BracketEnded(component) = trouble else {
            return Ok(Made::CannotBeMade);
        };
        let now = self.clock.now();
        self.pager.end("jon", now, |s| s.about == *component);
        Ok(Made::Yes)
    }

    async fn held(&self, component: &ComponentId, _: BracketKind) -> Result<usize> {
        let now = self.clock.now();
        let silences = self.pager.silences();
        let holding = silences
            .iter()
            .filter(|s| s.about == *component && s.holds(now));
        Ok(holding.count())
    }
}

async fn outside() -> Result<Outside, NoFixture> {
    let start = "2026-12-07T14:00:00Z".parse::<patchcore::Timestamp>();
    let start = start.map_err(|e| Error::new(ErrorKind::InvalidInput, e.to_string()))?;
    Ok(Outside {
        clock: VirtualClock::starting(start),
        pager: Pager::default(),
    })
}

conformance!(bracket, outside);
