//! The shared nouns: what is managed and what is known of it.

pub mod class;
