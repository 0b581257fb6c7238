//! Values that are written as words with units: how they are refused and how they are stored.

use std::{error::Error as StdError, fmt};

use crate::{Error, ErrorKind};

/// A word that does not say what it should.
///
/// ```
/// let error = patchcore::policy::parse_duration("24").unwrap_err();
/// assert_eq!(error.to_string(), r#""24" is not a duration, expected such as "24h": a number needs its unit"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordError {
    found: String,
    what: &'static str,
    example: &'static str,
    detail: Option<String>,
}

impl WordError {
    pub(crate) fn new(found: &str, what: &'static str, example: &'static str) -> Self {
        // A whole misplaced document must not fill the reader's screen.
        let found = if found.chars().count() > 80 {
            format!("{}…", found.chars().take(80).collect::<String>())
        } else {
            found.to_owned()
        };
        Self {
            found,
            what,
            example,
            detail: None,
        }
    }

    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What was written.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What should have been there, such as `a time of day`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// A value that would have been understood.
    #[must_use]
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// What exactly is wrong, where more can be said.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not {}, expected such as {:?}",
            self.found, self.what, self.example
        )?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl StdError for WordError {}

impl From<WordError> for Error {
    fn from(error: WordError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

/// Stores a type as its words: `Display` writes what `FromStr` reads.
macro_rules! stored_as_words {
    ($type:ident, $what:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $what })
            }
        }
    };
}
pub(crate) use stored_as_words;
