//! What `prepare` must see, and that it only looks.

use patchcore::{
    ErrorKind,
    estate::PatchChange,
    provider::{Change, DeployRequest, PortRequest, Prepared, Readiness},
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, demand, fault},
    conformance::deployer::every_verb,
    drive::blocked,
};

async fn prepare(bench: &Bench, on: &Connection, request: &DeployRequest) -> Checked<Prepared> {
    let key = bench.key(&bench.change()?.component, request.verb());
    match on
        .deployer()?
        .prepare(&bench.working(on, &key), request)
        .await
    {
        Ok(prepared) => Ok(prepared),
        Err(error) => fault(format!(
            "prepare of {} failed: {}",
            request.verb(),
            error.chain()
        )),
    }
}

pub(in crate::conformance) async fn operations_prepare_is_ready_when_it_can_begin(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = change.component.clone();
    let request = bench.apply_request(&on, vec![change]).await?;
    let prepared = prepare(bench, &on, &request).await?;
    match prepared.subjects.get(&component) {
        // Who is left out is another check's matter.
        Some(Readiness::Ready) | None => Ok(()),
        Some(Readiness::AlreadyHolds(evidence)) => fault(format!(
            "{component}: the change can go in, and prepare says that it holds already: {evidence}"
        )),
        Some(Readiness::Blocked(blockers)) => fault(format!(
            "{component}: the change can go in, and {}",
            blocked(blockers)
        )),
        Some(other) => fault(format!("{component}: prepare says {other:?}")),
    }
}

pub(in crate::conformance) async fn operations_prepare_answers_every_subject(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let key = bench.key(&bench.change()?.component, "apply");
    let all = bench.apply_all_unstaged()?;
    let together = on
        .deployer()?
        .prepare(&bench.working(&on, &key), &all)
        .await;
    let answers = match together {
        Ok(prepared) => vec![(all, prepared)],
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let mut each = Vec::new();
            for subject in all.subjects() {
                if let Some(one) = all.only(&[subject].into()) {
                    let prepared = prepare(bench, &on, &one).await?;
                    each.push((one, prepared));
                }
            }
            each
        }
        Err(error) => return fault(format!("prepare failed: {}", error.chain())),
    };
    for (request, prepared) in answers {
        let asked = request.subjects();
        let missing = asked.iter().find(|s| !prepared.subjects.contains_key(*s));
        if let Some(missing) = missing {
            return fault(format!("{missing} is a subject and has no answer"));
        }
        if let Some(extra) = prepared.subjects.keys().find(|s| !asked.contains(*s)) {
            return fault(format!("{extra} is no subject and has an answer"));
        }
    }
    Ok(())
}

impl Bench {
    fn apply_all_unstaged(&self) -> Checked<DeployRequest> {
        let first = self.change()?.component;
        Ok(DeployRequest::Apply {
            changes: self.stock.changes.clone(),
            staged: self.key(&first, "stage"),
        })
    }
}

pub(in crate::conformance) async fn operations_prepare_sees_what_already_holds(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    // From another version to the one that is there: what is wanted is so already.
    let patches = change.patches.iter().take(1).map(|p| PatchChange {
        from: Some(bench.stock.other.clone()),
        to: p.from.clone(),
        ..p.clone()
    });
    let request = DeployRequest::Apply {
        changes: vec![Change::new(change.component.clone(), patches.collect())],
        staged: bench.key(&change.component, "stage"),
    };
    let before = bench.look_at_all().await?;
    let prepared = prepare(bench, &on, &request).await?;
    match prepared.subjects.get(&change.component) {
        Some(Readiness::AlreadyHolds(_)) | None => {}
        Some(other) => {
            return fault(format!(
                "{}: everything is at the planned version, and prepare says {other:?}",
                change.component
            ));
        }
    }
    bench.untouched_since(&before, "asking what holds").await
}

pub(in crate::conformance) async fn operations_prepare_is_blocked_by_drift(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = change.component.clone();
    let request = bench.apply_request(&on, vec![change]).await?;
    bench.drift().await?;
    let before = bench.look_at_all().await?;
    let prepared = prepare(bench, &on, &request).await?;
    match prepared.subjects.get(&component) {
        None => {}
        Some(Readiness::Blocked(blockers)) => {
            let drift = blockers
                .iter()
                .find(|b| b.failure.kind == ErrorKind::PlanDrift);
            match drift {
                None => {
                    return fault(format!(
                        "{component}: another version is there than planned, and no reason is of kind \
                         plan_drift: {blockers:?}"
                    ));
                }
                Some(blocker) => demand(blocker.failure.hint.is_some(), || {
                    format!("{component}: no remedy is named: {}", blocker.failure)
                })?,
            }
        }
        Some(other) => {
            return fault(format!(
                "{component}: {} is there, another version than planned, and prepare says {other:?}",
                bench.stock.other
            ));
        }
    }
    bench.untouched_since(&before, "asking under drift").await
}

pub(in crate::conformance) async fn operations_prepare_changes_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let apply = bench.apply_request(&on, vec![bench.change()?]).await?;
    let before = bench.look_at_all().await?;
    for request in every_verb(bench)?.iter().chain([&apply]) {
        let key = bench.key(&bench.change()?.component, request.verb());
        // What it answers is another check's matter.
        drop(ops.prepare(&bench.working(&on, &key), request).await);
        let by = format!("prepare of {}", request.verb());
        bench.untouched_since(&before, &by).await?;
    }
    Ok(())
}
