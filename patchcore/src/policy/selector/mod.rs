//! Which components a rule is about.

mod parse;

use std::{collections::BTreeSet, fmt};

pub use parse::SelectorError;

use super::{glob::Glob, word::stored_as_words};

/// Which components a rule is about, such as `tier = web and not name like "web-t*"`.
///
/// `key = value`, `!=`, `in (…)`, `like "web-*"`, `and`, `or`, `not`, parentheses; `*` is all.
/// `and` binds tighter than `or`. Values are bare words or quoted with `"` or `'`; upper and lower
/// case differ.
///
/// ```
/// use patchcore::policy::Selector;
/// let web = Selector::parse("tier in (web, edge) and ring != test")?;
/// assert!(web.matches(&|key| (key == "tier").then(|| "web".to_owned())));
/// # Ok::<(), patchcore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector(Expr);

/// A chain of `and` or `or` is one node, so that its length costs no depth.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Expr {
    All,
    Equals(String, String),
    Differs(String, String),
    In(String, Vec<String>),
    Like(String, Glob),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Selector {
    /// Every component.
    #[must_use]
    pub const fn all() -> Self {
        Self(Expr::All)
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// The first mistake, with its column; also what is longer than 4096 bytes or nested deeper
    /// than 32 levels.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text).map(Self)
    }

    /// Whether this selects every component, whatever its facts.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Expr::All
    }

    /// Whether a component is selected; `facts` answers what is known of it under a key.
    ///
    /// A key of which nothing is known equals nothing: `=`, `in` and `like` do not hold, `!=` does.
    #[must_use]
    pub fn matches(&self, facts: &dyn Fn(&str) -> Option<String>) -> bool {
        self.0.matches(facts)
    }

    /// The keys it asks about, such as `tier`: so that one that no component has can be named.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        let mut keys = BTreeSet::new();
        self.0.collect_keys(&mut keys);
        keys
    }
}

impl Expr {
    fn matches(&self, facts: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::All => true,
            Self::Equals(key, value) => facts(key).is_some_and(|fact| fact == *value),
            Self::Differs(key, value) => facts(key).is_none_or(|fact| fact != *value),
            Self::In(key, values) => facts(key).is_some_and(|fact| values.contains(&fact)),
            Self::Like(key, pattern) => facts(key).is_some_and(|fact| pattern.matches(&fact)),
            Self::Not(inner) => !inner.matches(facts),
            Self::And(parts) => parts.iter().all(|part| part.matches(facts)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(facts)),
        }
    }

    fn collect_keys<'a>(&'a self, keys: &mut BTreeSet<&'a str>) {
        match self {
            Self::All => {}
            Self::Equals(key, _)
            | Self::Differs(key, _)
            | Self::In(key, _)
            | Self::Like(key, _) => {
                keys.insert(key);
            }
            Self::Not(inner) => inner.collect_keys(keys),
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.collect_keys(keys);
                }
            }
        }
    }

    /// Writes a part of a chain or of a `not`; chains inside need parentheses to read back alike.
    fn write_part(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    if parse::is_bare(value) {
        return f.write_str(value);
    }
    f.write_str("\"")?;
    for c in value.chars() {
        if c == '"' || c == '\\' {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::All => return f.write_str("*"),
            Self::Equals(key, value) => {
                write!(f, "{key} = ")?;
                return write_value(f, value);
            }
            Self::Differs(key, value) => {
                write!(f, "{key} != ")?;
                return write_value(f, value);
            }
            Self::In(key, values) => {
                write!(f, "{key} in (")?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    write_value(f, value)?;
                }
                return f.write_str(")");
            }
            Self::Like(key, pattern) => {
                return write!(
                    f,
                    "{key} like \"{}\"",
                    pattern.as_str().replace('"', "\\\"")
                );
            }
            Self::Not(inner) => {
                f.write_str("not ")?;
                return inner.write_part(f);
            }
            Self::And(parts) => (parts, " and "),
            Self::Or(parts) => (parts, " or "),
        };
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { word })?;
            part.write_part(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

stored_as_words!(
    Selector,
    "which components: key = value, !=, in (…), like \"web-*\", and, or, not, parentheses; * is all"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selects(selector: &str, facts: &[(&str, &str)]) -> bool {
        Selector::parse(selector).unwrap().matches(&|key| {
            facts
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn selects_by_facts() {
        let web = [("tier", "web"), ("name", "web-01"), ("owner", "team a")];
        for (selector, expected) in [
            ("*", true),
            ("tier = web", true),
            ("tier=web", true),
            ("tier = 'web'", true),
            ("tier != web", false),
            ("tier = db", false),
            ("tier in (db, web)", true),
            ("tier in (db)", false),
            ("name like \"web-*\"", true),
            ("name like 'db-*'", false),
            ("owner = \"team a\"", true),
            ("tier = web and name = web-02", false),
            ("tier = db or name = web-01", true),
            ("not tier = db", true),
            ("not (tier = web or tier = db)", false),
            // `and` binds tighter than `or`.
            ("tier = web or tier = db and name = x", true),
            ("(tier = web or tier = db) and name = x", false),
            // Nothing is known of "zone".
            ("zone = a", false),
            ("zone != a", true),
            ("zone in (a)", false),
            ("zone like \"*\"", false),
            ("not zone = a", true),
        ] {
            assert_eq!(selects(selector, &web), expected, "{selector}");
        }
    }

    #[test]
    fn names_the_keys_it_asks_about() {
        let selector =
            Selector::parse("a = 1 and not (b in (2) or c like \"3\") and a != 4").unwrap();
        assert_eq!(
            selector.keys().into_iter().collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
    }

    fn expr() -> impl Strategy<Value = Expr> {
        let key =
            "[a-z][a-z0-9_.-]{0,6}".prop_filter("a key is no keyword", |key| parse::is_bare(key));
        let value = prop_oneof![
            "[a-z0-9]{1,6}",
            "\\PC{0,6}",
            Just("and".to_owned()),
            Just("a\"b\\c".to_owned())
        ];
        let leaf = prop_oneof![
            Just(Expr::All),
            (key.clone(), value.clone()).prop_map(|(k, v)| Expr::Equals(k, v)),
            (key.clone(), value.clone()).prop_map(|(k, v)| Expr::Differs(k, v)),
            (key.clone(), prop::collection::vec(value, 1..4)).prop_map(|(k, v)| Expr::In(k, v)),
            (key, "[a-z*?\"]{1,6}").prop_map(|(k, p)| Expr::Like(k, p.parse().unwrap())),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
                prop::collection::vec(inner, 2..4).prop_map(Expr::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(expr in expr()) {
            let selector = Selector(expr);
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = Selector::parse(&text);
        }

        #[test]
        fn no_arrangement_of_its_own_tokens_panics(
            tokens in prop::collection::vec(prop::sample::select(vec![
                "a", "=", "!=", "in", "(", ")", ",", "like", "\"x*\"", "and", "or", "not", "*", "\"", "'", "\\", "!",
            ]), 0..20),
        ) {
            let text = tokens.join(" ");
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
