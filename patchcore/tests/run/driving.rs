//! What the driver itself promises: one transaction for many decisions, and an end that can be seen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Estate, Journal, Result, Standing, SystemClock, Timestamp,
    clock::{AtWork, Clock},
    execute::kernel::{Phase, RunVerdict, Wait},
    provider::{HealthProbe, OpContext, Ports, ProbeAnswer, ProbeRequest, Provider, ProviderInfo},
    sim::{Sim, VirtualClock},
};

use super::estate::{Folder, approved, estate, plan, policy, sim, start, started, told};

const DONE: Standing = Standing::Ended {
    verdict: RunVerdict::Done,
};

#[tokio::test]
async fn many_decisions_share_a_transaction() {
    let names: Vec<String> = (0..200).map(|n| format!("w-{n:03}")).collect();
    let sim = Sim::starting(start(), 3)
        .guest("t-1", |g| g.label("ring", "test").package("nginx", "1.0-1"))
        .guests(names.iter().map(String::as_str), |g| {
            g.package("nginx", "1.0-1")
        })
        .publish(patchcore::estate::Patch::new(
            "nginx",
            None,
            "1.1-1",
            patchcore::estate::PatchClass::Security,
        ));
    let all = policy(&[("at_once = \"2\"", "at_once = \"200\"")]);
    let journal = Journal::in_memory().unwrap();
    // Checkpoints have transactions of their own.
    let estate = estate(&sim).with_checkpoint_every(u64::MAX);
    let plan = plan(&estate, &all, &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    assert_eq!(run.finished().await.unwrap(), DONE);
    let stats = journal.stats();
    assert!(stats.events > 200 * 12, "{stats:?}");
    assert!(stats.events > stats.commits * 3, "{stats:?}");
}

/// A journal that is written to one thing at a time still shares transactions: looks that found nothing bad wait
/// for the next that must not be lost.
#[tokio::test]
async fn what_may_be_lost_waits_for_what_may_not() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let one = policy(&[("at_once = \"2\"", "at_once = \"1\"")]);
    // Checkpoints have transactions of their own.
    let estate = estate(&sim).with_checkpoint_every(u64::MAX);
    let plan = plan(&estate, &one, &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    assert_eq!(run.finished().await.unwrap(), DONE);
    let stats = journal.stats();
    let looks = told(&run).await;
    let looks = looks.iter().filter(|l| l.contains("healthy")).count() as u64;
    assert!(looks >= 8, "{looks}");
    assert!(stats.commits + looks <= stats.events, "{stats:?}");
    // Nothing waits in memory once the run is over.
    assert_eq!(*journal.committed().borrow(), stats.events);
}

#[derive(Debug)]
struct Panics;

#[async_trait]
impl HealthProbe for Panics {
    fn kinds(&self) -> &'static [&'static str] {
        &["http"]
    }

    async fn probe(&self, _: &OpContext, _: &ProbeRequest) -> Result<ProbeAnswer> {
        panic!("an index out of bounds")
    }
}

#[derive(Debug)]
struct Wrapped(ProviderInfo, Ports);

impl Provider for Wrapped {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn ports(&self) -> Ports {
        self.1.clone()
    }
}

#[tokio::test]
async fn a_probe_that_panics_is_a_check_that_fails() {
    let sim = sim();
    let provider = sim.provider();
    let ports = provider.ports().with_probe(Arc::new(Panics));
    let estate = Estate::named("test")
        .with(Wrapped(provider.info().clone(), ports))
        .with_clock(sim.shared_clock());
    let journal = Journal::in_memory().unwrap();
    let plan = plan(&estate, &policy(&[]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    // Rolled back, its checks panic again: a person must say whether it is in service.
    let standing = run.finished().await.unwrap();
    assert!(standing.is_halted(), "{standing:?}");
    let story = run.story().await.unwrap();
    assert_eq!(story.components["t-1"].phase, Phase::Quarantined);
    let lines = told(&run).await;
    assert!(
        lines.iter().any(|l| l.contains("an index out of bounds")),
        "{lines:#?}"
    );
    assert_eq!(story.components["w-1"].phase, Phase::Waiting);
}

/// Virtual time that panics when it is told to, whoever asks.
#[derive(Debug)]
struct Breaks {
    inner: VirtualClock,
    broken: AtomicBool,
}

#[async_trait]
impl Clock for Breaks {
    fn now(&self) -> Timestamp {
        assert!(!self.broken.load(Ordering::Relaxed), "the clock is gone");
        self.inner.now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.inner.sleep_until(until).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.inner.reached(time).await;
    }

    fn at_work(&self) -> AtWork {
        self.inner.at_work()
    }
}

#[tokio::test]
async fn a_driver_that_panics_says_so() {
    let sim = sim();
    let clock = Arc::new(Breaks {
        inner: sim.clock(),
        broken: AtomicBool::new(false),
    });
    let estate = Estate::named("test")
        .with(sim.provider())
        .with_clock(Arc::clone(&clock) as patchcore::clock::SharedClock);
    let journal = Journal::in_memory().unwrap();
    let asks = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let plan = plan(&estate, &asks, &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    assert!(matches!(
        run.finished().await.unwrap(),
        Standing::AtRest { .. }
    ));
    clock.broken.store(true, Ordering::Relaxed);
    let approving = run.approve_ring("broad", "jon", "it looks good").await;
    approving.unwrap_err();
    let broken = |s: &Standing| matches!(s, Standing::Broken { .. });
    while !broken(&run.standing()) {
        tokio::task::yield_now().await;
    }
    let ended = run.finished().await.unwrap_err().chain();
    assert!(ended.contains("the clock is gone"), "{ended}");
}

#[test]
fn a_runtime_that_ends_is_no_end_of_the_run() {
    let runtime = |threads| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(1), runtime(1));
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    // A blind clock would end the run at once: its first soak is held open by somebody at work.
    let busy = sim.clock().at_work();
    let run = first.block_on(started(&sim, &policy(&[]), &journal));
    first.shutdown_background();
    let error = second.block_on(run.finished()).unwrap_err();
    assert_eq!(error.kind(), patchcore::ErrorKind::Cancelled);
    drop(busy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_another_program_holds_up_is_waited_for() {
    let folder = Folder::new();
    let sim = sim();
    let asks = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let journal = Journal::open(folder.journal()).unwrap();
    let run = started(&sim, &asks, &journal).await;
    assert!(matches!(
        run.finished().await.unwrap(),
        Standing::AtRest { .. }
    ));
    let other = rusqlite::Connection::open(folder.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answered = AtomicBool::new(false);
    let approved = async {
        let approved = run.approve_ring("broad", "jon", "it looks good").await;
        answered.store(true, Ordering::Release);
        approved
    };
    let held_up = || {
        let standing = run.standing();
        let mut waits = standing.waits().iter();
        waits.any(|w| matches!(w, Wait::Journal { why } if why.contains("write lock")))
    };
    let freed = async {
        let began = SystemClock.now();
        while !held_up() {
            assert!(
                SystemClock.now() < began + Duration::from_secs(60),
                "{:?}",
                run.standing()
            );
            SystemClock
                .sleep_until(SystemClock.now() + Duration::from_millis(20))
                .await;
        }
        assert!(!answered.load(Ordering::Acquire), "nothing is recorded yet");
        other.execute_batch("COMMIT").unwrap();
    };
    tokio::join!(approved, freed).0.unwrap();
    assert_eq!(run.finished().await.unwrap(), DONE);
    assert!(journal.verify().await.unwrap().is_intact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_hears_that_it_is_over_closes_its_journal_for_good() {
    let folder = Folder::new();
    let policy = policy(&[]);
    for nth in 0..60 {
        let path = folder.journal().with_file_name(format!("{nth}.db"));
        let journal = Journal::open(&path).unwrap();
        let run = started(&sim(), &policy, &journal).await;
        assert_eq!(run.finished().await.unwrap(), DONE);
        drop(run);
        journal.close().await.unwrap();
        // Whoever still has it open has this file beside it.
        let beside = folder.journal().with_file_name(format!("{nth}.db-wal"));
        assert!(!beside.exists(), "run {nth} is still there");
    }
}
