//! One operation as a call and as a task: how it is asked for, found again and judged.

use std::time::Duration;

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    error::Failure,
    id::ComponentId,
    provider::{
        DrainRequest, Handle, MoveKind, Observed, Op, Progress, Readiness, Settled, SubjectResult,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    VsphereCluster,
    ready::readiness,
    settings::{held, spec},
};
use crate::client::{
    Task, TaskState,
    soap::{Call, Node},
};

/// The version of the shape of baselines and handles.
pub(super) const V: u16 = 1;

/// A vCenter keeps its tasks for 30 days unless it is set otherwise (vCenter Server and Host Management, *Database
/// Retention*); less than this is told in the README as not supported.
pub(super) const MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long an empty host may take: vSAN may move what keeps its objects accessible.
const ENTER_S: u32 = 30 * 60;

/// How often a task is looked at.
pub(super) const POLL: Duration = Duration::from_secs(2);

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

    /// The task of an operation, by who asked for it, for what, and since when. The newest, where a call of ours
    /// arrived twice.
    pub(super) async fn task_of(&self, op: &Op<DrainRequest>) -> Result<Option<Task>> {
        let before: Before = op.baseline.read(V)?;
        let object = match &op.request {
            DrainRequest::HoldSetting { .. } | DrainRequest::RestoreSetting { .. } => {
                self.inner.object.clone()
            }
            other => self.object_of(other.subject()).await?,
        };
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
        let by = doings
            .iter()
            .rev()
            .find(entered)
            .and_then(|t| t.user.clone());
        let us = self.inner.vcenter.user().await;
        Ok(by.filter(|by| !by.eq_ignore_ascii_case(&us)))
    }

    pub(super) async fn where_it_is(&self, op: &Op<DrainRequest>, task: &Task) -> Result<Observed> {
        Ok(match &task.state {
            TaskState::Open => Observed::Running {
                progress: Progress {
                    percent: task.percent,
                    message: None,
                },
                poll_after: POLL,
            },
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
