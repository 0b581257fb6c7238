//! What shells, greetings and languages print is not part of an answer.

use crate::stand::{block, plain, run, stand};

#[test]
fn greetings_and_start_files_are_cut_off() {
    let Some(stand) = stand() else { return };
    stand.sh(
        "usermod -s /bin/bash op; echo 'property of example.org' >/etc/banner; echo welcome >/etc/motd
        for f in .bashrc .profile .bash_profile; do printf 'echo out of %s; echo err of %s >&2; printf \"no line end\"\\n' $f $f >~op/$f; done
        cp ~op/.bashrc ~op/.bash_logout
        mkdir -p ~op/.ssh; echo 'echo rc; cat >/dev/null <&-' >~op/.ssh/rc
        chown -R op ~op",
    );
    stand.configure_sshd("Banner /etc/banner\nPrintMotd yes\n");
    let ssh = plain().host(stand.target("op"));
    for _ in 0..2 {
        let output = block(run(&ssh, "echo mine; echo loud >&2; exit 3")).unwrap();
        assert_eq!(
            (output.status, output.stdout.as_slice()),
            (3, b"mine\n".as_slice())
        );
        assert!(output.stderr.ends_with(b"loud\n"));
    }
}

#[test]
fn a_start_file_that_reads_the_script_stops_it() {
    let Some(stand) = stand() else { return };
    for lines in 1..=3 {
        let reads = "read -r x; ".repeat(lines);
        stand.sh(&format!(
            "usermod -s /bin/bash op; echo '{reads}' >~op/.bashrc"
        ));
        let ssh = plain().host(stand.target("op"));
        let error = block(run(&ssh, "touch /reached")).unwrap_err();
        assert_eq!(error.kind(), patchcore::ErrorKind::Unreachable, "{error:?}");
        assert!(format!("{error:?}").contains("start files"), "{error:?}");
        stand.sh("[ ! -e /reached ]");
    }
}

#[test]
fn a_foreign_or_missing_language_changes_nothing() {
    let Some(stand) = stand() else { return };
    stand.sh(
        "usermod -s /bin/bash op; printf 'export LANG=de_DE.UTF-8 LC_ALL=xx_YY.UTF-8 LANGUAGE=de POSIXLY_CORRECT=1 GREP_OPTIONS=-v IFS=x PATH=/nowhere\\n' >~op/.bashrc
        printf 'LANG=de_DE.UTF-8\\nLC_ALL=tr_TR.UTF-8\\n' >/etc/default/locale",
    );
    let ssh = plain().host(stand.target("op"));
    let as_root = block(run(&ssh, "echo $LC_ALL $LANG; ls /nowhere 2>&1; :")).unwrap();
    let text = String::from_utf8(as_root.stdout).unwrap();
    assert_eq!(
        text,
        "C\nls: cannot access '/nowhere': No such file or directory\n"
    );
}

#[test]
fn every_login_shell_will_do() {
    let Some(stand) = stand() else { return };
    for shell in [
        "/bin/sh",
        "/bin/dash",
        "/bin/bash",
        "/usr/bin/fish",
        "/bin/tcsh",
        "/bin/zsh",
    ] {
        if stand
            .sh(&format!(
                "[ ! -x {shell} ] || {{ usermod -s {shell} op; echo yes; }}"
            ))
            .is_empty()
        {
            eprintln!("the guest has no {shell}");
            continue;
        }
        let ssh = plain().host(stand.target("op"));
        let output = block(run(&ssh, "id -u"));
        assert_eq!(output.unwrap().stdout, b"0\n", "{shell}");
    }
}
