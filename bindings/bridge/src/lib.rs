//! What the bindings of patchcore to other languages share, so that a face only converts, calls, and converts.
//!
//! - [`runtime`] is the one runtime of the process, and calls on it that can be waited for in small turns.
//! - [`error`] is one flat error.
//! - [`journal`] and [`run`] are handles that a language with a garbage collector can hold: a journal closes although
//!   somebody still holds its runs, and no run is lost because nobody took its handle.
//! - [`provider`] and [`ports`] let another language write a provider, the short way and the full way, with arguments
//!   that are owned; [`wire`] is the form in which they cross.
//! - [`roll`] plans the roll of a cluster so that whoever waits for it can stop waiting.
//! - [`logging`] hands on what the core tells.
//! - [`value`] turns what a screen shows into JSON.
//!
//! No face of its own, and no word about any language: those stand in the crates beside this one.

pub mod error;
pub mod journal;
pub mod logging;
pub mod ports;
pub mod provider;
pub mod roll;
pub mod run;
pub mod runtime;
pub mod value;
pub mod wire;

pub use error::FaceError;
pub use journal::JournalHandle;
pub use run::RunHandle;
