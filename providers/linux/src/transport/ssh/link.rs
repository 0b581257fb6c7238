//! The task that owns one connection, and what is asked of it.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use patchcore::{Error, Result};
use russh::client::Msg;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    channel::{Channel, ChannelEnd, Heard},
    connection::{Connection, End, Ended, within},
    connections::Connections,
    fault,
    target::SshTarget,
    task,
};

/// How many scripts run at once on one machine. sshd allows ten channels of a connection by default (`MaxSessions`).
const SCRIPTS_AT_ONCE: usize = 8;

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
    let channels = Channels::default();
    let mut running = FuturesUnordered::new();
    running.push(exchange(&connection, &channels, target, first));
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
                    running.push(exchange(&connection, &channels, target, request));
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

/// How many channels of a connection are open, and word when one of them ends.
#[derive(Default)]
struct Channels {
    open: AtomicUsize,
    ended: Notify,
}

/// A channel that counts as open.
struct Counted<'a>(&'a Channels);

impl<'a> Counted<'a> {
    fn of(channels: &'a Channels) -> Self {
        channels.open.fetch_add(1, Ordering::Relaxed);
        Self(channels)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}

/// Opens a channel, on which nothing is sent yet. A host that opens few at once is waited for.
async fn open_channel(
    connection: &Connection,
    channels: &Channels,
) -> Result<russh::Channel<Msg>, russh::Error> {
    let mut pauses = CHANNEL_PAUSES.iter();
    loop {
        let mut ended = pin!(channels.ended.notified());
        ended.as_mut().enable();
        match connection.handle.channel_open_session().await {
            Err(russh::Error::ChannelOpenFailure(_))
                if channels.open.load(Ordering::Relaxed) > 0 =>
            {
                ended.await;
            }
            Err(error @ russh::Error::ChannelOpenFailure(_)) => match pauses.next() {
                Some(pause) => {
                    within(*pause, pending::<()>()).await;
                }
                None => return Err(error),
            },
            opened => return opened,
        }
    }
}

/// Runs one script. `false`: the connection is gone.
async fn exchange(
    connection: &Connection,
    channels: &Channels,
    target: &SshTarget,
    request: Request,
) -> bool {
    let Request {
        wire,
        sent,
        mut reply,
    } = request;
    let opened = tokio::select! {
        opened = open_channel(connection, channels) => opened,
        () = reply.closed() => return true,
    };
    let mut channel = match opened {
        Ok(channel) => Channel::new(channel),
        Err(russh::Error::ChannelOpenFailure(reason)) => {
            let _ = reply.send(Err(fault::no_channel(target, &reason)));
            return true;
        }
        // Nothing was sent; dropping the reply says so.
        Err(_) => return false,
    };
    let _counted = Counted::of(channels);
    let heard = {
        let talk = pin!(channel.talk(target.become_root, wire, &sent));
        tokio::select! {
            heard = talk => Some(heard),
            () = reply.closed() => None,
        }
    };
    let Some(heard) = heard else {
        channel.cut().await;
        return true;
    };
    let is_open = heard.end != ChannelEnd::Broken;
    if heard.end == ChannelEnd::TooLong {
        channel.cut().await;
    }
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
