//! From an approved plan to a patched estate: pure kernels, one place for effects, a durable journal.

#[cfg(feature = "sqlite")]
mod bracket;
#[cfg(feature = "sqlite")]
mod checkpoint;
#[cfg(feature = "sqlite")]
mod doing;
#[cfg(feature = "sqlite")]
mod driven;
#[cfg(feature = "sqlite")]
mod driver;
#[cfg(feature = "sqlite")]
mod ensure;
#[cfg(feature = "sqlite")]
mod events;
#[cfg(feature = "sqlite")]
pub(crate) mod inbox;
#[cfg(feature = "sqlite")]
pub mod journal;
pub mod kernel;
#[cfg(feature = "sqlite")]
mod lock;
#[cfg(feature = "sqlite")]
mod looks;
#[cfg(feature = "sqlite")]
mod patience;
#[cfg(feature = "sqlite")]
mod port;
#[cfg(feature = "sqlite")]
mod progress;
#[cfg(feature = "sqlite")]
mod rolling;
#[cfg(feature = "sqlite")]
mod stall;
#[cfg(feature = "sqlite")]
mod standing;
#[cfg(feature = "crash")]
#[doc(hidden)]
pub mod step;
#[cfg(feature = "sqlite")]
mod story;
#[cfg(feature = "sqlite")]
pub(crate) mod supervise;
#[cfg(feature = "sqlite")]
mod takeover;
#[cfg(feature = "sqlite")]
mod turn;
#[cfg(feature = "sqlite")]
mod why;
#[cfg(feature = "sqlite")]
pub(crate) mod words;
#[cfg(feature = "sqlite")]
pub(crate) mod workers;

#[cfg(feature = "sqlite")]
pub(crate) use checkpoint::fault as checkpoint_fault;
#[cfg(feature = "sqlite")]
pub use driven::DrivenBy;
#[cfg(feature = "sqlite")]
pub(crate) use driver::{Driver, Message, Reins, Tools};
#[cfg(feature = "sqlite")]
pub use events::Events;
#[cfg(feature = "sqlite")]
pub use progress::{ComponentProgress, RingProgress, RunProgress};
#[cfg(feature = "sqlite")]
pub use standing::Standing;
#[cfg(feature = "sqlite")]
pub(crate) use story::RUN as RUN_STREAM;
#[cfg(feature = "sqlite")]
pub use story::{Story, Told, denials};
#[cfg(feature = "sqlite")]
pub(crate) use words::standing as standing_words;
