//! One effect of one component, on its way: it acts through ports, and tells the driver what it finds.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{
    bracket::{self, Around},
    driver::Message,
    ensure::{self, Ask, Record},
    kernel::{ComponentEvent, Effect, Input, OpResult, Owed, Step},
    lock::Locker,
    looks,
    port::Port,
    supervise::{Caller, Callers},
};
use crate::{
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, ProviderName},
    judge::CheckResult,
    plan::PlannedCheck,
    provider::{Bracket, Deployer, HealthProbe, OpContext, PortCall, Progress},
};

/// What an effect was to find out: so that also one that panics has an answer of its own kind.
pub(super) enum Asked {
    Operation(Step),
    Scan,
    Checks(Vec<PlannedCheck>),
    Unlock { fence: u64 },
}

impl Asked {
    /// What is asked by an effect; none where there is none.
    pub(super) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::None => None,
            Effect::Ensure { step, .. } => Some(Self::Operation(*step)),
            Effect::Scan => Some(Self::Scan),
            Effect::Check(checks) => Some(Self::Checks(checks.clone())),
            Effect::Unlock { fence } => Some(Self::Unlock { fence: *fence }),
        }
    }

    /// The answer of somebody who broke off.
    pub(super) fn unanswered(self, error: &Error) -> Input {
        match self {
            // Whoever panics inside an operation leaves it in a state that nobody knows.
            Self::Operation(step) => {
                Input::Operation(step, OpResult::Unknown { why: error.chain() })
            }
            Self::Scan => Input::Scan(Err(Failure::from(error))),
            Self::Unlock { fence } => Input::Unlocked {
                fence,
                lapses: Some(error.chain()),
            },
            Self::Checks(checks) => Input::Checks(
                checks
                    .iter()
                    .map(|check| CheckResult {
                        check: check.kind.to_string(),
                        verdict: None,
                        saw: error.chain(),
                    })
                    .collect(),
            ),
        }
    }
}

/// One effect of one component.
pub(super) struct Doing {
    pub(super) component: ComponentId,
    pub(super) known_as: ComponentId,
    pub(super) deployer: Option<Arc<dyn Deployer>>,
    pub(super) tool: ProviderName,
    pub(super) callers: Callers,
    pub(super) probes: Arc<BTreeMap<ProviderName, Arc<dyn HealthProbe>>>,
    pub(super) brackets: Arc<BTreeMap<ProviderName, Arc<dyn Bracket>>>,
    pub(super) ctx: OpContext,
    pub(super) give_back_by: Option<Timestamp>,
    /// What is held around the change.
    pub(super) around: Vec<Owed>,
    pub(super) lock: Option<Locker>,
}

impl Doing {
    /// What it finds.
    ///
    /// # Errors
    /// The journal's, and `NotFound`: whom it needs is not part of this estate.
    pub(super) async fn run(self, effect: Effect, to: impl Record) -> Result<Option<Input>> {
        let Some(deployer) = self.deployer.clone() else {
            return Err(not_here("the tool", &self.component));
        };
        let ctx = self.ctx.clone();
        let caller = self.callers.of(&self.tool);
        Ok(match effect {
            Effect::Ensure {
                step,
                key,
                request,
                journaled,
            } => {
                let subject = self.known_as.clone();
                // Nothing is done to the target itself by a bracket that somebody else serves.
                let lock = self
                    .lock
                    .as_ref()
                    .filter(|_| request.by().is_none_or(|by| *by == self.tool));
                let held = match lock {
                    Some(lock) => {
                        let journaled = journaled.as_deref();
                        lock.hold(&caller, &ctx, &subject, journaled, &to).await?
                    }
                    None => Ok(ctx),
                };
                let ctx = match held {
                    Ok(ctx) => ctx,
                    Err(result) => return Ok(Some(Input::Operation(step, result))),
                };
                let around = match step {
                    Step::RebootFirst | Step::Apply => self.around()?,
                    _ => Vec::new(),
                };
                // In a place of its own: a future that is handed on is kept once by each who hands it on.
                let work = Box::pin(async {
                    match request {
                        PortCall::Deploy(request) => {
                            let port = Port::deploy(deployer);
                            let ask = Ask {
                                step,
                                key,
                                subject,
                                request,
                                journaled,
                                give_back_by: self.give_back_by,
                                around,
                            };
                            ensure::ensure(&port, &caller, &ctx, ask, &to).await
                        }
                        PortCall::Drain { .. } => Err(Error::new(
                            ErrorKind::JournalDamaged,
                            format!(
                                "an operation of {} drains a cluster, which only a roll does",
                                self.component
                            ),
                        )),
                        PortCall::Bracket { by, request } => {
                            let Some(bracket) = self.brackets.get(&by) else {
                                let what = format!("the provider {by}");
                                return Err(not_here(&what, &self.component));
                            };
                            let caller = self.callers.of(&by);
                            bracket::ensure(
                                bracket,
                                by,
                                &caller,
                                &ctx,
                                (step, key, request),
                                journaled,
                                &to,
                            )
                            .await
                        }
                    }
                });
                let result = match lock {
                    Some(lock) => {
                        let (target, fence) = (&self.known_as, ctx.fence());
                        lock.kept_during(&caller, &ctx, target, fence, &to, work)
                            .await?
                    }
                    None => work.await?,
                };
                Some(Input::Operation(step, result))
            }
            Effect::Scan => {
                let scan = Box::pin(looks::scan(&deployer, &caller, &ctx, &self.known_as));
                Some(Input::Scan(
                    self.kept_during(&caller, &ctx, &to, scan).await,
                ))
            }
            Effect::Check(checks) => {
                let by = |provider: &ProviderName| self.callers.of(provider);
                let checked = Box::pin(looks::checks(
                    &self.probes,
                    &by,
                    &ctx,
                    &self.component,
                    &checks,
                ));
                Some(Input::Checks(
                    self.kept_during(&caller, &ctx, &to, checked).await,
                ))
            }
            Effect::Unlock { fence } => {
                let lapses = match &self.lock {
                    Some(lock) => lock.give_back(&caller, &ctx, &self.known_as, fence).await,
                    None => Some("the tool keeps no locks any more".to_owned()),
                };
                Some(Input::Unlocked { fence, lapses })
            }
            Effect::None => None,
        })
    }

    /// Looks at a target whose lock is ours do not let it lapse.
    async fn kept_during<T>(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        to: &impl Record,
        look: impl Future<Output = T> + Unpin,
    ) -> T {
        let held = |lock: &Locker| lock.held.map(|held| held.fence);
        match self.lock.as_ref() {
            Some(lock) => {
                let (target, fence) = (&self.known_as, held(lock).unwrap_or_default());
                lock.kept_during(caller, ctx, target, fence, to, look).await
            }
            None => look.await,
        }
    }
}

fn not_here(what: &str, component: &ComponentId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{what} of {component} is not part of this estate"),
    )
}

impl Doing {
    /// What must be held when a change begins.
    fn around(&self) -> Result<Vec<Around>> {
        let mut around = Vec::new();
        for owed in &self.around {
            let PortCall::Bracket { by, request } = &owed.give_back else {
                continue;
            };
            let Some(port) = self.brackets.get(by) else {
                return Err(not_here(&format!("the provider {by}"), &self.component));
            };
            around.push(Around {
                port: Arc::clone(port),
                caller: self.callers.of(by),
                request: request.clone(),
                taken: owed.taken_by.clone(),
            });
        }
        Ok(around)
    }
}

/// Tells the driver.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) component: ComponentId,
    pub(super) sender: mpsc::UnboundedSender<Message>,
}

impl Recorder {
    /// Waits for the driver's answer; none comes from one that is gone.
    async fn asked(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<()>>) -> Message,
    ) -> Result<()> {
        let gone = || Error::new(ErrorKind::JournalInUse, "the run is not driven any more");
        let (ack, answer) = oneshot::channel();
        self.sender.send(message(ack)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Record for Recorder {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        let component = self.component.clone();
        self.asked(|ack| Message::Record {
            component,
            event,
            ack,
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        self.asked(|ack| Message::MayBegin { ack }).await
    }

    fn progress(&self, progress: Progress) {
        // Progress may be lost.
        let _ = self.sender.send(Message::Progressed {
            component: self.component.clone(),
            progress,
        });
    }
}
