//! What stands in the way when an estate is asked and a plan is made.

use std::sync::Arc;

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Estate, Plan, Policy, Result,
    estate::{RedundancyGroup, RelationKind, Role},
    plan::WhyLeftOut,
    provider::{InventorySource, Listing, OpContext, Ports, Provider},
    sim::{Script, Sim},
};

use super::{
    seen::Seen,
    stage::{self, Seeing, Witness, at, web},
};

async fn answer(estate: &Estate, policy: &Policy) -> Result<Plan> {
    estate.plan(policy).requested_by("sam").await
}

/// What a plan says of one component that it leaves out, and of nothing else.
fn left_out(plan: &Plan, component: &str, kind: ErrorKind) -> Seen {
    let why = plan.left_out.iter().find(|l| l.component == component);
    let failure = match why.map(|l| &l.reason) {
        Some(WhyLeftOut::Blocked { reasons }) => reasons.first(),
        _ => None,
    };
    let text = plan.to_string();
    let begin = text.find("blocked now").unwrap_or_default();
    let end = text[begin..]
        .find("\n\n")
        .map_or(text.len(), |at| begin + at);
    Seen::text(&text[begin..end])
        .failure(failure, kind)
        .says(&["blocked now", component])
}

pub(crate) async fn one_name_two_machines() -> Result<Seen> {
    let (sim, other) = (
        Sim::starting(stage::start()?, 7)
            .guest("web-1", web)
            .publish(stage::nginx()),
        Sim::starting(stage::start()?, 8)
            .guest("web-1", web)
            .publish(stage::nginx()),
    );
    let witness = Witness::of_guests(&sim, &["web-1"])?;
    let estate = stage::estate(&sim).with(Seeing::new("vsphere", other.provider().ports()));
    let answer = answer(&estate, &stage::policy()?).await;
    let (what, holds) = witness.untouched()?;
    Ok(Seen::refused(answer, ErrorKind::AmbiguousIdentity)
        .says(&[
            "web-1 is the name of two different machines",
            "seen by sim",
            "seen by vsphere",
        ])
        .proves(what, holds))
}

pub(crate) async fn dependencies_in_a_circle() -> Result<Seen> {
    let sim = stage::sim()?
        .relation("web-01", RelationKind::DependsOn, "web-02")
        .relation("web-02", RelationKind::DependsOn, "web-t1")
        .relation("web-t1", RelationKind::DependsOn, "web-01");
    let witness = Witness::of(&sim)?;
    let answer = answer(&stage::estate(&sim), &stage::policy()?).await;
    let (what, holds) = witness.untouched()?;
    Ok(Seen::refused(answer, ErrorKind::Cycle)
        .says(&[
            "web-01 depends on web-02",
            "web-02 depends on web-t1",
            "web-t1 depends on web-01",
            "nothing was planned",
        ])
        .proves(what, holds))
}

pub(crate) async fn two_tools() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim).with(Seeing::new("flash-tool", sim.provider().ports()));
    let plan = answer(&estate, &stage::policy()?).await?;
    let (what, holds) = witness.untouched()?;
    Ok(left_out(&plan, "web-01", ErrorKind::AmbiguousTool)
        .says(&["flash-tool", "sim"])
        .proves("no component is planned", plan.is_empty())
        .proves(what, holds))
}

pub(crate) async fn unreachable() -> Result<Seen> {
    let sim = stage::sim()?
        .script(Script::unreachable(stage::start()?, at("2026-12-08T14:00:00Z")?).on("web-02"));
    let witness = Witness::of(&sim)?;
    let plan = answer(&stage::estate(&sim), &stage::policy()?).await?;
    let (what, holds) = witness.untouched()?;
    Ok(left_out(&plan, "web-02", ErrorKind::Unreachable)
        .proves("the other 2 are planned", plan.envelope.targets.len() == 2)
        .proves(what, holds))
}

pub(crate) async fn check_that_nobody_runs() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let mut ports = sim.provider().ports();
    ports.probe = None;
    let estate = Estate::named("dc-north")
        .with(Seeing::new("sim", ports))
        .with_clock(sim.shared_clock());
    let policy = stage::policy_with(|text| {
        format!(
            "{text}\n[[check]]\nselect = \"tier = web\"\nhttp   = \"http://{{address}}/healthz\"\n"
        )
    })?;
    let plan = answer(&estate, &policy).await?;
    let (what, holds) = witness.untouched()?;
    Ok(left_out(&plan, "web-01", ErrorKind::Unsupported)
        .says(&["http"])
        .proves("no component is planned", plan.is_empty())
        .proves(what, holds))
}

pub(crate) async fn group_at_its_floor() -> Result<Seen> {
    // Two name servers of which one must stay up, and nobody can say that the other one is.
    let sim = Sim::starting(stage::start()?, 7)
        .guests(["dns-1", "dns-2"], web)
        .group(RedundancyGroup::all_but_one(
            "dns",
            Role::Dns,
            ["dns-1", "dns-2"],
        ))
        .publish(stage::nginx())
        .script(Script::unreachable(stage::start()?, at("2026-12-08T14:00:00Z")?).on("dns-2"));
    let witness = Witness::of_guests(&sim, &["dns-1", "dns-2"])?;
    let plan = answer(&stage::estate(&sim), &stage::policy()?).await?;
    let (what, holds) = witness.untouched()?;
    Ok(left_out(&plan, "dns-1", ErrorKind::Unhealthy)
        .says(&["group dns", "1 must stay up", "dns-2"])
        .proves("no component is planned", plan.is_empty())
        .proves(what, holds))
}

/// An inventory with a bug.
#[derive(Debug)]
struct Buggy;

#[async_trait]
impl InventorySource for Buggy {
    #[expect(
        clippy::panic,
        reason = "this provider is broken, which is what the case shows"
    )]
    async fn list(&self, _: &OpContext) -> Result<Listing> {
        panic!("index out of bounds: the len is 0 but the index is 0")
    }
}

pub(crate) async fn provider_that_panics() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let buggy = Seeing::new("cmdb", Ports::none().with_inventory(Arc::new(Buggy)));
    let estate = stage::estate(&sim).with(buggy);
    let policy = stage::policy()?;
    let plan = super::tools::without_panic_messages(answer(&estate, &policy)).await?;
    let (what, holds) = witness.untouched()?;
    let text = stage::lines_with(&plan.to_string(), &["plan ", "cmdb"]);
    Ok(Seen::text(text)
        .says(&["cmdb", "panicked"])
        .proves(
            "the program goes on, and so do the other providers",
            plan.envelope.targets.len() == 3,
        )
        .proves(what, holds))
}
