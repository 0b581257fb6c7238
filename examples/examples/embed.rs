//! patchcore inside a program of your own, on files, as cron would start it: plan, approve, run, and go on where the
//! start before left off.
//!
//! `cargo run --example embed [FOLDER]`: the journal and the report go into FOLDER, by default a new one among the
//! temporary files. The estate is simulated and lives as long as this process, so the starts that cron would make
//! are the turns of a loop here; everything else is as it would be in earnest.

use std::{path::Path, process::ExitCode, time::Duration};

use patchcore::{
    Error, ErrorKind, Estate, Journal, Policy, Report,
    estate::{Impact, Patch, PatchClass},
    report::Verdict,
    sim::Sim,
};

/// How long one start may wait before it makes room for the next.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/monthly-linux.toml");

#[tokio::main]
async fn main() -> ExitCode {
    // A main that returns the error itself would exit with 1, and 1 says that a run halted.
    match starts().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::from(2)
        }
    }
}

/// As often as cron would start it, until it need not be started again.
async fn starts() -> patchcore::Result<ExitCode> {
    let folder = folder()?;
    let sim = six_guests()?;
    let mut seen = 0;
    loop {
        let report = one_start(&sim, &folder, &mut seen).await?;
        if report.verdict != Verdict::Open {
            println!("\n{report}");
            return Ok(report.exit_code());
        }
        println!("-- parked: the next start goes on --");
    }
}

/// What a program that patches with patchcore does from its start to its end.
async fn one_start(sim: &Sim, folder: &Path, seen: &mut u64) -> patchcore::Result<Report> {
    let estate = Estate::named("dc-north")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let policy = Policy::from_file(POLICY)?;
    let journal = Journal::open(folder.join("run.db"))?;

    let run = match estate.reopen(&journal).await? {
        Some(run) => run, // what a crash left open, or what was parked, goes on first
        None => {
            let plan = estate
                .plan(&policy)
                .history(&journal)
                .requested_by("sam")
                .await?; // reads and decides; changes nothing
            println!("{plan}\n");
            let approval = estate.approval(&plan, "maria")?;
            estate
                .run(estate.approve(plan, [approval])?, &journal)
                .await?
        }
    };

    run.finished_or_parked(PATIENCE).await?; // or run.finished(), if nobody minds waiting for days

    let mut events = run.events_since(*seen); // a cursor over the journal: late readers lose nothing
    while let Some(event) = events.next().await {
        println!("{event}");
    }
    *seen = events.position();

    let report = run.report().await?; // what was observed, not what was returned
    report.save(folder.join("report.md"))?;
    drop((run, events));
    journal.close().await?; // the next start opens it again
    Ok(report)
}

/// The folder that the caller named, or a new one. A journal of an earlier process would speak of an estate that is gone.
fn folder() -> patchcore::Result<std::path::PathBuf> {
    let folder = match std::env::args_os().nth(1) {
        Some(named) => named.into(),
        None => std::env::temp_dir().join(format!("patchcore-embed-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder)
        .map_err(|e| Error::new(ErrorKind::Io, "the folder could not be made").source_error(e))?;
    if folder.join("run.db").exists() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{} holds a journal already", folder.display()),
        )
        .consequence("nothing was done")
        .hint(
            "name an empty folder: the simulated estate of that journal ended with its process",
        ));
    }
    Ok(folder)
}

/// Two guests for each ring of the policy, with a service patch and a kernel on offer.
fn six_guests() -> patchcore::Result<Sim> {
    let start = "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        Error::new(ErrorKind::InvalidInput, "the start cannot be read").source_error(e)
    })?;
    let guests = |sim: Sim, names: [&str; 2], ring: &str| {
        sim.guests(names, |g| {
            let address = format!("{}.dc-north.example", g.name());
            g.label("tier", "web")
                .label("ring", ring)
                .address(address)
                .package("nginx", "1.22.1-9")
                .package("linux-image-amd64", "6.1.112-1")
        })
    };
    let sim = Sim::starting(start, 7);
    let sim = guests(sim, ["web-t1", "web-t2"], "test");
    let sim = guests(sim, ["web-c1", "web-c2"], "canary");
    let sim = guests(sim, ["web-01", "web-02"], "broad");
    let patch =
        |name, to, impact| Patch::new(name, None, to, PatchClass::Security).with_impact(impact);
    Ok(sim
        .publish(patch("nginx", "1.22.1-10", Impact::ServiceRestart))
        .publish(patch("linux-image-amd64", "6.1.115-1", Impact::Reboot)))
}
