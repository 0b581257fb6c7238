//! One measuring, in a process of its own.

use std::{
    error::Error,
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use patchcore::{
    Journal, Standing, SystemClock,
    clock::Clock as _,
    execute::{
        journal::{NewEvent, NewRun},
        kernel::RunVerdict,
    },
    id::RunId,
};
use serde::{Deserialize, Serialize};

use super::world;

/// What one run cost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) events: u64,
    pub(crate) commits: u64,
    /// Seconds of processor time after the run was started.
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    /// The most memory the process ever had, in bytes.
    pub(crate) peak: u64,
    /// The memory when the run was started and nothing else, in bytes.
    pub(crate) at_start: u64,
    /// The size of the journal on disk.
    pub(crate) bytes: u64,
}

/// A whole run; in memory where no file is named.
pub(crate) async fn whole(
    components: usize,
    at_once: usize,
    file: Option<&Path>,
) -> Result<Cost, Box<dyn Error>> {
    let journal = match file {
        Some(file) => Journal::open(file)?,
        None => Journal::in_memory()?,
    };
    let run = world::start(components, at_once, &journal).await?;
    let (cpu, began) = (cpu()?, now());
    let at_start = memory("VmRSS:")?;
    let standing = run.finished().await?;
    let done = Standing::Ended {
        verdict: RunVerdict::Done,
    };
    if standing != done {
        return Err(format!("the run came to {standing:?}").into());
    }
    let stats = journal.stats();
    let mut cost = Cost {
        events: stats.events,
        commits: stats.commits,
        cpu: self::cpu()? - cpu,
        wall: began.elapsed().as_secs_f64(),
        peak: memory("VmHWM:")?,
        at_start,
        bytes: 0,
    };
    drop(run);
    journal.close().await?;
    if let Some(file) = file {
        cost.bytes = std::fs::metadata(file)?.len();
    }
    Ok(cost)
}

/// A run on disk until it has recorded so many events, all components at once. The process must end then: the run goes
/// on until it does.
pub(crate) async fn begun(
    components: usize,
    events: u64,
    file: &Path,
) -> Result<Cost, Box<dyn Error>> {
    let journal = Journal::open(file)?;
    let run = world::start(components, components, &journal).await?;
    let (cpu, began) = (cpu()?, now());
    let at_start = memory("VmRSS:")?;
    let mut committed = journal.committed();
    let reached = *committed.wait_for(|seq| *seq >= events).await?;
    let stats = journal.stats();
    let cost = Cost {
        events: reached,
        commits: stats.commits,
        cpu: self::cpu()? - cpu,
        wall: began.elapsed().as_secs_f64(),
        peak: memory("VmHWM:")?,
        at_start,
        bytes: 0,
    };
    // Whoever drives it holds what it needs.
    drop(run);
    Ok(cost)
}

/// What going on with a run that another process left costs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reopened {
    /// Rows of checkpoints that were read.
    pub(crate) rows: u64,
    /// Events that were read besides.
    pub(crate) events: u64,
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    pub(crate) peak: u64,
}

/// Goes on with the run of a journal.
pub(crate) async fn reopened(file: &Path) -> Result<Reopened, Box<dyn Error>> {
    let journal = Journal::open(file)?;
    let (cpu, began) = (cpu()?, now());
    let head = *journal.committed().borrow();
    let row = journal.run_text(RunId(1)).await?.ok_or("there is no run")?;
    let run = world::estate().reopen(&journal).await?;
    run.ok_or("no run is open")?;
    let upto = row.checkpoint.ok_or("the run has no checkpoints")?;
    Ok(Reopened {
        rows: journal.stats().checkpoints_read,
        events: head.saturating_sub(upto),
        cpu: self::cpu()? - cpu,
        wall: began.elapsed().as_secs_f64(),
        peak: memory("VmHWM:")?,
    })
}

/// A run in memory until it has recorded so many events; answers how many it has.
pub(crate) async fn until(
    components: usize,
    at_once: usize,
    events: u64,
) -> Result<u64, Box<dyn Error>> {
    let journal = Journal::in_memory()?;
    let run = world::start(components, at_once, &journal).await?;
    let mut committed = journal.committed();
    let reached = *committed.wait_for(|seq| *seq >= events).await?;
    drop(run);
    Ok(reached)
}

/// What a disk costs, and what one client alone pays for a promise: medians in seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Alone {
    pub(crate) fsync: f64,
    pub(crate) ack: f64,
}

/// Writes by turns: 4 KiB and a sync as the disk does it, and one event as the journal does it.
pub(crate) async fn alone(folder: &Path, rounds: usize) -> Result<Alone, Box<dyn Error>> {
    let raw = File::create(folder.join("raw"))?;
    let journal = Journal::open(folder.join("alone.db"))?;
    let at = SystemClock.now();
    let run = journal
        .start_run(NewRun {
            plan: serde_json::json!({}),
            approvals: serde_json::json!([]),
            plan_digest: String::new(),
            at,
            events: Vec::new(),
        })
        .await?;
    let (mut syncs, mut acks) = (Vec::new(), Vec::new());
    for nth in 0..rounds as u64 {
        let began = now();
        raw.write_all_at(&[7; 4096], nth * 4096)?;
        raw.sync_data()?;
        syncs.push(began.elapsed());
        let event = NewEvent {
            stream: "run".to_owned(),
            tseq: nth + 1,
            at,
            kind: "noted".to_owned(),
            body: serde_json::json!({ "kind": "noted", "nth": nth }),
        };
        let began = now();
        journal.append(run, vec![event]).await?;
        acks.push(began.elapsed());
    }
    journal.close().await?;
    Ok(Alone {
        fsync: median(syncs),
        ack: median(acks),
    })
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all.get(all.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// The processor time of this process so far, in seconds.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name, which may hold anything, come the state and eleven others.
    let (_, after) = stat
        .rsplit_once(") ")
        .ok_or("/proc/self/stat has no name")?;
    let ticks: Vec<u64> = after
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse().ok())
        .collect();
    // Linux counts in hundredths on every machine that there is.
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

fn memory(key: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .ok_or("no such line in /proc/self/status")?
        .parse::<u64>()?
        * 1024)
}

/// A folder beside the program, which is on a disk and not in memory; taken away with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("a program without a folder")?;
        let folder = beside.join(format!("bench-engine-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(std::io::stderr(), "{}: {error}", self.0.display());
        }
    }
}
