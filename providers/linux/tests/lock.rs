//! The lock of a machine with real shells in a folder of its own: who has it, who is refused, and what its log says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

mod peer;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use patchcore::{
    ErrorKind, SystemClock, Timestamp,
    clock::Clock,
    provider::{CancelToken, Claim, OpContext, Provider, Taken, TargetLock},
};
use patchcore_linux::{
    Linux, LocalConfig,
    job::{Job, JobId, JobSpec, JobStatus, Jobs, Phase, Poll, Refusal},
    pm::classify::failed_job,
    transport::{Local, Output, Script, Transport},
};
use tempfile::TempDir;

struct Stand {
    dir: TempDir,
    jobs: Jobs,
}

impl Stand {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::in_folders(dir.path().join("jobs").to_str().unwrap(), None).unwrap();
        Self { dir, jobs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self, id: &JobId) -> PathBuf {
        self.path("jobs").join(id.as_str())
    }

    /// The lock as another process has it.
    fn lock(&self) -> Arc<dyn TargetLock> {
        let config = LocalConfig::new()
            .with_name("here")
            .with_state(self.dir.path().to_str().unwrap())
            .unwrap();
        Linux::local(config).ports().lock.unwrap()
    }

    async fn take(&self, claim: &Claim) -> Taken {
        let lock = self.lock();
        lock.take(&reading(), &"here".into(), claim).await.unwrap()
    }

    async fn fence(&self, claim: &Claim) -> u64 {
        match self.take(claim).await {
            Taken::Ours { fence } | Taken::TakenOver { fence, .. } => fence,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, script: &Script) -> Output {
        let local = Local::new();
        local.run(script, Duration::from_secs(60)).await.unwrap()
    }

    async fn start(&self, job: &Job, fence: u64) -> JobStatus {
        let jobs = self.jobs.clone().with_fence(fence);
        let script = jobs.start(job, SystemClock.now()).unwrap();
        JobStatus::parse(&job.id, &self.send(&script).await.stdout).unwrap()
    }

    async fn end(&self, id: &JobId, fence: u64) -> JobStatus {
        self.poll(id, fence, Duration::from_secs(30)).await
    }

    async fn poll(&self, id: &JobId, fence: u64, wait: Duration) -> JobStatus {
        let poll = Poll {
            wait,
            ..Poll::default()
        };
        let jobs = self.jobs.clone().with_fence(fence);
        let script = jobs.poll(id, poll).unwrap();
        JobStatus::parse(id, &self.send(&script).await.stdout).unwrap()
    }

    /// The machine's own log: of each line the word and the fence.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("lock/log")).unwrap_or_default();
        log.lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').skip(1).take(2).collect();
                words.join(" ")
            })
            .collect()
    }

    /// A job that leaves a line behind.
    fn job(&self, id: &str) -> Job {
        Job {
            id: JobId::parse(id).unwrap(),
            spec: JobSpec::new()
                .set("TO", self.path("effects").to_str().unwrap())
                .unwrap()
                .set("ID", id)
                .unwrap()
                .text("echo \"$ID\" >>\"$TO\""),
        }
    }

    /// A job's folder as `start` leaves it right before the runner; another job's leaves the runner.
    async fn before_the_runner(&self, job: &Job, fence: u64) -> PathBuf {
        let made = self.job("op-made");
        self.start(&made, fence).await;
        self.end(&made.id, fence).await;
        let (from, to) = (self.folder(&made.id), self.folder(&job.id));
        fs::create_dir(&to).unwrap();
        let sha = job.spec.digest();
        fs::copy(from.join("runner"), to.join("runner")).unwrap();
        fs::write(to.join("sha"), format!("{sha}\n")).unwrap();
        fs::write(to.join(format!("spec.{sha}")), job.spec.as_str()).unwrap();
        fs::write(to.join("born"), "1\n").unwrap();
        // What the runner writes between its two looks at the lock waits until somebody reads it.
        let fifo = Command::new("mkfifo").arg(to.join("reserve")).status();
        assert!(fifo.unwrap().success());
        to
    }

    fn runner(&self, shell: &[PathBuf], folder: &Path, fence: u64) -> Child {
        let mut run = Command::new(&shell[0]);
        run.args(&shell[1..])
            .arg(folder.join("runner"))
            .arg(folder)
            .arg(fence.to_string())
            .arg(self.path("lock"));
        run.spawn().unwrap()
    }

    fn effects(&self) -> Vec<String> {
        let effects = fs::read_to_string(self.path("effects")).unwrap_or_default();
        effects.lines().map(str::to_owned).collect()
    }
}

fn reading() -> OpContext {
    OpContext::reading(Arc::new(SystemClock), Timestamp::MAX, CancelToken::new())
}

fn claim(journal: &str, opening: &str, epoch: u64) -> Claim {
    Claim::new(
        journal,
        opening,
        epoch,
        format!("process 4711 of {journal}"),
    )
}

#[tokio::test]
async fn a_job_runs_for_who_holds_the_lock_and_for_nobody_else() {
    let stand = Stand::new();
    let (one, two) = (claim("aaaa", "o1", 1), claim("bbbb", "o2", 1));
    let old = stand
        .fence(&one.clone().with_lease(Duration::from_secs(1)))
        .await;
    let first = stand.job("op-first");
    stand.start(&first, old).await;
    assert_eq!(stand.end(&first.id, old).await.phase, Phase::Done);

    reading().sleep(Duration::from_secs(3)).await;
    let Taken::TakenOver { fence, from } = stand.take(&two).await else {
        panic!("its lease is over");
    };
    assert_eq!((from.claim.journal.as_str(), from.fence), ("aaaa", old));
    assert!(fence > old);

    // The same again under its old fence, something new, and a fence that never was.
    for (id, with) in [
        ("op-first", old),
        ("op-second", old),
        ("op-third", fence + 1),
    ] {
        let status = stand.start(&stand.job(id), with).await;
        assert_eq!(
            (status.phase, status.refusal, status.ran),
            (Phase::Refused, Some(Refusal::Fenced), false),
            "{id}"
        );
        let job = stand.job(id).id;
        let error = failed_job("apply", &job, &status, "").unwrap();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        assert!(!error.is_retryable());
        let said = error.to_string();
        assert!(
            said.contains("process 4711 of bbbb (journal bbbb), held for "),
            "{said}"
        );
    }
    assert!(!stand.folder(&stand.job("op-second").id).exists());

    // The very key that was refused belongs to who holds the lock: the fence is no part of its content.
    let second = stand.job("op-second");
    stand.start(&second, fence).await;
    assert_eq!(stand.end(&second.id, fence).await.phase, Phase::Done);
    assert_eq!(stand.effects(), ["op-first", "op-second"]);

    // Given back, the old one is refused all the same.
    let lock = stand.lock();
    lock.give_back(&reading(), &"here".into(), fence)
        .await
        .unwrap();
    let status = stand.start(&stand.job("op-fourth"), old).await;
    assert_eq!(status.refusal, Some(Refusal::Fenced));
    let log = stand.log();
    assert_eq!(
        log,
        [
            "taken fence=1",
            "begun fence=1",
            "taken fence=2",
            "refused fence=1",
            "refused fence=1",
            "refused fence=3",
            "begun fence=2",
            "given_back fence=2",
            "refused fence=1",
        ]
    );
}

/// Where a runner finds that the lock changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woke {
    BeforeItsClaim,
    BetweenClaimAndContent,
}

#[tokio::test]
async fn a_runner_that_slept_through_a_takeover_runs_nothing() {
    for shell in shells() {
        for woke in [Woke::BeforeItsClaim, Woke::BetweenClaimAndContent] {
            let stand = Stand::new();
            let old = stand.fence(&claim("aaaa", "o1", 1)).await;
            let job = stand.job("op-late");
            let to = stand.before_the_runner(&job, old).await;
            let reserve = to.join("reserve");
            if woke == Woke::BeforeItsClaim {
                stand.fence(&claim("aaaa", "o2", 2)).await;
            }
            let mut runner = stand.runner(&shell, &to, old);
            if woke == Woke::BetweenClaimAndContent {
                until_there(&to.join("state"));
                stand.fence(&claim("aaaa", "o2", 2)).await;
                fs::read(&reserve).unwrap();
            }
            assert!(runner.wait().unwrap().success(), "{shell:?} {woke:?}");
            if woke == Woke::BeforeItsClaim {
                fs::remove_file(&reserve).unwrap();
            }

            assert_eq!(stand.effects(), ["op-made"], "{shell:?} {woke:?}");
            let log = stand.log();
            assert_eq!(log.last().unwrap(), "refused fence=1", "{log:?}");
            // Who holds the lock now can run it himself.
            let status = stand.end(&job.id, old + 1).await;
            assert_eq!((status.phase, status.ran), (Phase::Prepared, false));
            stand.start(&job, old + 1).await;
            assert_eq!(stand.end(&job.id, old + 1).await.phase, Phase::Done);
            assert_eq!(stand.effects(), ["op-made", "op-late"]);
        }
    }
}

/// Whoever is killed between the start of a job and its first command is opened again, and takes the lock anew.
#[tokio::test]
async fn a_job_of_which_an_earlier_holding_steps_back_is_run_once_by_the_next() {
    for shell in shells() {
        let stand = Stand::new();
        let old = stand.fence(&claim("aaaa", "o1", 1)).await;
        let job = stand.job("op-late");
        let to = stand.before_the_runner(&job, old).await;
        let mut runner = stand.runner(&shell, &to, old);
        until_there(&to.join("state"));
        let next = stand.fence(&claim("aaaa", "o2", 2)).await;
        // Asked, it is not certain yet whether it begins; started anew, it waits for who has the claim.
        let asked = stand.poll(&job.id, next, Duration::ZERO);
        let begun = async {
            reading().sleep(Duration::from_millis(500)).await;
            stand.start(&job, next).await
        };
        let wakes = async {
            reading().sleep(Duration::from_millis(1_500)).await;
            fs::read(to.join("reserve")).unwrap();
        };
        let (asked, begun, ()) = tokio::join!(asked, begun, wakes);
        assert!(runner.wait().unwrap().success());
        assert!(
            matches!(asked.phase, Phase::Prepared | Phase::Running | Phase::Done),
            "{shell:?}: {asked:?}"
        );
        assert!(
            matches!(begun.phase, Phase::Running | Phase::Done),
            "{shell:?}: {begun:?}"
        );
        assert_eq!(stand.end(&job.id, next).await.phase, Phase::Done);
        assert_eq!(stand.effects(), ["op-made", "op-late"], "{shell:?}");
        let log = stand.log();
        assert_eq!(log[log.len() - 2..], ["refused fence=1", "begun fence=2"]);
    }
}

fn until_there(path: &Path) {
    let mut looks = 0;
    while !path.exists() {
        looks += 1;
        assert!(looks < 4_000, "no {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn of_forty_processes_that_take_at_once_one_has_it() {
    let stand = Stand::new();
    let take = include_str!("../src/job/take.sh");
    let lib = include_str!("../src/job/lock.sh");
    for round in 1..=3_u64 {
        let children: Vec<_> = (0..40)
            .map(|nth| {
                let shells = shells();
                let shell = &shells[nth % shells.len()];
                let mut child = Command::new(&shell[0])
                    .args(&shell[1..])
                    .arg("-s")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let set = format!(
                    "locks='{}' FENCE=0 JOURNAL=j{round}-{nth} OPENING=o{nth} EPOCH=1 LEASE=900 HOLDER=p\n",
                    stand.path("lock").display()
                );
                let text = format!("{set}{lib}{take}");
                std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes())
                    .unwrap();
                child
            })
            .collect();
        let mut has_it = 0;
        for child in children {
            let said = child.wait_with_output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let header = said.lines().next().unwrap_or_default();
            if header.starts_with("PL1 answer=ours ") {
                assert!(header.contains(&format!(" fence={round} ")), "{said}");
                has_it += 1;
            } else {
                assert!(header.starts_with("PL1 answer=held "), "{said}");
            }
        }
        assert_eq!(has_it, 1, "round {round}");
        let lock = stand.lock();
        let name = "here".into();
        lock.give_back(&reading(), &name, round).await.unwrap();
    }
    let left: Vec<_> = fs::read_dir(stand.path("lock"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_that_cannot_keep_a_lock_says_why_and_nothing_is_taken() {
    let stand = Stand::new();
    // In place of the folder lies a file.
    fs::write(stand.path("lock"), "").unwrap();
    let lock = stand.lock();
    let error = lock
        .take(&reading(), &"here".into(), &claim("aaaa", "o1", 1))
        .await
        .unwrap_err();
    let said = format!("{error:?}");
    assert!(said.contains("taking the lock of the machine"), "{said}");
    assert!(said.contains("nothing was begun"), "{said}");
    assert!(Path::new(&stand.path("lock")).is_file());
}

/// The shells of Debian, of small images, and of everything else.
fn shells() -> Vec<Vec<PathBuf>> {
    [
        ("dash", None),
        ("busybox", Some("ash")),
        ("bash", Some("--posix")),
    ]
    .into_iter()
    .filter_map(|(program, argument)| {
        Some(
            std::iter::once(peer::find(program)?)
                .chain(argument.map(PathBuf::from))
                .collect(),
        )
    })
    .collect()
}
