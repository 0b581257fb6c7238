//! The plain list: `[user@]host[:port]`, one a line.

use patchcore::document::{Document, Entry, Mistake, Mistakes, Node, Place, Value};

use super::vocabulary::FORM;

/// Reads a list into the same keys as the other formats have, so that its words are checked by the same table.
pub(super) fn read(text: &str, file: &str) -> Result<Document, Mistakes> {
    FORM.short(text, file)?;
    let mut hosts = Vec::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bare = line.split_once('#').map_or(line, |(before, _)| before);
        let word = bare.trim();
        if word.is_empty() {
            continue;
        }
        let before = bare.chars().take_while(|c| c.is_whitespace()).count();
        let place = |offset: usize| Place::Line {
            file: file.into(),
            line: index + 1,
            column: before + offset + 1,
        };
        if word.contains(char::is_whitespace) {
            mistakes.push(Mistake::new(
                place(0),
                format!("{word:?} is not one machine, expected [user@]host[:port], one a line"),
            ));
            continue;
        }
        hosts.push(host(word, &place));
    }
    let whole = Place::Line {
        file: file.into(),
        line: 1,
        column: 1,
    };
    let entry = |key: &str, node: Node| Entry {
        key: key.to_owned(),
        key_at: node.at.clone(),
        node,
    };
    let mut root = Vec::new();
    // Where every line was wrong, that none is left is no further mistake.
    if !hosts.is_empty() || mistakes.is_empty() {
        root.push(entry(
            "host",
            Node {
                at: whole.clone(),
                value: Value::List(hosts),
            },
        ));
    } else {
        return Err(Mistakes::new(mistakes));
    }
    let mut document = FORM.nodes(&Node {
        at: whole,
        value: Value::Table(root),
    });
    mistakes
        .into_iter()
        .for_each(|mistake| document.add(mistake));
    Ok(document)
}

/// One machine; an IPv6 address with a port stands in brackets.
fn host(word: &str, place: &impl Fn(usize) -> Place) -> Node {
    let mut keys = Vec::new();
    let mut add = |key: &str, at: usize, value: Value| {
        keys.push(Entry {
            key: key.to_owned(),
            key_at: place(at),
            node: Node {
                at: place(at),
                value,
            },
        });
    };
    let text = |text: &str| Value::Text(text.to_owned());
    // A name of a directory may have an @ itself.
    let (user, rest) = match word.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, word),
    };
    let start = word.chars().count() - rest.chars().count();
    let (address, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((address, after)) => (address, after.strip_prefix(':')),
        // Two colons without brackets are an address of IPv6, which has no port then.
        None => match rest.split_once(':') {
            Some((address, port)) if !port.contains(':') => (address, Some(port)),
            _ => (rest, None),
        },
    };
    if let Some(user) = user {
        add("user", 0, text(user));
    }
    // A name has no colon, which an address of IPv6 is full of.
    add("name", start, text(&address.replace(':', "-")));
    add("address", start, text(address));
    if let Some(port) = port {
        let at = word.chars().count() - port.chars().count();
        add("port", at, Value::Number(port.to_owned()));
    }
    Node {
        at: place(0),
        value: Value::Table(keys),
    }
}
