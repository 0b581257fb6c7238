//! What becomes of an image that is put into hosts: the truth of each host, and trouble.

use std::{sync::Arc, time::Duration};

use patchcore::{
    ErrorKind, Failure, SystemClock,
    clock::Clock as _,
    id::OpKey,
    provider::{
        Begun, CancelToken, Change, DeployRequest, Deployer, EvidenceLabel, InventorySource,
        Located, Observed, Op, OpContext, Operations, Readiness, SubjectResult,
    },
};
use patchcore_testkit::evidence::earned;
use patchcore_vsphere::VsphereCluster;
use serde_json::json;

use crate::{
    conformance::{CLUSTER, host},
    image::{NEW, NEW_IMAGE, change, close, commit, quick},
    peer::Peer,
};

pub(crate) fn ctx() -> OpContext {
    let until = SystemClock.now() + Duration::from_secs(120);
    OpContext::reading(Arc::new(SystemClock), until, CancelToken::new())
}

pub(crate) async fn cluster(peer: &Peer) -> VsphereCluster {
    let vcenter = peer.connect().await;
    let cluster = vcenter.cluster_named(CLUSTER).await.unwrap();
    VsphereCluster::new(vcenter, cluster)
}

/// Some hosts, each in maintenance mode, and a new image.
fn stand(hosts: u32) -> Option<Peer> {
    let peer = Peer::start(hosts, 0)?;
    quick(&peer);
    commit(&peer, NEW_IMAGE);
    for n in 0..hosts {
        close(&peer, n);
    }
    Some(peer)
}

pub(crate) fn apply(changes: Vec<Change>) -> DeployRequest {
    DeployRequest::Apply {
        changes,
        staged: OpKey::from("run-1/staged"),
    }
}

pub(crate) async fn prepared(
    on: &VsphereCluster,
    key: &str,
    request: DeployRequest,
) -> Result<Op<DeployRequest>, Vec<Failure>> {
    let prepared = on.prepare(&ctx(), &request).await.unwrap();
    let mut stands = Vec::new();
    for readiness in prepared.subjects.into_values() {
        match readiness {
            Readiness::Ready => {}
            Readiness::Blocked(blockers) => stands.extend(blockers.into_iter().map(|b| b.failure)),
            other => panic!("{other:?}"),
        }
    }
    match stands.is_empty() {
        true => Ok(Op::new(OpKey::from(key), request, prepared.baseline)),
        false => Err(stands),
    }
}

/// The result of each host, in their order.
pub(crate) async fn settled(on: &VsphereCluster, op: &Op<DeployRequest>) -> Vec<SubjectResult> {
    let handle = match on.begin(&ctx(), op).await.unwrap() {
        Begun::Started(handle) => handle,
        other => panic!("{other:?}"),
    };
    for _ in 0..200 {
        match on.observe(&ctx(), op, &handle).await.unwrap() {
            Observed::Settled(settled) => return settled.subjects.into_values().collect(),
            Observed::Running { .. } => ctx().sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("it never settles")
}

fn failure(result: &SubjectResult) -> &Failure {
    match result {
        SubjectResult::Failed(failure) => failure,
        SubjectResult::Done(saw) => panic!("it must fail: {saw}"),
    }
}

#[tokio::test]
async fn several_hosts_are_one_operation_with_a_result_each() {
    let Some(peer) = stand(3) else { return };
    let why = "A VIB cannot be removed.";
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "sabotage": {host(1).as_str(): {"fails": why}}}),
    );
    let on = cluster(&peer).await;
    let all = vec![change(0), change(1), change(2)];
    let op = prepared(&on, "run-1/hosts/apply/1", apply(all))
        .await
        .unwrap();
    let results = settled(&on, &op).await;
    let SubjectResult::Done(first) = &results[0] else {
        panic!("{results:?}");
    };
    assert_eq!(
        (&*first.saw, first.claimed.as_deref()),
        (&*format!("{} runs {NEW}, restarted", host(0)), Some("OK"))
    );
    let second = failure(&results[1]);
    assert_eq!(second.kind, ErrorKind::InstallFailed, "{second}");
    assert!(second.to_string().contains(why), "{second}");
    assert!(matches!(results[2], SubjectResult::Done(_)), "{results:?}");
    let truth = peer.ask("truth");
    let boots = |n| truth["hosts"][host(n).as_str()]["boots"].clone();
    assert_eq!(
        [boots(0), boots(1), boots(2)],
        [json!(1), json!(0), json!(1)]
    );
    earned("vsphere", "restart_with_apply", EvidenceLabel::OwnFake);
}

#[tokio::test]
async fn what_vlcm_says_is_not_what_is_so() {
    let Some(peer) = stand(1) else { return };
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "sabotage": {host(0).as_str(): {"lies": true}}}),
    );
    let on = cluster(&peer).await;
    let op = prepared(&on, "run-1/host/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    let results = settled(&on, &op).await;
    let told = failure(&results[0]).to_string();
    assert!(
        told.contains("says that it patched") && told.contains("did not"),
        "{told}"
    );
}

#[tokio::test]
async fn a_later_commit_that_wins_is_told() {
    let Some(peer) = stand(1) else { return };
    // Somebody commits another image between our look and vLCM's.
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "during": "8.0.3-0.40.24414501"}),
    );
    let on = cluster(&peer).await;
    let op = prepared(&on, "run-1/host/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    let results = settled(&on, &op).await;
    let told = failure(&results[0]);
    assert_eq!(told.kind, ErrorKind::PlanDrift, "{told}");
    assert!(told.to_string().contains("8.0.3-24414501"), "{told}");
}

#[tokio::test]
async fn another_image_than_the_approved_one_is_refused_before() {
    let Some(peer) = stand(1) else { return };
    let on = cluster(&peer).await;
    let op = prepared(&on, "run-1/host/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    commit(&peer, "8.0.3-0.40.24414501");
    let stands = prepared(&on, "run-1/host/apply/2", apply(vec![change(0)]))
        .await
        .unwrap_err();
    assert!(
        stands.iter().all(|f| f.kind == ErrorKind::PlanDrift),
        "{stands:?}"
    );
    // And so it is where it changed after it was prepared.
    let Begun::Refused(failure) = on.begin(&ctx(), &op).await.unwrap() else {
        panic!("it must be refused");
    };
    assert_eq!(failure.kind, ErrorKind::PlanDrift, "{failure}");
    assert_eq!(peer.ask("truth")["hosts"][host(0).as_str()]["boots"], 0);
}

#[tokio::test]
async fn a_host_that_is_incompatible_is_unhealthy_before_anything_leaves_it() {
    let Some(peer) = Peer::start(2, 2) else {
        return;
    };
    commit(&peer, NEW_IMAGE);
    let why = "The CPU is not supported by this image.";
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "incompatible": {host(0).as_str(): why}}),
    );
    let on = cluster(&peer).await;
    let listing = on.list(&ctx()).await.unwrap();
    let scan = |n| listing.scans[&host(n)].clone().unwrap();
    assert!(
        scan(0).unhealthy[0].what.contains(why),
        "{:?}",
        scan(0).unhealthy
    );
    assert_eq!(scan(1).unhealthy, []);
    // An image that nobody compared the hosts to says nothing of them.
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "version": "8.0.3-0.40.24414501"}),
    );
    let scans = on.scan(&ctx(), &[host(1)]).await.unwrap();
    let stale = &scans[&host(1)].as_ref().unwrap().unhealthy;
    assert!(stale[0].what.contains("24414501"), "{stale:?}");
}

#[tokio::test]
async fn all_that_stands_against_it_is_told_at_once() {
    let Some(peer) = Peer::start(2, 2) else {
        return;
    };
    commit(&peer, NEW_IMAGE);
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "incompatible": {host(0).as_str(): "no"}, "busy": "maria"}),
    );
    let on = cluster(&peer).await;
    let stands = prepared(&on, "run-1/host/apply/1", apply(vec![change(0)]))
        .await
        .unwrap_err();
    // Incompatible, not in maintenance mode, a machine on it, and vLCM at work for somebody else.
    let kinds: Vec<ErrorKind> = stands.iter().map(|f| f.kind).collect();
    assert_eq!(
        kinds,
        [
            ErrorKind::Unhealthy,
            ErrorKind::Unhealthy,
            ErrorKind::PlanDrift,
            ErrorKind::Busy
        ],
        "{stands:?}"
    );
    let managed = json!({"cluster": CLUSTER, "managed": false});
    peer.tell("image", &managed);
    let stands = prepared(&on, "run-1/host/apply/2", apply(vec![change(1)]))
        .await
        .unwrap_err();
    assert_eq!(stands[0].kind, ErrorKind::Unsupported, "{stands:?}");
}

#[tokio::test]
async fn two_hosts_at_once_wait_for_each_other() {
    let Some(peer) = stand(2) else { return };
    let on = cluster(&peer).await;
    let one = prepared(&on, "run-1/a/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    let two = prepared(&on, "run-1/b/apply/1", apply(vec![change(1)]))
        .await
        .unwrap();
    let (one, two) = tokio::join!(settled(&on, &one), settled(&on, &two));
    for result in one.iter().chain(&two) {
        assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_anything_is_sent_refuses_nothing() {
    let Some(peer) = stand(1) else { return };
    let on = cluster(&peer).await;
    let op = prepared(&on, "run-1/hosts/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    for method in ["RetrievePropertiesEx", "vlcm.compliance", "vlcm.apply"] {
        let cut = match method {
            "vlcm.apply" => json!({"method": method, "lose_reply": true, "count": 1}),
            _ => json!({"method": method, "abort": true, "count": 1}),
        };
        peer.tell("rules", &cut);
    }
    // What was sent may have been carried out: the caller looks for it.
    assert!(on.begin(&ctx(), &op).await.is_err());
    let located = on.locate(&ctx(), &op).await.unwrap();
    assert!(
        matches!(located, Located::Running(_) | Located::Settled(_)),
        "{located:?}"
    );
}

#[tokio::test]
async fn what_was_begun_is_found_by_a_new_process_and_not_begun_twice() {
    let Some(peer) = stand(2) else { return };
    peer.tell(
        "rules",
        &json!({"method": "vlcm.apply", "task_ms": 1500, "lose_reply": true, "count": 1}),
    );
    let (op, other) = {
        let on = cluster(&peer).await;
        let op = prepared(&on, "run-1/a/apply/1", apply(vec![change(0)]))
            .await
            .unwrap();
        let other = prepared(&on, "run-1/b/apply/1", apply(vec![change(1)]))
            .await
            .unwrap();
        let lost = on.begin(&ctx(), &op).await.unwrap_err();
        assert!(lost.is_retryable(), "{lost:?}");
        (op, other)
    };
    let on = cluster(&peer).await;
    let Located::Running(handle) = on.locate(&ctx(), &op).await.unwrap() else {
        panic!("it runs");
    };
    // It is for another host.
    assert_eq!(on.locate(&ctx(), &other).await.unwrap(), Located::NotFound);
    let Begun::Started(again) = on.begin(&ctx(), &op).await.unwrap() else {
        panic!("it runs");
    };
    assert_eq!(handle, again);
    let results = settled(&on, &op).await;
    assert!(matches!(results[0], SubjectResult::Done(_)), "{results:?}");
    assert!(matches!(
        on.locate(&ctx(), &op).await.unwrap(),
        Located::Settled(_)
    ));
    assert_eq!(peer.ask("truth")["hosts"][host(0).as_str()]["boots"], 1);
}

#[tokio::test]
async fn a_session_of_the_rest_api_that_ended_is_renewed() {
    let Some(peer) = stand(1) else { return };
    let on = cluster(&peer).await;
    for _ in 0..2 {
        peer.tell("end-sessions", &json!({}));
        on.scan(&ctx(), &[host(0)]).await.unwrap();
    }
    peer.tell("end-sessions", &json!({}));
    peer.tell(
        "rules",
        &json!({"method": "session.login", "fault": "UNAUTHENTICATED"}),
    );
    let error = on.scan(&ctx(), &[host(0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
    peer.behave();
    peer.tell(
        "rules",
        &json!({"method": "vlcm.compliance", "fault": "UNAUTHORIZED"}),
    );
    let error = on.scan(&ctx(), &[host(0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
    assert!(error.remedy().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_host_that_never_comes_back_is_named() {
    let Some(peer) = stand(1) else { return };
    peer.tell("settings", &json!({"boot_wait_ms": 1500}));
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "sabotage": {host(0).as_str(): {"stay_down": true}}}),
    );
    let on = cluster(&peer).await;
    let op = prepared(&on, "run-1/host/apply/1", apply(vec![change(0)]))
        .await
        .unwrap();
    let results = settled(&on, &op).await;
    let told = failure(&results[0]);
    assert_eq!(told.kind, ErrorKind::Unreachable, "{told}");
    assert!(told.to_string().contains(host(0).as_str()), "{told}");
}
