//! An estate whose every call answers at once, so that what is measured is the engine and nothing else.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use async_trait::async_trait;
use patchcore::{
    Estate, Journal, Plan, Policy, Result, Run, SystemClock,
    approve::ApprovedPlan,
    clock::Clock as _,
    estate::{Patch, PatchClass, Scan},
    id::{ComponentId, PatchId, Version},
    plan::Wave,
    provider::{
        Baseline, Begun, DeployRequest, Deployer, DeployerCapabilities, Evidence, Guarantee,
        Handle, Located, Observed, Op, OpContext, Operations, PerComponent, PortRequest as _,
        Ports, Prepared, Provider, ProviderInfo, Settled, SubjectResult, Undo,
    },
    sim::Sim,
};

/// Fifteen events for each component: its slot, three for each of three operations, two looks before the soak and two
/// after it, and the soak's end.
const POLICY: &str = r#"
approval.from = ["measurer"]

[[window]]
name = "now"
zone = "UTC"
when = "any time"

[[ring]]
name = "all"
select = "*"
at_once = "all"
soak = "1s"

[reboot]
when = "never"
"#;

const PATCH: &str = "nginx";
const BEFORE: &str = "1.0-1";
const AFTER: &str = "1.1-1";

/// A deployer that answers at once, and always well.
#[derive(Debug)]
struct AtOnce;

fn settled(ctx: &OpContext, op: &Op<DeployRequest>) -> Settled {
    let evidence = Evidence::observed(ctx.now(), "done");
    let done = |subject| (subject, SubjectResult::Done(evidence.clone()));
    Settled {
        subjects: op.request.subjects().into_iter().map(done).collect(),
    }
}

#[async_trait]
impl Operations<DeployRequest> for AtOnce {
    fn guarantee(&self, _: &Op<DeployRequest>) -> Guarantee {
        Guarantee::Keyed {
            memory: std::time::Duration::MAX,
        }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Stage { .. } => Undo::By(DeployRequest::Discard {
                components: op.request.subjects().into_iter().collect(),
                staged: op.key.clone(),
            }),
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, _: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let subject = request.subjects().pop_first();
        let subject = subject.unwrap_or_else(|| ComponentId::from("nobody"));
        Ok(Prepared::ready(subject, Baseline::new(1, &())?))
    }

    async fn begin(&self, _: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        Ok(Begun::Started(Handle::new(1, &op.key.token())?))
    }

    async fn locate(&self, _: &OpContext, _: &Op<DeployRequest>) -> Result<Located> {
        Ok(Located::NotFound)
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        _: &Handle,
    ) -> Result<Observed> {
        Ok(Observed::Settled(settled(ctx, op)))
    }
}

#[async_trait]
impl Deployer for AtOnce {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities::all()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let installed = BTreeMap::from([(PatchId::from(PATCH), Version::from(AFTER))]);
        let scan = Scan::new(ctx.now(), installed);
        let each = components.iter().cloned();
        Ok(each.map(|c| (c, Ok(scan.clone()))).collect())
    }
}

#[derive(Debug)]
struct Wrapped(ProviderInfo, Ports);

impl Provider for Wrapped {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn ports(&self) -> Ports {
        self.1.clone()
    }
}

fn sim() -> Sim {
    Sim::starting(SystemClock.now(), 1)
        .guest("vm-0000000", |guest| guest.package(PATCH, BEFORE))
        .publish(Patch::new(PATCH, None, AFTER, PatchClass::Security))
}

/// Where one component is as it was before; for planning.
fn before() -> Estate {
    Estate::named("bench")
        .with(sim().provider())
        .with_clock(Arc::new(SystemClock))
}

pub(crate) fn estate() -> Estate {
    let provider = sim().provider();
    let ports = provider.ports().with_deployer(Arc::new(AtOnce));
    Estate::named("bench")
        .with(Wrapped(provider.info().clone(), ports))
        .with_clock(Arc::new(SystemClock))
}

/// A plan of so many equal components, in waves of `at_once`. One component is planned as any is, and taken many
/// times: discovering an estate is not what is measured.
async fn plan(components: usize, at_once: usize) -> std::result::Result<Plan, Box<dyn Error>> {
    let policy = Policy::from_toml(POLICY, "bench.toml")?;
    let mut plan = before().plan(&policy).requested_by("bench").await?;
    let pattern = plan.envelope.targets.pop().ok_or("nothing is planned")?;
    plan.envelope.targets = (0..components)
        .map(|nth| {
            let mut target = pattern.clone();
            target.component = ComponentId::from(format!("vm-{nth:07}"));
            target.known_as = target.component.clone();
            target
        })
        .collect();
    let ring = plan
        .schedule
        .rings
        .first_mut()
        .ok_or("no ring is planned")?;
    let first = ring.waves.pop().ok_or("no wave is planned")?;
    ring.waves = plan
        .envelope
        .targets
        .chunks(at_once)
        .map(|wave| Wave {
            components: wave.iter().map(|t| t.component.clone()).collect(),
            ..first.clone()
        })
        .collect();
    for rules in &mut plan.envelope.rings {
        rules.at_once = at_once;
    }
    plan.found = components;
    Ok(plan)
}

/// Starts a run over so many components.
pub(crate) async fn start(
    components: usize,
    at_once: usize,
    journal: &Journal,
) -> std::result::Result<Run, Box<dyn Error>> {
    let estate = estate();
    let plan = plan(components, at_once).await?;
    let approval = estate.approval(&plan, "measurer")?;
    let approved: ApprovedPlan = estate.approve(plan, [approval])?;
    Ok(estate.run(approved, journal).await?)
}
