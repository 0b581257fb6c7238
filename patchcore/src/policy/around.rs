//! What is held around a change of a component.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::{id::ProviderName, provider::BracketKind};

/// Something that is taken before a component is changed and given back when it is healthy again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[non_exhaustive]
pub struct Around {
    /// Around which components. Default all.
    #[serde(default = "Selector::all")]
    pub select: Selector,
    /// What.
    #[serde(flatten)]
    pub what: AroundWhat,
}

/// What is held around a change, and by which provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AroundWhat {
    /// Alerts about the component are silenced by this provider.
    Silence(ProviderName),
    /// This provider, such as another patcher or a backup, is paused for the component.
    Pause(ProviderName),
}

impl AroundWhat {
    /// What kind of bracket it is.
    #[must_use]
    pub const fn kind(&self) -> BracketKind {
        match self {
            Self::Silence(_) => BracketKind::Silence,
            Self::Pause(_) => BracketKind::Pause,
        }
    }

    /// The provider.
    #[must_use]
    pub const fn by(&self) -> &ProviderName {
        match self {
            Self::Silence(by) | Self::Pause(by) => by,
        }
    }
}

impl Around {
    /// Alerts are silenced by a provider.
    pub fn silence(by: impl Into<ProviderName>) -> Self {
        Self::new(AroundWhat::Silence(by.into()))
    }

    /// A provider is paused.
    pub fn pause(by: impl Into<ProviderName>) -> Self {
        Self::new(AroundWhat::Pause(by.into()))
    }

    fn new(what: AroundWhat) -> Self {
        Self {
            select: Selector::all(),
            what,
        }
    }

    /// Around which components.
    #[must_use]
    pub fn with_select(mut self, select: Selector) -> Self {
        self.select = select;
        self
    }
}
