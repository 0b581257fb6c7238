//! A restart over a transport that is played: what a machine answers, or does not, until it is back.
//!
//! A real one is in the tests of the fleet; here are the moments that no real machine shows on demand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    clock::{AtWork, Clock},
    id::OpKey,
    provider::{
        Begun, CancelToken, DeployRequest, Deployer, Handle, Located, Observed, Op, OpContext,
        Provider, Readiness, SubjectResult,
    },
};
use patchcore_linux::{
    Linux, LocalConfig,
    transport::{Output, Script, Transport},
};

const STATES: &str = include_str!("fixtures/scan-states.txt");

/// The clock of the fixture.
fn begin() -> Timestamp {
    let now = STATES.lines().find_map(|l| l.strip_prefix("now ")).unwrap();
    Timestamp::from_second(now.parse().unwrap()).unwrap()
}

#[derive(Debug, Clone)]
enum Now {
    /// It does not answer, or refuses.
    Away(ErrorKind),
    /// It answers: its boot id, what systemd says, what failed, and how its job stands.
    Up(
        &'static str,
        &'static str,
        &'static [&'static str],
        &'static str,
    ),
}

#[derive(Debug)]
struct Played {
    now: Mutex<Now>,
    time: Mutex<Timestamp>,
}

#[async_trait]
impl Transport for Played {
    async fn run(&self, script: &Script, _: Duration) -> Result<Output> {
        let (boot, state, failed, job) = match self.now.lock().unwrap().clone() {
            Now::Away(kind) => {
                return Err(Error::new(kind, "m-1 did not answer").retryable(None));
            }
            Now::Up(boot, state, failed, job) => (boot, state, failed, job),
        };
        let id = script.id();
        let wire = script.wire();
        let body = if wire.contains("\nONLY=") {
            let failed: String = failed
                .iter()
                .map(|unit| format!("failed {unit}\n"))
                .collect();
            let named = "\n@fixture begin named\nof 7\n\n@fixture end named 0\n";
            format!("{STATES}{named}")
                .replace("@fixture", &format!("@{id}"))
                .lines()
                .map(|line| match line {
                    line if line.starts_with("boot_id ") => format!("boot_id {boot}\n"),
                    line if line.ends_with("begin units") => {
                        format!("{line}\nstate {state}\n{failed}")
                    }
                    line => format!("{line}\n"),
                })
                .collect()
        } else {
            let rc = if job == "done" { "0" } else { "-" };
            format!(
                "PC1 op={id} phase={job} rc={rc} ran=yes pid=7 jobboot=b1 boot={boot} size=0 up=9.5 now=0 base=primary why=-\n"
            )
        };
        let whole = format!("\n==patchcore {id} begin==\n{body}\n==patchcore {id} end== 0\n");
        script.unwrap_output(whole.as_bytes(), Vec::new())
    }
}

#[async_trait]
impl Clock for Played {
    fn now(&self) -> Timestamp {
        *self.time.lock().unwrap()
    }

    async fn sleep_until(&self, until: Timestamp) {
        *self.time.lock().unwrap() = until;
    }

    async fn reached(&self, _: Timestamp) {
        std::future::pending().await
    }

    fn at_work(&self) -> AtWork {
        AtWork::unobserved()
    }
}

struct Stand {
    played: Arc<Played>,
    deployer: Arc<dyn Deployer>,
    op: Op<DeployRequest>,
    handle: Handle,
}

impl Stand {
    /// A machine with one unit that has failed already, and that was asked to restart.
    async fn asked() -> Self {
        let played = Arc::new(Played {
            now: Mutex::new(Now::Up("b1", "degraded", &["old.service"], "done")),
            time: Mutex::new(begin()),
        });
        let config = LocalConfig::new()
            .with_name("m-1")
            .with_restart_within(Duration::from_secs(600));
        let linux = Linux::over(Arc::clone(&played) as _, config);
        let deployer = linux.ports().deployer.unwrap();
        let request = DeployRequest::Reboot {
            components: vec!["m-1".into()],
        };
        let ctx = Self::ctx(&played);
        let prepared = deployer.prepare(&ctx, &request).await.unwrap();
        assert_eq!(prepared.subjects["m-1"], Readiness::Ready);
        let op = Op::new(OpKey::from("j/1/m-1/reboot/1"), request, prepared.baseline);
        let Begun::Started(handle) = deployer.begin(&ctx, &op).await.unwrap() else {
            panic!("it did not begin");
        };
        Self {
            played,
            deployer,
            op,
            handle,
        }
    }

    fn ctx(played: &Arc<Played>) -> OpContext {
        let deadline = *played.time.lock().unwrap() + Duration::from_secs(600);
        OpContext::reading(Arc::clone(played) as _, deadline, CancelToken::new())
    }

    /// What is observed so many seconds after the machine was asked.
    async fn observe(&self, after: u64, now: Now) -> Result<Observed> {
        *self.played.now.lock().unwrap() = now;
        *self.played.time.lock().unwrap() = begin() + Duration::from_secs(after);
        let ctx = Self::ctx(&self.played);
        self.deployer.observe(&ctx, &self.op, &self.handle).await
    }

    async fn running(&self, after: u64, now: Now) -> String {
        match self.observe(after, now).await {
            Ok(Observed::Running { progress, .. }) => progress.message.unwrap(),
            other => panic!("after {after} s: {other:?}"),
        }
    }

    async fn result(&self, after: u64, now: Now) -> SubjectResult {
        match self.observe(after, now).await {
            Ok(Observed::Settled(mut settled)) => settled.subjects.remove("m-1").unwrap(),
            other => panic!("after {after} s: {other:?}"),
        }
    }

    async fn locate(&self, now: Now) -> Result<Located> {
        *self.played.now.lock().unwrap() = now;
        let ctx = Self::ctx(&self.played);
        self.deployer.locate(&ctx, &self.op).await
    }
}

const OLD: &[&str] = &["old.service"];

#[tokio::test]
async fn while_it_is_away_it_is_waited_for_and_not_lost() {
    let stand = Stand::asked().await;
    let still = Now::Up("b1", "degraded", OLD, "done");
    assert_eq!(stand.running(1, still).await, "waits for the restart");
    let down = Now::Up("b1", "stopping", OLD, "lost_died");
    assert_eq!(stand.running(2, down).await, "goes down");
    // sshd refuses everybody but root while the system goes down and while it comes up.
    for kind in [
        ErrorKind::Unreachable,
        ErrorKind::Timeout,
        ErrorKind::AuthzDenied,
    ] {
        let said = stand.running(42, Now::Away(kind)).await;
        assert_eq!(said, "is away for its restart, for 42 s");
    }
    let early = Now::Up("b2", "starting", &[], "done");
    let said = stand.running(50, early).await;
    assert_eq!(said, "is back, and systemd is still starting");
    let back = Now::Up("b2", "degraded", OLD, "done");
    let SubjectResult::Done(evidence) = stand.result(55, back).await else {
        panic!("degraded as before is no failure");
    };
    assert_eq!(evidence.saw, "boot id was b1, is b2; 1 failed as before");
    let back = Now::Up("b2", "running", &[], "done");
    assert!(matches!(
        stand.result(55, back).await,
        SubjectResult::Done(_)
    ));
}

#[tokio::test]
async fn what_failed_to_start_and_ran_before_is_named() {
    let stand = Stand::asked().await;
    let back = Now::Up("b2", "degraded", &["nginx.service", "old.service"], "done");
    let SubjectResult::Failed(failure) = stand.result(55, back).await else {
        panic!("expected a failure");
    };
    assert_eq!(failure.kind, ErrorKind::Unhealthy);
    let said = format!("{}; {}", failure.message, failure.hint.unwrap_or_default());
    assert!(
        said.contains("nginx.service") && !said.contains("old.service"),
        "{said}"
    );
}

#[tokio::test]
async fn one_that_does_not_come_back_and_one_that_does_not_go_are_named() {
    let stand = Stand::asked().await;
    for (now, kind, part) in [
        (
            Now::Away(ErrorKind::Unreachable),
            ErrorKind::Unreachable,
            "m-1 did not come back from its restart within 10 min",
        ),
        (
            Now::Up("b1", "running", &[], "done"),
            ErrorKind::Timeout,
            "m-1 did not restart within 10 min",
        ),
        (
            Now::Up("b2", "starting", &[], "done"),
            ErrorKind::Timeout,
            "b2, and systemd still starting",
        ),
    ] {
        stand.running(600, now.clone()).await;
        let SubjectResult::Failed(failure) = stand.result(601, now).await else {
            panic!("{part}: expected a failure");
        };
        assert_eq!(failure.kind, kind);
        assert!(failure.message.contains(part), "{}", failure.message);
        assert!(failure.hint.is_some());
    }
    // Back after all: what holds is what is seen.
    let back = Now::Up("b2", "running", &[], "done");
    assert!(matches!(
        stand.result(9000, back).await,
        SubjectResult::Done(_)
    ));
    // Another machine at its address is no machine that restarts.
    let error = stand.observe(30, Now::Away(ErrorKind::HostKey)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::HostKey);
}

#[tokio::test]
async fn a_restart_that_was_asked_for_is_found_and_never_taken_for_done() {
    let stand = Stand::asked().await;
    let asked = stand.locate(Now::Up("b1", "running", &[], "done")).await;
    assert!(matches!(asked.unwrap(), Located::Running(_)));
    let never = stand.locate(Now::Up("b1", "running", &[], "absent")).await;
    assert_eq!(never.unwrap(), Located::NotFound);
    let over = stand.locate(Now::Up("b2", "running", &[], "absent")).await;
    assert!(matches!(over.unwrap(), Located::Settled(_)));
    // Nobody can tell of a machine that does not answer whether it was asked.
    let away = stand.locate(Now::Away(ErrorKind::Unreachable)).await;
    assert!(away.unwrap_err().is_retryable());
}
