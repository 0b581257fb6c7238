//! Command lines of the examples: words that stand alone, and words with a value.

use std::collections::BTreeMap;

use patchcore::{Error, ErrorKind, Result};

/// What was asked for on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Those of this process. None after `--help`, which is answered with the usage.
    ///
    /// The usage is the list of what is known: a word of it that begins with `--` takes a value where the word after
    /// it is in capitals.
    ///
    /// # Errors
    /// `InvalidInput`: a word is not known, or a value is missing.
    pub fn of_this_process(usage: &str) -> Result<Option<Self>> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.iter().any(|word| word == "--help" || word == "-h") {
            println!("{usage}");
            return Ok(None);
        }
        Self::read(&words, usage).map(Some)
    }

    fn read(words: &[String], usage: &str) -> Result<Self> {
        let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what).hint(usage.to_owned());
        let mut read = BTreeMap::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = match takes_value(word, usage) {
                None => return Err(wrong(format!("{word:?} is not known"))),
                Some(false) => String::new(),
                Some(true) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| wrong(format!("{word} needs a value")))?,
            };
            if read.insert(word.clone(), value).is_some() {
                return Err(wrong(format!("{word} stands there twice")));
            }
        }
        Ok(Self(read))
    }

    /// Whether a word stands there.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }

    /// The value of a word.
    #[must_use]
    pub fn value(&self, word: &str) -> Option<&str> {
        self.0.get(word).map(String::as_str)
    }
}

/// Whether a word of the usage takes a value; none where it does not stand there.
fn takes_value(word: &str, usage: &str) -> Option<bool> {
    let all: Vec<&str> = usage
        .split(|c: char| c.is_whitespace() || "[]".contains(c))
        .filter(|w| !w.is_empty())
        .collect();
    let at = all
        .iter()
        .position(|known| *known == word && known.starts_with("--"))?;
    let is_value = |next: &&str| next.chars().all(|c| c.is_ascii_uppercase() || c == '|');
    Some(all.get(at + 1).is_some_and(is_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = "tool [--apply] [--journal FILE]

--apply   does it
--journal FILE   where";

    fn check(line: &str, expect: std::result::Result<&[(&str, &str)], &str>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let read = Arguments::read(&words, USAGE).map_err(|e| e.message().to_owned());
        let expect = expect.map_err(str::to_owned).map(|pairs| {
            let owned = pairs
                .iter()
                .map(|(w, v)| ((*w).to_owned(), (*v).to_owned()));
            Arguments(owned.collect())
        });
        assert_eq!(read, expect, "{line}");
    }

    #[test]
    fn command_lines() {
        check("", Ok(&[]));
        check("--apply", Ok(&[("--apply", "")]));
        check(
            "--journal a.db --apply",
            Ok(&[("--apply", ""), ("--journal", "a.db")]),
        );
        check("--journal", Err("--journal needs a value"));
        check("--aply", Err("\"--aply\" is not known"));
        check("tool", Err("\"tool\" is not known"));
        check("--apply --apply", Err("--apply stands there twice"));
    }
}
