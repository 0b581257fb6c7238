//! Who reaches whom, and how.

use std::{
    env, fs,
    io::Read,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use patchcore_testkit::peers::lab::{GuestRecipe, Kind, Recipe};

use super::{PATIENCE, lab, log_in};

fn two() -> Recipe {
    Recipe::new()
        .with(GuestRecipe::new("one", Kind::Bare).with_label("ring", "test"))
        .with(GuestRecipe::new("two", Kind::Bare).with_label("ring", "broad"))
}

#[test]
fn people_log_in_with_what_lies_in_the_labs_folder() {
    let Some(lab) = lab(two()) else { return };
    let folder = lab.inventory().parent().unwrap().to_path_buf();
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    for user in ["root", "op", "nosudo", "pwsudo"] {
        let seen = log_in(&lab, user, "two", "id -un; hostname").ok();
        assert_eq!(seen, format!("{user}\ntwo\n"));
    }
    let sudo = |user: &str, command: &str| log_in(&lab, user, "one", command);
    assert_eq!(sudo("op", "sudo -n id -u").ok(), "0\n");
    let refused = sudo("nosudo", "echo patchcore | sudo -S -p '' id -u");
    assert!(
        refused.stderr.contains("nosudo is not in the sudoers file"),
        "{refused:?}"
    );
    let refused = sudo("pwsudo", "sudo -n id -u");
    assert!(
        refused.stderr.contains("a password is required"),
        "{refused:?}"
    );
    let taken = sudo("pwsudo", "echo patchcore | sudo -S -p '' id -u");
    assert_eq!(taken.ok(), "0\n");
    // Nobody gets in without the key.
    fs::remove_file(folder.join("id_ed25519")).unwrap();
    let refused = sudo("op", "true");
    assert!(
        refused.stderr.contains("Permission denied (publickey)"),
        "{refused:?}"
    );
    drop(lab);
    assert!(!folder.exists());
}

#[test]
fn labs_know_nothing_of_each_other_though_their_addresses_are_the_same() {
    let Some(one) = lab(two()) else { return };
    let Some(other) = lab(two()) else { return };
    assert_ne!(one.inventory(), other.inventory());
    assert_eq!(one.guest("one").address(), other.guest("one").address());
    one.guest("one").put("/etc/which", "one");
    other.guest("one").put("/etc/which", "other");
    assert_eq!(log_in(&one, "op", "one", "cat /etc/which").ok(), "one");
    assert_eq!(log_in(&other, "op", "one", "cat /etc/which").ok(), "other");
    let reached = |lab: &patchcore_testkit::peers::lab::Lab| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                lab.enter_thread();
                let mut banner = [0; 8];
                let address = lab.guest("two").address().unwrap();
                TcpStream::connect_timeout(&(address, 22).into(), Duration::from_secs(3))
                    .and_then(|mut stream| stream.read_exact(&mut banner))
                    .map(|()| String::from_utf8_lossy(&banner).into_owned())
            });
            thread.join().unwrap()
        })
    };
    assert_eq!(reached(&one).unwrap(), "SSH-2.0-");
    one.guest("two").power_cut();
    assert!(reached(&one).is_err());
    assert_eq!(reached(&other).unwrap(), "SSH-2.0-");
}

#[test]
fn all_guests_share_one_repository_and_no_outside() {
    let Some(lab) = lab(two()) else { return };
    lab.repository().publish("pc-hello", "1.2-1");
    for guest in lab.guests() {
        let update = guest.run(["apt-get", "update"]).ok();
        assert!(update.contains("http://10.77.0.1 pc-security"), "{update}");
        let install = ["apt-get", "-y", "-q", "install", "pc-hello"];
        guest.run(install).ok();
        assert_eq!(guest.versions(["pc-hello"])["pc-hello"], "1.2-1");
    }
    let addresses = lab.guest("two").run(["ip", "-br", "-4", "address"]).ok();
    assert!(addresses.contains("10.77.0.12/24"), "{addresses}");
    let one = lab.guest("one");
    let neighbour = one.run(["bash", "-c", "exec 3<>/dev/tcp/10.77.0.12/22"]);
    assert!(neighbour.status.success(), "{neighbour:?}");
    let outside = one.run(["bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/22"]);
    assert!(!outside.status.success(), "{outside:?}");
}

/// A restart is a SIGHUP, and nohup has all that it starts ignore that.
#[test]
fn a_guest_restarts_also_where_nohup_started_the_lab() {
    let test = "network::a_guest_restarts_itself_and_is_itself_again";
    let under = Command::new("nohup")
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(under.status.success(), "{under:?}");
}

#[test]
fn a_guest_restarts_itself_and_is_itself_again() {
    let Some(lab) = lab(two()) else { return };
    let guest = lab.guest("one");
    for command in ["sudo reboot", "sudo shutdown -r now"] {
        let (boot, machine) = (guest.boot_id(), guest.read_text("/etc/machine-id"));
        guest.put("/run/gone", "");
        log_in(&lab, "op", "one", command).ok();
        assert!(guest.is_back_since(&boot, PATIENCE), "{command}");
        assert_eq!(guest.read_text("/etc/machine-id"), machine);
        assert!(!guest.exists("/run/gone"));
        // The same host key too, else ssh would refuse.
        assert_eq!(log_in(&lab, "op", "one", "hostname").ok(), "one\n");
    }
    guest.run(["poweroff"]).ok();
    assert!(guest.wait_until(PATIENCE, |guest| guest.pid().is_none()));
    guest.power_on();
    assert_eq!(log_in(&lab, "op", "one", "hostname").ok(), "one\n");
}
