//! The simulation with one behaviour of its tool changed.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use patchcore::{
    Estate, Journal, Policy, Result, Run,
    estate::Scan,
    id::ComponentId,
    provider::{
        Begun, DeployRequest, Deployer, DeployerCapabilities, Guarantee, Handle, HealthProbe,
        Located, Observed, Op, OpContext, Operations, PerComponent, Ports, Prepared, Provider,
        ProviderInfo, TargetLock, Undo,
    },
    sim::Sim,
};

use super::estate::{approved, plan};

/// What the tool does otherwise than the simulation, call by call.
#[async_trait]
pub(crate) trait Twist: Debug + Send + Sync + 'static {
    fn guarantee(&self, sim: &dyn Deployer, op: &Op<DeployRequest>) -> Guarantee {
        sim.guarantee(op)
    }

    async fn prepare(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        request: &DeployRequest,
    ) -> Result<Prepared> {
        sim.prepare(ctx, request).await
    }

    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        sim.begin(ctx, op).await
    }

    async fn locate(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Located> {
        sim.locate(ctx, op).await
    }

    async fn observe(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        sim.observe(ctx, op, handle).await
    }

    async fn scan(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        sim.scan(ctx, components).await
    }
}

#[derive(Debug)]
struct Twisted<T>(Arc<dyn Deployer>, Arc<T>);

#[async_trait]
impl<T: Twist> Operations<DeployRequest> for Twisted<T> {
    fn guarantee(&self, op: &Op<DeployRequest>) -> Guarantee {
        self.1.guarantee(&*self.0, op)
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        self.0.undo(op)
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        self.1.prepare(&*self.0, ctx, request).await
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        self.1.begin(&*self.0, ctx, op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        self.1.locate(&*self.0, ctx, op).await
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        self.1.observe(&*self.0, ctx, op, handle).await
    }
}

#[async_trait]
impl<T: Twist> Deployer for Twisted<T> {
    fn capabilities(&self) -> DeployerCapabilities {
        self.0.capabilities()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        self.1.scan(&*self.0, ctx, components).await
    }
}

#[derive(Debug)]
struct Wrapped(ProviderInfo, Ports);

impl Provider for Wrapped {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn ports(&self) -> Ports {
        self.1.clone()
    }
}

/// The simulated estate with a twisted tool.
pub(crate) fn estate<T: Twist>(sim: &Sim, twist: &Arc<T>) -> Estate {
    twisted(sim, &sim.provider(), twist)
}

/// One whose targets keep locks.
pub(crate) fn locked_estate<T: Twist>(sim: &Sim, twist: &Arc<T>) -> Estate {
    twisted(sim, &sim.provider().with_target_locks(), twist)
}

fn twisted<T: Twist>(sim: &Sim, provider: &dyn Provider, twist: &Arc<T>) -> Estate {
    let ports = provider.ports();
    let twisted = Twisted(ports.deployer.clone().unwrap(), Arc::clone(twist));
    let wrapped = Wrapped(
        provider.info().clone(),
        ports.with_deployer(Arc::new(twisted)),
    );
    Estate::named("test")
        .with(wrapped)
        .with_clock(sim.shared_clock())
}

/// The simulated estate with another probe.
pub(crate) fn with_probe(sim: &Sim, probe: Arc<dyn HealthProbe>) -> Estate {
    let provider = sim.provider();
    let ports = provider.ports().with_probe(probe);
    Estate::named("test")
        .with(Wrapped(provider.info().clone(), ports))
        .with_clock(sim.shared_clock())
}

/// One whose targets keep their locks otherwise.
pub(crate) fn with_lock(sim: &Sim, lock: Arc<dyn TargetLock>) -> Estate {
    let provider = sim.provider().with_target_locks();
    let ports = provider.ports().with_lock(lock);
    Estate::named("test")
        .with(Wrapped(provider.info().clone(), ports))
        .with_clock(sim.shared_clock())
}

/// A run of it.
pub(crate) async fn started<T: Twist>(
    sim: &Sim,
    twist: &Arc<T>,
    policy: &Policy,
    journal: &Journal,
) -> Run {
    let estate = estate(sim, twist);
    let plan = plan(&estate, policy, journal).await;
    estate.run(approved(&estate, plan), journal).await.unwrap()
}
