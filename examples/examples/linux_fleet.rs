//! A fleet of Debian machines over SSH, from an inventory file to a report, on files: run it again, and it goes on.
//!
//! `cargo run --example linux_fleet -- --plan-only` plans for the lab that `cargo xtask lab up` made, and
//! `--inventory FILE` for machines of yours. Nothing is changed before somebody approves: `--approve-as NAME`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use patchcore::{
    Error, Estate, Journal, Plan, Policy, Run, plan::WhyLeftOut, policy::parse_duration,
};
use patchcore_examples::{
    arguments::Arguments,
    lab,
    live::{Follow, Left, Screen},
};
use patchcore_linux::Linux;

const USAGE: &str = "linux_fleet [--inventory FILE] [--policy FILE] [--journal FILE] [--requested-by NAME]
            [--plan-only] [--approve-as NAME] [--patience TIME] [--end-halted BECAUSE] [--report FILE]
            [--lock-lease TIME]

--inventory FILE       the machines; without it, those of the lab that is up
--policy FILE          by whose rule (default examples/policies/fleet.toml)
--journal FILE         what a run is resumed from (default linux_fleet.db)
--requested-by NAME    who asks for the plan (default sam)
--plan-only            plans and changes nothing
--approve-as NAME      approves the plan and carries it out; whoever asked for it does not count
--patience TIME        brings the run to a safe point after so long, such as 10m; the next start goes on
--end-halted BECAUSE   ends a run that halted, so that the next plan can be made
--report FILE          keeps the report there, as .md, .json or text, instead of printing it
--lock-lease TIME      another orchestrator may take a machine over after so long without a sign of life from here
                       (default 15m)";

pub(crate) fn main() -> ExitCode {
    let done = Arguments::of_this_process(USAGE).and_then(|arguments| match arguments {
        None => Ok(ExitCode::SUCCESS),
        Some(arguments) => begin(&arguments),
    });
    done.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

fn begin(arguments: &Arguments) -> patchcore::Result<ExitCode> {
    let patience = match arguments.value("--patience").map(parse_duration) {
        Some(Err(mistake)) => return Err(Error::from(mistake).operation("--patience")),
        Some(Ok(patience)) => Some(patience),
        None => None,
    };
    let inventory = match arguments.value("--inventory") {
        Some(file) => PathBuf::from(file),
        // The lab is in a network of its own, which this process enters before it starts any thread.
        None => lab::enter()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|e| Error::new(patchcore::ErrorKind::Io, "no threads").source_error(e))?
        .block_on(work(arguments, &inventory, patience))
}

async fn work(
    arguments: &Arguments,
    inventory: &std::path::Path,
    patience: Option<Duration>,
) -> patchcore::Result<ExitCode> {
    let policy = match arguments.value("--policy") {
        Some(file) => Policy::from_file(file)?,
        None => Policy::from_toml(include_str!("../policies/fleet.toml"), "fleet.toml")?,
    };
    let mut estate = Estate::named("fleet").with(Linux::from_file(inventory)?);
    if let Some(lease) = arguments.value("--lock-lease") {
        let lease = parse_duration(lease).map_err(|e| Error::from(e).operation("--lock-lease"))?;
        estate = estate.with_lock_lease(lease);
    }
    let journal = Journal::open(arguments.value("--journal").unwrap_or("linux_fleet.db"))?;

    let run = match estate.reopen(&journal).await? {
        Some(run) => {
            println!("run {} was left open: it goes on", run.id());
            run
        }
        None => {
            let requester = arguments.value("--requested-by").unwrap_or("sam");
            let plan = estate
                .plan(&policy)
                .history(&journal)
                .requested_by(requester)
                .await?;
            println!("{plan}\n");
            match arguments.value("--approve-as") {
                _ if plan.is_empty() => return Ok(nothing_to_do(&plan)),
                _ if arguments.has("--plan-only") => return Ok(ExitCode::SUCCESS),
                None => {
                    println!(
                        "nothing was changed · to approve it: the same again with --approve-as NAME"
                    );
                    return Ok(ExitCode::from(3));
                }
                Some(name) => {
                    let approval = estate.approval(&plan, name)?;
                    estate
                        .run(estate.approve(plan, [approval])?, &journal)
                        .await?
                }
            }
        }
    };
    follow(&run, arguments, patience).await
}

/// Shows the run while it goes on, and what was observed when it rests.
async fn follow(
    run: &Run,
    arguments: &Arguments,
    patience: Option<Duration>,
) -> patchcore::Result<ExitCode> {
    let mut screen = Screen::standard();
    let mut watching = Follow::new(run, &mut screen).with_patience(patience);
    let mut left = watching.until_it_rests().await?;
    if let (true, Some(because)) = (run.standing().is_halted(), arguments.value("--end-halted")) {
        let by = arguments
            .value("--approve-as")
            .or(arguments.value("--requested-by"));
        run.end(by.unwrap_or("sam"), because).await?;
        left = watching.until_it_rests().await?;
    }
    if left == Left::InFlight {
        return Ok(ExitCode::from(4));
    }
    let report = run.report().await?;
    match arguments.value("--report") {
        Some(file) => {
            report.save(file)?;
            println!("report: {file}");
        }
        None => println!("\n{report}"),
    }
    if run.standing().is_halted() {
        println!(
            "\nnext: the same again with --end-halted BECAUSE ends this run; the plan after it leaves out what failed"
        );
    }
    Ok(report.exit_code())
}

fn nothing_to_do(plan: &Plan) -> ExitCode {
    let blocked = |l: &patchcore::plan::LeftOut| matches!(l.reason, WhyLeftOut::Blocked { .. });
    println!("nothing was changed");
    ExitCode::from(if plan.left_out.iter().any(blocked) {
        3
    } else {
        0
    })
}
