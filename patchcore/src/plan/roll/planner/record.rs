//! What was decided, with the times at which it happens in the planner's own reckoning.

use crate::plan::roll::step::{How, Reason};

/// One decided action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan::roll) enum Did {
    Close(u32),
    Move {
        vm: u32,
        from: u32,
        to: u32,
        how: How,
    },
    AwaitEnd {
        vm: u32,
        host: u32,
    },
    Stop {
        vm: u32,
        host: u32,
        suspend: bool,
    },
    Patch(u32),
    Reopen(u32),
    Start {
        vm: u32,
        host: u32,
    },
}

/// One decided action with its time.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) did: Did,
    pub(super) from: u64,
    pub(super) until: u64,
    /// The beginning of its window, where windows hold.
    pub(super) not_before: Option<u64>,
    pub(super) reason: Reason,
}

/// Everything that was decided, in the order in which it begins.
pub(super) type Record = Vec<Entry>;
