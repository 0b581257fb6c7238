//! Plans that come from a file: of a newer version, damaged, of another estate.

use patchcore::{ErrorKind, Estate, Journal, Plan, Result};

use super::{
    seen::Seen,
    stage::{self, Witness},
};

async fn text() -> Result<String> {
    let sim = stage::sim()?;
    stage::plan(&stage::estate(&sim)).await?.to_json()
}

pub(crate) async fn newer() -> Result<Seen> {
    let text = text()
        .await?
        .replace("patchcore.plan/1", "patchcore.plan/2");
    Ok(
        Seen::refused(Plan::from_json(&text), ErrorKind::InvalidInput).says(&[
            "patchcore.plan/1",
            "patchcore.plan/2",
            "with the version of patchcore that wrote it",
        ]),
    )
}

pub(crate) async fn damaged() -> Result<Seen> {
    // A copy that stopped half-way.
    let text = text().await?;
    let half = &text[..text.len() / 2];
    Ok(
        Seen::refused(Plan::from_json(half), ErrorKind::InvalidInput)
            .says(&["this is not a plan", "copy it again"]),
    )
}

pub(crate) async fn of_another_estate() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let north = stage::estate(&sim);
    let plan = Plan::from_json(&stage::plan(&north).await?.to_json()?)?;
    let approved = stage::approved(&north, plan)?;
    let south = Estate::named("dc-south")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let journal = Journal::in_memory()?;
    let answer = south.run(approved, &journal).await;
    let (what, holds) = witness.untouched()?;
    let (runs, none) = stage::runs(&journal, 0).await?;
    Ok(Seen::refused(answer, ErrorKind::InvalidInput)
        .says(&[
            "was made for another estate",
            "dc-south",
            "dc-north",
            "nothing was started",
        ])
        .proves(what, holds)
        .proves(runs, none))
}
