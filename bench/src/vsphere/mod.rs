//! What the provider of a vCenter costs: its inventory beside two other clients, and the calls of a roll.

pub(crate) mod figures;
pub(crate) mod ours;
pub(crate) mod page;
pub(crate) mod stage;
