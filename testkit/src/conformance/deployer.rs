//! Checks of the verbs of a [`Deployer`](patchcore::provider::Deployer).

use patchcore::{
    ErrorKind,
    id::ComponentId,
    provider::{DeployRequest, Evidence, PortRequest},
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
    drive::{Outcome, result_of},
};

/// Which check is about which capability. A capability that is not here makes its claim a fault.
const CAPABILITIES: &[(&str, &str)] = &[
    ("refresh", "deployer_refresh_changes_no_version"),
    ("stage", "deployer_stage_puts_nothing_in"),
    ("reboot", "deployer_reboot_changes_the_boot_identity"),
    ("roll_back", "deployer_roll_back_brings_the_versions_back"),
    (
        "restarts_with_apply",
        "deployer_apply_puts_in_exactly_the_planned_versions",
    ),
];

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
