//! Somebody else patches the guest, and a power cut in the middle of dpkg.

use std::time::Duration;

use patchcore::{Error, ErrorKind, Result};

use super::{
    super::{seen::Seen, stage},
    let_go, on_two, plan, plan_by, slow_until_let_go, started, until,
};

/// The real one: it takes `pc-slow` and nothing else, and is at it for as long as that takes.
const UNATTENDED: &str = r#"
Unattended-Upgrade::Origins-Pattern { "origin=PatchCore"; };
Unattended-Upgrade::Package-Whitelist { "^pc-slow$"; };
Unattended-Upgrade::Package-Whitelist-Strict "true";
Unattended-Upgrade::OnlyOnACPower "false";
Unattended-Upgrade::Skip-Updates-On-Metered-Connections "false";
"#;

pub(crate) async fn unattended() -> Result<Seen> {
    on_two(
        |lab| {
            let guest = lab.guest("web-1");
            guest.put("/etc/apt/apt.conf.d/99unattended", UNATTENDED);
            slow_until_let_go(guest);
        },
        |fleet| async move {
            let guest = fleet.guest("web-1");
            let upgrade = guest.spawn(["unattended-upgrade"]);
            if !guest.wait_until(Duration::from_secs(30), |g| g.exists("/run/pc-slow.running")) {
                let said = upgrade.kill9();
                return Err(Error::new(ErrorKind::Io, "unattended-upgrade did not begin").found(format!("{said:?}")));
            }
            let pids = guest.script("pgrep -f unattended-upgrade", []).ok();
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            let said = stage::lines_with(&plan.to_string(), &["busy now", "unattended"]);
            let named = pids
                .lines()
                .map(|pid| format!("unattended-upgrade (pid {pid})"))
                .find(|name| said.contains(name));
            let run = started(&estate, plan).await?;
            let other = until(Duration::from_secs(30), || fleet.is_patched("web-2")).await;
            let waits = run.why("web-1").await?;
            let untouched = fleet.now("web-1").version(super::HELLO) == Some("1.0-1");
            let_go(guest);
            run.finished().await?;
            let ended = upgrade.wait();
            let after = fleet.now("web-1");
            Ok(fleet
                .told(&format!("{said}\n{waits}"))
                .says(&["busy now", "locked by unattended-upgrade (pid "])
                .proves("the pid is one of its own", named.is_some())
                .proves("web-2 was patched while it was at work", other)
                .proves("nothing else was put in meanwhile", untouched)
                .proves("unattended-upgrade itself ended well", ended.status.success())
                .proves(
                    "both did their work, one after the other: pc-slow 1.1-1 by it, the rest by the run",
                    after.version("pc-slow") == Some("1.1-1")
                        && after.version(super::HELLO) == Some("1.1-1")
                        && after.history.len() == 2
                        && after.is_whole(),
                ))
        },
    )
    .await
}

pub(crate) async fn power_cut() -> Result<Seen> {
    on_two(
        |lab| {
            slow_until_let_go(lab.guest("web-1"));
            lab.guest("web-2").put("/etc/pc-slow.seconds", "1\n");
        },
        |fleet| async move {
            let policy = stage::policy_on_debian(&["pc-badpost"]);
            let estate = fleet.estate()?;
            let plan = plan_by(&estate, &policy).await?;
            let run = started(&estate, plan).await?;
            let guest = fleet.guest("web-1");
            if !until(Duration::from_secs(30), || {
                guest.exists("/run/pc-slow.running")
            })
            .await
            {
                return Err(Error::new(ErrorKind::Io, "dpkg did not come to pc-slow"));
            }
            guest.power_cut();
            guest.power_on();
            let_go(guest);
            let cut = fleet.now("web-1");
            run.finished().await?;
            let story = run.story().await?;
            let lines = stage::lines_with(&stage::told(&run).await, &["web-1"]);
            let failure = stage::first_failure(&story, "web-1").cloned();
            Ok(fleet
                .told(&format!("after the cut: web-1: {cut}\n{lines}"))
                .failure(failure.as_ref(), ErrorKind::LostReboot)
                .says(&["interrupted by a restart of the machine"])
                .proves("dpkg was interrupted", !cut.is_whole())
                .proves("web-1 is whole again", fleet.now("web-1").is_whole())
                .proves("web-2 was patched as usual", fleet.is_patched("web-2")))
        },
    )
    .await
}
