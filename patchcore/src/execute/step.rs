//! The production `ensure` and looks for a test that steps through them, with no thread and no runtime beside it.
//!
//! The axes of its matrix stand here and not beside the test, because only inside the crate the compiler forces a
//! match over the ports' open enums to be complete: a new verb, answer or promise does not build until it has cells.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{
    ensure::{self, Ask, Record},
    kernel::{ComponentEvent, Effect, Input, Lock, OpResult, OpState, Step},
    lock::Locker,
    looks,
    port::Port,
    supervise::Caller,
};
use crate::{
    Timestamp,
    error::{Error, Result},
    id::{ComponentId, OpKey, ProviderName},
    provider::{
        Begun, Change, Claim, DeployRequest, Deployer, Guarantee, HealthProbe, Held, Located,
        Observed, OpContext, PortCall, Progress, SubjectResult, Taken, TargetLock,
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

axis! {
    /// The verbs of the deploy port.
    Verb {
        /// `Refresh`.
        Refresh,
        /// `Stage`.
        Stage,
        /// `Apply`.
        Apply,
        /// `Reboot`.
        Reboot,
        /// `RollBack`.
        RollBack,
        /// `Discard`.
        Discard,
    }
}

impl Verb {
    /// The verb of a request.
    #[must_use]
    pub const fn of(request: &DeployRequest) -> Self {
        match request {
            DeployRequest::Refresh { .. } => Self::Refresh,
            DeployRequest::Stage { .. } => Self::Stage,
            DeployRequest::Apply { .. } => Self::Apply,
            DeployRequest::Reboot { .. } => Self::Reboot,
            DeployRequest::RollBack { .. } => Self::RollBack,
            DeployRequest::Discard { .. } => Self::Discard,
        }
    }

    /// A request with this verb, for the component of the change.
    #[must_use]
    pub fn request(self, change: Change, staged: OpKey) -> DeployRequest {
        let components = vec![change.component.clone()];
        match self {
            Self::Refresh => DeployRequest::Refresh { components },
            Self::Stage => DeployRequest::Stage {
                changes: vec![change],
            },
            Self::Apply => DeployRequest::Apply {
                changes: vec![change],
                staged,
            },
            Self::Reboot => DeployRequest::Reboot { components },
            Self::RollBack => DeployRequest::RollBack {
                changes: vec![change.reversed()],
                staged,
            },
            Self::Discard => DeployRequest::Discard { components, staged },
        }
    }

    /// The step of a run that makes such a request. No step refreshes yet: it is tried where staging stands.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::Refresh | Self::Stage => Step::Stage,
            Self::Apply => Step::Apply,
            Self::Reboot => Step::Reboot,
            Self::RollBack => Step::RollBack,
            Self::Discard => Step::GiveBack,
        }
    }
}

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
    /// What the journal says that is held.
    pub held: Option<Lock>,
    /// When this incarnation took the run over.
    pub taken_over: Timestamp,
}

/// Where a test keeps what is recorded.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Returns when the event is durable.
    async fn record(&self, event: ComponentEvent) -> Result<()>;
    /// Returns when it is sure that the run is still this incarnation's.
    async fn may_begin(&self) -> Result<()>;
}

struct Told<'a>(&'a dyn Recorder);

impl Record for Told<'_> {
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
    pub request: DeployRequest,
    /// What the journal says of it.
    pub journaled: Option<Box<OpState>>,
}

/// The production `ensure`.
///
/// # Errors
/// The recorder's.
pub async fn ensure(
    port: Arc<dyn Deployer>,
    ctx: OpContext,
    asked: Asked,
    to: Arc<dyn Recorder>,
) -> Result<OpResult> {
    let ask = Ask {
        step: asked.step,
        key: asked.key,
        subject: asked.subject,
        request: asked.request,
        journaled: asked.journaled,
        give_back_by: None,
    };
    let caller = Caller::here(&ProviderName::from("world"));
    ensure::ensure(&Port::deploy(port), &caller, &ctx, ask, &Told(&*to)).await
}

/// What the driver does for an effect of a component, under the lock of its target where that keeps one.
///
/// # Errors
/// The recorder's.
pub async fn carry_out(
    effect: Effect,
    port: Arc<dyn Deployer>,
    probe: Arc<dyn HealthProbe>,
    lock: Option<Locked>,
    ctx: OpContext,
    subject: ComponentId,
    to: Arc<dyn Recorder>,
) -> Result<Option<Input>> {
    let caller = Caller::here(&ProviderName::from("world"));
    let lock = lock.map(|lock| Locker {
        port: lock.port,
        claim: Arc::new(lock.claim),
        held: lock.held,
        taken_over: lock.taken_over,
    });
    Ok(match effect {
        Effect::Ensure {
            step,
            key,
            request: PortCall::Deploy(request),
            journaled,
        } => {
            let held = match &lock {
                Some(lock) => {
                    let journaled = journaled.as_deref();
                    let to = Told(&*to);
                    lock.hold(&caller, &ctx, &subject, journaled, &to).await?
                }
                None => Ok(ctx),
            };
            let ctx = match held {
                Ok(ctx) => ctx,
                Err(result) => return Ok(Some(Input::Operation(step, result))),
            };
            let asked = Asked {
                step,
                key,
                subject,
                request,
                journaled,
            };
            let result = ensure(port, ctx, asked, to).await?;
            Some(Input::Operation(step, result))
        }
        Effect::Scan => Some(Input::Scan(
            looks::scan(&port, &caller, &ctx, &subject).await,
        )),
        Effect::Check(checks) => {
            let probes: BTreeMap<ProviderName, Arc<dyn HealthProbe>> = checks
                .iter()
                .map(|c| (c.by.clone(), Arc::clone(&probe)))
                .collect();
            let results = looks::checks(&probes, &Caller::here, &ctx, &subject, &checks).await;
            Some(Input::Checks(results))
        }
        Effect::Unlock { fence } => {
            let lapses = match &lock {
                Some(lock) => lock.give_back(&caller, &ctx, &subject, fence).await,
                None => Some("the tool keeps no locks any more".to_owned()),
            };
            Some(Input::Unlocked { fence, lapses })
        }
        // Nothing is taken around a change in it.
        Effect::None
        | Effect::Ensure {
            request: PortCall::Bracket { .. },
            ..
        } => None,
    })
}
