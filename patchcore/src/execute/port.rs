//! A port as [`ensure`](super::ensure) sees it: its calls, and how a request of it is journaled.

use std::sync::Arc;

use crate::{
    id::ProviderName,
    provider::{
        Bracket, BracketRequest, ClusterDrainer, DeployRequest, Deployer, DrainRequest, Operations,
        PortCall, PortRequest,
    },
};

/// One port of one provider.
pub(super) struct Port<R: PortRequest> {
    pub(super) calls: Arc<dyn Operations<R>>,
    call: Box<dyn Fn(R) -> PortCall + Send + Sync>,
}

impl<R: PortRequest> Port<R> {
    /// A request of this port as it is journaled.
    pub(super) fn call(&self, request: R) -> PortCall {
        (self.call)(request)
    }
}

impl Port<DeployRequest> {
    /// That of a component's own tool.
    pub(super) fn deploy(port: Arc<dyn Deployer>) -> Self {
        Self {
            calls: port,
            call: Box::new(PortCall::Deploy),
        }
    }
}

impl Port<BracketRequest> {
    /// That of a provider of brackets.
    pub(super) fn bracket(by: ProviderName, port: Arc<dyn Bracket>) -> Self {
        Self {
            calls: port,
            call: Box::new(move |request| PortCall::Bracket {
                by: by.clone(),
                request,
            }),
        }
    }
}

impl Port<DrainRequest> {
    /// That of what drains a cluster.
    pub(super) fn drain(by: ProviderName, port: Arc<dyn ClusterDrainer>) -> Self {
        Self {
            calls: port,
            call: Box::new(move |request| PortCall::Drain {
                by: by.clone(),
                request,
            }),
        }
    }
}
