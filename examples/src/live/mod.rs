//! A run while it goes on: its lines as they come, and on a terminal one live block below them.

mod block;
mod follow;
mod interrupts;
mod screen;
mod styled;

pub use block::block;
pub use follow::{Follow, Left};
pub use interrupts::Interrupts;
pub use screen::{Screen, Size};
pub use styled::{Line, Style};
