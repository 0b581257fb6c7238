//! The production `ensure` and looks for a test that steps through them, with no thread and no runtime beside it.
//!
//! The axes of its matrix stand here and not beside the test, because only inside the crate the compiler forces a
//! match over the ports' open enums to be complete: a new verb, answer or promise does not build until it has cells.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;

use super::{
    bracket,
    doing::Doing,
    ensure::{self, Ask, Record},
    kernel::{
        ComponentEvent, ComponentState, Effect, Input, OpResult, OpState, RollEffect, RollEvent,
        RollInput, RollMoment, Step, Task,
    },
    lock::Locker,
    port::Port,
    rolling::{self, Rolling},
    supervise::Callers,
};
use crate::{
    clock::SharedClock,
    error::{Error, ErrorKind, Result},
    id::{ComponentId, OpKey, ProviderName},
    plan::Target,
    provider::{
        Begun, Bracket, BracketCapabilities, BracketKind, BracketRequest, Claim, ClusterDrainer,
        Deployer, Guarantee, Handle, HealthProbe, Held, Holding, Located, Observed, Op, OpContext,
        Operations, PerComponent, PortCall, Prepared, Progress, SubjectResult, Taken, TargetLock,
        Undo,
    },
};

/// An axis and the list of all that stands on it, from one list: nothing can be on the one and not on the other.
macro_rules! axis {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: [Self; [$($name::$variant),+].len()] = [$($name::$variant),+];
        }
    };
}

mod verb;

pub use verb::{ALERTS, Made, Verb};

/// What a target promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// `Keyed`.
    Keyed,
    /// `Locatable`.
    Locatable,
    /// `StateOnly`.
    StateOnly,
    /// `Blind`.
    Blind,
}

impl Promise {
    /// The promise without its times.
    #[must_use]
    pub const fn of(guarantee: Guarantee) -> Self {
        match guarantee {
            Guarantee::Keyed { .. } => Self::Keyed,
            Guarantee::Locatable { .. } => Self::Locatable,
            Guarantee::StateOnly { .. } => Self::StateOnly,
            Guarantee::Blind => Self::Blind,
        }
    }
}

axis! {
    /// What a target says when it is asked, and what is so in truth where that differs.
    Answer {
        /// `locate`: not found, and it was never begun.
        NotFound,
        /// `locate`: not found, although it was begun.
        NotFoundThoughBegun,
        /// `locate`: it runs.
        Running,
        /// `locate`: it worked.
        Done,
        /// `locate`: it worked; in truth its tool is still at work.
        DoneEarly,
        /// `locate`: it failed.
        Failed,
        /// `locate`: over, and the component is left out of the result.
        LeftOut,
        /// `locate`: it cannot be told.
        Unknown,
        /// `locate`: an error that does not pass.
        Error,
        /// `locate`: an error that passes.
        ErrorPasses,
        /// `locate`: no answer at all.
        Never,
        /// `observe`: it runs.
        SeenRunning,
        /// `observe`: it worked.
        SeenDone,
        /// `observe`: it failed.
        SeenFailed,
        /// `observe`: over, and the component is left out of the result.
        SeenLeftOut,
        /// `observe`: it waits for a person.
        SeenAsking,
        /// `observe`: an error that passes.
        SeenErrorPasses,
        /// `observe`: no answer at all.
        SeenNever,
        /// `begin`: refused before anything happened.
        Refused,
    }
}

impl Answer {
    /// Whether `observe` gives it.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        matches!(
            self,
            Self::SeenRunning
                | Self::SeenDone
                | Self::SeenFailed
                | Self::SeenLeftOut
                | Self::SeenAsking
                | Self::SeenErrorPasses
                | Self::SeenNever
        )
    }

    /// What `locate` said, beside whether it was `begun` and is still `at_work` in truth.
    #[must_use]
    pub fn of_locate(
        answer: &Result<Located>,
        subject: &ComponentId,
        begun: bool,
        at_work: bool,
    ) -> Self {
        match answer {
            Ok(Located::NotFound) if begun => Self::NotFoundThoughBegun,
            Ok(Located::NotFound) => Self::NotFound,
            Ok(Located::Running(_)) => Self::Running,
            Ok(Located::Unknown { .. }) => Self::Unknown,
            Ok(Located::Settled(settled)) => match settled.subjects.get(subject) {
                Some(SubjectResult::Done(_)) if at_work => Self::DoneEarly,
                Some(SubjectResult::Done(_)) => Self::Done,
                Some(SubjectResult::Failed(_)) => Self::Failed,
                None => Self::LeftOut,
            },
            Err(error) if error.is_retryable() => Self::ErrorPasses,
            Err(_) => Self::Error,
        }
    }

    /// What `observe` said; none for what leads to a `locate`, whose answer then counts.
    #[must_use]
    pub fn of_observe(answer: &Result<Observed>, subject: &ComponentId) -> Option<Self> {
        match answer {
            Ok(Observed::Running { .. }) => Some(Self::SeenRunning),
            Ok(Observed::NeedsPerson(_)) => Some(Self::SeenAsking),
            Ok(Observed::Lost { .. }) => None,
            Ok(Observed::Settled(settled)) => Some(match settled.subjects.get(subject) {
                Some(SubjectResult::Done(_)) => Self::SeenDone,
                Some(SubjectResult::Failed(_)) => Self::SeenFailed,
                None => Self::SeenLeftOut,
            }),
            Err(_) => Some(Self::SeenErrorPasses),
        }
    }

    /// What `begin` said, where that is an answer of its own.
    #[must_use]
    pub const fn of_begin(answer: &Result<Begun>) -> Option<Self> {
        match answer {
            Ok(Begun::Refused(_)) => Some(Self::Refused),
            Ok(Begun::Started(_) | Begun::Settled(_)) | Err(_) => None,
        }
    }
}

/// Whether a run can be paused before a step: a new step does not build until that is decided.
#[must_use]
pub const fn can_be_paused_before(step: Step) -> bool {
    match step {
        Step::Take | Step::RebootFirst | Step::Stage | Step::Apply | Step::Reboot => true,
        Step::RollBack | Step::RebootBack | Step::GiveBack => false,
    }
}

axis! {
    /// The calls of a target's lock.
    LockCall {
        /// `take`, by whom does not hold it.
        Take,
        /// `take`, by whom holds it: a sign of life.
        Renew,
        /// `give_back`.
        GiveBack,
        /// `look`.
        Look,
    }
}

axis! {
    /// What the lock of a target says.
    LockAnswer {
        /// `take`: it is ours, and nobody else's before.
        Ours,
        /// `take`: it is ours, and was somebody else's.
        TakenOver,
        /// `take`: somebody else has it.
        HeldBy,
        /// `give_back` and `look`: it was heard.
        Heard,
        /// An error that passes.
        ErrorPasses,
        /// An error that does not pass.
        Error,
    }
}

impl LockAnswer {
    /// What `take` said.
    #[must_use]
    pub fn of_take(answer: &Result<Taken>) -> Self {
        match answer {
            Ok(Taken::Ours { .. }) => Self::Ours,
            Ok(Taken::TakenOver { .. }) => Self::TakenOver,
            Ok(Taken::HeldBy(_)) => Self::HeldBy,
            Err(error) => Self::of_error(error),
        }
    }

    /// What a call said that has no answer of its own.
    #[must_use]
    pub fn of<T>(answer: &Result<T>) -> Self {
        match answer {
            Ok(_) => Self::Heard,
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &Error) -> Self {
        if error.is_retryable() {
            Self::ErrorPasses
        } else {
            Self::Error
        }
    }
}

/// Whoever is told of each call of a lock, before and after it.
#[async_trait]
pub trait LockWatch: std::fmt::Debug + Send + Sync + 'static {
    /// Which call of `take` this is.
    fn is_renewed(&self, component: &ComponentId, claim: &Claim) -> bool;
    /// Before a call is sent. An error is its answer.
    async fn before(&self, call: LockCall) -> Result<()>;
    /// Before its answer arrives. An error takes its place.
    async fn after(&self, call: LockCall, answer: LockAnswer) -> Result<()>;
}

/// A lock each of whose calls is watched. A call that the port gains does not build until it is watched here.
#[derive(Debug)]
pub struct WatchedLock<L, W> {
    /// The lock.
    pub lock: L,
    /// Who watches.
    pub watch: W,
}

#[async_trait]
impl<L: TargetLock, W: LockWatch> TargetLock for WatchedLock<L, W> {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let call = || match self.watch.is_renewed(component, claim) {
            true => LockCall::Renew,
            false => LockCall::Take,
        };
        self.watch.before(call()).await?;
        // Whoever slept may have lost it meanwhile.
        let call = call();
        let answer = self.lock.take(ctx, component, claim).await;
        let said = LockAnswer::of_take(&answer);
        self.watch.after(call, said).await?;
        answer
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        self.watch.before(LockCall::GiveBack).await?;
        let answer = self.lock.give_back(ctx, component, fence).await;
        let said = LockAnswer::of(&answer);
        self.watch.after(LockCall::GiveBack, said).await?;
        answer
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        self.watch.before(LockCall::Look).await?;
        let answer = self.lock.look(ctx, component).await;
        let said = LockAnswer::of(&answer);
        self.watch.after(LockCall::Look, said).await?;
        answer
    }
}

/// The lock of a component's target, for one effect.
#[derive(Debug)]
pub struct Locked {
    /// The port.
    pub port: Arc<dyn TargetLock>,
    /// On whose behalf.
    pub claim: Claim,
    /// The fence under which an earlier incarnation held it when this one took the run over.
    pub earlier: Option<u64>,
}

axis! {
    /// When what is held around a change is looked at.
    Occasion {
        /// It was taken just now.
        Taken,
        /// The change that it is held for begins.
        Changing,
    }
}

impl Occasion {
    /// On which of them a request may look.
    #[must_use]
    pub const fn of(request: &PortCall) -> Self {
        match request {
            PortCall::Bracket { .. } => Self::Taken,
            // Nothing is held around what drains a cluster yet.
            PortCall::Deploy(_) | PortCall::Drain { .. } => Self::Changing,
        }
    }
}

axis! {
    /// What `held` of a bracket says.
    HeldAnswer {
        /// It is there.
        Held,
        /// It is not.
        NotHeld,
        /// The component is left out of the answer.
        LeftOut,
        /// An error that passes.
        ErrorPasses,
        /// An error that does not pass.
        Error,
        /// No answer at all.
        Never,
    }
}

impl HeldAnswer {
    /// What `held` said of a component.
    #[must_use]
    pub fn of(answer: &Result<PerComponent<Holding>>, component: &ComponentId) -> Self {
        let of_it = match answer {
            Ok(answer) => match answer.get(component) {
                Some(of_it) => of_it.as_ref(),
                None => return Self::LeftOut,
            },
            Err(error) => Err(error),
        };
        match of_it {
            Ok(Holding::Held(_)) => Self::Held,
            Ok(Holding::NotHeld { .. }) => Self::NotHeld,
            Err(error) if error.is_retryable() => Self::ErrorPasses,
            Err(_) => Self::Error,
        }
    }
}

/// Whoever is told of each look at what is held, before and after it.
#[async_trait]
pub trait HeldWatch: std::fmt::Debug + Send + Sync + 'static {
    /// Before it is looked. An answer takes the place of the look.
    async fn before(
        &self,
        occasion: Occasion,
        component: &ComponentId,
    ) -> Option<Result<PerComponent<Holding>>>;
    /// Before the answer arrives.
    async fn after(&self, occasion: Occasion, answer: HeldAnswer) -> Result<()>;
}

/// Brackets that are watched when they are looked at. A call that the port gains does not build until it is watched here.
#[derive(Debug)]
struct WatchedBracket {
    bracket: Arc<dyn Bracket>,
    watch: Arc<dyn HeldWatch>,
    occasion: Occasion,
}

#[async_trait]
impl Operations<BracketRequest> for WatchedBracket {
    fn guarantee(&self, op: &Op<BracketRequest>) -> Guarantee {
        self.bracket.guarantee(op)
    }

    fn undo(&self, op: &Op<BracketRequest>) -> Undo<BracketRequest> {
        self.bracket.undo(op)
    }

    async fn prepare(&self, ctx: &OpContext, request: &BracketRequest) -> Result<Prepared> {
        self.bracket.prepare(ctx, request).await
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Begun> {
        self.bracket.begin(ctx, op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Located> {
        self.bracket.locate(ctx, op).await
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<BracketRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        self.bracket.observe(ctx, op, handle).await
    }
}

#[async_trait]
impl Bracket for WatchedBracket {
    fn capabilities(&self) -> BracketCapabilities {
        self.bracket.capabilities()
    }

    async fn held(
        &self,
        ctx: &OpContext,
        kind: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        let Some(component) = components.first() else {
            return Ok(PerComponent::new());
        };
        let answer = match self.watch.before(self.occasion, component).await {
            Some(answer) => answer,
            None => self.bracket.held(ctx, kind, taken, components).await,
        };
        let said = HeldAnswer::of(&answer, component);
        self.watch.after(self.occasion, said).await?;
        answer
    }
}

/// The ports of the world, as one incarnation reaches them for one effect.
#[derive(Debug)]
pub struct Ports {
    /// The tool of every component.
    pub deployer: Arc<dyn Deployer>,
    /// Who serves every bracket.
    pub bracket: Arc<dyn Bracket>,
    /// Who is told when that is looked at.
    pub watch: Arc<dyn HeldWatch>,
    /// Who drains every cluster.
    pub drainer: Arc<dyn ClusterDrainer>,
    /// Who makes every check.
    pub probe: Arc<dyn HealthProbe>,
    /// The lock of the target, where that keeps one.
    pub lock: Option<Locked>,
}

impl Ports {
    fn bracket(&self, occasion: Occasion) -> Arc<dyn Bracket> {
        Arc::new(WatchedBracket {
            bracket: Arc::clone(&self.bracket),
            watch: Arc::clone(&self.watch),
            occasion,
        })
    }
}

/// Where a test keeps what is recorded.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Returns when the event is durable.
    async fn record(&self, event: ComponentEvent) -> Result<()>;
    /// Returns when it is sure that the run is still this incarnation's.
    async fn may_begin(&self) -> Result<()>;
}

struct Told(Arc<dyn Recorder>);

impl Record for Told {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        self.0.record(event).await
    }

    async fn may_begin(&self) -> Result<()> {
        self.0.may_begin().await
    }

    fn progress(&self, _: Progress) {}
}

/// The operation that is to be made sure.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which step.
    pub step: Step,
    /// Under which key.
    pub key: OpKey,
    /// Whom it concerns.
    pub subject: ComponentId,
    /// What.
    pub request: PortCall,
    /// What the journal says of it.
    pub journaled: Option<Box<OpState>>,
}

/// The production `ensure` of the port that the request is for.
///
/// # Errors
/// The recorder's.
pub async fn ensure(
    ports: Ports,
    ctx: OpContext,
    asked: Asked,
    to: Arc<dyn Recorder>,
) -> Result<OpResult> {
    let to = Told(to);
    let caller = Callers::InStep.of(&ProviderName::from("world"));
    let (step, key, journaled) = (asked.step, asked.key, asked.journaled);
    let occasion = Occasion::of(&asked.request);
    match asked.request {
        PortCall::Deploy(request) => {
            let ask = Ask {
                step,
                key,
                subject: asked.subject,
                request,
                journaled,
                give_back_by: None,
                around: Vec::new(),
            };
            ensure::ensure(&Port::deploy(ports.deployer), &caller, &ctx, ask, &to).await
        }
        PortCall::Drain { .. } => Err(Error::new(
            ErrorKind::JournalDamaged,
            "an operation of a component drains a cluster, which only a roll does",
        )),
        PortCall::Bracket { by, request } => {
            let port = ports.bracket(occasion);
            let what = (step, key, request);
            bracket::ensure(&port, by, &caller, &ctx, what, journaled, &to).await
        }
    }
}

/// What the driver does for an effect of a component.
///
/// # Errors
/// The recorder's.
pub fn carry_out(
    effect: Effect,
    target: &Target,
    state: &ComponentState,
    ports: Ports,
    ctx: OpContext,
    to: Arc<dyn Recorder>,
) -> impl Future<Output = Result<Option<Input>>> + Send + use<> {
    let occasion = match &effect {
        Effect::Ensure { request, .. } => Occasion::of(request),
        Effect::None | Effect::Scan | Effect::Check(_) | Effect::Unlock { .. } => Occasion::Taken,
    };
    let bracket = ports.bracket(occasion);
    let checks = target.checks.iter().map(|check| check.by.clone());
    let probes = checks.map(|by| (by, Arc::clone(&ports.probe))).collect();
    let around = target.around.iter().map(|around| around.by.clone());
    let brackets = around.map(|by| (by, Arc::clone(&bracket))).collect();
    let doing = Doing {
        component: target.component.clone(),
        known_as: target.known_as.clone(),
        deployer: Some(ports.deployer),
        tool: target.tool.clone(),
        callers: Callers::InStep,
        probes: Arc::new(probes),
        brackets: Arc::new(brackets),
        ctx,
        give_back_by: None,
        around: state.around(),
        lock: ports.lock.map(|lock| Locker {
            port: lock.port,
            claim: Arc::new(lock.claim),
            held: *state.lock,
            earlier: lock.earlier,
        }),
    };
    doing.run(effect, Told(to))
}

/// Where a test keeps what is recorded of a roll.
#[async_trait]
pub trait RollRecorder: Send + Sync {
    /// Returns when the event is durable.
    async fn record(&self, event: RollEvent) -> Result<()>;
    /// Returns when it is sure that the run is still this incarnation's.
    async fn may_begin(&self) -> Result<()>;
}

struct ToldOfRoll {
    task: Task,
    clock: SharedClock,
    to: Arc<dyn RollRecorder>,
}

impl Record for ToldOfRoll {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        let event = rolling::of_roll(&self.task, event, self.clock.now())?;
        self.to.record(event).await
    }

    async fn may_begin(&self) -> Result<()> {
        self.to.may_begin().await
    }

    fn progress(&self, _: Progress) {}
}

/// What the driver does for an effect of a cluster's roll.
///
/// # Errors
/// The recorder's.
pub fn carry_out_roll(
    effect: RollEffect,
    task: Task,
    moment: &RollMoment<'_>,
    ports: Ports,
    ctx: OpContext,
    to: Arc<dyn RollRecorder>,
) -> impl Future<Output = Result<RollInput>> + Send + use<> {
    let by = moment.roll.by.clone();
    let told = ToldOfRoll {
        task: task.clone(),
        clock: Arc::clone(ctx.clock()),
        to,
    };
    let rolling = Rolling {
        cluster: moment.cluster.clone(),
        task,
        drainer: Some(ports.drainer),
        caller: Callers::InStep.of(&by),
        by,
        ctx,
        from: (effect == RollEffect::Plan).then(|| rolling::From::of(moment)),
    };
    rolling.run(effect, told)
}
