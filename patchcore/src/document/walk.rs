//! Walks a document along the vocabulary: says every mistake, and gives what it read as JSON.
//!
//! Where a value is wrong, one that is right stands in for it, so that the walk can go on and the
//! rules between items can still be checked; what depends on a stand-in is not reported.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::{
    Kind, Mistake, Place, Table, Word, nearest,
    node::{Entry, Node, Value, shortened, under},
};

/// What a walk found.
#[derive(Debug)]
pub(super) struct Walk {
    /// What the document is, with its article.
    with_article: &'static str,
    noun: &'static str,
    pub(super) mistakes: Vec<Mistake>,
    /// The pointers of values that are stand-ins.
    pub(super) damaged: BTreeSet<String>,
    pub(super) places: BTreeMap<String, Place>,
}

/// How a table is called in messages.
struct Called {
    /// As it stands in the file: `[[ring]] "broad"`.
    header: String,
    /// As people say it, with a colon: `ring "broad": `.
    subject: String,
}

impl Walk {
    pub(super) fn new(with_article: &'static str, noun: &'static str) -> Self {
        Self {
            with_article,
            noun,
            mistakes: Vec::new(),
            damaged: BTreeSet::new(),
            places: BTreeMap::new(),
        }
    }

    /// Walks the whole document.
    pub(super) fn document(&mut self, table: &'static Table, root: &Node) -> Json {
        self.places.insert(String::new(), root.at.clone());
        let Value::Table(entries) = &root.value else {
            self.mistake(
                root,
                format!(
                    "{} is a table of keys, not {}",
                    self.with_article,
                    root.value.shown()
                ),
            );
            return Json::Object(Map::new());
        };
        let called = Called {
            header: String::new(),
            subject: String::new(),
        };
        Json::Object(self.table(table, entries, &root.at, "", &called))
    }

    fn mistake(&mut self, at: &Node, message: String) {
        self.mistakes.push(Mistake::new(at.at.clone(), message));
    }

    fn table(
        &mut self,
        table: &'static Table,
        entries: &[Entry],
        at: &Place,
        pointer: &str,
        called: &Called,
    ) -> Map<String, Json> {
        let mut read = Map::new();
        for entry in entries {
            let pointer = under(pointer, &entry.key);
            if read.contains_key(&entry.key) || self.places.contains_key(&pointer) {
                let message = format!("{}key {:?} is given twice", called.subject, entry.key);
                self.mistakes
                    .push(Mistake::new(entry.key_at.clone(), message));
                self.damaged.insert(pointer);
                continue;
            }
            let Some(key) = table.keys.iter().find(|key| key.name == entry.key) else {
                self.unknown_key(table, entry, called);
                continue;
            };
            self.places.insert(pointer.clone(), entry.key_at.clone());
            let value = self.value(&key.kind, key.name, &entry.node, &pointer, called);
            read.insert(key.name.to_owned(), value);
        }
        for key in table.keys.iter().filter(|key| key.required) {
            if !read.contains_key(key.name) {
                let example =
                    example(&key.kind).map(|example| format!(", expected such as {example:?}"));
                let message = format!(
                    "{}{} is missing{}",
                    called.subject,
                    key.name,
                    example.unwrap_or_default()
                );
                self.mistakes.push(Mistake::new(at.clone(), message));
                let stand_in = self.stand_in(&key.kind, &under(pointer, key.name));
                read.insert(key.name.to_owned(), stand_in);
            }
        }
        self.one_of(table, &mut read, at, pointer, called);
        read
    }

    fn unknown_key(&mut self, table: &Table, entry: &Entry, called: &Called) {
        let within = if called.header.is_empty() {
            String::new()
        } else {
            format!(" in {}", called.header)
        };
        let mistake = if let Some(later) = table.later.iter().find(|later| later.name == entry.key)
        {
            Mistake::new(
                entry.key_at.clone(),
                format!("{}{within}: known, not yet supported", later.written),
            )
        } else {
            let words: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            let message = format!("unknown key {:?}{within}", shortened(&entry.key));
            Mistake::new(entry.key_at.clone(), message)
                .suggesting(nearest(&entry.key, words.iter().copied()))
                .expected_one_of(&words)
        };
        self.mistakes.push(mistake);
    }

    fn one_of(
        &mut self,
        table: &Table,
        read: &mut Map<String, Json>,
        at: &Place,
        pointer: &str,
        called: &Called,
    ) {
        let given: Vec<&str> = table
            .one_of
            .iter()
            .copied()
            .filter(|name| read.contains_key(*name))
            .collect();
        let (Some(&first), true) = (table.one_of.first(), given.len() != 1) else {
            return;
        };
        let message = if given.is_empty() {
            format!(
                "{}nothing of {} is given",
                called.subject,
                table.one_of.join(", ")
            )
        } else {
            format!(
                "{}only one of {} can be given",
                called.subject,
                given.join(" and ")
            )
        };
        self.mistakes
            .push(Mistake::new(at.clone(), message).expected_one_of(table.one_of));
        for surplus in given.iter().skip(1) {
            read.remove(*surplus);
        }
        if given.is_empty() {
            let kind = table
                .keys
                .iter()
                .find(|key| key.name == first)
                .map(|key| &key.kind);
            let stand_in = kind.map(|kind| self.stand_in(kind, &under(pointer, first)));
            read.insert(first.to_owned(), stand_in.unwrap_or_default());
        }
    }

    fn value(
        &mut self,
        kind: &'static Kind,
        key: &str,
        node: &Node,
        pointer: &str,
        called: &Called,
    ) -> Json {
        match (kind, &node.value) {
            (Kind::Table(table), Value::Table(entries)) => {
                let called = if called.header.is_empty() {
                    Called {
                        header: format!("[{key}]"),
                        subject: format!("[{key}]: "),
                    }
                } else {
                    Called {
                        header: format!("{key} of {}", called.header),
                        subject: format!("{}{key}: ", called.subject),
                    }
                };
                // A key that is missing is missed where the table begins, which is its own key.
                let at = self.places.get(pointer).unwrap_or(&node.at).clone();
                return Json::Object(self.table(table, entries, &at, pointer, &called));
            }
            (Kind::Tables(table), Value::List(items)) => {
                return items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.item(table, key, index, item, pointer))
                    .collect();
            }
            (Kind::List(kind), Value::List(items)) => {
                return items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let pointer = under(pointer, &index.to_string());
                        self.places.insert(pointer.clone(), item.at.clone());
                        self.value(kind, key, item, &pointer, called)
                    })
                    .collect();
            }
            (Kind::Pairs(word), Value::Table(entries)) => {
                return self.pairs(word, key, entries, pointer, called);
            }
            (Kind::Flag, Value::Flag(flag)) => return Json::Bool(*flag),
            (Kind::Version, Value::Number(number)) if number == "1" => return Json::from(1),
            (Kind::Count { most }, Value::Number(number)) => {
                let right = |count: &u32| (1..=*most).contains(count);
                if let Some(count) = number.parse::<u32>().ok().filter(right) {
                    return Json::from(count);
                }
            }
            (Kind::Name, Value::Text(text)) if is_name(text) => return Json::from(text.as_str()),
            (Kind::Secret, Value::Text(text)) if is_secret(text) => {
                return Json::from(text.as_str());
            }
            (Kind::Prose, Value::Text(text)) if is_prose(text) => return Json::from(text.as_str()),
            (Kind::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => {
                return Json::from(text.as_str());
            }
            (Kind::Word(word), Value::Text(text) | Value::Time(text))
                if (word.check)(text).is_ok() =>
            {
                return Json::from(text.as_str());
            }
            _ => {}
        }
        let mistake = wrong_value(kind, key, node, called, self.noun);
        self.mistakes.push(mistake);
        self.stand_in(kind, pointer)
    }

    /// Keys of the author's own choice.
    fn pairs(
        &mut self,
        word: &'static Word,
        key: &str,
        entries: &[Entry],
        pointer: &str,
        called: &Called,
    ) -> Json {
        let mut read = Map::new();
        for entry in entries {
            let pointer = under(pointer, &entry.key);
            let own = format!("{key} of {}", called.header);
            if self.places.contains_key(&pointer) {
                let message = format!("{}key {:?} is given twice", called.subject, entry.key);
                self.mistakes
                    .push(Mistake::new(entry.key_at.clone(), message));
                continue;
            }
            self.places.insert(pointer.clone(), entry.key_at.clone());
            if let Err(wrong) = (word.check)(&entry.key) {
                let detail = wrong.detail.map(|detail| format!(": {detail}"));
                let message = format!(
                    "{own}: {:?} is not {}, expected such as {:?}{}",
                    shortened(&entry.key),
                    word.what,
                    word.example,
                    detail.unwrap_or_default()
                );
                self.mistakes
                    .push(Mistake::new(entry.key_at.clone(), message).suggesting(wrong.suggestion));
                self.damaged.insert(pointer);
                continue;
            }
            let value = self.value(&Kind::Name, &entry.key, &entry.node, &pointer, called);
            read.insert(entry.key.clone(), value);
        }
        Json::Object(read)
    }

    fn item(
        &mut self,
        table: &'static Table,
        key: &str,
        index: usize,
        item: &Node,
        pointer: &str,
    ) -> Json {
        let pointer = under(pointer, &index.to_string());
        self.places.insert(pointer.clone(), item.at.clone());
        let Value::Table(entries) = &item.value else {
            self.mistake(
                item,
                format!(
                    "[[{key}]] {} is a table of keys, not {}",
                    index + 1,
                    item.value.shown()
                ),
            );
            let example = self.table_stand_in(table, &pointer);
            return Json::Object(example);
        };
        let title = table.title.and_then(|title| {
            entries
                .iter()
                .filter(|entry| entry.key == title)
                .find_map(|entry| match &entry.node.value {
                    Value::Text(text) => Some(format!("{:?}", shortened(text))),
                    _ => None,
                })
        });
        let title = title.unwrap_or_else(|| (index + 1).to_string());
        let called = Called {
            header: format!("[[{key}]] {title}"),
            subject: format!("{key} {title}: "),
        };
        Json::Object(self.table(table, entries, &item.at, &pointer, &called))
    }

    /// A value that is right, in the place of one that is wrong or missing.
    fn stand_in(&mut self, kind: &'static Kind, pointer: &str) -> Json {
        self.damaged.insert(pointer.to_owned());
        match kind {
            Kind::Version | Kind::Count { .. } => Json::from(1),
            Kind::Flag => Json::Bool(false),
            // The pointer is a name that no other item has.
            Kind::Name | Kind::Prose | Kind::Secret => Json::from(pointer),
            Kind::Word(word) => Json::from(word.example),
            Kind::Choice(words) => Json::from(words.first().copied().unwrap_or_default()),
            Kind::List(inner) => Json::Array(vec![self.stand_in(inner, &under(pointer, "0"))]),
            Kind::Tables(_) => Json::Array(Vec::new()),
            Kind::Table(table) => Json::Object(self.table_stand_in(table, pointer)),
            Kind::Pairs(_) => Json::Object(Map::new()),
        }
    }

    fn table_stand_in(&mut self, table: &'static Table, pointer: &str) -> Map<String, Json> {
        self.damaged.insert(pointer.to_owned());
        let needed = |name: &str| table.one_of.first().is_some_and(|first| *first == name);
        let keys = table
            .keys
            .iter()
            .filter(|key| key.required || needed(key.name));
        keys.map(|key| {
            (
                key.name.to_owned(),
                self.stand_in(&key.kind, &under(pointer, key.name)),
            )
        })
        .collect()
    }
}

/// Text of one line: names go into listings and logs.
fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// One line, of whatever characters: a secret may be a blank.
fn is_secret(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn is_prose(text: &str) -> bool {
    !text.trim().is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn example(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Word(word) => Some(word.example),
        Kind::List(inner) => example(inner),
        _ => None,
    }
}

fn wrong_value(kind: &Kind, key: &str, node: &Node, called: &Called, noun: &str) -> Mistake {
    let shown = node.value.shown();
    let (subject, at) = (&called.subject, node.at.clone());
    let plain = |what: &str| {
        Mistake::new(
            at.clone(),
            format!("{subject}{key} = {shown} is not {what}"),
        )
    };
    match kind {
        Kind::Version => plain(&format!(
            "a version of the {noun} vocabulary that is known here, expected 1"
        )),
        Kind::Count { most: u32::MAX } => plain("a whole number from 1 on, without quotes"),
        Kind::Count { most } => plain(&format!("a whole number from 1 to {most}, without quotes")),
        Kind::Flag => plain("true or false, without quotes"),
        Kind::Name if matches!(&node.value, Value::Text(text) if !text.trim().is_empty()) => {
            plain("text of one line without control characters")
        }
        Kind::Prose if matches!(&node.value, Value::Text(text) if !text.trim().is_empty()) => {
            plain("text without control characters")
        }
        Kind::Name | Kind::Prose => match &node.value {
            Value::Text(_) => Mistake::new(
                at.clone(),
                format!("{subject}{key} is empty, expected some text"),
            ),
            _ => plain("text in quotes"),
        },
        Kind::Secret => Mistake::new(
            at.clone(),
            format!(
                "{subject}{key} cannot be used, expected one line of text in quotes; it is not shown here"
            ),
        ),
        Kind::Word(word) => wrong_word(word, key, node, called),
        Kind::Choice(words) => match &node.value {
            Value::Text(text) => plain("a word that is known here")
                .suggesting(nearest(text, words.iter().copied()))
                .expected_one_of(words),
            _ => plain("a word in quotes").expected_one_of(words),
        },
        Kind::List(_) => Mistake::new(
            at.clone(),
            format!("{subject}{key} = {shown} is not a list in square brackets"),
        ),
        Kind::Table(_) | Kind::Pairs(_) => Mistake::new(
            at.clone(),
            format!("{subject}{key} is a table of keys, not {shown}"),
        ),
        Kind::Tables(_) => Mistake::new(
            at.clone(),
            format!("{subject}{key} is a list of tables, written [[{key}]], not {shown}"),
        ),
    }
}

fn wrong_word(word: &Word, key: &str, node: &Node, called: &Called) -> Mistake {
    let Word {
        what,
        example,
        check,
    } = word;
    let (subject, shown) = (&called.subject, node.value.shown());
    match &node.value {
        Value::Text(text) | Value::Time(text) => {
            let wrong = check(text).err().unwrap_or_default();
            let detail = wrong
                .detail
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            let message = format!(
                "{subject}{key} = {shown} is not {what}, expected such as {example:?}{detail}"
            );
            Mistake::new(node.at.clone(), message).suggesting(wrong.suggestion)
        }
        Value::Number(number) => {
            let message = format!(
                "{subject}{key} = {shown} is a bare number, expected {what} such as {example:?}"
            );
            Mistake::new(node.at.clone(), message)
                .suggesting(check(number).is_ok().then(|| number.clone()))
        }
        _ => Mistake::new(
            node.at.clone(),
            format!("{subject}{key} = {shown} is not {what}, expected such as {example:?}"),
        ),
    }
}
