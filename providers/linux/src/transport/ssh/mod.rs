//! Another machine, over ssh.
//!
//! [`Connections`] is shared by all machines of a program; [`Connections::host`] makes an [`Ssh`] for one of them, and that
//! is a [`Transport`](super::Transport). One connection is kept open for each machine and opened again where it broke.
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
mod channel;
mod connection;
mod connections;
mod fault;
mod host;
mod host_key;
mod known_hosts;
mod link;
mod login;
mod target;
mod task;

pub use host::Ssh;
pub use target::{Become, Fingerprint, HostKeyCheck, SshTarget};
