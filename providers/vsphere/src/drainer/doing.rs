//! One operation as a call and as a task: how it is asked for, found again and judged.

use std::{collections::HashMap, time::Duration};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    error::Failure,
    id::ComponentId,
    provider::{
        DrainRequest, Evidence, Handle, MoveKind, Observed, Op, OpContext, Progress, Readiness,
        Settled, SubjectResult,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    VsphereCluster,
    ready::{is_out, readiness, runs_on},
    settings::{held, spec},
};
use crate::client::{
    HOST_OF, MAINTENANCE, POWER, Task, TaskState,
    soap::{Call, MoRef, Node},
};

/// The version of the shape of baselines and handles.
pub(super) const V: u16 = 1;

/// A vCenter keeps its tasks for 30 days unless it is set otherwise (vCenter Server and Host Management, *Database
/// Retention*); less than this is told in the README as not supported.
pub(super) const MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long an empty host may take: vSAN may move what keeps its objects accessible.
const ENTER_S: u32 = 30 * 60;

/// How often a task is looked at where the vCenter does not tell by itself what changes.
const POLL: Duration = Duration::from_secs(2);

/// After a wait for what changes the next begins at once.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// What was there before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    /// The vCenter's time when it was prepared, to the second.
    pub(super) since: Timestamp,
    /// Tasks of the subject that there were: none of them is ours.
    pub(super) tasks: Vec<String>,
    /// The word of the setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) setting: Option<String>,
}

/// By what it is found again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Running {
    /// The task; none where the guest's own system does it.
    pub(super) task: Option<String>,
}

impl Running {
    pub(super) fn handle(task: Option<String>) -> Result<Handle> {
        Handle::new(V, &Self { task })
    }
}

/// The method by which a request is carried out.
pub(super) fn method(request: &DrainRequest) -> &'static str {
    match request {
        DrainRequest::Migrate { .. } => "RelocateVM_Task",
        DrainRequest::ShutDown { suspend: true, .. } => "SuspendVM_Task",
        DrainRequest::ShutDown { .. } => "ShutdownGuest",
        DrainRequest::Start { .. } => "PowerOnVM_Task",
        DrainRequest::EnterMaintenance { .. } => "EnterMaintenanceMode_Task",
        DrainRequest::ExitMaintenance { .. } => "ExitMaintenanceMode_Task",
        _ => "ReconfigureComputeResource_Task",
    }
}

pub(super) fn settled(op: &Op<DrainRequest>, result: SubjectResult) -> Settled {
    Settled {
        subjects: [(op.request.subject().clone(), result)].into(),
    }
}

/// It is not over.
pub(super) fn running(task: Option<&str>, percent: Option<u8>, poll_after: Duration) -> Observed {
    let message = task.is_none().then(|| "its system shuts down".to_owned());
    Observed::Running {
        progress: Progress { percent, message },
        poll_after,
    }
}

fn failed(op: &Op<DrainRequest>, error: &Error) -> Settled {
    settled(op, SubjectResult::Failed(Failure::from(error)))
}

/// What a person reads of a state that is not the wanted one.
pub(super) fn reason(readiness: Readiness) -> String {
    match readiness {
        Readiness::Blocked(blockers) => blockers
            .iter()
            .map(|blocker| blocker.failure.to_string())
            .collect::<Vec<_>>()
            .join("; "),
        Readiness::ChangedMeanwhile { found, .. } => found,
        _ => "it is as it was before".to_owned(),
    }
}

impl VsphereCluster {
    /// Whether what is wanted is so, and otherwise what stands against it.
    pub(super) async fn read_back(&self, op: &Op<DrainRequest>) -> Result<Readiness> {
        Ok(readiness(&op.request, &self.look(&op.request).await?))
    }

    /// A task that is over: its word is a hint, the state is what counts.
    pub(super) async fn over(&self, op: &Op<DrainRequest>, task: &Task) -> Result<Settled> {
        let claimed = match &task.state {
            TaskState::Failed(fault) => fault.to_string(),
            _ => "success".to_owned(),
        };
        Ok(match (self.read_back(op).await?, &task.state) {
            (Readiness::AlreadyHolds(saw), _) => {
                settled(op, SubjectResult::Done(saw.with_claim(claimed)))
            }
            (_, TaskState::Failed(fault)) => {
                let what = format!("{}: {}", op.request.subject(), method(&op.request));
                failed(op, &fault.clone().into_error(&what))
            }
            (other, _) => failed(
                op,
                &Error::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "{}: the task {} says that it worked, and it did not",
                        op.request.subject(),
                        task.object.id
                    ),
                )
                .found(reason(other))
                .hint("look at the task in the vSphere client"),
            ),
        })
    }

    pub(super) async fn call_of(&self, op: &Op<DrainRequest>) -> Result<Call> {
        let subject = op.request.subject();
        Ok(match &op.request {
            DrainRequest::Migrate { to, .. } => {
                let (vm, to) = (self.object_of(subject).await?, self.object_of(to).await?);
                Call::new(method(&op.request), &vm)
                    .with(Node::of("spec", [Node::moref("host", &to)]))
                    .with(Node::text("priority", "highPriority"))
            }
            DrainRequest::ShutDown { .. } => {
                Call::new(method(&op.request), &self.object_of(subject).await?)
            }
            DrainRequest::Start { host, .. } => {
                let (vm, host) = (self.object_of(subject).await?, self.object_of(host).await?);
                Call::new(method(&op.request), &vm).with(Node::moref("host", &host))
            }
            DrainRequest::EnterMaintenance { .. } => {
                Call::new(method(&op.request), &self.object_of(subject).await?)
                    .with(Node::number("timeout", ENTER_S))
                    .with(Node::truth("evacuatePoweredOffVms", false))
            }
            DrainRequest::ExitMaintenance { .. } => {
                Call::new(method(&op.request), &self.object_of(subject).await?)
                    .with(Node::number("timeout", ENTER_S))
            }
            DrainRequest::HoldSetting { setting, .. } => {
                let was = op.baseline.read::<Before>(V)?.setting.unwrap_or_default();
                self.reconfigure(spec(*setting, &held(*setting, &was)), &was)?
            }
            DrainRequest::RestoreSetting { setting, to, .. } => {
                self.reconfigure(spec(*setting, to), to)?
            }
            other => return Err(unsupported(other)),
        })
    }

    fn reconfigure(&self, part: Option<Node>, word: &str) -> Result<Call> {
        let part = part.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "no setting of a cluster has this word",
            )
            .expected("a word that this provider read")
            .found(word)
        })?;
        Ok(
            Call::new("ReconfigureComputeResource_Task", &self.inner.object)
                .with(Node::of("spec", [part]).typed("ClusterConfigSpecEx"))
                // The rest of the configuration stays as it is.
                .with(Node::truth("modify", true)),
        )
    }

    /// The object whose properties an operation changes.
    pub(super) async fn changed_by(&self, op: &Op<DrainRequest>) -> Result<MoRef> {
        match &op.request {
            DrainRequest::HoldSetting { .. } | DrainRequest::RestoreSetting { .. } => {
                Ok(self.inner.object.clone())
            }
            other => self.object_of(other.subject()).await,
        }
    }

    /// That what was wanted is so, by what the vCenter told of it since it was begun; the rest is read.
    pub(super) async fn seen(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        values: &HashMap<Box<str>, Box<str>>,
    ) -> Result<Option<Evidence>> {
        if let DrainRequest::Migrate { vm, to, .. } = &op.request {
            let there = self.object_of(to).await?;
            let is = |path, word: &str| values.get(path).is_some_and(|value| **value == *word);
            let arrived = is(HOST_OF, &there.id) && is(POWER, "poweredOn");
            return Ok(arrived.then(|| runs_on(ctx.now(), vm, to)));
        }
        if let DrainRequest::ExitMaintenance { host, .. } = &op.request {
            let out = values.get(MAINTENANCE).is_some_and(|is| **is == *"false");
            return Ok(out.then(|| is_out(ctx.now(), host)));
        }
        Ok(match self.read_back(op).await? {
            Readiness::AlreadyHolds(saw) => Some(saw),
            _ => None,
        })
    }

    /// Looks at the task of an operation, and at what it was for where that is over.
    pub(super) async fn looked_at(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        task: Option<&str>,
    ) -> Result<Observed> {
        let Some(id) = task else {
            return Ok(match self.read_back(op).await? {
                Readiness::AlreadyHolds(saw) => {
                    Observed::Settled(settled(op, SubjectResult::Done(saw)))
                }
                _ => running(None, None, self.pause(ctx)),
            });
        };
        match self.inner.vcenter.task(id).await? {
            Some(task) => self.where_it_is(ctx, op, &task).await,
            // It ended some time ago: its history, or else the state, tells how.
            None => match self.task_of(op).await? {
                Some(task) => self.where_it_is(ctx, op, &task).await,
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

    /// The task of an operation, by who asked for it, for what, and since when. The newest, where a call of ours
    /// arrived twice.
    pub(super) async fn task_of(&self, op: &Op<DrainRequest>) -> Result<Option<Task>> {
        let before: Before = op.baseline.read(V)?;
        let object = self.changed_by(op).await?;
        let user = self.inner.vcenter.user().await;
        let doings = self.inner.vcenter.doings(&object, before.since).await?;
        Ok(doings.into_iter().rev().find(|task| {
            task.method.as_deref() == Some(method(&op.request))
                && task
                    .user
                    .as_deref()
                    .is_some_and(|by| by.eq_ignore_ascii_case(&user))
                && !before.tasks.iter().any(|known| **known == *task.object.id)
        }))
    }

    /// Who put a host into maintenance mode last, where that was not us; none where its tasks do not tell.
    pub(super) async fn entered_by_another(
        &self,
        host: &ComponentId,
        at: Timestamp,
    ) -> Result<Option<String>> {
        let by = self.entered_by(host, at).await?;
        let us = self.inner.vcenter.user().await;
        Ok(by.filter(|by| !by.eq_ignore_ascii_case(&us)))
    }

    /// Who put a host into maintenance mode last; none where the vCenter does not know any more.
    pub(crate) async fn entered_by(
        &self,
        host: &ComponentId,
        at: Timestamp,
    ) -> Result<Option<String>> {
        let since = at.checked_sub(MEMORY).unwrap_or(Timestamp::MIN);
        let doings = self
            .inner
            .vcenter
            .doings(&self.object_of(host).await?, since)
            .await?;
        let entered = |task: &&Task| {
            task.method.as_deref() == Some("EnterMaintenanceMode_Task")
                && task.state == TaskState::Worked
        };
        let last = doings.iter().rev().find(entered);
        Ok(last.and_then(|task| task.user.clone()))
    }

    /// When to ask again: soon for the next wait, later where nothing is told.
    fn pause(&self, ctx: &OpContext) -> Duration {
        match self.inner.follower.is_told(ctx) {
            true => AGAIN,
            false => POLL,
        }
    }

    async fn where_it_is(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        task: &Task,
    ) -> Result<Observed> {
        Ok(match &task.state {
            TaskState::Open => running(Some(&*task.object.id), task.percent, self.pause(ctx)),
            _ => Observed::Settled(self.over(op, task).await?),
        })
    }
}

pub(super) fn unsupported(request: &DrainRequest) -> Error {
    let what = match request {
        DrainRequest::Migrate {
            how: MoveKind::Cold,
            ..
        } => "moving a machine that is stopped meanwhile",
        DrainRequest::Migrate { .. } => "moving a machine with its disks",
        _ => "this request",
    };
    Error::new(
        ErrorKind::Unsupported,
        format!("{what} is not offered for a cluster of a vCenter"),
    )
    .consequence("nothing was begun")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_a_task_or_the_guest() {
        let handle = Running::handle(Some("task-7".to_owned())).unwrap();
        assert_eq!(
            handle.read::<Running>(V).unwrap().task.as_deref(),
            Some("task-7")
        );
        assert_eq!(
            Running::handle(None)
                .unwrap()
                .read::<Running>(V)
                .unwrap()
                .task,
            None
        );
    }
}
