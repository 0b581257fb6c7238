//! The axes of the matrix that are the test's own; those of the ports stand in the crate.

use patchcore::execute::step::{Answer, LockCall, Occasion, Promise, Verb};

/// Where a process dies, a call fails, or a zombie falls asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    BeforePrepare,
    AfterPrepare,
    /// The intent did not become durable.
    IntentLost,
    /// It did, and its acknowledgement was lost.
    IntentDurable,
    BeforeLocate,
    AfterLocate,
    BeginNotSent,
    /// It was begun, and the reply was lost.
    ReplyLost,
    /// The handle came back and did not become durable.
    HandleLost,
    BegunDurable,
    /// Before it is looked at while it works.
    Observing,
    /// Before it is looked at for the first time since it is over.
    EffectOver,
    /// In the middle of a wait.
    InWait,
    /// Its result was seen, and the outcome did not become durable.
    OutcomeLost,
    OutcomeDurable,
    BeforeScan,
    AfterScan,
    BeforeCheck,
    AfterCheck,
    /// What the kernels decided did not become durable.
    DecisionLost,
    DecisionDurable,
    /// Before the lock of a target is taken, and when it is taken and the answer did not arrive.
    BeforeTake,
    AfterTake,
    /// That it is taken did not become durable.
    LockedLost,
    LockedDurable,
    /// The same where we hold it already.
    BeforeRenew,
    AfterRenew,
    BeforeGive,
    AfterGive,
    /// That it is given back did not become durable.
    UnlockedLost,
    UnlockedDurable,
    BeforeLook,
    AfterLook,
    /// Before what was taken is read back, and when the answer did not arrive.
    BeforeReadBack,
    AfterReadBack,
    /// The same when the change begins that it is held for.
    BeforeHeldStill,
    AfterHeldStill,
    /// Before a cluster is read, and when the answer did not arrive.
    BeforeView,
    AfterView,
}

impl Class {
    /// Those that one operation passes.
    pub(crate) const OF_ONE: [Self; 15] = [
        Self::BeforePrepare,
        Self::AfterPrepare,
        Self::IntentLost,
        Self::IntentDurable,
        Self::BeforeLocate,
        Self::AfterLocate,
        Self::BeginNotSent,
        Self::ReplyLost,
        Self::HandleLost,
        Self::BegunDurable,
        Self::Observing,
        Self::EffectOver,
        Self::InWait,
        Self::OutcomeLost,
        Self::OutcomeDurable,
    ];

    /// Those that a whole run passes beside.
    pub(crate) const OF_RUNS: [Self; 6] = [
        Self::BeforeScan,
        Self::AfterScan,
        Self::BeforeCheck,
        Self::AfterCheck,
        Self::DecisionLost,
        Self::DecisionDurable,
    ];

    /// The boundaries of a target's lock.
    pub(crate) const OF_LOCKS: [Self; 10] = [
        Self::BeforeTake,
        Self::AfterTake,
        Self::LockedLost,
        Self::LockedDurable,
        Self::BeforeRenew,
        Self::AfterRenew,
        Self::BeforeGive,
        Self::AfterGive,
        Self::UnlockedLost,
        Self::UnlockedDurable,
    ];

    /// The boundaries of looks at what is held.
    pub(crate) const OF_LOOKS: [Self; 4] = [
        Self::BeforeReadBack,
        Self::AfterReadBack,
        Self::BeforeHeldStill,
        Self::AfterHeldStill,
    ];

    /// The boundaries of looks at a cluster.
    pub(crate) const OF_VIEWS: [Self; 2] = [Self::BeforeView, Self::AfterView];

    /// Before and after a look at what is held.
    pub(crate) const fn of_held(occasion: Occasion) -> (Self, Self) {
        match occasion {
            Occasion::Taken => (Self::BeforeReadBack, Self::AfterReadBack),
            Occasion::Changing => (Self::BeforeHeldStill, Self::AfterHeldStill),
        }
    }

    /// Before and after a call of a lock.
    pub(crate) const fn of_lock(call: LockCall) -> (Self, Self) {
        match call {
            LockCall::Take => (Self::BeforeTake, Self::AfterTake),
            LockCall::Renew => (Self::BeforeRenew, Self::AfterRenew),
            LockCall::GiveBack => (Self::BeforeGive, Self::AfterGive),
            LockCall::Look => (Self::BeforeLook, Self::AfterLook),
        }
    }

    /// Nothing was intended yet, as far as the next life knows.
    pub(crate) const fn is_fresh(self) -> bool {
        matches!(
            self,
            Self::BeforePrepare | Self::AfterPrepare | Self::IntentLost
        )
    }

    /// It was begun by then.
    pub(crate) const fn is_begun(self) -> bool {
        matches!(self, Self::ReplyLost | Self::HandleLost) || self.has_handle()
    }

    /// Its handle is in the journal.
    pub(crate) const fn has_handle(self) -> bool {
        matches!(
            self,
            Self::BegunDurable
                | Self::Observing
                | Self::EffectOver
                | Self::InWait
                | Self::OutcomeLost
        )
    }

    /// Its tool had ended by then.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::EffectOver | Self::OutcomeLost)
    }
}

/// A promise, asked within the target's memory or long after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kept {
    pub(crate) promise: Promise,
    pub(crate) forgotten: bool,
}

impl Kept {
    /// Only a promise with a memory can be forgotten.
    pub(crate) const ALL: [Self; 6] = [
        Self::new(Promise::Keyed, false),
        Self::new(Promise::Keyed, true),
        Self::new(Promise::Locatable, false),
        Self::new(Promise::Locatable, true),
        Self::new(Promise::StateOnly, false),
        Self::new(Promise::Blind, false),
    ];

    const fn new(promise: Promise, forgotten: bool) -> Self {
        Self { promise, forgotten }
    }
}

/// Which life of the orchestrator gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Life {
    /// The first one: no crash, but its call fails at the point.
    First,
    /// The next one, after a crash at the point.
    Next,
    /// The one after that: the next one dies too, at each of its points in turn.
    NextButOne,
    /// The next one, while the first sleeps at the point and wakes up later.
    BesideZombie,
}

impl Life {
    pub(crate) const ALL: [Self; 4] = [
        Self::First,
        Self::Next,
        Self::NextButOne,
        Self::BesideZombie,
    ];
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) verb: Verb,
    pub(crate) kept: Kept,
    pub(crate) class: Class,
    pub(crate) answer: Answer,
    pub(crate) life: Life,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let forgotten = if self.kept.forgotten {
            " forgotten"
        } else {
            ""
        };
        write!(
            f,
            "{:?} {:?}{forgotten} {:?} {:?} {:?}",
            self.verb, self.kept.promise, self.class, self.answer, self.life
        )
    }
}

/// What `locate` says of something that was forgotten, or says whatever is so.
const OF_FORGOTTEN: [Answer; 7] = [
    Answer::NotFound,
    Answer::NotFoundThoughBegun,
    Answer::LeftOut,
    Answer::Unknown,
    Answer::Error,
    Answer::ErrorPasses,
    Answer::Never,
];

/// Every cell. A memory ends in a later life only, and only what `locate` says then can differ.
pub(crate) fn cells() -> impl Iterator<Item = Cell> {
    Verb::ALL.into_iter().flat_map(|verb| {
        Kept::ALL.into_iter().flat_map(move |kept| {
            Class::OF_ONE.into_iter().flat_map(move |class| {
                Answer::ALL.into_iter().flat_map(move |answer| {
                    Life::ALL
                        .into_iter()
                        .map(move |life| Cell {
                            verb,
                            kept,
                            class,
                            answer,
                            life,
                        })
                        .filter(|cell| {
                            !cell.kept.forgotten
                                || (cell.life != Life::First && OF_FORGOTTEN.contains(&cell.answer))
                        })
                })
            })
        })
    })
}
