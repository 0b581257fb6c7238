//! A provider the full way: appliances that work through flash jobs on their own, remember them by name, and keep
//! the firmware before in a second bank.
//!
//! `cargo run --example own_provider_full`, in virtual time. What the short way (`own_provider`) cannot do is here:
//! a job outlives whoever started it and is found again, it says how far it is, and there is a way back.
//! [`provider`] is what an author writes; [`rack`] stands for the appliances.

mod provider;
mod rack;

use std::{process::ExitCode, sync::Arc};

use patchcore::{Error, ErrorKind, Estate, Journal, Policy, Result, sim::VirtualClock};

use provider::{Appliances, NEWEST};
use rack::Rack;

/// Everybody may be patched at any time, one after the other; watched for an hour.
const POLICY: &str = r#"
policy   = 1
name     = "appliances"
approval = { from = ["maria"] }
window   = [{ name = "always", when = "any time" }]
ring     = [{ name = "all", select = "*", soak = "1h" }]
on_fail  = { component = "roll_back", tolerate = "1" }
"#;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let start = "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        Error::new(ErrorKind::InvalidInput, "the start cannot be read").source_error(e)
    })?;
    let clock = VirtualClock::starting(start);
    let rack = Rack::new(&clock)
        .with("lb-1", "7.4.1", None)
        .with("lb-2", "7.4.1", Some(NEWEST))
        .with("lb-3", NEWEST, None);
    let estate = Estate::named("edge")
        .with(Appliances::new(rack))
        .with_clock(Arc::new(clock));
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
