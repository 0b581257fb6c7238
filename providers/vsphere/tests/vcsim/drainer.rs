//! What becomes of operations whose caller vanished, whose answer was lost, that fail, and that others interfere with.

use std::{sync::Arc, time::Duration};

use patchcore::{
    ErrorKind, Result, SystemClock,
    clock::Clock as _,
    id::OpKey,
    provider::{
        Begun, CancelToken, ClusterDrainer, DrainRequest, Handle, Located, MoveKind, Observed, Op,
        OpContext, Operations, Readiness, Settled, SubjectResult, VmPower,
    },
};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;

use crate::{
    conformance::{CLUSTER, host, machine, truth},
    peer::Peer,
};

/// A caller of the drainer, in a process of its own.
struct Caller(VsphereCluster);

impl Caller {
    async fn new(peer: &Peer) -> Self {
        let vcenter = peer.connect().await;
        let cluster = vcenter.cluster_named(CLUSTER).await.unwrap();
        Self(VsphereCluster::new(vcenter, cluster))
    }

    fn ctx() -> OpContext {
        let until = SystemClock.now() + Duration::from_secs(60);
        OpContext::reading(Arc::new(SystemClock), until, CancelToken::new())
    }

    /// Ready for it, or what else is said.
    async fn prepare(
        &self,
        key: &str,
        request: DrainRequest,
    ) -> Result<Op<DrainRequest>, Readiness> {
        let mut prepared = self.0.prepare(&Self::ctx(), &request).await.unwrap();
        match prepared.subjects.remove(request.subject()).unwrap() {
            Readiness::Ready => Ok(Op::new(OpKey::from(key), request, prepared.baseline)),
            other => Err(other),
        }
    }

    async fn begin(&self, op: &Op<DrainRequest>) -> Result<Begun> {
        self.0.begin(&Self::ctx(), op).await
    }

    async fn locate(&self, op: &Op<DrainRequest>) -> Located {
        self.0.locate(&Self::ctx(), op).await.unwrap()
    }

    async fn until_settled(&self, op: &Op<DrainRequest>, handle: &Handle) -> SubjectResult {
        for _ in 0..100 {
            match self.0.observe(&Self::ctx(), op, handle).await.unwrap() {
                Observed::Settled(settled) => return only(settled),
                Observed::Running { .. } => Self::ctx().sleep(Duration::from_millis(100)).await,
                other => panic!("{other:?}"),
            }
        }
        panic!("it never settles")
    }

    async fn done(&self, key: &str, request: DrainRequest) -> Op<DrainRequest> {
        let op = self.prepare(key, request).await.unwrap();
        let Begun::Started(handle) = self.begin(&op).await.unwrap() else {
            panic!("it must start");
        };
        let result = self.until_settled(&op, &handle).await;
        assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
        op
    }
}

fn only(settled: Settled) -> SubjectResult {
    settled.subjects.into_values().next().unwrap()
}

fn migrate(vm: u32, from: u32, to: u32) -> DrainRequest {
    DrainRequest::Migrate {
        vm: machine(vm),
        from: host(from),
        to: host(to),
        how: MoveKind::Live,
    }
}

fn begun(peer: &Peer, method: &str) -> usize {
    let told = peer.ask("journal");
    let all = told.as_array().unwrap().iter();
    all.filter(|entry| entry["kind"] == method).count()
}

#[tokio::test]
async fn a_move_whose_caller_vanished_is_found_while_it_runs_and_when_it_is_over() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    peer.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "task_ms": 2500}),
    );
    let op = {
        let first = Caller::new(&peer).await;
        let op = first
            .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
            .await
            .unwrap();
        first.begin(&op).await.unwrap();
        op
    };
    let second = Caller::new(&peer).await;
    let Located::Running(handle) = second.locate(&op).await else {
        panic!("it runs");
    };
    // Another operation on the same machine finds no task of its own.
    let other = second.prepare("run-1/vm/migrate/2", migrate(0, 0, 2)).await;
    assert!(
        matches!(other, Err(Readiness::Blocked(ref all)) if all[0].passes),
        "{other:?}"
    );
    let result = second.until_settled(&op, &handle).await;
    assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
    assert!(matches!(second.locate(&op).await, Located::Settled(_)));
    let back = second
        .prepare("run-1/vm/migrate/3", migrate(0, 1, 0))
        .await
        .unwrap();
    assert_eq!(second.locate(&back).await, Located::NotFound);
    assert_eq!(begun(&peer, "migrated"), 1);
}

#[tokio::test]
async fn a_lost_answer_is_no_second_move() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    peer.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "lose_reply": true, "count": 1}),
    );
    let caller = Caller::new(&peer).await;
    let op = caller
        .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
        .await
        .unwrap();
    let error = caller.begin(&op).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let handle = match caller.locate(&op).await {
        Located::Running(handle) => Some(handle),
        Located::Settled(_) => None,
        other => panic!("{other:?}"),
    };
    if let Some(handle) = handle {
        caller.until_settled(&op, &handle).await;
    }
    assert_eq!(truth(&peer).view.vms[&machine(0)].host, host(1));
    assert_eq!(begun(&peer, "migrated"), 1);
}

#[tokio::test]
async fn a_move_that_fails_says_why_and_a_new_one_is_not_taken_for_it() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    peer.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "fault": "NoCompatibleHost", "stage": "task", "count": 1}),
    );
    let caller = Caller::new(&peer).await;
    let op = caller
        .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
        .await
        .unwrap();
    let Begun::Started(handle) = caller.begin(&op).await.unwrap() else {
        panic!("it must start");
    };
    let SubjectResult::Failed(failure) = caller.until_settled(&op, &handle).await else {
        panic!("it must fail");
    };
    assert!(
        failure.to_string().contains("NoCompatibleHost"),
        "{failure}"
    );
    let again = caller
        .prepare("run-1/vm/migrate/2", migrate(0, 0, 1))
        .await
        .unwrap();
    assert_eq!(caller.locate(&again).await, Located::NotFound);
    assert!(matches!(caller.locate(&op).await, Located::Settled(_)));
}

#[tokio::test]
async fn a_fault_of_the_call_is_a_refusal() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    peer.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "fault": "NoPermission"}),
    );
    let caller = Caller::new(&peer).await;
    let op = caller
        .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
        .await
        .unwrap();
    let refused = caller.begin(&op).await.unwrap();
    assert!(matches!(refused, Begun::Refused(_)), "{refused:?}");
    assert_eq!(caller.locate(&op).await, Located::NotFound);
}

#[tokio::test]
async fn maintenance_mode_of_an_operator_is_theirs() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let caller = Caller::new(&peer).await;
    let enter = DrainRequest::EnterMaintenance { host: host(1) };
    let ours = caller.done("run-1/host/enter/1", enter.clone()).await;
    let exit = DrainRequest::ExitMaintenance {
        host: host(1),
        taken: ours.key.clone(),
    };
    // Somebody takes it out, works on it and puts it back.
    peer.tell(
        "host",
        &json!({"name": host(1).as_str(), "set": {"inMaintenanceMode": false}}),
    );
    peer.tell("host", &json!({"name": host(1).as_str(), "by": "maria"}));
    Caller::ctx().sleep(Duration::from_millis(300)).await;
    match caller.prepare("run-1/host/exit/1", exit).await {
        Err(Readiness::ChangedMeanwhile { found, .. }) => {
            assert_eq!(found, "maintenance mode by maria");
        }
        other => panic!("{other:?}"),
    }
    let theirs = caller.prepare("run-1/host/enter/2", enter).await;
    assert!(
        matches!(theirs, Err(Readiness::AlreadyHolds(_))),
        "{theirs:?}"
    );
}

#[tokio::test]
async fn what_keeps_a_machine_is_said_before_anything_begins() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let caller = Caller::new(&peer).await;
    let name = machine(0);
    peer.tell("machine", &json!({"name": name.as_str(), "question": true}));
    peer.tell(
        "host",
        &json!({"name": host(1).as_str(), "set": {"connectionState": "notResponding"}}),
    );
    let Err(Readiness::Blocked(all)) = caller.prepare("run-1/vm/migrate/1", migrate(0, 0, 1)).await
    else {
        panic!("it must be blocked");
    };
    // All at once.
    assert_eq!(all.len(), 2, "{all:?}");
    let cold = DrainRequest::Migrate {
        vm: name,
        from: host(0),
        to: host(2),
        how: MoveKind::Cold,
    };
    let refused = caller.0.prepare(&Caller::ctx(), &cold).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_machine_that_moves_is_seen_to_move() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    peer.tell(
        "rules",
        &json!({"method": "RelocateVM_Task", "task_ms": 2000}),
    );
    let caller = Caller::new(&peer).await;
    let op = caller
        .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
        .await
        .unwrap();
    let Begun::Started(handle) = caller.begin(&op).await.unwrap() else {
        panic!("it must start");
    };
    let view = caller
        .0
        .view(&Caller::ctx(), &CLUSTER.into())
        .await
        .unwrap();
    assert_eq!(
        view.vms[&machine(0)].moving_to,
        Some(host(0)),
        "where to is not told"
    );
    caller.until_settled(&op, &handle).await;
    let view = caller
        .0
        .view(&Caller::ctx(), &CLUSTER.into())
        .await
        .unwrap();
    assert_eq!(view.vms[&machine(0)].moving_to, None);
    assert_eq!(view.vms[&machine(0)].host, host(1));
}

#[tokio::test]
async fn a_move_by_an_operator_is_not_taken_for_ours() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let caller = Caller::new(&peer).await;
    let op = caller
        .prepare("run-1/vm/migrate/1", migrate(0, 0, 1))
        .await
        .unwrap();
    // Our call was never sent, and somebody moves it by the same method.
    let theirs = json!({"name": machine(0).as_str(), "host": host(2).as_str(), "by": "maria"});
    peer.tell("machine", &theirs);
    for _ in 0..50 {
        if truth(&peer).view.vms[&machine(0)].host == host(2) {
            break;
        }
        Caller::ctx().sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(begun(&peer, "migrated"), 1);
    assert_eq!(caller.locate(&op).await, Located::NotFound);
}

#[tokio::test]
async fn a_host_on_its_way_into_maintenance_mode_takes_nobody() {
    let Some(peer) = Peer::start(3, 2) else {
        return;
    };
    // Nothing leaves by itself, so that the host stays on its way.
    peer.tell("cluster", &json!({"name": CLUSTER, "drs": "manual"}));
    peer.tell("host", &json!({"name": host(0).as_str(), "by": "maria"}));
    let caller = Caller::new(&peer).await;
    let into = caller.prepare("run-1/vm/migrate/1", migrate(1, 1, 0)).await;
    assert!(
        matches!(into, Err(Readiness::Blocked(ref all)) if all.len() == 1),
        "{into:?}"
    );
    let view = caller.0.view(&Caller::ctx(), &CLUSTER.into()).await;
    assert!(view.unwrap().hosts[&host(0)].maintenance);
}

#[tokio::test]
async fn a_machine_that_is_suspended_goes_on_where_it_was() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let caller = Caller::new(&peer).await;
    let suspend = DrainRequest::ShutDown {
        vm: machine(0),
        host: host(0),
        suspend: true,
    };
    let stopped = caller.done("run-1/vm/shut-down/1", suspend).await;
    let seen = truth(&peer).view.vms[&machine(0)].clone();
    assert_eq!((seen.power, seen.host), (VmPower::Suspended, host(0)));
    let start = DrainRequest::Start {
        vm: machine(0),
        host: host(0),
        taken: stopped.key,
    };
    caller.done("run-1/vm/start/1", start).await;
    let seen = truth(&peer).view.vms[&machine(0)].clone();
    assert_eq!((seen.power, seen.host), (VmPower::On, host(0)));
}
