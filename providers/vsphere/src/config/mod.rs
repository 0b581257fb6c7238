//! Which vCenter, as whom, and whom to believe.

mod password;
mod settings;

use std::{path::PathBuf, time::Duration};

use patchcore::{Error, ErrorKind, Result, Secret};
use patchcore_https::Trust;
use reqwest::Url;

use self::password::Password;
use crate::client::Transcript;

/// What of a virtual machine's memory a host must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhatCounts {
    /// All that it is configured with. The default: what a machine does not use now it may use in a minute.
    #[default]
    Configured,
    /// What it holds now, at least its reservation: for clusters that promise more memory than they have.
    Held,
}

/// How a vCenter is reached. The default believes the certificates that this machine trusts.
///
/// It is made by [`new`](Self::new), or read from a file, from variables such as `PATCHCORE_VSPHERE_SERVER`, or from a map
/// by [`Settings`](patchcore::document::Settings); the words are `server`, `user`, one of `password` and `password_file`,
/// at most one of `ca_file` and `fingerprint`, `deadline` such as `60s`, and `memory`, which is `configured` or `held`.
///
/// ```
/// use patchcore::Secret;
/// use patchcore_vsphere::VsphereConfig;
/// let config = VsphereConfig::new("vcenter.example.org", "patchcore@vsphere.local", Secret::new("…"))?
///     .with_ca_file("/etc/ssl/example-ca.pem");
/// assert_eq!(config.address(), "https://vcenter.example.org/sdk");
/// # Ok::<(), patchcore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct VsphereConfig {
    pub(crate) url: Url,
    pub(crate) user: String,
    password: Password,
    pub(crate) trust: Trust,
    pub(crate) deadline: Duration,
    pub(crate) memory: WhatCounts,
    pub(crate) transcript: Option<Transcript>,
}

impl VsphereConfig {
    /// One call takes at most this long unless it waits for something; 10,000 objects come in pages.
    const DEADLINE: Duration = Duration::from_secs(60);

    /// A vCenter by its name or address, with a port where that is not 443, such as `vcenter.example.org:8443`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no host, such as a URL with a path or with a user in it.
    pub fn new(server: impl AsRef<str>, user: impl Into<String>, password: Secret) -> Result<Self> {
        Ok(Self::at(address(server.as_ref())?, user, password))
    }

    fn at(url: Url, user: impl Into<String>, password: Secret) -> Self {
        Self {
            url,
            user: user.into(),
            password: Password::Given(password),
            trust: Trust::Machine,
            deadline: Self::DEADLINE,
            memory: WhatCounts::default(),
            transcript: None,
        }
    }

    /// The same with the password that stands in the first line of a file, which is read at each login.
    #[must_use]
    pub fn with_password_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.password = Password::File(file.into());
        self
    }

    /// The password, now.
    ///
    /// # Errors
    /// `NotFound`, `Io` or `InvalidInput` for a file that cannot be used.
    pub(crate) fn password(&self) -> Result<Secret> {
        self.password.now()
    }

    /// The same that also trusts the certificates of a PEM file.
    #[must_use]
    pub fn with_ca_file(self, file: impl Into<PathBuf>) -> Self {
        self.with_trust(Trust::CaFile(file.into()))
    }

    /// The same with other trust.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// The same with another time within which a call must be answered.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same that counts a machine's memory otherwise.
    #[must_use]
    pub fn with_memory(mut self, memory: WhatCounts) -> Self {
        self.memory = memory;
        self
    }

    /// The same that also notes what the vCenter answers, without what is the estate's own.
    #[must_use]
    pub fn with_transcript(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// Where calls go. It holds no secret.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.as_str()
    }
}

/// Where the calls for a vCenter go.
fn address(server: &str) -> Result<Url> {
    Url::parse(&format!("https://{server}/sdk"))
        .ok()
        .filter(|url| {
            url.path() == "/sdk"
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
                && url.host_str().is_some_and(|host| !host.is_empty())
        })
        .ok_or_else(|| {
            // It is not shown: it may hold a password.
            Error::new(
                ErrorKind::InvalidInput,
                "the vCenter's address cannot be used",
            )
            .expected("a host, with a port where that is not 443")
            .found(if server.contains("://") {
                "a URL"
            } else {
                "something else"
            })
            .hint("write it like vcenter.example.org or [2001:db8::1]:8443")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_nothing_else() {
        let made = |server: &str| VsphereConfig::new(server, "u", Secret::new("hunter2"));
        for (server, address) in [
            ("vc", "https://vc/sdk"),
            ("10.0.0.1:8443", "https://10.0.0.1:8443/sdk"),
            ("[2001:db8::1]", "https://[2001:db8::1]/sdk"),
        ] {
            assert_eq!(made(server).unwrap().address(), address);
        }
        for server in [
            "",
            "https://vc",
            "vc/ui",
            "u:hunter2@vc",
            "vc?x",
            "vc#x",
            "a b",
        ] {
            let error = made(server).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{server}");
            assert!(!format!("{error:?}").contains("hunter2"), "{server}");
        }
        assert!(!format!("{:?}", made("vc").unwrap()).contains("hunter2"));
    }
}
