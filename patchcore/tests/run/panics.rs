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
        Begun, Claim, DeployRequest, Deployer, HealthProbe, Held, Op, OpContext, PerComponent,
        ProbeAnswer, ProbeRequest, Provider as _, Taken, TargetLock,
    },
};

use super::{
    estate::{ALL, approved, plan, policy, sim, told},
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

/// A lock that panics once, after it was taken.
#[derive(Debug)]
struct PanickingLock(Arc<dyn TargetLock>, AtomicBool);

#[async_trait]
impl TargetLock for PanickingLock {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let taken = self.0.take(ctx, component, claim).await;
        assert!(
            component != "t-1" || self.1.swap(true, Ordering::SeqCst),
            "a fault of the lock"
        );
        taken
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        self.0.give_back(ctx, component, fence).await
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        self.0.look(ctx, component).await
    }
}

#[tokio::test]
async fn a_lock_that_was_taken_in_a_panic_is_known_and_given_back() {
    let sim = sim();
    let locks = sim.provider().with_target_locks().ports().lock.unwrap();
    let lock = Arc::new(PanickingLock(locks, AtomicBool::new(false)));
    let estate = twist::with_lock(&sim, lock.clone());
    let journal = Journal::in_memory().unwrap();
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    run.finished().await.unwrap();
    assert!(lock.1.load(Ordering::SeqCst), "it never panicked");
    let lines = told(&run).await.join("\n");
    let story = run.story().await.unwrap();
    for name in ALL {
        assert_eq!(
            story.components[name].phase,
            Phase::Ended(End::Done),
            "{lines}"
        );
        assert_eq!(sim.world(|w| w.locked(&name.into())), None, "{lines}");
    }
}
