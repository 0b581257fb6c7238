//! Virtual time.
//!
//! Time moves only when everybody at work is asleep, and then at once to the earliest moment somebody
//! waits for. A soak of two days takes no time, and computing never does.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::clock::{AtWork, Clock};

/// A clock in virtual time. A cheap clone of one time.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    now: Timestamp,
    at_work: usize,
    next_id: u64,
    waiting: BTreeMap<(Timestamp, u64), Waiter>,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    sleeps: bool,
}

impl VirtualClock {
    /// Virtual time that begins at `start`.
    #[must_use]
    pub fn starting(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Time {
            now: start,
            at_work: 0,
            next_id: 0,
            waiting: BTreeMap::new(),
        })))
    }

    /// Moves time on by hand, for tests that look at what time does.
    pub fn advance_to(&self, to: Timestamp) {
        let mut time = self.time();
        time.now = time.now.max(to);
        time.wake();
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        // Whoever panicked while holding the lock left a consistent state: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: Timestamp, sleeps: bool) -> Wait {
        Wait {
            clock: self.clone(),
            until,
            sleeps,
            id: None,
        }
    }
}

impl Time {
    /// Everybody at work is asleep: go to the earliest moment that somebody sleeps for.
    fn pass(&mut self) {
        let sleepers = self.waiting.values().filter(|w| w.sleeps).count();
        if sleepers == 0 || sleepers < self.at_work {
            return;
        }
        let earliest = self
            .waiting
            .iter()
            .find(|(_, w)| w.sleeps)
            .map(|((at, _), _)| *at);
        if let Some(earliest) = earliest {
            self.now = self.now.max(earliest);
            self.wake();
        }
    }

    fn wake(&mut self) {
        for waiter in self.waiting.range(..=(self.now, u64::MAX)).map(|(_, w)| w) {
            waiter.waker.wake_by_ref();
        }
    }
}

struct Wait {
    clock: VirtualClock,
    until: Timestamp,
    sleeps: bool,
    id: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut time = clock.time();
        if time.now >= self.until {
            if let Some(id) = self.id.take() {
                time.waiting.remove(&(self.until, id));
            }
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            time.next_id += 1;
            time.next_id
        });
        let waiter = Waiter {
            waker: cx.waker().clone(),
            sleeps: self.sleeps,
        };
        time.waiting.insert((self.until, id), waiter);
        if self.sleeps {
            time.pass();
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.time().waiting.remove(&(self.until, id));
        }
    }
}

struct Guard(VirtualClock);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut time = self.0.time();
        time.at_work -= 1;
        time.pass();
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time().now
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.wait(until, true).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.wait(time, false).await;
    }

    fn at_work(&self) -> AtWork {
        self.time().at_work += 1;
        AtWork::observed(Guard(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::join3, pin_mut};

    use super::*;

    fn at(hours: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(hours * 3600)
    }

    #[tokio::test]
    async fn two_days_take_no_time() {
        let clock = VirtualClock::starting(at(0));
        let _me = clock.at_work();
        clock.sleep_until(at(48)).await;
        assert_eq!(clock.now(), at(48));
    }

    #[tokio::test]
    async fn time_waits_for_whoever_is_at_work() {
        let clock = VirtualClock::starting(at(0));
        let _me = clock.at_work();
        let other = clock.at_work();
        let nap = clock.sleep_until(at(1));
        pin_mut!(nap);
        assert!(nap.as_mut().now_or_never().is_none());
        assert_eq!(clock.now(), at(0), "the other one is still at work");
        drop(other);
        nap.await;
        assert_eq!(clock.now(), at(1));
    }

    #[tokio::test]
    async fn a_deadline_alone_never_makes_time_pass() {
        let clock = VirtualClock::starting(at(0));
        assert!(clock.reached(at(1)).now_or_never().is_none());
        assert_eq!(clock.now(), at(0));
    }

    #[tokio::test]
    async fn sleepers_wake_in_order() {
        let clock = VirtualClock::starting(at(0));
        let (a, b, c) = (clock.at_work(), clock.at_work(), clock.at_work());
        let seen = Mutex::new(Vec::new());
        let nap = |hours, guard| {
            let (clock, seen) = (&clock, &seen);
            async move {
                clock.sleep_until(at(hours)).await;
                seen.lock().unwrap().push((hours, clock.now()));
                drop(guard);
            }
        };
        join3(nap(3, a), nap(1, b), nap(2, c)).await;
        assert_eq!(*seen.lock().unwrap(), [(1, at(1)), (2, at(2)), (3, at(3))]);
    }
}
