//! What an answer holds, as a tree with typed questions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Broken;

/// A reference to an object of the server, such as `HostSystem` `host-42`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MoRef {
    /// The type of the object.
    pub(crate) kind: Box<str>,
    /// Its name on this server.
    pub(crate) id: Box<str>,
}

impl MoRef {
    pub(crate) fn new(kind: impl Into<Box<str>>, id: impl Into<Box<str>>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
        }
    }
}

impl fmt::Debug for MoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl fmt::Display for MoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// One element of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Element {
    pub(crate) name: Box<str>,
    /// `xsi:type` without its prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Box<str>>,
    /// The type of the object that a reference leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<Box<str>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) text: Box<str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Self>,
}

impl Element {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| &*child.name == name)
    }

    /// All children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children
            .iter()
            .filter(move |child| &*child.name == name)
    }

    /// The first child along these names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text of a child; empty elements count as not there, since some servers send them for what is unset.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(|child| &*child.text)
            .filter(|text| !text.is_empty())
    }

    /// The text of a child that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Broken> {
        self.text_of(name).ok_or_else(|| Broken::Missing {
            inside: self.name.to_string(),
            name: name.to_owned(),
        })
    }

    /// A number, where there is one.
    pub(crate) fn number<N: FromStr>(&self) -> Result<N, Broken> {
        self.text.trim().parse().map_err(|_| Broken::NotA {
            what: "whole number",
            name: self.name.to_string(),
            found: self.text.to_string(),
        })
    }

    /// A truth, where there is one: `true`, `false`, `1` or `0` (XML Schema part 2, §3.2.2).
    pub(crate) fn truth(&self) -> Result<bool, Broken> {
        match &*self.text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(Broken::NotA {
                what: "boolean",
                name: self.name.to_string(),
                found: other.to_owned(),
            }),
        }
    }

    /// A reference.
    pub(crate) fn moref(&self) -> Result<MoRef, Broken> {
        match &self.of {
            Some(of) if !self.text.is_empty() => Ok(MoRef::new(of.clone(), self.text.clone())),
            _ => Err(Broken::NotA {
                what: "reference",
                name: self.name.to_string(),
                found: self.text.to_string(),
            }),
        }
    }

    /// The references of a list, whatever its elements are called.
    pub(crate) fn morefs(&self) -> Result<Vec<MoRef>, Broken> {
        self.children.iter().map(Self::moref).collect()
    }
}
