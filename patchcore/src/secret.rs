//! A value that cannot be printed, stored or compared by accident.

use std::fmt;

/// A secret, such as a password or a token.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`; `Debug` shows that there is one.
///
/// ```
/// let secret = patchcore::Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(hidden)");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
