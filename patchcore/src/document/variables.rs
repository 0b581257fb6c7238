//! Variables of the environment, by the same words as a file.

use super::{
    Key, Kind, Place, Table,
    node::{Entry, Node, Value},
};

/// A table of the variables that begin with a prefix, in the order of their names. The rest of a name is a word in
/// capitals.
pub(super) fn read(
    table: &Table,
    prefix: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Node {
    let mut found: Vec<(String, String)> = variables
        .into_iter()
        .filter(|(name, _)| name.len() > prefix.len() && name.starts_with(prefix))
        .collect();
    found.sort();
    let entries = found.into_iter().map(|(name, text)| {
        let key = name[prefix.len()..].to_lowercase();
        let at = place(&name);
        let kind = table.keys.iter().find(|k| k.name == key).map(kind);
        Entry {
            key,
            key_at: at.clone(),
            node: Node {
                value: value(kind, &text, &at),
                at,
            },
        }
    });
    Node {
        at: place(&format!("{prefix}…")),
        value: Value::Table(entries.collect()),
    }
}

const fn kind(key: &Key) -> &Kind {
    &key.kind
}

fn place(name: &str) -> Place {
    Place::Variable { name: name.into() }
}

/// What a text stands for where such a value is wanted. What is no such value stays text, and is a mistake later.
fn value(kind: Option<&Kind>, text: &str, at: &Place) -> Value {
    if matches!(kind, Some(Kind::Secret)) {
        // A blank at its end is part of it.
        return Value::Text(text.to_owned());
    }
    let text = text.trim();
    match kind {
        Some(Kind::Flag) => match text {
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            _ => Value::Text(text.to_owned()),
        },
        Some(Kind::Version | Kind::Count { .. }) if is_number(text) => {
            Value::Number(text.to_owned())
        }
        Some(Kind::List(kind)) => Value::List(
            parts(text)
                .map(|part| Node {
                    at: at.clone(),
                    value: value(Some(kind), part, at),
                })
                .collect(),
        ),
        Some(Kind::Pairs(_)) => {
            let pairs: Option<Vec<Entry>> = parts(text)
                .map(|part| {
                    let (key, text) = part.split_once('=')?;
                    Some(Entry {
                        key: key.trim().to_owned(),
                        key_at: at.clone(),
                        node: Node {
                            at: at.clone(),
                            value: Value::Text(text.trim().to_owned()),
                        },
                    })
                })
                .collect();
            pairs.map_or_else(|| Value::Text(text.to_owned()), Value::Table)
        }
        _ => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The parts between commas.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}
