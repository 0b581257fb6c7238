//! How a component shows that it is healthy.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration, selector::Selector};

/// How a component shows that it is healthy after it was patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[non_exhaustive]
pub struct Check {
    /// Which components it is asked of. Default all.
    #[serde(default = "Selector::all")]
    pub select: Selector,
    /// What is asked.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// How long after the patch it may take until it succeeds. Default 5 minutes.
    #[serde(default = "default_within", with = "duration::words")]
    #[schemars(with = "String")]
    pub within: Duration,
    /// How long it must then succeed without a break. Default 1 minute.
    #[serde(default = "default_steady", with = "duration::words")]
    #[schemars(with = "String")]
    pub steady: Duration,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CheckKind {
    /// A GET of this URL answers with a 2xx status. `{address}` and `{name}` stand for those of
    /// the component.
    Http(String),
    /// This program, run on the component without a shell, ends with status 0. The first entry is
    /// the program, the others are its arguments as they are.
    Command(#[schemars(length(min = 1))] Vec<String>),
}

fn default_within() -> Duration {
    Duration::from_secs(5 * 60)
}

fn default_steady() -> Duration {
    Duration::from_secs(60)
}

impl Check {
    fn new(kind: CheckKind) -> Self {
        Self {
            select: Selector::all(),
            kind,
            within: default_within(),
            steady: default_steady(),
        }
    }

    /// Asks a URL, in which `{address}` and `{name}` stand for those of the component.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new(CheckKind::Http(url.into()))
    }

    /// Runs a program on the component, without a shell.
    pub fn command<A: Into<String>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self::new(CheckKind::Command(
            argv.into_iter().map(Into::into).collect(),
        ))
    }

    /// Which components it is asked of.
    #[must_use]
    pub fn with_select(mut self, select: Selector) -> Self {
        self.select = select;
        self
    }

    /// How long after the patch it may take until it succeeds.
    #[must_use]
    pub fn with_within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// How long it must then succeed without a break.
    #[must_use]
    pub fn with_steady(mut self, steady: Duration) -> Self {
        self.steady = steady;
        self
    }
}
