use proptest::prelude::*;

use super::*;

/// What a real scan of an installation with one package of each difficulty answered.
const REAL: &str = include_str!("../../../tests/fixtures/scan-states.txt");
const ID: &str = "fixture";

fn scan(text: &str) -> Result<AptScan> {
    AptScan::parse(ID, text.as_bytes())
}

/// The recorded answer with one section's text replaced.
fn with(section: &str, text: &str) -> String {
    let begin = format!("@{ID} begin {section}\n");
    let start = REAL.find(&begin).unwrap() + begin.len();
    let end = start
        + REAL[start..]
            .find(&format!("\n@{ID} end {section} "))
            .unwrap();
    format!("{}{text}{}", &REAL[..start], &REAL[end..])
}

#[test]
fn a_recorded_scan_is_read_whole() {
    let scan = scan(REAL).unwrap();
    assert_eq!(
        (
            scan.facts.os_id.as_str(),
            scan.facts.os_version.as_deref(),
            scan.facts.node.as_str()
        ),
        ("debian", Some("12"), "web-1")
    );
    let upgrades = scan.upgrades.unwrap();
    let new: Vec<_> = upgrades
        .pending
        .iter()
        .filter(|p| p.new_dependency)
        .map(|p| (p.name.as_str(), p.pulled_in_by[0].as_str()))
        .collect();
    assert_eq!(new, [("pc-newdep", "pc-removed")]);
    assert_eq!(upgrades.kept_back[0].reason, KeptBackReason::Held);
    assert_eq!(
        upgrades.kept_back[1].reason,
        KeptBackReason::Phased { percent: Some(0) }
    );
    assert_eq!(
        scan.disks,
        [Disk {
            mount: "/".to_owned(),
            free: 500 * 1024
        }]
    );
    assert!(
        scan.unhealthy.is_empty()
            && scan.locks.is_empty()
            && !scan.reboot.is_due()
            && !scan.unattended.enabled
    );
}

#[test]
fn a_plan_that_apt_cannot_make_is_unknown_and_not_empty() {
    let broken = with("dist_upgrade", "E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).\n")
        .replace(&format!("@{ID} end dist_upgrade 0"), &format!("@{ID} end dist_upgrade 100"));
    let found = scan(&broken).unwrap();
    assert_eq!(found.upgrades.unwrap_err().kind, ErrorKind::Unhealthy);
}

#[test]
fn what_is_missing_or_changed_in_between_is_an_error() {
    fn check(text: &str, kind: ErrorKind, expect: &str) {
        let error = scan(text).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    }
    let changed = REAL.replacen("pc-conf\tall\t1.0-1", "pc-conf\tall\t1.1-1", 1);
    assert_ne!(changed, REAL);
    check(
        &changed,
        ErrorKind::Busy,
        "pc-conf: the packages changed while they were read: expected 1.0-1 as apt says",
    );
    for section in [
        "facts",
        "installed",
        "dist_upgrade",
        "audit",
        "locks",
        "reboot",
        "lists",
        "jobs",
        "disk",
        "interrupted",
    ] {
        let lost = REAL
            .replace(&format!("begin {section}"), "begin x")
            .replace(&format!("end {section}"), "end x");
        check(
            &lost,
            ErrorKind::ProviderFault,
            &format!("expected section {section}"),
        );
    }
    check(
        &with("os_release", "NAME=x\n"),
        ErrorKind::ProviderFault,
        "ID= in section os_release",
    );
    check(
        &with("reboot", "maybe\n"),
        ErrorKind::ProviderFault,
        "required in section reboot but found \"maybe\"",
    );
    check(
        &with("jobs", "op-1 perhaps\n"),
        ErrorKind::ProviderFault,
        "ID claimed or ID prepared",
    );
    check(
        &with("locks", "/var/lib/dpkg/lock 1\n"),
        ErrorKind::ProviderFault,
        "PATH DEVICE DEVICE PID START NAME",
    );
    check(
        &with("deleted", "12 sshd\n"),
        ErrorKind::ProviderFault,
        "PID UNIT NAME PATH",
    );
}

#[test]
fn locks_jobs_and_stale_processes_are_read() {
    // 65024 is device fe:00; the second line is another file system with the same inode.
    let text = with(
        "locks",
        "/var/lib/dpkg/lock-frontend 65024 fe:00 6968 100 apt-get\n/var/lib/dpkg/lock 65024 08:01 77 100 mysqld\n/var/lib/dpkg/lock 40 00:2e 78 100 dpkg\n",
    );
    let found = scan(&text).unwrap().locks;
    let found: Vec<_> = found
        .iter()
        .map(|l| (l.pid, l.command.as_deref()))
        .collect();
    assert_eq!(
        found,
        [(Some(6968), Some("apt-get")), (Some(78), Some("dpkg"))]
    );

    let found = scan(&with("jobs", "op-1 claimed\nop-2 prepared\n"))
        .unwrap()
        .open_jobs;
    assert_eq!(
        found,
        OpenJobs::Listed(vec![("op-1".to_owned(), true), ("op-2".to_owned(), false)])
    );
    assert_eq!(
        scan(&with("jobs", "denied\n")).unwrap().open_jobs,
        OpenJobs::Hidden
    );

    let found = scan(&with(
        "deleted",
        "12\tssh.service\tsshd\t/usr/lib/libpc.so.1\n13\t-\tx y\t/opt/a b\n",
    ))
    .unwrap()
    .stale;
    assert_eq!(
        (
            found[0].unit.as_deref(),
            found[1].unit.as_deref(),
            found[1].path.as_str()
        ),
        (Some("ssh.service"), None, "/opt/a b")
    );

    let found = scan(&with(
        "reboot",
        "required\nlinux-image-6.1.0-29-amd64\ndbus\ndbus\n",
    ))
    .unwrap()
    .reboot;
    assert_eq!((found.required, found.packages.len()), (true, 2));
    assert!(
        scan(&with("unattended", "tool yes\nperiodic 1\ntimer yes\n"))
            .unwrap()
            .unattended
            .enabled
    );
}

#[test]
fn a_newer_kernel_asks_for_a_restart() {
    fn check(images: &[(&str, &str)], expect: Option<&str>) {
        let lines: String = images.iter().map(|(release, version)| format!("linux-image-{release}\tamd64\t{version}\tinstall\tinstalled\tok\t\tlinux-signed-amd64\t{version}\n")).collect();
        let begin = format!("@{ID} begin installed\n");
        let text = REAL.replace(&begin, &format!("{begin}{lines}"));
        assert_eq!(
            scan(&text).unwrap().reboot.newer_kernel.as_deref(),
            expect,
            "{images:?}"
        );
    }
    // The recorded machine runs 6.1.0-28-amd64, built as 6.1.119-1.
    let running = ("6.1.0-28-amd64", "6.1.119-1");
    check(&[], None);
    check(&[running], None);
    check(
        &[
            running,
            ("6.1.0-9-amd64", "6.1.27-1"),
            ("amd64", "6.1.119-1"),
        ],
        None,
    );
    check(
        &[running, ("6.1.0-29-amd64", "6.1.123-1")],
        Some("6.1.0-29-amd64 (6.1.123-1)"),
    );
    check(&[running, ("6.1.0-29-cloud-amd64", "6.1.123-1")], None);
    check(
        &[("6.1.0-28-amd64", "6.1.120-1")],
        Some("6.1.0-28-amd64 (6.1.120-1)"),
    );
}

#[test]
fn the_class_is_that_of_the_repositories() {
    fn check(origins: &[(&str, &str)], expect: Class) {
        let origins: Vec<_> = origins
            .iter()
            .map(|(label, suite)| Origin {
                label: Some((*label).to_owned()),
                version: None,
                suite: (*suite).to_owned(),
            })
            .collect();
        assert_eq!(class(&origins, "debian"), expect, "{origins:?}");
    }
    check(
        &[
            ("Debian", "oldstable"),
            ("Debian-Security", "oldstable-security"),
        ],
        Class::Security,
    );
    check(&[("Debian-Security", "stable")], Class::Security);
    check(&[("Ubuntu", "jammy-security")], Class::Security);
    check(&[("Debian", "stable-updates")], Class::Bugfix);
    check(&[("Debian", "bookworm-backports")], Class::Other);
    check(&[("Google", "stable")], Class::Other);
    check(&[], Class::Other);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(noise: Vec<u8>, at in 0..REAL.len(), text in ".{0,4}", lost in 0usize..20) {
        let _ = AptScan::parse(ID, &noise);
        if REAL.is_char_boundary(at) {
            let end = ((at + lost).min(REAL.len())..=REAL.len()).find(|e| REAL.is_char_boundary(*e)).unwrap_or(REAL.len());
            let _ = AptScan::parse(ID, format!("{}{text}{}", &REAL[..at], &REAL[end..]).as_bytes());
        }
    }
}
