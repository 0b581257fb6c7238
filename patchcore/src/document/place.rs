//! Where something stands in what the user wrote.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// Where something stands: `policy.toml:32:1`, or for JSON `policy.json#/ring/1/start_after`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A line and a column of a text, both from 1, the column in characters.
    Line {
        /// The name of the file as the user gave it.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// A JSON pointer (RFC 6901) into a document, or into a policy that was built in code.
    Pointer {
        /// The name of the file as the user gave it, or of the policy.
        file: Arc<str>,
        /// The pointer, such as `/ring/1/start_after`; empty for the whole.
        pointer: String,
    },
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: Arc<str>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            // The fragment form of RFC 6901 section 6, without its percent-encoding: it is read by
            // people.
            Self::Pointer { file, pointer } => write!(f, "{file}#{pointer}"),
            Self::Variable { name } => f.write_str(name),
        }
    }
}

/// The places of a document's items by pointer. They are not what the document says: two that say the same
/// are equal wherever it stands.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<BTreeMap<String, Place>>);

impl Places {
    pub(super) fn new(places: BTreeMap<String, Place>) -> Self {
        Self(Arc::new(places))
    }

    /// Where an item stands, by JSON pointer such as `/ring/1/start_after`; `None` for what was not written.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Place> {
        self.0.get(pointer)
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
