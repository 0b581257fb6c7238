//! The production `ensure` and looks for a test that steps through them, with no thread and no runtime beside it.
//!
//! The axes of its matrix stand here and not beside the test, because only inside the crate the compiler forces a
//! match over the ports' open enums to be complete: a new verb, answer or promise does not build until it has cells.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{
    ensure::{self, Ask, Record},
    kernel::{ComponentEvent, Effect, Input, OpResult, OpState, Step},
    looks,
    port::Port,
    supervise::Caller,
};
use crate::{
    error::Result,
    id::{ComponentId, OpKey, ProviderName},
    provider::{
        Begun, Change, DeployRequest, Deployer, Guarantee, HealthProbe, Located, Observed,
        OpContext, PortCall, Progress, SubjectResult,
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

/// What the driver does for an effect of a component whose tool keeps no locks.
///
/// # Errors
/// The recorder's.
pub async fn carry_out(
    effect: Effect,
    port: Arc<dyn Deployer>,
    probe: Arc<dyn HealthProbe>,
    ctx: OpContext,
    subject: ComponentId,
    to: Arc<dyn Recorder>,
) -> Result<Option<Input>> {
    Ok(match effect {
        Effect::Ensure {
            step,
            key,
            request: PortCall::Deploy(request),
            journaled,
        } => {
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
        Effect::Scan => {
            let caller = Caller::here(&ProviderName::from("world"));
            Some(Input::Scan(
                looks::scan(&port, &caller, &ctx, &subject).await,
            ))
        }
        Effect::Check(checks) => {
            let probes: BTreeMap<ProviderName, Arc<dyn HealthProbe>> = checks
                .iter()
                .map(|c| (c.by.clone(), Arc::clone(&probe)))
                .collect();
            let results = looks::checks(&probes, &Caller::here, &ctx, &subject, &checks).await;
            Some(Input::Checks(results))
        }
        // The world of this test keeps no locks, so that none is held.
        Effect::Unlock { fence } => Some(Input::Unlocked {
            fence,
            lapses: Some("the tool keeps no locks any more".to_owned()),
        }),
        // Nor is anything taken around a change in it.
        Effect::None
        | Effect::Ensure {
            request: PortCall::Bracket { .. },
            ..
        } => None,
    })
}
