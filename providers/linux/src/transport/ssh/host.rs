//! One machine: its connection, and scripts over it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::Result;
use tokio::sync::oneshot;

use super::{
    answer::answer,
    connection::within,
    connections::Connections,
    fault,
    link::{Link, Request},
    target::SshTarget,
};
use crate::transport::{Output, Script, Transport, late};

/// How many connections one script may use up before it is given up. A connection that broke while nobody used it shows
/// that only when it is used; a new one that breaks at once is tried once more.
const CONNECTIONS: usize = 3;

/// Runs scripts on one machine over ssh.
///
/// Cheap to clone: clones share the connection. It is opened with the first script, kept for the next ones, opened again
/// where it broke, and closed after five minutes without a script or with the last clone.
///
/// # Errors
/// Beside those of every [`Transport`]:
/// - `Unreachable`: the host is not there, does not speak ssh, or the connection broke. The words say whether anything
///   was sent; a script is sent again by itself only where not one byte of it had left.
/// - `HostKey`: the host is not known to be the one that is meant. Nothing was sent.
/// - `AuthzDenied`: it does not let the user in, or the user may not become root by sudo without a password.
/// - `ProviderFault`: also a panic of the ssh library, which ends this connection only.
/// - `Io`: a file with known hosts cannot be read.
#[derive(Clone)]
pub struct Ssh {
    target: Arc<SshTarget>,
    shared: Connections,
    link: Arc<Mutex<Option<Link>>>,
}

impl Ssh {
    pub(super) fn new(shared: Connections, target: SshTarget) -> Self {
        Self {
            target: Arc::new(target),
            shared,
            link: Arc::default(),
        }
    }

    /// How the machine is reached.
    #[must_use]
    pub fn target(&self) -> &SshTarget {
        &self.target
    }

    /// The connection that there is, or a new one.
    fn link(&self) -> Link {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        match &*link {
            Some(open) if !open.is_over() => open.clone(),
            _ => link
                .insert(Link::open(self.shared.clone(), Arc::clone(&self.target)))
                .clone(),
        }
    }

    async fn exchange(&self, script: &Script, sent: &Arc<AtomicBool>) -> Result<Output> {
        let mut link = self.link();
        for _ in 0..CONNECTIONS {
            let (reply, heard) = oneshot::channel();
            let request = Request {
                wire: script.wire(),
                sent: Arc::clone(sent),
                reply,
            };
            if link.ask(request).await {
                match heard.await {
                    Ok(heard) => return answer(&self.target, script, heard?, link.end()),
                    Err(_) if sent.load(Ordering::Acquire) => {
                        return Err(fault::broken(&self.target, script.id(), link.end()));
                    }
                    Err(_) => {}
                }
            }
            link = self.link();
        }
        Err(fault::not_sent(&self.target, link.end()))
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Ssh {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let sent = Arc::new(AtomicBool::new(false));
        match within(deadline, self.exchange(script, &sent)).await {
            Some(result) => result,
            None => Err(late(script, deadline)
                .context("component", &self.target.name)
                .consequence(if sent.load(Ordering::Acquire) {
                    "it was ended; whether it had an effect is unknown"
                } else {
                    "it was not sent yet"
                })),
        }
    }
}
