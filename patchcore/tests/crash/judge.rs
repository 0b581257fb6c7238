//! What must hold, judged by what the world's own log says and never by the journal.

use std::{collections::BTreeMap, fmt, time::Duration};

use patchcore::{
    execute::{
        kernel::OpResult,
        step::{Answer, Promise, Verb},
    },
    id::OpKey,
};

use super::{
    axes::{Cell, Class, Life},
    world::{Call, QUIET, Who, World},
};

/// What must hold in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Nothing is done twice where the target knows keys, or can be searched and one orchestrator lives.
    DoneOnce,
    /// What can only be seen by its state is not begun again before the quiet time is over.
    QuietTimeKept,
    /// What cannot be told is begun again by nobody but a person.
    BlindOnce,
    /// One key means one request against one baseline.
    OneKeyOneContent,
    /// A call with a stale fence changes nothing.
    StaleFenceIdle,
    /// Whoever was taken over sets out no new effect.
    NoEffectAfterTakeover,
    /// What is said of an operation is so.
    ResultTrue,
    /// Nothing is said to be done before its tool has ended.
    NothingSaidEarly,
    /// What the target handed out is durable before it is used.
    HandleKept,
    /// A person is asked only where nobody else can know.
    PersonSpared,
    /// It comes to an end.
    Ends,
    /// What is kept on a guest, or out of service, is explained by the ledger and the phases, after every crash.
    LedgerExplains,
    /// At the end nothing is owed, and nothing is kept.
    NothingLeft,
    /// No more are out of service at once than the budget says.
    BudgetKept,
    /// No group is below its floor.
    FloorKept,
    /// The end is as without the crash.
    SameEnd,
    /// A patch that nobody tried is not denied.
    DeniedOnlyIfTried,
}

/// One thing that did not hold.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// Collects what does not hold.
#[derive(Debug, Default)]
pub(crate) struct Verdict(pub(crate) Vec<Violation>);

impl Verdict {
    pub(crate) fn must(
        &mut self,
        holds: bool,
        invariant: Invariant,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.0.push(Violation {
                invariant,
                what: what(),
            });
        }
    }
}

/// What holds of every operation: by its starts and its calls.
pub(crate) fn operations(
    world: &World,
    promise_of: impl Fn(Verb) -> Promise,
    forgets: bool,
    to: &mut Verdict,
) {
    let mut keys: BTreeMap<&OpKey, Vec<&Call>> = BTreeMap::new();
    for call in &world.log {
        keys.entry(&call.key).or_default().push(call);
    }
    for (key, calls) in keys {
        let promise = promise_of(calls[0].verb);
        let copied = calls.iter().any(|c| c.who == Who::Copy);
        let starts: Vec<&&Call> = calls.iter().filter(|c| c.started).collect();
        for call in &starts {
            to.must(
                !(call.stale && world.checks_fences),
                Invariant::StaleFenceIdle,
                || format!("{key} was begun by {:?} with a stale fence", call.who),
            );
        }
        for call in calls.iter().filter(|c| c.call == "begin") {
            to.must(
                !call.set_out_stale,
                Invariant::NoEffectAfterTakeover,
                || {
                    format!(
                        "{:?} set out to begin {key} after it was taken over",
                        call.who
                    )
                },
            );
        }
        // A zombie that had set out before it was taken over is one orchestrator too many for all but a key.
        let ours: Vec<&&&Call> = starts.iter().filter(|c| !c.stale).collect();
        match promise {
            // Whoever has a copy of the journal is a second orchestrator, and a target that forgot cannot tell.
            Promise::Keyed if !(copied && forgets) => {
                to.must(starts.len() <= 1, Invariant::DoneOnce, || {
                    format!("{key} was begun {} times: {starts:?}", starts.len())
                })
            }
            Promise::Locatable if !copied => to.must(ours.len() <= 1, Invariant::DoneOnce, || {
                format!("{key} was begun {} times: {ours:?}", ours.len())
            }),
            Promise::StateOnly if !copied => {
                for pair in ours.windows(2) {
                    let apart = pair[1].at.duration_since(pair[0].at);
                    let apart = Duration::try_from(apart).unwrap_or_default();
                    to.must(apart >= QUIET, Invariant::QuietTimeKept, || {
                        format!("{key} was begun again after {} s", apart.as_secs())
                    });
                }
            }
            Promise::Blind if !copied => to.must(ours.len() <= 1, Invariant::BlindOnce, || {
                format!("{key} was begun {} times", ours.len())
            }),
            _ => {}
        }
        let first = calls.iter().position(|c| c.started && c.who != Who::Copy);
        if let Some(first) = first {
            let changed = calls[first..]
                .iter()
                .find(|c| c.who != Who::Copy && c.content != calls[first].content);
            to.must(changed.is_none(), Invariant::OneKeyOneContent, || {
                format!("{key} came with other content: {changed:?}")
            });
        }
    }
}

/// Whoever was observing when it died finds what it observed by the handle, and searches for nothing.
pub(crate) fn handle(cell: &Cell, world: &World, to: &mut Verdict) {
    let observed = matches!(
        cell.class,
        Class::Observing | Class::EffectOver | Class::InWait
    );
    let first = world.log.iter().find(|c| c.who == Who::Ours(2));
    to.must(
        !observed || cell.life == Life::First || first.is_none_or(|c| c.call == "observe"),
        Invariant::HandleKept,
        || format!("it was found again by {first:?}"),
    );
}

/// What was so in truth when a result was said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) at_work: bool,
    pub(crate) done: bool,
}

impl Truth {
    pub(crate) fn of(world: &World, key: &OpKey) -> Self {
        let job = world.job(key);
        Self {
            at_work: world.at_work(key),
            done: job.is_some_and(|j| j.done),
        }
    }
}

/// What is said of one operation, beside the truth.
pub(crate) fn result(
    cell: &Cell,
    world: &World,
    result: &OpResult,
    truth: Truth,
    to: &mut Verdict,
) {
    let said = |a: Answer| world.answers.iter().any(|(_, answer)| *answer == a);
    let copied = world.log.iter().any(|c| c.who == Who::Copy);
    let knows_keys = cell.kept.promise == Promise::Keyed;
    if copied && !(knows_keys && matches!(result, OpResult::Done(_))) {
        // Of two orchestrators each says what it sees of its own; only a key makes the other's success known to it.
        return;
    }
    // A target that swears by a key or a search, and lies, is found out by the scan after it.
    let lied = said(Answer::DoneEarly) && cell.kept.promise != Promise::StateOnly;
    match result {
        OpResult::Done(_) => {
            to.must(!truth.at_work || lied, Invariant::NothingSaidEarly, || {
                "it is said to be done while its tool is at work".to_owned()
            });
            to.must(truth.done || truth.at_work, Invariant::ResultTrue, || {
                format!("it is said to be done: {truth:?}")
            });
        }
        OpResult::Failed(why) | OpResult::NotStarted(why) => {
            to.must(!truth.done && !truth.at_work, Invariant::ResultTrue, || {
                format!("it is said to have failed: {truth:?} {why:?}")
            })
        }
        OpResult::Unknown { why } => {
            let unclear = [
                Answer::LeftOut,
                Answer::Unknown,
                Answer::Error,
                Answer::Never,
                Answer::SeenLeftOut,
                Answer::SeenAsking,
                Answer::SeenNever,
            ];
            let not_found = said(Answer::NotFound) || said(Answer::NotFoundThoughBegun);
            let nobody_knows = unclear.into_iter().any(said)
                || world.lost
                || (not_found && (cell.kept.forgotten || cell.kept.promise == Promise::Blind));
            to.must(nobody_knows, Invariant::PersonSpared, || {
                format!("a person is asked although it can be known: {why}")
            });
        }
        _ => {}
    }
}
