//! One shell on the machine, and the scripts that it runs one after the other.
//!
//! To start a shell costs both sides more than most scripts do: a process of sshd, a login shell with its start files,
//! sudo and what it asks. So a shell that has answered a script whole waits a moment for the next one.

use std::{
    future::{Future as _, pending},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use futures_util::future::OptionFuture;
use memchr::memmem::find;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};
use tokio::time::Instant;

use super::{connection::within, target::Become};
use crate::transport::{MAX_STDERR, MAX_STDOUT, script::Marks};

/// How long the last errors of a script that failed may be on their way after its end was seen, and whatever else comes:
/// output and errors come separately, there may be somebody in between who mixes them, and what looked like the end may
/// have been printed by the script.
const REST: Duration = Duration::from_millis(250);

/// How long a shell may have waited that gets another script: within one step of a component one follows the other. A
/// machine that went away meanwhile without a word shows that when a new shell is opened, and then nothing was sent to it;
/// and whoever may no longer become root is asked again.
const TRUSTED: Duration = Duration::from_secs(2);

/// The command of every shell, by how it becomes root. The login shell of the user reads this line, whichever shell
/// that is, and is replaced by it; the script itself comes on standard input.
///
/// sudo would speak the language of the host, and its words say why it refuses; and a start file may have left no path
/// to find it by.
const fn command(become_root: Become) -> &'static str {
    match become_root {
        Become::Sudo => {
            "exec /usr/bin/env LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sudo -n -- /bin/sh -s"
        }
        Become::None => "exec /bin/sh -s",
    }
}

/// What a shell brought of one script.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) end: ShellEnd,
    /// Whether the shell had answered another script before.
    pub(super) had_answered: bool,
}

/// How it came to its end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShellEnd {
    /// The connection is gone.
    #[default]
    Broken,
    /// The script has said all; the shell lives on.
    Answered,
    /// The shell ended, with this status where it has one.
    Closed(Option<u32>),
    /// The machine did not start the shell.
    Refused,
    /// The answer is longer than [`MAX_STDOUT`].
    TooLong,
}

/// A shell on the machine.
pub(super) struct Shell {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was sent yet, not even its command.
    New,
    /// It has answered every script whole, and waits for the next one since then.
    Waits(Instant),
    /// It must not get another script: it is in one, it has ended, or nobody knows what it will still say.
    Spent,
}

impl Shell {
    /// On a channel that is open and on which nothing was sent.
    pub(super) fn new(channel: russh::Channel<Msg>) -> Self {
        let (read, write) = channel.split();
        Self {
            read,
            write,
            state: State::New,
        }
    }

    /// Whether it may get another script, by all that has come until now.
    pub(super) fn waits(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.poll_ended(&mut context).is_pending()
            && matches!(self.state, State::Waits(since) if since.elapsed() < TRUSTED)
    }

    /// Hears what a shell says that waits, which means nothing, until it says no more. Ready where it has ended.
    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let wait = pin!(self.read.wait());
            match ready!(wait.poll(context)) {
                None
                | Some(ChannelMsg::Eof | ChannelMsg::Close | ChannelMsg::ExitStatus { .. }) => {
                    return Poll::Ready(());
                }
                Some(_) => {}
            }
        }
    }

    /// Runs a script to its end. `sent` becomes true before the first byte of it leaves.
    pub(super) async fn talk(
        &mut self,
        become_root: Become,
        wire: String,
        marks: &Marks,
        sent: &AtomicBool,
    ) -> Heard {
        let Self { read, write, state } = self;
        let before = std::mem::replace(state, State::Spent);
        let mut heard = Heard {
            had_answered: matches!(before, State::Waits(_)),
            ..Heard::default()
        };
        let send = async {
            if before == State::New {
                write.exec(true, command(become_root)).await?;
            }
            sent.store(true, Ordering::Release);
            write.data_bytes(wire).await
        };
        // The machine may answer, and have to be read, before it took the whole script; and it may end early, without
        // ever making room for the rest.
        let mut send = pin!(send);
        let mut is_sent = false;
        let mut status = None;
        let mut ended = None;
        let mut errors = Errors::default();
        let mut rest = None;
        loop {
            tokio::select! {
                biased;
                message = read.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        if heard.stdout.len() + data.len() > MAX_STDOUT {
                            heard.end = ShellEnd::TooLong;
                            break;
                        }
                        let known = heard.stdout.len();
                        heard.stdout.extend_from_slice(&data);
                        ended = marks.ended(&heard.stdout, known).or(ended);
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => {
                        errors.hear(marks, &data);
                        let room = MAX_STDERR - heard.stderr.len();
                        heard.stderr.extend(data.iter().take(room));
                    }
                    Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
                    Some(ChannelMsg::Failure) => {
                        heard.end = ShellEnd::Refused;
                        break;
                    }
                    Some(ChannelMsg::Close) => {
                        heard.end = ShellEnd::Closed(status);
                        break;
                    }
                    Some(_) => {}
                    None => break,
                },
                // Where it fails, the connection is gone, and reading says so after what is there to read.
                _ = &mut send, if !is_sent => is_sent = true,
                Some(_) = OptionFuture::from(rest.as_mut()), if rest.is_some() => {
                    heard.end = ShellEnd::Answered;
                    break;
                }
            }
            let Some(ended) = ended else { continue };
            if is_sent && ended.is_last && (ended.well || errors.are_whole) {
                *state = State::Waits(Instant::now());
                heard.end = ShellEnd::Answered;
                break;
            }
            if rest.is_none() {
                rest = Some(Box::pin(within(REST, pending::<()>())));
            }
        }
        heard
    }

    /// Ends what still runs on the other side and closes. What the script detached lives on.
    ///
    /// sshd passes a signal on to what an ordinary user runs. What root runs, also by sudo, is out of its reach and ends
    /// by itself, or with the next large piece that it prints.
    pub(super) async fn cut(self) {
        // A reader that no longer reads would hold the connection up.
        drop(self.read);
        let _ = self.write.signal(Sig::TERM).await;
        let _ = self.write.close().await;
    }
}

/// Whether all was heard that a script printed among the errors.
#[derive(Debug, Default)]
struct Errors {
    are_whole: bool,
    /// The last ones, in which a mark may have begun.
    tail: Vec<u8>,
}

impl Errors {
    fn hear(&mut self, marks: &Marks, piece: &[u8]) {
        self.tail.extend_from_slice(piece);
        self.are_whole = self.are_whole || find(&self.tail, marks.errors()).is_some();
        let surplus = self.tail.len().saturating_sub(marks.errors().len());
        self.tail.drain(..surplus);
    }
}
