//! An in-house tool as a provider, the short way, and a roll-out on it.
//!
//! `cargo run --example own_provider`: three load balancers that a tool of the house flashes are found, planned,
//! approved and brought to their new firmware one after the other. The tool is played in memory, in virtual time; a
//! real one would be called where the comments say so. What each method promises: `docs/guide/own-provider.md`.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Estate, Journal, Policy, Result,
    estate::{ComponentKind, Impact, Patch, PatchChange, PatchClass, Sighting},
    id::{ComponentId, Version},
    provider::{Installed, OpContext, ProviderInfo, Simple, SimpleProvider},
    sim::VirtualClock,
};

/// The house's tool and the load balancers that it knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlashTool(pub(crate) Arc<Mutex<BTreeMap<ComponentId, LoadBalancer>>>);

/// What runs on one, and how often it was flashed.
#[derive(Debug, Clone)]
pub(crate) struct LoadBalancer {
    pub(crate) version: Version,
    pub(crate) flashed: u32,
}

/// The provider: whom the tool knows, what it could put in, what is in, and putting it in.
#[derive(Debug)]
pub(crate) struct LoadBalancers(pub(crate) FlashTool);

#[async_trait]
impl SimpleProvider for LoadBalancers {
    fn quiet_after(&self) -> Option<Duration> {
        // The tool flashes for at most two minutes and stops when its caller is gone.
        Some(Duration::from_secs(150))
    }

    async fn components(&self, ctx: &OpContext) -> Result<Vec<Sighting>> {
        let seen = |name| Sighting::new(name, ComponentKind::Appliance, ctx.now());
        Ok(self.0.names().into_iter().map(seen).collect())
    }

    async fn available(&self, _: &OpContext, component: &ComponentId) -> Result<Vec<Patch>> {
        let now = self.0.version(component)?;
        // The tool restarts the load balancer as a part of its work, so nothing is left for patchcore to restart.
        let newest = Patch::new("lb-os", Some(now.clone()), "7.4.2", PatchClass::Security)
            .with_impact(Impact::Reboot);
        Ok(if now == newest.to {
            vec![]
        } else {
            vec![newest]
        })
    }

    async fn scan(&self, _: &OpContext, component: &ComponentId) -> Result<Installed> {
        Ok(Installed::running([("lb-os", self.0.version(component)?)]))
    }

    async fn apply(
        &self,
        ctx: &OpContext,
        component: &ComponentId,
        change: &PatchChange,
    ) -> Result<()> {
        ctx.sleep(Duration::from_secs(100)).await; // here the tool would be called
        self.0.flash(component, change)
    }
}

impl FlashTool {
    pub(crate) fn with(self, name: &str, version: &str) -> Self {
        let version = version.into();
        self.shelf().insert(
            name.into(),
            LoadBalancer {
                version,
                flashed: 0,
            },
        );
        self
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, BTreeMap<ComponentId, LoadBalancer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> Vec<ComponentId> {
        self.shelf().keys().cloned().collect()
    }

    pub(crate) fn version(&self, name: &ComponentId) -> Result<Version> {
        match self.shelf().get(name) {
            Some(there) => Ok(there.version.clone()),
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("the flash tool does not know {name}"),
            )),
        }
    }

    /// Exactly from what was planned, exactly to what was approved: what the tool finds otherwise it leaves alone.
    fn flash(&self, name: &ComponentId, change: &PatchChange) -> Result<()> {
        let found = self.version(name)?;
        let (Some(to), true) = (&change.to, change.from.as_ref() == Some(&found)) else {
            return Err(Error::new(
                ErrorKind::PlanDrift,
                format!("{name}: {} is not as planned", change.patch),
            )
            .found(found.to_string())
            .hint("plan again and have the new plan approved"));
        };
        if let Some(there) = self.shelf().get_mut(name) {
            there.version = to.clone();
            there.flashed += 1;
        }
        Ok(())
    }
}

/// Everybody may be patched at any time, one after the other; watched for an hour.
const POLICY: &str = r#"
policy   = 1
name     = "load-balancers"
approval = { from = ["maria"] }
window   = [{ name = "always", when = "any time" }]
ring     = [{ name = "all", select = "*", soak = "1h" }]
on_fail  = { component = "stop" }  # the tool has no way back
"#;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let start = "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        Error::new(ErrorKind::InvalidInput, "the start cannot be read").source_error(e)
    })?;
    let tool = FlashTool::default()
        .with("lb-1", "7.4.1")
        .with("lb-2", "7.4.1")
        .with("lb-3", "7.4.2");

    let info = ProviderInfo::new("flash-tool", env!("CARGO_PKG_VERSION"));
    let estate = Estate::named("edge")
        .with(Simple::new(info, LoadBalancers(tool)))
        .with_clock(Arc::new(VirtualClock::starting(start)));
    let policy = Policy::from_toml(POLICY, "the policy of this example")?;
    let journal = Journal::in_memory()?;

    let plan = estate.plan(&policy).requested_by("sam").await?;
    println!("{plan}\n");
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &journal)
        .await?;
    let mut lines = run.lines();
    while let Some(line) = lines.next().await {
        println!("{line}");
    }
    let report = run.report().await?;
    println!("\n{report}");
    Ok(report.exit_code())
}
