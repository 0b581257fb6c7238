//! The names that dpkg gives to packages and architectures.

use std::{fmt, sync::Arc};

use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

macro_rules! grammar {
    ($(#[$doc:meta])* $name:ident, $what:literal, $grammar:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`] where Debian policy does not allow it.
            pub fn parse(text: &str) -> Result<Self> {
                let check: fn(&[u8]) -> bool = $check;
                if check(text.as_bytes()) {
                    return Ok(Self(text.into()));
                }
                Err(Error::new(ErrorKind::InvalidInput, concat!($what, " is malformed"))
                    .expected($grammar)
                    .found(format!("{text:?}")))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }
    };
}

grammar! {
    /// The name of a binary package, such as `libssl3` (Debian policy 5.6.1).
    PackageName, "a package name", "at least two of a-z, 0-9, +, - and ., the first a letter or digit",
    |text| text.len() >= 2 && text.len() <= 255 && plain(text[0]) && text.iter().all(|b| plain(*b) || b"+-.".contains(b))
}

grammar! {
    /// The name of an architecture, such as `amd64` or `all` (Debian policy 5.6.8).
    Architecture, "an architecture", "a-z, 0-9 and -, the first a letter or digit",
    |text| !text.is_empty() && text.len() <= 64 && plain(text[0]) && text.iter().all(|b| plain(*b) || *b == b'-')
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

impl PackageName {
    /// Reads `name` or `name:arch` as apt and dpkg print it, and drops the architecture.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where either part breaks its grammar.
    pub fn parse_qualified(text: &str) -> Result<(Self, Option<Architecture>)> {
        match text.split_once(':') {
            Some((name, arch)) => Ok((Self::parse(name)?, Some(Architecture::parse(arch)?))),
            None => Ok((Self::parse(text)?, None)),
        }
    }
}

impl Architecture {
    /// Whether the package runs on every architecture.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.as_str() == "all"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_debian_policy() {
        for good in ["libstdc++6", "0ad", "python3.11", "g++"] {
            assert!(PackageName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "a", "-o", "Lib", "a b", "a;b", "a$(id)", "../x", "a=1", "a:b", "a\nb", "é1",
        ] {
            assert!(PackageName::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "-", "AMD64", "a b", "amd64;"] {
            assert!(Architecture::parse(bad).is_err(), "{bad}");
        }
        let (name, arch) = PackageName::parse_qualified("libc6:i386").unwrap();
        assert_eq!((name.as_str(), arch.unwrap().as_str()), ("libc6", "i386"));
    }
}
