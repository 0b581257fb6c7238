//! A true plan for the machine it runs on, and with `--apply` the work itself. Debian, Ubuntu and their kin.
//!
//! `cargo run --example this_machine` needs no right and changes nothing: no cache, no log, no journal.
//! `--apply` needs root, writes a journal, and may be killed at any moment: run it again, and it goes on.

use std::{fs, io, path::PathBuf, process::ExitCode};

use patchcore::{
    Error, ErrorKind, Estate, Journal, Plan, Policy, Run, estate::PatchClass, plan::WhyLeftOut,
};
use patchcore_linux::{Linux, LocalConfig, transport::Local};

const USAGE: &str = "this_machine [--take all|security] [--apply [--journal FILE]]

Without --apply it plans and changes nothing.
--take security   only what closes weaknesses, and what that needs
--apply           carries the plan out; needs root, and counts as your approval
--journal FILE    what a run is resumed from (default /var/lib/patchcore/this_machine.db)";

/// Who approves: a machine with one person has nobody else.
const OPERATOR: &str = "operator";

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    apply: bool,
    journal: PathBuf,
    only_security: bool,
}

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let done = match read(&arguments) {
        Ok(arguments) => work(&arguments).await,
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

fn read(arguments: &[String]) -> patchcore::Result<Arguments> {
    let mut read = Arguments {
        apply: false,
        journal: "/var/lib/patchcore/this_machine.db".into(),
        only_security: false,
    };
    let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what).hint(USAGE);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| wrong(format!("{word} needs a value")))
        };
        match word.as_str() {
            "--apply" => read.apply = true,
            "--journal" => read.journal = value()?.into(),
            "--take" => {
                read.only_security = match value()?.as_str() {
                    "all" => false,
                    "security" => true,
                    other => {
                        return Err(wrong(format!("--take {other} is not known"))
                            .expected("all or security"));
                    }
                }
            }
            other => return Err(wrong(format!("{other:?} is not known"))),
        }
    }
    Ok(read)
}

async fn work(arguments: &Arguments) -> patchcore::Result<ExitCode> {
    if arguments.apply && !Local::new().is_root() {
        return Err(Error::new(ErrorKind::AuthzDenied, "--apply needs root")
            .consequence("nothing was read or changed")
            .hint("run it again with sudo, or without --apply to see the plan"));
    }
    let estate = Estate::named("this-machine").with(Linux::local(LocalConfig::new()));
    let policy = policy(arguments)?;
    if !arguments.apply {
        let plan = estate.plan(&policy).requested_by("this_machine").await?;
        show(&plan);
        println!("\nnothing was changed; --apply as root carries it out");
        return Ok(ExitCode::SUCCESS);
    }

    let journal = open(&arguments.journal)?;
    if let Some(run) = estate.reopen(&journal).await? {
        println!(
            "run {} was left open in {}: it goes on",
            run.id(),
            arguments.journal.display()
        );
        return follow(&run).await;
    }
    let plan = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("this_machine")
        .await?;
    show(&plan);
    if plan.is_empty() {
        let blocked = plan
            .left_out
            .iter()
            .any(|l| matches!(l.reason, WhyLeftOut::Blocked { .. }));
        println!("\nnothing was changed");
        return Ok(ExitCode::from(if blocked { 3 } else { 0 }));
    }
    println!("\napproved by {OPERATOR}: whoever typed --apply (asserted, not proven)\n");
    let approval = estate.approval(&plan, OPERATOR)?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &journal)
        .await?;
    follow(&run).await
}

fn policy(arguments: &Arguments) -> patchcore::Result<Policy> {
    let text = include_str!("../policies/this-machine.toml");
    let mut policy = Policy::from_toml(text, "this-machine.toml")?;
    if arguments.only_security {
        policy.patches.take = [PatchClass::Security].into();
    }
    Ok(policy)
}

fn open(path: &std::path::Path) -> patchcore::Result<Journal> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e: io::Error| {
            Error::new(
                ErrorKind::Io,
                format!("{} cannot be made", folder.display()),
            )
            .source_error(e)
        })?;
    }
    Journal::open(path)
}

/// The plan, and every change of it in full: on one machine nothing needs to be folded.
fn show(plan: &Plan) {
    println!("{plan}");
    for target in &plan.envelope.targets {
        println!("\n{} in full", target.component);
        for patch in &target.patches {
            println!("  {} ({})", patch.change(), patch.class);
        }
    }
}

/// Shows every event as it is recorded, and the report at the end.
async fn follow(run: &Run) -> patchcore::Result<ExitCode> {
    let mut events = run.events();
    while let Some(event) = events.next().await {
        println!("{event}");
    }
    if run.standing().is_halted() {
        // One machine has no next one to protect: the run ends, and the next plan leaves out what failed.
        run.end(
            OPERATOR,
            "one machine: nothing else is left to do in this run",
        )
        .await?;
        while let Some(event) = events.next().await {
            println!("{event}");
        }
    }
    let report = run.report().await?;
    println!("\n{report}");
    Ok(report.exit_code())
}
