//! A document with the place of every key and value, whatever its format.

use std::borrow::Cow;

use super::Place;

/// A value and where it starts.
#[derive(Debug)]
pub struct Node {
    /// Where.
    pub at: Place,
    /// What.
    pub value: Value,
}

/// A value of any format.
#[derive(Debug)]
pub enum Value {
    /// JSON's null.
    Null,
    /// True or false.
    Flag(bool),
    /// A number as it is written, in decimal where it is whole.
    Number(String),
    /// Text.
    Text(String),
    /// A date or time that the format itself knows.
    Time(String),
    /// Values in their order.
    List(Vec<Node>),
    /// In the order of the file; JSON may give a key twice.
    Table(Vec<Entry>),
}

/// A key of a table with its value.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub key_at: Place,
    /// The value.
    pub node: Node,
}

impl Value {
    /// The value as it is named in a mistake.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => shortened(number),
            Self::Text(text) => format!("{:?}", shortened(&without_login(text))),
            Self::Time(time) => time.clone(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

/// A text as it may be quoted: whoever wrote a user and a password into a URL does not find them in a log.
fn without_login(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Cow::Borrowed(text);
    };
    // A password may hold a slash that nobody escaped, so that all up to the last sign counts as it.
    match rest.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://…@{host}")),
        None => Cow::Borrowed(text),
    }
}

/// What a mistake quotes must fit on the reader's line.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(80).collect::<String>())
}

/// Appends a key or an index to a JSON pointer (RFC 6901).
pub(super) fn under(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
