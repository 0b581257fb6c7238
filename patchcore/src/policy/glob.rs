//! Patterns over names: `mysql-*`.

use std::{fmt, str::FromStr};

use super::word::{WordError, stored_as_words};

/// A pattern over names: `*` is any text, `?` is one character, all else is itself.
///
/// Brackets and braces are refused instead of being taken literally: who writes `[ab]*` in an
/// exception means a class, and a pattern that silently matches nothing would patch what was to
/// be left alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(String);

impl Glob {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name matches; upper and lower case differ.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut read) = (0, 0);
        // Where to go on when the text after the last `*` did not fit: one character further.
        let mut retry: Option<(usize, usize)> = None;
        while read < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    retry = Some((at + 1, read));
                    at += 1;
                }
                Some(c) if *c == '?' || *c == name[read] => {
                    at += 1;
                    read += 1;
                }
                _ => match &mut retry {
                    Some((after_star, from)) => {
                        *from += 1;
                        (at, read) = (*after_star, *from);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|c| *c == '*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Glob {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = |detail: &str| {
            Err(WordError::new(text, "a pattern over names", "mysql-*").because(detail))
        };
        if text.is_empty() {
            return wrong("it is empty");
        }
        if text.chars().count() > 256 {
            return wrong("it is longer than 256 characters");
        }
        if text.contains(['[', ']', '{', '}', '\\']) {
            return wrong(
                "only * and ? are special, and brackets, braces and backslashes are not taken",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

stored_as_words!(
    Glob,
    "a pattern over names: * is any text, ? is one character, such as \"mysql-*\""
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_whole_names() {
        for (pattern, name, expected) in [
            ("mysql-*", "mysql-server", true),
            ("mysql-*", "mysql-", true),
            ("mysql-*", "mysql", false),
            ("mysql-*", "a-mysql-server", false),
            ("*", "", true),
            ("*", "x", true),
            ("*-server", "mysql-server-server", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("web-?", "web-1", true),
            ("web-?", "web-10", false),
            ("web-?", "web-é", true),
            ("web", "Web", false),
        ] {
            assert_eq!(
                pattern.parse::<Glob>().unwrap().matches(name),
                expected,
                "{pattern} on {name}"
            );
        }
        for pattern in ["", "[ab]*", "{a,b}", "a\\*", &"x".repeat(257)] {
            assert!(pattern.parse::<Glob>().is_err(), "{pattern}");
        }
    }

    /// The definition, written as plainly as possible.
    fn defined(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                defined(rest, name)
                    || name
                        .split_first()
                        .is_some_and(|(_, tail)| defined(pattern, tail))
            }
            (Some((c, rest)), Some((n, tail))) => (*c == '?' || c == n) && defined(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            let glob: Glob = pattern.parse().unwrap();
            prop_assert_eq!(glob.matches(&name), defined(&chars(&pattern), &chars(&name)));
        }
    }
}
