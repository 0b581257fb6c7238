//! The throw-away Debian behaves as the tests that stand on it assume.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::{
    debian_root::{Base, DebianRoot, Guest},
    need,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn base() -> Option<Base> {
    need(DebianRoot::base())
}

fn guest() -> Option<Guest> {
    base().map(|base| base.guest())
}

/// The names in the lines that start with a word, such as `Inst`.
fn names<'a>(simulated: &'a str, word: &str) -> BTreeSet<&'a str> {
    simulated
        .lines()
        .filter_map(|line| line.strip_prefix(word)?.split_whitespace().next())
        .collect()
}

fn apt(guest: &Guest, arguments: &[&str]) -> patchcore_testkit::peers::debian_root::Output {
    let program = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"];
    guest.run(program.iter().chain(arguments))
}

/// Every process of this machine that belongs to a guest or that still sees one of its mounts.
#[expect(clippy::unwrap_used, reason = "a test's own looking glass")]
fn traces(host_name: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-';
    let mentions = |file: String| {
        fs::read(file).is_ok_and(|text| {
            String::from_utf8_lossy(&text)
                .split(|c| !is_part(c))
                .any(|word| word == host_name)
        })
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|pid| pid.bytes().all(|b| b.is_ascii_digit()))
        .filter(|pid| {
            ["mountinfo", "cmdline"]
                .into_iter()
                .any(|file| mentions(format!("/proc/{pid}/{file}")))
        })
        .map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!(
                "{pid} {}",
                String::from_utf8_lossy(&command).replace('\0', " ")
            )
        })
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
    let Some(mut guest) = guest() else { return };
    let (boot, machine) = (guest.boot_id(), guest.read_text("/etc/machine-id"));
    apt(&guest, &["install", "pc-kernel"]).ok();
    assert_eq!(guest.read_text("/run/reboot-required.pkgs"), "pc-kernel\n");
    let mut apt_get = guest.spawn(["apt-get", "-y", "install", "pc-slow"]);
    assert!(guest.wait_until(PATIENCE, |guest| guest.exists("/run/pc-slow.running")));

    guest.power_cut();
    assert!(!apt_get.is_running());
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
fn nothing_is_left_of_a_dropped_guest() {
    let Some(guest) = guest() else { return };
    let name = guest.host_name().to_owned();
    let sleep = guest.spawn(["sleep", "1000"]);
    guest
        .script("setsid -f sleep 1000 >/dev/null 2>&1", [])
        .ok();
    assert!(traces(&name).len() > 4, "{:?}", traces(&name));
    drop(guest);
    // The command's own `nsenter` ends by itself, a moment after the command.
    drop(sleep);
    assert_eq!(traces(&name), [""; 0]);
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "started by nothing_is_left_when_the_test_process_is_killed"]
fn hold_a_guest_until_killed() {
    if env::var_os("PATCHCORE_HOLD_A_GUEST").is_none() {
        return;
    }
    // A thread that ends, because what a guest hangs on is the process and not the thread.
    let guest = thread::scope(|scope| scope.spawn(guest).join().unwrap()).unwrap();
    let _sleep = guest.spawn(["sleep", "1000"]);
    guest
        .script("setsid -f sleep 1000 >/dev/null 2>&1", [])
        .ok();
    eprintln!("holding {}", guest.host_name());
    loop {
        thread::park();
    }
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() {
    if base().is_none() {
        return;
    }
    let mut holder = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "hold_a_guest_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("PATCHCORE_HOLD_A_GUEST", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stderr.take().unwrap()).lines();
    let name = said
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("holding ").map(str::to_owned))
        .unwrap();
    assert!(traces(&name).len() > 4, "{:?}", traces(&name));
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The kernel ends the guest by itself, soon and not at once.
    for _ in 0..1000 {
        if traces(&name).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(traces(&name), [""; 0]);
}
