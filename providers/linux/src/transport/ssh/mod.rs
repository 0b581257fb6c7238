//! Another machine, over ssh.
//!
//! [`Connections`] is shared by all machines of a program; [`Connections::host`] makes an [`Ssh`] for one of them, and that
//! is a [`Transport`](super::Transport). One connection is kept open for each machine and opened again where it broke, and on it a
//! shell that runs one script after the other.
//!
//! ```
//! use patchcore_linux::transport::ssh::{HostKeyCheck, Connections, SshTarget};
//! let connections = Connections::new();
//! let target = SshTarget::new("web-1", "192.0.2.11", "op")
//!     .with_host_key(HostKeyCheck::known_hosts("/etc/patchcore/known_hosts"));
//! let transport = connections.host(target);
//! ```

pub use connections::Connections;
mod answer;
mod connection;
mod connections;
mod fault;
mod host;
mod host_key;
mod known_hosts;
mod link;
mod login;
mod shell;
mod target;
mod task;

pub use host::Ssh;
pub use target::{Become, Fingerprint, HostKeyCheck, SshTarget};

/// How many keys, keys without port, revoked keys, authorities and unreadable lines a text of known hosts has for a
/// host: what the fuzzer of this project looks at, and no part of the interface.
///
/// # Errors
/// As for a connection: a line that may revoke a key of this host and cannot be read.
#[doc(hidden)]
pub fn known_hosts_of(text: &str, address: &str, port: u16) -> patchcore::Result<[usize; 5]> {
    let mut known = known_hosts::KnownHost::default();
    known.read(std::path::Path::new("known_hosts"), text, address, port)?;
    Ok([
        known.keys.len(),
        known.without_port.len(),
        known.revoked.len(),
        known.authorities.len(),
        known.unreadable.len(),
    ])
}
