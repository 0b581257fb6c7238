//! The parts of a scan's answer: `@ID begin NAME`, text, `@ID end NAME STATUS`.

use std::{borrow::Cow, collections::BTreeMap};

use memchr::memmem;
use patchcore::{Error, ErrorKind, Result};

/// What one command of the scan printed, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    pub(crate) text: &'a str,
    pub(crate) status: i32,
}

/// An answer as text. Nearly every one is whole, which shows faster than what a wrong byte stands for.
pub(super) fn text_of(answer: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(answer) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(answer),
    }
}

#[derive(Debug)]
pub(crate) struct Sections<'a>(BTreeMap<&'a str, Section<'a>>);

fn mismatch(expected: String, found: String) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        "the answer of a scan is not understood",
    )
    .expected(expected)
    .found(found)
}

impl<'a> Sections<'a> {
    pub(crate) fn parse(id: &str, text: &'a str) -> Result<Self> {
        let mark = format!("\n@{id} ");
        let mut sections = BTreeMap::new();
        let mut open: Option<(&str, usize)> = None;
        let first = text.starts_with(&mark[1..]).then_some(0);
        let others = memmem::find_iter(text.as_bytes(), &mark).map(|at| at + 1);
        for at in first.into_iter().chain(others) {
            let line = text[at..].split_inclusive('\n').next().unwrap_or_default();
            let said = line[mark.len() - 1..].trim_end_matches('\n');
            if let Some(name) = said.strip_prefix("begin ") {
                if let Some((other, _)) = open {
                    return Err(mismatch(
                        format!("the end of section {other}"),
                        format!("the begin of section {name}"),
                    ));
                }
                open = Some((name, at + line.len()));
            } else if let Some(rest) = said.strip_prefix("end ") {
                let bare = line.trim_end_matches('\n');
                let (name, start) = open.take().ok_or_else(|| {
                    mismatch("the begin of a section".to_owned(), format!("{bare:?}"))
                })?;
                let status = rest
                    .strip_prefix(name)
                    .and_then(|r| r.strip_prefix(' '))
                    .and_then(|r| r.parse().ok())
                    .ok_or_else(|| {
                        mismatch(
                            format!("the end of section {name} with its status"),
                            format!("{bare:?}"),
                        )
                    })?;
                // The mark starts with a line feed of its own.
                let text = text[start..at].strip_suffix('\n').unwrap_or_default();
                if sections.insert(name, Section { text, status }).is_some() {
                    return Err(mismatch(
                        format!("section {name} once"),
                        "it twice".to_owned(),
                    ));
                }
            }
        }
        match open {
            Some((name, _)) => Err(mismatch(
                format!("the end of section {name}"),
                "the end of the answer".to_owned(),
            )),
            None => Ok(Self(sections)),
        }
    }

    /// A section that must be there, however its command ended.
    pub(crate) fn get(&self, name: &'static str) -> Result<Section<'a>> {
        self.0.get(name).copied().ok_or_else(|| {
            let there: Vec<_> = self.0.keys().copied().collect();
            mismatch(
                format!("section {name}"),
                if there.is_empty() {
                    "none".to_owned()
                } else {
                    there.join(", ")
                },
            )
        })
    }

    /// The text of a section whose command must have ended well.
    pub(crate) fn text(&self, name: &'static str) -> Result<&'a str> {
        let section = self.get(name)?;
        if section.status == 0 {
            return Ok(section.text);
        }
        let said = section
            .text
            .lines()
            .rev()
            .find(|l| !l.trim().is_empty())
            .unwrap_or("nothing");
        Err(mismatch(
            format!("section {name} to end with 0"),
            format!("{} and {said:?}", section.status),
        ))
    }

    /// Lines of the form `KEY VALUE`; the value may be empty.
    pub(crate) fn values(&self, name: &'static str) -> Result<Values<'a>> {
        let mut values = BTreeMap::new();
        for line in self.text(name)?.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            if values.insert(key, value.trim()).is_some() {
                return Err(mismatch(
                    format!("{key} of section {name} once"),
                    "it twice".to_owned(),
                ));
            }
        }
        Ok(Values { name, values })
    }
}

/// The values of one section.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    name: &'static str,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Values<'a> {
    /// A value that may be empty; its line must be there.
    pub(crate) fn maybe(&self, key: &'static str) -> Result<Option<&'a str>> {
        match self.values.get(key) {
            Some(value) => Ok(Some(*value).filter(|v| !v.is_empty())),
            None => Err(mismatch(
                format!("{key} in section {}", self.name),
                "none".to_owned(),
            )),
        }
    }

    pub(crate) fn get(&self, key: &'static str) -> Result<&'a str> {
        self.maybe(key)?.ok_or_else(|| {
            mismatch(
                format!("a value for {key} in section {}", self.name),
                "none".to_owned(),
            )
        })
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &'static str) -> Result<T> {
        number(self.get(key)?, key)
    }

    pub(crate) fn maybe_number<T: std::str::FromStr>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>> {
        self.maybe(key)?.map(|text| number(text, key)).transpose()
    }

    pub(crate) fn yes(&self, key: &'static str) -> Result<bool> {
        match self.get(key)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(mismatch(
                format!("yes or no for {key}"),
                format!("{other:?}"),
            )),
        }
    }
}

pub(crate) fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T> {
    text.parse()
        .map_err(|_| mismatch(format!("a number for {what}"), format!("{text:?}")))
}

/// An error about one line of a section.
pub(crate) fn bad_line(section: &str, expected: &str, line: &str) -> Error {
    mismatch(
        format!("{expected} in section {section}"),
        format!("{:?}", line.chars().take(200).collect::<String>()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_whole_or_refused() {
        let text = "noise\n\n@x begin a\n1\n2\n\n\n@x end a 0\n\n@x begin b\n\n@x end b 3\n";
        let sections = Sections::parse("x", text).unwrap();
        assert_eq!(sections.text("a").unwrap(), "1\n2\n\n");
        assert_eq!(
            sections.get("b").unwrap(),
            Section {
                text: "",
                status: 3
            }
        );
        fn check(text: &str, expect: &str) {
            let error = Sections::parse("x", text)
                .and_then(|s| s.text("b").map(str::to_owned))
                .unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        }
        check(text, "expected section b to end with 0 but found 3");
        check(
            "@x begin a\n",
            "the end of section a but found the end of the answer",
        );
        check("@x begin a\n@x begin b\n", "the begin of section b");
        check("@x end a 0\n", "the begin of a section");
        check("@x begin a\n\n@x end a zero\n", "with its status");
        check(
            "@x begin a\n\n@x end a 0\n@x begin a\n\n@x end a 0\n",
            "section a once",
        );
        check("", "expected section b but found none");
        check(
            "@x begin a\n\n@x end a 0\n",
            "expected section b but found a",
        );
    }
}
