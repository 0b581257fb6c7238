//! What all connections of a program share.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Semaphore;

use super::{host::Ssh, target::SshTarget};

/// How many logins go on at once. A key exchange costs both sides a moment of a processor, and sshd drops connections
/// at random from ten that have not logged in yet (`MaxStartups 10:30:100`); those ten are counted at each machine, so
/// that this bound is one for ourselves.
const LOGINS_AT_ONCE: usize = 16;

/// What the connections of a program share: how many log in at once, and the ssh agent.
#[derive(Debug, Clone)]
pub struct Connections {
    pub(super) logins: Arc<Semaphore>,
    pub(super) agent: Option<PathBuf>,
}

impl Connections {
    /// With the agent that `SSH_AUTH_SOCK` names, if there is one.
    #[must_use]
    pub fn new() -> Self {
        let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        Self {
            logins: Arc::new(Semaphore::new(LOGINS_AT_ONCE)),
            agent: agent.map(PathBuf::from),
        }
    }

    /// With the agent at this socket.
    #[must_use]
    pub fn with_agent(mut self, socket: impl Into<PathBuf>) -> Self {
        self.agent = Some(socket.into());
        self
    }

    /// Without an agent.
    #[must_use]
    pub fn without_agent(mut self) -> Self {
        self.agent = None;
        self
    }

    /// Another number of logins at once than 16; at least one.
    #[must_use]
    pub fn with_logins_at_once(mut self, most: usize) -> Self {
        self.logins = Arc::new(Semaphore::new(most.max(1)));
        self
    }

    /// The way to one machine. Nothing is opened before the first script.
    #[must_use]
    pub fn host(&self, target: SshTarget) -> Ssh {
        Ssh::new(self.clone(), target)
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}
