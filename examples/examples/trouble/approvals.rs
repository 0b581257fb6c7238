//! Approvals: whose, of what, and until when.

use patchcore::{ErrorKind, Journal, Plan, Result, approve::Approval};

use super::{
    seen::Seen,
    stage::{self, Witness, at},
};

/// Approves the plan of the stage with what `approvals` makes of it.
async fn approve(
    kind: ErrorKind,
    approvals: impl FnOnce(&patchcore::Estate, &Plan) -> Result<Vec<Approval>>,
) -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let plan = stage::plan(&estate).await?;
    let approvals = approvals(&estate, &plan)?;
    let id = plan.id();
    let (what, holds) = witness.untouched()?;
    Ok(Seen::refused(estate.approve(plan, approvals), kind)
        .says(&[&format!("plan {id}"), "nothing was started"])
        .proves(what, holds))
}

pub(crate) async fn none() -> Result<Seen> {
    let seen = approve(ErrorKind::NotApproved, |_, _| Ok(Vec::new())).await?;
    Ok(seen.says(&["approvals by 1 of: maria, jon", "have it approved by"]))
}

pub(crate) async fn of_another_plan() -> Result<Seen> {
    // The same estate a moment later, under a policy of another ring: another envelope.
    let sim = stage::sim()?;
    let estate = stage::estate(&sim);
    let policy = stage::policy_with(|text| text.replace("at_once = \"2\"", "at_once = \"1\""))?;
    let other = estate.plan(&policy).requested_by("sam").await?;
    let approval = estate.approval(&other, "maria")?;
    let found = format!("but found envelope {}", other.id());
    let seen = approve(ErrorKind::ApprovalMismatch, |_, _| Ok(vec![approval])).await?;
    Ok(seen.says(&["maria approved another plan", &found]))
}

pub(crate) async fn by_the_requester() -> Result<Seen> {
    let seen = approve(ErrorKind::SelfApproved, |estate, plan| {
        Ok(vec![estate.approval(plan, "sam")?])
    })
    .await?;
    Ok(seen.says(&["sam asked for it and cannot approve it", "maria or jon"]))
}

pub(crate) async fn by_somebody_else() -> Result<Seen> {
    let seen = approve(ErrorKind::NotApproved, |estate, plan| {
        Ok(vec![estate.approval(plan, "eve")?])
    })
    .await?;
    Ok(seen.says(&["eve may not approve it", "maria, jon"]))
}

pub(crate) async fn too_late() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let plan = stage::plan(&estate).await?;
    let approval = estate.approval(&plan, "maria")?;
    sim.clock().advance_to(at("2026-12-21T15:30:00Z")?);
    let (what, holds) = witness.untouched()?;
    Ok(
        Seen::refused(estate.approve(plan, [approval]), ErrorKind::ApprovalExpired)
            .says(&[
                "too old to be approved",
                "before Mon 21 Dec 15:00 CET",
                "found Mon 21 Dec 16:30 CET",
                "plan again",
            ])
            .proves(what, holds),
    )
}

pub(crate) async fn expired_at_the_start() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let journal = Journal::in_memory()?;
    let approved = stage::approved(&estate, stage::plan(&estate).await?)?;
    sim.clock().advance_to(at("2026-12-21T15:30:00Z")?);
    let answer = estate.run(approved, &journal).await;
    let (what, holds) = witness.untouched()?;
    let (runs, none) = stage::runs(&journal, 0).await?;
    Ok(Seen::refused(answer, ErrorKind::ApprovalExpired)
        .says(&[
            "its approval has expired",
            "nothing was started",
            "plan again",
        ])
        .proves(what, holds)
        .proves(runs, none))
}
