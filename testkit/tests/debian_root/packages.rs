//! What apt and dpkg do with the packages of the test repository.

use std::collections::BTreeSet;

use patchcore_testkit::peers::debian_root::Guest;

use super::{PATIENCE, apt, guest};

/// The names in the lines that start with a word, such as `Inst`.
fn names<'a>(simulated: &'a str, word: &str) -> BTreeSet<&'a str> {
    simulated
        .lines()
        .filter_map(|line| line.strip_prefix(word)?.split_whitespace().next())
        .collect()
}

#[test]
fn apt_sees_security_patches_holds_phasing_and_new_dependencies() {
    let Some(guest) = guest() else { return };
    let simulated = guest
        .run_as("nobody", ["apt-get", "-s", "dist-upgrade"])
        .ok();
    assert!(
        simulated
            .contains("\nInst pc-hello [1.0-1] (1.1-1 PatchCore-Security:12/pc-security [all])\n"),
        "{simulated}"
    );
    assert!(
        simulated.contains("\nInst pc-newdep (1.0-1 PatchCore-Security:12/pc-security [all])\n"),
        "{simulated}"
    );
    let all = [
        "libpc1",
        "pc-badpost",
        "pc-conf",
        "pc-hello",
        "pc-kernel",
        "pc-newdep",
        "pc-removed",
        "pc-slow",
    ];
    assert_eq!(names(&simulated, "Inst "), BTreeSet::from(all));
    assert!(
        simulated.contains("kept back:\n  pc-held pc-phased\n"),
        "{simulated}"
    );

    let simulated = guest.run(["apt-get", "-s", "upgrade"]).ok();
    assert!(
        simulated.contains("kept back:\n  pc-held pc-phased pc-removed\n"),
        "{simulated}"
    );

    guest.run(["rm", "/etc/machine-id"]).ok();
    let simulated = guest.run(["apt-get", "-s", "dist-upgrade"]).ok();
    assert!(
        names(&simulated, "Inst ").contains("pc-phased"),
        "{simulated}"
    );
    assert_eq!(guest.apt_history(), []);
}

#[test]
fn a_failing_postinst_leaves_its_package_half_configured_and_the_others_installed() {
    let Some(guest) = guest() else { return };
    let output = apt(&guest, &["install", "pc-badpost", "pc-hello"]);
    assert_eq!(output.code(), Some(100), "{output:?}");
    assert_eq!(guest.dpkg_status("pc-badpost"), "half-configured");
    let installed = guest.versions(["pc-badpost", "pc-hello", "pc-newdep"]);
    assert_eq!(
        installed.into_iter().collect::<Vec<_>>(),
        [("pc-hello".to_owned(), "1.1-1".to_owned())]
    );
    let history = guest.apt_history();
    assert_eq!(history.len(), 1);
    assert_eq!(
        history[0].error.as_deref(),
        Some("Sub-process /usr/bin/dpkg returned an error code (1)")
    );

    guest.put("/etc/pc-badpost.ok", "");
    guest.run(["dpkg", "--configure", "-a"]).ok();
    assert_eq!(guest.versions(["pc-badpost"])["pc-badpost"], "1.1-1");
}

#[test]
fn the_repository_can_change_while_a_guest_runs() {
    let Some(guest) = guest() else { return };
    let madison = |guest: &Guest| {
        apt(guest, &["update"]).ok();
        let text = guest.run(["apt-cache", "madison", "pc-hello"]).ok();
        text.lines()
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect::<Vec<_>>()
    };
    guest.repository().publish("pc-hello", "1.2-1");
    let simulated = guest.run(["apt-get", "-s", "dist-upgrade"]).ok();
    assert!(
        simulated.contains("Inst pc-hello [1.0-1] (1.1-1 "),
        "apt was not refreshed yet: {simulated}"
    );
    assert_eq!(madison(&guest), ["1.2-1", "1.1-1", "1.0-1"]);
    apt(&guest, &["install", "pc-hello"]).ok();
    apt(&guest, &["--allow-downgrades", "install", "pc-hello=1.0-1"]).ok();
    let changes: Vec<_> = guest
        .apt_history()
        .into_iter()
        .flat_map(|t| t.changes)
        .collect();
    let seen: Vec<_> = changes
        .iter()
        .map(|c| (&*c.action, c.from.as_deref(), c.to.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("Upgrade", Some("1.0-1"), Some("1.2-1")),
            ("Downgrade", Some("1.2-1"), Some("1.0-1"))
        ]
    );

    guest.repository().withdraw("pc-hello", "1.0-1");
    guest.repository().withdraw("pc-hello", "1.2-1");
    // The installed version is listed only as long as someone offers it.
    assert_eq!(madison(&guest), ["1.1-1"]);

    assert_eq!(
        names(&guest.run(["apt-get", "-s", "dist-upgrade"]).ok(), "Remv "),
        BTreeSet::new()
    );
    guest.repository().publish("pc-conflict", "1.1-1");
    apt(&guest, &["update"]).ok();
    let simulated = guest.run(["apt-get", "-s", "dist-upgrade"]).ok();
    assert_eq!(names(&simulated, "Remv "), BTreeSet::from(["pc-victim"]));
}

#[test]
fn a_forged_repository_is_refused() {
    let Some(guest) = guest() else { return };
    let release = "/srv/patchcore/repo/dists/pc-security/InRelease";
    let text = guest.read_text(release);
    guest.put(release, text.replace("Version: 12", "Version: 13"));
    let output = apt(&guest, &["-o", "APT::Update::Error-Mode=any", "update"]);
    assert_eq!(output.code(), Some(100), "{output:?}");
    assert!(output.stderr.contains("BADSIG"), "{output:?}");
}

#[test]
fn an_edited_conffile_is_asked_about() {
    let Some(guest) = guest() else { return };
    guest.put("/etc/pc-conf/pc-conf.conf", "answer=43\n");
    let output = apt(&guest, &["install", "pc-conf"]);
    assert_eq!(output.code(), Some(100));
    assert!(
        output
            .stdout
            .contains("end of file on stdin at conffile prompt"),
        "{output:?}"
    );
    assert_eq!(guest.dpkg_status("pc-conf"), "unpacked");
}

#[test]
fn a_patched_library_leaves_a_deleted_mapping_in_its_daemon() {
    let Some(guest) = guest() else { return };
    let _daemon = guest.spawn(["pc-daemon"]);
    let mapped = |guest: &Guest| {
        let script =
            r#"pid=$(pgrep -x pc-daemon) && grep -F /usr/lib/libpc.so.1 "/proc/$pid/maps""#;
        guest.script(script, []).stdout
    };
    assert!(
        guest.wait_until(PATIENCE, |guest| mapped(guest).contains("r-xp")),
        "{}",
        mapped(&guest)
    );
    assert!(!mapped(&guest).contains("(deleted)"));
    apt(&guest, &["install", "libpc1"]).ok();
    assert!(
        mapped(&guest)
            .lines()
            .all(|line| line.ends_with("/usr/lib/libpc.so.1 (deleted)"))
    );
    assert!(mapped(&guest).contains("r-xp"));
}
