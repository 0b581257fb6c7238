//! One way to write a value as bytes, and its digest.
//!
//! Whatever is signed, approved or chained is digested over this form, so two processes that hold
//! the same value hold the same digest.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// How deeply a stored value may nest.
///
/// The reader of `serde_json` refuses what nests deeper than 127 levels as a guard of its stack.
/// What could be written but never be read back is refused when it is written.
const DEEPEST: usize = 120;

/// A value as JSON text without spaces, the keys of every object in the order of their bytes.
///
/// Numbers and strings are written as `serde_json` writes them; a float that is not finite becomes
/// `null`. The order of keys does not depend on the `preserve_order` feature of `serde_json`, which
/// any other crate of a build may switch on.
///
/// # Errors
/// `InvalidInput` if the value has no JSON form (a map whose keys are not text or numbers, an
/// integer beyond 64 bits) or nests more than 120 levels deep.
///
/// ```
/// let value = serde_json::json!({"b": 1, "a": {"d": [], "c": "ü"}});
/// assert_eq!(patchcore::digest::canonical_json(&value)?, r#"{"a":{"c":"ü","d":[]},"b":1}"#);
/// # Ok::<_, patchcore::Error>(())
/// ```
pub fn canonical_json(value: &impl Serialize) -> Result<String> {
    canonical_text(serde_json::to_value(value).map_err(no_form)?)
}

fn no_form(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "a value has no JSON form")
        .source_error(error)
        .hint("use text or integers as keys, and integers of at most 64 bits")
}

/// The same of a value that is JSON already.
///
/// # Errors
/// As [`canonical_json`].
pub(crate) fn canonical_text(mut value: serde_json::Value) -> Result<String> {
    if nests_deeper_than(DEEPEST, &value) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a value nests too deeply to be read back",
        )
        .expected(format!("at most {DEEPEST} levels"))
        .hint("store it as a list of parts that refer to each other by name"));
    }
    value.sort_all_objects();
    serde_json::to_string(&value).map_err(no_form)
}

/// The SHA-256 digest of bytes (FIPS 180-4) as 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&sha256(&[bytes.as_ref()]))
}

/// The digest of a value's canonical JSON.
///
/// # Errors
/// As [`canonical_json`].
pub fn digest_of(value: &impl Serialize) -> Result<String> {
    Ok(sha256_hex(canonical_json(value)?))
}

/// The SHA-256 digest of several parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// The SHA-256 digest of what comes in parts, where the whole would be too large to hold.
#[derive(Default)]
pub(crate) struct Digesting(Sha256);

impl Digesting {
    /// Takes the next part.
    pub(crate) fn take(&mut self, part: &str) {
        self.0.update(part.as_bytes());
    }

    /// The digest of everything that was taken.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn nests_deeper_than(levels: usize, value: &serde_json::Value) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        serde_json::Value::Array(items) => items.iter().any(|item| nests_deeper_than(below, item)),
        serde_json::Value::Object(map) => map.values().any(|item| nests_deeper_than(below, item)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn keys_are_sorted_at_every_level() {
        let check =
            |value: Value, expect: &str| assert_eq!(canonical_json(&value).unwrap(), expect);
        check(json!({}), "{}");
        check(json!({"b": 1, "a": 2}), r#"{"a":2,"b":1}"#);
        check(
            json!([{"z": {"y": 1, "x": null}}]),
            r#"[{"z":{"x":null,"y":1}}]"#,
        );
        check(json!({"ä": 1, "z": 2, "Z": 3}), r#"{"Z":3,"z":2,"ä":1}"#);
        check(json!("a\u{0}\"\\"), r#""a\u0000\"\\""#);
    }

    #[test]
    fn what_has_no_json_form_is_refused() {
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(
            canonical_json(&keys).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            canonical_json(&u128::MAX).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn the_deepest_value_that_is_written_can_be_read() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let text = canonical_json(&nested(DEEPEST)).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            nested(DEEPEST)
        );
        assert_eq!(
            canonical_json(&nested(DEEPEST + 1)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        // The example values of FIPS 180-4.
        assert_eq!(
            sha256_hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            sha256_hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        // A plan that is saved and loaded must keep its digest, floats included.
        #[test]
        fn a_float_survives_writing_and_reading(bits: u64) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            let text = canonical_json(&float).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical_json(&read).unwrap(), text);
        }
    }
}
