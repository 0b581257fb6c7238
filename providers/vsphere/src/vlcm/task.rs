//! Tasks of vLCM: what it works on, for which hosts, and what it says came of it.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{Error, ErrorKind, Result, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Checked, Notifications, SERVICE};
use crate::client::{ApiFault, Rest, VCenter, soap::MoRef, typed};

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskEnd {
    /// It waits or runs. So is a word that is not known: who waits for it has a deadline.
    Open,
    /// It waits for a person.
    Asks,
    Worked,
    Failed(ApiFault),
}

/// A task.
#[derive(Debug, Clone)]
pub(crate) struct ApiTask {
    pub(crate) id: String,
    /// `apply`, `stage`, `check`, `scan` or another verb.
    pub(crate) verb: String,
    /// Which cluster; none where the vCenter does not say.
    pub(crate) cluster: Option<String>,
    pub(crate) end: TaskEnd,
    pub(crate) percent: Option<u8>,
    /// When it began, by the vCenter's clock.
    pub(crate) began: Option<Timestamp>,
    pub(crate) user: Option<String>,
    /// The commit that was taken; none where it does not say yet.
    pub(crate) commit: Option<String>,
    /// The hosts that it is for; none where it does not say.
    pub(crate) hosts: Option<BTreeSet<String>>,
    /// What it says of each host.
    pub(crate) said: BTreeMap<String, HostSaid>,
    /// What a check came to; none while it is not over, and of other verbs.
    pub(crate) checked: Option<Checked>,
}

/// What a task says of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostSaid {
    /// `OK`, `ERROR`, `SKIPPED`, `TIMED_OUT`, `RUNNING` or `RETRY_PENDING`.
    pub(crate) word: String,
    pub(crate) why: Vec<String>,
}

#[derive(Deserialize)]
struct InfoBody {
    operation: String,
    status: String,
    #[serde(default)]
    target: Option<TargetBody>,
    #[serde(default)]
    progress: Option<ProgressBody>,
    #[serde(default)]
    start_time: Option<Timestamp>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    result: Option<Value>,
}

#[derive(Deserialize)]
struct TargetBody {
    id: String,
}

#[derive(Deserialize)]
struct ProgressBody {
    total: u64,
    completed: u64,
}

#[derive(Deserialize)]
struct ResultBody {
    #[serde(default)]
    commit: Option<String>,
    #[serde(default)]
    host_info: BTreeMap<String, Value>,
    #[serde(default)]
    host_status: BTreeMap<String, StatusBody>,
}

#[derive(Deserialize)]
struct StatusBody {
    status: String,
    #[serde(default)]
    notifications: Notifications,
}

impl ApiTask {
    pub(super) fn of(id: &str, info: Value) -> Result<Self> {
        let what = format!("task {id}");
        let info: InfoBody = typed(&what, info)?;
        // `apply$task`, with or without the name of the service before it.
        let verb = info.operation.rsplit('.').next().unwrap_or_default();
        let verb = verb.split('$').next().unwrap_or_default().to_owned();
        let is_of_hosts = matches!(&*verb, "apply" | "stage");
        let result = info.result.filter(Value::is_object);
        let checked = result.as_ref().filter(|_| verb == "check");
        let checked = checked.cloned().map(Checked::of).transpose()?;
        let result = result.filter(|_| is_of_hosts);
        let result: Option<ResultBody> = result.map(|result| typed(&what, result)).transpose()?;
        let (commit, hosts, said) = match result {
            None => (None, None, BTreeMap::new()),
            Some(result) => {
                let hosts = result.host_info.into_keys().collect();
                let said = result.host_status.into_iter().map(|(host, status)| {
                    let said = HostSaid {
                        word: status.status,
                        why: status.notifications.errors(),
                    };
                    (host, said)
                });
                (result.commit, Some(hosts), said.collect())
            }
        };
        Ok(Self {
            id: id.to_owned(),
            verb,
            cluster: info.target.map(|target| target.id),
            end: match &*info.status {
                "SUCCEEDED" => TaskEnd::Worked,
                "FAILED" => TaskEnd::Failed(ApiFault::of(&info.error.unwrap_or_default())),
                "BLOCKED" => TaskEnd::Asks,
                _ => TaskEnd::Open,
            },
            percent: info.progress.and_then(|p| {
                let percent = p.completed.saturating_mul(100).checked_div(p.total)?;
                u8::try_from(percent.min(100)).ok()
            }),
            began: info.start_time,
            user: info.user,
            commit,
            hosts,
            said,
            checked,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.end, TaskEnd::Open | TaskEnd::Asks)
    }

    /// Whether this user asked for it, as far as the task says who did.
    pub(crate) fn may_be_by(&self, user: &str) -> bool {
        let by = self.user.as_deref();
        by.is_none_or(|by| account(by) == account(user))
    }
}

/// `DOMAIN\user` and `user@domain` are one account.
fn account(user: &str) -> (String, String) {
    let lower = user.to_ascii_lowercase();
    let parts = lower.split_once('\\').or_else(|| {
        let (name, domain) = lower.split_once('@')?;
        Some((domain, name))
    });
    match parts {
        Some((domain, name)) => (domain.to_owned(), name.to_owned()),
        None => (String::new(), lower),
    }
}

impl VCenter {
    /// A task of vLCM; none where it is gone.
    pub(crate) async fn api_task(&self, id: &str) -> Result<Option<ApiTask>> {
        let call = Rest::get(["cis", "tasks", id]);
        match self.try_rest(&call).await? {
            Ok(info) => ApiTask::of(id, info).map(Some),
            Err(fault) if fault.kind == "NOT_FOUND" => Ok(None),
            Err(fault) => Err(fault.into_error(&format!("task {id}"))),
        }
    }

    /// The tasks of vLCM for a cluster that the vCenter still knows.
    pub(crate) async fn api_tasks(&self, cluster: &MoRef) -> Result<Vec<ApiTask>> {
        let call = Rest::get(["cis", "tasks"]).asking("services", SERVICE);
        let all: BTreeMap<String, Value> = self.rest(&call).await?;
        let read = all.into_iter().map(|(id, info)| ApiTask::of(&id, info));
        let all: Vec<ApiTask> = read.collect::<Result<_>>()?;
        // One that does not say whose it is may be of this cluster.
        let of_it = |task: &ApiTask| task.cluster.as_deref().is_none_or(|c| *c == *cluster.id);
        Ok(all.into_iter().filter(of_it).collect())
    }

    /// Asks a task to end. A vCenter may refuse it, and a task may be over before it hears.
    pub(crate) async fn cancel_api_task(&self, id: &str) -> Result<()> {
        let mut call = Rest::get(["cis", "tasks", id]);
        call.method = Method::POST;
        self.try_rest(&call).await.map(|_| ())
    }

    /// Asks for a task; the fault is the server's refusal.
    pub(crate) async fn start_api_task(&self, call: &Rest) -> Result<Result<String, ApiFault>> {
        Ok(match self.try_rest(call).await? {
            Ok(Value::String(id)) => Ok(id),
            Ok(other) => {
                return Err(Error::new(
                    ErrorKind::ProviderFault,
                    "the answer to a task's beginning cannot be read",
                )
                .expected("the id of a task")
                .found(other.to_string()));
            }
            Err(fault) => Err(fault),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_says_for_which_hosts_it_is_before_it_is_over() {
        let info = json!({"operation": "com.vmware.esx.settings.clusters.software.apply$task", "status": "RUNNING",
            "service": "s", "description": {}, "cancelable": false, "user": "VSPHERE.LOCAL\\Patcher",
            "progress": {"total": 200, "completed": 50, "message": {}},
            "result": {"commit": "7", "host_info": {"host-9": {"name": "a"}}, "host_status": {}}});
        let task = ApiTask::of("t", info).unwrap();
        assert_eq!((&*task.verb, task.percent), ("apply", Some(25)));
        assert_eq!(task.hosts, Some(["host-9".to_owned()].into()));
        assert!(task.is_open() && task.may_be_by("patcher@vsphere.local"));
        assert!(!task.may_be_by("maria@vsphere.local"));
    }

    #[test]
    fn a_word_that_is_not_known_is_no_end() {
        let info = json!({"operation": "apply", "status": "THINKING"});
        assert_eq!(ApiTask::of("t", info).unwrap().end, TaskEnd::Open);
        let info = json!({"operation": "apply", "status": "BLOCKED"});
        assert_eq!(ApiTask::of("t", info).unwrap().end, TaskEnd::Asks);
    }
}
