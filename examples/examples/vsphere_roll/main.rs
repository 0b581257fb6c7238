//! A cluster of a vCenter, rolled: eight hosts get a new image, and every machine keeps running.
//!
//! `cargo run --example vsphere_roll` starts a server that stands for a vCenter, reads the cluster, plans the roll with
//! its bounds, approves and carries it out, and then asks the server what it saw. `cargo xtask test peers` builds the
//! server once. The exit code is that of the report; 1 where the server saw what must not be.

mod stand;

use std::{path::Path, process::ExitCode};

use patchcore::{
    ClusterRoll, Error, ErrorKind, Estate, Journal, Plan, Policy, Result, Run, Secret,
    plan::roll::{Answer, Objective, RollPlan, Wish, plan},
    provider::ClusterSetting,
};
use patchcore_examples::arguments::Arguments;
use patchcore_testkit::peers::vcenter::{PASSWORD, USER};
use patchcore_vsphere::{VCenter, VsphereCluster, VsphereConfig};

use self::stand::{CLUSTER, Stand};

const USAGE: &str =
    "vsphere_roll [--hosts N] [--machines N] [--task MS] [--journal FILE] [--vcenter FILE]

--hosts N       how many hosts the cluster has (default 8)
--machines N    how many machines run on them (default 24)
--task MS       how long each task of the vCenter takes (default 2000)
--journal FILE  what a run is resumed from; without it nothing is kept
--vcenter FILE  a server that somebody else started, as written down by them";

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let done = match Arguments::of_this_process(USAGE) {
        Ok(Some(arguments)) => work(&arguments).await,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

async fn work(arguments: &Arguments) -> Result<ExitCode> {
    let stand = stand(arguments)?;
    let cluster = connected(&stand).await?;
    let estate = Estate::named("dc-south").with(cluster.clone());
    let journal = match arguments.value("--journal") {
        Some(file) => Journal::open(Path::new(file))?,
        None => Journal::in_memory()?,
    };
    if let Some(run) = estate.reopen(&journal).await? {
        println!("run {} was left open: it goes on\n", run.id());
        return ended(&stand, &run).await;
    }
    let policy = include_str!("../../policies/hosts.toml");
    let policy = Policy::from_toml(policy, "hosts.toml")?;
    let wanted = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("sam")
        .await?;
    println!("{wanted}\n");
    let roll = rolled(&cluster, &wanted).await?;
    println!("{roll}\n");

    let approval = estate.approval(&wanted, "maria")?;
    let approved = estate.approve(wanted, [approval])?;
    let roll = ClusterRoll::new(
        cluster.id(),
        "vsphere",
        roll.cluster().clone(),
        roll.roll().clone(),
    )
    .holding(ClusterSetting::ALL);
    let run = estate.run_rolling(approved, [roll], &journal).await?;
    ended(&stand, &run).await
}

fn stand(arguments: &Arguments) -> Result<Stand> {
    let number = |word: &str, usual: u32| match arguments.value(word) {
        None => Ok(usual),
        Some(value) => value.parse().map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("{word} needs a number")).found(value)
        }),
    };
    match arguments.value("--vcenter") {
        Some(file) => Stand::joined(Path::new(file)),
        None => Stand::started(
            number("--hosts", 8)?,
            number("--machines", 24)?,
            number("--task", 2000)?,
        ),
    }
}

async fn connected(stand: &Stand) -> Result<VsphereCluster> {
    let at = stand.vcenter();
    let config =
        VsphereConfig::new(at.server(), USER, Secret::new(PASSWORD))?.with_ca_file(at.ca());
    let vcenter = VCenter::connect(config).await?;
    println!("{}\n", vcenter.full_name());
    let cluster = vcenter.cluster_named(CLUSTER).await?;
    Ok(VsphereCluster::new(vcenter, cluster))
}

/// The roll of the hosts that the plan patches.
async fn rolled(cluster: &VsphereCluster, wanted: &Plan) -> Result<RollPlan> {
    let read = cluster.read().await?;
    for pinned in &read.pinned {
        println!("{}: stays on {}: {}", pinned.vm, pinned.host, pinned.why);
    }
    let hosts = read.cluster.for_plan(wanted);
    let wish = Wish::new(Objective::Knee);
    match plan(&hosts, &wish, &|| false)? {
        Answer::Planned(planned) => RollPlan::of(hosts, wish.objective, *planned),
        Answer::Infeasible(why) => Err(no_roll(why.to_string())),
        Answer::NotFound(why) => Err(no_roll(why.to_string())),
    }
}

fn no_roll(why: String) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("no roll patches every host: {why}"),
    )
    .consequence("nothing was started")
}

/// Shows what happens until the run is over, and then what the server saw.
async fn ended(stand: &Stand, run: &Run) -> Result<ExitCode> {
    let mut lines = run.lines();
    while let Some(line) = lines.next().await {
        println!("{line}");
    }
    let report = run.report().await?;
    println!("\n{report}\n");
    match stand.verdict()? {
        Ok(seen) => {
            println!("{seen}");
            Ok(report.exit_code())
        }
        Err(faults) => {
            println!("what must not be: {faults}");
            Ok(ExitCode::from(1))
        }
    }
}
