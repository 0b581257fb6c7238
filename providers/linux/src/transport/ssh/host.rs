//! One machine: its connection, and scripts over it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{Error, ErrorKind, Result};

use super::{connections::Connections, target::SshTarget};
use crate::transport::{Output, Script, Transport};

/// Runs scripts on one machine over ssh.
///
/// Cheap to clone: clones share the connection. It is opened with the first script, kept for the next ones and closed
/// with the last clone.
#[derive(Clone)]
pub struct Ssh {
    target: Arc<SshTarget>,
    connections: Connections,
}

impl Ssh {
    pub(super) fn new(connections: Connections, target: SshTarget) -> Self {
        Self {
            target: Arc::new(target),
            connections,
        }
    }

    /// How the machine is reached.
    #[must_use]
    pub fn target(&self) -> &SshTarget {
        &self.target
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
    async fn run(&self, _: &Script, _: Duration) -> Result<Output> {
        let _ = &self.connections;
        Err(Error::new(
            ErrorKind::Unsupported,
            "ssh is not connected yet",
        ))
    }
}
