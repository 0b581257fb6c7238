//! Opening one connection: the way to the machine, its host key, the login.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use patchcore::{Error, Result};
use russh::{
    Disconnect, Preferred, cipher,
    client::{self, DisconnectReason, Handle},
    keys::{Algorithm, PublicKeyOrCertificate},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::{TcpStream, lookup_host},
};

use super::{
    connections::Connections,
    fault::{self, Handshake},
    host_key::HostKey,
    login,
    target::SshTarget,
};

/// How much a machine may send before it hears that it was taken, in bytes. A scan is a hundred kilobytes; a larger
/// window buys nothing on a fast network and is memory that a thousand machines may claim at once.
const WINDOW: u32 = 512 << 10;

/// How many packets wait for the reader of a channel before the machine is made to wait: half a megabyte.
const PACKETS: usize = 16;

/// The ssh library reads the length of a packet and then the packet; two reads of the system for each would be most of
/// what a scan costs here. Larger packets pass this by.
const PIECE: usize = 4 << 10;

/// What a connection is sealed with, best first. Those of the ssh library, but for the order of the first two: where the
/// processor knows AES, as nearly all servers do, it costs half of what ChaCha20 does.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Pauses before a machine is asked again that dropped the connection before the login. sshd does that at random when
/// too many have not logged in yet: by default (`MaxStartups 10:30:100`) three times in ten from ten on. Whoever is
/// refused eight times has a sshd that refuses for another reason.
const PAUSES: [Duration; 7] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(3),
    Duration::from_secs(3),
];

/// A connection on which the login succeeded.
pub(super) struct Connection {
    pub(super) handle: Handle<Peer>,
    pub(super) end: End,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// - `Unreachable`: the machine is not there, or does not speak ssh.
    /// - `HostKey`: it is not known to be the one that is meant.
    /// - `AuthzDenied`: it does not let the user in.
    /// - `ProviderFault`: the ssh library panicked.
    /// - `Io`: a file with keys cannot be read.
    pub(super) async fn open(shared: &Connections, target: &SshTarget) -> Result<Self> {
        let host_key = HostKey::of(target).await?;
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match Self::login(shared, target, &host_key).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => failure,
            };
            match (failure, pauses.next()) {
                (Failure::Dropped(_), Some(pause)) => jittered(*pause).await,
                (Failure::Dropped(error) | Failure::Final(error), _) => return Err(error),
            }
        }
    }

    async fn login(
        shared: &Connections,
        target: &SshTarget,
        host_key: &HostKey,
    ) -> Result<Self, Failure> {
        // Taken for one try and given back before a pause. The semaphore is never closed.
        let _permit = shared.logins.acquire().await;
        let mut last = None;
        for algorithms in host_key.tries() {
            match handshake(target, host_key.clone(), algorithms).await {
                Ok(mut connection) => {
                    login::log_in(&mut connection, target, shared.agent.as_deref()).await?;
                    return Ok(connection);
                }
                // The host has no key of these types, or not the pinned one: it may have it as another type.
                Err(Failure::Final(error)) if fault::is_about_key(&error) => last = Some(error),
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::Final(last.unwrap_or_else(|| {
            fault::unreachable(target, "no type of host key to ask for")
        })))
    }

    /// Says goodbye; the machine need not answer.
    pub(super) async fn close(&self) {
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "en")
            .await;
    }
}

/// Why a connection could not be opened.
pub(super) enum Failure {
    /// The machine dropped it before the login, which may pass in a moment.
    Dropped(Error),
    /// Anything else.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

async fn handshake(
    target: &SshTarget,
    host_key: HostKey,
    algorithms: Vec<Algorithm>,
) -> Result<Connection, Failure> {
    let limit = target.connect_timeout;
    let stream = within(limit, connect(target))
        .await
        .unwrap_or_else(|| Err(fault::no_answer(target, "no answer on its port", limit)))?;
    let preferred = Preferred {
        key: algorithms.into(),
        cipher: CIPHERS.into(),
        ..Preferred::DEFAULT
    };
    let config = client::Config {
        window_size: WINDOW,
        channel_buffer_size: PACKETS,
        keepalive_interval: Some(target.keepalive),
        keepalive_max: usize::try_from(target.unanswered).unwrap_or(usize::MAX),
        nodelay: true,
        preferred,
        ..client::Config::default()
    };
    let greeting = Greeting::default();
    let stream = Heard {
        stream,
        greeting: Some(greeting.clone()),
    };
    let end = End::default();
    let peer = Peer {
        host_key,
        end: end.clone(),
    };
    match within(
        limit,
        client::connect_stream(
            Arc::new(config),
            BufReader::with_capacity(PIECE, stream),
            peer,
        ),
    )
    .await
    {
        None => Err(Failure::Final(fault::no_answer(
            target,
            "it took the connection and its sshd did not answer",
            limit,
        ))),
        Some(Ok(handle)) => Ok(Connection { handle, end }),
        Some(Err(Refused::HostKey(error))) => Err(Failure::Final(error)),
        Some(Err(Refused::Ssh(error))) => Err(
            match fault::handshake(target, error, &greeting.text(), &end) {
                Handshake::Dropped(error) => Failure::Dropped(error),
                Handshake::Failed(error) => Failure::Final(error),
            },
        ),
    }
}

async fn connect(target: &SshTarget) -> Result<TcpStream> {
    let addresses = lookup_host((target.address.as_str(), target.port))
        .await
        .map_err(|e| fault::not_resolved(target, e))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Scripts are small and wait for their answer: to gather packets would only delay them.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(fault::not_connected(target, last))
}

/// The result, or nothing where the time is over.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// Between half and the whole of a pause, so that machines that were refused together do not come back together.
async fn jittered(pause: Duration) {
    use std::hash::{BuildHasher, RandomState};
    let part = RandomState::new().hash_one(0) % 512;
    let factor = u32::try_from(part).unwrap_or(0) + 512;
    within(pause * factor / 1024, std::future::pending::<()>()).await;
}

/// How a connection ended, for whoever finds it gone.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Ended>>>);

#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The machine or the network ended it, in words.
    Closed(String),
    /// Our own code or the ssh library panicked, in words.
    Panicked(String),
}

impl End {
    /// The first word counts: what comes after follows from it.
    pub(super) fn set(&self, ended: Ended) {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.get_or_insert(ended);
    }

    pub(super) fn get(&self) -> Option<Ended> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What the ssh library asks and tells us.
pub(super) struct Peer {
    host_key: HostKey,
    end: End,
}

/// Why a handshake ended.
#[derive(Debug)]
pub(super) enum Refused {
    /// By us: the host key is not the one that is meant.
    HostKey(Error),
    Ssh(russh::Error),
}

impl From<russh::Error> for Refused {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for Peer {
    type Error = Refused;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.host_key.judge(key).map_err(Refused::HostKey)?;
                Ok(true)
            }
            // We never ask for one.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        self.end.set(Ended::Closed(match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("{:?} ({:?})", info.message, info.reason_code)
            }
            DisconnectReason::Error(Refused::Ssh(error)) => fault::in_words(error),
            DisconnectReason::Error(Refused::HostKey(error)) => error.to_string(),
        }));
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

// The task of the ssh library belongs to that library, which says nothing of a panic in it; it drops us on its way out.
impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end.set(Ended::Panicked("the ssh library".to_owned()));
        }
    }
}

/// What a machine said before ssh began: whoever is no sshd, or one that refuses, says so here.
#[derive(Debug, Clone, Default)]
struct Greeting(Arc<Mutex<Vec<u8>>>);

/// The most of a greeting that is kept, in bytes: one line of it is for people.
const LONGEST_GREETING: usize = 255;

impl Greeting {
    fn text(&self) -> String {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// A connection whose first words are kept.
struct Heard {
    stream: TcpStream,
    greeting: Option<Greeting>,
}

impl AsyncRead for Heard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        if let Some(greeting) = &this.greeting {
            let mut heard = greeting.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = LONGEST_GREETING.saturating_sub(heard.len());
            heard.extend(into.filled()[before..].iter().take(room));
            let is_over = heard.len() >= LONGEST_GREETING;
            drop(heard);
            if is_over {
                this.greeting = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use patchcore::ErrorKind;

    use super::*;

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "stands for the task that the ssh library spawns"
    )]
    async fn a_panic_of_the_ssh_library_is_told_from_a_connection_that_closed() {
        let target = SshTarget::new("web-1", "192.0.2.1", "op");
        let host_key = HostKey::of(&target).await.unwrap();
        let end = End::default();
        let peer = Peer {
            host_key,
            end: end.clone(),
        };
        let task = tokio::spawn(async move {
            let _peer = peer;
            panic!("planted");
        });
        assert!(task.await.is_err());
        let error = fault::broken(&target, "t-1", &end);
        assert_eq!(error.kind(), ErrorKind::ProviderFault);
        assert_eq!(error.message(), "web-1: the ssh library panicked");
        let Handshake::Failed(error) = fault::handshake(&target, russh::Error::HUP, "", &end)
        else {
            panic!("a panic does not pass by itself");
        };
        assert_eq!(error.kind(), ErrorKind::ProviderFault);
    }

    #[test]
    fn the_first_reason_for_an_end_counts() {
        let end = End::default();
        end.set(Ended::Closed("first".to_owned()));
        end.set(Ended::Panicked("second".to_owned()));
        assert!(matches!(end.get(), Some(Ended::Closed(why)) if why == "first"));
    }
}
