//! Peers: `apt-get -s dist-upgrade`, read by awk, on the very machine that runs the tests, as an ordinary user
//! where that can be arranged; and the file system, which a scan leaves as it is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

mod peer;

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::Duration,
};

use patchcore_linux::{
    pm::apt::{AptScan, scan_script},
    transport::{Local, Transport},
};

/// The same question, asked and read by other means.
const AWK: &str = r#"apt-get -s -o Debug::NoLocking=1 dist-upgrade | awk '/^Inst /{n=$2; sub(/:.*/,"",n); v=($3 ~ /^\[/) ? $4 : $3; sub(/^\(/,"",v); print n, v}'"#;

fn sh(text: &str) -> BTreeSet<String> {
    let output = Command::new("/bin/sh")
        .args(["-c", text])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Runs the scan as `nobody` where we are root and may become somebody else, else as we are.
fn scan() -> AptScan {
    let script = scan_script("parity", "/var/lib/patchcore/jobs").unwrap();
    let mut command = if Local::new().is_root() && peer::find("setpriv").is_some() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/bin/sh",
            "-s",
        ]);
        command
    } else {
        let mut command = Command::new("/bin/sh");
        command.arg("-s");
        command
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let wire = script.wire();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut stdin, wire.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    let output = script.unwrap_output(&output.stdout, output.stderr).unwrap();
    AptScan::parse("parity", &output.stdout)
        .unwrap_or_else(|e| panic!("{e:?}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn this_machine_is_read_as_apt_itself_says() {
    if peer::find("apt-get").is_none() || peer::find("awk").is_none() {
        return;
    }
    // Another program may install in between; then the two answers before and after differ.
    for _ in 0..5 {
        let before = sh(AWK);
        let scan = scan();
        if before != sh(AWK) {
            continue;
        }
        let pending: BTreeSet<_> = scan
            .upgrades
            .unwrap()
            .pending
            .iter()
            .map(|p| format!("{} {}", p.name, p.to))
            .collect();
        assert_eq!(pending, before);
        let installed: BTreeSet<_> = scan
            .installed
            .iter()
            .filter(|(_, i)| i.is_whole())
            .map(|((name, arch), i)| format!("{name} {arch} {}", i.version.as_ref().unwrap()))
            .collect();
        assert_eq!(
            installed,
            sh(
                "dpkg-query -W -f='${db:Status-Abbrev}${Package} ${Architecture} ${Version}\\n' | sed -n 's/^.i  *//p'"
            )
        );
        assert!(!scan.facts.is_root || !Local::new().is_root());
        return;
    }
    panic!("the packages of this machine change all the time");
}

#[tokio::test]
async fn a_scan_writes_nothing() {
    if peer::find("apt-get").is_none() {
        return;
    }
    let local = Local::new();
    // Anybody else's apt would write too, so that a clean round among five is what counts.
    let mut written = String::new();
    for _ in 0..5 {
        let stamp = tempfile::NamedTempFile::new().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let script = scan_script("writes", "/var/lib/patchcore/jobs").unwrap();
        let output = local.run(&script, Duration::from_secs(120)).await.unwrap();
        AptScan::parse("writes", &output.stdout).unwrap();
        let found = Command::new("find")
            .args([
                "/var/lib/apt",
                "/var/lib/dpkg",
                "/var/cache/apt",
                "/var/cache/debconf",
                "/var/log/apt",
                "/etc",
                "-newer",
            ])
            .arg(stamp.path())
            .output()
            .unwrap();
        written = String::from_utf8_lossy(&found.stdout).into_owned();
        if written.is_empty() {
            return;
        }
    }
    panic!("written during the scan:\n{written}");
}
