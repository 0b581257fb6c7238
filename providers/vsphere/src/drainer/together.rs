//! What is looked at at the same time is read in one call.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use patchcore::{Result, Timestamp};
use tokio::sync::{self, oneshot};

use super::now::{HOST, MACHINE, TASK};
use crate::client::{Found, Of, VCenter, soap::MoRef};

/// So many at once fit into one answer with their hosts and recent tasks.
const MOST: usize = 64;

/// Those who wait for a look. Who finds nobody reading reads for all who came meanwhile: a host that is emptied has
/// eight moves begin at once, and at the end of a soak all hosts are scanned.
#[derive(Debug)]
pub(crate) struct Together<A, R> {
    waiting: Mutex<Vec<Ask<A, R>>>,
    turn: sync::Mutex<()>,
}

#[derive(Debug)]
struct Ask<A, R> {
    what: A,
    answer: oneshot::Sender<Arc<R>>,
}

impl<A, R> Default for Together<A, R> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: sync::Mutex::default(),
        }
    }
}

impl<A: Clone, R> Together<A, R> {
    /// What is asked for as it is from now on, read among others maybe. None where whoever read for it got no answer:
    /// then it reads by itself.
    ///
    /// # Errors
    /// Those of the reading, where it read for others itself.
    pub(crate) async fn look<F: Future<Output = Result<Option<R>>>>(
        &self,
        what: A,
        read: impl Fn(Vec<A>) -> F,
    ) -> Result<Option<Arc<R>>> {
        let (answer, mut answered) = oneshot::channel();
        self.all(|all| all.push(Ask { what, answer }));
        loop {
            tokio::select! {
                biased;
                read = &mut answered => return Ok(read.ok()),
                _turn = self.turn.lock() => {
                    let asks: Vec<Ask<A, R>> = self.all(|all| {
                        // Who gave up is not read for.
                        all.retain(|ask| !ask.answer.is_closed());
                        all.drain(..all.len().min(MOST)).collect()
                    });
                    let read = read(asks.iter().map(|ask| ask.what.clone()).collect());
                    if let Some(read) = read.await?.map(Arc::new) {
                        for ask in asks {
                            // Who gave up meanwhile needs none.
                            let _ = ask.answer.send(Arc::clone(&read));
                        }
                    }
                }
            }
        }
    }

    fn all<T>(&self, work: impl FnOnce(&mut Vec<Ask<A, R>>) -> T) -> T {
        // Each change is one call on the list.
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A machine, and the host that it is to be on.
pub(super) type Pair = (MoRef, MoRef);

/// What was read for several, and the vCenter's clock.
pub(super) type Read = (Vec<Found>, Timestamp);

/// None where one of them is gone: nothing is said of the others then.
pub(super) async fn read(vcenter: &VCenter, asked: Vec<Pair>) -> Result<Option<Read>> {
    let mut hosts = Vec::new();
    for (_, host) in &asked {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let machines = asked.iter().map(|(machine, _)| of_machine(machine));
    let of: Vec<Of<'_>> = machines.chain(hosts.into_iter().map(of_host)).collect();
    let (found, at) = vcenter.dated_read(&of).await?;
    Ok(found.ok().zip(at))
}

pub(super) fn of_machine(machine: &MoRef) -> Of<'_> {
    Of::object(machine, MACHINE).and_each("recentTask", "Task", TASK)
}

pub(super) fn of_host(host: &MoRef) -> Of<'_> {
    Of::object(host, HOST).and_each("recentTask", "Task", TASK)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use patchcore::{Error, ErrorKind};
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn who_comes_while_somebody_reads_is_read_for_in_the_next_call() {
        let (together, calls) = (Together::<u32, Vec<u32>>::default(), AtomicUsize::new(0));
        let read = |asked: Vec<u32>| {
            let nth = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                yield_now().await;
                // An answer that was on its way before is nobody's who came after.
                Ok(Some(
                    asked
                        .into_iter()
                        .map(|one| one + 100 * nth as u32)
                        .collect(),
                ))
            }
        };
        let (one, two, three) = tokio::join!(
            together.look(1, read),
            together.look(2, read),
            together.look(3, read)
        );
        let told = [one, two, three].map(|told: Result<_>| told.unwrap().unwrap());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(*told[0], [1]);
        assert_eq!((&*told[1], &*told[2]), (&vec![102, 103], &vec![102, 103]));
    }

    #[tokio::test]
    async fn whose_reader_failed_reads_by_himself() {
        let together = Together::<u32, u32>::default();
        let fails = |_: Vec<u32>| async {
            yield_now().await;
            Err(Error::new(ErrorKind::Unreachable, "gone"))
        };
        let (one, two) = tokio::join!(together.look(1, fails), together.look(2, fails));
        assert!(one.is_err() && two.is_err());
        let gone = |_: Vec<u32>| async { Ok(None) };
        assert_eq!(together.look(1, gone).await.unwrap(), None);
    }
}
