//! Guests with systemd.

use patchcore_testkit::peers::lab::{GuestRecipe, Kind, Recipe};

use super::{PATIENCE, lab, log_in};

#[test]
fn a_systemd_guest_is_whole_and_restarts_as_debian_does() {
    let recipe = Recipe::new().with(GuestRecipe::new("unit", Kind::Systemd));
    let Some(lab) = lab(recipe) else { return };
    let guest = lab.guest("unit");
    let log_in = |command: &str| log_in(&lab, "op", "unit", command);
    assert_eq!(log_in("systemctl is-system-running").ok(), "running\n");
    assert_eq!(log_in("systemctl is-active pc-daemon").ok(), "active\n");
    assert_eq!(guest.run(["hostname"]).ok(), "unit\n");

    // A job that outlives its caller, and the restart waits for none.
    let job =
        "sudo systemd-run --quiet --unit=job sh -c 'echo begun >/var/tmp/job; exec sleep 1000'";
    log_in(job).ok();
    assert!(guest.wait_until(PATIENCE, |guest| guest.exists("/var/tmp/job")));
    assert_eq!(log_in("systemctl is-active job").ok(), "active\n");

    let (boot, machine) = (guest.boot_id(), guest.read_text("/etc/machine-id"));
    assert_eq!((boot.len(), machine.trim_end().len()), (36, 32));
    log_in("sudo systemctl reboot");
    assert!(guest.is_back_since(&boot, PATIENCE));
    assert_eq!(log_in("systemctl is-system-running").ok(), "running\n");
    assert_eq!(log_in("systemctl is-active job").stdout, "inactive\n");
    assert_eq!(guest.read_text("/etc/machine-id"), machine);
    assert_eq!(guest.read_text("/var/tmp/job"), "begun\n");

    // A command that is in the middle of it is ended like any process, and holds nothing up.
    let sleep = guest.spawn(["sleep", "1000"]);
    let boot = guest.boot_id();
    guest.run(["systemctl", "reboot"]);
    assert!(guest.is_back_since(&boot, PATIENCE));
    assert_eq!(sleep.wait().code(), Some(128 + 15));

    let boot = guest.boot_id();
    guest.put("/run/gone", "");
    guest.power_cut();
    guest.power_on();
    assert_ne!(guest.boot_id(), boot);
    assert!(!guest.exists("/run/gone"));
    assert_eq!(log_in("hostname").ok(), "unit\n");
}
