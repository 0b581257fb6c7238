//! The task that owns one connection, and what is asked of it.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use patchcore::{Error, Result};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    connection::{Connection, End, Ended, within},
    connections::Connections,
    fault,
    shell::{Heard, Shell, ShellEnd},
    target::SshTarget,
    task,
};
use crate::transport::script::Marks;

/// How many scripts run at once on one machine. sshd allows ten channels of a connection by default (`MaxSessions`).
const SCRIPTS_AT_ONCE: usize = 8;

/// How many shells wait for scripts on one machine: what is done to it is one thing after the other, and signs of life
/// come beside that.
const SHELLS_KEPT: usize = 2;

/// Pauses before a channel is asked for again. sshd counts a channel that was just closed for a moment longer, so that
/// scripts which end together and are followed by others can meet its limit.
const CHANNEL_PAUSES: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_millis(1200),
];

/// After how long without a script a connection is closed. Between two steps of one component pass seconds; a soak takes
/// hours, and a thousand idle connections are 70 MB and a question every 15 s each.
const IDLE: Duration = Duration::from_secs(300);

/// One script on its way.
pub(super) struct Request {
    pub(super) wire: String,
    pub(super) marks: Marks,
    /// Whether a byte of it may have left.
    pub(super) sent: Arc<AtomicBool>,
    /// Dropped unanswered where the connection was gone before a byte of the script left.
    pub(super) reply: oneshot::Sender<Result<Heard>>,
}

/// A connection that is being opened or is open.
#[derive(Debug, Clone)]
pub(super) struct Link {
    requests: mpsc::Sender<Request>,
    end: End,
}

impl Link {
    /// Starts to open one, in a task of its own.
    pub(super) fn open(shared: Connections, target: Arc<SshTarget>) -> Self {
        let (requests, inbox) = mpsc::channel(SCRIPTS_AT_ONCE);
        let end = End::default();
        let panicked = end.clone();
        let told = end.clone();
        task::supervised(
            async move { serve(&shared, &target, inbox, &told).await },
            move |words| panicked.set(Ended::Panicked(format!("its connection ({words})"))),
        );
        Self { requests, end }
    }

    /// Whether it can no longer be used.
    pub(super) fn is_over(&self) -> bool {
        self.requests.is_closed()
    }

    /// Hands a script over. `false`: the connection is gone.
    pub(super) async fn ask(&self, request: Request) -> bool {
        self.requests.send(request).await.is_ok()
    }

    /// How it ended.
    pub(super) const fn end(&self) -> &End {
        &self.end
    }
}

async fn serve(
    shared: &Connections,
    target: &SshTarget,
    mut inbox: mpsc::Receiver<Request>,
    end: &End,
) {
    let Some(mut first) = inbox.recv().await else {
        return;
    };
    let connection = tokio::select! {
        opened = Connection::open(shared, target) => opened,
        // Whoever asked went away.
        () = first.reply.closed() => return,
    };
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => {
            refuse(first, inbox, &error).await;
            return;
        }
    };
    let shells = Shells::default();
    let mut running = FuturesUnordered::new();
    running.push(exchange(&connection, &shells, target, first));
    loop {
        tokio::select! {
            biased;
            Some(is_open) = running.next(), if !running.is_empty() => {
                if !is_open {
                    break;
                }
            }
            request = inbox.recv(), if running.len() < SCRIPTS_AT_ONCE => match request {
                Some(request) if !connection.handle.is_closed() => {
                    running.push(exchange(&connection, &shells, target, request));
                }
                // The connection is gone: the request goes back unanswered and is asked again on a new one, which
                // whoever asked opens as soon as this one takes no more.
                Some(_unanswered) => {
                    inbox.close();
                    break;
                }
                // Nobody holds the other end any more; what runs is waited for by nobody either.
                None => break,
            },
            () = idle(), if running.is_empty() => break,
            () = shells.watched() => {}
        }
    }
    drop(inbox);
    // Others may be in the middle of theirs; each ends by itself, since a broken connection ends its channels.
    while running.next().await.is_some() {}
    drop(running);
    if let Some(ended) = connection.end.get() {
        end.set(ended);
    }
    connection.close().await;
}

async fn idle() {
    within(IDLE, pending::<()>()).await;
}

/// Answers everybody who waits for a connection that cannot be opened.
async fn refuse(first: Request, mut inbox: mpsc::Receiver<Request>, error: &Error) {
    inbox.close();
    let _ = first.reply.send(Err(error.clone()));
    while let Some(request) = inbox.recv().await {
        let _ = request.reply.send(Err(error.clone()));
    }
}

/// The shells of a connection: how many run a script, those that wait for one, and word when one comes free or ends.
#[derive(Default)]
struct Shells {
    busy: AtomicUsize,
    waiting: Mutex<Vec<Shell>>,
    freed: Notify,
}

impl Shells {
    fn waiting(&self) -> MutexGuard<'_, Vec<Shell>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one for the next script, or gives back one that must not get any or is one too many.
    fn keep(&self, mut shell: Shell) -> Option<Shell> {
        let mut waiting = self.waiting();
        if shell.waits() && waiting.len() < SHELLS_KEPT {
            waiting.push(shell);
            return None;
        }
        Some(shell)
    }

    /// One that waits, if there is one.
    async fn take(&self) -> Option<Shell> {
        loop {
            let mut shell = self.waiting().pop()?;
            // Whoever kept this thread busy kept it from hearing that the connection is gone. What has come by now is
            // heard first.
            tokio::task::yield_now().await;
            if shell.waits() {
                return Some(shell);
            }
            shell.cut().await;
        }
    }

    /// Takes notice of those that end while they wait. Never ends.
    async fn watched(&self) {
        poll_fn(|context| {
            self.waiting()
                .retain_mut(|shell| shell.poll_ended(context).is_pending());
            Poll::Pending
        })
        .await
    }

    /// One that waits, or a new one, on which nothing is sent yet. A host that opens few at once is waited for.
    async fn any(&self, connection: &Connection) -> Result<(Shell, Busy<'_>), russh::Error> {
        let mut pauses = CHANNEL_PAUSES.iter();
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(shell) = self.take().await {
                return Ok((shell, Busy::of(self)));
            }
            match connection.handle.channel_open_session().await {
                Ok(channel) => return Ok((Shell::new(channel), Busy::of(self))),
                Err(russh::Error::ChannelOpenFailure(_))
                    if self.busy.load(Ordering::Relaxed) > 0 =>
                {
                    freed.await;
                }
                Err(error @ russh::Error::ChannelOpenFailure(_)) => match pauses.next() {
                    Some(pause) => {
                        within(*pause, pending::<()>()).await;
                    }
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
    }
}

/// A shell that counts as busy.
struct Busy<'a>(&'a Shells);

impl<'a> Busy<'a> {
    fn of(shells: &'a Shells) -> Self {
        shells.busy.fetch_add(1, Ordering::Relaxed);
        Self(shells)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.freed.notify_waiters();
    }
}

/// Runs one script. `false`: the connection is gone.
async fn exchange(
    connection: &Connection,
    shells: &Shells,
    target: &SshTarget,
    request: Request,
) -> bool {
    let Request {
        wire,
        marks,
        sent,
        mut reply,
    } = request;
    let found = tokio::select! {
        found = shells.any(connection) => found,
        () = reply.closed() => return true,
    };
    let (mut shell, busy) = match found {
        Ok(found) => found,
        Err(russh::Error::ChannelOpenFailure(reason)) => {
            let _ = reply.send(Err(fault::no_channel(target, &reason)));
            return true;
        }
        // Nothing was sent; dropping the reply says so.
        Err(_) => return false,
    };
    let heard = {
        let talk = pin!(shell.talk(target.become_root, wire, &marks, &sent));
        tokio::select! {
            heard = talk => Some(heard),
            () = reply.closed() => None,
        }
    };
    let Some(heard) = heard else {
        shell.cut().await;
        return true;
    };
    let is_open = heard.end != ShellEnd::Broken;
    match heard.end {
        ShellEnd::Answered | ShellEnd::TooLong => {
            if let Some(surplus) = shells.keep(shell) {
                surplus.cut().await;
            }
        }
        ShellEnd::Broken | ShellEnd::Closed(_) | ShellEnd::Refused => {}
    }
    drop(busy);
    if !is_open && !sent.load(Ordering::Acquire) {
        return false;
    }
    let _ = reply.send(Ok(heard));
    is_open
}

#[cfg(test)]
impl Link {
    /// One whose task panics over the first script, before or after a byte of it left.
    pub(super) fn panicking(after_sending: bool) -> Self {
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        let end = End::default();
        let told = end.clone();
        task::supervised(
            async move {
                let request = inbox.recv().await;
                if let Some(request) = &request {
                    request.sent.store(after_sending, Ordering::Release);
                }
                panic!("planted");
            },
            move |words| told.set(Ended::Panicked(format!("its connection ({words})"))),
        );
        Self { requests, end }
    }
}
