//! Versions of Debian packages and their order.

use std::cmp::Ordering;

use patchcore::ErrorKind;
use patchcore_linux::vercmp::deb::DebVersion;

use crate::rules;

/// Up to three versions, one a line: the order is total, and what is written is read alike.
pub(crate) fn order(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let mut versions = Vec::new();
    for line in text.split('\n').take(3) {
        match DebVersion::parse(line) {
            Ok(version) => {
                assert_eq!(version.as_str(), line);
                rules::written_alike(&version, line.len());
                versions.push(version);
            }
            Err(error) => rules::refusal(&error, &[ErrorKind::InvalidInput]),
        }
    }
    for a in &versions {
        assert_eq!(a.cmp(a), Ordering::Equal);
        for b in &versions {
            assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} and {b}");
            assert_eq!(a == b, a.cmp(b).is_eq(), "{a} and {b}");
            for c in &versions {
                assert!(!(a <= b && b <= c) || a <= c, "{a} <= {b} <= {c}");
            }
        }
    }
    !versions.is_empty()
}
