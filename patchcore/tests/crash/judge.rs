//! What must hold, judged by what the world's own log says and never by the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use patchcore::{
    execute::{
        kernel::{Components, OpResult, Phase, RollState, RunState, Step},
        step::{Answer, Promise, Verb},
    },
    id::{ComponentId, OpKey},
    plan::{Envelope, roll::Action},
    provider::PortCall,
};

use super::{
    axes::{Cell, Class, Life},
    brackets::is_first_change,
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
    /// Nothing begins but under the lock of its target.
    LockHeld,
    /// Nothing begins that somebody set a pause point before.
    PausePointKept,
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
    /// Nobody who is back in service is silenced.
    AlertsOn,
    /// Nothing is changed but under what must be held around it.
    HeldDuring,
    /// What somebody else changed meanwhile is left as it is.
    FightLeft,
    /// And it is reported.
    FightTold,
    /// No more are out of service at once than the budget says.
    BudgetKept,
    /// No group is below its floor.
    FloorKept,
    /// The end is as without the crash.
    SameEnd,
    /// A patch that nobody tried is not denied.
    DeniedOnlyIfTried,
    /// No machine runs on a host that is closed or worked on, and none moves to one.
    MachinesSafe,
    /// At the end every machine runs.
    MachinesOn,
    /// No machine is moved more often than it was planned.
    MovedAsPlanned,
    /// The chain of the journal is whole, whatever its disk did.
    JournalIntact,
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
            to.must(
                !(call.bare && call.who != Who::Copy && is_first_change(call)),
                Invariant::HeldDuring,
                || format!("{key} was begun without what must be held around it"),
            );
            to.must(
                call.locked || call.stale && !world.checks_fences,
                Invariant::LockHeld,
                || format!("{key} was begun by {:?} without the lock", call.who),
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
            // What is taken is read back, so that the lie is found out at once.
            let found_out = lied && cell.verb == Verb::Take;
            let is_so = !truth.done && (!truth.at_work || found_out);
            to.must(is_so, Invariant::ResultTrue, || {
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

/// A run as its journal tells it, beside what people took upon themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) state: &'a RunState,
    pub(crate) components: &'a Components,
    /// A person said of these that they are done, or that they stay as they are: no longer for us to know.
    pub(crate) attested: &'a BTreeSet<ComponentId>,
    /// How often a person decided.
    pub(crate) resolved: usize,
}

/// What the world holds beside what the journal tells, at one moment.
pub(crate) fn explained(world: &World, told: &Told<'_>, to: &mut Verdict) {
    for (component, guest) in &world.guests {
        let Some(state) = told.components.get(component) else {
            continue;
        };
        if told.attested.contains(component) {
            continue;
        }
        for key in &guest.kept {
            let owed = state.owed.iter().any(|o| o.taken_by == *key);
            to.must(owed, Invariant::LedgerExplains, || {
                format!(
                    "{component} keeps what {key} took, and nobody owes it: {:?}",
                    state.phase
                )
            });
        }
        for (key, kind) in guest.held.ours() {
            let owed = state.owed.iter().any(|o| o.taken_by == *key);
            to.must(owed, Invariant::LedgerExplains, || {
                format!(
                    "{key} holds a {} of {component}, and nobody owes it: {:?}",
                    kind.slug(),
                    state.phase
                )
            });
        }
        let serves = matches!(
            state.phase,
            Phase::InService | Phase::ConfirmVersions | Phase::ConfirmHealth | Phase::AwaitWayBack
        );
        let held = guest.held.ours().next().filter(|_| serves);
        to.must(held.is_none(), Invariant::AlertsOn, || {
            format!("{component} has {held:?} in {:?}", state.phase)
        });
        for job in world.jobs.iter().filter(|j| !j.over) {
            if job.subject != *component || matches!(job.request, PortCall::Drain { .. }) {
                continue;
            }
            let known = state.op.as_ref().is_some_and(|op| op.key == job.key);
            to.must(known, Invariant::LedgerExplains, || {
                format!("{} works on {component}, and nobody knows of it", job.key)
            });
        }
        let out = guest.broken_from.is_some_and(|at| at <= world.now);
        let ours = state.phase.holds_slot() || guest.by_itself;
        to.must(!out || ours, Invariant::LedgerExplains, || {
            format!("{component} is out of service in {:?}", state.phase)
        });
    }
}

/// What the cluster holds beside what its roll tells, at one moment.
pub(crate) fn drained(world: &World, roll: &RollState, to: &mut Verdict) {
    let cluster = &world.cluster;
    let stopped = cluster.machines.iter();
    let taken = cluster
        .held
        .iter()
        .map(|(setting, key)| (setting.slug().to_owned(), key))
        .chain(
            cluster
                .closed
                .iter()
                .map(|(host, key)| (host.to_string(), key)),
        )
        .chain(stopped.filter_map(|(vm, m)| Some((vm.to_string(), m.stopped_by.as_ref()?))));
    // What somebody with a copy of the journal took is theirs to give back.
    let copied = |key: &OpKey| {
        let mut log = world.log.iter();
        log.any(|call| call.who == Who::Copy && call.key == *key)
    };
    for (what, key) in taken.filter(|(_, key)| !copied(key)) {
        let owed = roll.owed.iter().any(|owed| owed.taken_by == *key);
        to.must(owed, Invariant::LedgerExplains, || {
            format!("{key} took {what}, and nobody owes it: {:?}", roll.phase)
        });
    }
    let wrong = cluster.wrong.first();
    to.must(wrong.is_none(), Invariant::MachinesSafe, || {
        wrong.cloned().unwrap_or_default()
    });
    for (vm, machine) in &cluster.machines {
        let mut steps = roll.roll.steps.iter();
        let moves = |action: &Action| matches!(action, Action::Migrate { vm: v, .. } if v == vm);
        let planned = steps.by_ref().filter(|step| moves(&step.action)).count();
        let moved = machine.moved_by.len();
        to.must(
            roll.plans > 1 || moved <= planned,
            Invariant::MovedAsPlanned,
            || format!("{vm} was moved {moved} times: {:?}", machine.moved_by),
        );
    }
}

/// Nothing is at work on a cluster that its roll does not know of.
pub(crate) fn known(world: &World, roll: &RollState, to: &mut Verdict) {
    for job in world.jobs.iter().filter(|job| !job.over) {
        if matches!(job.request, PortCall::Drain { .. }) {
            let known = roll.ops.values().any(|op| op.key == job.key);
            to.must(known, Invariant::LedgerExplains, || {
                format!("{} is at work, and the roll does not know of it", job.key)
            });
        }
    }
}

/// What must hold when a run with a roll has ended.
pub(crate) fn rolled(world: &World, roll: &RollState, to: &mut Verdict) {
    let cluster = &world.cluster;
    to.must(roll.owed.is_empty(), Invariant::NothingLeft, || {
        format!("the roll owes {:?}", roll.owed)
    });
    let (held, closed) = (&cluster.held, &cluster.closed);
    to.must(
        held.is_empty() && closed.is_empty(),
        Invariant::NothingLeft,
        || format!("at the end {held:?} are held and {closed:?} in maintenance mode"),
    );
    for (vm, machine) in &cluster.machines {
        let by = &machine.stopped_by;
        to.must(by.is_none(), Invariant::MachinesOn, || {
            format!("{vm} does not run: {by:?}")
        });
    }
}

/// What must hold when a run has ended, beside what holds of each operation.
pub(crate) fn at_the_end(world: &World, told: &Told<'_>, to: &mut Verdict) {
    for (component, guest) in &world.guests {
        let applied: Vec<_> = world
            .log
            .iter()
            .filter(|c| c.started && c.subject == *component && c.verb == Verb::Apply)
            .collect();
        // The keys differ where a person said `retry`.
        let keys: BTreeSet<_> = applied.iter().map(|c| &c.key).collect();
        to.must(keys.len() <= 1 + told.resolved, Invariant::DoneOnce, || {
            format!("{component} was patched under {} keys", keys.len())
        });
        let state = &told.components[component];
        let changed = world.brackets.said_changed.iter();
        for (_, taken) in changed.filter(|(of, _)| of == component) {
            let is_told = state.fights.iter().any(|f| f.taken_by == *taken);
            to.must(is_told, Invariant::FightTold, || {
                format!("{taken} around {component} was changed, and nobody tells")
            });
        }
        to.must(state.owed.is_empty(), Invariant::NothingLeft, || {
            format!("{component} owes {:?}", state.owed)
        });
        let held = guest.held.ours().next();
        let attested = told.attested.contains(component);
        to.must(held.is_none() || attested, Invariant::NothingLeft, || {
            format!("{component} has {held:?} at the end")
        });
        let overwritten = &guest.held.overwritten;
        to.must(overwritten.is_empty(), Invariant::FightLeft, || {
            format!("somebody else had {overwritten:?} of {component} by then")
        });
        let kept = guest.kept.is_empty() || told.attested.contains(component);
        to.must(kept, Invariant::NothingLeft, || {
            format!("{component} keeps {:?} at the end", guest.kept)
        });
        let denied = told.state.denials.iter().any(|d| d.component == *component);
        to.must(
            !denied || !applied.is_empty() || told.resolved > 0,
            Invariant::DeniedOnlyIfTried,
            || format!("the patch of {component} is denied, and nobody tried it"),
        );
    }
}

/// Nothing was begun that is held before its step.
pub(crate) fn paused(world: &World, held: &[(Step, Option<ComponentId>)], to: &mut Verdict) {
    for call in world.log.iter().filter(|c| c.call == "begin") {
        let key = call.key.to_string();
        let of_it = held.iter().find(|(step, component)| {
            key.contains(&format!("/{}/", step.slug()))
                && component.as_ref().is_none_or(|c| *c == call.subject)
        });
        to.must(of_it.is_none(), Invariant::PausePointKept, || {
            format!("{key} was begun, and somebody holds it: {of_it:?}")
        });
    }
}

/// At the end every lock is given back, or the journal says that its holding is left to lapse.
pub(crate) fn locks(
    world: &World,
    told: &Told<'_>,
    lapsing: &BTreeSet<ComponentId>,
    zombie: Option<u64>,
    to: &mut Verdict,
) {
    for (component, state) in told.components {
        let lock = *state.lock;
        to.must(lock.is_none(), Invariant::NothingLeft, || {
            format!("{component} is said to be locked: {lock:?}")
        });
        // What one that slept takes when it wakes up lapses by itself.
        let held = world
            .ours(component)
            .filter(|held| zombie != Some(held.claim.epoch));
        let lapses = lapsing.contains(component);
        to.must(held.is_none() || lapses, Invariant::NothingLeft, || {
            format!("the lock of {component} is still held: {held:?}")
        });
    }
}

/// No more of a ring are out of service than its budget says, and no group is below its floor, at any instant; but for those
/// of `exempt`, who are out by themselves or because a person wanted it.
pub(crate) fn budgets(
    world: &World,
    envelope: &Envelope,
    exempt: &BTreeSet<ComponentId>,
    to: &mut Verdict,
) {
    for (at, out) in &world.out {
        let out: BTreeSet<_> = out.difference(exempt).collect();
        for ring in &envelope.rings {
            let of_ring = envelope.targets.iter().filter(|t| t.ring == ring.name);
            let down = of_ring.filter(|t| out.contains(&t.component)).count();
            to.must(down <= ring.at_once, Invariant::BudgetKept, || {
                format!(
                    "{at}: {out:?} are out of service, and {} may be",
                    ring.at_once
                )
            });
        }
        for group in &envelope.groups {
            let up = group.members.iter().filter(|m| !out.contains(m)).count();
            to.must(up >= group.keep_up, Invariant::FloorKept, || {
                format!("{at}: {up} of {} are up", group.name)
            });
        }
    }
}

/// Versions, restarts and phases.
pub(crate) fn end(world: &World, components: &Components) -> Vec<String> {
    let guests = world.guests.iter();
    guests
        .map(|(c, g)| {
            let phase = components[c].phase;
            format!("{c} at {} after {} boots: {phase:?}", g.version, g.boot)
        })
        .chain(world.cluster.end())
        .collect()
}
