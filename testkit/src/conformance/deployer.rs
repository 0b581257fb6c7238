//! Checks of the verbs of a [`Deployer`](patchcore::provider::Deployer).

use patchcore::{
    ErrorKind, Failure,
    id::ComponentId,
    provider::{DeployRequest, Evidence, PortRequest},
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
    drive::{Outcome, result_of},
    fixture::{BadChange, Trouble},
};

/// Which check is about which capability. A capability that is not here makes its claim a fault.
const CAPABILITIES: &[(&str, &str)] = &[
    ("refresh", "deployer_refresh_changes_no_version"),
    ("stage", "deployer_stage_puts_nothing_in"),
    ("reboot", "deployer_reboot_changes_the_boot_identity"),
    ("roll_back", "deployer_roll_back_brings_the_versions_back"),
];

const FAILS: &str = "deployer_failed_apply_is_a_failed_result";

fn not_claimed(capability: &str) -> Verdict {
    Verdict::NotClaimed(capability.to_owned())
}

pub(super) async fn deployer_every_claimed_capability_has_a_check(bench: &Bench) -> Checked {
    let capabilities = bench.connect().await?.deployer()?.capabilities();
    let claims = serde_json::to_value(capabilities)
        .map_err(|e| Verdict::NotRun(format!("capabilities cannot be written: {e}")))?;
    match unchecked(&claims) {
        Some(name) => fault(format!("{name} is claimed and has no check")),
        None => Ok(()),
    }
}

/// The first capability that is claimed and that no check knows.
fn unchecked(claims: &serde_json::Value) -> Option<String> {
    let checked = |name: &str| {
        let entry = CAPABILITIES.iter().find(|(known, _)| *known == name);
        entry.is_some_and(|(_, check)| crate::checks().any(|c| c.name == *check))
    };
    let claimed = claims.as_object()?.iter().filter(|(_, c)| **c != false);
    claimed
        .map(|(name, _)| name)
        .find(|name| !checked(name))
        .cloned()
}

pub(super) async fn deployer_unclaimed_verbs_are_unsupported(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let capabilities = ops.capabilities();
    let before = bench.look_at_all().await?;
    let mut asked = 0;
    for request in every_verb(bench)? {
        if capabilities.claims(&request) {
            continue;
        }
        asked += 1;
        let verb = request.verb();
        let key = bench.key(&bench.change()?.component, verb);
        match ops.prepare(&bench.working(&on, &key), &request).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => {
                return fault(format!(
                    "{verb} is not claimed and was refused by {}: {}",
                    error.kind(),
                    error.chain()
                ));
            }
            Ok(prepared) => {
                return fault(format!(
                    "{verb} is not claimed and was prepared: {:?}",
                    prepared.subjects
                ));
            }
        }
    }
    if asked == 0 {
        return Err(Verdict::NotOffered(
            "a verb that is not claimed: all of them are".to_owned(),
        ));
    }
    bench.untouched_since(&before, "prepare").await
}

/// One request of every verb on the first change.
pub(super) fn every_verb(bench: &Bench) -> Checked<Vec<DeployRequest>> {
    let change = bench.change()?;
    let components = vec![change.component.clone()];
    let staged = bench.key(&change.component, "stage");
    Ok(vec![
        DeployRequest::Refresh {
            components: components.clone(),
        },
        DeployRequest::Stage {
            changes: vec![change.clone()],
        },
        DeployRequest::Apply {
            changes: vec![change.clone()],
            staged: staged.clone(),
        },
        DeployRequest::Reboot {
            components: components.clone(),
        },
        DeployRequest::RollBack {
            changes: vec![change.reversed()],
            staged: staged.clone(),
        },
        DeployRequest::Discard { components, staged },
    ])
}

/// Drives a verb that must end well and put nothing in.
async fn changes_no_version(bench: &Bench, on: &Connection, request: DeployRequest) -> Checked {
    let component = bench.change()?.component;
    let verb = request.verb();
    let before = bench.look(&component).await?;
    let key = bench.key(&component, verb);
    match bench.drive(on, key, request).await {
        Outcome::AlreadyHolds => {}
        Outcome::Settled(_, settled) => {
            if let Err(failure) = result_of(&settled, &component)? {
                return fault(format!("{verb} of {component} failed: {failure}"));
            }
        }
        other => return fault(format!("{verb} of {component} did not end well: {other:?}")),
    }
    let after = bench.look(&component).await?;
    demand(before.versions == after.versions, || {
        format!(
            "{verb} of {component} changed what is installed: {}",
            crate::bench::difference(&before, &after)
        )
    })
}

pub(super) async fn deployer_refresh_changes_no_version(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    if !on.deployer()?.capabilities().refresh {
        return Err(not_claimed("refresh"));
    }
    let components = vec![bench.change()?.component];
    changes_no_version(bench, &on, DeployRequest::Refresh { components }).await
}

pub(super) async fn deployer_stage_puts_nothing_in(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    if !on.deployer()?.capabilities().stage {
        return Err(not_claimed("stage"));
    }
    let changes = vec![bench.change()?];
    changes_no_version(bench, &on, DeployRequest::Stage { changes }).await
}

pub(super) async fn deployer_apply_puts_in_exactly_the_planned_versions(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let op = bench.prepared_apply(&on).await?;
    let before = bench.look(&change.component).await?;
    bench.carry_out(&on, op).await.succeeded()?;
    let after = bench.look(&change.component).await?;
    for patch in &change.patches {
        let there = after.versions.get(&patch.patch);
        demand(there == patch.to.as_ref(), || {
            format!(
                "{}: {patch} was applied, and {} is there",
                change.component,
                there.map_or("nothing".to_owned(), ToString::to_string)
            )
        })?;
    }
    // What the plan does not name stays as it is, as far as the fixture's eyes reach.
    let planned = |name: &&patchcore::id::PatchId| change.patches.iter().any(|p| p.patch == **name);
    let moved = before
        .versions
        .keys()
        .filter(|name| !planned(name))
        .find(|name| before.versions.get(*name) != after.versions.get(*name));
    match moved {
        Some(name) => fault(format!(
            "{}: {name} is not in the plan and changed: {}",
            change.component,
            crate::bench::difference(&before, &after)
        )),
        None => Ok(()),
    }
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
        let word = |v: Option<&patchcore::id::Version>| {
            v.map_or("nothing".to_owned(), ToString::to_string)
        };
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

pub(super) async fn deployer_reboot_changes_the_boot_identity(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    if !on.deployer()?.capabilities().reboot {
        return Err(not_claimed("reboot"));
    }
    let component = bench.change()?.component;
    let before = bench.scan(&on, &component).await?.boot_id;
    demand(before.is_some(), || {
        format!("{component}: restarts are claimed, and the scan has no boot identity")
    })?;
    let request = DeployRequest::Reboot {
        components: vec![component.clone()],
    };
    let key = bench.key(&component, "reboot");
    let (_, settled) = bench.drive(&on, key, request).await.settled()?;
    let after = bench.scan(&on, &component).await?.boot_id;
    match result_of(&settled, &component)? {
        Ok(evidence) => demand(after.is_some() && after != before, || {
            format!(
                "{component} is said to have restarted ({evidence}), and its boot identity was \
                 {before:?} and is {after:?}"
            )
        }),
        Err(failure) => fault(format!("{component} did not restart: {failure}")),
    }
}

pub(super) async fn deployer_roll_back_brings_the_versions_back(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    if !on.deployer()?.capabilities().roll_back {
        return Err(not_claimed("roll_back"));
    }
    let change = bench.change()?;
    let op = bench.prepared_apply(&on).await?;
    let before = bench.look(&change.component).await?;
    let (op, _) = bench.carry_out(&on, op).await.succeeded()?;
    let DeployRequest::Apply { staged, .. } = &op.request else {
        return fault("not an apply");
    };
    let mut planned = before.versions.clone();
    for patch in &change.patches {
        match &patch.to {
            Some(to) => planned.insert(patch.patch.clone(), to.clone()),
            None => planned.remove(&patch.patch),
        };
    }
    if bench.look(&change.component).await?.versions != planned {
        return Err(Verdict::Unjudged {
            see: "deployer_apply_puts_in_exactly_the_planned_versions",
            why: "the apply did not put exactly the planned versions in".to_owned(),
        });
    }
    let request = DeployRequest::RollBack {
        changes: vec![change.reversed()],
        staged: staged.clone(),
    };
    let key = bench.key(&change.component, "roll_back");
    match bench.drive(&on, key, request).await {
        Outcome::Settled(_, settled) => {
            if let Err(failure) = result_of(&settled, &change.component)? {
                return fault(format!(
                    "rolling {} back failed: {failure}",
                    change.component
                ));
            }
        }
        other => return fault(format!("rolling back did not end well: {other:?}")),
    }
    let after = bench.look(&change.component).await?;
    demand(before.versions == after.versions, || {
        format!(
            "{} was rolled back and is not as before: {}",
            change.component,
            crate::bench::difference(&before, &after)
        )
    })
}

pub(super) async fn deployer_discard_may_be_repeated(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    if !on.deployer()?.capabilities().stage {
        return Err(not_claimed("stage"));
    }
    let change = bench.change()?;
    let component: ComponentId = change.component.clone();
    let staged = bench.key(&component, "stage");
    let stage = DeployRequest::Stage {
        changes: vec![change],
    };
    bench.stage_only(&on, staged.clone(), stage).await?;
    for time in ["first", "second"] {
        let request = DeployRequest::Discard {
            components: vec![component.clone()],
            staged: staged.clone(),
        };
        let key = bench.key(&component, "discard");
        let ended: Result<Option<Evidence>, String> = match bench.drive(&on, key, request).await {
            Outcome::AlreadyHolds => Ok(None),
            Outcome::Settled(_, settled) => match result_of(&settled, &component)? {
                Ok(evidence) => Ok(Some(evidence.clone())),
                Err(failure) => Err(failure.to_string()),
            },
            other => Err(format!("{other:?}")),
        };
        if let Err(why) = ended {
            return fault(format!("the {time} discard did not end well: {why}"));
        }
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
            let busy = |b: &&patchcore::provider::Blocker| b.failure.kind == ErrorKind::Busy;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_without_a_check_is_named() {
        let known =
            serde_json::json!({"refresh": true, "stage": true, "reboot": true, "roll_back": true});
        assert_eq!(unchecked(&known), None);
        let new = serde_json::json!({"stage": true, "teleport": true});
        assert_eq!(unchecked(&new), Some("teleport".to_owned()));
        let unclaimed = serde_json::json!({"stage": true, "teleport": false});
        assert_eq!(unchecked(&unclaimed), None);
    }
}
