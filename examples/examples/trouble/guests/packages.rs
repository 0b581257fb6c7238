//! Packages on real guests: a full disk, locks, half-configured ones, mirrors, and what an upgrade would break.

use std::time::Duration;

use patchcore::{Error, ErrorKind, Result, Run};
use patchcore_testkit::peers::{debian_root::Guest, lab::Lab};

use super::{
    super::{seen::Seen, stage},
    Fleet, HELLO, carried_out, left_out, let_go, on_two, plan, started, until,
};

/// Somebody who takes the lock of dpkg as apt does, with `fcntl`, and lets it go after `$ARGV[0]` seconds, but not
/// before `/run/let-go` exists.
const HOLD: &str = "use Fcntl; open(my $f, '+>', '/var/lib/dpkg/lock-frontend'); \
    my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; \
    open(my $r, '>', '/run/locked'); print $r $$; close($r); sleep $ARGV[0]; sleep 1 until -e '/run/let-go'; unlink('/run/locked');";

/// The run's answer about `web-1`, which failed, while `web-2` was patched.
async fn failed(fleet: &Fleet, run: &Run, kind: ErrorKind) -> Result<Seen> {
    let story = run.story().await?;
    let why = run.why("web-1").await?;
    Ok(fleet
        .only_the_other_patched(&why)
        .failure(stage::first_failure(&story, "web-1"), kind)
        .says(&["web-1"]))
}

pub(crate) async fn full_disk() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            // After the plan was approved the disk fills up: where apt keeps what it fetches, a full file system.
            let fill = "mount -t tmpfs -o size=64k tmpfs /var/cache/apt/archives
                mkdir /var/cache/apt/archives/partial
                cat /dev/zero >/var/cache/apt/archives/full 2>/dev/null || :";
            fleet.guest("web-1").script(fill, []).ok();
            let run = carried_out(&estate, plan).await?;
            Ok(failed(&fleet, &run, ErrorKind::DiskFull).await?.says(&[
                "/var/cache/apt/archives",
                "bytes free",
                "apt-get clean",
            ]))
        },
    )
    .await
}

/// How long the lock is held: 90 s are too long for each test.
fn hold_seconds() -> u64 {
    if super::is_full() { 90 } else { 6 }
}

pub(crate) async fn lock() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            let seconds = hold_seconds();
            let guest = fleet.guest("web-1");
            let holder = guest.spawn(["perl", "-e", HOLD, &seconds.to_string()]);
            if !guest.wait_until(Duration::from_secs(10), |g| {
                !g.read_text("/run/locked").is_empty()
            }) {
                return Err(Error::new(ErrorKind::Io, "the lock could not be taken"));
            }
            let pid = guest.read_text("/run/locked");
            let named = format!("dpkg is locked by perl (pid {pid})");
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            let said = stage::lines_with(&plan.to_string(), &["busy now", "locked"]);
            let run = started(&estate, plan).await?;
            // The other guest does not wait for it.
            let other = until(Duration::from_secs(30), || fleet.is_patched("web-2")).await;
            let waits = run.why("web-1").await?;
            let untouched = fleet.is_untouched("web-1");
            let_go(guest);
            run.finished().await?;
            drop(holder);
            let shorter = match super::is_full() {
                true => String::new(),
                false => format!("\nthe lock was held for {seconds} s · left to --full: 90 s"),
            };
            Ok(fleet
                .told(&format!("{said}\n{waits}{shorter}"))
                .says(&[
                    "busy now",
                    &named,
                    "waited for when its turn comes",
                    &format!("waits: web-1: {named}"),
                ])
                .proves("web-2 was patched while web-1 waited", other)
                .proves("web-1 was untouched while the lock was held", untouched)
                .proves(
                    "patched by one transaction when it was free",
                    fleet.is_patched("web-1"),
                ))
        },
    )
    .await
}

pub(crate) async fn half_configured() -> Result<Seen> {
    // Somebody installed a package whose postinst fails, and went home.
    on_two(
        |lab| {
            let install = ["apt-get", "-y", "-q", "install", "pc-badpost=1.1-1"];
            lab.guest("web-1").run(install);
        },
        |fleet| async move {
            let seen = left_out(&fleet, &fleet.estate()?, ErrorKind::Unhealthy).await?;
            Ok(seen.says(&[
                "pc-badpost is half-configured",
                "dpkg --configure pc-badpost",
            ]))
        },
    )
    .await
}

pub(crate) async fn mirror() -> Result<Seen> {
    on_two(
        |_| (),
        |fleet| async move {
            // The mirror that this one guest goes through has lost its files.
            let server = "mkdir -p /srv/empty && cd /srv/empty
                setsid -f python3 -m http.server --bind 10.77.0.1 81 </dev/null >/dev/null 2>&1";
            let repository = fleet.lab.repository();
            repository.guest().script(server, []).ok();
            let listens = |g: &Guest| {
                g.script("ss -Hltn 'sport = :81' | grep -q .", [])
                    .status
                    .success()
            };
            if !repository
                .guest()
                .wait_until(Duration::from_secs(10), listens)
            {
                return Err(Error::new(ErrorKind::Io, "the empty mirror did not start"));
            }
            let proxy = "Acquire::http::Proxy \"http://10.77.0.1:81\";\n";
            fleet
                .guest("web-1")
                .put("/etc/apt/apt.conf.d/90mirror", proxy);
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            let run = carried_out(&estate, plan).await?;
            Ok(failed(&fleet, &run, ErrorKind::RepoError)
                .await?
                .says(&["404", "look at the repository"]))
        },
    )
    .await
}

pub(crate) async fn content_changed() -> Result<Seen> {
    on_two(
        |lab| {
            // The other guest has it already, and waits for other packages.
            let install = ["apt-get", "-y", "-q", "install", "pc-hello=1.1-1"];
            lab.guest("web-2").run(install).ok();
        },
        |fleet| async move {
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            // The same name and version, and another file; the guest has heard of it.
            let sum = "sha256sum /srv/patchcore/repo/pool/pc-security/pc-hello_1.1-1_all.deb";
            let repository = fleet.lab.repository();
            let was = repository.guest().script(sum, []).ok();
            repository.guest().run(["sleep", "1.1"]).ok();
            repository.publish(HELLO, "1.1-1");
            let is = repository.guest().script(sum, []).ok();
            fleet.guest("web-1").run(["apt-get", "-qq", "update"]).ok();
            let run = carried_out(&estate, plan).await?;
            let story = run.story().await?;
            let digest = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            let (was, is) = (digest(&was), digest(&is));
            let two = fleet.now("web-2");
            Ok(fleet
                .told(&run.why("web-1").await?)
                .failure(stage::first_failure(&story, "web-1"), ErrorKind::PlanDrift)
                .says(&[
                    "web-1",
                    "the repository has another file for pc-hello 1.1-1 than was approved",
                    &was,
                    &is,
                    "plan again",
                ])
                .proves("the file is another one", was != is)
                .proves("web-1 was not touched", fleet.is_untouched("web-1"))
                .proves(
                    "web-2 got the rest of its packages",
                    two.version("pc-conf") == Some("1.1-1") && two.is_whole(),
                ))
        },
    )
    .await
}

pub(crate) async fn conffile() -> Result<Seen> {
    const FILE: &str = "/etc/pc-conf/pc-conf.conf";
    on_two(
        |lab| lab.guest("web-1").put(FILE, "answer=41 # dana\n"),
        |fleet| async move {
            let estate = fleet.estate()?;
            let plan = plan(&estate).await?;
            let run = carried_out(&estate, plan).await?;
            let guest = fleet.guest("web-1");
            let lines = stage::lines_with(&stage::told(&run).await, &["web-1"]);
            let theirs = guest.read_text(&format!("{FILE}.dpkg-dist"));
            Ok(fleet
                .told(&lines)
                .says(&["kept", FILE])
                .proves(
                    "the edited file is as it was",
                    guest.read_text(FILE) == "answer=41 # dana\n",
                )
                .proves(
                    "the package's own lies beside it",
                    theirs.contains("written by pc-conf 1.1-1"),
                )
                .proves(
                    "nobody was asked, and web-1 is patched",
                    fleet.is_patched("web-1"),
                )
                .proves("web-2 was patched as usual", fleet.is_patched("web-2")))
        },
    )
    .await
}

/// Both guests are offered a version that takes another package away.
fn publish_conflict(lab: &Lab) {
    lab.repository().publish("pc-conflict", "1.1-1");
    lab.guest("web-1").run(["apt-get", "-qq", "update"]).ok();
}

pub(crate) async fn removal() -> Result<Seen> {
    on_two(publish_conflict, |fleet| async move {
        let estate = fleet.estate()?;
        let plan = plan(&estate).await?;
        let text = plan.to_string();
        let said = stage::lines_with(&text, &["not in this plan", "pc-conflict", "found ="]);
        let kept = plan
            .envelope
            .targets
            .iter()
            .all(|t| t.patches.iter().all(|p| p.id != "pc-conflict"));
        carried_out(&estate, plan).await?;
        let after = fleet.now("web-1");
        Ok(fleet
            .told(&said)
            .says(&[
                "pc-conflict 1.0-1 → 1.1-1",
                "kept back",
                "would remove pc-victim",
            ])
            .proves("it is not planned", kept)
            .proves(
                "dpkg: pc-conflict 1.0-1 and pc-victim 1.0-1 are there on web-1",
                after.version("pc-conflict") == Some("1.0-1")
                    && after.version("pc-victim") == Some("1.0-1"),
            )
            .proves("the rest of web-1 was patched", fleet.is_patched("web-1"))
            .proves("web-2 was patched as usual", fleet.is_patched("web-2")))
    })
    .await
}
