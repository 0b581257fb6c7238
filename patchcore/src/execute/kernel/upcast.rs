//! Events of earlier versions, as the kernel knows them today.
//!
//! A body says in `v` in which version of its kind it was written; absent means 1. A kind gets a higher version when
//! an old reader would misunderstand the new body, and with it an arm in [`upcast`]. A field that an old reader may
//! leave out needs no new version, only a default.

use std::fmt;

use serde::{
    de::{DeserializeOwned, value::MapDeserializer},
    ser::Serialize,
};
use serde_json::Value;

/// The field of a body that holds the version of its kind.
const VERSION: &str = "v";

/// The highest version of a kind that is known.
fn newest(kind: &str) -> u64 {
    match kind {
        // 2: names the loan that is given back. A reader of 1 would take all of them for given back.
        // 3: says something of brackets.
        "settled" | "resolved" => 3,
        // 2: says something of brackets.
        "admitted" | "intended" | "failed" | "scanned" | "checked" | "way_back_opened" => 2,
        _ => 1,
    }
}

/// The version in which a body is written: no higher than what it says needs, so that who knows no brackets reads the
/// journals that have none.
fn written(kind: &str, body: &Value) -> u64 {
    let newest = newest(kind);
    if newest > 1 && !says_brackets(body) {
        newest - 1
    } else {
        newest
    }
}

/// Whether a body says what only readers that know brackets understand.
fn says_brackets(body: &Value) -> bool {
    let next = &body["next"];
    body["request"]["port"].is_string()
        || body["step"] == "take"
        || body["only"].is_string()
        || (next["at"] == "doing" && (next["then"] == "take" || next["then"] == "give_back"))
}

/// A body of an earlier version, brought to today's.
fn upcast(kind: &str, version: u64, mut body: Value) -> Value {
    if let ("settled" | "resolved", 1, Some(fields)) = (kind, version, body.as_object_mut()) {
        // In version 1 everything was given back at once, which is what no name means.
        fields.remove("gives");
    }
    body
}

/// What a stored event turns out to be.
#[derive(Debug)]
pub(crate) enum Read<E> {
    /// An event that we know.
    Known(E),
    /// Its kind, or this version of its kind, was written by a newer patchcore.
    Newer(Value),
    /// Its kind is known, and what it says cannot be read.
    Damaged(String),
}

/// The kind and the body of an event, as a journal stores them.
pub(crate) fn stored(event: &impl Serialize) -> (String, Value) {
    let mut body = serde_json::to_value(event).unwrap_or(Value::Null);
    let kind = body
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("unknown")
        .to_owned();
    let version = written(&kind, &body);
    if version > 1
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert(VERSION.to_owned(), version.into());
    }
    (kind, body)
}

/// Reads a stored event of any version up to today's.
pub(crate) fn read<E: DeserializeOwned>(kind: &str, body: Value) -> Read<E> {
    if !knows::<E>(kind) {
        return Read::Newer(body);
    }
    let version = match body.get(VERSION) {
        None => 1,
        Some(version) => match version.as_u64() {
            Some(version @ 1..) => version,
            _ => return Read::Damaged(format!("expected a version but found {version}")),
        },
    };
    if version > newest(kind) {
        return Read::Newer(body);
    }
    match body.get("kind").and_then(Value::as_str) {
        Some(within) if within == kind => {}
        Some(within) => {
            return Read::Damaged(format!(
                "expected a body of {kind} but found one of {within}"
            ));
        }
        None => return Read::Damaged(format!("expected a body of {kind} but found none")),
    }
    match E::deserialize(upcast(kind, version, body)) {
        Ok(event) => Read::Known(event),
        Err(error) => Read::Damaged(error.to_string()),
    }
}

/// Whether a kind is one of ours: only reading its name tells that, so that no list of names can fall behind.
fn knows<E: DeserializeOwned>(kind: &str) -> bool {
    let only_its_kind = MapDeserializer::<_, Misread>::new([("kind", kind)].into_iter());
    !matches!(E::deserialize(only_its_kind), Err(Misread::UnknownKind))
}

/// Why a body with nothing but its kind cannot be read.
#[derive(Debug)]
enum Misread {
    UnknownKind,
    Otherwise,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKind => "unknown kind",
            Self::Otherwise => "incomplete",
        })
    }
}

impl std::error::Error for Misread {}

impl serde::de::Error for Misread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Otherwise
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownKind
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Read, read, stored};
    use crate::{
        execute::kernel::{ComponentEvent, Phase, RunEvent, Step},
        id::OpKey,
    };

    #[test]
    fn a_known_kind_that_cannot_be_read_is_damaged_and_an_unknown_one_is_newer() {
        let component = |kind, body| read::<ComponentEvent>(kind, body);
        for (kind, body) in [
            ("begun", json!({ "kind": "begun" })),
            ("begun", json!({ "kind": "begun", "handle": 7 })),
            ("begun", json!("begun")),
            ("begun", json!(null)),
            ("begun", json!({ "kind": "forgiven" })),
            ("forgiven", json!({ "kind": "forgiven", "v": "two" })),
            ("forgiven", json!({ "kind": "forgiven", "v": 0 })),
        ] {
            let found = component(kind, body.clone());
            assert!(matches!(found, Read::Damaged(_)), "{body}: {found:?}");
        }
        for (kind, body) in [
            ("wished", json!({ "kind": "wished" })),
            ("wished", json!(null)),
            ("forgiven", json!({ "kind": "forgiven", "v": 99 })),
        ] {
            let found = component(kind, body.clone());
            assert!(matches!(found, Read::Newer(_)), "{body}: {found:?}");
        }
        // A nested word that is not known belongs to a kind that is.
        let body = json!({ "kind": "soak_over", "next": { "at": "nowhere" } });
        assert!(matches!(component("soak_over", body), Read::Damaged(_)));
        // A kind of the run is none of a component.
        let body = json!({ "kind": "paused", "by": "jon", "reason": "because" });
        assert!(matches!(component("paused", body.clone()), Read::Newer(_)));
        assert!(matches!(
            read::<RunEvent>("paused", body),
            Read::Known(RunEvent::Paused { .. })
        ));
    }

    #[test]
    fn only_what_says_something_of_brackets_has_their_version() {
        let admitted = |then| ComponentEvent::Admitted {
            ring: "all".into(),
            wave: 1,
            next: Phase::Doing(then),
        };
        for (step, version) in [(Step::Stage, None), (Step::Take, Some(2))] {
            let (kind, body) = stored(&admitted(step));
            assert_eq!(body.get("v").and_then(Value::as_u64), version, "{body}");
            let again = read::<ComponentEvent>(&kind, body);
            assert!(matches!(again, Read::Known(event) if event == admitted(step)));
        }
        let resolved = |only: Option<OpKey>| ComponentEvent::Resolved {
            by: "maria".into(),
            reason: "it is on again".to_owned(),
            how: "abandon".to_owned(),
            waives: true,
            only,
            gives: None,
            next: Phase::InService,
        };
        for (only, version) in [(None, 2), (Some(OpKey::from("k")), 3)] {
            let (_, body) = stored(&resolved(only));
            assert_eq!(body["v"], version, "{body}");
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let (kind, body) = stored(&ComponentEvent::Forgiven);
        assert_eq!(kind, "forgiven");
        assert!(matches!(
            read::<ComponentEvent>(&kind, body),
            Read::Known(ComponentEvent::Forgiven)
        ));
    }
}
