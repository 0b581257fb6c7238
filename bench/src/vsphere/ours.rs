//! Our side: what an embedder's program does, and nothing else.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use patchcore::{
    ClusterRoll, Estate, Journal, Policy, Secret, Standing, SystemClock,
    clock::SharedClock,
    execute::kernel::RunVerdict,
    plan::roll::{Answer, Objective, RollPlan, Wish, plan},
    provider::{CancelToken, ClusterDrainer as _, ClusterSetting, OpContext},
};
use patchcore_testkit::peers::vcenter::{PASSWORD, USER, Vcenter};
use patchcore_vsphere::{VCenter, VsphereCluster, VsphereConfig};

/// Hosts of a cluster, four at a time.
const POLICY: &str = r#"
policy = 1
name = "hosts"
approval = { needs = 1, from = ["measurer"] }

[patches]
take = ["security", "bugfix", "enhancement", "other"]

[[window]]
name = "always"
when = "any time"

[[ring]]
name = "cluster"
select = "kind = host"
at_once = "4"
soak = "1s"
"#;

const AT_ONCE: u32 = 4;

async fn connected(server: &str, ca: &Path) -> Result<VCenter, Box<dyn Error>> {
    let config = VsphereConfig::new(server, USER, Secret::new(PASSWORD))?.with_ca_file(ca);
    Ok(VCenter::connect(config).await?)
}

/// Reads every cluster as a roll looks at its own; how many machines there are.
pub(crate) async fn view(server: &str, ca: &Path) -> Result<usize, Box<dyn Error>> {
    let vcenter = connected(server, ca).await?;
    let clock: SharedClock = Arc::new(SystemClock);
    let until = clock.now() + Duration::from_secs(600);
    let ctx = OpContext::reading(clock, until, CancelToken::new());
    let mut machines = 0;
    let mut all = Vec::new();
    for cluster in vcenter.clusters().await? {
        let cluster = VsphereCluster::new(vcenter.clone(), cluster);
        let view = cluster.view(&ctx, &cluster.id()).await?;
        machines += view.vms.len();
        all.push(view);
    }
    vcenter.log_out().await?;
    Ok(machines)
}

/// Rolls the only cluster of a vCenter.
pub(crate) async fn roll(vcenter: &Vcenter, cluster: &str) -> Result<(), Box<dyn Error>> {
    let client = connected(vcenter.server(), vcenter.ca()).await?;
    let cluster = client.cluster_named(cluster).await?;
    let cluster = VsphereCluster::new(client, cluster);
    let estate = Estate::named("measured").with(cluster.clone());
    let journal = Journal::in_memory()?;
    let policy = Policy::from_toml(POLICY, "hosts.toml")?;
    let planned = estate.plan(&policy).requested_by("bench").await?;
    let mut read = cluster.read().await?.cluster.for_plan(&planned);
    read.limits.max_hosts_down = Some(AT_ONCE);
    let wish = Wish::new(Objective::FewestMoves);
    let Answer::Planned(best) = plan(&read, &wish, &|| false)? else {
        return Err("no roll patches every host".into());
    };
    let roll = RollPlan::of(read, wish.objective, *best)?;
    let approval = estate.approval(&planned, "measurer")?;
    let approved = estate.approve(planned, [approval])?;
    let roll = ClusterRoll::new(
        cluster.id(),
        "vsphere",
        roll.cluster().clone(),
        roll.roll().clone(),
    )
    .holding(ClusterSetting::ALL);
    let run = estate.run_rolling(approved, [roll], &journal).await?;
    let standing = run.finished().await?;
    let done = Standing::Ended {
        verdict: RunVerdict::Done,
    };
    if standing != done {
        return Err(format!("the roll came to {standing:?}:\n{}", run.report().await?).into());
    }
    cluster.log_out().await?;
    Ok(())
}
