//! A tool that panics ends its call and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use patchcore::{
    Journal, Result,
    estate::Scan,
    execute::kernel::{End, Phase},
    id::ComponentId,
    provider::{
        Begun, DeployRequest, Deployer, HealthProbe, Op, OpContext, PerComponent, ProbeAnswer,
        ProbeRequest,
    },
};

use super::{
    estate::{approved, plan, policy, sim, told},
    twist::{self, Twist},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Begin,
    Scan,
}

#[derive(Debug)]
struct Panics(Within, AtomicBool);

impl Panics {
    fn here(&self, within: Within) {
        if within == self.0 && !self.1.swap(true, Ordering::SeqCst) {
            panic!("a fault of the tool");
        }
    }
}

#[async_trait]
impl Twist for Panics {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        if matches!(op.request, DeployRequest::Apply { .. }) {
            self.here(Within::Begin);
        }
        sim.begin(ctx, op).await
    }

    async fn scan(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        // Discovery asks for all at once, and is not what is looked at here.
        if components.len() == 1 {
            self.here(Within::Scan);
        }
        sim.scan(ctx, components).await
    }
}

#[tokio::test]
async fn a_panic_in_a_call_is_told_and_the_run_goes_on() {
    for (within, ends) in [
        (Within::Begin, Phase::Quarantined),
        (Within::Scan, Phase::Ended(End::RolledBack)),
    ] {
        let sim = sim();
        let journal = Journal::in_memory().unwrap();
        let panics = Arc::new(Panics(within, AtomicBool::new(false)));
        let run = twist::started(&sim, &panics, &policy(&[]), &journal).await;
        run.finished().await.unwrap();
        let lines = told(&run).await.join("\n");
        let story = run.story().await.unwrap();
        assert_eq!(story.components["t-1"].phase, ends, "{within:?}: {lines}");
        assert!(lines.contains("a fault of the tool"), "{within:?}: {lines}");
    }
}

#[derive(Debug)]
struct PanickingProbe;

#[async_trait]
impl HealthProbe for PanickingProbe {
    fn kinds(&self) -> &'static [&'static str] {
        &["http", "command"]
    }

    async fn probe(&self, _: &OpContext, _: &ProbeRequest) -> Result<ProbeAnswer> {
        panic!("a fault of the probe");
    }
}

#[tokio::test]
async fn a_panic_in_a_check_is_that_checks_answer() {
    let sim = sim();
    let estate = twist::with_probe(&sim, Arc::new(PanickingProbe));
    let journal = Journal::in_memory().unwrap();
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    run.finished().await.unwrap();
    let lines = told(&run).await.join("\n");
    assert!(lines.contains("a fault of the probe"), "{lines}");
    let story = run.story().await.unwrap();
    let failures = &story.components["t-1"].failures;
    assert!(!failures.is_empty(), "{lines}");
}
