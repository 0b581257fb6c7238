//! Tools that are missing, that lie, and that break.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Estate, Journal, Result,
    estate::{ComponentKind, Impact, Patch, PatchChange, PatchClass, Sighting},
    id::ComponentId,
    provider::{Installed, OpContext, ProviderInfo, Simple, SimpleProvider},
    sim::Script,
};

use super::{
    seen::Seen,
    stage::{self, Witness},
};

pub(crate) async fn missing() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let approved = stage::approved(&estate, stage::plan(&estate).await?)?;
    let journal = Journal::in_memory()?;
    let bare = Estate::named("dc-north").with_clock(sim.shared_clock());
    let answer = bare.run(approved, &journal).await;
    let (what, holds) = witness.untouched()?;
    let (runs, none) = stage::runs(&journal, 0).await?;
    Ok(Seen::refused(answer, ErrorKind::NotFound)
        .says(&[
            "needs provider sim for web-",
            "nothing was started",
            "add it",
        ])
        .proves(what, holds)
        .proves(runs, none))
}

pub(crate) async fn lies() -> Result<Seen> {
    let sim = stage::sim()?.script(Script::lies_success("nginx").on("web-t1"));
    let witness = Witness::of_guests(&sim, &["web-01", "web-02"])?;
    let run = stage::started(&stage::estate(&sim), &Journal::in_memory()?).await?;
    let standing = run.finished().await?;
    let lines = stage::told(&run).await;
    let story = run.story().await?;
    let others = witness.versions_as_before()?;
    let why = run.why("web-t1").await?;
    let lines = stage::lines_with(
        &lines,
        &["the tool says", "expected", "halted", "deny-list"],
    );
    Ok(Seen::text(format!("{lines}\n{why}"))
        .failure(
            stage::first_failure(&story, "web-t1"),
            ErrorKind::VerifyFailed,
        )
        .says(&[
            "expected nginx 1.22.1-10 but found 1.22.1-9",
            "read the tool's own log",
        ])
        .proves("the run halted", standing.is_halted())
        .proves("web-01 and web-02 were not touched", others))
}

/// An appliance whose tool breaks while it works.
#[derive(Debug)]
struct Appliance;

#[async_trait]
impl SimpleProvider for Appliance {
    fn quiet_after(&self) -> Option<Duration> {
        None
    }

    async fn components(&self, ctx: &OpContext) -> Result<Vec<Sighting>> {
        let sighting = Sighting::new("lb-1", ComponentKind::Appliance, ctx.now());
        Ok(vec![sighting.with_label("ring", "test")])
    }

    async fn available(&self, _: &OpContext, _: &ComponentId) -> Result<Vec<Patch>> {
        Ok(vec![
            Patch::new(
                "firmware",
                Some("7.4.1".into()),
                "7.4.2",
                PatchClass::Security,
            )
            .with_impact(Impact::Live),
        ])
    }

    async fn scan(&self, _: &OpContext, _: &ComponentId) -> Result<Installed> {
        Ok(Installed::running([("firmware", "7.4.1")]))
    }

    #[expect(
        clippy::panic,
        reason = "this provider is broken, which is what the case shows"
    )]
    async fn apply(&self, _: &OpContext, _: &ComponentId, _: &PatchChange) -> Result<()> {
        panic!("called unwrap on an answer that was not there")
    }
}

pub(crate) async fn panics() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = Estate::named("dc-north")
        .with(Simple::new(
            ProviderInfo::new("flash-tool", "1.0"),
            Appliance,
        ))
        .with_clock(sim.shared_clock());
    let run = stage::started(&estate, &Journal::in_memory()?).await?;
    let standing = without_panic_messages(run.finished()).await?;
    let why = run.why("lb-1").await?;
    let (what, holds) = witness.untouched()?;
    Ok(Seen::text(format!(
        "{}\n{why}",
        stage::lines_with(&stage::told(&run).await, &["lb-1", "person"])
    ))
    .says(&[
        "lb-1 is quarantined",
        "a provider panicked",
        "next: look at it, then resolve lb-1",
        "adopt-done",
    ])
    .proves(
        "the run waits for a person",
        matches!(standing, patchcore::Standing::AtRest { .. }),
    )
    .proves(what, holds))
}

/// Rust prints where a panic happened before anybody can contain it; an embedder decides whether that is shown.
pub(crate) async fn without_panic_messages<T>(work: impl Future<Output = T>) -> T {
    let printing = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let answer = work.await;
    std::panic::set_hook(printing);
    answer
}
