//! Tasks: what a vCenter works on, and what came of it.

use patchcore::{Result, Timestamp};

use super::{
    Found, Of, VCenter,
    soap::{Broken, Element, Fault, MoRef},
    unreadable,
};

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// It waits or runs.
    Open,
    /// It says that it worked.
    Worked,
    /// It says that it did not.
    Failed(Fault),
}

/// A task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) object: MoRef,
    /// What it works on.
    pub(crate) entity: Option<MoRef>,
    /// The method, such as `RelocateVM_Task`; tasks that a vCenter gives itself have none.
    pub(crate) method: Option<String>,
    /// What kind of work it is, such as `Drm.ExecuteVMotionLRO`.
    pub(crate) kind: Option<String>,
    pub(crate) state: TaskState,
    pub(crate) percent: Option<u8>,
    /// When it was asked for, by the vCenter's clock.
    pub(crate) queued: Option<Timestamp>,
    /// Who asked for it.
    pub(crate) user: Option<String>,
}

impl Task {
    /// Reads a `TaskInfo`.
    pub(super) fn of(info: &Element) -> Result<Self, Broken> {
        let object = info.child("task").ok_or_else(|| Broken::Missing {
            inside: "TaskInfo".to_owned(),
            name: "task".to_owned(),
        })?;
        let queued = info.text_of("queueTime").map(|text| {
            text.parse::<Timestamp>().map_err(|_| Broken::NotA {
                what: "date with a zone",
                name: "queueTime".to_owned(),
                found: text.to_owned(),
            })
        });
        Ok(Self {
            object: object.moref()?,
            entity: info.child("entity").map(Element::moref).transpose()?,
            method: info.text_of("name").map(str::to_owned),
            kind: info.text_of("descriptionId").map(str::to_owned),
            state: state(info.text_of("state"), info.child("error"))?,
            percent: percent(info.child("progress"))?,
            queued: queued.transpose()?,
            user: info
                .child("reason")
                .and_then(|reason| reason.text_of("userName"))
                .map(str::to_owned),
        })
    }

    /// Whether it moves a machine, whoever asked for it.
    pub(crate) fn moves(&self) -> bool {
        matches!(
            self.method.as_deref(),
            Some("MigrateVM_Task" | "RelocateVM_Task")
        ) || self.kind.as_deref() == Some("Drm.ExecuteVMotionLRO")
    }
}

/// `TaskInfo.state`: `queued`, `running`, `success` or `error`. A word that is not known counts as open: who waits
/// for it has a deadline, and reads the state of what it works on.
fn state(word: Option<&str>, error: Option<&Element>) -> Result<TaskState, Broken> {
    Ok(match word {
        Some("success") => TaskState::Worked,
        Some("error") => {
            let error = error.ok_or_else(|| Broken::Missing {
                inside: "a task that failed".to_owned(),
                name: "error".to_owned(),
            })?;
            TaskState::Failed(Fault::localized(error))
        }
        _ => TaskState::Open,
    })
}

pub(super) fn percent(progress: Option<&Element>) -> Result<Option<u8>, Broken> {
    progress
        .filter(|progress| !progress.text.is_empty())
        .map(Element::number)
        .transpose()
}

/// What of tasks is read beside each other; the whole `info` cannot be read by every client.
const OPEN_TASKS: &[&str] = &[
    "info.state",
    "info.entity",
    "info.name",
    "info.descriptionId",
];

impl VCenter {
    /// A task by what the vCenter calls it; none where it is gone: a vCenter forgets those that ended minutes ago.
    pub(crate) async fn task(&self, id: &str) -> Result<Option<Task>> {
        let object = MoRef::new("Task", id);
        let found = match self.try_read(&[Of::object(&object, &["info"])]).await? {
            Ok(found) => found,
            Err(fault) if &*fault.kind == "ManagedObjectNotFound" => return Ok(None),
            Err(fault) => return Err(fault.into_error(&format!("task {id}"))),
        };
        found
            .iter()
            .find_map(|found| found.get("info"))
            .map(Task::of)
            .transpose()
            .map_err(|broken| unreadable(&format!("task {id}"), broken))
    }

    /// What is read of the tasks that work now; [`open`] takes them out of what was read.
    pub(crate) fn recent_tasks(&self) -> Of<'_> {
        Of::object(&self.service().tasks, &[]).and_each("recentTask", "Task", OPEN_TASKS)
    }
}

/// What works now, among what was read: the object of each, and the task as far as it says what it does.
pub(crate) fn open(found: &[Found]) -> Result<Vec<Task>> {
    let open = |found: &Found| -> Result<Option<Task>, Broken> {
        if !matches!(found.text("info.state"), Some("queued" | "running")) {
            return Ok(None);
        }
        Ok(Some(Task {
            object: found.object.clone(),
            entity: found.get("info.entity").map(Element::moref).transpose()?,
            method: found.text("info.name").map(str::to_owned),
            kind: found.text("info.descriptionId").map(str::to_owned),
            state: TaskState::Open,
            percent: None,
            queued: None,
            user: None,
        }))
    };
    found
        .iter()
        .filter(|found| &*found.object.kind == "Task")
        .filter_map(|found| open(found).transpose())
        .collect::<Result<_, _>>()
        .map_err(|broken| unreadable("the recent tasks", broken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::soap::tree;

    fn task(inside: &str) -> Result<Task, Broken> {
        let text = format!(
            "<val xmlns:xsi=\"i\"><key>task-7</key><task type=\"Task\">task-7</task>{inside}</val>"
        );
        Task::of(&tree(&text).unwrap())
    }

    #[test]
    fn a_task_that_failed_says_why() {
        let task = task(
            "<name>RelocateVM_Task</name><state>error</state><error>\
             <fault xsi:type=\"NoCompatibleHost\"/><localizedMessage>No host fits.</localizedMessage></error>\
             <queueTime>2026-11-25T12:00:00.5Z</queueTime>\
             <reason xsi:type=\"TaskReasonUser\"><userName>us</userName></reason>",
        )
        .unwrap();
        let TaskState::Failed(fault) = &task.state else {
            panic!("{task:?}");
        };
        assert_eq!(fault.to_string(), "NoCompatibleHost: No host fits.");
        assert_eq!(task.user.as_deref(), Some("us"));
        assert_eq!(task.queued, "2026-11-25T12:00:00.5Z".parse().ok());
        assert!(task.moves());
    }

    #[test]
    fn what_a_vcenter_gives_itself_is_a_move_too() {
        let drs = task("<descriptionId>Drm.ExecuteVMotionLRO</descriptionId><state>running</state><progress>31</progress>").unwrap();
        assert!(drs.moves());
        assert_eq!(drs.percent, Some(31));
        let other = task("<name>PowerOnVM_Task</name><state>a new word</state>").unwrap();
        assert!(!other.moves());
        assert_eq!(other.state, TaskState::Open);
    }

    #[test]
    fn a_failure_without_a_cause_is_no_answer() {
        assert!(task("<state>error</state>").is_err());
        assert!(task("<state>success</state><queueTime>yesterday</queueTime>").is_err());
    }
}
