//! A tool that answers scans from its memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use patchcore::{
    Estate, Journal, Result,
    estate::Scan,
    execute::kernel::{End, Phase},
    id::ComponentId,
    provider::{
        Begun, DeployRequest, Deployer, DeployerCapabilities, Guarantee, Handle, Located, Observed,
        Op, OpContext, Operations, PerComponent, Ports, Prepared, Provider, ProviderInfo, Undo,
    },
};

use super::estate::{approved, plan, policy, sim, told};

/// The simulation, whose scans are remembered for ever.
#[derive(Debug)]
struct Forgetless {
    inner: Arc<dyn Deployer>,
    seen: Mutex<BTreeMap<ComponentId, Scan>>,
}

#[async_trait::async_trait]
impl Operations<DeployRequest> for Forgetless {
    fn guarantee(&self, op: &Op<DeployRequest>) -> Guarantee {
        self.inner.guarantee(op)
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        self.inner.undo(op)
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        self.inner.prepare(ctx, request).await
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        self.inner.begin(ctx, op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        self.inner.locate(ctx, op).await
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        self.inner.observe(ctx, op, handle).await
    }
}

#[async_trait::async_trait]
impl Deployer for Forgetless {
    fn capabilities(&self) -> DeployerCapabilities {
        self.inner.capabilities()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let mut answers = self.inner.scan(ctx, components).await?;
        let mut seen = self.seen.lock().unwrap();
        for (component, answer) in &mut answers {
            if let Ok(scan) = answer {
                let first = seen
                    .entry(component.clone())
                    .or_insert_with(|| scan.clone());
                // The versions are right, so that only their age can give it away.
                scan.at = first.at;
            }
        }
        Ok(answers)
    }
}

#[derive(Debug)]
struct FromMemory(ProviderInfo, Ports);

impl Provider for FromMemory {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn ports(&self) -> Ports {
        self.1.clone()
    }
}

#[tokio::test]
async fn a_scan_that_is_older_than_the_effect_proves_nothing() {
    let sim = sim();
    let provider = sim.provider();
    let ports = provider.ports();
    let inner = ports.deployer.clone().unwrap();
    let deployer = Forgetless {
        inner,
        seen: Mutex::default(),
    };
    let memory = FromMemory(
        provider.info().clone(),
        ports.with_deployer(Arc::new(deployer)),
    );
    let estate = Estate::named("test")
        .with(memory)
        .with_clock(sim.shared_clock());
    let journal = Journal::in_memory().unwrap();
    // What is remembered is of before the run, also where planning and running are one moment.
    let plan = plan(&estate, &policy(&[]), &journal).await;
    sim.clock()
        .advance_to(super::estate::start() + std::time::Duration::from_secs(60));
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    let state = &story.components["t-1"];
    let lines = told(&run).await;
    assert_ne!(state.phase, Phase::Ended(End::Done), "{lines:#?}");
    assert!(
        lines.iter().any(|l| l.contains("older than the step")),
        "{lines:#?}"
    );
}
