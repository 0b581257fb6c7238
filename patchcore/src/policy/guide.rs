//! Holds `docs/guide/policy.md` against the vocabulary: every key, default and example of the page is tried.

use std::collections::BTreeMap;

use toml::Value;

use super::{Policy, vocabulary::POLICY};
use crate::document::{Kind, Table};

/// The page as it is now.
fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/policy.md");
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

const MUST: &str = "must be written";
const NONE: &str = "none";
const ONE_OF: &str = "one of the two";
/// For a default that depends on another key, which the meaning explains.
const EXPLAINED: &str = "as said here";

/// A table as it is written: each key with the text of its value.
type Written = BTreeMap<String, String>;

#[derive(Debug)]
struct Row {
    key: String,
    example: String,
    default: String,
    all: String,
}

/// The rows below each heading, by the first word of the heading.
fn sections() -> BTreeMap<String, Vec<Row>> {
    let mut sections: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut section = None;
    for line in page().lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let word = heading.split('`').nth(1).unwrap_or("");
            let name = word.trim_matches(['[', ']']).to_owned();
            assert!(
                sections.insert(name.clone(), Vec::new()).is_none(),
                "{heading} stands twice"
            );
            section = Some(name);
        } else if line.starts_with('#') {
            section = None;
        } else if let (Some(section), Some(row)) = (&section, line.strip_prefix("| `")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let bare = |cell: &str| cell.trim_matches('`').to_owned();
            let [key, example, default, meaning] = cells.as_slice() else {
                panic!("{line} is not a row of four cells")
            };
            sections.get_mut(section).unwrap().push(Row {
                key: bare(key),
                example: bare(example),
                default: bare(default),
                all: format!("{line} {meaning}"),
            });
        }
    }
    sections
}

/// Every table of the vocabulary with the name of its section; the file itself has none.
fn tables() -> Vec<(&'static str, &'static Table)> {
    fn inside(table: &'static Table, into: &mut Vec<(&'static str, &'static Table)>) {
        for key in table.keys {
            if let Kind::Table(inner) | Kind::Tables(inner) = &key.kind {
                into.push((key.name, inner));
                inside(inner, into);
            }
        }
    }
    let mut found = vec![("", &POLICY)];
    inside(&POLICY, &mut found);
    found
}

/// Whether a value can stand for this kind. Numbers, names and tables are tried as a part of the whole policy.
fn fits(kind: &Kind, value: &Value, row: &str) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Datetime(date) => date.to_string(),
        _ => String::new(),
    };
    match kind {
        Kind::Word(word) => assert!((word.check)(&text).is_ok(), "{row}"),
        Kind::Choice(words) => {
            assert!(words.contains(&text.as_str()), "{row}");
            for word in *words {
                assert!(
                    row.contains(&format!("`\"{word}\"`")),
                    "{word} is missing in: {row}"
                );
            }
        }
        Kind::List(inner) => {
            for one in value.as_array().expect(row) {
                fits(inner, one, row);
            }
        }
        _ => {}
    }
}

fn value_of(written: &str) -> Value {
    let table: toml::Table = format!("x = {written}").parse().unwrap();
    table["x"].clone()
}

fn inline(table: &Written) -> String {
    let keys: Vec<String> = table
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", keys.join(", "))
}

/// The policy of all examples: one table of each, and an earlier ring for the later one to wait for.
fn policy_of(sections: &BTreeMap<String, Vec<Row>>, change: &dyn Fn(&str, &mut Written)) -> String {
    let table = |name: &str| {
        let mut table: Written = sections[name]
            .iter()
            .filter(|row| !["command", "keep_up", "pause"].contains(&row.key.as_str()))
            .map(|row| (row.key.clone(), row.example.clone()))
            .collect();
        change(name, &mut table);
        table
    };
    let mut policy = table("");
    for key in POLICY.keys {
        let inner = || {
            let mut inner = table(key.name);
            if let Some(after) = inner.get_mut("start_after") {
                *after = inline(&table("start_after"));
            }
            if let Some(limits) = inner.get_mut("kind") {
                *limits = format!("[{}]", inline(&table("kind")));
            }
            inline(&inner)
        };
        let written = match (&key.kind, key.name) {
            (Kind::Table(_), _) => inner(),
            (Kind::Tables(_), "ring") => {
                format!(
                    "[{{ name = \"test\", select = \"ring = test\" }}, {}]",
                    inner()
                )
            }
            (Kind::Tables(_), _) => format!("[{}]", inner()),
            _ => continue,
        };
        policy.insert(key.name.to_owned(), written);
    }
    policy
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

fn read(policy: &str) -> serde_json::Value {
    let read = Policy::from_toml(policy, "docs/guide/policy.md");
    serde_json::to_value(read.unwrap_or_else(|e| panic!("{e:?}\n{policy}"))).unwrap()
}

#[test]
fn the_page_says_what_the_vocabulary_says() {
    let sections = sections();
    let tables = tables();
    let names: Vec<&str> = sections.keys().map(String::as_str).collect();
    let mut known: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "sections");
    for (name, table) in tables {
        let keys: Vec<_> = table
            .keys
            .iter()
            .filter(|key| {
                !(name.is_empty() && matches!(key.kind, Kind::Table(_) | Kind::Tables(_)))
            })
            .collect();
        let rows = &sections[name];
        assert_eq!(
            rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(),
            keys.iter().map(|key| key.name).collect::<Vec<_>>(),
            "keys of [{name}]"
        );
        for (row, key) in rows.iter().zip(keys) {
            assert_eq!(row.default == MUST, key.required, "{}", row.all);
            assert_eq!(
                row.default == ONE_OF,
                table.one_of.contains(&key.name),
                "{}",
                row.all
            );
            fits(&key.kind, &value_of(&row.example), &row.all);
        }
    }
}

#[test]
fn leaving_a_key_out_is_the_same_as_writing_its_default() {
    let sections = sections();
    for (section, rows) in &sections {
        for row in rows
            .iter()
            .filter(|row| ![MUST, ONE_OF, EXPLAINED].contains(&row.default.as_str()))
        {
            let with = |value: Option<&String>| {
                read(&policy_of(&sections, &|name, table| {
                    if name == section {
                        table.remove(&row.key);
                        if row.key == "from" && name == "approval" {
                            // Two of nobody would be a mistake of its own.
                            table.remove("needs");
                        }
                        table.extend(value.map(|value| (row.key.clone(), value.clone())));
                    }
                }))
            };
            let left_out = with(None);
            if row.default != NONE {
                assert_eq!(left_out, with(Some(&row.default)), "{}", row.all);
            }
            // An example that is the default would try nothing; of the version there is only one.
            if row.key != "policy" {
                assert_ne!(left_out, with(Some(&row.example)), "{}", row.all);
            }
        }
    }
}

#[test]
fn every_word_that_is_not_yet_supported_is_named_as_such() {
    let page = page();
    let (_, part) = page.split_once("## Known, not yet supported").unwrap();
    let (part, _) = part.split_once("\n## ").unwrap();
    let (_, list) = part.rsplit_once(':').unwrap();
    let mut named: Vec<&str> = list
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| !["[patches]", "[[around]]"].contains(word))
        .collect();
    let mut known: Vec<&str> = tables()
        .iter()
        .flat_map(|(_, table)| table.later)
        .map(|later| later.written)
        .collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}
