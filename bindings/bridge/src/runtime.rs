//! The one runtime of the process, and calls on it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use patchcore::{Error, ErrorKind, Result};
use tokio::{runtime::Runtime, task::AbortHandle};

/// Whoever waits gets a turn this often: short beside the 250 ms within which a person expects an answer to Ctrl-C,
/// long beside what a turn costs.
const TURN: Duration = Duration::from_millis(40);

/// The driver of a run, its journal and what sends and receives need few threads; providers are called on others.
const THREADS: usize = 2;

struct Ours {
    process: u32,
    runtime: Runtime,
}

static RUNTIME: OnceLock<std::result::Result<Ours, String>> = OnceLock::new();

/// The runtime. It is started by the first call, and lasts as long as the process.
///
/// # Errors
/// `Unsupported` in a process that was forked off after it was started: its threads did not come along. `Io` where it
/// cannot be started.
pub fn get() -> Result<&'static Runtime> {
    let started = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("patchcore")
            .enable_all()
            .build()
            .map(|runtime| Ours {
                process: std::process::id(),
                runtime,
            })
            .map_err(|error| error.to_string())
    });
    let ours = started.as_ref().map_err(|why| {
        Error::new(
            ErrorKind::Io,
            "the threads of patchcore could not be started",
        )
        .found(why.clone())
        .consequence("nothing was done")
    })?;
    if ours.process != std::process::id() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "patchcore was used before this process was forked off",
        )
        .expected(format!("process {}", ours.process))
        .found(format!("process {}", std::process::id()))
        .consequence("nothing was done; what the other process does goes on there")
        .hint(
            "start other processes by spawn instead of fork, or use patchcore in one of them only",
        ));
    }
    Ok(&ours.runtime)
}

/// A call that goes on whether or not anybody waits for it.
#[derive(Debug)]
pub struct Started<T> {
    slot: Arc<Slot<T>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Going,
    Answered(T),
    /// The answer was taken, or there will be none.
    Over,
}

impl<T> Slot<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Each change is one assignment, so whoever panicked left a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that there will be no answer, where the call was stopped or panicked.
struct Ends<T>(Arc<Slot<T>>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if matches!(*state, State::Going) {
            *state = State::Over;
        }
        drop(state);
        self.0.done.notify_all();
    }
}

/// What a call came to when it was tried at once.
pub enum Tried<T> {
    /// Its answer.
    Answer(T),
    /// It waits for something: to be started.
    Waits(Pin<Box<dyn Future<Output = T> + Send>>),
}

/// Polls a call once, on this thread and in the runtime: what waits for nothing needs no other thread.
///
/// # Errors
/// As [`get`].
pub fn try_here<T>(mut call: Pin<Box<dyn Future<Output = T> + Send>>) -> Result<Tried<T>> {
    let _inside = get()?.enter();
    // Whoever polls it next is woken in place of this one.
    let mut nobody = Context::from_waker(Waker::noop());
    Ok(match call.as_mut().poll(&mut nobody) {
        Poll::Ready(answer) => Tried::Answer(answer),
        Poll::Pending => Tried::Waits(call),
    })
}

/// Starts a call on the runtime. `then` is called when it is over, on a thread on which it may block.
///
/// # Errors
/// As [`get`].
pub fn start<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    then: Option<Box<dyn FnOnce() + Send>>,
) -> Result<Started<T>> {
    let runtime = get()?;
    let slot = Arc::new(Slot {
        state: Mutex::new(State::Going),
        done: Condvar::new(),
    });
    let ends = Ends(Arc::clone(&slot));
    let task = runtime.spawn(async move {
        let answer = call.await;
        *ends.0.state() = State::Answered(answer);
        drop(ends);
        if let Some(then) = then {
            tokio::task::spawn_blocking(then);
        }
    });
    Ok(Started {
        slot,
        task: task.abort_handle(),
    })
}

/// How long a call was waited for.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T, I> {
    /// Its answer.
    Answer(T),
    /// There will be none: the call panicked, was stopped, or its answer was taken before.
    None,
    /// Whoever waits was interrupted at a turn. The call goes on.
    Interrupted(I),
}

impl<T> Started<T> {
    /// Waits for the answer. Every few milliseconds `turn` is called, and ends the waiting by an error.
    pub fn wait<I>(&self, mut turn: impl FnMut() -> std::result::Result<(), I>) -> Waited<T, I> {
        let mut state = self.slot.state();
        loop {
            match std::mem::replace(&mut *state, State::Over) {
                State::Answered(answer) => return Waited::Answer(answer),
                State::Over => return Waited::None,
                State::Going => *state = State::Going,
            }
            let (again, waited) = self
                .slot
                .done
                .wait_timeout(state, TURN)
                .unwrap_or_else(PoisonError::into_inner);
            state = again;
            if waited.timed_out() {
                // Not under the lock: a turn may take as long as it likes.
                drop(state);
                if let Err(interrupted) = turn() {
                    return Waited::Interrupted(interrupted);
                }
                state = self.slot.state();
            }
        }
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        let mut state = self.slot.state();
        match std::mem::replace(&mut *state, State::Over) {
            State::Answered(answer) => Some(answer),
            State::Going => {
                *state = State::Going;
                None
            }
            State::Over => None,
        }
    }

    /// Stops it where it waits.
    pub fn stop(&self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_waited_for_and_can_be_interrupted() {
        let quick = start(async { 7 }, None).unwrap();
        assert_eq!(quick.wait(|| Ok::<_, ()>(())), Waited::Answer(7));
        let slow = start(std::future::pending::<u8>(), None).unwrap();
        let mut turns = 0;
        let waited = slow.wait(|| {
            turns += 1;
            if turns < 3 { Ok(()) } else { Err("enough") }
        });
        assert_eq!((waited, turns), (Waited::Interrupted("enough"), 3));
        slow.stop();
        assert_eq!(slow.wait(|| Ok::<_, ()>(())), Waited::None);
    }

    #[test]
    fn what_waits_for_nothing_is_answered_at_once_and_what_waits_goes_on_elsewhere() {
        let here = std::thread::current().id();
        let tried = try_here(Box::pin(async { std::thread::current().id() })).unwrap();
        assert!(matches!(tried, Tried::Answer(at) if at == here));
        let call = Box::pin(async {
            tokio::task::yield_now().await;
            std::thread::current().id()
        });
        let Tried::Waits(call) = try_here(call).unwrap() else {
            unreachable!("it waits");
        };
        match start(call, None).unwrap().wait(|| Ok::<_, ()>(())) {
            Waited::Answer(at) => assert_ne!(at, here),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_call_that_panics_is_over_and_the_next_one_works() {
        let lost = start(async { assert_eq!(1, 2) }, None).unwrap();
        assert_eq!(lost.wait(|| Ok::<_, ()>(())), Waited::None);
        let (tell, told) = std::sync::mpsc::channel();
        let call = start(
            async { "still here" },
            Some(Box::new(move || {
                let _ = tell.send(());
            })),
        )
        .unwrap();
        told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(call.take(), Some("still here"));
        assert_eq!(call.take(), None);
    }
}
