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
/// where it broke, and closed after five minutes without a script or with the last clone. A shell on it runs the scripts
/// that follow each other within two seconds; what the user may do by sudo is asked when it starts.
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
        let mut end = None;
        for _ in 0..CONNECTIONS {
            let link = self.link();
            let (reply, heard) = oneshot::channel();
            let request = Request {
                wire: script.wire(),
                marks: script.marks(),
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
            end = Some(link.end().clone());
        }
        Err(fault::not_sent(&self.target, &end.unwrap_or_default()))
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

#[cfg(test)]
mod tests {
    use patchcore::ErrorKind;

    use super::*;

    /// A host at a port where nobody listens, over a connection whose task panics.
    async fn run(after_sending: bool) -> patchcore::Error {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let target = SshTarget::new("web-1", "127.0.0.1", "op").with_port(port);
        let ssh = Connections::new().host(target);
        *ssh.link.lock().unwrap() = Some(Link::panicking(after_sending));
        let script = Script::new("t-1").text("true");
        ssh.run(&script, Duration::from_secs(10)).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_panic_over_a_script_that_was_sent_is_an_error_and_its_effect_unknown() {
        let error = run(true).await;
        assert_eq!(error.kind(), ErrorKind::ProviderFault);
        let text = format!("{error:?}");
        assert!(
            text.contains("web-1: its connection (planted) panicked"),
            "{text}"
        );
        assert!(
            text.contains("whether the script had an effect is unknown"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn after_a_panic_before_anything_was_sent_a_new_connection_is_opened() {
        let error = run(false).await;
        assert!(error.message().contains("connection refused"), "{error:?}");
    }
}
