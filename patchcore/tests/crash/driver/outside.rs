//! The ports of the world as the driver reaches them, with everything that goes wrong on the way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    clock::Clock as _,
    estate::Scan,
    id::ComponentId,
    provider::{
        Begun, Claim, Deployer, DeployerCapabilities, Guarantee, Handle, HealthProbe, Held,
        Located, Observed, Op, OpContext, Operations, PerComponent, Ports, Prepared, ProbeAnswer,
        ProbeRequest, ProbeVerdict, Provider, ProviderInfo, Taken, TargetLock, Undo,
    },
};
use tokio::sync::mpsc;

use super::{
    happened,
    setup::{Call, Setup, Wish, Wrong},
    wall::Wall,
};
use crate::{
    brackets::Wanted,
    micro::start,
    world::{PATCH, Who, World, guarantee, subject},
};

/// What the ports say to whoever holds the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// The process dies now.
    Dies,
    /// So much was called that it will never end.
    Never,
    Wants(Wish),
}

/// The world with what goes wrong in it, over all lives.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) setup: Setup,
    world: Mutex<World>,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// Points passed over all lives.
    passed: usize,
    of_kind: BTreeMap<Call, u32>,
    /// By how many seconds the wall clock is wrong.
    off: i64,
}

/// So many points mean that it never ends.
const NEVER: usize = 60_000;

impl Outside {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            world: Mutex::new(setup.world()),
            setup,
            calls: Mutex::default(),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn off(&self) -> i64 {
        self.calls().off
    }

    pub(super) fn passed(&self) -> usize {
        self.calls().passed
    }
}

/// One process, as the world sees it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) outside: Arc<Outside>,
    pub(super) number: u64,
    pub(super) clock: Wall,
    life: Mutex<Passed>,
    signals: mpsc::UnboundedSender<Signal>,
    /// Every call that was set out.
    asked: Mutex<Vec<(Timestamp, Call)>>,
}

#[derive(Debug)]
struct Passed {
    passed: usize,
    dies_at: Option<usize>,
    dead: bool,
}

impl Process {
    pub(super) fn new(
        outside: &Arc<Outside>,
        clock: Wall,
        dies_at: Option<usize>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Signal>) {
        let (signals, heard) = mpsc::unbounded_channel();
        let number = {
            let mut world = outside.world();
            world.newest += 1;
            world.newest
        };
        let process = Self {
            outside: Arc::clone(outside),
            number,
            clock,
            life: Mutex::new(Passed {
                passed: 0,
                dies_at,
                dead: false,
            }),
            signals,
            asked: Mutex::default(),
        };
        (Arc::new(process), heard)
    }

    fn signal(&self, signal: Signal) {
        // Whoever held the run is gone, and all this with it.
        let _ = self.signals.send(signal);
    }

    /// Every call that was set out, and when.
    pub(super) fn asked(&self) -> Vec<(Timestamp, Call)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// One point: whoever is dead stays here.
    async fn pass(&self) {
        let dead = {
            let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
            if !life.dead && life.dies_at == Some(life.passed) {
                life.dead = true;
                self.signal(Signal::Dies);
            }
            life.passed += 1;
            life.dead
        };
        if dead {
            std::future::pending::<()>().await;
        }
        let mut calls = self.outside.calls();
        let nth = calls.passed;
        calls.passed += 1;
        if nth == NEVER {
            self.signal(Signal::Never);
        }
        for (at, by) in &self.outside.setup.jumps {
            if *at == nth {
                calls.off += by;
                self.clock.set(*by);
            }
        }
        for (at, wish) in &self.outside.setup.wishes {
            if *at == nth {
                self.signal(Signal::Wants(*wish));
            }
        }
    }

    fn wrong(&self, call: Call) -> Option<Wrong> {
        let mut calls = self.outside.calls();
        let nth = calls.of_kind.entry(call).or_default();
        *nth += 1;
        let troubles = &self.outside.setup.troubles;
        let found = troubles.iter().find(|t| t.call == call && t.nth == *nth);
        found.map(|t| t.wrong)
    }

    fn is_gone(&self, component: &ComponentId) -> bool {
        let since = self.clock.truly.now().duration_since(start()).as_secs();
        let since = u64::try_from(since).unwrap_or_default();
        self.outside
            .setup
            .gone
            .iter()
            .any(|(who, from, lasts)| who == component && (*from..from + lasts).contains(&since))
    }

    /// Waits, in steps in which deadlines beside it are seen.
    async fn linger(&self, length: Duration) {
        let until = self.clock.truly.now().checked_add(length);
        let until = until.unwrap_or(Timestamp::MAX);
        while self.clock.truly.now() < until {
            let step = self.clock.truly.now() + Duration::from_secs(20);
            self.clock.truly.sleep_until(step.min(until)).await;
        }
    }

    /// One call of a port.
    #[expect(clippy::panic, reason = "a provider that panics is what is planted")]
    async fn call<T: Send>(
        &self,
        call: Call,
        component: &ComponentId,
        act: impl FnOnce(&mut World) -> Result<T> + Send,
    ) -> Result<T> {
        self.pass().await;
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push((self.clock.truly.now(), call));
        }
        let wrong = self.wrong(call);
        happened(|| {
            let at = self.clock.truly.now().strftime("%d %H:%M:%S").to_string();
            format!(
                "{at}      {} asks {component}: {call:?} {wrong:?}",
                self.number
            )
        });
        match wrong {
            Some(Wrong::Slow(seconds)) => self.linger(Duration::from_secs(seconds)).await,
            Some(Wrong::RequestLost) => return Err(silent(component)),
            Some(Wrong::Hangs) => self.linger(Duration::MAX).await,
            Some(Wrong::Panics) => std::panic::panic_any(Planted),
            Some(Wrong::ReplyLost | Wrong::HangsAfter | Wrong::PanicsAfter | Wrong::LeavesOut)
            | None => {}
        }
        if self.is_gone(component) {
            return Err(silent(component));
        }
        let answer = {
            let mut world = self.outside.world();
            world.move_to(self.clock.truly.now());
            act(&mut world)
        };
        self.pass().await;
        match wrong {
            Some(Wrong::ReplyLost) => Err(silent(component)),
            Some(Wrong::PanicsAfter) => std::panic::panic_any(Planted),
            Some(Wrong::HangsAfter) => {
                self.linger(Duration::MAX).await;
                answer
            }
            Some(Wrong::LeavesOut) => Err(Error::new(ErrorKind::ProviderFault, "it says nothing")),
            _ => answer,
        }
    }
}

/// A panic that a seed planted.
#[derive(Debug)]
pub(super) struct Planted;

fn silent(component: &ComponentId) -> Error {
    Error::new(
        ErrorKind::Unreachable,
        format!("{component} does not answer"),
    )
    .retryable(None)
}

/// The provider of one process.
#[derive(Debug)]
pub(super) struct Outlet {
    info: ProviderInfo,
    port: Arc<Port>,
}

#[derive(Debug)]
struct Port(Arc<Process>);

impl Outlet {
    pub(super) fn of(process: &Arc<Process>) -> Self {
        Self {
            info: ProviderInfo::new("world", "1"),
            port: Arc::new(Port(Arc::clone(process))),
        }
    }
}

impl Provider for Outlet {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        let ports = Ports::none()
            .with_deployer(self.port.clone())
            .with_probe(self.port.clone());
        match self.port.0.outside.setup.locks {
            true => ports.with_lock(self.port.clone()),
            false => ports,
        }
    }
}

impl Port {
    fn who(&self) -> Who {
        Who::Ours(self.0.number)
    }
}

#[async_trait]
impl<R: Wanted> Operations<R> for Port {
    fn guarantee(&self, op: &Op<R>) -> Guarantee {
        guarantee(self.0.outside.world().promise(&op.request))
    }

    fn undo(&self, op: &Op<R>) -> Undo<R> {
        R::undo(op)
    }

    async fn prepare(&self, _: &OpContext, request: &R) -> Result<Prepared> {
        let on = subject(request);
        let prepare = |w: &mut World| w.prepare(request);
        self.0.call(Call::Prepare, &on, prepare).await
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<R>) -> Result<Begun> {
        let set_out_stale = self.0.outside.world().newest > self.0.number;
        let begin = |w: &mut World| w.begin(self.who(), set_out_stale, ctx.fence(), op);
        let on = subject(&op.request);
        self.0.call(Call::Begin, &on, begin).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<R>) -> Result<Located> {
        let locate = |w: &mut World| {
            w.called(self.who(), false, ctx.fence(), "locate", op);
            w.locate(op)
        };
        let on = subject(&op.request);
        self.0.call(Call::Locate, &on, locate).await
    }

    async fn observe(&self, ctx: &OpContext, op: &Op<R>, handle: &Handle) -> Result<Observed> {
        let observe = |w: &mut World| {
            w.called(self.who(), false, ctx.fence(), "observe", op);
            w.observe(op, handle)
        };
        let on = subject(&op.request);
        self.0.call(Call::Observe, &on, observe).await
    }
}

#[async_trait]
impl Deployer for Port {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities::all()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let mut scans = PerComponent::new();
        for component in components {
            let look = |w: &mut World| {
                let guest = &w.guests[component];
                let installed = BTreeMap::from([(PATCH.into(), guest.version.as_str().into())]);
                let mut scan = Scan::new(ctx.now(), installed);
                scan.boot_id = Some(guest.boot.to_string());
                scan.reboot_wanted = Some(Vec::new());
                scan.running_old = Some(Vec::new());
                Ok(scan)
            };
            let scan = self.0.call(Call::Scan, component, look).await;
            scans.insert(component.clone(), scan);
        }
        Ok(scans)
    }
}

#[async_trait]
impl HealthProbe for Port {
    fn kinds(&self) -> &'static [&'static str] {
        &["command"]
    }

    async fn probe(&self, _: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let on = &request.component;
        let out = |w: &mut World| Ok(w.out_now().contains(on));
        let out = self.0.call(Call::Probe, on, out).await?;
        Ok(ProbeAnswer {
            verdict: if out {
                ProbeVerdict::Unhealthy
            } else {
                ProbeVerdict::Healthy
            },
            saw: if out { "down" } else { "up" }.to_owned(),
        })
    }
}

#[async_trait]
impl TargetLock for Port {
    async fn take(&self, _: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let take = |w: &mut World| Ok(w.take_lock(self.0.number, component, claim));
        self.0.call(Call::Take, component, take).await
    }

    async fn give_back(&self, _: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let give_back = |w: &mut World| {
            w.give_lock_back(component, fence);
            Ok(())
        };
        self.0.call(Call::GiveBack, component, give_back).await
    }

    async fn look(&self, _: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let look = |w: &mut World| Ok(w.lock_of(component));
        self.0.call(Call::Take, component, look).await
    }
}
