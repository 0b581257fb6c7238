//! The operation protocol over vCenter's tasks.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    Result,
    error::Failure,
    provider::{
        Baseline, Begun, ClusterDrainer, DrainRequest, Guarantee, Handle, Located, Observed, Op,
        OpContext, Operations, Prepared, Progress, Readiness, SubjectResult, Undo,
    },
};

use super::{
    VsphereCluster,
    doing::{Before, MEMORY, POLL, Running, V, method, reason, settled, unsupported},
    now::Now,
    ready::readiness,
};
use crate::client::{
    TaskState,
    soap::{Broken, Element},
    unreadable,
};

/// A call that was sent is a task within this time, or never one.
const CONSISTENCY: Duration = Duration::from_secs(10);

/// A system that was asked to shut down, or a cluster that was set anew, has done so by then or never does.
const QUIET: Duration = Duration::from_secs(5 * 60);

#[async_trait]
impl Operations<DrainRequest> for VsphereCluster {
    fn guarantee(&self, op: &Op<DrainRequest>) -> Guarantee {
        match op.request {
            // Doing them twice comes to the same, and what they come to can be read.
            DrainRequest::HoldSetting { .. }
            | DrainRequest::RestoreSetting { .. }
            | DrainRequest::ShutDown { suspend: false, .. } => {
                Guarantee::StateOnly { quiet_after: QUIET }
            }
            _ => Guarantee::Locatable {
                consistency_delay: CONSISTENCY,
                memory: MEMORY,
            },
        }
    }

    fn undo(&self, op: &Op<DrainRequest>) -> Undo<DrainRequest> {
        let taken = op.key.clone();
        match op.request.clone() {
            DrainRequest::HoldSetting { cluster, setting } => {
                match op.baseline.read::<Before>(V).ok().and_then(|b| b.setting) {
                    Some(to) => Undo::By(DrainRequest::RestoreSetting {
                        cluster,
                        setting,
                        to,
                        taken,
                    }),
                    None => Undo::Unavailable {
                        why: "nobody read what it was before".to_owned(),
                    },
                }
            }
            DrainRequest::ShutDown { vm, host, .. } => {
                Undo::By(DrainRequest::Start { vm, host, taken })
            }
            DrainRequest::EnterMaintenance { host } => {
                Undo::By(DrainRequest::ExitMaintenance { host, taken })
            }
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DrainRequest) -> Result<Prepared> {
        ctx.check()?;
        if !self.capabilities().claims(request) {
            return Err(unsupported(request).operation("prepare"));
        }
        let look = self.look(request).await?;
        let mut readiness = readiness(request, &look);
        if let (Readiness::Ready, DrainRequest::ExitMaintenance { host, .. }) =
            (&readiness, request)
            && let Some(other) = self.entered_by_another(host, look.at).await?
        {
            readiness = Readiness::ChangedMeanwhile {
                expected: format!("maintenance mode by {}", self.inner.vcenter.user().await),
                found: format!("maintenance mode by {other}"),
            };
        }
        let setting = match (request, &look.now) {
            (DrainRequest::HoldSetting { setting, .. }, Now::Cluster(now)) => {
                Some(now.word(*setting).to_owned())
            }
            _ => None,
        };
        let before = Before {
            since: look.at,
            tasks: look.tasks,
            setting,
        };
        let subject = request.subject().clone();
        let mut prepared = Prepared::ready(subject.clone(), Baseline::new(V, &before)?);
        prepared.subjects.insert(subject, readiness);
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Begun> {
        ctx.check()?;
        // What would stop work that is not ours is looked at once more: a vCenter itself only waits.
        if let DrainRequest::EnterMaintenance { .. } = op.request {
            match self.read_back(op).await? {
                Readiness::Blocked(blockers) => {
                    let first = blockers.into_iter().next().map(|b| b.failure);
                    if let Some(failure) = first {
                        return Ok(Begun::Refused(failure));
                    }
                }
                Readiness::AlreadyHolds(saw) => {
                    return Ok(Begun::Settled(settled(op, SubjectResult::Done(saw))));
                }
                _ => {}
            }
        }
        let call = self.call_of(op).await?;
        let answer = match self.inner.vcenter.try_call(&call).await? {
            Ok(answer) => answer,
            // A fault is an answer: nothing was begun.
            Err(fault) => {
                let what = format!("{}: {}", op.request.subject(), method(&op.request));
                return Ok(Begun::Refused(Failure::from(&fault.into_error(&what))));
            }
        };
        if method(&op.request) == "ShutdownGuest" {
            return Ok(Begun::Started(Running::handle(None)?));
        }
        let task = answer
            .child("returnval")
            .ok_or(Broken::NotSoap("the task"))
            .and_then(Element::moref)
            .map_err(|b| unreadable(method(&op.request), b))?;
        Ok(Begun::Started(Running::handle(Some(task.id.to_string()))?))
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Located> {
        ctx.check()?;
        if let Guarantee::Locatable { .. } = self.guarantee(op)
            && let Some(task) = self.task_of(op).await?
        {
            return Ok(match task.state {
                TaskState::Open => {
                    Located::Running(Running::handle(Some(task.object.id.to_string()))?)
                }
                _ => Located::Settled(self.over(op, &task).await?),
            });
        }
        Ok(match self.read_back(op).await? {
            Readiness::AlreadyHolds(saw) => Located::Settled(settled(op, SubjectResult::Done(saw))),
            _ => Located::NotFound,
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        ctx.check()?;
        let Some(id) = handle.read::<Running>(V)?.task else {
            return Ok(match self.read_back(op).await? {
                Readiness::AlreadyHolds(saw) => {
                    Observed::Settled(settled(op, SubjectResult::Done(saw)))
                }
                _ => Observed::Running {
                    progress: Progress::message("its system shuts down"),
                    poll_after: POLL,
                },
            });
        };
        match self.inner.vcenter.task(&id).await? {
            Some(task) => self.where_it_is(op, &task).await,
            // It ended some time ago: its history, or else the state, tells how.
            None => match self.task_of(op).await? {
                Some(task) => self.where_it_is(op, &task).await,
                None => Ok(match self.read_back(op).await? {
                    Readiness::AlreadyHolds(saw) => {
                        Observed::Settled(settled(op, SubjectResult::Done(saw)))
                    }
                    other => Observed::Lost {
                        why: format!("the vCenter knows no task {id}, and {}", reason(other)),
                    },
                }),
            },
        }
    }
}
