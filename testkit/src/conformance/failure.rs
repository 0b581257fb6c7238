//! Checks of an apply that does not go as planned.

use patchcore::{ErrorKind, Failure, id::Version, provider::Blocker};

use crate::{
    bench::{Bench, Connection, difference},
    check::{Checked, Verdict, demand, fault},
    drive::{Outcome, result_of},
    fixture::{BadChange, Trouble},
};

const FAILS: &str = "deployer_failed_apply_is_a_failed_result";

pub(super) async fn deployer_apply_stops_at_drift(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let component = bench.change()?.component;
    let op = bench.prepared_apply(&on).await?;
    // Between the last look and the effect somebody is faster.
    bench.drift().await?;
    let before = bench.look(&component).await?;
    let outcome = bench.carry_out(&on, op).await;
    let after = bench.look(&component).await?;
    demand(before.versions == after.versions, || {
        format!(
            "{component}: another version was there than planned, and the apply went on: {}",
            difference(&before, &after)
        )
    })?;
    let kind = match &outcome {
        Outcome::Refused(failure) => Some(failure.kind),
        Outcome::Settled(_, settled) => result_of(settled, &component)?.err().map(|f| f.kind),
        _ => None,
    };
    demand(kind == Some(ErrorKind::PlanDrift), || {
        format!(
            "{component}: another version was there than planned, nothing went in, and the answer is not \
             plan_drift: {outcome:?}"
        )
    })
}

pub(super) async fn deployer_success_is_what_is_there_and_not_an_exit_code(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = change.component.clone();
    bench.trouble(Trouble::ToolLies(component.clone())).await?;
    let outcome = bench.apply(&on, vec![change.clone()]).await?;
    let seen = bench.look(&component).await?;
    let missing = change
        .patches
        .iter()
        .find(|p| seen.versions.get(&p.patch) != p.to.as_ref());
    let Some(patch) = missing else {
        return Err(Verdict::NotRun(
            "the fixture was to make the tool lie, and the patch went in".to_owned(),
        ));
    };
    match outcome {
        Outcome::Settled(_, settled) => match result_of(&settled, &component)? {
            Err(_) => Ok(()),
            Ok(evidence) => fault(format!(
                "{component}: the tool said that it was done, {patch} is not there, and the result \
                 is a success: {evidence}"
            )),
        },
        // Not knowing is no belief in an exit code.
        Outcome::Lost(_) => Ok(()),
        other => other.settled().map(|_| ()),
    }
}

/// Applies the bad change, and says how it ended.
async fn apply_bad(bench: &Bench, on: &Connection) -> Checked<(BadChange, Outcome)> {
    let Some(bad) = bench.stock.bad.clone() else {
        return Err(Verdict::NotOffered(
            "a patch that does not go in".to_owned(),
        ));
    };
    let outcome = bench.apply(on, vec![bad.change.clone()]).await?;
    Ok((bad, outcome))
}

/// The failure of the bad change; whether there is one is the matter of its own check.
async fn failure(bench: &Bench, on: &Connection) -> Checked<(BadChange, Failure)> {
    let (bad, outcome) = apply_bad(bench, on).await?;
    let unjudged = |why: String| Verdict::Unjudged { see: FAILS, why };
    match outcome {
        Outcome::Settled(_, settled) => match result_of(&settled, &bad.change.component)? {
            Err(failure) => Ok((bad.clone(), failure.clone())),
            Ok(evidence) => Err(unjudged(format!("it is called a success: {evidence}"))),
        },
        Outcome::Lost(why) => Err(unjudged(format!("it is lost: {why}"))),
        Outcome::Failed(call, error) if call != "prepare" => {
            Err(unjudged(format!("{call} failed: {}", error.chain())))
        }
        other => other.settled().and_then(|_| fault("not reached")),
    }
}

pub(super) async fn deployer_failed_apply_is_a_failed_result(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let (bad, outcome) = apply_bad(bench, &on).await?;
    let component = &bad.change.component;
    match outcome {
        Outcome::Settled(_, settled) => match result_of(&settled, component)? {
            Err(_) => Ok(()),
            Ok(evidence) => fault(format!(
                "{component}: {} failed, and the result is a success: {evidence}",
                bad.culprit
            )),
        },
        Outcome::Lost(why) => fault(format!(
            "{component}: {} failed, and the result is lost: {why}",
            bad.culprit
        )),
        Outcome::Failed(call, error) if call != "prepare" => fault(format!(
            "{component}: {} failed, and {call} ended in an error in place of a result: {}",
            bad.culprit,
            error.chain()
        )),
        other => other.settled().map(|_| ()),
    }
}

pub(super) async fn deployer_failed_apply_names_the_patch(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let (bad, failure) = failure(bench, &on).await?;
    demand(failure.blames.contains(&bad.culprit), || {
        format!(
            "{}: {} failed, and the failure blames {:?}: {failure}",
            bad.change.component, bad.culprit, failure.blames
        )
    })
}

pub(super) async fn deployer_scan_after_a_failed_apply_shows_what_went_in(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let (bad, _) = failure(bench, &on).await?;
    let component = &bad.change.component;
    let seen = bench.look(component).await?;
    let scan = bench.scan(&on, component).await?;
    for patch in bad.change.patches.iter().map(|p| &p.patch) {
        let same = seen.versions.get(patch) == scan.installed.get(patch);
        // A half-configured package has a version and is no version that runs: naming it is enough.
        let named = scan
            .unhealthy
            .iter()
            .any(|u| u.what.contains(patch.as_str()));
        let word = |v: Option<&Version>| v.map_or("nothing".to_owned(), ToString::to_string);
        demand(same || named, || {
            format!(
                "{component}: after the failure there is {patch} {}, and the scan says {}",
                word(seen.versions.get(patch)),
                word(scan.installed.get(patch))
            )
        })?;
    }
    Ok(())
}

pub(super) async fn deployer_lock_holder_is_a_reason_that_passes(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = change.component.clone();
    let request = bench.apply_request(&on, vec![change]).await?;
    bench.trouble(Trouble::LockTaken(component.clone())).await?;
    let before = bench.look(&component).await?;
    let key = bench.key(&component, "apply");
    let outcome = bench.drive(&on, key, request.clone()).await;
    match &outcome {
        Outcome::Blocked(blockers) => {
            let busy = |b: &&Blocker| b.failure.kind == ErrorKind::Busy;
            match blockers.iter().find(busy) {
                Some(blocker) => demand(blocker.passes, || {
                    format!("a lock is called final: {}", blocker.failure)
                })?,
                None => return fault(format!("the lock is not among the reasons: {blockers:?}")),
            }
        }
        // The short way sees the lock only when its tool runs into it.
        Outcome::Refused(failure) if failure.kind == ErrorKind::Busy => {}
        Outcome::Settled(_, settled) => match result_of(settled, &component)? {
            Err(failure) if failure.kind == ErrorKind::Busy => {}
            Err(failure) => {
                return fault(format!("a lock ended in {}: {failure}", failure.kind));
            }
            Ok(evidence) => {
                return fault(format!(
                    "somebody held the lock, and the result is a success: {evidence}"
                ));
            }
        },
        other => return fault(format!("a lock ended in {other:?}")),
    }
    let after = bench.look(&component).await?;
    demand(before.versions == after.versions, || {
        "somebody held the lock, and what is installed changed".to_owned()
    })?;
    bench
        .trouble(Trouble::LockGivenBack(component.clone()))
        .await?;
    let key = bench.key(&component, "apply");
    match bench.prepare(&on, key, request).await {
        Ok(_) | Err(Outcome::AlreadyHolds) => Ok(()),
        Err(other) => fault(format!(
            "the lock was given back, and prepare says {other:?}"
        )),
    }
}
