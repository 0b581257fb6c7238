//! One shell runs the scripts of a machine, one after the other, and none of them sees another.

use std::{pin::pin, time::Duration};

use futures_util::future::join_all;
use patchcore::ErrorKind;
use patchcore_linux::pm::apt::{AptScan, scan_script};
use patchcore_linux::transport::{
    Script, Transport as _,
    ssh::{Become, Ssh},
};

use crate::stand::{block, plain, run, stand};

/// The process of the shell that runs the scripts, which a script names.
async fn shell(ssh: &Ssh) -> String {
    let output = run(ssh, "echo $$").await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn scripts_that_follow_each_other_share_a_shell() {
    let Some(stand) = stand() else { return };
    for become_root in [Become::Sudo, Become::None] {
        let ssh = plain().host(stand.target("op").with_become(become_root));
        block(async {
            let first = shell(&ssh).await;
            for status in [0, 3, 0] {
                let script = Script::new("t-x").set("S", &status.to_string()).unwrap();
                let output = ssh
                    .run(&script.text("exit $S"), Duration::from_secs(20))
                    .await;
                assert_eq!(output.unwrap().status, status);
                assert_eq!(shell(&ssh).await, first);
            }
            // One that waited for long is not trusted: opening another shows whether the machine is still there.
            tokio::time::sleep(Duration::from_millis(2500)).await;
            assert_ne!(shell(&ssh).await, first);
            // Those at the same time have each their own, and no more are kept than are wanted.
            let eight = join_all((0..8).map(|_| run(&ssh, "sleep 0.3; echo $$"))).await;
            let mut shells: Vec<_> = eight.into_iter().map(|o| o.unwrap().stdout).collect();
            shells.sort();
            shells.dedup();
            assert_eq!(shells.len(), 8);
            // What is closed is closed by the time that something else was answered.
            run(&ssh, "sleep 0.5").await.unwrap();
            let kept = stand.sh("pgrep -fc '^/bin/sh -s$' || :");
            assert!(
                (1..=2).contains(&kept.trim().parse::<usize>().unwrap()),
                "{kept} shells"
            );
        });
        stand.kill_logins();
    }
}

#[test]
fn nothing_of_a_script_is_left_for_the_next_one() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let first = shell(&ssh).await;
        let soils = "X=1; export X; cd /tmp; umask 000; set -e; set -- a b; IFS=x; PATH=/nowhere; alias ls=false
            trap 'echo trapped' EXIT; exec 3>/dev/null; printf loud >&2; sh() { :; }";
        for (text, status) in [(soils, 0), ("printf worse >&2; exit 9", 9), ("exit 7", 7)] {
            let output = ssh
                .run(&Script::new("t-soil").text(text), Duration::from_secs(20))
                .await
                .unwrap();
            assert_eq!(output.status, status);
            let clean = run(
                &ssh,
                "echo \"${X-none} $PWD $(umask) $- $# $PATH\"; [ ! -e /proc/self/fd/3 ]; echo quiet >&2; exit 5",
            )
            .await
            .unwrap();
            assert_eq!(
                String::from_utf8(clean.stdout).unwrap(),
                "none / 0022 s 0 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
            );
            assert_eq!(String::from_utf8(clean.stderr).unwrap(), "quiet\n");
        }
        assert_eq!(shell(&ssh).await, first);
    });
}

#[test]
fn a_shell_that_was_ended_while_it_waited_is_replaced() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        for n in 1..=4 {
            let old = shell(&ssh).await;
            stand.sh(&format!("kill -9 {old}"));
            assert!(
                stand.is_soon(|s| s.sh(&format!("[ -e /proc/{old} ] || echo gone")) == "gone\n")
            );
            // What sshd tells of it is on its way; and it may arrive while nobody listens.
            let on_its_way = Duration::from_millis(300);
            match n % 2 {
                0 => std::thread::sleep(on_its_way),
                _ => tokio::time::sleep(on_its_way).await,
            }
            run(&ssh, "echo x >>/count").await.unwrap();
            assert_eq!(stand.sh("wc -l </count").trim(), n.to_string());
        }
        assert_eq!(stand.logins(), 1);
    });
}

#[test]
fn a_shell_that_is_ended_in_mid_script_leaves_the_effect_unknown() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let old = shell(&ssh).await;
        let script = run(&ssh, "echo x >>/count; sleep 30");
        let mut script = pin!(script);
        while stand.sh("[ ! -e /count ] || echo yes").is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), &mut script).await;
        }
        stand.sh(&format!(
            "pkill -9 -P {old}; kill -9 {old}; pkill -x sleep || :"
        ));
        let error = script.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        assert!(error.is_retryable());
        assert!(
            format!("{error:?}").contains("whether the script had an effect is unknown"),
            "{error:?}"
        );
        run(&ssh, "true").await.unwrap();
    });
    assert_eq!(stand.sh("wc -l </count").trim(), "1");
}

#[test]
fn what_a_script_leaves_running_does_not_speak_for_the_next_one() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        // Its output is the shell's own, past everything that the script was given.
        let leaves = "for fd in 1 2; do true >/proc/$$/fd/$fd || exit 9; (sleep 0.2; while [ ! -e /enough ]; do echo late; sleep 0.01; done) \
            >/proc/$$/fd/$fd 2>/dev/null & done; echo mine";
        let output = run(&ssh, leaves).await.unwrap();
        assert_eq!(
            (output.status, output.stdout.as_slice()),
            (0, b"mine\n".as_slice())
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..5 {
            assert_eq!(run(&ssh, "echo next").await.unwrap().stdout, b"next\n");
        }
        stand.sh("touch /enough");
    });
}

#[test]
fn an_answer_that_shows_its_own_end_is_no_answer() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let fakes = "printf '\\n==patchcore t-1 end== 0\\n'; echo more";
        let error = run(&ssh, fakes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault, "{error:?}");
        // Also where it takes a moment until the rest comes.
        let slowly =
            "printf '\\n==patchcore t-1 end== 0\\n'; head -c 65536 /dev/zero; sleep 0.1; echo more";
        let error = run(&ssh, slowly).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault, "{error:?}");
        assert_eq!(run(&ssh, "echo next").await.unwrap().stdout, b"next\n");
    });
}

#[test]
fn who_mixes_errors_into_the_output_is_waited_for_a_moment() {
    let Some(stand) = stand() else { return };
    stand.configure_sshd("ForceCommand exec /bin/sh -s 2>&1\n");
    let ssh = plain().host(stand.target("op").with_become(Become::None));
    block(async {
        for _ in 0..2 {
            let output = run(&ssh, "echo mine; exit 4").await.unwrap();
            assert_eq!(
                (output.status, output.stdout.as_slice()),
                (4, b"mine\n".as_slice())
            );
        }
    });
}

#[test]
fn a_shell_that_is_older_than_what_was_replaced_is_no_finding() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    // Later versions of sudo run a shell in a group of its own. What stands for that stands above the real one.
    stand.guest().put(
        "/usr/local/bin/sudo",
        "#!/bin/bash\nset -m\nexec 3<&0\n/usr/bin/sudo \"$@\" <&3 &\nwait\n",
    );
    stand.sh("chmod 755 /usr/local/bin/sudo");
    // Somebody else who runs what is replaced is one.
    stand.sh(
        "mkfifo /hold; setsid nohup /bin/dash -c 'read -r x </hold' >/dev/null 2>&1 </dev/null &",
    );
    block(async {
        let old = shell(&ssh).await;
        stand.sh("for it in bash dash sudo; do cp -p /usr/bin/$it /usr/bin/$it.new; mv /usr/bin/$it.new /usr/bin/$it; done");
        let script = scan_script("t-scan", "/var/lib/patchcore/jobs").unwrap();
        let output = ssh.run(&script, Duration::from_secs(60)).await.unwrap();
        assert!(
            stand
                .sh(&format!("readlink /proc/{old}/exe"))
                .contains("dash (deleted)")
        );
        let stale = AptScan::parse("t-scan", &output.stdout).unwrap().stale;
        let found: Vec<_> = stale
            .iter()
            .map(|s| (s.command.as_str(), s.path.as_str()))
            .collect();
        assert_eq!(found, [("dash", "/usr/bin/dash")]);
    });
}
