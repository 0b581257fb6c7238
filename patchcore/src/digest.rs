//! Canonical JSON and digests.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// JSON with sorted keys and no spaces: equal values give equal bytes.
///
/// # Errors
/// `InvalidInput` if the value cannot be written as JSON, such as a map whose keys are not text.
pub fn canonical_json(value: &impl Serialize) -> Result<String> {
    // serde_json's map is ordered by key as long as its feature `preserve_order` is off; a test watches that.
    let tree = serde_json::to_value(value).map_err(|e| {
        Error::new(
            ErrorKind::InvalidInput,
            "the value cannot be written as JSON",
        )
        .source_error(e)
    })?;
    Ok(tree.to_string())
}

/// SHA-256 as 64 hexadecimal digits (FIPS 180-4).
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The digest of a value's canonical JSON.
///
/// # Errors
/// As [`canonical_json`].
pub fn digest_of(value: &impl Serialize) -> Result<String> {
    Ok(sha256_hex(canonical_json(value)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":[]}}"#).unwrap();
        assert_eq!(
            canonical_json(&value).unwrap(),
            r#"{"a":{"c":[],"d":2},"b":1}"#
        );
    }

    #[test]
    fn digest_of_abc_is_the_published_one() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
