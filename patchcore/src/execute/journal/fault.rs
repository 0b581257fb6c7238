//! Faults of the disk that a test plants: a suite that a journal passes only while its disk is well proves half.
//!
//! Without the feature `crash` nothing can be planted, and the compiler leaves nothing of this.

#[cfg(not(feature = "crash"))]
pub(super) use absent::{Faults, Pace};
#[cfg(feature = "crash")]
pub(super) use planted::Pace;
#[cfg(feature = "crash")]
pub use planted::{Fault, Faults, Synchronous};

#[cfg(not(feature = "crash"))]
mod absent {
    use std::future::Future;

    use super::super::cause::Place;
    use crate::error::Result;

    /// None.
    #[derive(Debug, Default)]
    pub(in super::super) struct Faults;

    /// Answers are waited for.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Pace;

    impl Pace {
        pub(in super::super) async fn keep<T>(self, answer: impl Future<Output = T>) -> T {
            answer.await
        }
    }

    impl Faults {
        pub(in super::super) const fn none() -> Self {
            Self
        }

        pub(in super::super) const fn pace(&self) -> Pace {
            Pace
        }

        pub(in super::super) const fn synchronous(&self) -> &'static str {
            "FULL"
        }

        pub(in super::super) const fn at_begin(&self, _: &Place) -> Result<()> {
            Ok(())
        }

        pub(in super::super) const fn before_commit(&self, _: &Place) -> Result<()> {
            Ok(())
        }

        pub(in super::super) const fn after_commit(&self, _: &Place) -> Result<()> {
            Ok(())
        }
    }
}

#[cfg(feature = "crash")]
mod planted {
    use std::{
        collections::BTreeMap,
        future::Future,
        pin::pin,
        sync::{Arc, Mutex, PoisonError},
        task::{Context, Poll, Wake, Waker},
        thread::Thread,
        time::Duration,
    };

    use super::super::cause::Place;
    use crate::error::{ErrorKind, Result};

    /// What goes wrong with one commit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// The disk fails before anything of it is written.
        BeforeCommit,
        /// It is on the disk, and the disk says that it failed.
        AfterCommit,
        /// It takes so long.
        Delay(Duration),
        /// The disk is full.
        Full,
        /// Another program holds the write lock.
        Busy,
    }

    /// How far a commit waits for the disk; the words are SQLite's.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum Synchronous {
        /// It is on the disk before it is acknowledged: what a journal does.
        #[default]
        Full,
        /// Only a checkpoint waits.
        Normal,
        /// Nothing waits.
        Off,
    }

    /// The faults of one opening of a journal.
    #[derive(Debug, Default)]
    pub struct Faults {
        synchronous: Synchronous,
        /// By the try to commit that they befall, counted from 1.
        planted: BTreeMap<u64, Fault>,
        tries: Mutex<u64>,
        in_step: bool,
    }

    /// How answers of the journal are waited for.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Pace {
        in_step: bool,
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    impl Pace {
        /// Whether who waits holds its whole thread up.
        pub(in super::super) const fn is_in_step(self) -> bool {
            self.in_step
        }

        pub(in super::super) async fn keep<T>(self, answer: impl Future<Output = T>) -> T {
            if !self.in_step {
                return answer.await;
            }
            // Without a budget: what is polled here is not polled again later.
            let mut answer = pin!(tokio::task::unconstrained(answer));
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            loop {
                match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(answer) => return answer,
                    Poll::Pending => std::thread::park(),
                }
            }
        }
    }

    impl Faults {
        /// A disk that is well.
        #[must_use]
        pub fn none() -> Self {
            Self::default()
        }

        /// With a fault of one try to commit, counted from 1 since the opening. The transaction of the opening itself does
        /// not count.
        #[must_use]
        pub fn at(mut self, nth: u64, fault: Fault) -> Self {
            self.planted.insert(nth, fault);
            self
        }

        /// With commits that wait less for the disk than they should.
        #[must_use]
        pub fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
            self.synchronous = synchronous;
            self
        }

        /// Whoever waits for this journal holds its whole thread up, and whoever drives a run by it polls its providers in
        /// place: what happens on one thread in virtual time is then the same each time.
        #[must_use]
        pub fn in_step(mut self) -> Self {
            self.in_step = true;
            self
        }

        pub(in super::super) fn pace(&self) -> Pace {
            Pace {
                in_step: self.in_step,
            }
        }

        pub(in super::super) fn synchronous(&self) -> &'static str {
            match self.synchronous {
                Synchronous::Full => "FULL",
                Synchronous::Normal => "NORMAL",
                Synchronous::Off => "OFF",
            }
        }

        fn now(&self) -> Option<Fault> {
            let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            self.planted.get(&tries).copied()
        }

        pub(in super::super) fn at_begin(&self, place: &Place) -> Result<()> {
            *self.tries.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            if self.now() == Some(Fault::Busy) {
                return Err(place.busy("write to it"));
            }
            Ok(())
        }

        pub(in super::super) fn before_commit(&self, place: &Place) -> Result<()> {
            match self.now() {
                Some(Fault::BeforeCommit) => Err(failed(place)),
                Some(Fault::Full) => Err(place.disk_full()),
                Some(Fault::Delay(time)) => {
                    std::thread::sleep(time);
                    Ok(())
                }
                _ => Ok(()),
            }
        }

        pub(in super::super) fn after_commit(&self, place: &Place) -> Result<()> {
            match self.now() {
                Some(Fault::AfterCommit) => Err(failed(place)),
                _ => Ok(()),
            }
        }
    }

    fn failed(place: &Place) -> crate::error::Error {
        place
            .error(ErrorKind::Io, "could not commit to it")
            .hint("check the disk that holds it, then open it again")
    }
}
