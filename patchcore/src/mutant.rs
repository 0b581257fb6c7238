//! Faults that a test plants into patchcore itself: a suite that lets one pass proves nothing.
//!
//! Each stands at one place of the production code, which asks [`is`]. Without the feature `crash` the answer is
//! `false` when the compiler reads it, and nothing of this is left in a program.

#[cfg(feature = "crash")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// One planted fault.
#[cfg_attr(
    not(feature = "crash"),
    expect(unreachable_pub, reason = "the crash matrix alone names them")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    not(feature = "sqlite"),
    expect(
        dead_code,
        reason = "`ensure` asks for most, and is not built without the driver"
    )
)]
pub enum Mutant {
    /// `ensure` asks nobody whether an operation runs already.
    NoLocate,
    /// `ensure` begins before its intent is durable.
    NoIntent,
    /// An operation is found again without its baseline.
    NoBaseline,
    /// An operation is found again against what is there now.
    RetakenBaseline,
    /// The outcome is said before the effect is over.
    OutcomeBeforeAct,
    /// The ledger takes note of what is borrowed when the operation is over, not before it begins.
    UndoAfterAct,
    /// Nobody asks whether the run is still ours before something begins.
    FenceIgnored,
    /// A component that a person must look at gives its slot back.
    LostRelease,
    /// That the target took it is not journaled.
    BegunNotJournaled,
    /// An interrupted start is repeated at once.
    QuietTimeIgnored,
    /// *Not found* is believed of a target that has forgotten.
    MemoryIgnored,
    /// What is owed is not given back.
    GiveBackForgotten,
    /// What was held around a change is not given back when the component is back in service.
    BracketKept,
    /// What is held around a change is believed to be there.
    HeldNotRead,
    /// What somebody else changed meanwhile is given back all the same.
    FightIgnored,
    /// Those who are let in together do not count each other.
    SlotTwice,
    /// The floors of groups are not asked.
    FloorIgnored,
    /// An operation begins without the lock of its target.
    LockNotTaken,
    /// That the lock was taken is not journaled.
    LockNotJournaled,
    /// The lock of a target is not given back.
    UnlockForgotten,
    /// A step begins although somebody set a pause point before it.
    PausePointIgnored,
    /// An operation of a roll that was interrupted is begun anew, under another key.
    RollOpForgotten,
    /// That a cluster's setting is held is forgotten when it is.
    SettingForgotten,
    /// That a host is in maintenance mode is forgotten when it is patched.
    MaintenanceForgotten,
    /// A step of a roll begins before what it needs is over.
    NeedsIgnored,
}

/// Whether this fault is planted.
#[cfg(not(feature = "crash"))]
pub(crate) const fn is(_: Mutant) -> bool {
    false
}

/// The planted one, counted from 1; 0 for none. The one global of the crate, and only in a build for tests.
#[cfg(feature = "crash")]
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// Whether this fault is planted.
#[cfg(feature = "crash")]
pub(crate) fn is(mutant: Mutant) -> bool {
    PLANTED.load(Ordering::Relaxed) == mutant as usize + 1
}

/// Plants one fault, in place of any other, or none.
#[cfg(feature = "crash")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.store(mutant.map_or(0, |m| m as usize + 1), Ordering::Relaxed);
}

#[cfg(feature = "crash")]
impl Mutant {
    /// Every one.
    pub const ALL: [Self; 25] = [
        Self::NoLocate,
        Self::NoIntent,
        Self::NoBaseline,
        Self::RetakenBaseline,
        Self::OutcomeBeforeAct,
        Self::UndoAfterAct,
        Self::FenceIgnored,
        Self::LostRelease,
        Self::BegunNotJournaled,
        Self::QuietTimeIgnored,
        Self::MemoryIgnored,
        Self::GiveBackForgotten,
        Self::BracketKept,
        Self::HeldNotRead,
        Self::FightIgnored,
        Self::SlotTwice,
        Self::FloorIgnored,
        Self::LockNotTaken,
        Self::LockNotJournaled,
        Self::UnlockForgotten,
        Self::PausePointIgnored,
        Self::RollOpForgotten,
        Self::SettingForgotten,
        Self::MaintenanceForgotten,
        Self::NeedsIgnored,
    ];

    /// Whether it stands where clusters are rolled, and nothing else comes by.
    #[must_use]
    pub const fn is_of_rolls(self) -> bool {
        matches!(
            self,
            Self::RollOpForgotten
                | Self::SettingForgotten
                | Self::MaintenanceForgotten
                | Self::NeedsIgnored
        )
    }
}
