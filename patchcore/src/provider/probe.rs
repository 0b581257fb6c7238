//! Checks of a component's health.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OpContext;
use crate::{error::Result, id::ComponentId};

/// What is asked.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbeKind {
    /// A request to a URL answers with a status of 200 to 299 (RFC 9110 §15.3).
    Http {
        /// The URL, with the component's address already in it.
        url: String,
    },
    /// A program on the component ends with status 0. Words, never a shell line.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

impl ProbeKind {
    /// The word under which a provider claims it.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Command { .. } => "command",
        }
    }
}

impl std::fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http { url } => write!(f, "http {url}"),
            Self::Command { argv } => write!(f, "command {}", argv.join(" ")),
        }
    }
}

/// One check of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ProbeRequest {
    /// Whose health.
    pub component: ComponentId,
    /// What is asked.
    pub kind: ProbeKind,
    /// How long one try may take.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

impl ProbeRequest {
    /// One check with ten seconds for one try, which is ten times what a healthy service needs.
    pub fn new(component: impl Into<ComponentId>, kind: ProbeKind) -> Self {
        Self {
            component: component.into(),
            kind,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What one check saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVerdict {
    /// As it must be.
    Healthy,
    /// Not as it must be.
    Unhealthy,
}

/// What one check saw, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeAnswer {
    /// The verdict.
    pub verdict: ProbeVerdict,
    /// What was seen: `http 200`, `nginx active`.
    pub saw: String,
}

/// Runs checks.
///
/// # Contract
/// - Changes nothing.
/// - A check that could not be run is an error, never *healthy*.
///
/// Conformance: `probe_*` in `patchcore-testkit`.
#[async_trait]
pub trait HealthProbe: Debug + Send + Sync + 'static {
    /// The kinds it can run, by [`ProbeKind::slug`].
    fn kinds(&self) -> &'static [&'static str];

    /// Runs one check once.
    ///
    /// # Errors
    /// `Unsupported` for a kind that is not claimed; anything else means *not known*.
    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer>;
}
