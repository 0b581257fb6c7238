//! What a policy says, as one number.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Policy;

impl Policy {
    /// The SHA-256 of what the policy says, in hexadecimal: the same however it is formatted,
    /// whatever its file is called, and whether a default is written or left out.
    #[must_use]
    pub fn digest(&self) -> String {
        // The types of a policy always have a JSON form; nothing else must get the digest of one.
        let content = serde_json::to_value(self)
            .map_or_else(|error| error.to_string(), |value| canonical(&value));
        let hash = Sha256::digest(content.as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// JSON without white space, keys in order, whatever the map type of `serde_json` keeps.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(canonical).collect::<Vec<_>>().join(",")
        ),
        plain => plain.to_string(),
    }
}
