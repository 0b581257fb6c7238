//! One effect of a cluster's roll, on its way: it acts through the drainer, and tells the driver what it finds.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{
    driver::Message,
    ensure::{self, Ask, PATIENCE, Pause, READ_DEADLINE, Record},
    kernel::{
        ComponentEvent, Components, OpResult, RollEffect, RollEvent, RollInput, RollMoment,
        RollState, Task, replan, step_of_task,
    },
    patience::Patience,
    port::Port,
    supervise::Caller,
};
use crate::{
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, ProviderName},
    provider::{ClusterDrainer, ClusterView, OpContext, Progress},
};

/// A machine that is waited for is looked at this often.
const AWAITS: Duration = Duration::from_secs(30);

/// A cluster in which something moves is looked at this often before it is planned anew.
const SETTLES: Duration = Duration::from_secs(15);

/// And for this long: the largest machines move for an hour.
const SETTLED_BY: Duration = Duration::from_secs(2 * 3600);

/// Planning may take this long: it is bounded by its own effort.
const PLANNING: Duration = Duration::from_secs(10 * 60);

/// One effect of one cluster's roll.
pub(super) struct Rolling {
    pub(super) cluster: ComponentId,
    pub(super) task: Task,
    pub(super) by: ProviderName,
    pub(super) drainer: Option<Arc<dyn ClusterDrainer>>,
    pub(super) caller: Caller,
    pub(super) ctx: OpContext,
    /// What a new plan is made from.
    pub(super) from: Option<Box<From>>,
}

/// What a new plan is made from, beside the cluster as it is.
pub(super) struct From {
    pub(super) roll: RollState,
    /// Those of the cluster's hosts.
    pub(super) components: Components,
    pub(super) open: bool,
}

impl From {
    /// What the roll is planned anew from at this moment.
    pub(super) fn of(moment: &RollMoment<'_>) -> Box<Self> {
        let hosts = moment.roll.cluster.hosts.iter();
        let state = |host: &ComponentId| moment.components.get(host).cloned();
        Box::new(Self {
            roll: moment.roll.clone(),
            components: hosts
                .filter_map(|h| Some((h.id.clone(), state(&h.id)?)))
                .collect(),
            open: moment.open,
        })
    }
}

impl Rolling {
    /// What it finds.
    ///
    /// # Errors
    /// The journal's, and `NotFound`: its drainer is not part of this estate.
    pub(super) async fn run(self, effect: RollEffect, to: impl Record) -> Result<RollInput> {
        let Some(drainer) = self.drainer.clone() else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "{}, which drains {}, is not part of this estate",
                    self.by, self.cluster
                ),
            ));
        };
        Ok(match effect {
            RollEffect::Ensure {
                key,
                request,
                journaled,
            } => {
                let port = Port::drain(self.by.clone(), drainer);
                let ask = Ask {
                    step: step_of_task(&self.task),
                    key,
                    subject: request.subject().clone(),
                    request,
                    journaled,
                    give_back_by: None,
                    around: Vec::new(),
                };
                let made = ensure::ensure(&port, &self.caller, &self.ctx, ask, &to);
                RollInput::Operation(self.task, Box::pin(made).await?)
            }
            RollEffect::View => {
                let seen = self.view(&drainer).await;
                RollInput::Viewed(self.task, seen)
            }
            RollEffect::ViewLater => {
                self.ctx.sleep(AWAITS).await;
                let seen = self.view(&drainer).await;
                RollInput::Viewed(self.task, seen)
            }
            RollEffect::Plan => self.plan(&drainer).await,
        })
    }

    /// The cluster as it is; who does not answer is asked again for a while.
    async fn view(&self, drainer: &Arc<dyn ClusterDrainer>) -> Result<Box<ClusterView>, Failure> {
        let mut patience = Patience::of(&self.ctx, PATIENCE);
        let mut pause = Pause::new();
        loop {
            let what = format!("a view of {}", self.cluster);
            let (port, cluster) = (Arc::clone(drainer), self.cluster.clone());
            let seen = self
                .caller
                .call(&what, &self.ctx, READ_DEADLINE, |ctx| async move {
                    port.view(&ctx, &cluster).await
                });
            match seen.await {
                Ok(view) => return Ok(Box::new(view)),
                Err(error) if error.is_retryable() && !patience.is_over() => {
                    self.ctx.sleep(pause.next(error.retry())).await;
                }
                Err(error) => return Err(Failure::from(&error)),
            }
        }
    }

    /// What is in flight, by whomever, is waited for; then what is left is planned from what is there.
    async fn plan(mut self, drainer: &Arc<dyn ClusterDrainer>) -> RollInput {
        let Some(from) = self.from.take() else {
            let why = "nothing is known that it could be planned from".to_owned();
            return RollInput::NoPlan { why };
        };
        let mut patience = Patience::of(&self.ctx, SETTLED_BY);
        let view = loop {
            let view = match self.view(drainer).await {
                Ok(view) => view,
                Err(failure) => {
                    let why = format!("the cluster could not be read: {}", failure.message);
                    return RollInput::NoPlan { why };
                }
            };
            let moving = view.vms.iter().find(|(_, vm)| vm.moving_to.is_some());
            let Some((vm, _)) = moving else { break view };
            if patience.is_over() {
                let why = format!("{vm} is moving and does not arrive");
                return RollInput::NoPlan { why };
            }
            self.ctx.sleep(SETTLES).await;
        };
        let cluster = self.cluster.clone();
        let planning = self
            .caller
            .call("planning", &self.ctx, PLANNING, |ctx| async move {
                let moment = RollMoment {
                    cluster: &cluster,
                    roll: &from.roll,
                    components: &from.components,
                    open: from.open,
                    may_begin: true,
                    ending: false,
                    run: None,
                    now: ctx.now(),
                };
                Ok(replan(&moment, &view, &|| ctx.is_cancelled()))
            });
        planning
            .await
            .unwrap_or_else(|error| RollInput::NoPlan { why: error.chain() })
    }
}

/// The answer of an effect that broke off.
pub(super) fn unanswered(task: Task, error: &Error) -> RollInput {
    match task {
        Task::Plan => RollInput::NoPlan { why: error.chain() },
        Task::Close(_) | Task::AwaitEnd(_) => RollInput::Viewed(task, Err(Failure::from(error))),
        // Whoever panics inside an operation leaves it in a state that nobody knows.
        _ => RollInput::Operation(task, OpResult::Unknown { why: error.chain() }),
    }
}

/// Tells the driver.
pub(super) struct RollRecorder {
    pub(super) cluster: ComponentId,
    pub(super) task: Task,
    pub(super) sender: mpsc::UnboundedSender<Message>,
    pub(super) clock: crate::clock::SharedClock,
}

/// What an operation decides, as a decision about the roll.
///
/// # Errors
/// `ProviderFault`: it decides what only a component does.
pub(super) fn of_roll(task: &Task, event: ComponentEvent, at: Timestamp) -> Result<RollEvent> {
    let task = task.clone();
    Ok(match event {
        ComponentEvent::Intended {
            key,
            request,
            baseline,
            guarantee,
            undo,
            owes,
            ..
        } => RollEvent::Intended {
            task,
            key,
            request,
            baseline,
            guarantee,
            undo,
            owes,
            at,
        },
        ComponentEvent::Begun { handle } => RollEvent::Begun { task, handle },
        ComponentEvent::Stalled { why, .. } => RollEvent::Stalled { task, why },
        ComponentEvent::Moved => RollEvent::Moved { task },
        _ => {
            return Err(Error::new(
                ErrorKind::ProviderFault,
                "an operation of a roll decided what only a component decides",
            ));
        }
    })
}

impl RollRecorder {
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

impl Record for RollRecorder {
    async fn record(&self, event: ComponentEvent) -> Result<()> {
        let event = of_roll(&self.task, event, self.clock.now())?;
        let cluster = self.cluster.clone();
        self.asked(|ack| Message::RecordRoll {
            cluster,
            event,
            ack,
        })
        .await
    }

    async fn may_begin(&self) -> Result<()> {
        self.asked(|ack| Message::MayBegin { ack }).await
    }

    fn progress(&self, _: Progress) {}
}
