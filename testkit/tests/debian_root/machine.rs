//! A guest is a machine of its own.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use super::{PATIENCE, apt, base, guest};

#[test]
fn a_command_can_be_killed_in_the_middle() {
    let Some(guest) = guest() else { return };
    guest.put("/etc/pc-slow.seconds", "1000\n");
    let mut apt_get = guest.spawn(["apt-get", "-y", "install", "pc-slow"]);
    assert!(guest.wait_until(PATIENCE, |guest| guest.exists("/run/pc-slow.running")));
    assert!(apt_get.is_running());
    let command = fs::read(format!("/proc/{}/cmdline", apt_get.pid())).unwrap();
    assert_eq!(command, b"apt-get\0-y\0install\0pc-slow\0");
    // dpkg and the postinst hold apt's output open, so they have to go for it to end.
    guest.run(["pkill", "-KILL", "-x", "dpkg|sleep"]).ok();
    let output = apt_get.kill9();
    assert!(
        output.status.signal() == Some(9) || output.code() == Some(100),
        "{output:?}"
    );
    assert_eq!(guest.dpkg_status("pc-slow"), "half-configured");

    let sleep = guest.spawn_as("op", ["sleep", "1000"]);
    assert_eq!(sleep.kill9().status.signal(), Some(9));
    let quick = guest.spawn(["sh", "-c", "echo said; exit 3"]).wait();
    assert_eq!((quick.code(), &*quick.stdout), (Some(3), "said\n"));
}

#[test]
fn a_power_cut_keeps_the_disk_and_nothing_else() {
    let Some(guest) = guest() else { return };
    let (boot, machine) = (guest.boot_id(), guest.read_text("/etc/machine-id"));
    apt(&guest, &["install", "pc-kernel"]).ok();
    assert_eq!(guest.read_text("/run/reboot-required.pkgs"), "pc-kernel\n");
    let apt_get = guest.spawn(["apt-get", "-y", "install", "pc-slow"]);
    assert!(guest.wait_until(PATIENCE, |guest| guest.exists("/run/pc-slow.running")));

    guest.power_cut();
    assert_eq!(apt_get.wait().status.signal(), Some(9));
    assert_eq!(guest.pid(), None);
    guest.power_on();

    assert_ne!(guest.boot_id(), boot);
    assert_eq!(guest.boot_id().len(), 36);
    assert_eq!(guest.read_text("/etc/machine-id"), machine);
    assert!(!guest.exists("/run/reboot-required") && !guest.exists("/run/pc-slow.running"));
    assert_eq!(guest.versions(["pc-kernel"])["pc-kernel"], "1.1-1");
    assert_eq!(guest.dpkg_status("pc-slow"), "half-configured");
    let history = guest.apt_history();
    assert_eq!(
        (history.len(), history[1].ended, history[1].error.clone()),
        (2, None, None)
    );
    guest.put("/etc/pc-slow.seconds", "0\n");
    guest.run(["dpkg", "--configure", "-a"]).ok();
    assert_eq!(guest.versions(["pc-slow"])["pc-slow"], "1.1-1");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "real machines start in real time"
)]
fn guests_are_independent_machines() {
    let Some(base) = base() else { return };
    let started = Instant::now();
    let (one, two) = (base.guest(), base.guest());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_ne!(one.boot_id(), two.boot_id());
    assert_ne!(
        one.read_text("/etc/machine-id"),
        two.read_text("/etc/machine-id")
    );
    assert_eq!(one.read_text("/etc/machine-id").trim_end().len(), 32);
    assert_eq!(one.run(["hostname"]).ok().trim_end(), one.host_name());
    assert_ne!(one.host_name(), two.host_name());

    apt(&one, &["install", "pc-hello"]).ok();
    one.put("/etc/only/here", "yes");
    one.repository().publish("pc-hello", "1.2-1");
    apt(&two, &["update"]).ok();
    assert_eq!(two.versions(["pc-hello"])["pc-hello"], "1.0-1");
    assert_eq!(two.read("/etc/only/here"), None);
    assert!(
        !two.run(["apt-cache", "madison", "pc-hello"])
            .ok()
            .contains("1.2-1")
    );
    assert!(!base.tree().join("etc/only").exists());
    let processes = two.run(["ps", "-e", "-o", "comm="]).ok();
    assert_eq!(processes.lines().collect::<Vec<_>>(), ["tini", "cat", "ps"]);
    let network = two.run(["ip", "-br", "-4", "address"]).ok();
    assert_eq!(
        network.split_whitespace().collect::<Vec<_>>(),
        ["lo", "UNKNOWN", "127.0.0.1/8"]
    );
}

#[test]
fn users_have_the_rights_that_their_names_promise() {
    let Some(guest) = guest() else { return };
    let id = |user: &str| {
        guest
            .run_as(user, ["sh", "-c", "id -un; id -Gn; echo $HOME"])
            .ok()
    };
    assert_eq!(id("root"), "root\nroot\n/root\n");
    assert_eq!(id("op"), "op\nop adm\n/home/op\n");
    assert_eq!(id("nobody"), "nobody\nnogroup\n/nonexistent\n");
    assert_eq!(guest.run_as("op", ["sudo", "-n", "id", "-u"]).ok(), "0\n");
    assert_eq!(
        guest.run_as("nobody", ["sudo", "-n", "id", "-u"]).code(),
        Some(1)
    );
    assert_eq!(
        guest
            .run_as("nobody", ["apt-get", "-y", "install", "pc-hello"])
            .code(),
        Some(100)
    );
    assert_eq!(guest.run_as("absent", ["true"]).code(), Some(125));

    let environment = guest.run(["env"]).ok();
    let variables: BTreeSet<_> = environment
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(
        variables,
        BTreeSet::from(["HOME", "LANG", "LOGNAME", "PATH", "PWD", "USER"])
    );
}

#[test]
fn files_and_programs_of_the_test_get_in_and_out() {
    let Some(guest) = guest() else { return };
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    guest.put("/opt/a directory/it's $HOME", &bytes);
    assert_eq!(
        guest.read("/opt/a directory/it's $HOME").as_deref(),
        Some(&*bytes)
    );
    let said = guest
        .script("printf '%s|' \"$@\"", ["a b", "$(id)", "'"])
        .ok();
    assert_eq!(said, "a b|$(id)|'|");

    let path = guest.copy_in(env::current_exe().unwrap());
    let listed = guest.run_as("op", [&*path, "--list"]).ok();
    assert!(
        listed.contains("files_and_programs_of_the_test_get_in_and_out: test"),
        "{listed}"
    );
}

#[test]
fn the_machine_below_cannot_be_changed_by_accident() {
    let Some(base) = base() else { return };
    let guest = base.guest();
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let same_again =
        "file=/proc/sys/kernel/core_pattern; value=$(cat $file); echo \"$value\" >$file";
    let refused = guest.script(same_again, []);
    assert!(
        refused.stderr.contains("Read-only file system"),
        "{refused:?}"
    );
    guest.run(["hostname", "other"]).ok();
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        before
    );
    assert!(
        !guest.exists(&base.tree().display().to_string()),
        "the file system of the machine is not there"
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(guest.host_name()), "{mounts}");
}

#[test]
fn a_command_for_a_guest_that_went_down_runs_nowhere() {
    let Some(guest) = guest() else { return };
    let pid = guest.pid().unwrap();
    // Its init waits for this one process, which is there a moment after the guest answers.
    assert!(guest.wait_until(PATIENCE, |guest| {
        guest.script("pkill -KILL -x cat", []);
        !fs::exists(format!("/proc/{pid}/root/")).unwrap()
    }));
    let marker = env::temp_dir().join(guest.host_name());
    let output = guest.run(["touch", &*marker.to_string_lossy()]);
    assert!(!output.status.success(), "{output:?}");
    assert!(!marker.exists());
}
