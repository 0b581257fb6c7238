//! What becomes of waiting for a task: how many calls that takes, and what if the answer is late, lost or refused.

use std::{ffi::OsStr, sync::Arc, time::Duration};

use patchcore::{
    Result, SystemClock,
    clock::Clock as _,
    id::OpKey,
    provider::{
        Begun, CancelToken, ClusterSetting, DrainRequest, Handle, Located, MoveKind, Observed, Op,
        OpContext, Operations, Readiness, SubjectResult,
    },
};
use patchcore_testkit::peers::{
    need,
    vcenter::{Vcenter, program},
};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    conformance::{CLUSTER, host, machine, truth},
    peer::Peer,
};

pub(crate) fn ctx(key: &str, cancel: &CancelToken) -> OpContext {
    let until = SystemClock.now() + Duration::from_secs(60);
    OpContext::reading(Arc::new(SystemClock), until, cancel.clone())
        .for_operation(OpKey::from(key), 1)
}

pub(crate) async fn connected(peer: &Peer) -> VsphereCluster {
    let vcenter = peer.connect().await;
    let cluster = vcenter.cluster_named(CLUSTER).await.unwrap();
    VsphereCluster::new(vcenter, cluster)
}

pub(crate) fn slow(peer: &Peer, method: &str, task_ms: u64) {
    peer.behave();
    peer.tell("rules", &json!({"method": method, "task_ms": task_ms}));
}

pub(crate) fn to(vm: u32, from: u32, to: u32) -> DrainRequest {
    DrainRequest::Migrate {
        vm: machine(vm),
        from: host(from),
        to: host(to),
        how: MoveKind::Live,
    }
}

/// Begins an operation as the engine does.
pub(crate) async fn begun(
    cluster: &VsphereCluster,
    key: &str,
    request: DrainRequest,
) -> (Op<DrainRequest>, Handle) {
    let ctx = ctx(key, &CancelToken::new());
    let mut prepared = cluster.prepare(&ctx, &request).await.unwrap();
    let ready = prepared.subjects.remove(request.subject()).unwrap();
    assert_eq!(ready, Readiness::Ready);
    let op = Op::new(OpKey::from(key), request, prepared.baseline);
    assert_eq!(cluster.locate(&ctx, &op).await.unwrap(), Located::NotFound);
    let Begun::Started(handle) = cluster.begin(&ctx, &op).await.unwrap() else {
        panic!("it must start");
    };
    (op, handle)
}

/// Follows it as the engine does, which asks again where an answer got lost.
pub(crate) async fn followed(
    cluster: &VsphereCluster,
    op: &Op<DrainRequest>,
    handle: &Handle,
) -> SubjectResult {
    let ctx = ctx(&op.key.to_string(), &CancelToken::new());
    for _ in 0..100 {
        match cluster.observe(&ctx, op, handle).await {
            Ok(Observed::Settled(settled)) => {
                return settled.subjects.into_values().next().unwrap();
            }
            Ok(Observed::Running { poll_after, .. }) => ctx.sleep(poll_after).await,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                ctx.sleep(Duration::from_millis(100)).await;
            }
        }
    }
    panic!("it never settles")
}

async fn done(cluster: &VsphereCluster, key: &str, request: DrainRequest) {
    let (op, handle) = begun(cluster, key, request).await;
    let result = followed(cluster, &op, &handle).await;
    assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
}

/// What was called since it was asked last: how often each method.
pub(crate) fn calls(peer: &Peer) -> Vec<(String, u64)> {
    let told = peer.ask("calls");
    peer.count_anew();
    let each = told.as_object().unwrap().iter();
    each.map(|(method, n)| (method.clone(), n.as_u64().unwrap()))
        .collect()
}

pub(crate) fn of(calls: &[(String, u64)], method: &str) -> u64 {
    let found = calls.iter().find(|(called, _)| called == method);
    found.map_or(0, |(_, n)| *n)
}

#[tokio::test]
async fn a_move_takes_three_calls_however_long_it_takes() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let cluster = connected(&peer).await;
    done(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    let mut from = 1;
    for (task_ms, most) in [(200, 3), (4000, 3), (9000, 7)] {
        slow(&peer, "RelocateVM_Task", task_ms);
        calls(&peer);
        let there = (from + 1) % 3;
        let key = format!("run-1/vm/migrate/{task_ms}");
        done(&cluster, &key, to(0, from, there)).await;
        from = there;
        let calls = calls(&peer);
        let all: u64 = calls.iter().map(|(_, n)| n).sum();
        assert_eq!(of(&calls, "RelocateVM_Task"), 1, "{calls:?}");
        assert!(all <= most, "{task_ms} ms: {calls:?}");
    }
    // What is read back is that machine, past the API as well.
    assert_eq!(truth(&peer).view.vms[&machine(0)].host, host(from));
}

#[tokio::test]
async fn moves_that_begin_together_are_looked_at_together() {
    let Some(peer) = Peer::start(2, 16) else {
        return;
    };
    slow(&peer, "RelocateVM_Task", 1500);
    let cluster = connected(&peer).await;
    done(&cluster, "run-1/vm/migrate/1", to(14, 0, 1)).await;
    calls(&peer);
    // Each even machine is on the first host.
    let moves = [0, 2, 4, 6, 8, 10, 12].map(|vm| {
        let cluster = cluster.clone();
        async move {
            let key = format!("run-1/vm/migrate/{vm}");
            done(&cluster, &key, to(vm, 0, 1)).await;
        }
    });
    let [a, b, c, d, e, f, g] = moves;
    tokio::join!(a, b, c, d, e, f, g);
    let calls = calls(&peer);
    assert_eq!(of(&calls, "RelocateVM_Task"), 7, "{calls:?}");
    assert!(of(&calls, "RetrievePropertiesEx") <= 4, "{calls:?}");
    for vm in [0, 2, 4, 6, 8, 10, 12] {
        assert_eq!(truth(&peer).view.vms[&machine(vm)].host, host(1), "{vm}");
    }
}

#[tokio::test]
async fn a_task_that_fails_is_noticed_soon_and_late_ones_as_well() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let cluster = connected(&peer).await;
    for (task_ms, within) in [(300, 7), (8000, 10)] {
        peer.behave();
        peer.tell(
            "rules",
            &json!({"method": "RelocateVM_Task", "fault": "NoCompatibleHost", "stage": "task", "task_ms": task_ms}),
        );
        let key = format!("run-1/vm/migrate/{task_ms}");
        let began = SystemClock.now();
        let (op, handle) = begun(&cluster, &key, to(0, 0, 1)).await;
        let result = followed(&cluster, &op, &handle).await;
        let SubjectResult::Failed(failure) = result else {
            panic!("{result:?}");
        };
        let said = failure.to_string();
        assert!(said.contains("NoCompatibleHost"), "{said}");
        let took = SystemClock.now().duration_since(began).as_secs();
        assert!(took < within, "{task_ms} ms: {took} s");
    }
}

#[tokio::test]
async fn hosts_and_settings_are_followed_too() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let cluster = connected(&peer).await;
    slow(&peer, "*_Task", 1200);
    let setting = ClusterSetting::Placement;
    let hold = DrainRequest::HoldSetting {
        cluster: CLUSTER.into(),
        setting,
        hosts: vec![host(1)],
    };
    let began = SystemClock.now();
    done(&cluster, "run-1/cluster/hold/1", hold).await;
    let enter = DrainRequest::EnterMaintenance { host: host(1) };
    let taken = OpKey::from("run-1/host/enter/1");
    done(&cluster, "run-1/host/enter/1", enter).await;
    assert!(truth(&peer).view.hosts[&host(1)].maintenance);
    let exit = DrainRequest::ExitMaintenance {
        host: host(1),
        taken,
    };
    done(&cluster, "run-1/host/exit/1", exit).await;
    assert!(!truth(&peer).view.hosts[&host(1)].maintenance);
    let took = SystemClock.now().duration_since(began).as_secs();
    assert!(
        took < 8,
        "each is seen when it is so, and not later: {took} s"
    );
}

#[tokio::test]
async fn a_login_that_ends_in_a_wait_is_renewed_and_the_move_is_found() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    slow(&peer, "RelocateVM_Task", 3000);
    let cluster = connected(&peer).await;
    let (op, handle) = begun(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    let following = followed(&cluster, &op, &handle);
    let ends = async {
        for _ in 0..2 {
            ctx("none", &CancelToken::new())
                .sleep(Duration::from_millis(800))
                .await;
            peer.tell("end-sessions", &json!({}));
        }
    };
    let (result, ()) = tokio::join!(following, ends);
    assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
    let calls = calls(&peer);
    assert_eq!(of(&calls, "RelocateVM_Task"), 1, "{calls:?}");
    assert_eq!(of(&calls, "Login"), 3, "{calls:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_cut_or_forgotten_is_asked_for_again() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    let cluster = connected(&peer).await;
    let mut from = 0;
    // The first answer tells what there is, the second what changes.
    for (skip, how) in [
        (1, json!({"lose_reply": true})),
        (0, json!({"abort": true})),
        (0, json!({"fault": "InvalidCollectorVersion"})),
        (0, json!({"fault": "ManagedObjectNotFound"})),
    ] {
        slow(&peer, "RelocateVM_Task", 1500);
        let mut rule = how.clone();
        rule["method"] = "WaitForUpdatesEx".into();
        rule["count"] = 1.into();
        rule["skip"] = skip.into();
        peer.tell("rules", &rule);
        let there = (from + 1) % 3;
        let key = format!("run-1/vm/migrate/{how}");
        done(&cluster, &key, to(0, from, there)).await;
        from = there;
        let rules = peer.ask("rules");
        let planted = &rules[1];
        assert!(
            planted["hits"].as_u64() > planted["skip"].as_u64(),
            "{rules}"
        );
        assert_eq!(of(&calls(&peer), "RelocateVM_Task"), 1, "{how}");
        assert_eq!(truth(&peer).view.vms[&machine(0)].host, host(there));
    }
}

#[tokio::test]
async fn a_vcenter_that_tells_nothing_by_itself_is_asked() {
    for refused in ["WaitForUpdatesEx", "CreateFilter"] {
        let Some(peer) = Peer::start(3, 1) else {
            return;
        };
        slow(&peer, "RelocateVM_Task", 1500);
        peer.tell(
            "rules",
            &json!({"method": refused, "fault": "NotSupported"}),
        );
        let cluster = connected(&peer).await;
        let (op, handle) = begun(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
        let ctx = ctx("run-1/vm/migrate/1", &CancelToken::new());
        let Observed::Running { poll_after, .. } =
            cluster.observe(&ctx, &op, &handle).await.unwrap()
        else {
            panic!("it runs");
        };
        assert_eq!(poll_after, Duration::from_secs(2), "{refused}");
        let result = followed(&cluster, &op, &handle).await;
        assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
        assert_eq!(of(&calls(&peer), refused), 1, "it is not asked for again");
    }
}

#[tokio::test]
async fn whoever_is_to_stop_does_not_wait_for_the_end() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    slow(&peer, "RelocateVM_Task", 20_000);
    let cluster = connected(&peer).await;
    let (op, handle) = begun(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    let (cancel, other) = (CancelToken::new(), CancelToken::new());
    let (first, second) = (ctx("a", &cancel), ctx("a", &cancel));
    let began = SystemClock.now();
    let stops = async {
        ctx("b", &other).sleep(Duration::from_millis(700)).await;
        cancel.cancel();
    };
    // Of two that wait one listens.
    let (one, two, ()) = tokio::join!(
        cluster.observe(&first, &op, &handle),
        cluster.observe(&second, &op, &handle),
        stops
    );
    for observed in [one, two] {
        let observed: Result<Observed> = observed;
        assert!(
            matches!(observed, Ok(Observed::Running { .. })),
            "{observed:?}"
        );
    }
    let took = SystemClock.now().duration_since(began).as_secs();
    assert!(took < 4, "{took} s");
}

/// The simulator's own updates, which this project did not write: they have no versions, so that a lost answer is a lost
/// update.
#[tokio::test]
async fn the_simulators_own_updates_are_understood() {
    let Some(program) = need(program()) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let own = [OsStr::new("-updates"), OsStr::new("vcsim")];
    let vcenter = Vcenter::start_with(&program, folder.path(), 3, 1, &own).unwrap();
    let peer = Peer::of(vcenter, folder);
    let cluster = connected(&peer).await;
    done(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    for (task_ms, from, there) in [(1000, 1, 2), (7000, 2, 0)] {
        slow(&peer, "RelocateVM_Task", task_ms);
        let key = format!("run-1/vm/migrate/{task_ms}");
        done(&cluster, &key, to(0, from, there)).await;
        assert_eq!(truth(&peer).view.vms[&machine(0)].host, host(there));
    }
    let calls = calls(&peer);
    assert!(of(&calls, "WaitForUpdatesEx") > 0, "{calls:?}");
}
