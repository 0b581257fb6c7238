//! A document with the place of every key and value, whatever its format.

mod json;
mod toml;

use super::{mistake::Mistake, place::Place};

pub(crate) use json::{from_memory, read as read_json};
pub(crate) use toml::read as read_toml;

/// A policy is written by hand; what is longer is another file.
pub(crate) const LONGEST: usize = 1 << 20;

/// A value and where it starts.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    /// A number as it is written, in decimal where it is whole.
    Number(String),
    Text(String),
    /// A date or time that the format itself knows.
    Time(String),
    List(Vec<Node>),
    /// In the order of the file; JSON may give a key twice.
    Table(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) node: Node,
}

impl Value {
    /// The value as it is named in a mistake.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => shortened(number),
            Self::Text(text) => format!("{:?}", shortened(text)),
            Self::Time(time) => time.clone(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

/// What a mistake quotes must fit on the reader's line.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(80).collect::<String>())
}

/// Appends a key or an index to a JSON pointer (RFC 6901).
pub(crate) fn under(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn too_long(text: &str, file: &str) -> Option<Mistake> {
    let whole = Place::Line {
        file: file.into(),
        line: 1,
        column: 1,
    };
    (text.len() > LONGEST).then(|| {
        Mistake::new(
            whole,
            format!("a policy has at most {LONGEST} bytes, not {}", text.len()),
        )
    })
}
