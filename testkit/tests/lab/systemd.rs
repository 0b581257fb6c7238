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
    let job = "sudo systemd-run --quiet --wait --pipe id -un";
    assert_eq!(log_in(job).ok(), "root\n");
    assert_eq!(guest.run(["hostname"]).ok(), "unit\n");

    for n in 0..2 {
        let boot = guest.boot_id();
        assert_eq!(boot.len(), 36);
        let asked = log_in(
            "sudo systemd-run --quiet --on-active=1s systemctl reboot; systemctl show -P InactiveExitTimestamp unattended-upgrades",
        );
        assert!(asked.status.success(), "{asked:?}");
        assert!(guest.is_back_since(&boot, PATIENCE), "{n}");
        assert_eq!(log_in("systemctl is-system-running").ok(), "running\n");
    }
    let boot = guest.boot_id();
    guest.power_cut();
    guest.power_on();
    assert_ne!(guest.boot_id(), boot);
    assert_eq!(log_in("hostname").ok(), "unit\n");
}
