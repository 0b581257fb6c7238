//! The example `this_machine` on a throw-away Debian with real apt and dpkg: what it plans is what apt itself
//! would do, a kill at any moment changes nothing about the outcome, and what goes wrong is undone or said.

#![expect(clippy::panic, reason = "the functions around the tests are tests too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore_testkit::peers::{
    debian_root::{Base, Child, DebianRoot, Guest, Output},
    need,
};

const JOURNAL: &str = "/var/lib/patchcore/this_machine.db";

/// The same question, asked and read by other means.
const AWK: &str = r#"apt-get -s -o Debug::NoLocking=1 dist-upgrade | awk '/^Inst /{n=$2; sub(/:.*/,"",n); v=($3 ~ /^\[/) ? $4 : $3; sub(/^\(/,"",v); print n, v}'"#;

/// Takes the lock of dpkg as apt does, by fcntl(2).
const LOCK: &str = "use Fcntl; open(my $f, '+>', '/var/lib/dpkg/lock-frontend'); my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; open(my $r, '>', '/run/locked'); sleep 3600;";

/// The packages that have something newer and may have it.
const NAMES: [&str; 8] = [
    "libpc1",
    "pc-badpost",
    "pc-conf",
    "pc-hello",
    "pc-kernel",
    "pc-newdep",
    "pc-removed",
    "pc-slow",
];

const PATIENCE: Duration = Duration::from_secs(120);

struct Machine {
    guest: Guest,
    program: String,
}

/// A machine with packages on hold, phased, and with a new dependency.
fn machine(base: &Base) -> Machine {
    let guest = base.guest();
    let program = guest.copy_in(env!("CARGO_BIN_EXE_this-machine"));
    // apt draws a number from 0 to 100 by the machine id, so that one machine in a hundred is in a phase of 0 %.
    guest.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    guest.run(["apt-get", "-qq", "update"]).ok();
    Machine { guest, program }
}

/// One on which everything goes in.
fn mended(base: &Base) -> Machine {
    let machine = machine(base);
    machine.guest.put("/etc/pc-badpost.ok", "");
    machine.guest.put("/etc/pc-slow.seconds", "2\n");
    machine
}

impl Machine {
    fn apply(&self) -> Output {
        self.guest.run([&*self.program, "--apply"])
    }

    fn start(&self) -> Child {
        self.guest.spawn([&*self.program, "--apply"])
    }

    fn versions(&self) -> BTreeMap<String, String> {
        self.guest.versions(NAMES)
    }

    /// What apt did to packages: every run of it that reached dpkg, by action and name.
    fn history(&self) -> Vec<Vec<String>> {
        self.guest
            .apt_history()
            .iter()
            .filter(|t| !t.changes.is_empty())
            .map(|t| {
                let mut all: Vec<String> = t
                    .changes
                    .iter()
                    .map(|c| format!("{} {}", c.action, c.name))
                    .collect();
                all.sort();
                all
            })
            .collect()
    }

    /// How many jobs were ever made on it.
    fn jobs(&self) -> usize {
        let list = self.guest.script("ls -d /var/lib/patchcore/jobs/op-*", []);
        list.stdout.lines().count()
    }

    /// The shell's answer to whether something is so.
    fn is(&self, script: &str) -> bool {
        self.guest.script(script, []).status.success()
    }
}

/// `NAME VERSION` of every change that a plan names in full.
fn planned(output: &str) -> BTreeSet<String> {
    output
        .lines()
        .skip_while(|l| !l.ends_with(" in full"))
        .filter(|l| l.starts_with("  "))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [name, _, "→", to, _] => format!("{name} {to}"),
                [name, to, "(new)", _] => format!("{name} {to}"),
                _ => panic!("not understood: {line:?}"),
            }
        })
        .collect()
}

fn all_at(version: impl Fn(&str) -> Option<&'static str>) -> BTreeMap<String, String> {
    NAMES
        .iter()
        .filter_map(|n| Some(((*n).to_owned(), version(n)?.to_owned())))
        .collect()
}

fn patched() -> BTreeMap<String, String> {
    all_at(|name| {
        Some(if name == "pc-newdep" {
            "1.0-1"
        } else {
            "1.1-1"
        })
    })
}

fn as_it_was() -> BTreeMap<String, String> {
    all_at(|name| (name != "pc-newdep").then_some("1.0-1"))
}

fn one_transaction() -> Vec<Vec<String>> {
    let mut all: Vec<String> = NAMES
        .iter()
        .map(|n| {
            format!(
                "{} {n}",
                if *n == "pc-newdep" {
                    "Install"
                } else {
                    "Upgrade"
                }
            )
        })
        .collect();
    all.sort();
    vec![all]
}

#[test]
fn the_plan_is_what_apt_itself_would_do_and_planning_leaves_no_trace() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = machine(&base);
    let expected: BTreeSet<String> = it
        .guest
        .run_as("op", ["sh", "-c", AWK])
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(expected.len() >= 8, "{expected:?}");
    // A stamp whose second is over, so that no write can share it.
    it.guest.script("touch /tmp/stamp; sleep 1.1", []).ok();
    let output = it.guest.run_as("op", [&*it.program]);
    let changed = it
        .guest
        .run(["find", "/", "-xdev", "-newer", "/tmp/stamp"])
        .ok();
    assert_eq!(changed, "");
    let text = output.ok();
    println!("{text}");
    assert_eq!(planned(&text), expected, "{text}");
    for line in [
        "pc-held 1.0-1 → 1.1-1: kept back, held: somebody set it on hold",
        "pc-phased 1.0-1 → 1.1-1: kept back, phased: the vendor's rollout is at 0 %",
        "package lists of linux are ",
        "1 found = 1 planned",
        "nothing was changed",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn applying_needs_root_and_words_that_are_known() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = machine(&base);
    let refused = it.guest.run_as("op", [&*it.program, "--apply"]);
    assert_eq!(refused.code(), Some(2));
    assert!(
        refused.stderr.starts_with("--apply needs root") && refused.stdout.is_empty(),
        "{refused:?}"
    );
    for (words, why) in [
        (&["--aply"][..], "\"--aply\" is not known"),
        (&["--take", "some"], "--take some is not known"),
        (&["--journal"], "--journal needs a value"),
    ] {
        let refused = it.guest.run([&*it.program].iter().chain(words));
        assert_eq!(refused.code(), Some(2));
        assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
    }
    assert!(!it.guest.exists("/var/lib/patchcore"));
}

#[test]
fn apply_puts_in_exactly_the_plan_in_one_transaction() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = mended(&base);
    let output = it.apply();
    println!("{}", output.stdout);
    assert_eq!(output.code(), Some(0), "{output:?}");
    assert_eq!(it.versions(), patched());
    assert_eq!(it.history(), one_transaction());
    assert_eq!(it.jobs(), 3, "stage, apply, discard");
    assert!(
        output
            .stdout
            .contains("approved by operator: whoever typed --apply"),
        "{}",
        output.stdout
    );
    let again = it.apply();
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert!(planned(&again.stdout).is_empty(), "{}", again.stdout);
    assert_eq!(it.history(), one_transaction());
    // What was kept for the way back is given back.
    assert!(!it.is("ls -d /var/lib/patchcore/rollback/*"));
}

/// A moment at which the program is killed: when this is so in the guest.
const MOMENTS: [(&str, &str); 7] = [
    (
        "when its journal is there",
        "[ -s /var/lib/patchcore/this_machine.db ]",
    ),
    (
        "when the first job is there",
        "ls -d /var/lib/patchcore/jobs/op-*",
    ),
    (
        "while old packages are kept",
        "ls /var/lib/patchcore/rollback/op-*/*.deb",
    ),
    ("when staging is over", "ls /var/lib/patchcore/jobs/op-*/rc"),
    (
        "right after apply began",
        "[ \"$(ls -d /var/lib/patchcore/jobs/op-*/claim | wc -l)\" -ge 2 ]",
    ),
    ("in the middle of apt", "[ -e /run/pc-slow.running ]"),
    (
        "while it verifies",
        "[ \"$(ls /var/lib/patchcore/jobs/op-*/rc | wc -l)\" -ge 2 ]",
    ),
];

fn killed(nth: usize) {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let (moment, holds) = MOMENTS[nth];
    let it = mended(&base);
    let mut child = it.start();
    while child.is_running() && !it.is(holds) {}
    assert!(child.is_running(), "{moment}: it was over before");
    let first = child.kill9();
    assert_eq!(first.code(), None, "{moment}: {first:?}");
    let second = it.apply();
    println!("killed {moment}\n{}", second.stdout);
    assert_eq!(second.code(), Some(0), "{moment}: {second:?}");
    assert_eq!(it.versions(), patched(), "{moment}");
    assert_eq!(it.history(), one_transaction(), "{moment}");
    assert_eq!(it.jobs(), 3, "{moment}: it began something anew");
    assert!(!it.is("ls -d /var/lib/patchcore/rollback/*"), "{moment}");
}

#[test]
fn killed_when_its_journal_is_there() {
    killed(0);
}

#[test]
fn killed_when_the_first_job_is_there() {
    killed(1);
}

#[test]
fn killed_while_old_packages_are_kept() {
    killed(2);
}

#[test]
fn killed_when_staging_is_over() {
    killed(3);
}

#[test]
fn killed_right_after_apply_began() {
    killed(4);
}

#[test]
fn killed_in_the_middle_of_apt() {
    killed(5);
}

#[test]
fn killed_while_it_verifies() {
    killed(6);
}

#[test]
fn a_package_that_fails_is_rolled_back_and_left_out_of_the_next_plan() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = machine(&base);
    it.guest.put("/etc/pc-slow.seconds", "1\n");
    let before = it.guest.script("dpkg-query -W", []).ok();
    let first = it.apply();
    println!("{}", first.stdout);
    assert_eq!(first.code(), Some(1), "{first:?}");
    assert_eq!(it.guest.script("dpkg-query -W", []).ok(), before);
    assert_eq!(it.versions(), as_it_was());
    assert_eq!(it.guest.dpkg_status("pc-badpost"), "installed");
    assert!(
        first.stdout.contains(
            "pc-badpost failed: found \"installed pc-badpost package post-installation script"
        ),
        "{}",
        first.stdout
    );

    let second = it.apply();
    println!("{}", second.stdout);
    assert_eq!(second.code(), Some(0), "{second:?}");
    assert!(
        second
            .stdout
            .contains("pc-badpost 1.0-1 → 1.1-1: on the deny-list"),
        "{}",
        second.stdout
    );
    let mut expected = patched();
    expected.insert("pc-badpost".to_owned(), "1.0-1".to_owned());
    assert_eq!(it.versions(), expected);
}

/// Holds the lock of dpkg until it is told to stop.
fn lock(it: &Machine) -> Child {
    let holder = it.guest.spawn(["perl", "-e", LOCK]);
    assert!(it.guest.wait_until(PATIENCE, |g| g.exists("/run/locked")));
    holder
}

#[test]
fn a_lock_is_waited_for_and_its_holder_is_named() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = mended(&base);
    let holder = lock(&it);
    let child = it.start();
    assert!(it.guest.wait_until(PATIENCE, |g| g.exists(JOURNAL)));
    it.guest.run(["sleep", "6"]).ok();
    assert_eq!(it.versions(), as_it_was());
    assert!(
        !it.is("ls -d /var/lib/patchcore/jobs/op-*"),
        "it began under a lock"
    );
    drop(holder);
    let output = child.wait();
    println!("{}", output.stdout);
    assert_eq!(output.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.contains("dpkg is locked by perl (pid "),
        "{}",
        output.stdout
    );
    assert_eq!(
        (it.versions(), it.history()),
        (patched(), one_transaction())
    );
}

#[test]
fn a_repository_that_changed_after_the_approval_is_drift_and_changes_nothing() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = mended(&base);
    let holder = lock(&it);
    let child = it.start();
    // The plan is approved, and waits for the lock.
    assert!(it.guest.wait_until(PATIENCE, |g| g.exists(JOURNAL)));
    it.guest.run(["sleep", "3"]).ok();
    it.guest.repository().withdraw("pc-hello", "1.1-1");
    it.guest.repository().publish("pc-hello", "1.2-1");
    it.guest.run(["apt-get", "-qq", "update"]).ok();
    drop(holder);
    let output = child.wait();
    println!("{}", output.stdout);
    assert_eq!(output.code(), Some(1), "{output:?}");
    assert!(
        output
            .stdout
            .contains("the repository no longer has pc-hello 1.1-1"),
        "{}",
        output.stdout
    );
    assert_eq!(it.versions(), as_it_was());
    assert!(it.history().is_empty());
}

#[test]
fn a_machine_that_is_broken_before_is_not_touched_and_the_remedy_is_named() {
    let Some(base) = need(DebianRoot::base()) else {
        return;
    };
    let it = machine(&base);
    let broken = it
        .guest
        .run(["apt-get", "-y", "-q", "install", "pc-badpost=1.1-1"]);
    assert!(!broken.status.success());
    let (before, history) = (it.guest.script("dpkg-query -W", []).ok(), it.history());
    let output = it.apply();
    println!("{}", output.stdout);
    assert_eq!(output.code(), Some(3), "{output:?}");
    for text in [
        "pc-badpost is half-configured",
        "dpkg --configure pc-badpost",
    ] {
        assert!(output.stdout.contains(text), "{text}\n{}", output.stdout);
    }
    assert_eq!(
        (it.guest.script("dpkg-query -W", []).ok(), it.history()),
        (before, history)
    );
}
