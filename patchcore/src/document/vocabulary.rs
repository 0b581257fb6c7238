//! The words that a document may contain: one table of keys for all its formats.

/// One table of a document: `[on_fail]`, `[[ring]]`, or the whole.
#[derive(Debug)]
pub struct Table {
    /// In the order in which a reader meets them.
    pub keys: &'static [Key],
    /// The key whose value names the item in messages, such as `name` of a ring.
    pub title: Option<&'static str>,
    /// Keys of which exactly one must stand there; empty where there are no such.
    pub one_of: &'static [&'static str],
    /// Words that are known and not yet supported, as they are written.
    pub later: &'static [Later],
}

impl Table {
    /// A table of these keys.
    #[must_use]
    pub const fn of(keys: &'static [Key]) -> Self {
        Self {
            keys,
            title: None,
            one_of: &[],
            later: &[],
        }
    }

    /// A table of these keys, one of which names the item in messages.
    #[must_use]
    pub const fn titled(title: &'static str, keys: &'static [Key]) -> Self {
        Self {
            title: Some(title),
            ..Self::of(keys)
        }
    }
}

/// One key of a table and what may stand there.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Whether it must stand there.
    pub required: bool,
    /// What its value is.
    pub kind: Kind,
}

impl Key {
    /// A key that must stand there.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            required: true,
            kind,
        }
    }

    /// A key that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            required: false,
            kind,
        }
    }
}

/// A word that is known and not yet supported.
#[derive(Debug)]
pub struct Later {
    /// The key.
    pub name: &'static str,
    /// As the file writes it, such as `[[limit]]`.
    pub written: &'static str,
}

impl Later {
    /// A key and how the file writes it.
    #[must_use]
    pub const fn new(name: &'static str, written: &'static str) -> Self {
        Self { name, written }
    }
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// The number of the vocabulary; there is only 1 so far.
    Version,
    /// A whole number from 1 on.
    Count {
        /// The greatest that it may be.
        most: u32,
    },
    /// True or false.
    Flag,
    /// One line of text.
    Name,
    /// Text of one or several lines.
    Prose,
    /// One line of text that no mistake shows, whatever it is.
    Secret,
    /// Text, or what TOML itself takes for a date or time, that a parser reads.
    Word(Word),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A list of such values.
    List(&'static Self),
    /// A table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
    /// A table of keys that the author chooses, each with one line of text.
    Pairs(Word),
}

impl Kind {
    /// A whole number from 1 on.
    pub const COUNT: Self = Self::Count { most: u32::MAX };
}

/// Text of a form that a parser knows.
#[derive(Debug)]
pub struct Word {
    /// What it is, with its article.
    pub what: &'static str,
    /// A value that is one.
    pub example: &'static str,
    /// Reads it.
    pub check: fn(&str) -> Result<(), Wrong>,
}

/// What more can be said of a wrong word.
#[derive(Debug, Default)]
pub struct Wrong {
    /// What exactly is wrong.
    pub detail: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Wrong {
    /// With what exactly is wrong.
    #[must_use]
    pub fn because(detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            suggestion: None,
        }
    }
}
