//! The reference provider passes every suite: without that, a planted fault proves nothing.

use patchcore_testkit::{NoFixture, conformance, reference::Reference};

async fn outside() -> Result<Reference, NoFixture> {
    Ok(Reference::new())
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
conformance!(probe, outside);
conformance!(lock, outside);
conformance!(bracket, outside);
conformance!(drainer, outside);
