//! patchcore provider for Linux.
