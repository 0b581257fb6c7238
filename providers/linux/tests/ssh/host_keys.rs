//! A machine is the one that is meant, or nothing is sent to it.

use std::fs;

use patchcore::ErrorKind;
use patchcore_linux::transport::ssh::{Fingerprint, HostKeyCheck};

use crate::stand::{Stand, block, plain, run, stand};

/// What the host has, as the file shows it: type and key.
fn public(stand: &Stand, kind: &str) -> String {
    let key = stand.sh(&format!("cat /etc/ssh/ssh_host_{kind}_key.pub"));
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Some other key of a type.
fn foreign(stand: &Stand, kind: &str) -> String {
    let file = stand.folder().join(format!("foreign_{kind}"));
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-f"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    let key = fs::read_to_string(file.with_extension("pub")).unwrap();
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn fingerprint(stand: &Stand, kind: &str) -> String {
    let line = stand.sh(&format!("ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Gives the host a key of every type.
fn all_kinds(stand: &Stand) {
    stand.sh("ssh-keygen -A");
    let lines =
        ["ed25519", "ecdsa", "rsa"].map(|kind| format!("HostKey /etc/ssh/ssh_host_{kind}_key\n"));
    stand.configure_sshd(&lines.concat());
}

/// Tries to run a script, and proves that nothing reached the machine where it is refused.
fn reach(stand: &Stand, known_hosts: &str) -> Result<(), patchcore::Error> {
    fs::write(stand.known_hosts(), known_hosts).unwrap();
    let ssh = plain().host(stand.target("op"));
    stand.sh("rm -f /tmp/reached");
    let result = block(run(&ssh, "touch /tmp/reached"));
    let reached = stand.sh("[ ! -e /tmp/reached ] || echo yes");
    assert_eq!(reached.is_empty(), result.is_err());
    result.map(|_| ())
}

#[test]
fn the_right_key_is_taken_in_every_form_of_the_file() {
    let Some(stand) = stand() else { return };
    all_kinds(&stand);
    let name = stand.address();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        reach(&stand, &format!("{name} {}\n", public(&stand, kind))).unwrap();
    }
    let (ed, ecdsa) = (public(&stand, "ed25519"), public(&stand, "ecdsa"));
    let both = format!("# ours\n\nother.example {ecdsa}\nx,{name} {ecdsa} c\n{name} {ed}\n");
    reach(&stand, &both).unwrap();

    fs::write(stand.known_hosts(), format!("{name} {ed}\n")).unwrap();
    let hashed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(stand.known_hosts())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(hashed.unwrap().success());
    let text = fs::read_to_string(stand.known_hosts()).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    reach(&stand, &text).unwrap();
}

#[test]
fn a_changed_key_stops_everything() {
    let Some(stand) = stand() else { return };
    let name = stand.address();
    let other = foreign(&stand, "ed25519");
    let error = reach(&stand, &format!("\n{name} {other}\n")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    let text = format!("{error:?}");
    assert!(
        text.starts_with("web-t1 could not be reached over ssh: its host key changed"),
        "{text}"
    );
    assert!(text.contains("known_hosts:2)"), "{text}");
    assert!(
        text.contains(&format!("but found {}", fingerprint(&stand, "ed25519"))),
        "{text}"
    );
    assert!(text.contains("nothing was sent to it"), "{text}");
    assert!(text.contains("ssh-keygen -f"), "{text}");
}

#[test]
fn an_unknown_and_a_revoked_key_stop_everything() {
    let Some(stand) = stand() else { return };
    let name = stand.address();
    let ed = public(&stand, "ed25519");
    let error = reach(&stand, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    let text = format!("{error:?}");
    assert!(text.contains("its host key is unknown"), "{text}");
    assert!(text.contains(&fingerprint(&stand, "ed25519")), "{text}");
    assert!(text.contains("ssh-keyscan"), "{text}");

    let error = reach(&stand, &format!("{name} {ed}\n@revoked * {ed}\n")).unwrap_err();
    assert!(error.message().ends_with("was revoked"), "{error}");
    let error = reach(&stand, &format!("@cert-authority * {ed}\n")).unwrap_err();
    assert!(error.message().contains("not supported"), "{error}");
}

#[test]
fn a_host_known_by_one_type_is_not_unknown_by_another() {
    let Some(stand) = stand() else { return };
    all_kinds(&stand);
    let name = stand.address();
    // The one that is not liked best.
    reach(&stand, &format!("{name} {}\n", public(&stand, "rsa"))).unwrap();
    let changed = format!("{name} {}\n", foreign(&stand, "rsa"));
    let error = reach(&stand, &changed).unwrap_err();
    assert!(
        error.to_string().contains(&fingerprint(&stand, "rsa")),
        "{error}"
    );
}

#[test]
fn a_pinned_fingerprint_is_found_among_all_types() {
    let Some(stand) = stand() else { return };
    all_kinds(&stand);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let pin = Fingerprint::parse(&fingerprint(&stand, kind)).unwrap();
        let target = stand.target("op").with_host_key(HostKeyCheck::Pinned(pin));
        block(run(&plain().host(target), "true")).unwrap();
    }
    let other = "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E";
    let pin = Fingerprint::parse(other).unwrap();
    let target = stand.target("op").with_host_key(HostKeyCheck::Pinned(pin));
    let error = block(run(&plain().host(target), "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKey);
    assert!(error.to_string().contains(other), "{error}");
}
