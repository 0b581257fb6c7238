//! What there is to say about one machine before it is reached.

use std::{fmt, path::PathBuf, time::Duration};

use patchcore::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a machine is reached over ssh. Everything but its name, address and user has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshTarget {
    /// Its name in the estate, by which errors call it.
    pub name: String,
    /// A host name or an IP address. Host keys are known by this.
    pub address: String,
    /// The port of its sshd. Default 22.
    pub port: u16,
    /// The account to log in as.
    pub user: String,
    /// How scripts become root. Default by sudo, or not at all where the user is root.
    pub become_root: Become,
    /// How its host key is checked. Default against the files that `ssh` reads.
    pub host_key: HostKeyCheck,
    /// Private keys to log in with. None stands for all keys of the agent, and after them `id_ed25519`, `id_ecdsa` and
    /// `id_rsa` in `~/.ssh`. Where some are named, no other key is tried: the agent only signs for these.
    pub identities: Vec<PathBuf>,
    /// How long it may take until the machine answered, its key was checked and the login was decided. Default 15 s.
    ///
    /// A host that is up answers in a second; sshd under the load of an upgrade took up to 8 s.
    pub connect_timeout: Duration,
    /// After how long without a word from the machine it is asked whether it still lives. Default 15 s.
    pub keepalive: Duration,
    /// After how many such questions without an answer the connection counts as broken. Default 4.
    pub unanswered: u32,
}

impl SshTarget {
    /// The machine at an address, and who logs in there.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        address: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        let user = user.into();
        Self {
            name: name.into(),
            address: address.into(),
            port: 22,
            become_root: if user == "root" {
                Become::None
            } else {
                Become::Sudo
            },
            user,
            host_key: HostKeyCheck::of_this_user(),
            identities: Vec::new(),
            connect_timeout: Duration::from_secs(15),
            keepalive: Duration::from_secs(15),
            unanswered: 4,
        }
    }

    /// Another port than 22.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How scripts become root.
    #[must_use]
    pub const fn with_become(mut self, become_root: Become) -> Self {
        self.become_root = become_root;
        self
    }

    /// How its host key is checked.
    #[must_use]
    pub fn with_host_key(mut self, check: HostKeyCheck) -> Self {
        self.host_key = check;
        self
    }

    /// One more private key; with the first one, keys that are not named are no longer tried.
    #[must_use]
    pub fn with_identity(mut self, file: impl Into<PathBuf>) -> Self {
        self.identities.push(file.into());
        self
    }

    /// How long it may take until the login was decided.
    #[must_use]
    pub const fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How often a silent machine is asked whether it lives, and how many questions may stay unanswered.
    #[must_use]
    pub const fn with_keepalive(mut self, every: Duration, unanswered: u32) -> Self {
        self.keepalive = every;
        self.unanswered = unanswered;
        self
    }
}

/// How scripts become root on a machine where another user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Become {
    /// By `sudo -n`: sudo must not ask for a password.
    Sudo,
    /// Not at all: scripts run as the user who logs in.
    None,
}

/// How a machine proves that it is the one that is meant. There is no way to leave this out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostKeyCheck {
    /// Its key must stand in one of these files, whose form is that of `known_hosts` of OpenSSH. A file that does not
    /// exist counts as an empty one.
    KnownHosts(Vec<PathBuf>),
    /// One of its keys must have this fingerprint.
    Pinned(Fingerprint),
}

impl HostKeyCheck {
    /// Against one file.
    #[must_use]
    pub fn known_hosts(file: impl Into<PathBuf>) -> Self {
        Self::KnownHosts(vec![file.into()])
    }

    /// Against the files that `ssh` reads: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    #[must_use]
    pub fn of_this_user() -> Self {
        let own = std::env::home_dir().map(|home| home.join(".ssh/known_hosts"));
        Self::KnownHosts(
            own.into_iter()
                .chain(["/etc/ssh/ssh_known_hosts".into()])
                .collect(),
        )
    }
}

/// The fingerprint of a host key as `ssh-keygen -l` prints it: `SHA256:` and 43 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads a fingerprint.
    ///
    /// # Errors
    /// `InvalidInput` for anything but `SHA256:` and the base64 of 32 bytes without padding.
    pub fn parse(text: &str) -> Result<Self> {
        let is_one = text.parse::<russh::keys::ssh_key::Fingerprint>().is_ok();
        if !text.starts_with("SHA256:") || !is_one {
            return Err(
                Error::new(ErrorKind::InvalidInput, "not the fingerprint of a host key")
                    .expected("SHA256: and 43 characters, as ssh-keygen -l prints it")
                    .found(format!("{text:?}"))
                    .hint("run ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the machine"),
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_prints() {
        let good = "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E";
        assert_eq!(Fingerprint::parse(good).unwrap().as_str(), good);
        for bad in [
            "",
            "mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E",
            "SHA256:",
            "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2",
            "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        ] {
            let error = Fingerprint::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn root_does_not_become_root() {
        let of = |user| SshTarget::new("a", "a", user).become_root;
        assert_eq!((of("root"), of("op")), (Become::None, Become::Sudo));
    }
}
