//! What is wrong with a document: every mistake, each with its place.

use std::{error::Error as StdError, fmt};

use super::Place;
use crate::{Error, ErrorKind};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong, in one line that names the thing.
    pub message: String,
    /// The words one of which could have stood there; empty where they are no list.
    pub expected: Vec<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            expected: Vec::new(),
            suggestion: None,
        }
    }

    /// The words one of which could have stood there.
    #[must_use]
    pub fn expected_one_of(mut self, words: &[&str]) -> Self {
        self.expected = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// What was probably meant.
    #[must_use]
    pub fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if !self.expected.is_empty() {
            write!(f, "\n   expected one of: {}", self.expected.join(", "))?;
        }
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n   did you mean {suggestion:?}?"),
            None => Ok(()),
        }
    }
}

/// Every mistake of a document, in the order of the file; never empty.
///
/// `Display` is the whole listing, and its last line says how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Mistakes of which there is at least one.
    #[must_use]
    pub fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| match (&a.place, &b.place) {
            (
                Place::Line { line, column, .. },
                Place::Line {
                    line: other,
                    column: other_column,
                    ..
                },
            ) => (line, column).cmp(&(other, other_column)),
            // Pointers carry no order of the file; the reading order is kept.
            _ => std::cmp::Ordering::Equal,
        });
        Self(mistakes)
    }

    /// The mistakes in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Mistake] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        let count = self.0.len();
        write!(
            f,
            "{count} mistake{}; nothing was done",
            if count == 1 { "" } else { "s" }
        )
    }
}

impl StdError for Mistakes {}

impl From<Mistakes> for Error {
    /// The whole listing is the message; as a source it would be printed twice.
    fn from(mistakes: Mistakes) -> Self {
        Self::new(ErrorKind::InvalidInput, mistakes.to_string())
    }
}

/// The known word nearest to a mistyped one, where one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_lowercase();
    // One slip in three characters: more would offer words that merely look alike.
    let most = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&typed, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word.to_owned())
}
