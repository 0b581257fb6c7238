//! What is held around changes in the world: how it is asked for, how it is looked at, and who else changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    execute::step::{ALERTS, HeldAnswer, HeldWatch, Occasion, Verb},
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Bracket, BracketCapabilities, BracketKind, BracketRequest, DeployRequest,
        Evidence, Holding, Op, OpContext, PerComponent, PortCall, PortRequest, Prepared, Readiness,
        Undo,
    },
};

use super::{
    axes::Class,
    stepper::Port,
    world::{Call, Who, World},
};

/// A request to any port of the world.
pub(crate) trait Asks {
    fn call(&self) -> PortCall;
}

impl Asks for PortCall {
    fn call(&self) -> PortCall {
        self.clone()
    }
}

impl Asks for DeployRequest {
    fn call(&self) -> PortCall {
        PortCall::Deploy(self.clone())
    }
}

impl Asks for BracketRequest {
    fn call(&self) -> PortCall {
        PortCall::Bracket {
            by: ALERTS.into(),
            request: self.clone(),
        }
    }
}

/// A request of one port of the world.
pub(crate) trait Wanted: PortRequest + Asks {
    /// How its operation is undone.
    fn undo(op: &Op<Self>) -> Undo<Self>;
}

impl Wanted for DeployRequest {
    fn undo(op: &Op<Self>) -> Undo<Self> {
        World::undo(op)
    }
}

impl Wanted for BracketRequest {
    fn undo(op: &Op<Self>) -> Undo<Self> {
        match &op.request {
            Self::Take {
                components, kind, ..
            } => Undo::By(Self::GiveBack {
                components: components.clone(),
                kind: *kind,
                taken: op.key.clone(),
            }),
            _ => Undo::Nothing,
        }
    }
}

/// Something that is held around a guest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hold {
    pub(crate) kind: BracketKind,
    /// When it ends by itself.
    until: Option<Timestamp>,
    /// Somebody else changed it since it was taken: it is theirs now.
    pub(crate) is_theirs: bool,
}

/// Who holds what around a guest, and what became of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Held {
    holds: BTreeMap<OpKey, Hold>,
    /// What somebody else ended.
    ended: BTreeSet<OpKey>,
    /// What was somebody else's by then, and given back all the same.
    pub(crate) overwritten: BTreeSet<OpKey>,
}

impl Held {
    /// What an operation took, as far as it is still as it left it.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (&OpKey, BracketKind)> {
        let ours = self.holds.iter().filter(|(_, hold)| !hold.is_theirs);
        ours.map(|(key, hold)| (key, hold.kind))
    }

    pub(crate) fn has(&self, taken: &OpKey) -> bool {
        self.holds.contains_key(taken)
    }

    pub(crate) fn take(&mut self, key: OpKey, kind: BracketKind, until: Option<Timestamp>) {
        let is_theirs = false;
        let hold = Hold {
            kind,
            until,
            is_theirs,
        };
        self.holds.insert(key, hold);
    }

    fn give_back(&mut self, taken: &OpKey) {
        if self.holds.remove(taken).is_some_and(|hold| hold.is_theirs) {
            self.overwritten.insert(taken.clone());
        }
    }

    /// What somebody else made of what was taken.
    fn changed(&self, taken: &OpKey) -> Option<&'static str> {
        match self.holds.get(taken) {
            Some(hold) => hold.is_theirs.then_some("a longer one of somebody else"),
            None => self
                .ended
                .contains(taken)
                .then_some("somebody else ended it"),
        }
    }
}

/// What somebody else does to what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meddling {
    Ends,
    /// It holds on, and is theirs.
    Changes,
}

/// What is wrong with a look at what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldFault {
    FailsOnce,
    Fails,
    NeverOnce,
    LeavesOut,
}

/// One look at what is held and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldSaid {
    pub(crate) who: Who,
    /// Whether there was a later incarnation by then.
    pub(crate) stale: bool,
    pub(crate) occasion: Occasion,
    pub(crate) answer: HeldAnswer,
}

/// What is held around guests, beside what each guest says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brackets {
    /// How many must be held around a guest when it is changed.
    pub(crate) wanted: BTreeMap<ComponentId, usize>,
    pub(crate) fault: Option<(Occasion, HeldFault)>,
    /// Which lives met a fault that happens once.
    met: BTreeSet<u64>,
    /// What somebody else does so long after something was taken.
    pub(crate) meddles: BTreeMap<ComponentId, (Meddling, Duration)>,
    planned: Vec<(Timestamp, ComponentId, OpKey, Meddling)>,
    pub(crate) says: Vec<HeldSaid>,
    /// Of what it was said that somebody else changed it.
    pub(crate) said_changed: BTreeSet<(ComponentId, OpKey)>,
}

impl World {
    /// When something of what is held changes by itself, or by somebody else.
    pub(crate) fn next_of_brackets(&self) -> Option<Timestamp> {
        let holds = self.guests.values().flat_map(|g| g.held.holds.values());
        let lapses = holds.filter(|h| !h.is_theirs).filter_map(|h| h.until);
        lapses
            .chain(self.brackets.planned.iter().map(|p| p.0))
            .min()
    }

    /// What is over is over, and somebody else does what he does.
    pub(crate) fn brackets_change(&mut self) {
        let now = self.now;
        for guest in self.guests.values_mut() {
            let over = |hold: &Hold| !hold.is_theirs && hold.until.is_some_and(|at| at <= now);
            guest.held.holds.retain(|_, hold| !over(hold));
        }
        let due = |p: &mut (Timestamp, ComponentId, OpKey, Meddling)| p.0 <= now;
        let due: Vec<_> = self.brackets.planned.extract_if(.., due).collect();
        for (_, component, key, meddling) in due {
            let Some(guest) = self.guests.get_mut(&component) else {
                continue;
            };
            let Some(hold) = guest.held.holds.get_mut(&key) else {
                continue;
            };
            hold.is_theirs = true;
            if meddling == Meddling::Ends {
                guest.held.holds.remove(&key);
                guest.held.ended.insert(key);
            }
        }
    }

    /// An operation of the port of brackets has done its work.
    pub(crate) fn bracket_done(&mut self, on: &ComponentId, key: OpKey, request: &BracketRequest) {
        let (now, meddles) = (self.now, self.brackets.meddles.get(on).copied());
        let Some(guest) = self.guests.get_mut(on) else {
            return;
        };
        match request {
            BracketRequest::Take { kind, at_least, .. } => {
                // A silence ends by itself; a pause is a switch.
                let until = (*kind == BracketKind::Silence).then(|| now + *at_least);
                guest.held.take(key.clone(), *kind, until);
                if let Some((meddling, after)) = meddles {
                    let planned = (now + after, on.clone(), key, meddling);
                    self.brackets.planned.push(planned);
                }
            }
            BracketRequest::GiveBack { taken, .. } => guest.held.give_back(taken),
            _ => {}
        }
    }

    /// How a request to the port of brackets finds what is there; none where it can begin.
    pub(crate) fn bracket_stands(
        &mut self,
        on: &ComponentId,
        request: &BracketRequest,
    ) -> Option<Readiness> {
        let guest = self.guests.get(on)?;
        let BracketRequest::GiveBack { taken, .. } = request else {
            return None;
        };
        if let Some(found) = guest.held.changed(taken) {
            let said = (on.clone(), taken.clone());
            self.brackets.said_changed.insert(said);
            return Some(Readiness::ChangedMeanwhile {
                expected: "what was taken".to_owned(),
                found: found.to_owned(),
            });
        }
        let saw = || Evidence::observed(self.now, "it is not held");
        (!guest.held.has(taken)).then(|| Readiness::AlreadyHolds(saw()))
    }

    /// Whether something that must be held around a guest is not.
    pub(crate) fn is_bare(&self, on: &ComponentId) -> bool {
        let wanted = self.brackets.wanted.get(on).copied().unwrap_or_default();
        wanted > 0 && self.guests[on].held.holds.len() < wanted
    }

    fn held_said(&mut self, number: u64, occasion: Occasion, answer: HeldAnswer) {
        self.brackets.says.push(HeldSaid {
            who: Who::Ours(number),
            stale: number < self.newest,
            occasion,
            answer,
        });
    }

    /// What is there of what an operation took.
    pub(crate) fn holding(&self, on: &ComponentId, taken: &OpKey) -> Holding {
        match self.guests[on].held.has(taken) {
            true => Holding::Held(Evidence::observed(self.now, "alerts reach nobody")),
            false => Holding::NotHeld {
                found: "alerts".to_owned(),
            },
        }
    }
}

/// Whether a call begins a change that something must be held around.
pub(crate) fn is_first_change(call: &Call) -> bool {
    call.verb == Verb::Apply || call.key.to_string().contains("/reboot-first/")
}

/// What is ready, or how it stands instead.
pub(crate) fn prepared(on: ComponentId, stands: Readiness) -> Prepared {
    let mut prepared = Prepared::ready(on.clone(), Baseline::empty());
    prepared.subjects.insert(on, stands);
    prepared
}

#[async_trait]
impl Bracket for Port {
    fn capabilities(&self) -> BracketCapabilities {
        BracketCapabilities::of(BracketKind::ALL)
    }

    async fn held(
        &self,
        _: &OpContext,
        _: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        Ok(self.world(|w| {
            let of_it = |c: &ComponentId| (c.clone(), Ok(w.holding(c, taken)));
            components.iter().map(of_it).collect()
        }))
    }
}

#[async_trait]
impl HeldWatch for Port {
    async fn before(
        &self,
        occasion: Occasion,
        _: &ComponentId,
    ) -> Option<Result<PerComponent<Holding>>> {
        if let Err(error) = self.0.pass(Class::of_held(occasion).0).await {
            return Some(Err(error));
        }
        let number = self.0.number;
        let fault = self.world(|w| {
            let (_, fault) = w.brackets.fault.filter(|(of, _)| *of == occasion)?;
            let always = matches!(fault, HeldFault::Fails | HeldFault::LeavesOut);
            (always || w.brackets.met.insert(number)).then_some(fault)
        });
        let error = Error::new(ErrorKind::Unreachable, "no answer");
        match fault? {
            HeldFault::NeverOnce => {
                self.world(|w| w.held_said(number, occasion, HeldAnswer::Never));
                std::future::pending().await
            }
            HeldFault::FailsOnce => Some(Err(error.retryable(None))),
            HeldFault::Fails => Some(Err(error)),
            HeldFault::LeavesOut => Some(Ok(PerComponent::new())),
        }
    }

    async fn after(&self, occasion: Occasion, answer: HeldAnswer) -> Result<()> {
        self.world(|w| w.held_said(self.0.number, occasion, answer));
        self.0.pass(Class::of_held(occasion).1).await
    }
}
