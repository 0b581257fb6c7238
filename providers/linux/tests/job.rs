//! The job protocol with a real shell in a folder of its own: what happens once, what is found again,
//! and what is called lost.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

mod peer;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use patchcore::{SystemClock, clock::Clock};
use patchcore_linux::{
    job::{Folder, Job, JobId, JobSpec, JobStatus, Jobs, Phase, Poll, Refusal},
    transport::{Local, Output, Script, Transport},
};
use tempfile::TempDir;

struct Stand {
    dir: TempDir,
    jobs: Jobs,
    local: Local,
}

impl Stand {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let jobs = Jobs::in_folders(&path("lib/jobs"), Some(&path("run/jobs"))).unwrap();
        Self {
            jobs,
            dir,
            local: Local::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self, id: &JobId) -> PathBuf {
        self.path("lib/jobs").join(id.as_str())
    }

    async fn send(&self, script: &Script) -> Output {
        self.local
            .run(script, Duration::from_secs(60))
            .await
            .unwrap()
    }

    async fn start(&self, job: &Job) -> (i32, JobStatus) {
        let output = self
            .send(&self.jobs.start(job, SystemClock.now()).unwrap())
            .await;
        (
            output.status,
            JobStatus::parse(&job.id, &output.stdout).unwrap(),
        )
    }

    async fn poll(&self, id: &JobId, poll: Poll) -> JobStatus {
        JobStatus::parse(
            id,
            &self.send(&self.jobs.poll(id, poll).unwrap()).await.stdout,
        )
        .unwrap()
    }

    async fn cancel(&self, id: &JobId) -> JobStatus {
        JobStatus::parse(id, &self.send(&self.jobs.cancel(id).unwrap()).await.stdout).unwrap()
    }

    async fn end(&self, id: &JobId) -> JobStatus {
        self.poll(
            id,
            Poll {
                wait: Duration::from_secs(30),
                ..Poll::default()
            },
        )
        .await
    }
}

fn job(id: &str, text: &'static str) -> Job {
    Job {
        id: JobId::parse(id).unwrap(),
        spec: JobSpec::new().text(text),
    }
}

#[tokio::test]
async fn content_arrives_byte_for_byte_and_its_status_comes_back() {
    let stand = Stand::new();
    let mut job = job("op-quote", "printf '%s' \"$V\"; exit 7");
    job.spec = JobSpec::new()
        .set("V", "it's \"$HOME\" `id` \\ \n ü !")
        .unwrap()
        .text("printf '%s' \"$V\"; exit 7");
    let (status, _) = stand.start(&job).await;
    assert_eq!(status, 0);
    let end = stand.end(&job.id).await;
    assert_eq!(
        (end.phase, end.status, end.ran),
        (Phase::Done, Some(7), true)
    );
    assert_eq!(
        String::from_utf8(end.log).unwrap(),
        "it's \"$HOME\" `id` \\ \n ü !"
    );
    assert_eq!(end.job_boot, end.boot);
}

#[tokio::test]
async fn twelve_starts_at_once_run_it_once() {
    let stand = Stand::new();
    let counter = stand.path("counter");
    let mut job = job("op-once", "");
    job.spec = JobSpec::new()
        .set("COUNTER", counter.to_str().unwrap())
        .unwrap()
        .text("echo x >>\"$COUNTER\"; sleep 1");
    let script = stand.jobs.start(&job, SystemClock.now()).unwrap();
    let children: Vec<_> = (0..12)
        .map(|_| {
            let mut child = Command::new("/bin/sh")
                .arg("-s")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.wire().as_bytes())
                .unwrap();
            child
        })
        .collect();
    for child in children {
        let output = script
            .unwrap_output(&child.wait_with_output().unwrap().stdout, Vec::new())
            .unwrap();
        let status = JobStatus::parse(&job.id, &output.stdout).unwrap();
        assert!(
            matches!(status.phase, Phase::Claimed | Phase::Running | Phase::Done),
            "{status:?}"
        );
    }
    assert_eq!(stand.end(&job.id).await.phase, Phase::Done);
    // Starting it after its end finds the result.
    assert_eq!(stand.start(&job).await.1.phase, Phase::Done);
    assert_eq!(fs::read_to_string(counter).unwrap(), "x\n");
}

#[tokio::test]
async fn two_first_starts_with_different_content_have_one_winner() {
    for round in 0..8 {
        let stand = Stand::new();
        let jobs = [job("op-race", "echo one"), job("op-race", "echo two")];
        let scripts: Vec<_> = jobs
            .iter()
            .map(|job| stand.jobs.start(job, SystemClock.now()).unwrap())
            .collect();
        let (a, b) = tokio::join!(
            stand.send(&scripts[round % 2]),
            stand.send(&scripts[1 - round % 2])
        );
        let mut phases: Vec<_> = [a, b]
            .iter()
            .map(|o| JobStatus::parse(&jobs[0].id, &o.stdout).unwrap().phase == Phase::Conflict)
            .collect();
        phases.sort_unstable();
        assert_eq!(phases, [false, true], "round {round}");
        stand.end(&jobs[0].id).await;
    }
}

#[tokio::test]
async fn a_new_process_finds_it_by_id_and_goes_on_in_its_log() {
    let stand = Stand::new();
    let job = job("op-attach", "echo 0123456789; sleep 1; echo rest");
    let (_, begun) = stand.start(&job).await;
    assert_eq!(begun.phase, Phase::Running);
    let part = stand
        .poll(
            &job.id,
            Poll {
                offset: Some(2),
                most: 3,
                ..Poll::default()
            },
        )
        .await;
    assert_eq!(part.log, b"234");
    let end = stand
        .poll(
            &job.id,
            Poll {
                offset: Some(11),
                wait: Duration::from_secs(30),
                ..Poll::default()
            },
        )
        .await;
    assert_eq!(
        (end.phase, end.log.as_slice(), end.log_size),
        (Phase::Done, b"rest\n".as_slice(), 16)
    );
}

#[tokio::test]
async fn other_content_under_the_same_id_is_a_conflict() {
    let stand = Stand::new();
    stand.start(&job("op-conf", "echo one")).await;
    let (status, found) = stand.start(&job("op-conf", "echo two")).await;
    assert_eq!((status, found.phase), (65, Phase::Conflict));
    assert_eq!(stand.end(&found_id("op-conf")).await.log, b"one\n");
}

fn found_id(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

#[tokio::test]
async fn the_shells_of_small_images_speak_the_protocol_too() {
    for (program, arguments) in [
        ("busybox", vec!["ash", "-s"]),
        ("bash", vec!["--posix", "-s"]),
        ("dash", vec!["-s"]),
    ] {
        let Some(shell) = peer::find(program) else {
            continue;
        };
        let stand = Stand::new();
        let job = job("op-shell", "echo ran; exit 3");
        let ask = |script: Script| {
            let output = feed(Command::new(&shell).args(&arguments), &script);
            JobStatus::parse(&job.id, &output.stdout).unwrap()
        };
        ask(stand.jobs.start(&job, SystemClock.now()).unwrap());
        let end = ask(stand
            .jobs
            .poll(
                &job.id,
                Poll {
                    wait: Duration::from_secs(30),
                    ..Poll::default()
                },
            )
            .unwrap());
        assert_eq!(
            (end.phase, end.status, end.log.as_slice()),
            (Phase::Done, Some(3), b"ran\n".as_slice()),
            "{program}"
        );
        let late = found_id("op-late");
        let cancelled = feed(
            Command::new(&shell).args(&arguments),
            &stand.jobs.cancel(&late).unwrap(),
        );
        assert_eq!(
            JobStatus::parse(&late, &cancelled.stdout).unwrap().phase,
            Phase::Cancelled,
            "{program}"
        );
    }
}

#[tokio::test]
async fn an_unknown_id_is_absent() {
    let stand = Stand::new();
    let found = stand.poll(&found_id("op-none"), Poll::default()).await;
    assert_eq!(
        (found.phase, found.ran, found.log_size),
        (Phase::Absent, false, 0)
    );
}

#[tokio::test]
async fn what_is_cancelled_before_it_began_never_runs() {
    let stand = Stand::new();
    let job = job("op-cancel", "echo ran");
    assert_eq!(stand.cancel(&job.id).await.phase, Phase::Cancelled);
    let (_, late) = stand.start(&job).await;
    assert_eq!((late.phase, late.ran), (Phase::Cancelled, false));
    assert!(!stand.folder(&job.id).join("out").exists());
}

#[tokio::test]
async fn what_has_begun_is_not_cancelled() {
    let stand = Stand::new();
    let job = job("op-begun", "sleep 1; echo ran");
    stand.start(&job).await;
    assert_eq!(stand.cancel(&job.id).await.phase, Phase::Running);
    assert_eq!(stand.end(&job.id).await.log, b"ran\n");
}

#[tokio::test]
async fn a_killed_runner_is_lost_died() {
    let stand = Stand::new();
    let job = job("op-killed", "echo begun; sleep 3");
    let (_, begun) = stand.start(&job).await;
    Command::new("kill")
        .args(["-KILL", &begun.pid.unwrap().to_string()])
        .status()
        .unwrap();
    // Long-polling must not wait the whole time for a process that is gone.
    let found = stand
        .poll(
            &job.id,
            Poll {
                wait: Duration::from_secs(50),
                ..Poll::default()
            },
        )
        .await;
    assert_eq!(
        (found.phase, found.ran, found.status),
        (Phase::LostDied, true, None)
    );
    // A start under the same id does not run it again: what it did is unknown.
    assert_eq!(stand.start(&job).await.1.phase, Phase::LostDied);
}

#[tokio::test]
async fn a_job_of_an_earlier_boot_is_lost_reboot() {
    let stand = Stand::new();
    let job = job("op-boot", "sleep 2");
    stand.start(&job).await;
    let state = stand.folder(&job.id).join("state");
    let text = fs::read_to_string(&state).unwrap();
    let words: Vec<_> = text.split(' ').collect();
    fs::write(
        &state,
        text.replace(words[4], "00000000-0000-0000-0000-000000000000"),
    )
    .unwrap();
    assert_eq!(
        stand.poll(&job.id, Poll::default()).await.phase,
        Phase::LostReboot
    );
}

#[tokio::test]
async fn a_reused_process_id_is_not_taken_for_the_runner() {
    let stand = Stand::new();
    let job = job("op-reuse", "sleep 2");
    let (_, begun) = stand.start(&job).await;
    let state = stand.folder(&job.id).join("state");
    let text = fs::read_to_string(&state).unwrap();
    // The process with this id lives, but began at another time.
    let words: Vec<_> = text.split(' ').collect();
    assert_eq!(words[2], begun.pid.unwrap().to_string());
    fs::write(&state, text.replace(&format!(" {} ", words[3]), " 1 ")).unwrap();
    assert_eq!(
        stand.poll(&job.id, Poll::default()).await.phase,
        Phase::LostDied
    );
}

#[tokio::test]
async fn a_claim_without_a_state_is_lost_after_a_minute_and_stays_lost() {
    let stand = Stand::new();
    let job = job("op-claim", "echo ran");
    // A runner that died, or sleeps, right after it made the claim.
    stand
        .start(&Job {
            id: found_id("op-other"),
            spec: job.spec.clone(),
        })
        .await;
    let folder = stand.folder(&job.id);
    fs::create_dir_all(folder.join("claim")).unwrap();
    assert_eq!(
        stand.poll(&job.id, Poll::default()).await.phase,
        Phase::Claimed
    );

    let touched = Command::new("touch")
        .args(["-d", "2 minutes ago"])
        .arg(folder.join("claim"))
        .status()
        .unwrap();
    assert!(touched.success());
    for _ in 0..2 {
        let found = stand.poll(&job.id, Poll::default()).await;
        assert_eq!((found.phase, found.ran), (Phase::LostDied, false));
    }
    // The runner wakes up after all: `state` is taken, so that it leaves without running anything.
    for file in ["runner", "sha", &format!("spec.{}", job.spec.digest())] {
        fs::copy(
            stand.folder(&found_id("op-other")).join(file),
            folder.join(file),
        )
        .unwrap();
    }
    let script = fs::read_to_string(folder.join("runner"))
        .unwrap()
        .replace("mkdir \"$d/claim\" 2>/dev/null || exit 0", ":");
    // `sh -c` takes the word after the script as its name, so that the folder is `$1` as for the real runner.
    let status = Command::new("/bin/sh")
        .args(["-c", &script, "runner"])
        .arg(&folder)
        .arg("0")
        .arg(stand.path("lib/lock"))
        .stderr(Stdio::null())
        .status();
    assert!(!status.unwrap().success());
    assert!(!folder.join("out").exists());
    assert_eq!(
        stand.poll(&job.id, Poll::default()).await.phase,
        Phase::LostDied
    );
}

#[tokio::test]
async fn damaged_content_is_never_run() {
    let stand = Stand::new();
    let job = job("op-damage", "echo ran");
    let folder = stand.folder(&job.id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join(format!("spec.{}", job.spec.digest())),
        "echo half",
    )
    .unwrap();
    let runner = concat!(
        include_str!("../src/job/lock.sh"),
        include_str!("../src/job/runner.sh")
    );
    fs::write(folder.join("runner"), runner).unwrap();
    fs::write(folder.join("sha"), format!("{}\n", job.spec.digest())).unwrap();
    stand.start(&job).await;
    let end = stand.end(&job.id).await;
    assert_eq!(end.status, Some(74));
    let log = String::from_utf8(end.log).unwrap();
    assert!(
        log.starts_with("@patchcore op-damage spec_damaged expected "),
        "{log}"
    );
}

#[tokio::test]
async fn children_of_a_job_see_a_broken_pipe_as_everywhere() {
    let stand = Stand::new();
    // With PIPE ignored, `yes` would print a write error and end with 1 instead of dying quietly.
    let job = job(
        "op-pipe",
        "{ yes; echo \"status $?\" >&2; } | head -n 1; umask",
    );
    stand.start(&job).await;
    let log = String::from_utf8(stand.end(&job.id).await.log).unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0022", "status 141", "y"]);
}

#[tokio::test]
async fn a_folder_that_may_not_be_read_is_refused_and_never_absent() {
    let stand = Stand::new();
    if stand.local.is_root() {
        // Root passes every permission: the same scripts run as an ordinary user.
        if peer::find("setpriv").is_none() {
            return;
        }
    }
    let base = stand.path("lib/jobs");
    fs::create_dir_all(base.join("op-hidden")).unwrap();
    fs::set_permissions(stand.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&base, fs::Permissions::from_mode(0o600)).unwrap();
    let job = job("op-hidden", "echo ran");
    for script in [
        stand.jobs.poll(&job.id, Poll::default()).unwrap(),
        stand.jobs.start(&job, SystemClock.now()).unwrap(),
    ] {
        let found = JobStatus::parse(&job.id, &as_nobody(&stand, &script).stdout).unwrap();
        assert_eq!(
            (found.phase, found.refusal),
            (Phase::Refused, Some(Refusal::Denied)),
            "{found:?}"
        );
    }
    fs::set_permissions(&base, fs::Permissions::from_mode(0o700)).unwrap();
}

fn as_nobody(stand: &Stand, script: &Script) -> Output {
    let mut command = if stand.local.is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/bin/sh",
            "-s",
        ]);
        command
    } else {
        let mut command = Command::new("/bin/sh");
        command.arg("-s");
        command
    };
    feed(&mut command, script)
}

fn feed(shell: &mut Command, script: &Script) -> Output {
    let mut child = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.wire().as_bytes()).unwrap();
    script
        .unwrap_output(&child.wait_with_output().unwrap().stdout, Vec::new())
        .unwrap()
}

/// A small file system at the place of the first folder; nothing where this machine does not allow mounts.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if done.is_ok_and(|s| s.success()) {
            Some(Self(at.to_owned()))
        } else {
            eprintln!("skipped: a file system cannot be mounted here");
            None
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_work_and_lets_healing_work_use_the_second_folder() {
    let stand = Stand::new();
    let Some(mount) = Mount::tmpfs(&stand.path("lib/jobs"), "size=16k") else {
        return;
    };
    // Fills it to the last block.
    let _ = fs::write(mount.0.join("ballast"), vec![0; 1 << 20]);
    let job = job("op-full", "echo ran");
    let (status, found) = stand.start(&job).await;
    assert_eq!(
        (status, found.phase, found.refusal),
        (73, Phase::Refused, Some(Refusal::DiskFull)),
        "{found:?}"
    );

    let heal = Job {
        spec: job.spec.clone().healing(),
        ..job.clone()
    };
    let (status, found) = stand.start(&heal).await;
    assert_eq!(
        (status, found.folder, found.refusal),
        (0, Folder::Fallback, Some(Refusal::DiskFull)),
        "{found:?}"
    );
    let end = stand.end(&job.id).await;
    assert_eq!(
        (end.phase, end.folder, end.log.as_slice()),
        (Phase::Done, Folder::Fallback, b"ran\n".as_slice())
    );
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let stand = Stand::new();
    let Some(_mount) = Mount::tmpfs(&stand.path("lib/jobs"), "size=64k,ro") else {
        return;
    };
    let (status, found) = stand.start(&job("op-ro", "echo ran")).await;
    assert_eq!(
        (status, found.phase, found.refusal),
        (73, Phase::Refused, Some(Refusal::ReadOnly)),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_disk_that_fills_up_while_it_works_still_takes_the_result() {
    let stand = Stand::new();
    let Some(mount) = Mount::tmpfs(&stand.path("lib/jobs"), "size=128k") else {
        return;
    };
    let job = Job {
        id: found_id("op-fills"),
        spec: JobSpec::new()
            .set("BALLAST", mount.0.join("ballast").to_str().unwrap())
            .unwrap()
            .text("head -c 10000000 /dev/zero >\"$BALLAST\"; exit 9"),
    };
    stand.start(&job).await;
    let end = stand.end(&job.id).await;
    assert_eq!((end.phase, end.status), (Phase::Done, Some(9)), "{end:?}");
}
