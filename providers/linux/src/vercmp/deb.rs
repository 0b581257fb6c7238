//! The version of a Debian package and its order.
//!
//! The grammar is the one `dpkg --validate-version` accepts, the order the one of
//! `dpkg --compare-versions`; both are described in deb-version(7). An own comparison is kept
//! because the known crate brings regular expressions, a calendar and big integers with it.

use std::{cmp::Ordering, fmt, sync::Arc};

use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A Debian version that dpkg accepts, such as `1:4.13+dfsg1-1+deb12u2`.
///
/// Two versions that dpkg calls equal, such as `1.0` and `0:1.0-0`, compare as equal though their
/// text differs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DebVersion(Arc<str>);

impl DebVersion {
    /// Reads a version.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where `dpkg --validate-version` refuses it, with the reason.
    pub fn parse(text: &str) -> Result<Self> {
        match defect(text) {
            None => Ok(Self(text.into())),
            Some(why) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("version {text:?}: {why}"),
            )
            .expected("[epoch:]upstream[-revision] as in deb-version(7)")
            .found(format!("{text:?}"))
            .hint("write it as dpkg --list shows it")),
        }
    }

    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (u32, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            // The grammar was checked when the value was made, so the number always parses.
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, &*self.0),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

/// Why dpkg would refuse the text, or nothing where it accepts it.
fn defect(text: &str) -> Option<&'static str> {
    let rest = match text.split_once(':') {
        Some((epoch, rest)) => {
            // dpkg reads the epoch into a C `int`.
            if epoch.is_empty()
                || !epoch.bytes().all(|b| b.is_ascii_digit())
                || epoch.parse::<i32>().is_err()
            {
                return Some("the epoch is not a number");
            }
            rest
        }
        None => text,
    };
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("it does not start with a digit");
    }
    if !upstream
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-+~:".contains(&b))
    {
        return Some("it has a character that no version may have");
    }
    match revision {
        Some("") => Some("the revision is empty"),
        Some(revision)
            if !revision
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".+~".contains(&b)) =>
        {
            Some("the revision has a character that no revision may have")
        }
        _ => None,
    }
}

/// The weight of one character outside a number: `~` before the end, the end before letters,
/// letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

/// Compares two upstream parts or two revisions: text and numbers in turn.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left.as_bytes(), right.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|c| !c.is_ascii_digit())
            || b.first().is_some_and(|c| !c.is_ascii_digit())
        {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let (number_a, number_b) = (take_number(&mut a), take_number(&mut b));
        // Without leading zeros the longer number is the bigger one; no number is too big this way.
        let order = number_a
            .len()
            .cmp(&number_b.len())
            .then_with(|| number_a.cmp(number_b));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    let zeros = number
        .iter()
        .position(|b| *b != b'0')
        .unwrap_or(number.len());
    &number[zeros..]
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.parts(), other.parts());
        a.0.cmp(&b.0)
            .then_with(|| compare_part(a.1, b.1))
            .then_with(|| compare_part(a.2, b.2))
    }
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DebVersion {}

impl fmt::Display for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for DebVersion {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<DebVersion> for String {
    fn from(version: DebVersion) -> Self {
        version.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_known_pairs() {
        fn check(left: &str, expect: Ordering, right: &str) {
            let (l, r) = (
                DebVersion::parse(left).unwrap(),
                DebVersion::parse(right).unwrap(),
            );
            assert_eq!(l.cmp(&r), expect, "{left} against {right}");
            assert_eq!(r.cmp(&l), expect.reverse(), "{right} against {left}");
        }
        check("1.0", Ordering::Less, "1.0.1");
        check("1.0~rc1", Ordering::Less, "1.0");
        check("1.0~~", Ordering::Less, "1.0~");
        check("1.0-1", Ordering::Less, "1.0-1+deb12u1");
        check("1.0", Ordering::Equal, "0:1.0-0");
        check("1.010", Ordering::Equal, "1.10");
        check("9", Ordering::Less, "1:0");
        check("1.0a", Ordering::Less, "1.0+");
        check("5.2.15-2+b8", Ordering::Less, "5.2.15-2+b13");
        check(
            "1.99999999999999999999999",
            Ordering::Less,
            "1.100000000000000000000000",
        );
    }

    #[test]
    fn what_dpkg_refuses_is_refused_with_the_reason() {
        fn check(text: &str, why: &str) {
            let error = DebVersion::parse(text).unwrap_err();
            assert!(error.message().contains(why), "{text}: {error}");
        }
        check("", "start with a digit");
        check("v1", "start with a digit");
        check("1-", "revision is empty");
        check(":1", "epoch");
        check("x:1", "epoch");
        check("99999999999:1", "epoch");
        check("1_2", "no version may have");
        check("1;rm -rf", "no version may have");
        check("1-2_3", "no revision may have");
        check("1\n2", "no version may have");
    }
}
