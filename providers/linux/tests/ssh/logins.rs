//! Who is let in, and what is said to whom is not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use patchcore::ErrorKind;
use patchcore_linux::transport::ssh::SshTarget;

use crate::stand::{Stand, block, plain, run, stand};

/// A new key, of which the public half is known to the guest's `op` where `known`.
fn key(stand: &Stand, name: &str, kind: &[&str], passphrase: &str, known: bool) -> PathBuf {
    let file = stand.folder().join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-C", name, "-t"])
        .args(kind)
        .arg("-f")
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    if known {
        let public = fs::read_to_string(file.with_extension("pub")).unwrap();
        stand.sh(&format!(
            "echo '{}' >>/etc/ssh/authorized_keys",
            public.trim()
        ));
    }
    file
}

/// As `op` with these keys and no others.
fn with(stand: &Stand, keys: &[&Path]) -> SshTarget {
    let mut target = stand.target("op");
    target.identities = keys.iter().map(|key| (*key).to_owned()).collect();
    target
}

/// An ssh-agent that ends with the test.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(stand: &Stand) -> Self {
        let socket = stand.folder().join("agent");
        let process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, socket }
    }

    /// Gives it a key; a passphrase is handed over by a program, as where there is no terminal.
    fn add(&self, stand: &Stand, key: &Path, passphrase: &str) {
        let ask = stand.folder().join("ask");
        fs::write(&ask, format!("#!/bin/sh\necho '{passphrase}'\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&ask, mode).unwrap();
        let added = Command::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(added.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn keys_of_every_type_log_in() {
    let Some(stand) = stand() else { return };
    let kinds: [&[&str]; 4] = [
        &["ed25519"],
        &["ecdsa"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "3072", "-m", "PEM"],
    ];
    for (nth, kind) in kinds.into_iter().enumerate() {
        let key = key(&stand, &format!("k{nth}"), kind, "", true);
        let ssh = plain().host(with(&stand, &[&key]));
        let output = block(run(&ssh, "id -u")).unwrap();
        assert_eq!(output.stdout, b"0\n", "{kind:?}");
    }
}

#[test]
fn an_rsa_key_is_signed_with_sha_2_of_either_length() {
    let Some(stand) = stand() else { return };
    let key = key(&stand, "rsa", &["rsa", "-b", "2048"], "", true);
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        stand.configure_sshd(&format!("PubkeyAcceptedAlgorithms {algorithm}\n"));
        let ssh = plain().host(with(&stand, &[&key]));
        block(run(&ssh, "true")).unwrap();
    }
}

#[test]
fn the_agent_signs() {
    let Some(stand) = stand() else { return };
    let agent = Agent::start(&stand);
    let shared = plain().with_agent(&agent.socket);
    let (ed, rsa) = (
        key(&stand, "ed", &["ed25519"], "", true),
        key(&stand, "rsa", &["rsa", "-b", "2048"], "", true),
    );
    for key in [&ed, &rsa] {
        agent.add(&stand, key, "");
        // The file is gone: only the agent has the key.
        fs::remove_file(key).unwrap();
        let ssh = shared.host(with(&stand, &[]));
        block(run(&ssh, "true")).unwrap();
        let removed = Command::new("ssh-add")
            .args(["-q", "-D"])
            .env("SSH_AUTH_SOCK", &agent.socket)
            .stderr(Stdio::null())
            .status();
        assert!(removed.unwrap().success());
    }
}

#[test]
fn a_key_with_a_passphrase_is_a_matter_of_the_agent() {
    let Some(stand) = stand() else { return };
    let locked = key(&stand, "locked", &["ed25519"], "correct horse", true);
    let error = block(run(&plain().host(with(&stand, &[&locked])), "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied);
    let text = format!("{error:?}");
    assert!(text.contains("locked (it has a passphrase)"), "{text}");
    let remedy = format!("ssh-add {}", locked.display());
    assert!(text.contains(&remedy), "{text}");

    let agent = Agent::start(&stand);
    agent.add(&stand, &locked, "correct horse");
    let shared = plain().with_agent(&agent.socket);
    block(run(&shared.host(with(&stand, &[&locked])), "true")).unwrap();
    // Where a key is named, others of the agent are not offered, though this one would be taken.
    let other = key(&stand, "other", &["ed25519"], "", false);
    let error = block(run(&shared.host(with(&stand, &[&other])), "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied);
}

#[test]
fn whoever_is_not_let_in_reads_who_where_and_with_what() {
    let Some(stand) = stand() else { return };
    let wrong = key(&stand, "wrong", &["ed25519"], "", false);
    let line = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(&wrong)
        .output()
        .unwrap();
    let line = String::from_utf8(line.stdout).unwrap();
    let fingerprint = line.split_whitespace().nth(1).unwrap();
    let denied = |target: SshTarget| {
        let error = block(run(&plain().host(target), "true")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthzDenied, "{error:?}");
        assert!(!error.is_retryable());
        format!("{error:?}")
    };

    let text = denied(with(&stand, &[&wrong]));
    for part in [
        "web-t1 does not let op in over ssh",
        fingerprint,
        "wrong",
        "publickey",
        "~op/.ssh/authorized_keys",
        "nothing was sent to it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut nobody = stand.target("no-such-user");
    nobody.identities = vec![wrong.clone()];
    let text = denied(nobody);
    assert!(text.contains("does not let no-such-user in"), "{text}");

    let text = denied(with(&stand, &[&stand.folder().join("absent")]));
    assert!(text.contains("absent (No such file"), "{text}");
    fs::write(stand.folder().join("junk"), "junk\n").unwrap();
    let text = denied(with(&stand, &[&stand.folder().join("junk")]));
    assert!(text.contains("junk (not a private key"), "{text}");

    // A host may take passwords only.
    stand.configure_sshd("PubkeyAuthentication no\nPasswordAuthentication yes\n");
    let text = denied(with(&stand, &[&stand.key()]));
    assert!(text.contains("takes no keys"), "{text}");
    assert!(text.contains("password"), "{text}");
}

#[test]
fn a_second_proof_beside_the_key_is_not_supported_and_said_so() {
    let Some(stand) = stand() else { return };
    stand.configure_sshd("AuthenticationMethods publickey,password\nPasswordAuthentication yes\n");
    let error = block(run(&plain().host(stand.target("op")), "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthzDenied);
    let text = format!("{error:?}");
    assert!(text.contains("taken, and more wanted"), "{text}");
}

#[test]
fn a_dead_agent_is_named_and_files_still_serve() {
    let Some(stand) = stand() else { return };
    let shared = plain().with_agent(stand.folder().join("no-agent"));
    block(run(&shared.host(stand.target("op")), "true")).unwrap();
    let wrong = key(&stand, "wrong", &["ed25519"], "", false);
    let error = block(run(&shared.host(with(&stand, &[&wrong])), "true")).unwrap_err();
    assert!(error.to_string().contains("no-agent"), "{error}");
}
