//! The process that is killed: this test program itself, which carries a run on or starts one.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use patchcore::{Estate, Journal, Policy, Result, Standing, SystemClock, clock::Clock as _};

use super::provider::Files;

const FOLDER: &str = "CRASH_DISK_FOLDER";
/// A fault to plant into the journal, by its name.
pub(crate) const MUTANT: &str = "CRASH_DISK_MUTANT";

/// Who is taken over from, as JSON.
pub(crate) const TAKE_OVER: &str = "CRASH_DISK_TAKE_OVER";
/// How long the soak lasts.
pub(crate) const SOAK: &str = "CRASH_DISK_SOAK";

/// How long a process lives on whose run has failed.
const LINGERS: Duration = Duration::from_millis(400);

/// Who takes over, and why.
pub(crate) const WHO: &str = "jon";
pub(crate) const WHY: &str = "it was stopped";

const POLICY: &str = r#"
policy = 1
name = "test"
approval = { needs = 1, from = ["maria"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name = "all"
select = "*"
at_once = "3"
soak = "0s"
[on_fail]
tolerate = "6"
"#;

pub(crate) fn journal(folder: &Path) -> PathBuf {
    folder.join("run.db")
}

/// The command that starts it; a tracer stands before it.
pub(crate) fn command(folder: &Path, tracer: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<&std::ffi::OsStr> = tracer.iter().map(std::ffi::OsStr::new).collect();
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["child::process", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// A child that is killed with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::with(folder, &[])
    }

    /// With these variables set.
    pub(crate) fn with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder, &[]);
        command.envs(variables.iter().copied());
        Self(command.stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the child process of other tests"]
fn process() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("only other tests start this"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(carry_on(&folder));
}

#[cfg(not(feature = "crash"))]
fn open(path: &Path) -> Result<Journal> {
    Journal::open(path)
}

#[cfg(feature = "crash")]
fn open(path: &Path) -> Result<Journal> {
    use patchcore::execute::journal::{Faults, Synchronous};
    let faults = match std::env::var(MUTANT).unwrap_or_default().as_str() {
        "SynchronousNormal" => Faults::none().with_synchronous(Synchronous::Normal),
        "SynchronousOff" => Faults::none().with_synchronous(Synchronous::Off),
        _ => Faults::none(),
    };
    Journal::open_with(path, faults)
}

/// The journal, from whoever has it where one is named.
fn opened(path: &Path) -> Journal {
    match std::env::var(TAKE_OVER) {
        Ok(from) => {
            Journal::take_over(path, &serde_json::from_str(&from).unwrap(), WHO, WHY).unwrap()
        }
        Err(_) => open(path).unwrap(),
    }
}

async fn carry_on(folder: &Path) {
    let estate = Estate::named("files").with(Files::at(folder));
    let journal = opened(&journal(folder));
    let run = match estate.reopen(&journal).await.unwrap() {
        Some(run) => run,
        // The last one was killed after the end.
        None if !journal.runs().await.unwrap().is_empty() => return,
        None => {
            let soak = std::env::var(SOAK).unwrap_or_else(|_| "0s".to_owned());
            let policy = POLICY.replace("\"0s\"", &format!("\"{soak}\""));
            let policy = Policy::from_toml(&policy, "policy.toml").unwrap();
            let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
            let approval = estate.approval(&plan, "maria").unwrap();
            let approved = estate.approve(plan, [approval]).unwrap();
            estate.run(approved, &journal).await.unwrap()
        }
    };
    let finished = run.finished().await;
    if finished.is_err() {
        // What was on its way arrives all the same, and nothing else may.
        SystemClock.pause(LINGERS).await;
    }
    let standing = finished.unwrap();
    assert!(
        matches!(standing, Standing::Ended { .. }),
        "{standing:?}\n{:#?}",
        run.report().await.unwrap()
    );
    drop(run);
    journal.close().await.unwrap();
}
