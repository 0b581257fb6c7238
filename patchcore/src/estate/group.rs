//! Supporting components that stand in for each other.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ComponentId, GroupName};

/// What a supporting component does for the others.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Resolves names.
    Dns,
    /// Authenticates people and machines.
    DomainController,
    /// Issues certificates.
    CertificateAuthority,
    /// Gives the time.
    Time,
    /// Hands out addresses.
    Dhcp,
    /// Serves data that is held more than once.
    Database,
    /// Anything else, named by the estate.
    Other(String),
}

/// Members of one role of which some must always be up. A member counts as up when it is ready, not merely running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedundancyGroup {
    /// Its name, such as `dns`.
    pub name: GroupName,
    /// What its members do.
    pub role: Role,
    /// How many members stay up at every instant.
    pub keep_up: u32,
    /// Who belongs to it.
    pub members: BTreeSet<ComponentId>,
}

impl RedundancyGroup {
    /// A group that keeps all members but one up.
    pub fn all_but_one<I>(name: impl Into<GroupName>, role: Role, members: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ComponentId>,
    {
        let members: BTreeSet<ComponentId> = members.into_iter().map(Into::into).collect();
        let keep_up = u32::try_from(members.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Self {
            name: name.into(),
            role,
            keep_up,
            members,
        }
    }

    /// How many members may be down at once.
    #[must_use]
    pub fn may_be_down(&self) -> usize {
        self.members.len().saturating_sub(self.keep_up as usize)
    }
}
