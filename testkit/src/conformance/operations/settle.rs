//! How an operation comes to its result, and what a result must say.

use std::time::Duration;

use patchcore::{
    ErrorKind,
    provider::{Begun, DeployRequest, Guarantee, Located, Observed, Op, PortRequest},
};

use super::prepared_apply_of_many;
use crate::{
    bench::Bench,
    check::{Checked, Verdict, demand, fault},
    drive::{Outcome, Started, result_of, results, unprepared},
};

pub(in crate::conformance) async fn operations_a_begun_operation_settles(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let component = bench.change()?.component;
    let op = bench.prepared_apply(&on).await?;
    match bench.carry_out(&on, op).await {
        Outcome::Settled(_, settled) => match result_of(&settled, &component)? {
            Ok(_) => Ok(()),
            Err(failure) => fault(format!(
                "{component}: the change can go in and failed: {failure}"
            )),
        },
        other => fault(format!("{component}: no result: {other:?}")),
    }
}

pub(in crate::conformance) async fn operations_settled_covers_every_subject(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let op = match prepared_apply_of_many(bench, &on, bench.stock.changes.clone()).await? {
        Some(op) => op,
        None => bench.prepared_apply(&on).await?,
    };
    let (op, settled) = bench.carry_out(&on, op).await.settled()?;
    let subjects = op.request.subjects();
    if let Some(missing) = subjects.iter().find(|s| !settled.subjects.contains_key(*s)) {
        return fault(format!("{missing} is a subject and has no result"));
    }
    match settled.subjects.keys().find(|s| !subjects.contains(*s)) {
        Some(extra) => fault(format!("{extra} is no subject and has a result")),
        None => Ok(()),
    }
}

pub(in crate::conformance) async fn operations_partial_failure_is_told_per_subject(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let Some(bad) = bench.stock.bad.clone() else {
        return Err(Verdict::NotOffered(
            "a patch that does not go in".to_owned(),
        ));
    };
    let good = bench
        .stock
        .changes
        .iter()
        .find(|c| c.component != bad.change.component)
        .cloned();
    let Some(good) = good else {
        return Err(Verdict::NotOffered(
            "a second component beside the one whose patch fails".to_owned(),
        ));
    };
    let changes = vec![good.clone(), bad.change.clone()];
    let Some(op) = prepared_apply_of_many(bench, &on, changes).await? else {
        return Err(Verdict::NotClaimed(
            "several subjects in one operation".to_owned(),
        ));
    };
    let before = bench.look(&good.component).await?;
    let (_, settled) = bench.carry_out(&on, op).await.settled()?;
    let after = bench.look(&good.component).await?;
    let went_in = before.versions != after.versions;
    match result_of(&settled, &good.component)? {
        Err(failure) if went_in => {
            return fault(format!(
                "{}: its change went in, and it is called failed: {failure}",
                good.component
            ));
        }
        Ok(evidence) if !went_in => {
            return fault(format!(
                "{}: nothing went in, and it is called done: {evidence}",
                good.component
            ));
        }
        _ => {}
    }
    match result_of(&settled, &bad.change.component)? {
        Err(_) => Ok(()),
        Ok(evidence) => fault(format!(
            "{}: {} failed, and beside another subject it is called done: {evidence}",
            bad.change.component, bad.culprit
        )),
    }
}

pub(in crate::conformance) async fn operations_evidence_is_not_older_than_the_effect(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let op = bench.prepared_apply(&on).await?;
    let begun = bench.now();
    let (_, settled) = bench.carry_out(&on, op).await.settled()?;
    for (component, result) in results(&settled) {
        if let Ok(evidence) = result {
            demand(evidence.as_of >= begun, || {
                format!(
                    "{component}: begun at {begun}, and the proof is of {}: {evidence}",
                    evidence.as_of
                )
            })?;
        }
    }
    Ok(())
}

/// What one observation may take here. The engine observes many, and a look at a job takes seconds.
const LOOK: Duration = Duration::from_secs(60);
/// What a machine under load may add to it.
const SLACK: Duration = Duration::from_secs(5);

pub(in crate::conformance) async fn operations_observe_ends_within_its_deadline(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let Started { op, handle } = bench.running_apply(&on).await?;
    let asked = bench.now();
    let ctx = bench
        .reading_within(LOOK)
        .for_operation(op.key.clone(), on.fence);
    // What it says is another check's matter.
    drop(on.deployer()?.observe(&ctx, &op, &handle).await);
    let took = bench.now().duration_since(asked);
    demand(
        took <= (LOOK + SLACK).try_into().unwrap_or_default(),
        || {
            format!(
                "observe had {} s and took {} s",
                LOOK.as_secs(),
                took.as_secs()
            )
        },
    )
}

pub(in crate::conformance) async fn operations_running_says_when_to_ask_again(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let Started { op, handle } = bench.running_apply(&on).await?;
    let ctx = bench.reading().for_operation(op.key.clone(), on.fence);
    match on.deployer()?.observe(&ctx, &op, &handle).await {
        Ok(Observed::Running { poll_after, .. }) => demand(!poll_after.is_zero(), || {
            "it runs, and the next look is wanted after no time at all".to_owned()
        }),
        _ => Err(Verdict::NotOffered(
            "work that still runs at the first look".to_owned(),
        )),
    }
}

pub(in crate::conformance) async fn operations_guarantee_is_kept_to_one_subject(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let first = bench.change()?.component;
    if bench.stock.changes.len() < 2 {
        return Err(Verdict::NotOffered("a second component".to_owned()));
    }
    let request = DeployRequest::Apply {
        changes: bench.stock.changes.clone(),
        staged: bench.key(&first, "stage"),
    };
    let key = bench.key(&first, "apply");
    let op: Op<DeployRequest> = match ops.prepare(&bench.working(&on, &key), &request).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        Err(_) => unprepared(key, request),
        Ok(prepared) => Op::new(key, request, prepared.baseline),
    };
    match ops.guarantee(&op) {
        guarantee @ (Guarantee::StateOnly { .. } | Guarantee::Blind) => fault(format!(
            "{} subjects in one operation, and no more than {guarantee:?} is promised",
            op.request.subjects().len()
        )),
        Guarantee::Keyed { memory } | Guarantee::Locatable { memory, .. } => {
            demand(!memory.is_zero(), || {
                "the target is said to forget at once".to_owned()
            })
        }
        _ => Ok(()),
    }
}

pub(in crate::conformance) async fn operations_refused_means_nothing_happened(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let op = bench.prepared_apply(&on).await?;
    let component = bench.change()?.component;
    let before = bench.look(&component).await?;
    // Whoever is asked to stop may refuse, go on, or not know; a refusal must be true.
    let begun = ops.begin(&bench.stopping(&on, &op.key), &op).await;
    match begun {
        Ok(Begun::Refused(failure)) => {
            let trace = bench.locate(&on, &op).await?;
            demand(
                !matches!(trace, Ok(Located::Running(_) | Located::Settled(_))),
                || format!("begin refused ({failure}), and it is located: {trace:?}"),
            )?;
            let after = bench.look(&component).await?;
            demand(before.versions == after.versions, || {
                format!("begin refused ({failure}), and what is installed changed")
            })
        }
        Ok(Begun::Started(handle)) => {
            bench.finish(&on, Started { op, handle }).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(in crate::conformance) async fn operations_nothing_shows_a_secret(bench: &Bench) -> Checked {
    let Some(secret) = bench.stock.secret.clone() else {
        return Err(Verdict::NotOffered("a provider with a secret".to_owned()));
    };
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let clean = |where_: &str, shown: String| {
        demand(!shown.contains(&secret), || {
            format!("the secret stands in {where_}")
        })
    };
    clean("the provider's debug print", format!("{:?}", on.provider))?;
    clean("the deployer's debug print", format!("{ops:?}"))?;
    for (name, shown) in [
        (
            "inventory",
            on.ports.inventory.as_ref().map(|p| format!("{p:?}")),
        ),
        ("source", on.ports.source.as_ref().map(|p| format!("{p:?}"))),
        ("probe", on.ports.probe.as_ref().map(|p| format!("{p:?}"))),
    ] {
        clean(
            &format!("the {name}'s debug print"),
            shown.unwrap_or_default(),
        )?;
    }
    let op = bench.prepared_apply(&on).await?;
    clean("the baseline", format!("{:?}", op.baseline))?;
    let (op, settled) = match bench.begin(&on, op).await {
        Ok(started) => {
            clean("the handle", format!("{:?}", started.handle))?;
            bench.finish(&on, started).await.settled()?
        }
        Err(outcome) => outcome.settled()?,
    };
    clean("the result", format!("{settled:?}"))?;
    clean("the undo", format!("{:?}", ops.undo(&op)))?;
    let nobody = [bench.nobody()];
    let scan = ops.scan(&bench.reading(), &nobody).await;
    clean("a scan's errors", format!("{scan:?}"))
}
