//! How components depend on each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ComponentId;

/// The kind of a relation, read from left to right: *web-1 runs on esx-3*.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelationKind {
    /// A guest on its host.
    RunsOn,
    /// A guest or volume on its array.
    StoredOn,
    /// A datastore on its volume.
    BackedBy,
    /// A component through a switch or jump host.
    ReachedBy,
    /// A component by its manager or BMC.
    ManagedBy,
    /// A component by a domain controller.
    AuthenticatesBy,
    /// A component by a DNS server.
    ResolvesBy,
    /// One component needs another to be up.
    DependsOn,
    /// A host in its cluster.
    MemberOf,
}

/// One directed relation.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Relation {
    /// The one that depends.
    pub from: ComponentId,
    /// How.
    pub kind: RelationKind,
    /// The one it depends on.
    pub to: ComponentId,
}

impl Relation {
    /// *from* `kind` *to*.
    pub fn new(
        from: impl Into<ComponentId>,
        kind: RelationKind,
        to: impl Into<ComponentId>,
    ) -> Self {
        Self {
            from: from.into(),
            kind,
            to: to.into(),
        }
    }
}
