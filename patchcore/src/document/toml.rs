//! TOML by the spans of its parser.

use std::{ops::Range, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    Mistake, Place,
    node::{Entry, Node, Value},
};

/// Turns byte offsets into lines and columns.
struct Lines<'t> {
    text: &'t str,
    file: Arc<str>,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, file: &str) -> Self {
        let after_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            file: file.into(),
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Place::Line {
            file: Arc::clone(&self.file),
            line,
            column: before.chars().count() + 1,
        }
    }
}

/// Reads a document; the mistakes are those of the format.
pub(super) fn read(text: &str, file: &str) -> Result<Node, Vec<Mistake>> {
    let lines = Lines::new(text, file);
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node {
            at: lines.place(0),
            value: table(document.get_ref(), &lines),
        });
    }
    Err(errors
        .iter()
        .map(|error| {
            let at = lines.place(error.span().map_or(0, |span| span.start));
            let message: Vec<&str> = error.message().lines().map(str::trim).collect();
            Mistake::new(at, format!("this is not TOML: {}", message.join(", ")))
        })
        .collect())
}

fn table(table: &DeTable<'_>, lines: &Lines<'_>) -> Value {
    let mut entries: Vec<(Range<usize>, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let key_at = lines.place(key.span().start);
            let node = node(value.get_ref(), value.span(), lines);
            (
                key.span(),
                Entry {
                    key: key.get_ref().to_string(),
                    key_at,
                    node,
                },
            )
        })
        .collect();
    entries.sort_by_key(|(span, _)| span.start);
    Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn node(value: &DeValue<'_>, span: Range<usize>, lines: &Lines<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(
            i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.to_string(), |number| number.to_string()),
        ),
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Time(time.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| node(item.get_ref(), item.span(), lines))
                .collect(),
        ),
        DeValue::Table(inner) => table(inner, lines),
    };
    Node {
        at: lines.place(span.start),
        value,
    }
}
