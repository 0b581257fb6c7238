//! Whom a check over https believes.

use std::{fs, path::Path};

use patchcore::{ErrorKind, provider::ProbeVerdict};
use patchcore_http::{HttpConfig, HttpProbe};

use crate::server::{Certificate, Server, ask, ask_with};

#[tokio::test]
async fn a_certificate_counts_only_with_its_ca() {
    let both = [
        Certificate::of_own_ca("own-ca", "IP:127.0.0.1,DNS:web-1", "30"),
        Certificate::self_signed("self-signed"),
    ];
    for certificate in both {
        let Some(certificate) = certificate else {
            return;
        };
        let Some(server) = Server::tls(&certificate) else {
            return;
        };
        let url = format!("https://127.0.0.1:{}/status/200?token=s3cret", server.port);

        let error = ask(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKey, "{error:?}");
        assert!(!error.is_retryable(), "{error:?}");
        assert!(error.remedy().unwrap().contains("ca_file"), "{error:?}");
        assert!(!format!("{error:?}{}", error.chain()).contains("s3cret"));

        let config = HttpConfig::default().with_ca_file(&certificate.ca);
        let answer = ask_with(config, &url).await.unwrap();
        assert_eq!(answer.verdict, ProbeVerdict::Healthy, "{}", answer.saw);
        assert_eq!(answer.saw, "http 200");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let Some(certificate) = Certificate::of_own_ca("other-name", "DNS:web-2", "30") else {
        return;
    };
    let Some(server) = Server::tls(&certificate) else {
        return;
    };
    let config = HttpConfig::default().with_ca_file(&certificate.ca);
    let error = ask_with(config, &format!("https://127.0.0.1:{}/", server.port))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey, "{error:?}");
    assert!(error.remedy().unwrap().contains("name"), "{error:?}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_not_healthy() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    for port in [server.port, server.greeting] {
        let answer = ask(&format!("https://127.0.0.1:{port}/")).await.unwrap();
        assert_eq!(answer.verdict, ProbeVerdict::Unhealthy);
        assert_eq!(answer.saw, "http: what answers is not TLS");
    }
}

#[test]
fn a_ca_file_that_cannot_be_used_is_refused_with_the_reason() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let broken = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    for (name, text, found) in [
        ("http-absent.pem", None, "os error 2"),
        ("http-empty.pem", Some(String::new()), "no certificate"),
        (
            "http-prose.pem",
            Some("trust me".to_owned()),
            "no certificate",
        ),
        ("http-broken.pem", Some(broken.to_owned()), "number 1 of 1"),
        ("http-long.pem", Some("x".repeat(2 << 20)), "more than"),
    ] {
        let file = folder.join(name);
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let error = HttpProbe::new(HttpConfig::default().with_ca_file(&file)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let said = error.to_string();
        assert!(said.contains(name) && said.contains(found), "{said}");
        drop(fs::remove_file(&file));
    }
}
