//! Threads on which providers are called: few while calls wait as they should, more while some block.
//!
//! A call of a provider that may block is polled on such a thread and never on one of the embedder's runtime, whose
//! timers and sockets it uses all the same. A call that blocks keeps its thread and nothing else: whoever is ready is
//! taken by another thread, and where none is free for a moment, one more is started.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};

/// So many threads are started as soon as there is work for them: calls that wait need no more.
const AT_ONCE: usize = 2;

/// Where nobody gets on for this long although there is work, one more thread is started: short beside what a call
/// over a network takes, long beside what computing takes.
const STUCK: Duration = Duration::from_millis(50);

/// So many calls may block at once. Each costs a thread; more than this are a provider that should not be used.
const MOST: usize = 512;

/// A thread without work ends after this long.
const LINGER: Duration = Duration::from_secs(2);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads of one run, or of one discovery. Cheap to clone; they end by themselves when there is no more work.
#[derive(Clone)]
pub(crate) struct Workers {
    pool: Arc<Pool>,
    /// Dropped with the last clone: nobody starts a call any more.
    _open: Arc<oneshot::Sender<()>>,
}

struct Pool {
    state: Mutex<State>,
    /// Wakes the watch.
    short: Condvar,
    runtime: Handle,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Job>>,
    threads: usize,
    /// Those that sleep, who fell asleep last at the end: it is woken first, while what it needs is still at hand, and
    /// those that are never needed end.
    idle: Vec<Thread>,
    /// How many jobs were taken so far: whether anybody gets on.
    taken: u64,
    watch: Watch,
    /// The runtime has ended: what still waits can never go on.
    closed: bool,
}

/// The thread that starts more of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// There is none.
    #[default]
    None,
    /// It looks in a moment whether anybody gets on.
    Looks,
    /// There was nothing to do when it looked last, and it waits to be woken.
    Sleeps,
}

impl Workers {
    /// Threads that use the timers and sockets of the runtime that this is called in.
    pub(crate) fn start_in_this_runtime() -> Self {
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            short: Condvar::new(),
            runtime: Handle::current(),
        });
        let (open, closes) = oneshot::channel::<()>();
        let end = AtTheEnd(Some(Arc::clone(&pool)));
        pool.runtime.spawn(async move {
            // That the sender is dropped is the signal.
            let _ = closes.await;
            end.never_comes();
        });
        Self {
            pool,
            _open: Arc::new(open),
        }
    }

    /// Starts a call.
    pub(super) fn start<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let (sender, answer) = oneshot::channel();
        let task = Box::pin(async move {
            let answer = call.await;
            // Whoever no longer waits has stopped it, or is gone.
            let _ = sender.send(answer);
        });
        let job = Arc::new(Job {
            pool: Arc::clone(&self.pool),
            stage: Mutex::new(Stage::Ready(task)),
        });
        Pool::push(&self.pool, Arc::clone(&job));
        Running {
            job,
            answer,
            goes_on: false,
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

/// A call that was started. Dropping it stops it, if it can be stopped.
pub(super) struct Running<T> {
    job: Arc<Job>,
    answer: oneshot::Receiver<T>,
    goes_on: bool,
}

impl<T> Running<T> {
    /// Its answer; none if it can never give one.
    pub(super) async fn answer(&mut self) -> Option<T> {
        (&mut self.answer).await.ok()
    }

    /// Drops it. False where it blocks its thread at this moment and goes on.
    pub(super) fn stop(&self) -> bool {
        self.job.stop()
    }

    /// It goes on to its end, and nobody waits for its answer.
    pub(super) fn let_go(mut self) {
        self.goes_on = true;
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if !self.goes_on {
            self.job.stop();
        }
    }
}

struct Job {
    pool: Arc<Pool>,
    stage: Mutex<Stage>,
}

enum Stage {
    /// It waits to be woken.
    Asleep(Task),
    /// It lies in the queue.
    Ready(Task),
    /// A thread is in it.
    Polled { woken: bool, stopped: bool },
    /// It has answered, or was stopped.
    Over,
}

impl Job {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        // Each change is one assignment, so whoever panicked left a whole stage.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls it once, on this thread.
    fn step(self: &Arc<Self>) {
        let mut task = {
            let mut stage = self.stage();
            match std::mem::replace(&mut *stage, Stage::Over) {
                Stage::Ready(task) => {
                    *stage = Stage::Polled {
                        woken: false,
                        stopped: false,
                    };
                    task
                }
                other => {
                    *stage = other;
                    return;
                }
            }
        };
        let waker = Waker::from(Arc::clone(self));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            task.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        let mut stage = self.stage();
        let (woken, stopped) = match *stage {
            Stage::Polled { woken, stopped } => (woken, stopped),
            _ => (false, true),
        };
        if stopped || !matches!(polled, Ok(Poll::Pending)) {
            *stage = Stage::Over;
            drop(stage);
            // What it held is dropped without the lock: that may wake others.
            drop(task);
            return;
        }
        if woken {
            *stage = Stage::Ready(task);
            drop(stage);
            Pool::push(&self.pool, Arc::clone(self));
        } else {
            *stage = Stage::Asleep(task);
        }
    }

    fn stop(&self) -> bool {
        let mut stage = self.stage();
        if let Stage::Polled { stopped, .. } = &mut *stage {
            *stopped = true;
            return false;
        }
        let before = std::mem::replace(&mut *stage, Stage::Over);
        drop(stage);
        drop(before);
        true
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Asleep(task) => {
                *stage = Stage::Ready(task);
                drop(stage);
                Pool::push(&self.pool, Arc::clone(&self));
            }
            Stage::Polled { stopped, .. } => {
                *stage = Stage::Polled {
                    woken: true,
                    stopped,
                };
            }
            other => *stage = other,
        }
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(pool: &Arc<Self>, job: Arc<Job>) {
        let mut state = pool.state();
        if state.closed {
            // It is not dropped here: whoever wakes it may hold a lock that its drop takes.
            return;
        }
        state.ready.push_back(job);
        if let Some(idle) = state.idle.pop() {
            // It would only wait for this lock.
            drop(state);
            idle.unpark();
        } else if state.threads < AT_ONCE {
            Self::add(pool, &mut state);
        } else {
            match std::mem::replace(&mut state.watch, Watch::Looks) {
                Watch::None => {
                    let watching = Arc::clone(pool);
                    Self::thread(pool, "patchcore-watch", move || watching.watch());
                }
                Watch::Looks => {}
                Watch::Sleeps => pool.short.notify_one(),
            }
        }
    }

    fn add(pool: &Arc<Self>, state: &mut State) {
        state.threads += 1;
        let working = Arc::clone(pool);
        Self::thread(pool, "patchcore-call", move || working.work());
    }

    fn thread(pool: &Self, name: &str, work: impl FnOnce() + Send + 'static) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let started = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if let Ok(work) = receiver.recv() {
                    let work: Box<dyn FnOnce() + Send> = work;
                    work();
                }
            });
        let work: Box<dyn FnOnce() + Send> = Box::new(work);
        match started {
            // It waits for exactly this.
            Ok(_) => drop(sender.send(work)),
            Err(error) => {
                tracing::warn!(%error, "no more threads: a thread of the runtime is borrowed");
                pool.runtime.spawn_blocking(work);
            }
        }
    }

    /// Takes what is ready, until there is nothing for a while.
    fn work(&self) {
        let _timers_and_sockets = self.runtime.enter();
        let mut state = self.state();
        while !state.closed {
            if let Some(job) = state.ready.pop_front() {
                state.taken += 1;
                drop(state);
                job.step();
                drop(job);
                state = self.state();
                continue;
            }
            let me = std::thread::current().id();
            state.idle.push(std::thread::current());
            drop(state);
            std::thread::park_timeout(LINGER);
            state = self.state();
            // Also after a call that was meant for something else on this thread: another is started when it is needed.
            let called = state.idle.iter().all(|idle| idle.id() != me);
            state.idle.retain(|idle| idle.id() != me);
            if !called && state.ready.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Starts one more thread whenever there is work and nobody gets on.
    fn watch(self: Arc<Self>) {
        let mut state = self.state();
        while !state.closed {
            let taken = state.taken;
            drop(state);
            std::thread::sleep(STUCK);
            state = self.state();
            if state.ready.is_empty() {
                state.watch = Watch::Sleeps;
                let called = self
                    .short
                    .wait_timeout_while(state, LINGER, |s| !s.closed && s.watch == Watch::Sleeps);
                state = called.unwrap_or_else(PoisonError::into_inner).0;
                if state.watch == Watch::Sleeps {
                    break;
                }
            } else if state.taken == taken && state.threads < MOST {
                Self::add(&self, &mut state);
            } else if state.taken == taken {
                tracing::warn!(threads = MOST, "every call blocks its thread");
            }
        }
        state.watch = Watch::None;
    }
}

/// Ends the threads when their runtime ends: without its timers and sockets no call can go on.
struct AtTheEnd(Option<Arc<Pool>>);

impl AtTheEnd {
    /// Nobody starts a call any more, and those that run go on to their ends.
    fn never_comes(mut self) {
        self.0 = None;
    }
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let Some(pool) = self.0.take() else { return };
        let mut state = pool.state();
        state.closed = true;
        let ready = std::mem::take(&mut state.ready);
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        for thread in idle {
            thread.unpark();
        }
        pool.short.notify_all();
        drop(ready);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn whoever_blocks_holds_up_nobody_else() {
        let workers = Workers::start_in_this_runtime();
        let mut hold = Vec::new();
        let mut blocked = Vec::new();
        // More than there are threads at first.
        for _ in 0..AT_ONCE * 3 {
            let (release, wait) = mpsc::channel::<()>();
            hold.push(release);
            blocked.push(workers.start(async move { wait.recv().is_err() }));
        }
        let mut other = workers.start(async {
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(other.answer().await, Some(7));
        assert!(!blocked[0].stop(), "its thread is in it");
        drop(hold);
        assert_eq!(blocked[1].answer().await, Some(true));
    }

    #[tokio::test]
    async fn whoever_starts_more_threads_sleeps_and_is_woken() {
        let workers = Workers::start_in_this_runtime();
        // Each time more block than there are threads.
        for threads in [AT_ONCE, 2 * AT_ONCE] {
            let mut hold = Vec::new();
            let mut blocked = Vec::new();
            for _ in 0..=threads {
                let (release, wait) = mpsc::channel::<()>();
                hold.push(release);
                blocked.push(workers.start(async move { wait.recv().is_err() }));
            }
            let mut other = workers.start(async { 7 });
            assert_eq!(other.answer().await, Some(7));
            drop(hold);
            for call in &mut blocked {
                assert_eq!(call.answer().await, Some(true));
            }
            while workers.pool.state().watch != Watch::Sleeps {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn many_that_wait_need_few_threads() {
        let workers = Workers::start_in_this_runtime();
        let (open, gate) = tokio::sync::watch::channel(false);
        let mut calls: Vec<_> = (0..2000)
            .map(|n| {
                let mut gate = gate.clone();
                workers.start(async move {
                    let _ = gate.wait_for(|open| *open).await;
                    n
                })
            })
            .collect();
        open.send_replace(true);
        for (n, call) in calls.iter_mut().enumerate() {
            assert_eq!(call.answer().await, Some(n));
        }
        // A loaded machine may let nobody get on for a moment.
        let threads = workers.pool.state().threads;
        assert!(threads <= AT_ONCE * 8, "{threads} threads");
    }

    #[tokio::test]
    async fn what_waits_is_dropped_when_it_is_stopped() {
        let workers = Workers::start_in_this_runtime();
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let mut call = workers.start(async move {
            std::future::pending::<()>().await;
            drop(inside);
        });
        let mut done = workers.start(async {});
        assert_eq!(done.answer().await, Some(()));
        while !call.stop() {
            tokio::task::yield_now().await;
        }
        assert_eq!(call.answer().await, None);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn with_its_runtime_everything_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (workers, call) = runtime.block_on(async {
            let workers = Workers::start_in_this_runtime();
            let call = workers.start(std::future::pending::<()>());
            let mut done = workers.start(async {});
            done.answer().await;
            (workers, call)
        });
        drop(runtime);
        assert!(workers.pool.state().closed);
        drop(call);
    }
}
