//! The same trouble on a real Debian: a throw-away machine with real apt and dpkg, in memory.

use std::{io::Write as _, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Estate, Journal, Plan, Policy, Result,
    execute::kernel::{End, Phase},
    plan::WhyLeftOut,
};
use patchcore_linux::{
    Linux, LocalConfig,
    transport::{COMMAND, Output, Script, Transport},
};
use patchcore_testkit::peers::debian_root::{Child, DebianRoot, Guest};

use super::{
    seen::Seen,
    stage::{self, io},
};

/// Somebody who takes the lock of dpkg as apt does, with `fcntl`, see apt's `GetLock`.
const HOLD: &str = "use Fcntl; open(my $f, '+>', '/var/lib/dpkg/lock-frontend'); \
    my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; \
    open(my $r, '>', '/run/locked'); sleep 3600;";

/// Runs scripts in the machine as one of its users, as ssh would.
#[derive(Debug)]
struct Inside {
    guest: Arc<Guest>,
    user: &'static str,
}

#[async_trait]
impl Transport for Inside {
    async fn run(&self, script: &Script, _deadline: Duration) -> Result<Output> {
        // It blocks its thread: the scripts of these cases take a second.
        let mut child = self
            .guest
            .command(self.user, COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| io("enter the machine", e))?;
        if let Some(mut input) = child.stdin.take() {
            input
                .write_all(script.wire().as_bytes())
                .map_err(|e| io("send a script", e))?;
        }
        let output = child
            .wait_with_output()
            .map_err(|e| io("hear from the machine", e))?;
        script.unwrap_output(&output.stdout, output.stderr)
    }
}

/// A machine, and its packages as they were.
struct Machine {
    guest: Arc<Guest>,
    before: String,
}

impl Machine {
    /// A fresh machine, with changes that stand before everything else; the inner error says why there is none.
    fn fresh(prepare: impl FnOnce(&Guest)) -> std::result::Result<Self, String> {
        let base = DebianRoot::base().map_err(|missing| missing.to_string())?;
        let guest = Arc::new(base.guest());
        prepare(&guest);
        guest.run(["apt-get", "-qq", "update"]);
        let before = packages(&guest);
        Ok(Self { guest, before })
    }

    fn estate(&self, user: &'static str) -> Estate {
        let transport = Inside {
            guest: Arc::clone(&self.guest),
            user,
        };
        let config = LocalConfig::new().with_name("web-01");
        Estate::named("dc-north").with(Linux::over(Arc::new(transport), config))
    }

    /// Whether dpkg's own list of packages, versions and states is as it was.
    fn untouched(&self) -> bool {
        packages(&self.guest) == self.before
    }
}

fn packages(guest: &Guest) -> String {
    let format = "-f=${Package} ${Version} ${Status}\n";
    guest.run(["dpkg-query", "-W", format]).stdout
}

async fn plan(estate: &Estate) -> Result<Plan> {
    let policy = Policy::from_toml(&stage::policy_on_debian(&stage::LEFT_OUT), "policy.toml")?;
    estate.plan(&policy).requested_by("sam").await
}

const UNTOUCHED: &str = "dpkg lists every package, version and state as before";

/// The part of a plan that says what is not in it.
fn left_out(plan: &Plan, words: &[&str]) -> String {
    stage::lines_with(&plan.to_string(), words)
}

pub(crate) async fn kept_back() -> Result<Seen> {
    let machine = match Machine::fresh(|_| ()) {
        Ok(machine) => machine,
        Err(why) => return Ok(Seen::skipped(why)),
    };
    let plan = plan(&machine.estate("root")).await?;
    let planned = plan.envelope.targets.iter().flat_map(|t| &t.patches);
    let none_planned = planned
        .filter(|p| p.id == "pc-held" || p.id == "pc-phased")
        .count()
        == 0;
    Ok(Seen::text(left_out(
        &plan,
        &["not in this plan", "pc-held", "pc-phased"],
    ))
    .says(&["pc-held", "hold", "pc-phased", "0 %"])
    .proves("neither is planned", none_planned)
    .proves(UNTOUCHED, machine.untouched()))
}

pub(crate) async fn half_configured() -> Result<Seen> {
    // Somebody installed a package whose postinst fails, and went home.
    let machine = match Machine::fresh(|guest| {
        guest.run(["apt-get", "-qq", "update"]);
        guest.run(["apt-get", "-y", "-q", "install", "pc-badpost=1.1-1"]);
    }) {
        Ok(machine) => machine,
        Err(why) => return Ok(Seen::skipped(why)),
    };
    let plan = plan(&machine.estate("root")).await?;
    let failure = plan.left_out.iter().find_map(|l| match &l.reason {
        WhyLeftOut::Blocked { reasons } => reasons.first(),
        _ => None,
    });
    Ok(
        Seen::text(left_out(&plan, &["blocked now", "pc-badpost", "found ="]))
            .failure(failure, ErrorKind::Unhealthy)
            .says(&[
                "blocked now",
                "pc-badpost",
                "half-configured",
                "dpkg --configure",
            ])
            .proves(UNTOUCHED, machine.untouched()),
    )
}

fn hold(guest: &Guest) -> Result<Child> {
    let holder = guest.spawn(["perl", "-e", HOLD]);
    if guest.wait_until(Duration::from_secs(10), |g| g.exists("/run/locked")) {
        Ok(holder)
    } else {
        Err(Error::new(ErrorKind::Io, "the lock could not be taken"))
    }
}

fn let_go(guest: &Guest, holder: Child) {
    drop(holder);
    // What entered the machine may outlive its way in by a moment.
    let script = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in \
        perl*lock-frontend*) kill -9 ${p#/proc/};; esac; done; :";
    guest.script(script, []);
}

pub(crate) async fn lock() -> Result<Seen> {
    let machine = match Machine::fresh(|_| ()) {
        Ok(machine) => machine,
        Err(why) => return Ok(Seen::skipped(why)),
    };
    let holder = hold(&machine.guest)?;
    let estate = machine.estate("root");
    let plan = plan(&estate).await?;
    let said = left_out(&plan, &["busy now", "locked"]);
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &Journal::in_memory()?)
        .await?;
    // Real time passes here: the run looks, meets the lock, and waits.
    let ended = machine
        .guest
        .wait_until(Duration::from_secs(5), |_| run.standing().is_halted());
    let waits = run.why("web-01").await?;
    let untouched = machine.untouched();
    let_go(&machine.guest, holder);
    run.finished().await?;
    let version = machine.guest.versions(["pc-hello"]).remove("pc-hello");
    Ok(Seen::text(format!("{said}\n{waits}"))
        .says(&["busy now", "dpkg", "locked by perl (pid "])
        .proves("the run goes on waiting", !ended)
        .proves("untouched while it was held", untouched)
        .proves(
            "patched when it was free: pc-hello is at 1.1-1",
            version.as_deref() == Some("1.1-1"),
        ))
}

/// Runs the plan of a machine on which nothing may happen.
async fn refused(machine: &Machine, estate: &Estate, plan: Plan, kind: ErrorKind) -> Result<Seen> {
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &Journal::in_memory()?)
        .await?;
    run.finished().await?;
    let story = run.story().await?;
    let phase = story.components.get("web-01").map(|c| c.phase);
    Ok(Seen::text(run.why("web-01").await?)
        .failure(stage::first_failure(&story, "web-01"), kind)
        .says(&["web-01", "failed: ", " · "])
        .proves(
            "web-01 could not begin",
            phase == Some(Phase::Ended(End::Untouched)),
        )
        .proves(UNTOUCHED, machine.untouched()))
}

pub(crate) async fn no_root() -> Result<Seen> {
    let machine = match Machine::fresh(|_| ()) {
        Ok(machine) => machine,
        Err(why) => return Ok(Seen::skipped(why)),
    };
    let estate = machine.estate("nobody");
    let plan = plan(&estate).await?;
    Ok(refused(&machine, &estate, plan, ErrorKind::AuthzDenied)
        .await?
        .says(&["root"]))
}

pub(crate) async fn drift() -> Result<Seen> {
    let machine = match Machine::fresh(|_| ()) {
        Ok(machine) => machine,
        Err(why) => return Ok(Seen::skipped(why)),
    };
    let estate = machine.estate("root");
    let plan = plan(&estate).await?;
    // After the plan was made the repository takes a version out for another, and apt hears of it.
    let repository = machine.guest.repository();
    repository.publish("pc-hello", "1.2-1");
    repository.withdraw("pc-hello", "1.1-1");
    machine.guest.run(["apt-get", "-qq", "update"]);
    Ok(refused(&machine, &estate, plan, ErrorKind::PlanDrift)
        .await?
        .says(&["pc-hello", "1.1-1"]))
}
