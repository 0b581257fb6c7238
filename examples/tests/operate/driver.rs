//! The other process: this test program itself, which drives a run on a simulated estate until it is over or killed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Estate, Journal, Policy, Standing, SystemClock, Timestamp,
    clock::{AtWork, Clock},
    estate::{Impact, Patch, PatchClass},
    sim::{GuestSpec, Script, Sim},
};

const PATH: &str = "OPERATE_JOURNAL";
const BEGAN: &str = "OPERATE_BEGAN";
const KEEPS: &str = "OPERATE_KEEPS";

/// What a process does with a journal that it keeps open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// It parks the run.
    Parked,
    /// It lets go of the run when only a person can make it go on.
    LetGo,
    /// It has not taken the run up.
    Untaken,
}

impl Keeps {
    const ALL: [Self; 3] = [Self::Parked, Self::LetGo, Self::Untaken];

    fn said() -> Option<Self> {
        let said = std::env::var(KEEPS).ok()?;
        Self::ALL
            .into_iter()
            .find(|keeps| format!("{keeps:?}") == said)
    }
}

/// Ten minutes of the simulated estate pass in one second.
const HASTE: i32 = 600;

/// The ring `test`, then the ring `broad`, which needs an approval of its own. The patch fails on
/// w-2 and w-3, and on w-2 so does the way back.
pub(crate) const POLICY: &str = r#"
policy = 1
name = "night"
approval = { needs = 1, from = ["maria", "jon"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name = "test"
select = "ring = test"
soak = "40m"
[[ring]]
name = "broad"
select = "*"
at_once = "1"
start_after = { ring = "test", success = "100%", at_least = 1 }
needs_approval = true
soak = "40m"
"#;

/// A clock that goes faster than the world, for an estate whose time passes while people look on. It begins at
/// the real time, so that what is written into a journal is never long past for whoever reads it.
#[derive(Debug, Clone, Copy)]
struct Hasty {
    began: Timestamp,
}

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.began + SystemClock.now().duration_since(self.began) * HASTE
    }

    async fn sleep_until(&self, until: Timestamp) {
        let real = self.began + until.duration_since(self.began) / HASTE;
        SystemClock.sleep_until(real).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.sleep_until(time).await;
    }

    fn at_work(&self) -> AtWork {
        AtWork::unobserved()
    }
}

#[test]
#[ignore = "the other process of these tests"]
fn process() {
    let path = std::env::var_os(PATH).expect("only other tests start this");
    let began = std::env::var(BEGAN).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(drive(path.as_ref(), Hasty { began }));
}

async fn drive(path: &Path, clock: Hasty) {
    let web = |g: GuestSpec| g.label("tier", "web").package("nginx", "1.0-1");
    let sim = Sim::starting(clock.now(), 3)
        .guest("t-1", |g| web(g).label("ring", "test"))
        .guests(["w-1", "w-2", "w-3"], web)
        .publish(
            Patch::new("nginx", None, "1.1-1", PatchClass::Security)
                .with_impact(Impact::ServiceRestart),
        )
        .script(Script::postinst_fails("nginx", "1.1-1").on("w-2").on("w-3"))
        .script(Script::roll_back_fails().on("w-2"));
    let estate = Estate::named("night")
        .with(sim.provider())
        .with_clock(Arc::new(clock));
    let journal = Journal::open(path).unwrap();
    let keeps = Keeps::said();
    if keeps == Some(Keeps::Untaken) {
        return keep(&journal).await;
    }
    let run = match estate.reopen(&journal).await.unwrap() {
        Some(run) => run,
        None => {
            let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
            let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
            let approval = estate.approval(&plan, "maria").unwrap();
            let approved = estate.approve(plan, [approval]).unwrap();
            estate.run(approved, &journal).await.unwrap()
        }
    };
    match keeps {
        Some(Keeps::Parked) => {
            let standing = run.finished_or_parked(Duration::ZERO).await.unwrap();
            assert!(matches!(standing, Standing::Parked { .. }), "{standing:?}");
            return keep(&journal).await;
        }
        Some(_) => {
            let standing = run.finished().await.unwrap();
            assert!(matches!(standing, Standing::AtRest { .. }), "{standing:?}");
            drop(run);
            return keep(&journal).await;
        }
        None => {}
    }
    eprintln!("driving");
    // A person may make it go on, so that it is at rest is no reason to end.
    loop {
        match run.standing() {
            Standing::Ended { .. } => break,
            Standing::Broken { failure } => panic!("{failure}"),
            _ => nap().await,
        }
    }
    drop(run);
    journal.close().await.unwrap();
}

async fn nap() {
    SystemClock
        .sleep_until(SystemClock.now() + Duration::from_millis(20))
        .await;
}

/// Does nothing with a journal that is open, until it is killed.
async fn keep(journal: &Journal) {
    eprintln!("driving");
    loop {
        nap().await;
        assert!(journal.epoch() > 0);
    }
}

/// A process that drives the run of a journal. It is killed with its owner.
pub(crate) struct Driver(Child);

impl Driver {
    /// Starts one, and waits until it drives.
    pub(crate) fn start(journal: &Path, began: Timestamp) -> Self {
        Self::spawn(journal, began, None)
    }

    /// Starts one that keeps the journal and drives nothing, and waits until that is so.
    pub(crate) fn that_keeps(journal: &Path, began: Timestamp, keeps: Keeps) -> Self {
        Self::spawn(journal, began, Some(keeps))
    }

    fn spawn(journal: &Path, began: Timestamp, keeps: Option<Keeps>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["driver::process", "--exact", "--ignored", "--nocapture"])
            .env(PATH, journal)
            .env(BEGAN, began.to_string())
            .envs(keeps.map(|keeps| (KEEPS, format!("{keeps:?}"))))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().is_ok_and(|l| l == "driving"));
        assert!(said.is_some(), "the other process did not come to drive");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal, as `kill` does.
    #[cfg(unix)]
    pub(crate) fn signal(&self, which: &str) {
        let sent = Command::new("kill")
            .args([which, &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it at once; on Unix this is SIGKILL.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }

    /// Waits until it ends by itself, and says whether all went well.
    pub(crate) fn succeeds(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.kill();
    }
}
