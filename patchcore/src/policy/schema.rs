//! The JSON Schema of the file form.

use super::Policy;

/// The JSON Schema of a policy, for editors and for those who generate policies.
///
/// It is derived from the types; a test holds it against the vocabulary that readers check by.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Policy).into()
}
