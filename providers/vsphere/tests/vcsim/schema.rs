//! What the provider asks of the REST API, and what the peer answers, are of the types that the vendor publishes.

use std::process::Command;

use patchcore::provider::{DeployRequest, EvidenceLabel};
use patchcore_testkit::{
    evidence::earned,
    peers::{
        need,
        vcenter::{Vcenter, program, witness},
    },
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    conformance::{CLUSTER, host},
    deployer::{apply, cluster, ctx, prepared, settled},
    image::{NEW_IMAGE, change, close, commit, quick},
    peer::Peer,
};

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
