//! The process that is killed: this test program itself, which carries a run on or starts one.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use patchcore::{Estate, Journal, Policy, Result, Standing};

use super::provider::Files;

const FOLDER: &str = "CRASH_DISK_FOLDER";
/// A fault to plant into the journal, by its name.
pub(crate) const MUTANT: &str = "CRASH_DISK_MUTANT";

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
        Self(command(folder, &[]).stderr(Stdio::piped()).spawn().unwrap())
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

async fn carry_on(folder: &Path) {
    let estate = Estate::named("files").with(Files::at(folder));
    let journal = open(&journal(folder)).unwrap();
    let run = match estate.reopen(&journal).await.unwrap() {
        Some(run) => run,
        // The last one was killed after the end.
        None if !journal.runs().await.unwrap().is_empty() => return,
        None => {
            let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
            let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
            let approval = estate.approval(&plan, "maria").unwrap();
            let approved = estate.approve(plan, [approval]).unwrap();
            estate.run(approved, &journal).await.unwrap()
        }
    };
    let standing = run.finished().await.unwrap();
    assert!(
        matches!(standing, Standing::Ended { .. }),
        "{standing:?}\n{:#?}",
        run.report().await.unwrap()
    );
    drop(run);
    journal.close().await.unwrap();
}
