//! Becoming root, and what is said to whom may not.

use std::time::Duration;

use patchcore::{ErrorKind, Result};
use patchcore_linux::transport::{Output, Script, Transport as _, ssh::Become};

use crate::stand::{Stand, block, plain, run, stand};

fn as_user(stand: &Stand, user: &str) -> Result<Output> {
    block(run(
        &plain().host(stand.target(user)),
        "id -u; touch /reached",
    ))
}

/// The refusal, after which nothing was run.
fn refused(stand: &Stand, user: &str, parts: &[&str]) {
    stand.sh("rm -f /reached");
    let error = as_user(stand, user).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
    let text = format!("{error:?}");
    for part in parts.iter().chain(&["web-t1", user, "nothing was changed"]) {
        assert!(text.contains(part), "{part}: {text}");
    }
    stand.sh("[ ! -e /reached ]");
}

#[test]
fn sudo_makes_root_and_root_needs_none() {
    let Some(stand) = stand() else { return };
    assert_eq!(as_user(&stand, "op").unwrap().stdout, b"0\n");
    assert_eq!(as_user(&stand, "root").unwrap().stdout, b"0\n");
    let target = stand.target("op").with_become(Become::None);
    let output = block(run(&plain().host(target), "id -un"));
    assert_eq!(output.unwrap().stdout, b"op\n");
}

#[test]
fn each_refusal_of_sudo_is_told_with_its_remedy() {
    let Some(stand) = stand() else { return };
    refused(
        &stand,
        "nosudo",
        &["sudo: a password is required", "without a password"],
    );
    refused(&stand, "pwsudo", &["sudo: a password is required"]);
    // Who gave a password a moment ago is told apart from who is in no file at all.
    stand.sh("echo 'Defaults:nosudo !authenticate' >/etc/sudoers.d/x");
    refused(&stand, "nosudo", &["nosudo is not in the sudoers file"]);
    stand.sh("echo 'nosudo ALL=(ALL) NOPASSWD: /bin/true' >/etc/sudoers.d/x");
    refused(&stand, "nosudo", &["sudo: a password is required"]);
    stand.sh(
        "printf 'Defaults:nosudo !authenticate\\nnosudo ALL=(ALL) /bin/true\\n' >/etc/sudoers.d/x",
    );
    refused(&stand, "nosudo", &["is not allowed to execute"]);
    stand.sh("printf 'Defaults:op requiretty\\n' >/etc/sudoers.d/x");
    refused(&stand, "op", &["you must have a tty", "requiretty"]);
    stand.sh("rm /etc/sudoers.d/x; chmod u-s /usr/bin/sudo");
    refused(&stand, "op", &["setuid"]);
    stand.sh("mv /usr/bin/sudo /usr/bin/sudo.away");
    refused(
        &stand,
        "op",
        &["sudo", "No such file or directory", "install sudo"],
    );
}

#[test]
fn a_refusal_does_not_wait_for_a_long_script_to_be_read() {
    let Some(stand) = stand() else { return };
    // More than the other side takes before somebody reads it, which nobody does.
    let script = Script::new("t-long")
        .set("V", &"x".repeat(8 << 20))
        .unwrap()
        .text("true");
    let ssh = plain().host(stand.target("pwsudo"));
    let error = block(ssh.run(&script, Duration::from_secs(20))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
}

#[test]
fn sudo_is_understood_where_it_speaks_another_language() {
    let Some(stand) = stand() else { return };
    stand.sh(
        "usermod -s /bin/bash pwsudo; echo 'export LC_ALL=C.UTF-8 LANGUAGE=de' >~pwsudo/.bashrc",
    );
    let spoken = stand.guest().run_as(
        "pwsudo",
        ["env", "LC_ALL=C.UTF-8", "LANGUAGE=de", "sudo", "-n", "true"],
    );
    assert!(
        !spoken.stderr.contains("a password is required"),
        "it speaks English: {spoken:?}"
    );
    refused(&stand, "pwsudo", &["sudo: a password is required"]);
}

#[test]
fn an_account_without_a_shell_is_told() {
    let Some(stand) = stand() else { return };
    stand.sh("usermod -s /bin/rbash op");
    refused(&stand, "op", &["restricted"]);
    stand.sh("usermod -s /usr/sbin/nologin op");
    refused(
        &stand,
        "op",
        &["account is currently not available", "login shell"],
    );
}
