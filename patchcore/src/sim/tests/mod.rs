//! The world seen through its ports, as a run sees it.

mod cluster;
mod faults;
mod protocol;
mod verbs;
mod whole_estate;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;

use super::*;
use crate::{
    clock::Clock,
    discover::{Answers, discover},
    error::{ErrorKind, Result},
    estate::{
        Impact, Inventory, KeptBackReason, Patch, PatchChange, PatchClass, RedundancyGroup,
        RelationKind, Role, Scan, WayBack,
    },
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, CancelToken, Change, DeployRequest, Deployer, Guarantee, Handle, Located,
        Observed, Op, OpContext, Ports, Prepared, ProbeKind, ProbeRequest, ProbeVerdict, Provider,
        Readiness, Settled, SubjectResult, Undo,
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn start() -> Timestamp {
    "2026-12-14T20:00:00Z".parse().unwrap()
}

fn after(minutes: u64) -> Timestamp {
    start() + MINUTE * u32::try_from(minutes).unwrap()
}

/// Two web servers for which nginx restarts its service, openssl does not, and a kernel wants a restart.
fn web() -> Sim {
    Sim::starting(start(), 7)
        .guests(["web-1", "web-2"], |g| {
            g.label("tier", "web")
                .package("nginx", "1-9")
                .package("openssl", "3-1")
                .package("linux", "6-1")
        })
        .publish(patch("nginx", "1-10", Impact::ServiceRestart))
        .publish(patch("openssl", "3-2", Impact::None))
}

fn patch(name: &str, to: &str, impact: Impact) -> Patch {
    Patch::new(name, None, to, PatchClass::Security).with_impact(impact)
}

/// Calls the ports as an engine does; every call returns at once.
struct Caller {
    sim: Sim,
    ports: Ports,
    deployer: Arc<dyn Deployer>,
}

impl Caller {
    fn of(sim: &Sim) -> Self {
        let ports = sim.provider().ports();
        Self {
            sim: sim.clone(),
            deployer: ports.deployer.clone().unwrap(),
            ports,
        }
    }

    fn ctx(&self) -> OpContext {
        let clock = self.sim.shared_clock();
        let deadline = clock.now() + HOUR;
        OpContext::reading(clock, deadline, CancelToken::new())
    }

    fn wait(&self, duration: Duration) {
        let clock = self.sim.clock();
        clock.advance_to(clock.now() + duration);
    }

    fn scan(&self, component: &str) -> Result<Scan> {
        let component = ComponentId::from(component);
        let asked = [component.clone()];
        let answers = self
            .deployer
            .scan(&self.ctx(), &asked)
            .now_or_never()
            .unwrap();
        answers.unwrap().remove(&component).unwrap()
    }

    fn prepare(&self, request: &DeployRequest) -> Result<Prepared> {
        self.deployer
            .prepare(&self.ctx(), request)
            .now_or_never()
            .unwrap()
    }

    /// An operation as the engine journals it.
    fn op(&self, key: &str, request: DeployRequest) -> Op<DeployRequest> {
        let baseline = self
            .prepare(&request)
            .map_or(Baseline::empty(), |p| p.baseline);
        Op::new(key.into(), request, baseline)
    }

    fn begin(&self, op: &Op<DeployRequest>) -> Result<Begun> {
        self.deployer.begin(&self.ctx(), op).now_or_never().unwrap()
    }

    fn started(&self, op: &Op<DeployRequest>) -> Handle {
        match self.begin(op).unwrap() {
            Begun::Started(handle) => handle,
            other => panic!("{other:?}"),
        }
    }

    fn locate(&self, op: &Op<DeployRequest>) -> Result<Located> {
        self.deployer
            .locate(&self.ctx(), op)
            .now_or_never()
            .unwrap()
    }

    fn observe(&self, op: &Op<DeployRequest>, handle: &Handle) -> Result<Observed> {
        self.deployer
            .observe(&self.ctx(), op, handle)
            .now_or_never()
            .unwrap()
    }

    fn settle(&self, op: &Op<DeployRequest>, handle: &Handle) -> Settled {
        for _ in 0..1_000 {
            match self.observe(op, handle) {
                Ok(Observed::Settled(settled)) => return settled,
                Ok(Observed::Running { poll_after, .. }) => {
                    assert!(!poll_after.is_zero() && poll_after <= MINUTE / 2);
                    self.wait(poll_after);
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("never over")
    }

    /// Begins and waits for the end.
    fn run(&self, key: &str, request: DeployRequest) -> Settled {
        let op = self.op(key, request);
        match self.begin(&op).unwrap() {
            Begun::Started(handle) => self.settle(&op, &handle),
            Begun::Settled(settled) => settled,
            Begun::Refused(failure) => panic!("{failure}"),
        }
    }

    fn probe(&self, component: &str) -> Result<ProbeVerdict> {
        let url = "http://x/".to_owned();
        let request = ProbeRequest::new(component, ProbeKind::Http { url });
        let probe = self.ports.probe.clone().unwrap();
        let answer = probe.probe(&self.ctx(), &request).now_or_never().unwrap();
        answer.map(|a| a.verdict)
    }

    /// What a discovery over all ports finds.
    fn discovered(&self) -> Inventory {
        let ctx = self.ctx();
        let source = self.ports.inventory.clone().unwrap();
        let listing = source.list(&ctx).now_or_never().unwrap().unwrap();
        let names: Vec<ComponentId> = listing
            .sightings
            .iter()
            .map(|s| s.component.clone())
            .collect();
        let scans = self
            .deployer
            .scan(&ctx, &names)
            .now_or_never()
            .unwrap()
            .unwrap();
        let scans = scans.into_iter();
        let answers = Answers {
            listing: Some(Ok(listing)),
            scans: scans
                .map(|(c, s)| (c, s.map_err(|e| (&e).into())))
                .collect(),
            ..Answers::default()
        };
        let answers = BTreeMap::from([("sim".into(), answers)]);
        discover("here".into(), ctx.now(), &answers).unwrap()
    }
}

fn change(patch: &str, from: &str, to: &str) -> PatchChange {
    Patch::new(patch, Some(from.into()), to, PatchClass::Security).change()
}

fn both() -> Vec<PatchChange> {
    vec![
        change("nginx", "1-9", "1-10"),
        change("openssl", "3-1", "3-2"),
    ]
}

fn stage(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    let changes = vec![Change::new(component, changes)];
    DeployRequest::Stage { changes }
}

fn apply(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    DeployRequest::Apply {
        changes: vec![Change::new(component, changes)],
        staged: "stage".into(),
    }
}

fn roll_back(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    DeployRequest::RollBack {
        changes: vec![Change::new(component, changes).reversed()],
        staged: "stage".into(),
    }
}

fn reboot(component: &str) -> DeployRequest {
    let components = vec![component.into()];
    DeployRequest::Reboot { components }
}

fn discard(component: &str) -> DeployRequest {
    DeployRequest::Discard {
        components: vec![component.into()],
        staged: "stage".into(),
    }
}

fn is_done(settled: &Settled) -> bool {
    settled
        .subjects
        .values()
        .all(|r| matches!(r, SubjectResult::Done(_)))
}

fn failure(settled: &Settled) -> &crate::error::Failure {
    match settled.subjects.values().next() {
        Some(SubjectResult::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn kinds(prepared: &Prepared) -> Vec<(ErrorKind, bool)> {
    match prepared.subjects.values().next() {
        Some(Readiness::Blocked(reasons)) => {
            reasons.iter().map(|b| (b.failure.kind, b.passes)).collect()
        }
        _ => Vec::new(),
    }
}

fn keyed(memory: Duration) -> Guarantee {
    Guarantee::Keyed { memory }
}
