//! The short way passes the same suites as the full one, with either answer to its one question.

use std::time::Duration;

use patchcore_testkit::{NoFixture, conformance, reference::Reference};

mod stops_by_itself {
    use super::*;

    async fn outside() -> Result<Reference, NoFixture> {
        Ok(Reference::simple(Some(Duration::from_secs(60))))
    }

    conformance!(inventory, outside);
    conformance!(source, outside);
    conformance!(deployer, outside);
}

mod nobody_knows {
    use super::*;

    async fn outside() -> Result<Reference, NoFixture> {
        Ok(Reference::simple(None))
    }

    conformance!(deployer, outside);
}
