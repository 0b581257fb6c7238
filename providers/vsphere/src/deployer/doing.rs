//! One operation of vLCM: how it is asked for, found again and judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    error::Failure,
    estate::Impact,
    id::ComponentId,
    provider::{
        Begun, Change, DeployRequest, Handle, Observed, Op, OpContext, PortRequest, Progress,
        Question, Readiness, Settled, SubjectResult,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    now::{HostNow, Look},
    over,
    ready::{readiness, wanted},
};
use crate::{
    client::Rest,
    drainer::VsphereCluster,
    vlcm::{self, ApiTask, Policies, TaskEnd},
};

/// The version of the shape of baselines and handles.
pub(super) const V: u16 = 1;

/// How often a task is looked at.
const POLL: Duration = Duration::from_secs(2);

/// vLCM works on one cluster for one caller at a time. Who waits for longer than this is told.
const TURN: Duration = Duration::from_secs(60 * 60);

/// For so long a vCenter that does not answer is asked again, as long as nothing was sent that changes anything.
const SILENT: Duration = Duration::from_secs(5 * 60);

/// What was there before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    /// The vCenter's time when it was prepared, to the second.
    pub(super) since: Timestamp,
    /// Tasks of vLCM that there were: none of them is ours.
    pub(super) tasks: Vec<String>,
    /// The state of the image that the hosts were compared to.
    pub(super) commit: Option<String>,
    /// What vLCM does by itself around a host.
    pub(super) policies: Option<Policies>,
    pub(super) hosts: BTreeMap<ComponentId, HostBefore>,
}

/// A host before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HostBefore {
    /// What the vCenter calls it.
    pub(super) id: String,
    pub(super) boot: Option<String>,
    /// Whether it must restart for the image to be in effect.
    pub(super) restarts: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Running {
    task: String,
}

fn handle(task: &ApiTask) -> Result<Handle> {
    let task = task.id.clone();
    Handle::new(V, &Running { task })
}

impl Before {
    pub(super) fn of(look: &Look) -> Self {
        let hosts = look.hosts.iter().filter_map(|(id, host)| {
            let host = host.as_ref().ok()?;
            let impact = look.compliance(host).and_then(|c| c.impact);
            let before = HostBefore {
                id: host.object.id.to_string(),
                boot: host.boot.clone(),
                // What nobody says takes a restart.
                restarts: impact.is_none_or(|impact| impact >= Impact::Reboot),
            };
            Some((id.clone(), before))
        });
        Self {
            since: look.at,
            tasks: look.tasks.iter().map(|task| task.id.clone()).collect(),
            commit: look
                .image
                .as_ref()
                .and_then(|i| i.compliance.commit.clone()),
            policies: look.policies.clone(),
            hosts: hosts.collect(),
        }
    }
}

/// The verb of vLCM by which a request is carried out.
fn verb(request: &DeployRequest) -> &'static str {
    match request {
        DeployRequest::Stage { .. } => "stage",
        DeployRequest::Apply { .. } => "apply",
        _ => "scan",
    }
}

fn changes(request: &DeployRequest) -> &[Change] {
    match request {
        DeployRequest::Stage { changes } | DeployRequest::Apply { changes, .. } => changes,
        _ => &[],
    }
}

/// Whether a task is that of an operation: by its verb, who asked for it, since when, and for which hosts.
fn is_of(op: &Op<DeployRequest>, before: &Before, task: &ApiTask, user: &str) -> bool {
    let ids: BTreeSet<String> = before.hosts.values().map(|host| host.id.clone()).collect();
    let hosts = match &task.hosts {
        Some(hosts) => *hosts == ids,
        // A scan is of all hosts; of another verb nobody can say yet whose it is.
        None => verb(&op.request) == "scan",
    };
    task.verb == verb(&op.request)
        && hosts
        && task.may_be_by(user)
        && task.began.is_none_or(|began| began >= before.since)
        && !before.tasks.contains(&task.id)
}

impl VsphereCluster {
    fn api_call_of(&self, op: &Op<DeployRequest>, before: &Before) -> Rest {
        let cluster = &self.inner.object;
        let hosts: Vec<&str> = before.hosts.values().map(|host| &*host.id).collect();
        let commit = before.commit.as_deref().unwrap_or_default();
        match verb(&op.request) {
            "stage" => vlcm::stage(cluster, commit, &hosts),
            "apply" => vlcm::apply(cluster, commit, &hosts),
            _ => vlcm::scan(cluster),
        }
    }

    /// Begins it when it is its turn: vLCM refuses a second operation on a cluster while one runs, so that several of
    /// ours wait for each other here, and for those of others.
    pub(super) async fn begin_in_turn(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        let before: Before = op.baseline.read(V)?;
        let refused = |error: &Error| Ok(Begun::Refused(Failure::from(error)));
        let until = ctx.now() + TURN;
        let _turn = self.inner.turn.lock().await;
        if self.inner.fresh.take(ctx, &op.key) && self.still_so(op).await.unwrap_or(false) {
            match self.send(op, &before).await? {
                Sent::Task(task) => return self.started(&task),
                Sent::Settled(settled) => return Ok(Begun::Settled(settled)),
                // Whose turn it is, and what else stands against it, is looked at below.
                Sent::Refused(_) => {}
            }
        }
        let mut heard = ctx.now();
        loop {
            // Nothing was sent.
            if let Err(error) = ctx.check() {
                return refused(&error);
            }
            let look = match self.look_at(&op.request).await {
                Ok(look) => look,
                Err(error) if error.is_retryable() && ctx.now() < heard + SILENT => {
                    ctx.sleep(POLL).await;
                    continue;
                }
                Err(error) => return refused(&error),
            };
            heard = ctx.now();
            let user = self.inner.vcenter.user().await;
            let ours = |task: &&ApiTask| task.is_open() && is_of(op, &before, task, &user);
            if let Some(task) = look.tasks.iter().find(ours) {
                let task = task.id.clone();
                return self.started(&Running { task });
            }
            let (mut waits, mut holds) = (false, true);
            for subject in op.request.subjects() {
                let readiness = readiness(&op.request, &subject, &look);
                holds &= matches!(readiness, Readiness::AlreadyHolds(_));
                if let Readiness::Blocked(blockers) = readiness {
                    let mut blockers = blockers.into_iter();
                    match blockers.find(|blocker| !blocker.passes) {
                        Some(stands) => return Ok(Begun::Refused(stands.failure)),
                        None => waits = true,
                    }
                }
            }
            if holds {
                let settled = self.judged(op, &before, None).await?;
                return Ok(Begun::Settled(settled));
            }
            if !waits {
                match self.send(op, &before).await? {
                    Sent::Task(task) => return self.started(&task),
                    Sent::Settled(settled) => return Ok(Begun::Settled(settled)),
                    Sent::Refused(error) if error.kind() != ErrorKind::Busy => {
                        return refused(&error);
                    }
                    Sent::Refused(_) => waits = true,
                }
            }
            if waits && ctx.now() >= until {
                return Ok(Begun::Refused(busy(op)));
            }
            ctx.sleep(POLL).await;
        }
    }

    fn started(&self, running: &Running) -> Result<Begun> {
        self.inner.asked.begins(&running.task);
        Ok(Begun::Started(Handle::new(V, running)?))
    }

    /// Whether hosts that were looked at a moment ago are still as they are to be when it begins: of the image, its
    /// policies and who works on the cluster only that moment's look is known.
    async fn still_so(&self, op: &Op<DeployRequest>) -> Result<bool> {
        if !matches!(op.request, DeployRequest::Apply { .. }) {
            return Ok(true);
        }
        let (hosts, _) = self.hosts_now(&op.request.subjects(), true).await?;
        for change in changes(&op.request) {
            let Some(Ok(host)) = hosts.get(&change.component) else {
                return Ok(false);
            };
            let (from, _) = wanted(change)?;
            let drained = host.connected && host.maintenance && host.running.is_empty();
            if !drained || from.is_some_and(|from| host.version.as_ref() != Some(from)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send(&self, op: &Op<DeployRequest>, before: &Before) -> Result<Sent> {
        let call = self.api_call_of(op, before);
        Ok(match self.inner.vcenter.start_api_task(&call).await? {
            Ok(task) => Sent::Task(Running { task }),
            Err(fault) if fault.kind == "ALREADY_IN_DESIRED_STATE" => {
                Sent::Settled(self.judged(op, before, None).await?)
            }
            Err(fault) => Sent::Refused(fault.into_error(&format!("vLCM: {}", verb(&op.request)))),
        })
    }

    /// The task of an operation; the newest, where a call of ours arrived twice.
    pub(super) async fn api_task_of(
        &self,
        op: &Op<DeployRequest>,
        before: &Before,
    ) -> Result<Option<ApiTask>> {
        let user = self.inner.vcenter.user().await;
        let all = self.inner.vcenter.api_tasks(&self.inner.object).await?;
        let ours = all.into_iter().filter(|t| is_of(op, before, t, &user));
        Ok(ours.max_by_key(|task| task.began))
    }

    pub(super) async fn api_where_it_is(
        &self,
        op: &Op<DeployRequest>,
        before: &Before,
        task: &ApiTask,
    ) -> Result<Observed> {
        Ok(match &task.end {
            TaskEnd::Open => Observed::Running {
                progress: Progress {
                    percent: task.percent,
                    message: None,
                },
                poll_after: self.inner.asked.next(&task.id),
            },
            TaskEnd::Asks => Observed::NeedsPerson(Question {
                id: task.id.clone(),
                text: format!("vLCM waits for a person in task {}", task.id),
                choices: Vec::new(),
            }),
            _ => {
                let settled = self.judged(op, before, Some(task)).await?;
                self.inner.asked.over(&task.id);
                Observed::Settled(settled)
            }
        })
    }

    pub(super) async fn observed(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let before: Before = op.baseline.read(V)?;
        let id = handle.read::<Running>(V)?.task;
        if let Some(pause) = self.inner.asked.began(&id) {
            // It takes at least so long.
            ctx.sleep(pause).await;
        }
        match self.inner.vcenter.api_task(&id).await? {
            Some(task) => self.api_where_it_is(op, &before, &task).await,
            None => match self.holds(op, &before).await? {
                Some(settled) => Ok(Observed::Settled(settled)),
                None => Ok(Observed::Lost {
                    why: format!("the vCenter knows no task {id}, and what it was for is not so"),
                }),
            },
        }
    }

    pub(super) fn handle_of(task: &ApiTask) -> Result<Handle> {
        handle(task)
    }

    /// The result where what was wanted is so for every subject, whoever did it.
    pub(super) async fn holds(
        &self,
        op: &Op<DeployRequest>,
        before: &Before,
    ) -> Result<Option<Settled>> {
        let settled = self.judged(op, before, None).await?;
        let done = |result: &SubjectResult| matches!(result, SubjectResult::Done(_));
        Ok(settled.subjects.values().all(done).then_some(settled))
    }

    /// What came of it, read anew.
    pub(super) async fn judged(
        &self,
        op: &Op<DeployRequest>,
        before: &Before,
        task: Option<&ApiTask>,
    ) -> Result<Settled> {
        let subjects = op.request.subjects();
        let (hosts, at) = self.hosts_now(&subjects, false).await?;
        let compared = match &op.request {
            DeployRequest::Apply { .. } => None,
            _ => match self.inner.vcenter.compliance(&self.inner.object).await {
                Ok(compared) => Some(compared),
                // It is not managed by an image any more.
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        };
        let mut settled = Settled::default();
        for subject in subjects {
            let host: &HostNow = match hosts.get(&subject) {
                Some(Ok(host)) => host,
                Some(Err(error)) => {
                    settled
                        .subjects
                        .insert(subject, SubjectResult::Failed(Failure::from(error)));
                    continue;
                }
                None => continue,
            };
            let Some(was) = before.hosts.get(&subject) else {
                continue;
            };
            let change = changes(&op.request).iter().find(|c| c.component == subject);
            let to = change.map(wanted).transpose()?.map(|(_, to)| to);
            let commit = before.commit.as_deref();
            let compared = compared.as_ref();
            let of_host = compared.and_then(|c| c.hosts.get(&was.id));
            let result = match (&op.request, to) {
                (DeployRequest::Apply { .. }, Some(to)) => {
                    over::applied(&subject, was, to, host, commit, task, at)
                }
                (DeployRequest::Stage { .. }, Some(to)) => {
                    let staged = of_host.is_some_and(|c| c.staged && c.target == *to);
                    over::staged(&subject, was, to, staged, task, at)
                }
                _ => over::compared(&subject, compared.map(|c| c.at), before.since, task, at),
            };
            settled.subjects.insert(subject, result);
        }
        Ok(settled)
    }
}

/// What is said where it never was its turn.
fn busy(op: &Op<DeployRequest>) -> Failure {
    Failure::from(
        &Error::new(
            ErrorKind::Busy,
            format!(
                "vLCM works on the cluster for others: {} waited",
                verb(&op.request)
            ),
        )
        .expected(format!("its turn within {} min", TURN.as_secs() / 60))
        .found("another operation")
        .consequence("nothing was begun")
        .hint("look at the cluster's tasks in the vSphere client")
        .retryable(None),
    )
}

enum Sent {
    Task(Running),
    Settled(Settled),
    Refused(Error),
}
