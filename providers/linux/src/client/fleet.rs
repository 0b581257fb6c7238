//! Machines by their names, and the same question to many of them.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use patchcore::{
    Error, ErrorKind, Result,
    id::ComponentId,
    provider::{DeployRequest, OpContext, PerComponent, PortRequest},
};

use super::Machine;
use crate::error;

/// How many machines are asked at once. A machine answers within a second or two, so that a thousand are through
/// in sixteen rounds; and an answer of 1.5 MB, which is a large one, held 64 times is 100 MB.
const AT_ONCE: usize = 64;

/// What of a call's time is kept for answering, at most: a machine that hangs must fail alone before the whole
/// call runs out of time, because that would be the failure of all.
const KEPT: Duration = Duration::from_secs(10);

/// The machines of one provider: those of an inventory, or a single one.
#[derive(Debug)]
pub(crate) struct Fleet {
    machines: Vec<Arc<Machine>>,
    by_name: BTreeMap<ComponentId, usize>,
}

impl Fleet {
    /// Machines of which each has another name. One alone may be without, and is then known by its host name.
    pub(crate) fn of(machines: Vec<Machine>) -> Self {
        let machines: Vec<Arc<Machine>> = machines.into_iter().map(Arc::new).collect();
        let by_name = machines
            .iter()
            .enumerate()
            .filter_map(|(at, machine)| Some((machine.config.name.clone()?, at)))
            .collect();
        Self { machines, by_name }
    }

    pub(crate) fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().map(AsRef::as_ref)
    }

    /// The machine of this name. One without a name is the only one, and says itself whether it is meant.
    pub(crate) fn machine(&self, component: &ComponentId) -> Result<&Machine> {
        if let [machine] = self.machines.as_slice()
            && machine.config.name.is_none()
        {
            return Ok(machine);
        }
        self.by_name
            .get(component)
            .and_then(|at| self.machines.get(*at))
            .map(AsRef::as_ref)
            .ok_or_else(|| error::unknown(component, self.by_name.keys()))
    }

    /// The machine that a request is about.
    pub(crate) fn subject(&self, request: &DeployRequest) -> Result<&Machine> {
        let subjects = request.subjects();
        let mut subjects = subjects.iter();
        let (Some(subject), others) = (subjects.next(), subjects.count()) else {
            return Err(Error::new(
                ErrorKind::ProviderFault,
                "the request has no subject",
            ));
        };
        if others == 0 {
            return self.machine(subject);
        }
        // An operation is one job on one machine: its key is that job's name.
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} is done on one machine at a time", request.verb()),
        )
        .expected("one component")
        .found(format!("{}", others + 1))
        .consequence("nothing was begun"))
    }

    /// Asks these machines the same, many at once, each for itself: what goes wrong with one is its own answer.
    pub(crate) async fn each<'a, T, F>(
        &'a self,
        ctx: &OpContext,
        components: &'a [ComponentId],
        ask: impl Fn(&'a Machine, &'a ComponentId, OpContext) -> F,
    ) -> PerComponent<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let mut answers = PerComponent::new();
        let mut asked = Vec::new();
        for component in components {
            match self.machine(component) {
                Ok(machine) => asked.push((component, machine)),
                Err(error) => {
                    answers.insert(component.clone(), Err(error));
                }
            }
        }
        let ctx = in_time(ctx);
        let asked = asked.into_iter().map(|(component, machine)| {
            let answer = contained(ask(machine, component, ctx.clone()));
            async move { (component.clone(), answer.await) }
        });
        answers.extend(at_once(asked.collect()).await);
        answers
    }

    /// Asks every machine the same, many at once; the answers in the order of the machines.
    pub(crate) async fn all<'a, T, F>(
        &'a self,
        ctx: &OpContext,
        ask: impl Fn(&'a Machine, OpContext) -> F,
    ) -> Vec<(&'a Machine, Result<T>)>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let ctx = in_time(ctx);
        let asked = self.machines().enumerate().map(|(at, machine)| {
            let answer = contained(ask(machine, ctx.clone()));
            async move { (at, (machine, answer.await)) }
        });
        let mut found = at_once(asked.collect()).await;
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// Takes the futures ready made: a stream that makes them as it goes would hold the closure over every wait.
async fn at_once<T>(asked: Vec<impl Future<Output = T>>) -> Vec<T> {
    stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// A fault of ours in reading one machine's answer is the failure of that machine alone.
async fn contained<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(
                Error::new(ErrorKind::ProviderFault, "reading its answer panicked")
                    .hint("report it with the log of this program"),
            )
        })
}

fn in_time(ctx: &OpContext) -> OpContext {
    let kept = KEPT.min(ctx.time_left() / 10);
    let left = ctx.time_left().saturating_sub(kept);
    let deadline = ctx.now().checked_add(left).unwrap_or(ctx.deadline());
    ctx.clone().with_deadline(deadline)
}
