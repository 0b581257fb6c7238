//! Shared by no one: the programs stand in `examples/`.
