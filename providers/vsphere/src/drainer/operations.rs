//! The operation protocol over vCenter's tasks.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    Result,
    error::Failure,
    provider::{
        Baseline, Begun, ClusterDrainer, DrainRequest, Guarantee, Handle, Located, Observed, Op,
        OpContext, Operations, Prepared, Readiness, SubjectResult, Undo,
    },
};

use super::{
    VsphereCluster,
    doing::{AGAIN, Before, MEMORY, Running, V, method, running, settled, unsupported},
    now::Now,
    ready::readiness,
};
use crate::client::{
    News, TaskState,
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
            DrainRequest::HoldSetting {
                cluster, setting, ..
            } => match op.baseline.read::<Before>(V).ok().and_then(|b| b.setting) {
                Some(to) => Undo::By(DrainRequest::RestoreSetting {
                    cluster,
                    setting,
                    to,
                    taken,
                }),
                None => Undo::Unavailable {
                    why: "nobody read what it was before".to_owned(),
                },
            },
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
        if let DrainRequest::HoldSetting { hosts, .. } = request {
            // It is the first that a roll does to its cluster: nothing was done to a machine yet.
            let blockers = self.check(ctx, hosts).await?;
            if !blockers.is_empty() {
                readiness = Readiness::Blocked(blockers);
            }
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
        if readiness == Readiness::Ready {
            self.inner.fresh.prepared(ctx);
        }
        let subject = request.subject().clone();
        let mut prepared = Prepared::ready(subject.clone(), Baseline::new(V, &before)?);
        prepared.subjects.insert(subject, readiness);
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Begun> {
        ctx.check()?;
        self.inner.fresh.take(ctx, &op.key);
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
        let since = self.inner.follower.now();
        let answer = match self.inner.vcenter.try_call(&call).await? {
            Ok(answer) => answer,
            // A fault is an answer: nothing was begun.
            Err(fault) => {
                let what = format!("{}: {}", op.request.subject(), method(&op.request));
                return Ok(Begun::Refused(Failure::from(&fault.into_error(&what))));
            }
        };
        match &op.request {
            DrainRequest::EnterMaintenance { host } => {
                self.inner.closed.lock().await.insert(host.clone());
            }
            DrainRequest::ExitMaintenance { host, .. } => {
                self.inner.closed.lock().await.remove(host);
            }
            _ => {}
        }
        if method(&op.request) == "ShutdownGuest" {
            self.inner.follower.follow(ctx, &call.this.id, false, since);
            return Ok(Begun::Started(Running::handle(None)?));
        }
        let task = answer
            .child("returnval")
            .ok_or(Broken::NotSoap("the task"))
            .and_then(Element::moref)
            .map_err(|b| unreadable(method(&op.request), b))?;
        self.inner.follower.follow(ctx, &task.id, true, since);
        Ok(Begun::Started(Running::handle(Some(task.id.to_string()))?))
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Located> {
        ctx.check()?;
        if self.inner.fresh.is(ctx, &op.key) {
            return Ok(Located::NotFound);
        }
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
        let task = handle.read::<Running>(V)?.task;
        let object = self.changed_by(op).await?;
        let key = task.as_deref().unwrap_or(&object.id);
        let follower = &self.inner.follower;
        if follower.follows(key) {
            loop {
                match follower
                    .news(&self.inner.vcenter, ctx, key, &object)
                    .await?
                {
                    News::Changed(values) => {
                        if let Some(saw) = self.seen(ctx, op, &values).await? {
                            follower.forget(key, task.is_some());
                            let done = SubjectResult::Done(saw);
                            return Ok(Observed::Settled(settled(op, done)));
                        }
                    }
                    News::Nothing(percent) => return Ok(running(task.as_deref(), percent, AGAIN)),
                    News::Over | News::Refused => break,
                }
            }
        } else {
            // After a restart it is looked at first.
            follower.follow(ctx, key, task.is_some(), follower.now());
        }
        let observed = self.looked_at(ctx, op, task.as_deref()).await?;
        if !matches!(observed, Observed::Running { .. }) {
            follower.forget(key, false);
        }
        Ok(observed)
    }
}
