//! Who is believed, who may log in, and what becomes of a session.

use std::time::Duration;

use patchcore::{Error, ErrorKind, Secret};
use patchcore_https::Trust;
use patchcore_vsphere::{VCenter, VsphereConfig};
use serde_json::json;

use crate::peer::{PASSWORD, Peer, USER};

async fn refused(config: VsphereConfig) -> Error {
    let error = VCenter::connect(config)
        .await
        .expect_err("it must be refused");
    assert!(
        !format!("{error:?} {}", error.chain()).contains(PASSWORD),
        "{error:?}"
    );
    error
}

#[tokio::test]
async fn only_a_trusted_certificate_gets_the_password() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let plain = || VsphereConfig::new(peer.server(), USER, Secret::new(PASSWORD)).unwrap();

    let error = refused(plain()).await;
    assert_eq!(error.kind(), ErrorKind::HostKey, "{error:?}");
    assert!(error.remedy().unwrap().contains("vsphere"), "{error:?}");

    let pinned = |text: &str| plain().with_trust(Trust::Fingerprint(text.parse().unwrap()));
    let vcenter = VCenter::connect(pinned(peer.fingerprint())).await.unwrap();
    assert!(vcenter.full_name().contains("vCenter"), "{vcenter:?}");

    let other = refused(pinned(&"ab".repeat(32))).await;
    assert_eq!(other.kind(), ErrorKind::HostKey, "{other:?}");
    assert!(other.to_string().contains("fingerprint"), "{other:?}");

    assert_eq!(peer.connect().await.api_version(), "8.0.3.0");
}

#[tokio::test]
async fn a_wrong_password_is_told_with_what_to_do() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let config = VsphereConfig::new(peer.server(), USER, Secret::new("wrong"))
        .unwrap()
        .with_ca_file(peer.ca());
    let error = refused(config).await;
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("InvalidLogin"), "{error:?}");
    assert!(error.to_string().contains(USER), "{error:?}");
    assert!(error.remedy().unwrap().contains("password"), "{error:?}");
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let config = VsphereConfig::new(&address, USER, Secret::new(PASSWORD)).unwrap();
    let error = refused(config).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(error.is_retryable(), "{error:?}");

    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let vcenter = VCenter::connect(peer.config().with_deadline(Duration::from_millis(500)))
        .await
        .unwrap();
    peer.tell(
        "rules",
        &json!({"method": "CreateContainerView", "delay_ms": 3000}),
    );
    let error = vcenter.clusters().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.is_retryable(), "{error:?}");

    peer.behave();
    peer.tell(
        "rules",
        &json!({"method": "CreateContainerView", "abort": true, "count": 1}),
    );
    let error = vcenter.clusters().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert_eq!(
        vcenter.clusters().await.unwrap().len(),
        1,
        "the next call gets on"
    );
}

#[tokio::test]
async fn a_session_that_ended_is_renewed() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let vcenter = peer.connect().await;
    for _ in 0..2 {
        peer.tell("end-sessions", &json!({}));
        assert_eq!(vcenter.clusters().await.unwrap().len(), 1);
    }
    vcenter.log_out().await.unwrap();
    vcenter.log_out().await.unwrap();
    assert_eq!(
        vcenter.clusters().await.unwrap().len(),
        1,
        "it logs in again"
    );
    // Whoever asks at once finds one login, and not one each.
    peer.tell("end-sessions", &json!({}));
    peer.tell(
        "rules",
        &json!({"method": "Login", "fault": "InvalidLogin", "skip": 1}),
    );
    let (one, two, three) =
        tokio::join!(vcenter.clusters(), vcenter.clusters(), vcenter.clusters());
    for answer in [one, two, three] {
        assert_eq!(answer.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_missing_right_is_an_answer_and_not_an_empty_list() {
    let Some(peer) = Peer::start(1, 1) else {
        return;
    };
    let vcenter = peer.connect().await;
    peer.tell(
        "rules",
        &json!({"method": "RetrievePropertiesEx", "fault": "NoPermission"}),
    );
    let error = vcenter.clusters().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
    assert!(error.remedy().is_some(), "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
}
