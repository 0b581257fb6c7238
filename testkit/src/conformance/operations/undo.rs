//! What is signed before an effect: its undo and its guarantee.

use patchcore::provider::{DeployRequest, Op, PortRequest, Undo};

use crate::{
    bench::Bench,
    check::{Checked, Verdict, demand, fault},
};

pub(in crate::conformance) async fn operations_undo_is_the_way_back(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let capabilities = ops.capabilities();
    let op = bench.prepared_apply(&on).await?;
    let DeployRequest::Apply { changes, staged } = &op.request else {
        return fault("not an apply");
    };
    match ops.undo(&op) {
        Undo::Nothing => fault("an apply is said to leave nothing to undo"),
        Undo::Unavailable { why } => demand(!capabilities.roll_back && !why.is_empty(), || {
            if why.is_empty() {
                "an apply cannot be undone, and no reason is given".to_owned()
            } else {
                format!("roll_back is claimed, and an apply cannot be undone: {why}")
            }
        }),
        Undo::By(back) => {
            demand(capabilities.claims(&back), || {
                format!(
                    "an apply is undone by {}, which is not claimed",
                    back.verb()
                )
            })?;
            let DeployRequest::RollBack {
                changes: backwards,
                staged: kept,
            } = &back
            else {
                return fault(format!("an apply is undone by {}", back.verb()));
            };
            let wanted: Vec<_> = changes.iter().map(|c| c.reversed()).collect();
            let way = |changes: &[patchcore::provider::Change]| -> Vec<_> {
                let mut all: Vec<_> = changes
                    .iter()
                    .flat_map(|c| c.patches.iter().map(move |p| (c, p)))
                    .map(|(c, p)| {
                        (
                            c.component.clone(),
                            p.patch.clone(),
                            p.from.clone(),
                            p.to.clone(),
                        )
                    })
                    .collect();
                all.sort();
                all
            };
            demand(way(&wanted) == way(backwards), || {
                format!("the way back of {changes:?} is said to be {backwards:?}")
            })?;
            demand(kept == staged, || {
                format!("staged as {staged}, and the way back uses what {kept} kept")
            })
        }
        other => fault(format!("an unknown undo: {other:?}")),
    }
}

pub(in crate::conformance) async fn operations_undo_and_guarantee_are_pure(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let ops = on.deployer()?;
    let op = bench.prepared_apply(&on).await?;
    let before = bench.look_at_all().await?;
    let (undo, guarantee) = (ops.undo(&op), ops.guarantee(&op));
    let read: Op<DeployRequest> = serde_json::to_string(&op)
        .and_then(|text| serde_json::from_str(&text))
        .map_err(|e| Verdict::Unjudged {
            see: "operations_handles_survive_json_and_a_new_process",
            why: e.to_string(),
        })?;
    let elsewhere = bench.connect().await?.deployer()?;
    for (when, again, promised) in [
        ("at the second call", ops.undo(&op), ops.guarantee(&op)),
        (
            "in another process",
            elsewhere.undo(&read),
            elsewhere.guarantee(&read),
        ),
    ] {
        demand(again == undo, || {
            format!("the undo was {undo:?} and is {again:?} {when}")
        })?;
        demand(promised == guarantee, || {
            format!("the guarantee was {guarantee:?} and is {promised:?} {when}")
        })?;
    }
    bench.untouched_since(&before, "undo or guarantee").await
}
