//! JSON, in which a key that is given twice is seen.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{
    Mistake, Place,
    node::{Entry, Node, Value, under},
};

/// Reads a document; the mistakes are those of the format.
pub(super) fn read(text: &str, file: &str) -> Result<Node, Vec<Mistake>> {
    match serde_json::from_str::<Raw>(text) {
        Ok(raw) => Ok(placed(raw, &file.into(), String::new())),
        Err(error) => {
            let at = Place::Line {
                file: file.into(),
                line: error.line().max(1),
                column: error.column().max(1),
            };
            // The place is said once, in our form.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            Err(vec![Mistake::new(
                at,
                format!("this is not JSON: {message}"),
            )])
        }
    }
}

/// The same of a value that is in memory; its fields keep their order.
pub(super) fn from_memory(value: &impl Serialize, file: &str) -> serde_json::Result<Node> {
    let raw = serde_json::from_str::<Raw>(&serde_json::to_string(value)?)?;
    Ok(placed(raw, &file.into(), String::new()))
}

fn placed(raw: Raw, file: &Arc<str>, pointer: String) -> Node {
    let place = |pointer: &str| Place::Pointer {
        file: Arc::clone(file),
        pointer: pointer.to_owned(),
    };
    let value = match raw {
        Raw::Null => Value::Null,
        Raw::Flag(flag) => Value::Flag(flag),
        Raw::Number(number) => Value::Number(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| placed(item, file, under(&pointer, &index.to_string())))
                .collect(),
        ),
        Raw::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let pointer = under(&pointer, &key);
                    Entry {
                        key,
                        key_at: place(&pointer),
                        node: placed(value, file, pointer),
                    }
                })
                .collect(),
        ),
    };
    Node {
        at: place(&pointer),
        value,
    }
}

enum Raw {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        // With its point, so that 1.0 is not taken for a whole number.
        Ok(Raw::Number(format!("{number:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Raw::Table(table))
    }
}
