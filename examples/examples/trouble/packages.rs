//! Packages and their tool: held, phased, broken, locked, and changed after the approval.

use patchcore::{
    ErrorKind, Journal, Result, Standing,
    estate::{KeptBackReason, Patch, PatchClass},
    execute::kernel::{End, Phase},
    plan::WhyLeftOut,
    sim::{Script, Sim},
};

use super::{
    seen::Seen,
    stage::{self, Witness, at, web},
};

pub(crate) async fn kept_back() -> Result<Seen> {
    let sim = Sim::starting(stage::start()?, 7)
        .guest("web-t1", |g| web(g).label("ring", "test"))
        .guest("web-01", |g| web(g).hold("nginx"))
        .guest("web-02", |g| {
            web(g).keep_back("nginx", KeptBackReason::Phased { percent: 20 })
        })
        .publish(stage::nginx());
    let witness = Witness::of(&sim)?;
    let plan = stage::plan(&stage::estate(&sim)).await?;
    let (what, holds) = witness.untouched()?;
    let left_out = plan
        .left_out
        .iter()
        .filter(|l| l.reason == WhyLeftOut::KeptBack)
        .count();
    let text = stage::lines_with(
        &plan.to_string(),
        &["not in this plan", "web-01", "web-02", "found ="],
    );
    Ok(Seen::text(text)
        .says(&[
            "web-01",
            "hold",
            "web-02",
            "20 %",
            "2 kept back",
            "3 found = 1 planned",
        ])
        .proves("2 components are left out as kept back", left_out == 2)
        .proves(what, holds))
}

pub(crate) async fn half_configured() -> Result<Seen> {
    let sim = Sim::starting(stage::start()?, 7)
        .guest("web-t1", |g| web(g).label("ring", "test"))
        .guest("web-01", |g| {
            web(g)
                .package("tzdata", "2026a-1")
                .half_configured("tzdata")
        })
        .guest("web-02", web)
        .publish(stage::nginx());
    let witness = Witness::of(&sim)?;
    let plan = stage::plan(&stage::estate(&sim)).await?;
    let (what, holds) = witness.untouched()?;
    let failure = plan.left_out.iter().find_map(|l| match &l.reason {
        WhyLeftOut::Blocked { reasons } if l.component == "web-01" => reasons.first(),
        _ => None,
    });
    let text = stage::lines_with(
        &plan.to_string(),
        &["blocked now", "web-01", "dpkg", "found ="],
    );
    Ok(Seen::text(text)
        .failure(failure, ErrorKind::Unhealthy)
        .says(&[
            "blocked now",
            "web-01",
            "tzdata",
            "half-configured",
            "dpkg --configure",
            "1 blocked",
        ])
        .proves(what, holds))
}

/// The package lock of the test guest is held by another patcher until then.
fn locked(until: &str) -> Result<Sim> {
    let held = Script::lock_held("unattended-upgrade (pid 412)", stage::start()?, at(until)?);
    Ok(stage::sim()?.script(held.on("web-t1")))
}

pub(crate) async fn lock_that_becomes_free() -> Result<Seen> {
    let sim = locked("2026-12-07T21:20:00Z")?;
    let estate = stage::estate(&sim);
    let plan = stage::plan(&estate).await?;
    let text = stage::lines_with(&plan.to_string(), &["busy now", "unattended"]);
    let journal = Journal::in_memory()?;
    let run = estate
        .run(stage::approved(&estate, plan)?, &journal)
        .await?;
    run.finished().await?;
    let lines = stage::lines_with(&stage::told(&run).await, &["web-t1"]);
    let first = sim.history("web-t1")?.transactions.first().map(|t| t.began);
    Ok(Seen::text(format!("{text}\n{lines}"))
        .says(&["busy now", "unattended-upgrade (pid 412)"])
        .proves(
            "nothing was installed before the lock was free",
            first.is_some_and(|began| at("2026-12-07T21:20:00Z").is_ok_and(|free| began >= free)),
        )
        .proves(
            "it was patched in the same window",
            sim.version("web-t1", "nginx") == Some("1.22.1-10".into())
                && first.is_some_and(|began| {
                    at("2026-12-08T03:00:00Z").is_ok_and(|closed| began < closed)
                }),
        ))
}

pub(crate) async fn lock_that_never_becomes_free() -> Result<Seen> {
    let sim = locked("2027-12-07T00:00:00Z")?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let run = stage::started(&estate, &Journal::in_memory()?).await?;
    let standing = run
        .finished_or_parked(std::time::Duration::from_secs(10 * 24 * 3600))
        .await?;
    let why = run.why("web-t1").await?;
    let waits = !matches!(standing, Standing::Ended { .. } | Standing::Broken { .. });
    Ok(Seen::text(why)
        .says(&[
            "web-t1 could not begin and was not touched",
            "unattended-upgrade (pid 412), also after 30 min",
            "wait for it, or stop unattended-upgrade (pid 412) on web-t1",
        ])
        .proves("the run halted and waits for a person", waits)
        .proves(
            "every version is as before, and no package tool ran",
            witness.versions_as_before()?,
        ))
}

pub(crate) async fn drift() -> Result<Seen> {
    // Between the approval and the window the repository takes the approved version out for another.
    let newer = Patch::new("nginx", None, "1.22.1-11", PatchClass::Security);
    let sim = stage::sim()?.replace_at(at("2026-12-07T18:00:00Z")?, "1.22.1-10", newer);
    let witness = Witness::of(&sim)?;
    let run = stage::started(&stage::estate(&sim), &Journal::in_memory()?).await?;
    run.finished().await?;
    let story = run.story().await?;
    let lines = stage::lines_with(&stage::told(&run).await, &["web-t1", "halted"]);
    let why = run.why("web-t1").await?;
    let phase = story.components.get("web-t1").map(|c| c.phase);
    Ok(Seen::text(format!("{lines}\n{why}"))
        .failure(stage::first_failure(&story, "web-t1"), ErrorKind::PlanDrift)
        .says(&["web-t1", "1.22.1-10", "plan again"])
        .proves(
            "web-t1 ended untouched",
            matches!(phase, Some(Phase::Ended(End::Untouched))),
        )
        .proves(
            "every version is as before, and no package tool ran",
            witness.versions_as_before()?,
        ))
}
