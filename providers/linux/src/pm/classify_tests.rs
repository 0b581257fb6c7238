use super::*;

/// Lines as apt 2.6, dpkg 1.21 and sudo 1.9 print them, one for every rule, in the order of the rules.
const SEEN: &[(&str, ErrorKind)] = &[
    (
        "dpkg: error processing archive /var/cache/apt/archives/x_1_all.deb (--unpack):\n cannot copy extracted data: failed to write (No space left on device)",
        ErrorKind::DiskFull,
    ),
    (
        "cp: error writing '/var/x': Disk quota exceeded",
        ErrorKind::DiskFull,
    ),
    (
        "E: You don't have enough free space in /var/cache/apt/archives/.",
        ErrorKind::DiskFull,
    ),
    (
        "dpkg: error: unable to create file '/var/lib/dpkg/updates/tmp.i': Read-only file system",
        ErrorKind::Unhealthy,
    ),
    (
        "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?",
        ErrorKind::AuthzDenied,
    ),
    (
        "mkdir: cannot create directory '/var/lib/patchcore': Permission denied",
        ErrorKind::AuthzDenied,
    ),
    (
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?",
        ErrorKind::AuthzDenied,
    ),
    (
        "dpkg: error: requested operation requires superuser privilege",
        ErrorKind::AuthzDenied,
    ),
    ("sudo: a password is required", ErrorKind::AuthzDenied),
    (
        "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper",
        ErrorKind::AuthzDenied,
    ),
    (
        "sudo: no tty present and no askpass program specified",
        ErrorKind::AuthzDenied,
    ),
    (
        "sudo: sorry, you must have a tty to run sudo",
        ErrorKind::AuthzDenied,
    ),
    ("sam is not in the sudoers file.", ErrorKind::AuthzDenied),
    (
        "Sorry, user sam is not allowed to execute '/bin/sh -s' as root on web-1.",
        ErrorKind::AuthzDenied,
    ),
    (
        "bash: line 1: exec: sudo: not found",
        ErrorKind::AuthzDenied,
    ),
    (
        "/usr/bin/env: 'sudo': No such file or directory",
        ErrorKind::AuthzDenied,
    ),
    (
        "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
        ErrorKind::AuthzDenied,
    ),
    (
        "sudo: account validation failure, is your account locked?",
        ErrorKind::AuthzDenied,
    ),
    (
        "This account is currently not available.",
        ErrorKind::AuthzDenied,
    ),
    ("rbash: line 1: exec: restricted", ErrorKind::AuthzDenied),
    (
        "WARNING: Your password has expired.",
        ErrorKind::AuthzDenied,
    ),
    (
        "You are required to change your password immediately (administrator enforced).",
        ErrorKind::AuthzDenied,
    ),
    (
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 6968 (apt-get)",
        ErrorKind::Busy,
    ),
    (
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
        ErrorKind::Busy,
    ),
    (
        "E: Unable to lock directory /var/lib/apt/lists/",
        ErrorKind::Busy,
    ),
    (
        "dpkg: error: dpkg frontend lock was locked by another process with pid 6968",
        ErrorKind::Busy,
    ),
    (
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. ",
        ErrorKind::Unhealthy,
    ),
    (
        "E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).",
        ErrorKind::Unhealthy,
    ),
    (
        "E: The package pc-hello needs to be reinstalled, but I can't find an archive for it.",
        ErrorKind::Unhealthy,
    ),
    (
        "dpkg: error: parsing file '/var/lib/dpkg/status' near line 3:",
        ErrorKind::Unhealthy,
    ),
    (
        "E: The package lists or status file could not be parsed or opened.",
        ErrorKind::Unhealthy,
    ),
    (
        "@patchcore op-1 spec_damaged expected a found b",
        ErrorKind::Unhealthy,
    ),
    ("@patchcore op-1 no_reboot_command", ErrorKind::Unsupported),
    (
        "E: The repository 'http://example.org pc InRelease' is not signed.",
        ErrorKind::RepoError,
    ),
    (
        "E: The repository 'http://example.org pc Release' does not have a Release file.",
        ErrorKind::RepoError,
    ),
    (
        "W: GPG error: http://example.org pc InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 0123456789ABCDEF",
        ErrorKind::RepoError,
    ),
    ("   Hash Sum mismatch", ErrorKind::RepoError),
    (
        "   File has unexpected size (512 != 1024). Mirror sync in progress?",
        ErrorKind::RepoError,
    ),
    (
        "E: Release file for http://example.org/pc/InRelease is expired (invalid since 2d 3h 1min 9s). Updates for this repository will not be applied.",
        ErrorKind::RepoError,
    ),
    (
        "E: Release file for http://example.org/pc/InRelease is not valid yet (invalid for another 1d 2h). Updates for this repository will not be applied.",
        ErrorKind::RepoError,
    ),
    (
        "E: There were unauthenticated packages and -y was used without --allow-unauthenticated",
        ErrorKind::RepoError,
    ),
    (
        "E: Failed to fetch http://example.org/x.deb  404  Not Found [IP: 192.0.2.1 80]",
        ErrorKind::RepoError,
    ),
    (
        "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
        ErrorKind::RepoError,
    ),
    (
        "E: Some index files failed to download. They have been ignored, or old ones used instead.",
        ErrorKind::RepoError,
    ),
    (
        "W: Failed to fetch http://example.org/InRelease  Could not resolve 'example.org'",
        ErrorKind::RepoError,
    ),
    (
        "W: Some index files failed to download. They have been ignored, or old ones used instead.",
        ErrorKind::RepoError,
    ),
    (
        "E: Version '1.1-1' for 'pc-hello' was not found",
        ErrorKind::PlanDrift,
    ),
    ("E: Unable to locate package pc-hello", ErrorKind::PlanDrift),
    (
        "E: Packages need to be removed but remove is disabled.",
        ErrorKind::PlanDrift,
    ),
    (
        "E: Held packages were changed and -y was used without --allow-change-held-packages.",
        ErrorKind::PlanDrift,
    ),
    (
        "E: Packages were downgraded and -y was used without --allow-downgrades.",
        ErrorKind::PlanDrift,
    ),
    (
        "@patchcore op-1 drift not approved: pc-newdep:all - to 1.1-1",
        ErrorKind::PlanDrift,
    ),
    (
        "dpkg: error processing package pc-badpost (--configure):",
        ErrorKind::InstallFailed,
    ),
    (
        "dpkg-query: end of file on stdin at conffile prompt",
        ErrorKind::InstallFailed,
    ),
    (
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        ErrorKind::InstallFailed,
    ),
    (
        "E: Sub-process /usr/bin/dpkg exited unexpectedly",
        ErrorKind::InstallFailed,
    ),
    (
        "E: Sub-process /usr/bin/dpkg received a segmentation fault.",
        ErrorKind::InstallFailed,
    ),
];

#[test]
fn every_rule_has_a_line_that_it_alone_decides() {
    assert_eq!(SEEN.len(), RULES.len());
    for ((log, kind), rule) in SEEN.iter().zip(RULES) {
        let error = failed_command(
            "apply",
            100,
            &format!("Reading package lists...\n{log}\nafter"),
        );
        assert_eq!(error.kind(), *kind, "{log}");
        assert_eq!(error.remedy(), Some(rule.hint), "{log}");
        assert!(
            log.lines()
                .any(|line| rule.texts.iter().all(|t| line.contains(t))),
            "rule {:?} against {log}",
            rule.texts
        );
    }
}

#[test]
fn the_holder_of_a_lock_is_named() {
    let of = |log: &str| {
        failed_command("apply", 100, log)
            .facts()
            .iter()
            .find(|(key, _)| *key == "holder")
            .map(|(_, v)| v.clone())
    };
    let busy: Vec<_> = SEEN
        .iter()
        .filter(|(_, kind)| *kind == ErrorKind::Busy)
        .map(|(log, _)| *log)
        .collect();
    assert_eq!(of(busy[0]).as_deref(), Some("apt-get (process 6968)"));
    assert_eq!(of(busy[3]).as_deref(), Some("process 6968"));
    assert_eq!(of(busy[1]), None);
    assert!(failed_command("apply", 100, busy[0]).is_retryable());
}

#[test]
fn what_no_rule_knows_keeps_the_last_line() {
    let error = failed_command("apply", 3, "one\ntwo\n\n");
    assert_eq!(error.kind(), ErrorKind::InstallFailed);
    assert_eq!(
        error.to_string(),
        "apply failed: expected status 0 but found 3 after \"two\""
    );
}

#[test]
fn every_phase_has_its_meaning() {
    fn check(phase: &str, rc: &str, ran: &str, why: &str, expect: Option<ErrorKind>) {
        let id = JobId::parse("op-1").unwrap();
        let header = format!(
            "PC1 op=op-1 phase={phase} rc={rc} ran={ran} pid=- jobboot=- boot=b size=0 up=1 now=1 base=primary why={why}\n"
        );
        let status = JobStatus::parse(&id, header.as_bytes()).unwrap();
        assert_eq!(
            failed_job("apply", &id, &status, "").map(|e| e.kind()),
            expect,
            "{header}"
        );
    }
    for phase in ["absent", "prepared", "claimed", "running"] {
        check(phase, "-", "no", "-", None);
    }
    check("done", "0", "yes", "-", None);
    check("done", "100", "yes", "-", Some(ErrorKind::InstallFailed));
    check("cancelled", "-", "no", "-", Some(ErrorKind::Cancelled));
    check("lost_reboot", "-", "yes", "-", Some(ErrorKind::LostReboot));
    check("lost_died", "-", "yes", "-", Some(ErrorKind::LostDied));
    check("lost_died", "-", "no", "-", Some(ErrorKind::LostDied));
    check("conflict", "-", "no", "-", Some(ErrorKind::ProviderFault));
    check("refused", "-", "no", "disk_full", Some(ErrorKind::DiskFull));
    check(
        "refused",
        "-",
        "no",
        "read_only",
        Some(ErrorKind::Unhealthy),
    );
    check("refused", "-", "no", "denied", Some(ErrorKind::AuthzDenied));
    check("refused", "-", "no", "io", Some(ErrorKind::Io));
}

#[test]
fn marked_lines_are_those_of_this_job() {
    let id = JobId::parse("op-1").unwrap();
    let log = "@patchcore op-1 armed bash amd64 5.2 aa\n@patchcore op-2 armed x\nx @patchcore op-1 drift\n@patchcore op-1 staged\n";
    let words: Vec<_> = marked(&id, log)
        .into_iter()
        .map(|m| (m.word, m.text))
        .collect();
    assert_eq!(
        words,
        [
            ("armed".to_owned(), "bash amd64 5.2 aa".to_owned()),
            ("staged".to_owned(), String::new())
        ]
    );
}

#[test]
fn kept_configuration_files_are_reported() {
    let log = "Configuration file '/etc/pc.conf'\n ==> Modified (by you or by a script) since installation.\n ==> Package distributor has shipped an updated version.\n ==> Keeping old config file as default.\n\
               Configuration file '/etc/new.conf'\n ==> Using new config file as default.\n";
    assert_eq!(kept_configuration(log), ["/etc/pc.conf"]);
}
