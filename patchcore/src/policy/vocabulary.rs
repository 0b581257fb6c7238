//! The one table of every word a policy may contain, which both formats are read by.

use jiff::{civil::Date, tz};

use super::{
    budget::{Budget, Tolerance},
    duration::parse_duration,
    glob::Glob,
    percent::Percent,
    recurrence::Recurrence,
    selector::Selector,
    time_of_day::parse_time_of_day,
    word::WordError,
};
use crate::document::{Form, Key, Kind, Later, Table, Word, Wrong, nearest};
use crate::error::ErrorKind;

impl From<WordError> for Wrong {
    fn from(error: WordError) -> Self {
        Self {
            detail: error.detail().map(str::to_owned),
            suggestion: None,
        }
    }
}

const DURATION: Kind = Kind::Word(Word {
    what: "a duration",
    example: "24h",
    check: |text| Ok(parse_duration(text).map(drop)?),
});
const TIME: Kind = Kind::Word(Word {
    what: "a time of day",
    example: "04:00",
    check: |text| Ok(parse_time_of_day(text).map(drop)?),
});
const DATE: Kind = Kind::Word(Word {
    what: "a date",
    example: "2027-01-31",
    check: check_date,
});
const ZONE: Kind = Kind::Word(Word {
    what: "a known time zone",
    example: "Europe/Berlin",
    check: check_zone,
});
const RECURRENCE: Kind = Kind::Word(Word {
    what: "a recurrence",
    example: "mon..thu",
    check: |text| Ok(text.parse::<Recurrence>().map(drop)?),
});
const BUDGET: Kind = Kind::Word(Word {
    what: "a disruption budget",
    example: "10% of ring",
    check: |text| Ok(text.parse::<Budget>().map(drop)?),
});
const TOLERANCE: Kind = Kind::Word(Word {
    what: "a number of failures or a percentage",
    example: "5%",
    check: |text| Ok(text.parse::<Tolerance>().map(drop)?),
});
const ERROR_KIND: Kind = Kind::Word(Word {
    what: "a kind of error",
    example: "unreachable",
    check: check_error_kind,
});
const PERCENT: Kind = Kind::Word(Word {
    what: "a whole percentage up to 100%",
    example: "95%",
    check: |text| Ok(text.parse::<Percent>().map(drop)?),
});
const GLOB: Kind = Kind::Word(Word {
    what: "a pattern over names",
    example: "mysql-*",
    check: |text| Ok(text.parse::<Glob>().map(drop)?),
});
const SELECTOR: Kind = Kind::Word(Word {
    what: "a selector",
    example: "tier = web",
    check: |text| match Selector::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Wrong::because(error.to_string())),
    },
});
const URL: Kind = Kind::Word(Word {
    what: "a URL",
    example: "http://{address}/healthz",
    check: check_url,
});

/// A policy as a document.
pub(crate) const FORM: Form = Form {
    noun: "policy",
    with_article: "a policy",
    table: &POLICY,
};

/// The whole file.
pub(crate) const POLICY: Table = Table {
    keys: &[
        Key::optional("policy", Kind::Version),
        Key::optional("name", Kind::Name),
        Key::optional("owner", Kind::Name),
        Key::optional(
            "approval",
            Kind::Table(&Table::of(&[
                Key::optional("needs", Kind::COUNT),
                Key::optional("from", Kind::List(&Kind::Name)),
                Key::optional("valid", DURATION),
            ])),
        ),
        Key::optional(
            "window",
            Kind::Tables(&Table::titled(
                "name",
                &[
                    Key::required("name", Kind::Name),
                    Key::optional("zone", ZONE),
                    Key::required("when", RECURRENCE),
                    Key::optional("from", TIME),
                    Key::optional("until", TIME),
                ],
            )),
        ),
        Key::optional(
            "blackout",
            Kind::Tables(&Table::titled(
                "because",
                &[
                    Key::required("from", DATE),
                    Key::required("to", DATE),
                    Key::optional("zone", ZONE),
                    Key::required("because", Kind::Prose),
                ],
            )),
        ),
        Key::optional(
            "patches",
            Kind::Table(&Table {
                later: &[
                    Later::new("min_age", "min_age"),
                    Later::new("out_of_band", "out_of_band"),
                ],
                ..Table::of(&[Key::optional(
                    "take",
                    Kind::List(&Kind::Choice(&[
                        "security",
                        "bugfix",
                        "enhancement",
                        "other",
                    ])),
                )])
            }),
        ),
        Key::optional(
            "exception",
            Kind::Tables(&Table::titled(
                "match",
                &[
                    Key::required("match", GLOB),
                    Key::required("because", Kind::Prose),
                    Key::required("risk_owner", Kind::Name),
                    Key::optional("approver", Kind::Name),
                    Key::optional("compensating", Kind::Prose),
                    Key::required("until", DATE),
                    Key::optional("select", SELECTOR),
                ],
            )),
        ),
        Key::optional(
            "ring",
            Kind::Tables(&Table::titled(
                "name",
                &[
                    Key::required("name", Kind::Name),
                    Key::required("select", SELECTOR),
                    Key::optional("soak", DURATION),
                    Key::optional("at_once", BUDGET),
                    Key::optional(
                        "start_after",
                        Kind::Table(&Table::of(&[
                            Key::required("ring", Kind::Name),
                            Key::optional("success", PERCENT),
                            Key::optional("at_least", Kind::COUNT),
                        ])),
                    ),
                    Key::optional("window", Kind::Name),
                    Key::optional("needs_approval", Kind::Flag),
                ],
            )),
        ),
        Key::optional(
            "order",
            Kind::Tables(&Table::titled(
                "within",
                &[
                    Key::required("within", Kind::Name),
                    Key::required("steps", Kind::List(&SELECTOR)),
                ],
            )),
        ),
        Key::optional(
            "limit",
            Kind::Tables(&Table {
                one_of: &["down", "keep_up"],
                ..Table::titled(
                    "per",
                    &[
                        Key::required("per", Kind::Name),
                        Key::optional("select", SELECTOR),
                        Key::optional("down", Kind::COUNT),
                        Key::optional("keep_up", Kind::COUNT),
                    ],
                )
            }),
        ),
        Key::optional(
            "check",
            Kind::Tables(&Table {
                one_of: &["http", "command"],
                ..Table::of(&[
                    Key::optional("select", SELECTOR),
                    Key::optional("http", URL),
                    // An argument may be empty or contain line breaks.
                    Key::optional("command", Kind::List(&Kind::Word(ARGUMENT))),
                    Key::optional("within", DURATION),
                    Key::optional("steady", DURATION),
                ])
            }),
        ),
        Key::optional(
            "around",
            Kind::Tables(&Table {
                one_of: &["silence", "pause"],
                later: &[Later::new("move_away", "move_away")],
                ..Table::of(&[
                    Key::optional("select", SELECTOR),
                    Key::optional("silence", Kind::Name),
                    Key::optional("pause", Kind::Name),
                ])
            }),
        ),
        Key::optional(
            "on_fail",
            Kind::Table(&Table::of(&[
                Key::optional("component", Kind::Choice(&["roll_back", "stop", "skip"])),
                Key::optional("tolerate", TOLERANCE),
                Key::optional("tolerate_in_run", TOLERANCE),
                Key::optional("in_a_row", Kind::COUNT),
                Key::optional(
                    "kind",
                    Kind::Tables(&Table::titled(
                        "kind",
                        &[
                            Key::required("kind", ERROR_KIND),
                            Key::optional("tolerate", TOLERANCE),
                        ],
                    )),
                ),
            ])),
        ),
        Key::optional(
            "reboot",
            Kind::Table(&Table::of(&[
                Key::optional("when", Kind::Choice(&["needed", "never", "always"])),
                Key::optional(
                    "pending_before",
                    Kind::Choice(&["refuse", "reboot_first", "fold_in"]),
                ),
            ])),
        ),
    ],
    title: None,
    one_of: &[],
    later: &[
        Later::new("tool", "[[tool]]"),
        Later::new("protect", "[protect]"),
        Later::new("other_patchers", "[other_patchers]"),
        Later::new("deadline", "[deadline]"),
        Later::new("lane", "[[lane]]"),
        Later::new("hook", "[[hook]]"),
        Later::new("ticket", "[ticket]"),
    ],
};

const ARGUMENT: Word = Word {
    what: "an argument",
    example: "is-active",
    check: |text| match text.contains('\0') {
        true => Err(Wrong::because("no program can be given a NUL character")),
        false => Ok(()),
    },
};

fn check_date(text: &str) -> Result<(), Wrong> {
    // jiff would also take the date of a longer timestamp; what is longer is not a date here.
    match text.len() == 10 && text.parse::<Date>().is_ok() {
        true => Ok(()),
        false => Err(Wrong::default()),
    }
}

fn check_zone(text: &str) -> Result<(), Wrong> {
    match tz::TimeZone::get(text) {
        Ok(_) => Ok(()),
        Err(_) => {
            let names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
            let suggestion = nearest(text, names.iter().map(String::as_str));
            Err(Wrong {
                detail: None,
                suggestion,
            })
        }
    }
}

fn check_error_kind(text: &str) -> Result<(), Wrong> {
    let slugs = || ErrorKind::ALL.iter().map(|kind| kind.slug());
    match slugs().any(|slug| slug == text) {
        true => Ok(()),
        false => Err(Wrong {
            detail: None,
            suggestion: nearest(text, slugs()),
        }),
    }
}

fn check_url(text: &str) -> Result<(), Wrong> {
    let wrong = |detail: &str| Err(Wrong::because(detail));
    let Some(rest) = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
    else {
        return wrong("it starts with http:// or https://");
    };
    if rest.is_empty() || rest.starts_with('/') {
        return wrong("it names no host");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("it contains white space");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return wrong("it holds a user or a password, which plans and reports would show");
    }
    let mut open = rest;
    while let Some((_, from_brace)) = open.split_once('{') {
        match from_brace.split_once('}') {
            Some(("address" | "name", after)) => open = after,
            _ => return wrong("only {address} and {name} stand in braces"),
        }
    }
    match rest
        .replace("{address}", "")
        .replace("{name}", "")
        .contains('}')
    {
        true => wrong("only {address} and {name} stand in braces"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::policy::{Policy, schema};

    /// A policy in which every table stands, to change one key of.
    fn base() -> Json {
        json!({
            "approval": { "from": ["a", "b", "c"] },
            "window": [{ "name": "w", "zone": "UTC", "when": "daily" }, { "name": "v", "when": "any time" }],
            "blackout": [{ "from": "2026-12-20", "to": "2026-12-21", "because": "freeze" }],
            "patches": {},
            "exception": [{ "match": "a*", "because": "b", "risk_owner": "c", "until": "2027-01-31" }],
            "ring": [
                { "name": "s", "select": "a = a" },
                { "name": "t", "select": "a = b" },
                { "name": "r", "select": "a = c", "start_after": { "ring": "t" } },
            ],
            "order": [{ "within": "app", "steps": ["a = b"] }],
            "check": [{ "http": "http://a/" }],
            "around": [{ "silence": "alerts" }],
            "limit": [{ "per": "cluster", "down": 1 }],
            "on_fail": { "kind": [{ "kind": "unhealthy" }] },
            "reboot": {},
        })
    }

    /// Every key that holds a value, and another value than that of the base.
    fn changes() -> BTreeMap<&'static str, Json> {
        BTreeMap::from([
            ("/name", json!("other")),
            ("/owner", json!("other")),
            ("/approval/needs", json!(2)),
            ("/approval/from", json!(["a"])),
            ("/approval/valid", json!("3d")),
            ("/window/0/name", json!("x")),
            ("/window/0/zone", json!("Europe/Berlin")),
            ("/window/0/when", json!("sat")),
            ("/window/0/from", json!("22:00")),
            ("/window/0/until", json!("04:00")),
            ("/blackout/0/from", json!("2026-12-19")),
            ("/blackout/0/to", json!("2026-12-22")),
            ("/blackout/0/zone", json!("UTC")),
            ("/blackout/0/because", json!("other")),
            ("/patches/take", json!(["security"])),
            ("/exception/0/match", json!("b*")),
            ("/exception/0/because", json!("other")),
            ("/exception/0/risk_owner", json!("other")),
            ("/exception/0/approver", json!("other")),
            ("/exception/0/compensating", json!("other")),
            ("/exception/0/until", json!("2027-02-01")),
            ("/exception/0/select", json!("a = b")),
            ("/ring/2/name", json!("other")),
            ("/ring/2/select", json!("a = d")),
            ("/ring/2/soak", json!("2h")),
            ("/ring/2/at_once", json!("all")),
            ("/ring/2/start_after/ring", json!("s")),
            ("/ring/2/start_after/success", json!("95%")),
            ("/ring/2/start_after/at_least", json!(2)),
            ("/ring/2/window", json!("v")),
            ("/ring/2/needs_approval", json!(true)),
            ("/order/0/within", json!("other")),
            ("/order/0/steps", json!(["a = c"])),
            ("/check/0/select", json!("a = b")),
            ("/check/0/http", json!("https://a/")),
            ("/check/0/within", json!("2h")),
            ("/check/0/steady", json!("2h")),
            ("/around/0/select", json!("a = b")),
            ("/around/0/silence", json!("others")),
            ("/on_fail/component", json!("skip")),
            ("/on_fail/tolerate", json!("1")),
            ("/on_fail/tolerate_in_run", json!("3")),
            ("/on_fail/in_a_row", json!(2)),
            ("/on_fail/kind/0/kind", json!("busy")),
            ("/on_fail/kind/0/tolerate", json!("1")),
            ("/limit/0/per", json!("rack")),
            ("/limit/0/select", json!("a = b")),
            ("/limit/0/down", json!(2)),
            ("/reboot/when", json!("never")),
            ("/reboot/pending_before", json!("fold_in")),
        ])
    }

    fn read(policy: &Json) -> Policy {
        Policy::from_json(&policy.to_string(), "p").unwrap()
    }

    fn set(policy: &mut Json, pointer: &str, value: Json) {
        let (table, key) = pointer.rsplit_once('/').unwrap();
        policy.pointer_mut(table).unwrap()[key] = value;
    }

    /// Every key that holds a value, as `/ring/start_after/at_least`.
    fn leaves(table: &'static Table, above: &str, found: &mut Vec<String>) {
        for key in table.keys {
            let pointer = format!("{above}/{}", key.name);
            match &key.kind {
                Kind::Table(inner) | Kind::Tables(inner) => leaves(inner, &pointer, found),
                _ => found.push(pointer),
            }
        }
    }

    #[test]
    fn every_key_says_something() {
        let unchanged = read(&base());
        for (pointer, value) in changes() {
            let mut policy = base();
            set(&mut policy, pointer, value.clone());
            let changed = read(&policy);
            assert_ne!(changed, unchanged, "{pointer}");
            assert_ne!(changed.digest(), unchanged.digest(), "{pointer}");
            // And it says that alone: putting the value back gives the policy it was.
            let mut back = serde_json::to_value(&changed).unwrap();
            let before = serde_json::to_value(&unchanged).unwrap();
            match before.pointer(pointer) {
                Some(value) => set(&mut back, pointer, value.clone()),
                None => {
                    let (table, key) = pointer.rsplit_once('/').unwrap();
                    back.pointer_mut(table)
                        .unwrap()
                        .as_object_mut()
                        .unwrap()
                        .remove(key);
                }
            }
            assert_eq!(read(&back), unchanged, "{pointer}");
        }
        let mut command = base();
        command["check"][0] = json!({ "command": ["true"] });
        assert_ne!(read(&command), unchanged);
        let mut paused = base();
        paused["around"][0] = json!({ "pause": "alerts" });
        assert_ne!(read(&paused), unchanged);
        let mut kept = base();
        kept["limit"][0] = json!({ "per": "cluster", "keep_up": 1 });
        assert_ne!(read(&kept), unchanged);

        let mut keys = Vec::new();
        leaves(&POLICY, "", &mut keys);
        let mut changed: Vec<String> = changes()
            .keys()
            .map(|pointer| {
                pointer
                    .split('/')
                    .filter(|part| part.parse::<usize>().is_err())
                    .collect::<Vec<_>>()
                    .join("/")
            })
            .collect();
        // The one version that there is cannot be changed; these take the place of another key.
        changed.extend(
            [
                "/policy",
                "/check/command",
                "/limit/keep_up",
                "/around/pause",
            ]
            .map(str::to_owned),
        );
        keys.sort();
        changed.sort();
        assert_eq!(keys, changed);
    }

    /// The schema behind a reference. A schema that also takes null finds nothing here: readers
    /// refuse it.
    fn resolved<'s>(schema: &'s Json, root: &'s Json) -> &'s Json {
        match schema["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// The words of a schema of alternatives: a plain `enum`, or `const` by `const`.
    fn words_of(schema: &Json) -> Vec<&str> {
        let plain = schema["enum"].as_array().into_iter().flatten();
        let single = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["const"]);
        plain.chain(single).filter_map(Json::as_str).collect()
    }

    fn compare(table: &Table, schema: &Json, root: &Json, at: &str) {
        let schema = resolved(schema, root);
        let mut properties: BTreeMap<&str, &Json> = BTreeMap::new();
        let alternatives = schema["oneOf"].as_array().into_iter().flatten();
        for part in std::iter::once(schema).chain(alternatives) {
            properties.extend(
                part["properties"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k.as_str(), v)),
            );
        }
        let mut keys: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
        keys.sort_unstable();
        assert_eq!(
            properties.keys().copied().collect::<Vec<_>>(),
            keys,
            "keys of {at}"
        );
        let mut required: Vec<&str> = table
            .keys
            .iter()
            .filter(|key| key.required)
            .map(|key| key.name)
            .collect();
        required.sort_unstable();
        let mut by_schema: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        by_schema.sort_unstable();
        assert_eq!(by_schema, required, "required in {at}");
        let closed = [
            &schema["additionalProperties"],
            &schema["unevaluatedProperties"],
        ];
        assert!(closed.contains(&&json!(false)), "{at} takes unknown keys");
        for key in table.keys {
            compare_kind(
                &key.kind,
                properties[key.name],
                root,
                &format!("{at}/{}", key.name),
            );
        }
    }

    fn compare_kind(kind: &Kind, schema: &Json, root: &Json, at: &str) {
        let schema = resolved(schema, root);
        let is = |name: &str| {
            assert_eq!(schema["type"], name, "{at}: {schema}");
        };
        match kind {
            Kind::Version | Kind::Count { .. } => {
                is("integer");
                assert_eq!(schema["minimum"], 1, "{at}");
            }
            Kind::Flag => is("boolean"),
            Kind::Name | Kind::Prose | Kind::Secret | Kind::Word(_) => is("string"),
            Kind::Choice(words) => assert_eq!(words_of(schema), *words, "{at}"),
            Kind::List(inner) => {
                is("array");
                compare_kind(inner, &schema["items"], root, at);
            }
            Kind::Table(inner) => compare(inner, schema, root, at),
            Kind::Pairs(_) => is("object"),
            Kind::Tables(inner) => {
                is("array");
                compare(inner, &schema["items"], root, at);
            }
        }
    }

    #[test]
    fn the_schema_says_what_the_vocabulary_says() {
        let schema = schema();
        compare(&POLICY, &schema, &schema, "");
    }

    #[test]
    fn examples_are_understood() {
        fn examples(kind: &Kind) {
            match kind {
                Kind::Word(word) => assert!((word.check)(word.example).is_ok(), "{}", word.example),
                Kind::List(inner) => examples(inner),
                Kind::Table(table) | Kind::Tables(table) => {
                    table.keys.iter().for_each(|key| examples(&key.kind))
                }
                _ => {}
            }
        }
        POLICY.keys.iter().for_each(|key| examples(&key.kind));
    }
}
