//! The nouns: what is managed, how it is related, what it runs and what is on offer for it.

pub mod class;
pub mod component;
pub mod group;
pub mod inventory;
pub mod patch;
pub mod relation;
pub mod scan;

pub use class::PatchClass;
pub use component::{Component, ComponentKind, Identity, IdentityKind, Sighting};
pub use group::{RedundancyGroup, Role};
pub use inventory::{Finding, Gap, Inventory, Tool};
pub use patch::{Impact, KeptBack, KeptBackReason, Patch, PatchChange, Pin};
pub use relation::{Relation, RelationKind};
pub use scan::{Available, Busy, Estimate, RunningOld, Scan, Unhealthy, WayBack, WayBackKind};
