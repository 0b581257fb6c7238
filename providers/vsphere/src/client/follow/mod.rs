//! What changes in a cluster, as the vCenter tells it: whoever waits for a task asks once, however long it takes.
//!
//! One collector of properties for a cluster and a login (vSphere Web Services SDK programming guide, *PropertyCollector*)
//! watches where each machine is and whether it runs, whether each host is in maintenance mode, how the cluster is set, and
//! of the tasks that last whether they are over. One of those who wait listens for all.

mod seen;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use patchcore::{Error, Result, provider::OpContext};
use tokio::sync::{self, watch};

use self::seen::Seen;
use super::{
    Of, VCenter,
    properties::{properties, traversed, view_of},
    soap::{Broken, Call, Element, Fault, MoRef, Node},
    tasks::percent,
    unreadable,
};

/// The longest that the vCenter waits before it answers that nothing changed.
const WAIT: Duration = Duration::from_secs(20);

/// How often whoever waits asks itself whether to go on.
const TICK: Duration = Duration::from_millis(250);

pub(crate) const HOST_OF: &str = "runtime.host";
pub(crate) const POWER: &str = "runtime.powerState";
pub(crate) const MAINTENANCE: &str = "runtime.inMaintenanceMode";

/// What is new of something that is awaited.
#[derive(Debug)]
pub(crate) enum News {
    /// What it works on was told anew: its properties.
    Changed(HashMap<Box<str>, Box<str>>),
    /// The task is over, or is not there any more.
    Over,
    /// Nothing for a while; how far it is, where that is known.
    Nothing(Option<u8>),
    /// The vCenter tells nothing by itself: it must be asked.
    Refused,
}

/// Who listens for a cluster.
#[derive(Debug)]
pub(crate) struct Follower {
    cluster: MoRef,
    own: &'static [&'static str],
    /// Whoever holds it listens. Gone while somebody does, so that a wait that was dropped leaves nothing behind that
    /// nobody knows the state of.
    stream: sync::Mutex<Option<Stream>>,
    /// Which tasks are watched; none before somebody listened.
    lasting: Mutex<Option<MoRef>>,
    seen: Mutex<Seen>,
    heard: watch::Sender<u64>,
}

#[derive(Debug)]
struct Stream {
    collector: MoRef,
    /// Of the last answer; empty before the first.
    version: String,
}

/// Why nobody could listen.
enum Deaf {
    /// It may work later.
    Error(Error),
    /// The vCenter does not do it.
    Refused,
}

impl From<Error> for Deaf {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left at most one answer out; what is awaited is looked at after a while all the same.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    /// Of this cluster, and of these properties of its own.
    pub(crate) fn new(cluster: &MoRef, own: &'static [&'static str]) -> Self {
        Self {
            cluster: cluster.clone(),
            own,
            stream: sync::Mutex::default(),
            lasting: Mutex::default(),
            seen: Mutex::default(),
            heard: watch::Sender::new(0),
        }
    }

    /// How much was told until now: what is told later is news for who begins something now.
    pub(crate) fn now(&self) -> u64 {
        locked(&self.seen).answers()
    }

    /// Whether the vCenter tells what changes, as far as is known.
    pub(crate) fn is_told(&self, ctx: &OpContext) -> bool {
        !locked(&self.seen).is_refused(ctx.now())
    }

    pub(crate) fn follows(&self, key: &str) -> bool {
        locked(&self.seen).awaits(key)
    }

    /// Awaits a task, or where the guest's own system does it, the object, from what was told by `since` on.
    pub(crate) fn follow(&self, ctx: &OpContext, key: &str, is_task: bool, since: u64) {
        locked(&self.seen).follow(key, is_task, since, ctx.now());
    }

    /// Nobody waits for it any more; `ends` where its effect was seen and it may run for another moment.
    pub(crate) fn forget(&self, key: &str, ends: bool) {
        locked(&self.seen).forget(key, ends);
    }

    /// Of open tasks those whose effect was not seen yet.
    pub(crate) fn unsettled<'t>(&self, open: impl Iterator<Item = &'t str>) -> HashSet<&'t str> {
        let open: HashSet<&str> = open.collect();
        let mut seen = locked(&self.seen);
        seen.still(&open);
        open.into_iter().filter(|task| !seen.ends(task)).collect()
    }

    /// Waits until something is new of what is awaited under `key` and works on `object`, for at most the longest wait.
    ///
    /// # Errors
    /// What a call can fail with.
    pub(crate) async fn news(
        &self,
        vcenter: &VCenter,
        ctx: &OpContext,
        key: &str,
        object: &MoRef,
    ) -> Result<News> {
        let most = WAIT.min(vcenter.0.config.deadline / 2);
        if most < Duration::from_secs(1) || locked(&self.seen).is_refused(ctx.now()) {
            return Ok(News::Refused);
        }
        let until = ctx.now() + most;
        let mut heard = self.heard.subscribe();
        loop {
            heard.mark_unchanged();
            if let Some(news) = locked(&self.seen).news(key, object) {
                return Ok(news);
            }
            let now = ctx.now();
            if now >= until || ctx.is_cancelled() {
                return Ok(News::Nothing(locked(&self.seen).percent(key)));
            }
            self.watch_lasting(vcenter, ctx).await?;
            let soon = locked(&self.seen).soon(ctx.now(), most);
            tokio::select! {
                biased;
                _ = heard.changed() => {}
                mut held = self.stream.lock() => {
                    let listening = self.listen(vcenter, &mut held, soon);
                    let listened = tokio::select! {
                        listened = listening => listened,
                        () = cancelled(ctx) => continue,
                    };
                    match listened {
                        Ok(()) => {}
                        Err(Deaf::Error(error)) => return Err(error),
                        Err(Deaf::Refused) => {
                            locked(&self.seen).refuse(ctx.now());
                            return Ok(News::Refused);
                        }
                    }
                }
                () = ctx.sleep(TICK) => {}
            }
        }
    }

    /// Has the tasks that last watched, and asks from time to time how far they are.
    async fn watch_lasting(&self, vcenter: &VCenter, ctx: &OpContext) -> Result<()> {
        let Some(view) = locked(&self.lasting).clone() else {
            return Ok(());
        };
        let tasks = locked(&self.seen).lasting(ctx.now());
        if !tasks.is_empty() {
            let add = tasks.iter().map(|task| Node::moref("add", task));
            let call = add.fold(Call::new("ModifyListView", &view), Call::with);
            // Where the view is gone, the next who listens makes another.
            if !matches!(vcenter.try_call(&call).await, Ok(Ok(_))) {
                *locked(&self.lasting) = None;
                locked(&self.seen).unwatched();
            }
        }
        let tasks = locked(&self.seen).due_to_be_asked(ctx.now());
        if tasks.is_empty() {
            return Ok(());
        }
        let of: Vec<Of<'_>> = tasks.iter().map(|t| Of::object(t, PROGRESS)).collect();
        let found = vcenter.try_read(&of).await?.unwrap_or_default();
        for task in &tasks {
            let found = found.iter().find(|found| found.object == *task);
            let open = found.is_some_and(|f| !matches!(f.text(STATE), Some("success" | "error")));
            let percent = found.and_then(|f| percent(f.get("info.progress")).ok().flatten());
            locked(&self.seen).looked_at(&task.id, percent, open);
        }
        Ok(())
    }

    /// Listens once, for at most so long.
    async fn listen(
        &self,
        vcenter: &VCenter,
        held: &mut Option<Stream>,
        most: Duration,
    ) -> Result<(), Deaf> {
        let mut fresh = held.is_none();
        let mut stream = match held.take() {
            Some(stream) => stream,
            None => self.open(vcenter).await?,
        };
        loop {
            let call = wait(&stream, most);
            let answer = match vcenter.try_call(&call).await? {
                Ok(answer) => answer,
                // It ended with the login, or the vCenter does not know any more what it told.
                Err(fault) if !fresh && ended(&fault) => {
                    fresh = true;
                    stream = self.open(vcenter).await?;
                    continue;
                }
                Err(_) => return Err(Deaf::Refused),
            };
            let Some(set) = answer.child("returnval") else {
                break;
            };
            let broken = |broken| unreadable("what changed in the cluster", broken);
            stream.version = set.need("version").map_err(broken)?.to_owned();
            let cut = set.child("truncated").map(Element::truth).transpose();
            let cut = cut.map_err(broken)?.unwrap_or(false);
            {
                let mut seen = locked(&self.seen);
                seen.take(set).map_err(broken)?;
                self.heard.send_replace(seen.answers());
            }
            if !cut {
                break;
            }
        }
        *held = Some(stream);
        Ok(())
    }

    async fn open(&self, vcenter: &VCenter) -> Result<Stream, Deaf> {
        let service = vcenter.service();
        let made = async |call: Call| -> Result<MoRef, Deaf> {
            let answer = vcenter.try_call(&call).await?;
            let made = answer.map_err(|_| Deaf::Refused)?;
            let made = made.child("returnval").ok_or(Broken::NotSoap("the object"));
            let made = made.and_then(Element::moref);
            Ok(made.map_err(|broken| unreadable(call.method, broken))?)
        };
        let collector = made(Call::new("CreatePropertyCollector", &service.properties)).await?;
        let kinds = ["VirtualMachine", "HostSystem"];
        let all = made(view_of(&service.views, &self.cluster, kinds)).await?;
        let lasting = made(Call::new("CreateListView", &service.views)).await?;
        let spec = Node::of(
            "spec",
            [
                properties("VirtualMachine", &[HOST_OF, POWER]),
                properties("HostSystem", &[MAINTENANCE]),
                properties("ClusterComputeResource", self.own),
                properties("Task", &[STATE]),
                Node::of("objectSet", [Node::moref("obj", &self.cluster)]),
                traversed(&all, "ContainerView"),
                traversed(&lasting, "ListView"),
            ],
        );
        let filter = Call::new("CreateFilter", &collector)
            .with(spec)
            .with(Node::truth("partialUpdates", false));
        made(filter).await?;
        *locked(&self.lasting) = Some(lasting);
        locked(&self.seen).unwatched();
        Ok(Stream {
            collector,
            version: String::new(),
        })
    }
}

const STATE: &str = "info.state";
const PROGRESS: &[&str] = &[STATE, "info.progress"];

fn wait(stream: &Stream, most: Duration) -> Call {
    // Whole seconds; never none, which would not wait at all.
    let seconds = u32::try_from(most.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Call::new("WaitForUpdatesEx", &stream.collector)
        .with(Node::text("version", stream.version.clone()))
        .with(Node::of(
            "options",
            [Node::number("maxWaitSeconds", seconds.max(1))],
        ))
}

/// Whether what a stream was built on ended, and another can be made.
fn ended(fault: &Fault) -> bool {
    matches!(
        &*fault.kind,
        "ManagedObjectNotFound"
            | "NotAuthenticated"
            | "InvalidCollectorVersion"
            | "RequestCanceled"
    )
}

async fn cancelled(ctx: &OpContext) {
    while !ctx.is_cancelled() {
        ctx.sleep(TICK).await;
    }
}
