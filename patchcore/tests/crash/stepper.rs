//! Production code, stepped through by hand: one thread, no runtime, and a crash is to drop the futures.
//!
//! The wrappers around the ports, the recorder and the clock pass numbered points. At the point that was chosen an
//! incarnation is stopped: it is dropped like a process that died, or kept and let go on later like one that slept.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    clock::{AtWork, Clock},
    estate::Scan,
    execute::{
        kernel::{ComponentEvent, RollEvent},
        step::{Answer, LockAnswer, LockCall, LockWatch, Locked, Ports, Verb},
    },
    id::ComponentId,
    provider::{
        Begun, CancelToken, Claim, Deployer, DeployerCapabilities, Guarantee, Handle, HealthProbe,
        Held, Located, Observed, Op, OpContext, Operations, PerComponent, Prepared, ProbeAnswer,
        ProbeRequest, ProbeVerdict, Taken, TargetLock, Undo,
    },
};

use super::{
    axes::Class,
    brackets::Wanted,
    locks::LockFault,
    world::{Locating, Observing, Who, World, guarantee, subject},
};

/// The world and whoever waits for its time.
#[derive(Debug, Clone)]
pub(crate) struct Bench(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    world: World,
    waiting: BTreeMap<u64, Timestamp>,
    next: u64,
}

impl Bench {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            world,
            waiting: BTreeMap::new(),
            next: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.inner().world)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner().world.now
    }

    /// The earliest moment that somebody waits for.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let inner = self.inner();
        // Whoever sleeps through its moment as a zombie does is still on the list.
        let ahead = inner.waiting.values().filter(|at| **at > inner.world.now);
        ahead.min().copied()
    }

    pub(crate) fn move_to(&self, to: Timestamp) {
        self.inner().world.move_to(to);
    }

    /// A new process, whose number is its fence and its epoch.
    pub(crate) fn incarnation(&self, stop: Stop, at: At) -> Arc<Incarnation> {
        let number = self.world(|w| {
            w.newest += 1;
            w.newest
        });
        Arc::new(Incarnation {
            number,
            bench: self.clone(),
            points: Mutex::new(Points {
                passed: 0,
                at,
                stop,
                stopped: false,
                reached: None,
            }),
        })
    }
}

/// Where an incarnation is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Nowhere,
    /// At the first point of this class.
    Class(Class),
    /// At the nth point, counted from 0.
    Nth(usize),
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its process dies, or sleeps.
    Crash,
    /// It lives on, and the call fails.
    CallFails,
}

#[derive(Debug)]
struct Points {
    passed: usize,
    at: At,
    stop: Stop,
    stopped: bool,
    reached: Option<Class>,
}

/// One life of the orchestrator.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) number: u64,
    bench: Bench,
    points: Mutex<Points>,
}

enum Verdict {
    Go,
    Stop,
    Fail,
}

impl Incarnation {
    fn points(&self) -> MutexGuard<'_, Points> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.points().stopped
    }

    /// The class of the point at which it was stopped, or its call failed.
    pub(crate) fn reached(&self) -> Option<Class> {
        self.points().reached
    }

    pub(crate) fn passed(&self) -> usize {
        self.points().passed
    }

    /// It sleeps no longer.
    pub(crate) fn wake(&self) {
        self.points().stopped = false;
    }

    /// Whether the next point is the chosen one.
    fn is_chosen(&self, class: Class) -> bool {
        let points = self.points();
        points.reached.is_none()
            && match points.at {
                At::Nowhere => false,
                At::Class(chosen) => chosen == class,
                At::Nth(n) => points.passed == n,
            }
    }

    fn check(&self, class: Class) -> Verdict {
        let chosen = self.is_chosen(class);
        let mut points = self.points();
        points.passed += 1;
        if chosen {
            points.reached = Some(class);
            // From here on the world behaves as its script says.
            self.bench.world(World::arm);
        }
        match (chosen, points.stop) {
            (true, Stop::CallFails) => Verdict::Fail,
            (true, Stop::Crash) => {
                points.stopped = true;
                Verdict::Stop
            }
            (false, _) => Verdict::Go,
        }
    }

    /// A point where no call is under way; true if it stops here.
    pub(crate) fn stops_at(&self, class: Class) -> bool {
        matches!(self.check(class), Verdict::Stop)
    }

    pub(crate) fn pass(&self, class: Class) -> Pass<'_> {
        Pass {
            of: self,
            class: Some(class),
        }
    }
}

/// A point that is passed, or not.
pub(crate) struct Pass<'a> {
    of: &'a Incarnation,
    class: Option<Class>,
}

impl Future for Pass<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        if self.of.is_stopped() {
            return Poll::Pending;
        }
        let verdict = match self.class.take() {
            Some(class) => self.of.check(class),
            None => Verdict::Go,
        };
        match verdict {
            Verdict::Go => Poll::Ready(Ok(())),
            Verdict::Stop => Poll::Pending,
            Verdict::Fail => Poll::Ready(Err(Error::new(
                ErrorKind::Unreachable,
                "the call failed here",
            )
            .retryable(None))),
        }
    }
}

/// Polls once with a waker that wakes nobody: whoever steps polls everybody in turn.
pub(crate) fn poll_once<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Poll<T> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// The clock of one incarnation over the time of the world.
#[derive(Debug)]
pub(crate) struct StepClock(pub(crate) Arc<Incarnation>);

struct Wait {
    of: Arc<Incarnation>,
    until: Timestamp,
    /// A sleep in which its process may die half-way.
    dies_at: Option<Timestamp>,
    fresh: bool,
    id: Option<u64>,
}

impl Wait {
    fn new(of: &Arc<Incarnation>, until: Timestamp, sleeps: bool) -> Self {
        let now = of.bench.now();
        let mut wait = Self {
            of: Arc::clone(of),
            until,
            dies_at: None,
            fresh: sleeps && until > now,
            id: None,
        };
        if wait.fresh && of.is_chosen(Class::InWait) && of.points().stop == Stop::Crash {
            let half = until.duration_since(now).unsigned_abs() / 2;
            wait.dies_at = Some(now + half);
        }
        wait
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.of.is_stopped() {
            return Poll::Pending;
        }
        if self.fresh && self.dies_at.is_none() {
            self.fresh = false;
            self.of.check(Class::InWait);
        }
        let of = Arc::clone(&self.of);
        let now = of.bench.now();
        if self.dies_at.is_some_and(|at| now >= at) {
            (self.dies_at, self.fresh) = (None, false);
            of.check(Class::InWait);
            return Poll::Pending;
        }
        if now >= self.until {
            if let Some(id) = self.id.take() {
                of.bench.inner().waiting.remove(&id);
            }
            return Poll::Ready(());
        }
        let until = self.dies_at.unwrap_or(self.until);
        let mut inner = of.bench.inner();
        let id = *self.id.get_or_insert_with(|| {
            inner.next += 1;
            inner.next
        });
        inner.waiting.insert(id, until);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.of.bench.inner().waiting.remove(&id);
        }
    }
}

#[async_trait]
impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        self.0.bench.now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        Wait::new(&self.0, until, true).await;
    }

    async fn reached(&self, time: Timestamp) {
        Wait::new(&self.0, time, false).await;
    }

    fn at_work(&self) -> AtWork {
        AtWork::unobserved()
    }
}

/// A context as the driver makes one.
pub(crate) fn context(of: &Arc<Incarnation>) -> OpContext {
    let clock = Arc::new(StepClock(Arc::clone(of)));
    OpContext::reading(clock, Timestamp::MAX, CancelToken::new()).with_fence(of.number)
}

/// The ports of the world, as one incarnation reaches them.
#[derive(Debug)]
pub(crate) struct Port(pub(crate) Arc<Incarnation>);

/// All of them, for one effect.
pub(crate) fn ports(port: &Arc<Port>, lock: Option<Locked>) -> Ports {
    Ports {
        deployer: Arc::clone(port) as _,
        bracket: Arc::clone(port) as _,
        watch: Arc::clone(port) as _,
        drainer: Arc::clone(port) as _,
        probe: Arc::clone(port) as _,
        lock,
    }
}

impl Port {
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.0.bench.world(look)
    }

    fn who(&self) -> Who {
        Who::Ours(self.0.number)
    }

    fn note(&self, answer: Option<Answer>) {
        if let Some(answer) = answer {
            let who = self.who();
            self.world(|w| {
                if w.script.armed {
                    w.answers.push((who, answer));
                }
            });
        }
    }

    fn hangs(&self, locating: bool) -> bool {
        self.world(|w| {
            w.script.armed
                && match locating {
                    true => w.script.locating == Locating::Hangs,
                    false => w.script.observing == Observing::Hangs,
                }
        })
    }
}

#[async_trait]
impl<R: Wanted> Operations<R> for Port {
    fn guarantee(&self, op: &Op<R>) -> Guarantee {
        self.world(|w| guarantee(w.promise(&op.request)))
    }

    fn undo(&self, op: &Op<R>) -> Undo<R> {
        R::undo(op)
    }

    async fn prepare(&self, _: &OpContext, request: &R) -> Result<Prepared> {
        self.0.pass(Class::BeforePrepare).await?;
        let answer = self.world(|w| w.prepare(request));
        self.0.pass(Class::AfterPrepare).await?;
        answer
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<R>) -> Result<Begun> {
        let set_out_stale = self.world(|w| w.newest > self.0.number);
        self.0.pass(Class::BeginNotSent).await?;
        let who = self.who();
        let answer = self.world(|w| w.begin(who, set_out_stale, ctx.fence(), op));
        self.note(Answer::of_begin(&answer));
        self.0.pass(Class::ReplyLost).await?;
        answer
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<R>) -> Result<Located> {
        self.0.pass(Class::BeforeLocate).await?;
        if self.hangs(true) {
            self.note(Some(Answer::Never));
            std::future::pending::<()>().await;
        }
        let who = self.who();
        let (answer, said) = self.world(|w| {
            w.called(who, false, ctx.fence(), "locate", op);
            let (begun, at_work) = (w.job(&op.key).is_some(), w.at_work(&op.key));
            let answer = w.locate(op);
            let said = Answer::of_locate(&answer, &subject(&op.request), begun, at_work);
            (answer, said)
        });
        self.note(Some(said));
        self.0.pass(Class::AfterLocate).await?;
        answer
    }

    async fn observe(&self, ctx: &OpContext, op: &Op<R>, handle: &Handle) -> Result<Observed> {
        let class = match self.world(|w| w.at_work(&op.key)) {
            true => Class::Observing,
            false => Class::EffectOver,
        };
        self.0.pass(class).await?;
        if self.hangs(false) {
            self.note(Some(Answer::SeenNever));
            std::future::pending::<()>().await;
        }
        let who = self.who();
        let answer = self.world(|w| {
            w.called(who, false, ctx.fence(), "observe", op);
            w.observe(op, handle)
        });
        self.note(Answer::of_observe(&answer, &subject(&op.request)));
        answer
    }
}

#[async_trait]
impl Deployer for Port {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities::all()
    }

    async fn scan(&self, _: &OpContext, components: &[ComponentId]) -> Result<PerComponent<Scan>> {
        self.0.pass(Class::BeforeScan).await?;
        let scans = self.world(|w| {
            let mut scans = PerComponent::new();
            for component in components {
                if let Some(guest) = w.guests.get(component) {
                    let installed = BTreeMap::from([(
                        super::world::PATCH.into(),
                        guest.version.as_str().into(),
                    )]);
                    let mut scan = Scan::new(w.now, installed);
                    scan.boot_id = Some(guest.boot.to_string());
                    scan.reboot_wanted = Some(Vec::new());
                    scan.running_old = Some(Vec::new());
                    scans.insert(component.clone(), Ok(scan));
                }
            }
            scans
        });
        self.0.pass(Class::AfterScan).await?;
        Ok(scans)
    }
}

#[async_trait]
impl HealthProbe for Port {
    fn kinds(&self) -> &'static [&'static str] {
        &["command"]
    }

    async fn probe(&self, _: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        self.0.pass(Class::BeforeCheck).await?;
        let out = self.world(|w| w.out_now().contains(&request.component));
        self.0.pass(Class::AfterCheck).await?;
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
        Ok(self.world(|w| w.take_lock(self.0.number, component, claim)))
    }

    async fn give_back(&self, _: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        self.world(|w| w.give_lock_back(component, fence));
        Ok(())
    }

    async fn look(&self, _: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        Ok(self.world(|w| w.lock_of(component)))
    }
}

#[async_trait]
impl LockWatch for Port {
    fn is_renewed(&self, component: &ComponentId, claim: &Claim) -> bool {
        let held = self.world(|w| w.lock_of(component));
        held.is_some_and(|held| held.claim.is_of(claim))
    }

    async fn before(&self, call: LockCall) -> Result<()> {
        self.0.pass(Class::of_lock(call).0).await?;
        let fault = self.world(|w| {
            let (_, fault) = w.script.lock_fault.filter(|(of, _)| *of == call)?;
            let meets = fault == LockFault::Fails || w.script.met_lock_fault.insert(self.0.number);
            meets.then_some(fault)
        });
        let error = Error::new(ErrorKind::Unreachable, "no answer");
        let error = match fault {
            None => return Ok(()),
            Some(LockFault::NeverOnce) => std::future::pending().await,
            Some(LockFault::FailsOnce) => error.retryable(None),
            Some(LockFault::Fails) => error,
        };
        let said = LockAnswer::of::<()>(&Err(error.clone()));
        self.world(|w| w.lock_said(self.0.number, call, said));
        Err(error)
    }

    async fn after(&self, call: LockCall, answer: LockAnswer) -> Result<()> {
        self.world(|w| w.lock_said(self.0.number, call, answer));
        self.0.pass(Class::of_lock(call).1).await
    }
}

/// The points around the commit of what a component decides.
pub(crate) const fn points_of(event: &ComponentEvent) -> (Class, Class) {
    match event {
        ComponentEvent::Begun { .. } => (Class::HandleLost, Class::BegunDurable),
        ComponentEvent::Locked { .. } => (Class::LockedLost, Class::LockedDurable),
        _ => (Class::IntentLost, Class::IntentDurable),
    }
}

/// The same of what a roll decides.
pub(crate) const fn points_of_roll(event: &RollEvent) -> (Class, Class) {
    match event {
        RollEvent::Begun { .. } => (Class::HandleLost, Class::BegunDurable),
        _ => (Class::IntentLost, Class::IntentDurable),
    }
}

/// The points of recording an event, around the commit itself.
pub(crate) async fn recorded(
    of: &Incarnation,
    (before, after): (Class, Class),
    commit: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let broken = |_| Error::new(ErrorKind::Io, "the journal failed here");
    of.pass(before).await.map_err(broken)?;
    commit()?;
    of.pass(after).await.map_err(broken)
}

/// The verb that is at work or was, for names of cases.
pub(crate) const fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Refresh => "refresh",
        Verb::Stage => "stage",
        Verb::Apply => "apply",
        Verb::Reboot => "reboot",
        Verb::RollBack => "roll-back",
        Verb::Discard => "discard",
        Verb::Take => "take",
        Verb::GiveBack => "give-back",
        Verb::HoldSetting => "hold-setting",
        Verb::RestoreSetting => "restore-setting",
        Verb::Migrate => "migrate",
        Verb::ShutDown => "shut-down",
        Verb::Start => "start",
        Verb::EnterMaintenance => "enter-maintenance",
        Verb::ExitMaintenance => "exit-maintenance",
    }
}

/// Longer than any wait of a run.
pub(crate) const FOREVER: Duration = Duration::from_secs(40 * 24 * 3600);
