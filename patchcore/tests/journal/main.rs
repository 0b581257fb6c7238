//! The journal as its users meet it: over files, over several processes, and over their ends.
#![cfg(feature = "sqlite")]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

mod anchors;
mod appending;
mod child;
mod commands;
mod crash;
mod damage;
#[cfg(feature = "crash")]
mod faults;
mod opening;
mod takeover;
mod tampering;

use std::path::{Path, PathBuf};

use patchcore::{
    Result, Timestamp,
    execute::journal::{Journal, NewEvent, NewRun},
    id::RunId,
};
use serde_json::json;

/// A directory on a real disk that is removed when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("journal-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("run.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every kind of journal that has to behave the same, with a name: what one suite says of one it says of all.
fn everywhere(directory: &Directory) -> Vec<(&'static str, Journal)> {
    #[cfg_attr(
        not(feature = "crash"),
        expect(unused_mut, reason = "two more with the feature")
    )]
    let mut journals = vec![
        ("memory", Journal::in_memory().unwrap()),
        ("file", Journal::open(directory.journal()).unwrap()),
    ];
    #[cfg(feature = "crash")]
    {
        use patchcore::execute::journal::{Fault, Faults};
        let slow = (1..99).fold(Faults::none(), |faults, nth| {
            faults.at(nth, Fault::Delay(std::time::Duration::from_millis(3)))
        });
        journals.push((
            "sound",
            Journal::open_with(directory.0.join("sound.db"), Faults::none()).unwrap(),
        ));
        journals.push(("slow", Journal::in_memory_with(slow).unwrap()));
    }
    journals
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap()
}

fn event(stream: &str, tseq: u64) -> NewEvent {
    NewEvent {
        stream: stream.into(),
        tseq,
        at: at(tseq),
        kind: "stepped".into(),
        body: json!({"n": tseq}),
    }
}

fn new_run(events: Vec<NewEvent>) -> NewRun {
    NewRun {
        plan: json!({"schema": "patchcore.plan/1", "targets": ["web-1"]}),
        approvals: json!([{"by": "maria"}]),
        plan_digest: "7f3a19c2".into(),
        at: at(0),
        events,
    }
}

async fn with_run(journal: Journal) -> Result<(Journal, RunId)> {
    let run = journal.start_run(new_run(vec![event("run", 1)])).await?;
    Ok((journal, run))
}

/// A raw look at the file, as any SQLite tool would have it.
fn sql(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}
