//! Guests that cannot be reached, do not let us in, or are not who they should be; and a wrong inventory.

use std::fs;

use patchcore::{ErrorKind, Result};

use super::{
    super::{seen::Seen, stage::io},
    Fleet, left_out, on_two, plan,
};

pub(crate) async fn unreachable() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            fleet.guest("web-1").power_cut();
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            let said = blocked_lines(&plan.to_string());
            let failure = super::blocked(&plan, "web-1").cloned();
            super::carried_out(&estate, plan).await?;
            fleet.guest("web-1").power_on();
            let version = |name| fleet.now(name).version(super::HELLO).map(str::to_owned);
            Ok(fleet
                .told(&said)
                .failure(failure.as_ref(), ErrorKind::Unreachable)
                .says(&[
                    "web-1     could not be reached over ssh: no route to host",
                    "the host is down, or its network: look whether it is up",
                    "2 found = 1 planned",
                ])
                .proves(
                    "switched on again, web-1 has what it had",
                    version("web-1").as_deref() == Some("1.0-1")
                        && fleet.now("web-1").history.is_empty(),
                )
                .proves("web-2 was patched as usual", fleet.is_patched("web-2")))
        },
    )
    .await
}

/// The lines about `web-1` and the sums.
fn blocked_lines(plan: &str) -> String {
    super::stage::lines_with(plan, &["blocked now", "web-1", "found ="])
}

pub(crate) async fn host_key() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            // It was built anew, or it is somebody else.
            let key = "/etc/ssh/ssh_host_ed25519_key";
            let fingerprint = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2";
            let guest = fleet.guest("web-1");
            let before = guest.script(fingerprint, []).ok();
            guest.run(["rm", key]).ok();
            guest
                .run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
                .ok();
            guest.script("kill -HUP \"$(cat /run/sshd.pid)\"", []).ok();
            let after = guest.script(fingerprint, []).ok();
            let jobs = "ls /var/lib/patchcore 2>/dev/null || :";
            let seen = left_out(&fleet, &fleet.estate()?, ErrorKind::HostKey).await?;
            Ok(seen
                .says(&[
                    "its host key changed",
                    before.trim(),
                    after.trim(),
                    "known_hosts:1",
                    "if the host was rebuilt: ssh-keygen -f",
                    "-R 10.77.0.11",
                ])
                .proves(
                    "no job was ever made on web-1",
                    guest.script(jobs, []).ok().is_empty(),
                ))
        },
    )
    .await
}

/// `web-1` is logged in to as another user, whom sudo does not serve.
async fn as_user(user: &'static str, words: &'static [&'static str]) -> Result<Seen> {
    on_two(
        |_| (),
        move |fleet| async move {
            let inventory = fleet.inventory_with(&format!("user    = \"{user}\""))?;
            let estate = fleet.estate_of(&inventory)?;
            let seen = left_out(&fleet, &estate, ErrorKind::AuthzDenied).await?;
            Ok(seen.says(words))
        },
    )
    .await
}

pub(crate) async fn no_sudo_right() -> Result<Seen> {
    as_user(
        "nosudo",
        &["nosudo may not become root by sudo without a password"],
    )
    .await
}

pub(crate) async fn sudo_asks() -> Result<Seen> {
    as_user(
        "pwsudo",
        &[
            "pwsudo may not become root by sudo without a password",
            "a password is required",
            "allow it by sudo without a password",
        ],
    )
    .await
}

pub(crate) async fn inventory_mistakes() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            let right =
                fs::read_to_string(fleet.lab.inventory()).map_err(|e| io("read a file", e))?;
            let wrong = right
                .replace("known_hosts =", "known_host =")
                .replace(
                    "address = \"10.77.0.11\"",
                    "address = \"10.77.0.11\"\nport = \"ssh\"",
                )
                .replace("name    = \"web-2\"", "name    = \"web-1\"");
            let file = fleet.inventory_of(&wrong)?;
            let answer = fleet.estate_of(&file);
            let said = match &answer {
                Err(error) => format!("{error:?}"),
                Ok(_) => "(it was taken)".to_owned(),
            };
            let untouched = fleet.is_untouched("web-1") && fleet.is_untouched("web-2");
            // Mended, the same estate is patched as ever.
            let estate = fleet.estate_of(&fleet.inventory_of(&right)?)?;
            let plan = plan(&estate).await?;
            super::carried_out(&estate, plan).await?;
            let is_invalid = answer.is_err_and(|e| e.kind() == ErrorKind::InvalidInput);
            Ok(fleet
                .told(&said)
                .says(&[
                    "trouble.toml:",
                    "unknown key \"known_host\"",
                    "did you mean \"known_hosts\"?",
                    "\"ssh\"",
                    "web-1",
                    "3 mistakes; nothing was done",
                ])
                .proves("it is refused as invalid_input", is_invalid)
                .proves("no guest was touched", untouched)
                .proves(
                    "with the mistakes mended both were patched",
                    fleet.is_patched("web-1") && fleet.is_patched("web-2"),
                ))
        },
    )
    .await
}

/// Everything that is started in the guest from now on lives years ahead.
fn wrong_clock(fleet: &Fleet) {
    // sshd shuts itself off from what the library shares between processes.
    let script = "lib=$(dpkg -L libfaketime | grep '/libfaketime.so.1$')
        echo \"$lib\" >/etc/ld.so.preload
        printf '+1100d\\n' >/etc/faketimerc
        kill \"$(cat /run/sshd.pid)\"
        while ss -Hltn 'sport = :22' | grep -q .; do sleep 0.05; done
        FAKETIME_DISABLE_SHM=1 /usr/sbin/sshd
        until ss -Hltn 'sport = :22' | grep -q .; do sleep 0.05; done";
    fleet.guest("web-1").script(script, []).ok();
}

pub(crate) async fn clock() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            wrong_clock(&fleet);
            let year = |name: &str| {
                fleet
                    .guest(name)
                    .run(["date", "+%Y"])
                    .ok()
                    .trim()
                    .parse::<u32>()
                    .unwrap_or(0)
            };
            let off = year("web-1").saturating_sub(year("web-2"));
            let seen = left_out(&fleet, &fleet.estate()?, ErrorKind::Unhealthy).await?;
            Ok(seen
                .says(&[
                    "web-1",
                    "its clock is 3 years",
                    "ahead",
                    "timedatectl set-ntp true",
                ])
                .proves("date says in the guest that it is years ahead", off >= 2))
        },
    )
    .await
}
