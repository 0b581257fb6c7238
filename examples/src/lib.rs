//! Nothing here: the programs stand in `examples/`.
