//! One script through one channel.

use std::sync::atomic::{AtomicBool, Ordering};

use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};

use super::target::Become;
use crate::transport::{MAX_STDERR, MAX_STDOUT};

/// The command of every script, by how it becomes root. The login shell of the user reads this line, whichever shell
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

/// What a channel brought.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) end: ChannelEnd,
}

/// How a channel ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelEnd {
    /// The connection is gone.
    #[default]
    Broken,
    /// The command ended, with this status where it has one.
    Closed(Option<u32>),
    /// The machine did not start the command.
    Refused,
    /// The answer is longer than [`MAX_STDOUT`].
    TooLong,
}

/// A channel that is open and on which nothing was sent.
pub(super) struct Channel {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
}

impl Channel {
    pub(super) fn new(channel: russh::Channel<Msg>) -> Self {
        let (read, write) = channel.split();
        Self { read, write }
    }

    /// Runs a script to its end. `sent` becomes true before the first byte of it leaves.
    pub(super) async fn talk(
        &mut self,
        become_root: Become,
        wire: String,
        sent: &AtomicBool,
    ) -> Heard {
        let Self { read, write } = self;
        let send = async {
            write.exec(true, command(become_root)).await?;
            sent.store(true, Ordering::Release);
            write.data_bytes(wire).await?;
            write.eof().await
        };
        // The machine may answer, and have to be read, before it took the whole script; and it may end early, without
        // ever making room for the rest.
        let mut is_sent = false;
        tokio::pin!(send);
        let mut heard = Heard::default();
        let mut status = None;
        loop {
            tokio::select! {
                biased;
                message = read.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        if heard.stdout.len() + data.len() > MAX_STDOUT {
                            heard.end = ChannelEnd::TooLong;
                            break;
                        }
                        heard.stdout.extend_from_slice(&data);
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => {
                        let room = MAX_STDERR - heard.stderr.len();
                        heard.stderr.extend(data.iter().take(room));
                    }
                    Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
                    Some(ChannelMsg::Failure) => {
                        heard.end = ChannelEnd::Refused;
                        break;
                    }
                    Some(ChannelMsg::Close) => {
                        heard.end = ChannelEnd::Closed(status);
                        break;
                    }
                    Some(_) => {}
                    None => break,
                },
                // Where it fails, the connection is gone, and reading says so after what is there to read.
                _ = &mut send, if !is_sent => is_sent = true,
            }
        }
        heard
    }

    /// Ends what still runs on the other side and closes. What the script detached lives on.
    ///
    /// sshd passes a signal on to what an ordinary user runs. What root runs, also by sudo, is out of its reach and ends
    /// with the next line that it prints.
    pub(super) async fn cut(self) {
        // A reader that no longer reads would hold the connection up.
        drop(self.read);
        let _ = self.write.signal(Sig::TERM).await;
        let _ = self.write.close().await;
    }
}
