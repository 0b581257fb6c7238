//! Another machine, over ssh.
//!
//! [`Sessions`] is shared by all machines of a program; [`Sessions::host`] makes an [`Ssh`] for one of them, and that
//! is a [`Transport`](super::Transport). One connection is kept open for each machine and opened again where it broke.
//!
//! ```
//! use patchcore_linux::transport::ssh::{HostKeyCheck, Sessions, SshTarget};
//! let sessions = Sessions::new();
//! let target = SshTarget::new("web-1", "192.0.2.11", "op")
//!     .with_host_key(HostKeyCheck::known_hosts("/etc/patchcore/known_hosts"));
//! let transport = sessions.host(target);
//! ```

mod host;
mod sessions;
mod target;

pub use host::Ssh;
pub use sessions::Sessions;
pub use target::{Become, Fingerprint, HostKeyCheck, SshTarget};
