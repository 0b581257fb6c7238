//! What the engine itself costs: a run over an estate whose every call answers at once.

pub(crate) mod figures;
pub(crate) mod measure;
pub(crate) mod world;
