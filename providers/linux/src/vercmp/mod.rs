//! Orders of versions, one file per package format: only the format's own rule may order two versions.

pub mod deb;
