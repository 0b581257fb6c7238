//! Every fault is what its name says, and passes.

use std::time::{Duration, Instant};

use patchcore_testkit::peers::{
    debian_root::{Guest, Output},
    lab::{Breakage, GuestRecipe, Kind, Lab, Recipe},
};

use super::{PATIENCE, lab, log_in};

fn both_kinds() -> Recipe {
    Recipe::new()
        .with(GuestRecipe::new("bare", Kind::Bare))
        .with(GuestRecipe::new("unit", Kind::Systemd))
}

fn one() -> Option<Lab> {
    lab(Recipe::new().with(GuestRecipe::new("bare", Kind::Bare)))
}

fn apt(guest: &Guest, arguments: &[&str]) -> Output {
    let program = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-y",
        "-q",
    ];
    guest.run(program.iter().chain(arguments))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "real machines take real time")]
fn who_cannot_be_reached_is_reached_again_when_it_can() {
    let Some(lab) = lab(both_kinds()) else { return };
    for name in ["bare", "unit"] {
        let guest = lab.guest(name);
        let reached = || log_in(&lab, "op", name, "hostname");
        guest.stop_ssh();
        let refused = reached();
        assert!(refused.stderr.contains("Connection refused"), "{refused:?}");
        guest.start_ssh();
        assert_eq!(reached().ok(), format!("{name}\n"));

        guest.change_host_key();
        let refused = reached();
        assert!(
            refused
                .stderr
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
            "{refused:?}"
        );
        lab.trust_host_keys();
        assert_eq!(reached().ok(), format!("{name}\n"));
    }

    let guest = lab.guest("bare");
    let open = lab.guest("unit").spawn([
        "ssh", "-V", // The client is there, so that guests can be jump hosts.
    ]);
    assert!(open.wait().status.success());
    guest.unplug();
    let started = Instant::now();
    let refused = log_in(&lab, "op", "bare", "hostname");
    assert!(
        refused.stderr.contains("No route to host") || refused.stderr.contains("timed out"),
        "{refused:?}"
    );
    assert!(started.elapsed() > Duration::from_secs(2), "nobody said no");
    guest.power_cut();
    guest.power_on();
    assert!(!log_in(&lab, "op", "bare", "hostname").status.success());
    guest.plug_in();
    assert_eq!(log_in(&lab, "op", "bare", "hostname").ok(), "bare\n");
}

#[test]
fn a_repository_breaks_in_four_ways_and_mends() {
    let Some(lab) = one() else { return };
    let guest = lab.guest("bare");
    for (breakage, said) in [
        (Breakage::Refused, "Connection refused"),
        (Breakage::NotFound, "404  Not Found"),
        (Breakage::Garbage, "NOSPLIT"),
        (Breakage::WrongSignature, "BADSIG"),
    ] {
        lab.repository().break_by(breakage);
        let output = apt(guest, &["-o", "Acquire::Retries=0", "update"]);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains(said), "{breakage:?}: {text}");
        lab.repository().mend();
        let output = apt(guest, &["-o", "APT::Update::Error-Mode=any", "update"]);
        assert!(output.status.success(), "{breakage:?}: {output:?}");
    }
}

#[test]
fn the_same_version_can_have_other_content() {
    let Some(lab) = one() else { return };
    let guest = lab.guest("bare");
    let digest = || {
        apt(guest, &["-o", "APT::Update::Error-Mode=any", "update"]).ok();
        let shown = guest.run(["apt-cache", "show", "pc-hello=1.1-1"]).ok();
        let line = shown.lines().find(|line| line.starts_with("SHA256: "));
        line.unwrap().to_owned()
    };
    let before = digest();
    assert_eq!(digest(), before);
    lab.repository().replace("pc-hello", "1.1-1");
    assert_ne!(digest(), before);
    lab.repository().withdraw("pc-hello", "1.1-1");
    let gone = guest
        .script("apt-get -q update; apt-cache madison pc-hello", [])
        .ok();
    assert!(!gone.contains("1.1-1"), "{gone}");
}

#[test]
fn a_clock_is_wrong_by_years_for_all_that_starts() {
    let Some(lab) = lab(both_kinds()) else { return };
    for name in ["bare", "unit"] {
        let guest = lab.guest(name);
        let year = || {
            let text = log_in(&lab, "op", name, "date +%Y").ok();
            text.trim_end().parse::<i32>().unwrap()
        };
        let now = year();
        guest.set_clock_wrong(-3);
        assert_eq!(year(), now - 3, "{name}");
        let refused = apt(guest, &["-o", "APT::Update::Error-Mode=any", "update"]);
        assert!(refused.stderr.contains("not valid yet"), "{refused:?}");
        guest.set_clock_wrong(4);
        assert_eq!(year(), now + 4, "{name}");
        guest.set_clock_right();
        assert_eq!(year(), now, "{name}");
        apt(guest, &["-o", "APT::Update::Error-Mode=any", "update"]).ok();
    }
}

#[test]
fn a_full_disk_is_full_and_takes_no_memory() {
    let Some(lab) = lab(both_kinds()) else { return };
    for name in ["bare", "unit"] {
        let guest = lab.guest(name);
        guest.fill_disk();
        let refused = apt(guest, &["install", "pc-hello"]);
        assert!(
            refused.stderr.contains("No space left on device")
                || refused.stderr.contains("don't have enough free space"),
            "{refused:?}"
        );
        let free = guest.run(["df", "--output=avail", "/"]).ok();
        assert_eq!(free.lines().last().map(str::trim), Some("0"));
        guest.put("/run/space", "there is");
        guest.free_disk();
        apt(guest, &["install", "pc-hello"]).ok();
        assert_eq!(guest.versions(["pc-hello"])["pc-hello"], "1.1-1");
    }
}

#[test]
fn packages_are_held_up_broken_and_edited() {
    let Some(lab) = one() else { return };
    let guest = lab.guest("bare");

    let lock = guest.hold_dpkg_lock();
    let refused = apt(guest, &["install", "pc-hello"]);
    let held = "Could not get lock /var/lib/dpkg/lock-frontend. It is held by process";
    assert!(refused.stderr.contains(held), "{refused:?}");
    drop(lock);
    apt(guest, &["install", "pc-hello"]).ok();

    guest.break_package();
    let audit = guest.run(["dpkg", "--audit"]).ok();
    assert!(audit.contains("pc-badpost"), "{audit}");
    guest.mend_package();
    assert_eq!(guest.run(["dpkg", "--audit"]).ok(), "");

    guest.edit_conffile();
    let asked = apt(guest, &["install", "pc-conf"]);
    assert!(asked.stdout.contains("conffile prompt"), "{asked:?}");
}

#[test]
fn debians_own_patcher_is_at_work() {
    let Some(lab) = one() else { return };
    let guest = lab.guest("bare");
    let patcher = guest.start_unattended_upgrade(2);
    let refused = apt(guest, &["install", "pc-badpost"]);
    let held = "unattended-upgr";
    assert!(refused.stderr.contains(held), "{refused:?}");
    assert!(guest.wait_until(PATIENCE, |guest| {
        guest.dpkg_status("pc-slow") == "installed" && !guest.exists("/run/pc-slow.running")
    }));
    let output = patcher.wait().ok();
    assert!(output.contains("pc-slow"), "{output}");
    let installed = guest.versions(["pc-badpost", "pc-hello", "pc-slow"]);
    assert_eq!(installed["pc-badpost"], "1.0-1");
    assert_eq!(
        (&*installed["pc-hello"], &*installed["pc-slow"]),
        ("1.1-1", "1.1-1")
    );
}
