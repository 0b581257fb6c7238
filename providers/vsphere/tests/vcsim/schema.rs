//! What the provider asks of the REST API, and what the peer answers, are of the types that the vendor publishes.

use std::{process::Command, sync::Arc, time::Duration};

use patchcore::{
    SystemClock,
    clock::Clock as _,
    provider::{CancelToken, DeployRequest, EvidenceLabel, OpContext},
};
use patchcore_testkit::{
    evidence::earned,
    peers::{
        need,
        vcenter::{Vcenter, program, witness},
    },
};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    conformance::{CLUSTER, host},
    deployer::{apply, cluster, ctx, prepared, settled},
    image::{NEW_IMAGE, change, close, commit, quick},
    peer::Peer,
};

/// What a check finds, in each of its forms, what was found last, and a check that its caller gives up.
async fn checked(peer: &Peer, on: &VsphereCluster) {
    let finds = json!([{"check": "Boot bank", "what": "It is full.", "remedy": "Free 200 MB."},
        {"check": "Hardware", "what": "It is not certified."}, {"check": "vSAN", "what": "It is slow.", "status": "TIMEOUT"},
        {"check": "Depot", "what": "It is busy.", "status": "RETRY"}, {"check": "Time", "what": "It is off.", "status": "WARNING"}]);
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "unfit": {host(3).as_str(): finds}}),
    );
    let hosts = [host(1), host(3)];
    let blockers = on.check(&ctx(), &hosts).await.unwrap();
    assert_eq!(blockers.len(), 4, "{blockers:?}");
    patchcore::provider::Deployer::scan(on, &ctx(), &hosts)
        .await
        .unwrap();
    peer.tell(
        "rules",
        &json!({"method": "vlcm.check", "task_ms": 60_000, "count": 1}),
    );
    let stop = CancelToken::new();
    let until = SystemClock.now() + Duration::from_secs(120);
    let stopped = OpContext::reading(Arc::new(SystemClock), until, stop.clone());
    let (answer, ()) = tokio::join!(on.check(&stopped, &hosts), async {
        ctx().sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    assert!(answer.is_err(), "{answer:?}");
    on.check(&ctx(), &hosts).await.unwrap();
}

#[tokio::test]
async fn every_call_and_answer_is_of_the_vendors_types() {
    let (Some(program), Some(python)) = (need(program()), need(witness())) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let record = folder.path().join("record.jsonl");
    let vcenter = Vcenter::start_recording(&program, folder.path(), 4, 0, &record).unwrap();
    let peer = Peer::of(vcenter, folder);
    quick(&peer);
    commit(&peer, NEW_IMAGE);
    for n in 0..3 {
        close(&peer, n);
    }
    // A host that fails, one that is skipped, one that is incompatible, and one that goes well.
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "sabotage": {host(1).as_str(): {"fails": "A VIB cannot be removed."}}}),
    );
    let on = cluster(&peer).await;
    let all = || vec![change(0), change(1)];
    let requests = [
        DeployRequest::Refresh {
            components: vec![host(0)],
        },
        DeployRequest::Stage { changes: all() },
        apply(all()),
    ];
    for (n, request) in requests.into_iter().enumerate() {
        let key = format!("run-1/hosts/step/{n}");
        let op = prepared(&on, &key, request).await.unwrap();
        settled(&on, &op).await;
    }
    peer.tell(
        "image",
        &json!({"cluster": CLUSTER, "incompatible": {host(2).as_str(): "no"}, "busy": "maria"}),
    );
    let stands = prepared(&on, "run-1/hosts/step/9", apply(vec![change(2)])).await;
    assert!(stands.is_err(), "{stands:?}");
    peer.tell("image", &json!({"cluster": CLUSTER, "busy": ""}));
    checked(&peer, &on).await;
    peer.tell("end-sessions", &json!({}));
    patchcore::provider::Deployer::scan(&on, &ctx(), &[host(3)])
        .await
        .unwrap();
    // Whether a cluster has an image at all is asked where none is to be had.
    peer.tell("image", &json!({"cluster": CLUSTER, "managed": false}));
    patchcore::provider::Deployer::scan(&on, &ctx(), &[host(3)])
        .await
        .unwrap();
    on.log_out().await.unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/witness/schema.py");
    let judged = Command::new(python)
        .arg(script)
        .arg(&record)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(
        judged.status.success() && said.contains("planted faults were refused"),
        "{said}{}",
        String::from_utf8_lossy(&judged.stderr)
    );
    println!("{said}");
    for verb in ["scan", "refresh", "stage", "apply"] {
        earned("vsphere", verb, EvidenceLabel::VendorSchema);
    }
}
