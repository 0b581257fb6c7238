//! What the engine waits for, and for how long: a call that takes its time, one that fails for a while, one that fails
//! for ever, and a service that needs a moment.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Journal, Result, Run, Timestamp,
    estate::Scan,
    execute::kernel::{ComponentEvent, ComponentState, End, Event, Phase},
    id::ComponentId,
    provider::{
        Begun, Blocker, Claim, DeployRequest, Deployer, Guarantee, Handle, HealthProbe, Held,
        Located, Observed, Op, OpContext, PerComponent, Prepared, ProbeAnswer, ProbeRequest,
        ProbeVerdict, Provider as _, Readiness, Taken, TargetLock,
    },
};

use super::{
    estate::{approved, plan, policy, sim, start, told},
    twist::{self, Twist},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const FOR_EVER: Duration = Duration::from_secs(1000 * 3600);

/// Longer than any pause between two tries, and than giving back and restarting take.
const SLACK: Duration = Duration::from_secs(4 * 60);

/// What happens to one call for applying to t-1, or for scanning it, from its first time on.
#[derive(Debug)]
struct Hinders {
    call: &'static str,
    how: How,
    for_: Duration,
    since: Mutex<Option<Timestamp>>,
    times: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It takes so long, once.
    Slow,
    /// It fails, and may pass.
    Passes,
    /// It fails, and will not pass.
    Stays,
    /// It is answered from before the run.
    Old,
    /// It is in the way, and nobody says what.
    NoReason,
    /// What is observed is lost.
    Loses,
    /// The same, once.
    LosesOnce,
}

impl Hinders {
    fn new(call: &'static str, how: How, for_: Duration) -> Arc<Self> {
        let (since, times) = (Mutex::default(), AtomicU32::new(0));
        Arc::new(Self {
            call,
            how,
            for_,
            since,
            times,
        })
    }

    async fn hinders(&self, ctx: &OpContext, call: &str) -> Result<bool> {
        if call != self.call {
            return Ok(false);
        }
        let now = ctx.now();
        let first = self.times.fetch_add(1, Ordering::SeqCst) == 0;
        let since = *self.since.lock().unwrap().get_or_insert(now);
        if self.how == How::Slow {
            if first {
                ctx.sleep(self.for_).await;
            }
            return Ok(false);
        }
        if now >= since + self.for_ {
            return Ok(false);
        }
        let error = Error::new(ErrorKind::Unreachable, "its console does not answer");
        match self.how {
            How::Passes => Err(error.retryable(None)),
            How::Stays => Err(error),
            How::LosesOnce => Ok(first),
            _ => Ok(true),
        }
    }

    /// From the first time of the call.
    fn took(&self, state: &ComponentState) -> Duration {
        let since = self.since.lock().unwrap().unwrap();
        Duration::try_from(state.since.unwrap().duration_since(since)).unwrap()
    }
}

fn applies(request: &DeployRequest) -> bool {
    matches!(request, DeployRequest::Apply { changes, .. } if changes[0].component == "t-1")
}

#[async_trait]
impl Twist for Hinders {
    fn guarantee(&self, sim: &dyn Deployer, op: &Op<DeployRequest>) -> Guarantee {
        match sim.guarantee(op) {
            // A keyed target is not located before it is begun.
            Guarantee::Keyed { memory } if self.call == "locate" => Guarantee::Locatable {
                consistency_delay: Duration::ZERO,
                memory,
            },
            promise => promise,
        }
    }

    async fn prepare(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        request: &DeployRequest,
    ) -> Result<Prepared> {
        let mut prepared = sim.prepare(ctx, request).await?;
        if applies(request) {
            let blockers = match self.hinders(ctx, "blocker").await {
                Ok(hinders) => hinders.then(Vec::new),
                Err(error) => Some(vec![Blocker::from_error(&error)]),
            };
            if let Some(blockers) = blockers {
                let blocked = Readiness::Blocked(blockers);
                prepared.subjects.insert("t-1".into(), blocked);
            }
            self.hinders(ctx, "prepare").await?;
        }
        Ok(prepared)
    }

    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        let begun = sim.begin(ctx, op).await;
        if applies(&op.request) {
            // What it took, it took, whatever it says.
            self.hinders(ctx, "begin").await?;
        }
        begun
    }

    async fn locate(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Located> {
        if applies(&op.request) {
            self.hinders(ctx, "locate").await?;
        }
        sim.locate(ctx, op).await
    }

    async fn observe(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        if applies(&op.request) && self.hinders(ctx, "observe").await? {
            let why = "its tool knows nothing of it".to_owned();
            return Ok(Observed::Lost { why });
        }
        sim.observe(ctx, op, handle).await
    }

    async fn scan(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        // Planning asks for all at once.
        let hinders = components == ["t-1"] && self.hinders(ctx, "scan").await?;
        let mut scans = sim.scan(ctx, components).await?;
        for scan in scans.values_mut().flatten().filter(|_| hinders) {
            scan.at = start() - HOUR;
        }
        Ok(scans)
    }
}

/// How t-1 stands when the run is over or waits, and what is told of it.
async fn stands(run: &Run) -> (ComponentState, String) {
    run.finished().await.unwrap();
    let state = run.story().await.unwrap().components["t-1"].clone();
    (state, told(run).await.join("\n"))
}

async fn hindered(hinders: &Arc<Hinders>) -> (ComponentState, String) {
    let (sim, journal) = (sim(), Journal::in_memory().unwrap());
    let run = twist::started(&sim, hinders, &policy(&[]), &journal).await;
    let (state, lines) = stands(&run).await;
    let installed = sim.history("t-1").unwrap();
    assert!(installed.times_installed("nginx", "1.1-1") <= 1, "{lines}");
    (state, lines)
}

#[tokio::test]
async fn what_takes_its_time_or_fails_for_a_while_is_waited_for() {
    use How::{LosesOnce, Old, Passes, Slow, Stays};
    for (call, how, for_) in [
        ("prepare", Slow, 9 * MINUTE),
        ("locate", Slow, 9 * MINUTE),
        ("begin", Slow, 5 * HOUR),
        ("observe", Slow, 9 * MINUTE),
        ("scan", Slow, 9 * MINUTE),
        ("blocker", Passes, 25 * MINUTE),
        ("prepare", Passes, 25 * MINUTE),
        ("locate", Passes, HOUR + 50 * MINUTE),
        // It took it all the same, and is found again.
        ("begin", Passes, MINUTE),
        ("begin", Stays, MINUTE),
        ("observe", Passes, HOUR + 50 * MINUTE),
        ("observe", LosesOnce, FOR_EVER),
        ("scan", Passes, 12 * MINUTE),
        ("scan", Old, 12 * MINUTE),
    ] {
        let hinders = Hinders::new(call, how, for_);
        let (state, lines) = hindered(&hinders).await;
        let case = format!("{call}, {how:?}: {lines}");
        assert_eq!(state.phase, Phase::Ended(End::Done), "{case}");
        assert!(hinders.times.load(Ordering::SeqCst) >= 1, "{case}");
    }
}

#[tokio::test]
async fn what_fails_for_ever_is_given_up_after_its_time_and_what_cannot_pass_at_once() {
    use How::{Loses, NoReason, Old, Passes, Stays};
    let (untouched, a_person) = (Phase::Ended(End::Untouched), Phase::Quarantined);
    for (call, how, after, phase) in [
        ("blocker", Passes, 30 * MINUTE, untouched),
        ("blocker", Stays, Duration::ZERO, untouched),
        ("blocker", NoReason, Duration::ZERO, untouched),
        ("prepare", Passes, 30 * MINUTE, untouched),
        ("prepare", Stays, Duration::ZERO, untouched),
        ("locate", Passes, 2 * HOUR, untouched),
        ("locate", Stays, Duration::ZERO, untouched),
        ("observe", Passes, 2 * HOUR, a_person),
        ("observe", Stays, Duration::ZERO, a_person),
        ("observe", Loses, Duration::ZERO, a_person),
        // Once to verify the patch, and once the way back.
        ("scan", Passes, 30 * MINUTE, a_person),
        ("scan", Stays, Duration::ZERO, a_person),
        ("scan", Old, 30 * MINUTE, a_person),
    ] {
        let hinders = Hinders::new(call, how, FOR_EVER);
        let (state, lines) = hindered(&hinders).await;
        let case = format!("{call}, {how:?}: {lines}");
        assert_eq!(state.phase, phase, "{case}");
        let took = hinders.took(&state);
        assert!(took >= after && took <= after + SLACK, "{took:?}: {case}");
        let failed = state.counts_as_failed() || phase == a_person;
        assert!(failed, "it counts as none that failed: {case}");
        if call == "blocker" {
            let said = state.failures[0].message.ends_with(", also after 30 min");
            assert_eq!(said, how == Passes, "{:?}", state.failures);
        }
    }
}

/// A service that is healthy at some times after its first check.
#[derive(Debug)]
struct Healthy {
    at: fn(Duration) -> bool,
    since: Mutex<Option<Timestamp>>,
}

#[async_trait]
impl HealthProbe for Healthy {
    fn kinds(&self) -> &'static [&'static str] {
        &["http"]
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let now = ctx.now();
        let since = *self.since.lock().unwrap().get_or_insert(now);
        let age = Duration::try_from(now.duration_since(since)).unwrap();
        let healthy = request.component != "t-1" || (self.at)(age);
        Ok(ProbeAnswer {
            verdict: if healthy {
                ProbeVerdict::Healthy
            } else {
                ProbeVerdict::Unhealthy
            },
            saw: format!("http after {age:?}"),
        })
    }
}

/// Its check may take five minutes, and must be healthy for one without a break.
async fn checked(at: fn(Duration) -> bool) -> (ComponentState, Duration, String) {
    let since = Mutex::default();
    let probe = Arc::new(Healthy { at, since });
    let (sim, journal) = (sim(), Journal::in_memory().unwrap());
    let estate = twist::with_probe(&sim, probe.clone());
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    let mut events = run.events();
    let mut over = None;
    while let Some(event) = events.next().await {
        if event.component.is_some_and(|c| c == "t-1")
            && event.event.to_string().contains("http after")
        {
            over = over.or(Some(event.at));
        }
    }
    let (state, lines) = stands(&run).await;
    let since = probe.since.lock().unwrap().unwrap();
    let took = Duration::try_from(over.unwrap().duration_since(since)).unwrap();
    (state, took, lines)
}

#[tokio::test]
async fn a_service_has_its_time_to_become_healthy_and_must_stay_so() {
    let second = Duration::from_secs;
    for (at, seconds, good) in [
        ((|_| true) as fn(Duration) -> bool, 60, true),
        (|age| age >= 2 * MINUTE, 180, true),
        // What is healthy when its time ends may finish.
        (|age| age >= 5 * MINUTE - Duration::from_secs(10), 350, true),
        (|age| age != Duration::from_secs(30), 95, true),
        (|age| age > 20 * MINUTE, 300, false),
    ] {
        let (state, took, lines) = checked(at).await;
        assert_eq!(took, second(seconds), "{lines}");
        assert_eq!(state.phase == Phase::Ended(End::Done), good, "{lines}");
    }
}

/// A target that does not take its lock back at first.
#[derive(Debug)]
struct KeepsItsLock(Arc<dyn TargetLock>, Arc<Hinders>);

#[async_trait]
impl TargetLock for KeepsItsLock {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        self.0.take(ctx, component, claim).await
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        if component == "t-1" {
            self.1.hinders(ctx, "give_back").await?;
        }
        self.0.give_back(ctx, component, fence).await
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        self.0.look(ctx, component).await
    }
}

#[tokio::test]
async fn a_lock_that_is_not_taken_back_is_tried_again_and_then_left_to_lapse() {
    for (how, for_, after, is_left) in [
        (How::Passes, 4 * MINUTE, 4 * MINUTE, false),
        (How::Passes, FOR_EVER, 5 * MINUTE, true),
        (How::Stays, FOR_EVER, Duration::ZERO, true),
    ] {
        let hinders = Hinders::new("give_back", how, for_);
        let (sim, journal) = (sim(), Journal::in_memory().unwrap());
        let locks = sim.provider().with_target_locks().ports().lock.unwrap();
        let lock = KeepsItsLock(locks, Arc::clone(&hinders));
        let estate = twist::with_lock(&sim, Arc::new(lock));
        let plan = plan(&estate, &policy(&[]), &journal).await;
        let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
        run.finished().await.unwrap();
        let mut events = run.events();
        let (at, lapses) = loop {
            let told = events.next().await.unwrap();
            if let Event::Component(ComponentEvent::Unlocked { lapses, .. }) = told.event
                && told.component.is_some_and(|c| c == "t-1")
            {
                break (told.at, lapses);
            }
        };
        let since = hinders.since.lock().unwrap().unwrap();
        let took = Duration::try_from(at.duration_since(since)).unwrap();
        assert!(
            took >= after && took <= after + 2 * MINUTE,
            "{how:?}: {took:?}"
        );
        assert_eq!(lapses.is_some(), is_left, "{how:?}: {lapses:?}");
    }
}
