//! What was asked of an object since a moment: by it an operation is found again whose caller vanished.

use patchcore::{Error, ErrorKind, Result, Timestamp};

use super::{
    Task, VCenter,
    soap::{Broken, Call, Element, Fault, MoRef, Node},
    unreadable,
};

/// Tasks of one object since one moment: there are few.
const AT_ONCE: u32 = 100;

/// And never more than so many pages of them.
const PAGES: u32 = 20;

impl VCenter {
    /// The tasks of an object that were asked for since a moment of the vCenter's clock, oldest first. A vCenter keeps them for
    /// 30 days unless it is set otherwise (vCenter Server and Host Management, *Database Retention*).
    pub(crate) async fn doings(&self, object: &MoRef, since: Timestamp) -> Result<Vec<Task>> {
        let entity = Node::of(
            "entity",
            [
                Node::moref("entity", object),
                Node::text("recursion", "self"),
            ],
        );
        let time = Node::of(
            "time",
            [
                Node::text("timeType", "queuedTime"),
                Node::text("beginTime", since.to_string()),
            ],
        );
        let create = Call::new("CreateCollectorForTasks", &self.service().tasks)
            .with(Node::of("filter", [entity, time]));
        let what = format!("the tasks of {object:?}");
        let fault = |fault: Fault| fault.into_error(&what);
        let broken = |broken: Broken| unreadable(&what, broken);
        let collector = self
            .try_call(&create)
            .await?
            .map_err(fault)?
            .child("returnval")
            .ok_or(Broken::NotSoap("the collector"))
            .and_then(Element::moref)
            .map_err(broken)?;
        let read = self.read_tasks(&collector).await;
        // A vCenter has few collectors; what cannot be destroyed ends with the session.
        let _ = self
            .try_call(&Call::new("DestroyCollector", &collector))
            .await;
        let mut tasks = read?.map_err(fault)?;
        tasks.retain(|task| task.queued.is_none_or(|at| at >= since));
        Ok(tasks)
    }

    async fn read_tasks(&self, collector: &MoRef) -> Result<Result<Vec<Task>, Fault>> {
        // A new collector stands before its oldest item (vSphere Web Services API reference, *RewindCollector*).
        let mut tasks = Vec::new();
        for _ in 0..PAGES {
            let next =
                Call::new("ReadNextTasks", collector).with(Node::number("maxCount", AT_ONCE));
            let page = match self.try_call(&next).await? {
                Ok(page) => page,
                Err(fault) => return Ok(Err(fault)),
            };
            let before = tasks.len();
            for info in page.all("returnval") {
                let task =
                    Task::of(info).map_err(|broken| unreadable("the task history", broken))?;
                tasks.push(task);
            }
            if tasks.len() - before < AT_ONCE as usize {
                return Ok(Ok(tasks));
            }
        }
        Err(Error::new(
            ErrorKind::ProviderFault,
            "the object has more tasks than can be looked through",
        )
        .expected(format!(
            "at most {} since the operation began",
            AT_ONCE * PAGES
        ))
        .found("more")
        .hint("look at its task list, and resolve the operation by hand"))
    }
}
