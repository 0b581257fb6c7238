//! How long a machine remembers jobs, and what it forgets.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use patchcore::{SystemClock, Timestamp, clock::Clock};
use patchcore_linux::{
    job::{Job, JobId, JobSpec, JobStatus, Jobs, MEMORY, Phase, Poll},
    transport::{Local, Transport},
};
use tempfile::TempDir;

struct Stand {
    dir: TempDir,
    jobs: Jobs,
}

impl Stand {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("jobs");
        Self {
            jobs: Jobs::in_folders(base.to_str().unwrap(), None).unwrap(),
            dir,
        }
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.dir.path().join("jobs").join(id)
    }

    /// The old packages that a stage job keeps.
    fn kept(&self, id: &str) -> PathBuf {
        self.dir.path().join("rollback").join(id)
    }

    async fn start(&self, id: &str, text: &'static str, now: Timestamp) -> JobStatus {
        let job = Job {
            id: JobId::parse(id).unwrap(),
            spec: JobSpec::new().text(text),
        };
        let script = self.jobs.start(&job, now).unwrap();
        let output = Local::new().run(&script, Duration::from_secs(60)).await;
        let output = output.unwrap();
        assert_eq!(output.status, 0);
        JobStatus::parse(&job.id, &output.stdout).unwrap()
    }

    async fn done(&self, id: &str, now: Timestamp) {
        self.start(id, "true", now).await;
        let id = JobId::parse(id).unwrap();
        let poll = Poll {
            wait: Duration::from_secs(30),
            ..Poll::default()
        };
        let script = self.jobs.poll(&id, poll).unwrap();
        let output = Local::new().run(&script, Duration::from_secs(60)).await;
        let status = JobStatus::parse(&id, &output.unwrap().stdout).unwrap();
        assert_eq!(status.phase, Phase::Done);
    }
}

#[tokio::test]
async fn what_is_over_and_older_than_the_promise_is_forgotten_except_the_last_twenty() {
    let stand = Stand::new();
    let now = SystemClock.now();
    let old = now - MEMORY - Duration::from_secs(3600);
    // One that is still at work is not forgotten, however old it is.
    stand
        .start("op-works", "sleep 20", old - Duration::from_secs(9000))
        .await;
    for n in 0..23_u64 {
        let id = format!("op-old-{n:02}");
        fs::create_dir_all(stand.kept(&id)).unwrap();
        stand.done(&id, old + Duration::from_secs(n)).await;
    }
    let young = now - MEMORY + Duration::from_secs(60);
    stand.done("op-young", young).await;
    // Nothing of them is new enough to be asked about, and the twenty youngest of all stay.
    stand.done("op-now", now).await;
    let there = |n: u64| {
        let id = format!("op-old-{n:02}");
        let job = stand.folder(&id).exists();
        assert_eq!(job, stand.kept(&id).exists(), "{id}: its old packages");
        job
    };
    let forgotten: Vec<u64> = (0..23).filter(|n| !there(*n)).collect();
    assert_eq!(forgotten, [0, 1, 2, 3, 4]);
    for id in ["op-works", "op-young", "op-now"] {
        assert!(stand.folder(id).exists(), "{id}");
    }
    let left: Vec<_> = fs::read_dir(stand.dir.path().join("jobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn neither_a_month_less_a_minute_nor_the_clock_of_the_machine_makes_a_job_old() {
    let stand = Stand::new();
    let now = SystemClock.now();
    let young = now - MEMORY + Duration::from_secs(60);
    for n in 0..22 {
        let id = format!("op-{n:04}");
        stand.done(&id, young).await;
        // As if the machine's clock had been years behind then.
        for name in ["", "rc", "state", "claim", "born"] {
            let path = stand.folder(&id).join(name);
            let file = fs::File::open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    }
    stand.done("op-last", now).await;
    assert!((0..22).all(|n| stand.folder(&format!("op-{n:04}")).exists()));
}

#[tokio::test]
async fn a_claim_from_before_the_clock_was_set_back_is_not_waited_for_for_ever() {
    let stand = Stand::new();
    fs::create_dir_all(stand.folder("op-stuck").join("claim")).unwrap();
    let date = Command::new("touch")
        .args(["-d", "+3 years"])
        .arg(stand.folder("op-stuck").join("claim"))
        .status();
    assert!(date.unwrap().success());
    let status = stand.start("op-stuck", "true", SystemClock.now()).await;
    assert_eq!((status.phase, status.ran), (Phase::LostDied, false));
}
