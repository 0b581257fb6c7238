use std::path::Path;

use super::*;

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn known(text: &str, port: u16) -> HostKey {
    let mut host = KnownHost::default();
    host.read(Path::new("known_hosts"), text, "192.0.2.3", port)
        .unwrap();
    HostKey {
        name: "web-03".to_owned(),
        address: "192.0.2.3".to_owned(),
        port,
        expected: Expected::Known {
            host,
            files: vec!["known_hosts".into()],
        },
    }
}

fn pinned(fingerprint: &str) -> HostKey {
    HostKey {
        name: "web-03".to_owned(),
        address: "192.0.2.3".to_owned(),
        port: 22,
        expected: Expected::Pinned(Fingerprint::parse(fingerprint).unwrap()),
    }
}

#[test]
fn a_key_in_any_line_of_the_host_is_known() {
    let lines = format!("192.0.2.3 {OTHER}\n192.0.2.3 {ED}\n192.0.2.3 {ECDSA}\n");
    for shown in [ED, OTHER, ECDSA] {
        known(&lines, 22).judge(&key(shown)).unwrap();
    }
}

#[test]
fn a_key_without_the_port_proves_and_does_not_accuse() {
    let plain = known(&format!("192.0.2.3 {ED}\n"), 2222);
    plain.judge(&key(ED)).unwrap();
    let error = plain.judge(&key(OTHER)).unwrap_err();
    assert!(error.message().ends_with("is unknown"), "{error}");
    let both = known(&format!("192.0.2.3 {OTHER}\n[192.0.2.3]:2222 {ED}\n"), 2222);
    let error = both.judge(&key(OTHER)).unwrap_err();
    assert!(error.message().ends_with("changed"), "{error}");
}

#[test]
fn a_changed_key_is_shown_with_both_fingerprints() {
    let error = known(&format!("192.0.2.3 {ED}\n"), 22)
        .judge(&key(OTHER))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert!(!error.is_retryable());
    assert_eq!(
        format!("{error:?}"),
        format!(
            "web-03 could not be reached over ssh: its host key changed\n   expected  {} (known_hosts:1)\n   but found {} (ssh-ed25519)\n   nothing was sent to it\n   if the host was rebuilt: ssh-keygen -f known_hosts -R 192.0.2.3, add its new key after checking it, then plan again",
            fingerprint(&key(ED)),
            fingerprint(&key(OTHER)),
        )
    );
}

#[test]
fn a_key_of_a_type_that_was_never_seen_is_a_changed_one_too() {
    let error = known(&format!("192.0.2.3 {ED}\n"), 22)
        .judge(&key(ECDSA))
        .unwrap_err();
    assert!(error.message().ends_with("its host key changed"), "{error}");
    assert!(error.to_string().contains("(known_hosts:1)"), "{error}");
}

#[test]
fn an_unknown_key_is_shown_and_how_to_add_it() {
    let error = known("", 2222).judge(&key(ED)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert_eq!(
        format!("{error:?}"),
        format!(
            "web-03 could not be reached over ssh: its host key is unknown\n   expected  a line about [192.0.2.3]:2222 in known_hosts\n   but found {} (ssh-ed25519)\n   nothing was sent to it\n   compare it with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the host itself; if it is the same: ssh-keyscan -p 2222 -t ed25519 192.0.2.3 >> known_hosts, then plan again",
            fingerprint(&key(ED)),
        )
    );
}

#[test]
fn a_revoked_key_is_refused_also_where_it_is_known() {
    let lines = format!("192.0.2.3 {ED}\n@revoked * {ED}\n");
    let error = known(&lines, 22).judge(&key(ED)).unwrap_err();
    assert!(error.message().ends_with("was revoked"), "{error}");
    assert!(error.to_string().contains("known_hosts:2"), "{error}");
}

#[test]
fn an_authority_is_answered_as_not_supported() {
    let error = known(&format!("@cert-authority 192.0.2.* {OTHER}\n"), 22)
        .judge(&key(ED))
        .unwrap_err();
    assert!(error.message().contains("not supported"), "{error}");
}

#[test]
fn known_types_are_asked_for_first() {
    let first = |lines: &str| known(lines, 22).tries()[0].first().cloned().unwrap();
    let p256 = Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    };
    assert_eq!(first(""), Algorithm::Ed25519);
    assert_eq!(first(&format!("192.0.2.3 {ECDSA}")), p256);
    assert_eq!(first(&format!("192.0.2.4 {ECDSA}")), Algorithm::Ed25519);
    // All types are asked for, so that a host whose key changed its type can show what it has.
    assert_eq!(known(&format!("192.0.2.3 {ECDSA}"), 22).tries()[0].len(), 6);
}

#[test]
fn a_pinned_key_is_looked_for_among_all_types() {
    let check = pinned(&fingerprint(&key(ECDSA)));
    check.judge(&key(ECDSA)).unwrap();
    let error = check.judge(&key(ED)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert!(
        error.to_string().contains(&fingerprint(&key(ED))),
        "{error}"
    );
    assert_eq!(check.tries().len(), 3);
}

#[test]
fn what_a_person_pastes_is_quoted() {
    assert_eq!(word("[::1]:2222"), "'[::1]:2222'");
    assert_eq!(word("/etc/ssh/known_hosts"), "/etc/ssh/known_hosts");
}
