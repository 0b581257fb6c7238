//! The files in which OpenSSH keeps the keys of known hosts, as far as they speak of one host.
//!
//! The form is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": an optional marker, names (patterns, or one hashed
//! name), the type of the key, the key. What the files say is read here; what follows from it is decided in
//! [`host_key`](super::host_key).

use std::path::Path;

use patchcore::{Error, ErrorKind, Result};
use ring::hmac;
use russh::keys::{
    PublicKey,
    ssh_key::known_hosts::{HostPatterns, Marker},
};

/// What the lines about one host say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownHost {
    /// Its keys.
    pub(super) keys: Vec<Known>,
    /// Keys under its name alone, where it answers on another port than 22. As for `ssh`, they may prove it where
    /// [`keys`](Self::keys) has none, and say nothing against it: another sshd may answer on port 22.
    pub(super) without_port: Vec<Known>,
    /// Keys that it must never show.
    pub(super) revoked: Vec<Known>,
    /// Keys of authorities that may sign its key. They are not followed.
    pub(super) authorities: Vec<Known>,
    /// Places of lines about this host whose key cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// One key and the line it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: PublicKey,
    /// File and line number.
    pub(super) place: String,
    pub(super) file: String,
}

impl KnownHost {
    /// Adds what the text of a file says about a host.
    ///
    /// # Errors
    /// `HostKey` for a line that may revoke a key of this host and cannot be read: who ignores it may trust a stolen key.
    pub(super) fn read(&mut self, file: &Path, text: &str, address: &str, port: u16) -> Result<()> {
        let name = name_in_file(address, port);
        let plain = address.to_ascii_lowercase();
        for (nth, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (marker, rest) = match line.split_once([' ', '\t']) {
                Some((word, rest)) if word.starts_with('@') => {
                    (Some(word.parse::<Marker>()), rest.trim_start())
                }
                _ => (None, line),
            };
            let place = format!("{}:{}", file.display(), nth + 1);
            let (patterns, key) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let is_exact = is_meant(patterns, &name);
            if !is_exact && !is_meant(patterns, &plain) {
                continue;
            }
            let key = PublicKey::from_openssh(key.trim()).map(|key| Known {
                key,
                place: place.clone(),
                file: file.display().to_string(),
            });
            match (marker, key) {
                (None, Ok(key)) if is_exact => self.keys.push(key),
                (None, Ok(key)) => self.without_port.push(key),
                (Some(Ok(Marker::Revoked)), Ok(key)) => self.revoked.push(key),
                (Some(Ok(Marker::CertAuthority)), Ok(key)) => self.authorities.push(key),
                (Some(Ok(Marker::Revoked) | Err(_)), _) => {
                    return Err(Error::new(
                        ErrorKind::HostKey,
                        format!("{place}: this line about {address} cannot be read"),
                    )
                    .expected(
                        "@revoked or @cert-authority, then names, the type of the key and the key",
                    )
                    .found(format!("{:?}", rest.chars().take(60).collect::<String>()))
                    .hint("correct the line: it may forbid a key of this host"));
                }
                // An authority, or a key of a type that is newer than this program, is of no use and no danger.
                (None | Some(Ok(Marker::CertAuthority)), Err(_)) => self.unreadable.push(place),
            }
        }
        Ok(())
    }
}

/// How a host is called in the files.
pub(super) fn name_in_file(address: &str, port: u16) -> String {
    let address = address.to_ascii_lowercase();
    if port == 22 {
        address
    } else {
        format!("[{address}]:{port}")
    }
}

/// Whether a field of names means this one.
fn is_meant(field: &str, name: &str) -> bool {
    match field.parse() {
        Ok(HostPatterns::HashedName { salt, hash }) => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
            hmac::verify(&key, name.as_bytes(), &hash).is_ok()
        }
        Ok(HostPatterns::Patterns(patterns)) => {
            let matches =
                |pattern: &str| fits(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
            let denied = patterns
                .iter()
                .any(|p| p.strip_prefix('!').is_some_and(matches));
            !denied && patterns.iter().any(|p| matches(p))
        }
        Err(_) => false,
    }
}

/// Whether a pattern with `*` and `?` fits a name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last star stands and from where on it took: going back to it is enough, never to an earlier one.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, took)) => {
                    star = Some((at, took + 1));
                    p = at + 1;
                    n = took + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn read(text: &str, address: &str, port: u16) -> Result<KnownHost> {
        let mut known = KnownHost::default();
        known.read(Path::new("known_hosts"), text, address, port)?;
        Ok(known)
    }

    #[test]
    fn a_line_is_about_the_hosts_that_it_names() {
        fn check(names: &str, address: &str, port: u16, expect: bool) {
            let found = read(&format!("{names} {ED} comment\n"), address, port).unwrap();
            assert_eq!(
                found.keys.len(),
                usize::from(expect),
                "{names} for {address}:{port}"
            );
        }
        check("web-1", "web-1", 22, true);
        check("web-1", "WEB-1", 22, true);
        check("Web-1", "web-1", 22, true);
        check("web-1", "web-11", 22, false);
        check("db-1,web-1,192.0.2.1", "192.0.2.1", 22, true);
        check("web-*", "web-11", 22, true);
        check("web-?", "web-11", 22, false);
        check("*", "web-1", 22, true);
        check("*-1*", "web-1", 22, true);
        check("*,!web-1", "web-1", 22, false);
        check("!web-1", "web-2", 22, false);
        check("[web-1]:2222", "web-1", 2222, true);
        check("[web-1]:2222", "web-1", 22, false);
        check("[web-1]:2222", "web-1", 2223, false);
        check("web-1", "web-1", 2222, false);
        check("2001:db8::1", "2001:db8::1", 22, true);
        check("[2001:db8::1]:2222", "2001:db8::1", 2222, true);
        // As ssh-keygen -H wrote them.
        check(
            "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=",
            "example.com",
            22,
            true,
        );
        check(
            "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=",
            "example.org",
            22,
            false,
        );
        check("|1|broken", "example.org", 22, false);
    }

    #[test]
    fn every_line_counts_and_markers_are_told_apart() {
        let text = format!(
            "# a comment\n\nweb-1 {ED}\nweb-2 {OTHER}\n web-1\t{OTHER}\n@revoked * {OTHER}\n@cert-authority web-* {ED}\nweb-1 ssh-newer AAAA\n"
        );
        let found = read(&text, "web-1", 22).unwrap();
        let places = |of: &[Known]| of.iter().map(|k| k.place.clone()).collect::<Vec<_>>();
        assert_eq!(places(&found.keys), ["known_hosts:3", "known_hosts:5"]);
        assert_eq!(places(&found.revoked), ["known_hosts:6"]);
        assert_eq!(places(&found.authorities), ["known_hosts:7"]);
        assert_eq!(found.unreadable, ["known_hosts:8"]);
    }

    #[test]
    fn a_line_that_may_forbid_a_key_must_be_readable() {
        for line in [
            "@revoked web-1 ssh-ed25519 broken",
            "@revokd web-1 ssh-ed25519 AAAA",
            "@revoked *",
        ] {
            let error = read(&format!("web-1 {ED}\n{line}\n"), "web-1", 22).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HostKey);
            assert!(error.message().contains("known_hosts:2"), "{error}");
        }
        assert!(read("@revoked web-2 broken", "web-1", 22).is_ok());
    }

    #[test]
    fn a_line_without_the_port_is_kept_apart() {
        let found = read(&format!("web-1 {ED}\n"), "web-1", 2222).unwrap();
        assert_eq!((found.keys.len(), found.without_port.len()), (0, 1));
    }

    #[test]
    fn a_pattern_with_many_stars_ends() {
        assert!(!fits(
            "*a".repeat(40).as_bytes(),
            "b".repeat(4000).as_bytes()
        ));
    }
}
