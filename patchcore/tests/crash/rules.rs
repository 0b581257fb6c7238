//! The cells that no run can hit, each with its reason. A reason that explains nothing, or a cell that is hit, is wrong.

use patchcore::execute::step::{Answer, LockAnswer, LockCall, Promise, Verb};

use super::{
    axes::{Cell, Class, Life},
    sweep::{Caller, LockCell},
};

/// Why cells cannot be hit, and which.
pub(crate) struct Rule {
    pub(crate) why: &'static str,
    pub(crate) explains: fn(&Cell) -> bool,
}

/// The first rule that explains a cell counts.
pub(crate) const IMPOSSIBLE: &[Rule] = &[
    Rule {
        why: "its outcome is durable: nobody is asked about it any more",
        explains: |c| c.class == Class::OutcomeDurable,
    },
    Rule {
        why: "no call is under way there that could fail",
        explains: |c| c.life == Life::First && c.class == Class::OutcomeLost,
    },
    Rule {
        why: "what was never sent to a blind or to a keyed tool is begun without asking it first",
        explains: |c| {
            matches!(c.kept.promise, Promise::Blind | Promise::Keyed)
                && (matches!(c.class, Class::BeforeLocate | Class::AfterLocate)
                    || c.class.is_fresh()
                        && matches!(c.answer, Answer::NotFound | Answer::Done | Answer::Failed))
        },
    },
    Rule {
        why: "nobody but a person has a blind one begun again, so nothing is refused",
        explains: |c| {
            c.kept.promise == Promise::Blind
                && c.answer == Answer::Refused
                && !c.class.is_fresh()
                // The zombie itself is refused, by its fence.
                && !(c.class == Class::BeginNotSent && c.life == Life::BesideZombie)
        },
    },
    Rule {
        why: "it was begun by then",
        explains: |c| c.answer == Answer::NotFound && c.class.is_begun(),
    },
    Rule {
        why: "a target that has it already does not refuse it",
        explains: |c| c.answer == Answer::Refused && c.class.is_begun(),
    },
    Rule {
        why: "its tool had ended by then",
        explains: |c| {
            c.class.is_over()
                && (matches!(
                    c.answer,
                    Answer::DoneEarly | Answer::Running | Answer::SeenRunning
                ) || c.answer == Answer::NotFoundThoughBegun
                    && c.kept.promise == Promise::StateOnly)
        },
    },
    Rule {
        why: "`prepare` sees that it is so already",
        explains: |c| {
            // What only shows its state is asked again after its quiet time.
            c.answer == Answer::Done
                && c.class.is_fresh()
                && c.kept.promise != Promise::StateOnly
                && matches!(
                    c.verb,
                    Verb::Apply
                        | Verb::RollBack
                        | Verb::Discard
                        | Verb::GiveBack
                        | Verb::HoldSetting
                        | Verb::RestoreSetting
                        | Verb::Migrate
                        | Verb::ShutDown
                        | Verb::Start
                        | Verb::EnterMaintenance
                        | Verb::ExitMaintenance
                )
        },
    },
    Rule {
        why: "what only shows its state has no handle to be observed by, once its reply is lost",
        explains: |c| {
            c.kept.promise == Promise::StateOnly
                && matches!(c.class, Class::ReplyLost | Class::HandleLost)
                && c.answer.is_observed()
        },
    },
    Rule {
        why: "a search within the same life comes before it would show anything",
        explains: |c| {
            c.kept.promise == Promise::Locatable
                && c.life == Life::First
                && c.answer == Answer::Running
                && matches!(
                    c.class,
                    Class::BeforePrepare
                        | Class::AfterPrepare
                        | Class::BeforeLocate
                        | Class::AfterLocate
                        | Class::Observing
                )
        },
    },
    Rule {
        why: "a restart that is over is found by the boot id, also after all else is forgotten",
        explains: |c| {
            c.kept.promise == Promise::Locatable
                && c.kept.forgotten
                && c.verb == Verb::Reboot
                && c.answer == Answer::NotFoundThoughBegun
                && !c.class.is_fresh()
        },
    },
    Rule {
        why: "only a change since the baseline shows, and a fresh one is taken after it",
        explains: |c| {
            c.answer == Answer::Done
                && c.class.is_fresh()
                && match c.kept.promise {
                    Promise::Locatable => c.verb == Verb::Reboot,
                    Promise::Keyed | Promise::StateOnly | Promise::Blind => false,
                }
        },
    },
];

/// The rule that explains why a cell cannot be hit.
pub(crate) fn rule(cell: &Cell) -> Option<usize> {
    IMPOSSIBLE.iter().position(|rule| (rule.explains)(cell))
}

/// Why a cell of the matrix of locks cannot be hit, and which.
pub(crate) struct LockRule {
    pub(crate) why: &'static str,
    pub(crate) explains: fn(&LockCell) -> bool,
}

/// The first rule that explains a cell counts.
pub(crate) const NO_LOCK_SAYS_SO: &[LockRule] = &[
    LockRule {
        why: "a lock is looked at only where taking it failed, and no case lets both fail",
        explains: |(call, answer, _)| {
            *call == LockCall::Look && matches!(answer, LockAnswer::ErrorPasses | LockAnswer::Error)
        },
    },
    LockRule {
        why: "it is no answer of that call",
        explains: |(call, answer, _)| match call {
            LockCall::Take | LockCall::Renew => *answer == LockAnswer::Heard,
            LockCall::GiveBack | LockCall::Look => matches!(
                answer,
                LockAnswer::Ours | LockAnswer::TakenOver | LockAnswer::HeldBy
            ),
        },
    },
    LockRule {
        why: "who holds it has it",
        explains: |(call, answer, _)| {
            *call == LockCall::Renew && matches!(answer, LockAnswer::TakenOver | LockAnswer::HeldBy)
        },
    },
    LockRule {
        why: "one that slept may not wait for a holding to lapse: its journal refuses it",
        explains: |(call, answer, caller)| {
            (*call, *answer, *caller) == (LockCall::Take, LockAnswer::TakenOver, Caller::Zombie)
        },
    },
];

/// The rule that explains why a cell of the matrix of locks cannot be hit.
pub(crate) fn lock_rule(cell: &LockCell) -> Option<usize> {
    NO_LOCK_SAYS_SO
        .iter()
        .position(|rule| (rule.explains)(cell))
}
