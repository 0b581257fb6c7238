//! The provider of brackets in the simulated estate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;

use super::{
    bracket::{BracketChange, Hold, Place},
    provider::{SimPorts, each},
    scripts::Delivery,
    world::World,
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, OpKey, ProviderName},
    provider::{
        Baseline, Begun, Bracket, BracketCapabilities, BracketKind, BracketRequest, Evidence,
        EvidenceLabel, Guarantee, Handle, Holding, Located, Observed, Op, OpContext, Operations,
        PerComponent, PortRequest, Ports, Prepared, Provider, ProviderInfo, Readiness, Settled,
        SubjectResult, Undo,
    },
};

/// A provider of brackets in the simulated estate. Made by [`Sim::brackets`](super::Sim::brackets).
#[derive(Debug, Clone)]
pub struct SimBrackets {
    info: ProviderInfo,
    port: Arc<SimBracket>,
}

impl SimBrackets {
    pub(super) fn new(
        name: ProviderName,
        kinds: BTreeSet<BracketKind>,
        world: Arc<Mutex<World>>,
    ) -> Self {
        let info = ProviderInfo::new(name.clone(), env!("CARGO_PKG_VERSION"))
            .with_evidence("take", EvidenceLabel::OwnFake)
            .with_evidence("give_back", EvidenceLabel::OwnFake);
        Self {
            info,
            port: Arc::new(SimBracket {
                name,
                kinds,
                ports: SimPorts::new(world),
            }),
        }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Bracket> {
        self.port.clone()
    }
}

impl Provider for SimBrackets {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none().with_bracket(self.port.clone())
    }
}

#[derive(Debug)]
struct SimBracket {
    name: ProviderName,
    kinds: BTreeSet<BracketKind>,
    ports: SimPorts,
}

impl SimBracket {
    fn place(&self, kind: BracketKind, component: &ComponentId) -> Place {
        (self.name.clone(), kind, component.clone())
    }

    fn standing(
        &self,
        world: &World,
        request: &BracketRequest,
        component: &ComponentId,
    ) -> Result<Readiness> {
        world.guest(component)?;
        let place = self.place(request.kind(), component);
        let brackets = &world.brackets;
        let seen = |saw: String| Readiness::AlreadyHolds(Evidence::observed(world.now, saw));
        Ok(match request {
            BracketRequest::Take { kind, .. } => match (kind, brackets.holds(&place).first()) {
                (BracketKind::Pause, Some(Hold { by: None, .. })) => {
                    seen(format!("{} is paused by somebody else", self.name))
                }
                (BracketKind::Pause, Some(Hold { by: Some(key), .. })) => {
                    seen(format!("{} is paused by {key}", self.name))
                }
                _ => Readiness::Ready,
            },
            BracketRequest::GiveBack { kind, taken, .. } => {
                match self.gone(world, *kind, taken, component) {
                    None => Readiness::Ready,
                    Some(Gone { by_hand: true, how }) => Readiness::ChangedMeanwhile {
                        expected: "what we took".to_owned(),
                        found: how,
                    },
                    Some(Gone { how, .. }) => seen(how),
                }
            }
        })
    }

    /// Why what is to be given back is not there; none where it is.
    fn gone(
        &self,
        world: &World,
        kind: BracketKind,
        taken: &OpKey,
        component: &ComponentId,
    ) -> Option<Gone> {
        let place = self.place(kind, component);
        if world.brackets.is_held_by(&place, taken) {
            return None;
        }
        let gone = |by_hand, how: &str| Gone {
            by_hand,
            how: how.to_owned(),
        };
        Some(
            match world.brackets.fate(&place, taken).map(|e| &e.change) {
                Some(BracketChange::EndedByHand(_)) => gone(true, "somebody else ended it"),
                Some(BracketChange::Lapsed(_)) => gone(false, "its time was over"),
                Some(BracketChange::GivenBack(_)) => gone(false, "it is given back already"),
                _ => gone(false, "it was never taken"),
            },
        )
    }

    /// What an operation that has reached its target does, and what is there after it.
    fn done(&self, world: &mut World, op: &Op<BracketRequest>) -> Result<Settled> {
        let now = world.now;
        let mut settled = Settled::default();
        for component in op.request.subjects() {
            let place = self.place(op.request.kind(), &component);
            let saw = match &op.request {
                BracketRequest::Take { kind, at_least, .. } => {
                    let until = match kind {
                        BracketKind::Silence => Some(later(now, *at_least)),
                        BracketKind::Pause => None,
                    };
                    if !world.scripts.take_lies(&component) {
                        world.brackets.take(&place, &op.key, until, now);
                    }
                    match kind {
                        BracketKind::Silence => format!("alerts silenced in {}", self.name),
                        BracketKind::Pause => format!("{} paused", self.name),
                    }
                }
                BracketRequest::GiveBack { taken, kind, .. } => {
                    if world.brackets.end(&place, taken) {
                        world
                            .brackets
                            .note(now, &place, BracketChange::GivenBack(taken.clone()));
                    }
                    match kind {
                        BracketKind::Silence => format!("alerts on again in {}", self.name),
                        BracketKind::Pause => format!("{} goes on", self.name),
                    }
                }
            };
            let evidence = Evidence::observed(now, saw);
            settled
                .subjects
                .insert(component, SubjectResult::Done(evidence));
        }
        world
            .brackets
            .done
            .insert(op.key.clone(), op.request.clone());
        Ok(settled)
    }

    fn begin(&self, world: &mut World, op: &Op<BracketRequest>) -> Result<Begun> {
        world.calls.entry(op.key.clone()).or_default().begins += 1;
        let guarantee = world.guarantees.of(op.request.verb());
        if let (Guarantee::Keyed { .. }, Some(earlier)) =
            (guarantee, world.brackets.done.get(&op.key))
        {
            if *earlier != op.request {
                let error = Error::new(
                    ErrorKind::InvalidInput,
                    format!("the key {} belongs to another request", op.key),
                )
                .consequence("nothing was begun")
                .hint("give every operation a key of its own");
                return Ok(Begun::Refused(Failure::from(&error)));
            }
            return Ok(Begun::Settled(self.seen(world, op)));
        }
        for component in op.request.subjects() {
            let readiness = self.standing(world, &op.request, &component)?;
            if let Readiness::ChangedMeanwhile { expected, found } = readiness {
                let error = Error::new(
                    ErrorKind::PlanDrift,
                    format!("{component}: somebody else changed what was taken around it"),
                )
                .expected(expected)
                .found(found)
                .consequence("it was left as it is");
                return Ok(Begun::Refused(Failure::from(&error)));
            }
        }
        world.calls.entry(op.key.clone()).or_default().starts += 1;
        Ok(Begun::Settled(self.done(world, op)?))
    }

    fn seen(&self, world: &World, op: &Op<BracketRequest>) -> Settled {
        let saw = match op.request {
            BracketRequest::Take { .. } => "it was taken",
            BracketRequest::GiveBack { .. } => "it was given back",
        };
        let subjects = op.request.subjects().into_iter();
        let done = |c| (c, SubjectResult::Done(Evidence::observed(world.now, saw)));
        Settled {
            subjects: subjects.map(done).collect(),
        }
    }

    fn find(&self, world: &World, op: &Op<BracketRequest>) -> Located {
        match world.guarantees.of(op.request.verb()) {
            Guarantee::Blind => Located::Unknown {
                why: "the tool keeps no trace of what it was asked".to_owned(),
            },
            Guarantee::StateOnly { .. } => {
                let as_wanted = |component: &ComponentId| {
                    let holds = world
                        .brackets
                        .holds(&self.place(op.request.kind(), component));
                    match &op.request {
                        BracketRequest::Take { .. } => !holds.is_empty(),
                        BracketRequest::GiveBack { .. } => holds.is_empty(),
                    }
                };
                if op.request.subjects().iter().all(as_wanted) {
                    Located::Settled(self.seen(world, op))
                } else {
                    Located::NotFound
                }
            }
            _ if world.brackets.done.contains_key(&op.key) => {
                Located::Settled(self.seen(world, op))
            }
            _ => Located::NotFound,
        }
    }
}

#[derive(Debug)]
struct Gone {
    by_hand: bool,
    how: String,
}

#[async_trait]
impl Bracket for SimBracket {
    fn capabilities(&self) -> BracketCapabilities {
        BracketCapabilities::of(self.kinds.iter().copied())
    }

    async fn held(
        &self,
        ctx: &OpContext,
        kind: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        let world = self.ports.world(ctx)?;
        Ok(each(components, |component| {
            world.guest(component)?;
            let place = self.place(kind, component);
            Ok(if world.brackets.is_held_by(&place, taken) {
                Holding::Held(Evidence::observed(world.now, "it is there"))
            } else {
                let found = match world.brackets.holds(&place).len() {
                    0 => "nothing".to_owned(),
                    n => format!("{n} of others"),
                };
                Holding::NotHeld { found }
            })
        }))
    }
}

#[async_trait]
impl Operations<BracketRequest> for SimBracket {
    fn guarantee(&self, op: &Op<BracketRequest>) -> Guarantee {
        self.ports.world_now().guarantees.of(op.request.verb())
    }

    fn undo(&self, op: &Op<BracketRequest>) -> Undo<BracketRequest> {
        match &op.request {
            BracketRequest::Take {
                components, kind, ..
            } => Undo::By(BracketRequest::GiveBack {
                components: components.clone(),
                kind: *kind,
                taken: op.key.clone(),
            }),
            BracketRequest::GiveBack { .. } => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &BracketRequest) -> Result<Prepared> {
        let world = self.ports.world(ctx)?;
        if !self.kinds.contains(&request.kind()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} cannot {}", self.name, request.kind().slug()),
            )
            .operation("prepare"));
        }
        let mut subjects = BTreeMap::new();
        for component in request.subjects() {
            let readiness = self
                .standing(&world, request, &component)
                .map_err(|e| e.operation("prepare"))?;
            subjects.insert(component, readiness);
        }
        Ok(Prepared {
            baseline: Baseline::empty(),
            subjects,
        })
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Begun> {
        let mut world = self.ports.world(ctx)?;
        let subjects = op.request.subjects();
        let no_reply = || {
            Error::new(
                ErrorKind::Unreachable,
                format!("{} did not reply", self.name),
            )
            .operation("begin")
            .consequence("nobody knows whether it began")
            .retryable(None)
        };
        match world.scripts.delivery(op.request.verb(), &subjects) {
            Delivery::Whole => SimBracket::begin(self, &mut world, op),
            Delivery::ReplyLost => {
                SimBracket::begin(self, &mut world, op)?;
                Err(no_reply())
            }
            Delivery::RequestLost => Err(no_reply()),
        }
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Located> {
        Ok(self.find(&*self.ports.world(ctx)?, op))
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<BracketRequest>,
        _: &Handle,
    ) -> Result<Observed> {
        Ok(match self.find(&*self.ports.world(ctx)?, op) {
            Located::Settled(settled) => Observed::Settled(settled),
            _ => Observed::Lost {
                why: "nothing is at work: what is taken is there at once".to_owned(),
            },
        })
    }
}
