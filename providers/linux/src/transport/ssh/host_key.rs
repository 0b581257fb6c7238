//! Whether the key that a host shows is the one that is meant.

use std::path::PathBuf;

use patchcore::{Error, ErrorKind, Result};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use super::{
    known_hosts::{KnownHost, name_in_file},
    target::{Fingerprint, HostKeyCheck, SshTarget},
};
use crate::transport::quote;

/// The types of host keys in the order of our liking. `ssh-rsa` means SHA-1, which nobody should trust any more.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// What is known about the key of one host, read before anything is opened.
#[derive(Debug, Clone)]
pub(super) struct HostKey {
    name: String,
    address: String,
    port: u16,
    expected: Expected,
}

#[derive(Debug, Clone)]
enum Expected {
    Pinned(Fingerprint),
    Known {
        host: KnownHost,
        files: Vec<PathBuf>,
    },
}

impl HostKey {
    /// Reads what is known.
    ///
    /// # Errors
    /// - `HostKey` for a line about this host that cannot be read and may forbid a key.
    /// - `Io` for a file that is there and cannot be read.
    pub(super) async fn of(target: &SshTarget) -> Result<Self> {
        let expected = match &target.host_key {
            HostKeyCheck::Pinned(fingerprint) => Expected::Pinned(fingerprint.clone()),
            HostKeyCheck::KnownHosts(files) => {
                let mut host = KnownHost::default();
                for file in files {
                    let text = match tokio::fs::read(file).await {
                        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                        Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                        Err(e) => {
                            return Err(Error::new(
                                ErrorKind::Io,
                                format!("{}: {} cannot be read", target.name, file.display()),
                            )
                            .source_error(e)
                            .consequence(NOTHING_SENT)
                            .hint("known hosts are read from it: correct its rights"));
                        }
                    };
                    host.read(file, &text, &target.address, target.port)?;
                }
                Expected::Known {
                    host,
                    files: files.clone(),
                }
            }
        };
        Ok(Self {
            name: target.name.clone(),
            address: target.address.clone(),
            port: target.port,
            expected,
        })
    }

    /// The types of keys to ask the host for, most wanted first, in as many tries as it takes.
    ///
    /// A host has keys of several types and shows the first type that we ask for. Types that are known come first, so
    /// that a host known by one type is not taken for an unknown one by another. A pinned fingerprint does not say its
    /// type, so that the types are asked for one after the other.
    pub(super) fn tries(&self) -> Vec<Vec<Algorithm>> {
        match &self.expected {
            Expected::Pinned(_) => {
                let of = |kind: fn(&Algorithm) -> bool| {
                    ALGORITHMS.into_iter().filter(kind).collect::<Vec<_>>()
                };
                vec![
                    of(|a| matches!(a, Algorithm::Ed25519)),
                    of(|a| matches!(a, Algorithm::Ecdsa { .. })),
                    of(|a| matches!(a, Algorithm::Rsa { .. })),
                ]
            }
            Expected::Known { host, .. } => {
                let is_known = |algorithm: &Algorithm| {
                    host.keys
                        .iter()
                        .chain(&host.without_port)
                        .any(|known| same_type(&known.key.algorithm(), algorithm))
                };
                let (mut first, rest): (Vec<_>, Vec<_>) =
                    ALGORITHMS.into_iter().partition(is_known);
                first.extend(rest);
                vec![first]
            }
        }
    }

    /// Judges the key that the host shows.
    ///
    /// # Errors
    /// `HostKey`, with what was expected and found, and what to do.
    pub(super) fn judge(&self, shown: &PublicKey) -> Result<()> {
        let found = fingerprint(shown);
        let error = |why: &str| {
            Error::new(
                ErrorKind::HostKey,
                format!("{} could not be reached over ssh: {why}", self.name),
            )
            .consequence(NOTHING_SENT)
        };
        let (host, files) = match &self.expected {
            Expected::Pinned(pinned) if pinned.as_str() == found => return Ok(()),
            Expected::Pinned(pinned) => {
                return Err(error("its host key is not the pinned one")
                    .expected(pinned.as_str())
                    .found(format!("{found} ({})", type_name(shown)))
                    .hint("if the host was rebuilt: pin its new key after checking it, then plan again"));
            }
            Expected::Known { host, files } => (host, files),
        };
        let is_it = |known: &super::known_hosts::Known| known.key.key_data() == shown.key_data();
        if let Some(line) = host.revoked.iter().find(|known| is_it(known)) {
            return Err(error("its host key was revoked")
                .expected(format!("any key but the one in {}", line.place))
                .found(format!("{found} ({})", type_name(shown)))
                .hint(
                    "somebody else may have this key: give the host a new one, then plan again",
                ));
        }
        let is_known = if host.keys.is_empty() {
            host.without_port.iter().any(is_it)
        } else {
            host.keys.iter().any(is_it)
        };
        if is_known {
            return Ok(());
        }
        if !host.keys.is_empty() {
            // The type that was shown says most; else what is known of other types.
            let mut lines: Vec<_> = host.keys.iter().collect();
            if lines
                .iter()
                .any(|k| same_type(&k.key.algorithm(), &shown.algorithm()))
            {
                lines.retain(|k| same_type(&k.key.algorithm(), &shown.algorithm()));
            }
            let expected: Vec<_> = lines
                .iter()
                .map(|known| format!("{} ({})", fingerprint(&known.key), known.place))
                .collect();
            let remedy = format!(
                "if the host was rebuilt: ssh-keygen -f {} -R {}, add its new key after checking it, then plan again",
                word(&lines[0].file),
                word(&name_in_file(&self.address, self.port)),
            );
            return Err(error("its host key changed")
                .expected(expected.join(" or "))
                .found(format!("{found} ({})", type_name(shown)))
                .hint(remedy));
        }
        let file = files
            .first()
            .map_or_else(|| "known_hosts".to_owned(), |f| f.display().to_string());
        if let Some(line) = host.authorities.first() {
            return Err(error(
                "its host key is known through a certificate authority only, which is not supported",
            )
            .expected(format!("its own key beside the authority in {}", line.place))
            .found(format!("{found} ({})", type_name(shown)))
            .hint(self.how_to_add(shown, &file)));
        }
        let mut error = error("its host key is unknown")
            .expected(format!(
                "a line about {} in {file}",
                name_in_file(&self.address, self.port)
            ))
            .found(format!("{found} ({})", type_name(shown)));
        if !host.unreadable.is_empty() {
            error = error.context("not readable", host.unreadable.join(", "));
        }
        Err(error.hint(self.how_to_add(shown, &file)))
    }

    /// What to do so that a key is known.
    fn how_to_add(&self, shown: &PublicKey, file: &str) -> String {
        let port = match self.port {
            22 => String::new(),
            port => format!("-p {port} "),
        };
        let kind = match shown.algorithm() {
            Algorithm::Ed25519 => "ed25519",
            Algorithm::Rsa { .. } => "rsa",
            _ => "ecdsa",
        };
        format!(
            "compare it with ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub on the host itself; if it is the same: ssh-keyscan {port}-t {kind} {} >> {}, then plan again",
            word(&self.address),
            word(file),
        )
    }
}

/// What every refusal before the login means.
pub(super) const NOTHING_SENT: &str = "nothing was sent to it";

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn type_name(key: &PublicKey) -> String {
    key.algorithm().to_string()
}

/// Whether a key of one type can prove itself by the other; all forms of rsa use the same keys.
fn same_type(key: &Algorithm, asked: &Algorithm) -> bool {
    matches!((key, asked), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || key == asked
}

/// A word that a person can paste into a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    quote(text).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
#[path = "host_key_tests.rs"]
mod tests;
