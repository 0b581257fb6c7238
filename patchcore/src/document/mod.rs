//! Files that people write: read with the place of every key, and answered with every mistake at once.
//!
//! A [`Form`] says how such a document is called and which words it may contain. It reads TOML, JSON, or
//! [`Node`]s of another format, and gives a [`Document`]: the content as JSON, where each item stands, and what is
//! wrong. Where a value is wrong, one that is right stands in for it, so that the rules between items can still
//! be checked; what depends on a stand-in is not reported.

mod json;
mod mistake;
mod node;
mod place;
mod settings;
mod toml;
mod variables;
mod vocabulary;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::Read as _,
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use self::walk::Walk;
pub use self::{
    mistake::{Mistake, Mistakes, nearest},
    node::{Entry, Node, Value},
    place::{Place, Places},
    settings::Settings,
    vocabulary::{Key, Kind, Later, Table, Word, Wrong},
};
use crate::error::{Error, ErrorKind, Result};

/// A document is written by hand; what has more bytes is another file.
pub(crate) const LONGEST: usize = 1 << 20;

/// How a kind of document is called, and which words it may contain.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What it is, such as `policy`.
    pub noun: &'static str,
    /// The same with its article.
    pub with_article: &'static str,
    /// Its words.
    pub table: &'static Table,
}

/// A document that was read: what it says, where, and what is wrong.
pub struct Document {
    form: Form,
    content: Json,
    at: Place,
    mistakes: Vec<Mistake>,
    /// The pointers of values that are stand-ins.
    damaged: BTreeSet<String>,
    places: Places,
}

impl fmt::Debug for Document {
    /// Without its content, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("form", &self.form.noun)
            .field("at", &self.at)
            .field("mistakes", &self.mistakes)
            .finish_non_exhaustive()
    }
}

impl Form {
    /// Reads TOML; `file` is how mistakes call the text.
    ///
    /// # Errors
    /// What is wrong with it as TOML; what is wrong with its words stands in the document.
    pub fn toml(self, text: &str, file: &str) -> Result<Document, Mistakes> {
        self.short(text, file)?;
        toml::read(text, file)
            .map(|root| self.nodes(&root))
            .map_err(Mistakes::new)
    }

    /// Reads JSON, which has the same keys.
    ///
    /// # Errors
    /// What is wrong with it as JSON.
    pub fn json(self, text: &str, file: &str) -> Result<Document, Mistakes> {
        self.short(text, file)?;
        json::read(text, file)
            .map(|root| self.nodes(&root))
            .map_err(Mistakes::new)
    }

    /// Reads a value that is in memory; mistakes are pointed at after its name.
    ///
    /// # Errors
    /// That it has no JSON form.
    pub fn value(self, value: &impl Serialize, name: &str) -> Result<Document, Mistakes> {
        json::from_memory(value, name)
            .map(|root| self.nodes(&root))
            .map_err(|error| {
                let place = Place::Pointer {
                    file: name.into(),
                    pointer: String::new(),
                };
                let noun = self.noun;
                Mistakes::new(vec![Mistake::new(
                    place,
                    format!("this {noun} cannot be written down: {error}"),
                )])
            })
    }

    /// Reads the variables of an environment that begin with a prefix; the rest of a name is a word in capitals.
    #[must_use]
    pub fn variables(
        self,
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Document {
        self.nodes(&variables::read(self.table, prefix, variables))
    }

    /// Reads the nodes of any format.
    #[must_use]
    pub fn nodes(self, root: &Node) -> Document {
        let mut walk = Walk::new(self.with_article, self.noun);
        let content = walk.document(self.table, root);
        Document {
            form: self,
            content,
            at: root.at.clone(),
            mistakes: walk.mistakes,
            damaged: walk.damaged,
            places: Places::new(walk.places),
        }
    }

    /// The text of a file, as far as a document may be long.
    ///
    /// # Errors
    /// `NotFound`, `Io`, or `InvalidInput` where it is no text.
    pub fn text_of(self, path: &Path) -> Result<String> {
        let failed = |error: std::io::Error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
                _ => ErrorKind::Io,
            };
            let (noun, name) = (self.noun, path.display());
            Error::new(kind, format!("{noun} {name} could not be read"))
                .consequence("nothing was done")
                .source_error(error)
        };
        let mut text = String::new();
        // One byte more than a document may have is enough to see that it has more.
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
        fs::File::open(path)
            .and_then(|file| file.take(most).read_to_string(&mut text))
            .map_err(failed)?;
        Ok(text)
    }

    /// That a text is not longer than a document may be; the formats ask it themselves.
    ///
    /// # Errors
    /// One mistake, at the beginning.
    pub fn short(self, text: &str, file: &str) -> Result<(), Mistakes> {
        if text.len() <= LONGEST {
            return Ok(());
        }
        let beginning = Place::Line {
            file: file.into(),
            line: 1,
            column: 1,
        };
        let what = self.with_article;
        let message = format!("{what} has at most {LONGEST} bytes, not {}", text.len());
        Err(Mistakes::new(vec![Mistake::new(beginning, message)]))
    }
}

impl Document {
    /// Its content as a type. Where the type refuses what the vocabulary lets through, which is a fault of the
    /// two, that is a mistake of the document, and the answer is the default.
    pub fn content<T: DeserializeOwned + Default>(&mut self) -> T {
        serde_json::from_value(self.content.clone()).unwrap_or_else(|error| {
            let noun = self.form.noun;
            self.add(Mistake::new(
                self.at.clone(),
                format!("this {noun} cannot be taken: {error}"),
            ));
            // No rule between items holds for what was not read.
            self.damaged.insert(String::new());
            T::default()
        })
    }

    /// Where its items stand.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// One more mistake.
    pub fn add(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Reports a mistake at an item, unless one of the items that the rule reads is a stand-in: such a mistake
    /// may be none once the value is put right.
    pub fn report(&mut self, at: &str, reads: &[&str], mistake: impl FnOnce(Place) -> Mistake) {
        if reads.iter().any(|pointer| self.is_damaged(pointer)) {
            return;
        }
        // What stands there only by default is named at the nearest item that was written.
        let mut pointer = at;
        let place = loop {
            if let Some(place) = self.places.get(pointer) {
                break place.clone();
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => break self.at.clone(),
            }
        };
        self.add(mistake(place));
    }

    /// Reports every name that an earlier item has too.
    pub fn unique<'n>(
        &mut self,
        word: &str,
        key: &str,
        names: impl Iterator<Item = (String, &'n str)>,
    ) {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        for (pointer, name) in names {
            if let Some(earlier) = first.get(name) {
                let line = match self.places.get(earlier) {
                    Some(place) => format!(", first at {place}"),
                    None => String::new(),
                };
                let message = format!("{word} {name:?}: {key} is used twice{line}");
                self.report(&pointer, &[&pointer, earlier], |place| {
                    Mistake::new(place, message)
                });
            } else {
                first.insert(name, pointer);
            }
        }
    }

    /// Gives the value that was made of it, where nothing is wrong.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        match self.mistakes.is_empty() {
            true => Ok(value),
            false => Err(Mistakes::new(self.mistakes)),
        }
    }

    /// Whether a value, or one inside it, is a stand-in.
    fn is_damaged(&self, pointer: &str) -> bool {
        self.damaged.iter().any(|damaged| {
            damaged
                .strip_prefix(pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                || pointer
                    .strip_prefix(damaged.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
        })
    }
}
