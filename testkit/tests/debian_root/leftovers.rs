//! Nothing of a guest outlives the test.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{base, guest};

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
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{pid} {}", name.trim_end())
        })
        .collect()
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
            "leftovers::hold_a_guest_until_killed",
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
    for _ in 0..150 {
        if traces(&name).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(traces(&name), [""; 0]);
}
