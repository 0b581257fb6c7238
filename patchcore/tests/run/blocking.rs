//! A tool whose calls block their thread, as a foreign library's do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Estate, Journal, Result, SystemClock, Timestamp,
    clock::{AtWork, Clock},
    estate::{Patch, PatchClass, Scan},
    execute::kernel::{End, Phase},
    id::ComponentId,
    provider::{
        Begun, DeployRequest, Deployer, DeployerCapabilities, Guarantee, Handle, Located, Observed,
        Op, OpContext, Operations, PerComponent, PortRequest as _, Ports, Prepared, Provider,
        ProviderInfo, Undo,
    },
    sim::Sim,
};

use super::estate::{approved, plan, policy, told};

/// A gate that blocks whole threads.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opens: Condvar,
    within: Mutex<BTreeMap<String, usize>>,
}

impl Gate {
    fn pass(&self, call: &str) {
        *self
            .within
            .lock()
            .unwrap()
            .entry(call.to_owned())
            .or_default() += 1;
        let open = self.open.lock().unwrap();
        drop(self.opens.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opens.notify_all();
    }

    fn entered(&self, call: &str) -> usize {
        self.within.lock().unwrap().get(call).copied().unwrap_or(0)
    }
}

/// The simulation, one of whose calls blocks its thread for one component.
#[derive(Debug)]
struct Blocks {
    inner: Arc<dyn Deployer>,
    call: &'static str,
    component: ComponentId,
    gate: Arc<Gate>,
}

impl Blocks {
    fn pass(&self, call: &'static str, components: &[ComponentId]) {
        // Discovery asks for all at once, and is not what is looked at here.
        if call == self.call && components.contains(&self.component) && components.len() == 1 {
            self.gate.pass(call);
        }
    }
}

#[async_trait]
impl Operations<DeployRequest> for Blocks {
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
        self.pass(
            "begin",
            &op.request.subjects().into_iter().collect::<Vec<_>>(),
        );
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

#[async_trait]
impl Deployer for Blocks {
    fn capabilities(&self) -> DeployerCapabilities {
        self.inner.capabilities()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        self.pass("scan", components);
        self.inner.scan(ctx, components).await
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

/// Real time that goes faster. Virtual time would wait for whoever blocks, so that nothing could be seen.
#[derive(Debug, Clone, Copy)]
struct Hasty {
    began: Timestamp,
    haste: i32,
}

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.began + SystemClock.now().duration_since(self.began) * self.haste
    }

    async fn sleep_until(&self, until: Timestamp) {
        let real = self.began + until.duration_since(self.began) / self.haste;
        SystemClock.sleep_until(real).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.sleep_until(time).await;
    }

    fn at_work(&self) -> AtWork {
        AtWork::unobserved()
    }
}

struct Stage {
    run: patchcore::Run,
    gate: Arc<Gate>,
}

impl Stage {
    /// A run of t-1, then w-1 and w-2 at once, with the call of one component blocked.
    async fn new(call: &'static str, component: &str, haste: i32) -> Self {
        let clock = Hasty {
            began: SystemClock.now(),
            haste,
        };
        let web = |g: patchcore::sim::GuestSpec| g.package("nginx", "1.0-1");
        let sim = Sim::starting(clock.now(), 3)
            .guest("t-1", |g| web(g).label("ring", "test"))
            .guests(["w-1", "w-2"], web)
            .publish(Patch::new("nginx", None, "1.1-1", PatchClass::Security));
        let provider = sim.provider();
        let gate = Arc::new(Gate::default());
        let ports = provider.ports();
        let blocks = Blocks {
            inner: ports.deployer.clone().unwrap(),
            call,
            component: component.into(),
            gate: Arc::clone(&gate),
        };
        let wrapped = Wrapped(
            provider.info().clone(),
            ports.with_deployer(Arc::new(blocks)),
        );
        let estate = Estate::named("test")
            .with(wrapped)
            .with_clock(Arc::new(clock));
        let journal = Journal::in_memory().unwrap();
        let quick = policy(&[("soak = \"24h\"", "soak = \"1m\"")]);
        let plan = plan(&estate, &quick, &journal).await;
        let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
        Self { run, gate }
    }

    /// Waits until a component is so far.
    async fn until(&self, component: &str, so_far: impl Fn(Phase) -> bool) {
        for _ in 0..400 {
            if so_far(self.run.story().await.unwrap().components[component].phase) {
                return;
            }
            SystemClock
                .sleep_until(SystemClock.now() + Duration::from_millis(25))
                .await;
        }
        panic!(
            "{component} never came so far: {:#?}",
            self.run.story().await.unwrap().components
        );
    }
}

// On one thread: whoever blocked it would stop the test itself.
#[tokio::test]
async fn a_call_that_blocks_its_thread_holds_up_nobody_else() {
    let stage = Stage::new("begin", "w-1", 60).await;
    stage.until("w-2", |phase| phase == Phase::InService).await;
    assert_eq!(stage.gate.entered("begin"), 1);
    let why = stage.run.why("w-1").await.unwrap();
    assert!(why.contains("fetches its patches"), "{why}");
    // The run's own loop still listens.
    stage.run.pause("jon", "what is w-1 doing").await.unwrap();
    stage
        .run
        .unpause("jon", "its library blocks")
        .await
        .unwrap();
    stage.gate.open();
    stage
        .until("w-1", |phase| phase == Phase::Ended(End::Done))
        .await;
}

#[tokio::test]
async fn after_its_deadline_a_blocked_call_is_named_and_not_tried_again() {
    // The ten minutes that a scan may take are one second.
    let stage = Stage::new("scan", "w-1", 600).await;
    stage.until("w-2", |phase| phase == Phase::InService).await;
    stage
        .until("w-1", |phase| phase == Phase::Quarantined)
        .await;
    // Once to verify the patch and once to verify the way back; neither was repeated.
    assert_eq!(stage.gate.entered("scan"), 2);
    let lines = told(&stage.run).await.join("\n");
    for part in ["did not answer scan of w-1 within 600 s, since 2", " UTC"] {
        assert!(lines.contains(part), "{part:?} is not in {lines}");
    }
    stage.gate.open();
}
