//! Machines that are looked at at the same time, in one call.

use std::sync::{Arc, Mutex, PoisonError};

use patchcore::{Result, Timestamp};
use tokio::sync::{self, oneshot};

use super::now::{HOST, MACHINE, TASK};
use crate::client::{Found, Of, VCenter, soap::MoRef};

/// So many at once fit into one answer with their hosts and recent tasks.
const MOST: usize = 64;

/// What was read for several, and the vCenter's clock.
pub(super) type Read = Arc<(Vec<Found>, Timestamp)>;

/// Those who wait for a look. Who finds nobody reading reads for all who came meanwhile: a host that is emptied has
/// eight moves begin at once.
#[derive(Debug, Default)]
pub(crate) struct Together {
    waiting: Mutex<Vec<Ask>>,
    turn: sync::Mutex<()>,
}

#[derive(Debug)]
struct Ask {
    machine: MoRef,
    host: MoRef,
    answer: oneshot::Sender<Read>,
}

impl Together {
    /// A machine and a host as they are from now on, among others maybe. None where whoever read for it got no answer:
    /// then it reads by itself.
    pub(super) async fn look(
        &self,
        vcenter: &VCenter,
        machine: &MoRef,
        host: &MoRef,
    ) -> Result<Option<Read>> {
        let (answer, mut answered) = oneshot::channel();
        self.all(|all| {
            all.push(Ask {
                machine: machine.clone(),
                host: host.clone(),
                answer,
            });
        });
        loop {
            tokio::select! {
                biased;
                read = &mut answered => return Ok(read.ok()),
                _turn = self.turn.lock() => {
                    let asks: Vec<Ask> = self.all(|all| {
                        // Who gave up is not read for.
                        all.retain(|ask| !ask.answer.is_closed());
                        all.drain(..all.len().min(MOST)).collect()
                    });
                    let read = read(vcenter, asks.iter().map(|ask| (&ask.machine, &ask.host)));
                    if let Some(read) = read.await? {
                        for ask in asks {
                            // Who gave up meanwhile needs none.
                            let _ = ask.answer.send(Arc::clone(&read));
                        }
                    }
                }
            }
        }
    }

    fn all<T>(&self, work: impl FnOnce(&mut Vec<Ask>) -> T) -> T {
        // Each change is one call on the list.
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// None where one of them is gone: nothing is said of the others then.
async fn read<'a>(
    vcenter: &VCenter,
    asked: impl Iterator<Item = (&'a MoRef, &'a MoRef)>,
) -> Result<Option<Read>> {
    let (mut machines, mut hosts) = (Vec::new(), Vec::new());
    for (machine, host) in asked {
        machines.push(machine);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let machines = machines.into_iter().map(of_machine);
    let of: Vec<Of<'_>> = machines.chain(hosts.into_iter().map(of_host)).collect();
    let (found, at) = vcenter.dated_read(&of).await?;
    Ok(found.ok().zip(at).map(Arc::new))
}

pub(super) fn of_machine(machine: &MoRef) -> Of<'_> {
    Of::object(machine, MACHINE).and_each("recentTask", "Task", TASK)
}

pub(super) fn of_host(host: &MoRef) -> Of<'_> {
    Of::object(host, HOST).and_each("recentTask", "Task", TASK)
}
