//! A lock of a target that is not taken as it should be: what is left of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Journal, Result, Run,
    execute::kernel::{End, Phase},
    id::ComponentId,
    provider::{Claim, Held, OpContext, Taken, TargetLock},
    sim::Sim,
};

use super::{
    estate::{ALL, approved, plan, policy, sim, told},
    twist,
    two::{locks, reading},
};

/// How the lock of `t-1` is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is not, and the answer is an error.
    Refused,
    /// It is not, in a panic.
    Panics,
    /// It is, and the first time in a panic.
    PanicsAfter,
}

#[derive(Debug)]
struct Badly(Arc<dyn TargetLock>, How, AtomicBool);

#[async_trait]
impl TargetLock for Badly {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        if component != "t-1" || self.1 == How::PanicsAfter && self.2.swap(true, Ordering::SeqCst) {
            return self.0.take(ctx, component, claim).await;
        }
        match self.1 {
            How::Refused => Err(Error::new(
                ErrorKind::ProviderFault,
                "its answer is garbled",
            )),
            How::Panics => panic!("a fault of the lock"),
            How::PanicsAfter => {
                self.0.take(ctx, component, claim).await?;
                panic!("a fault of the lock")
            }
        }
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        self.0.give_back(ctx, component, fence).await
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        self.0.look(ctx, component).await
    }
}

async fn carried_out(sim: &Sim, how: How, journal: &Journal) -> Run {
    let lock = Badly(locks(sim), how, AtomicBool::new(false));
    let estate = twist::with_lock(sim, Arc::new(lock));
    let plan = plan(&estate, &policy(&[]), journal).await;
    let run = estate.run(approved(&estate, plan), journal).await.unwrap();
    run.finished().await.unwrap();
    run
}

#[tokio::test]
async fn what_was_taken_in_a_panic_is_known_and_given_back() {
    let (sim, journal) = (sim(), Journal::in_memory().unwrap());
    let run = carried_out(&sim, How::PanicsAfter, &journal).await;
    let lines = told(&run).await.join("\n");
    let story = run.story().await.unwrap();
    for name in ALL {
        assert_eq!(
            story.components[name].phase,
            Phase::Ended(End::Done),
            "{lines}"
        );
        assert_eq!(sim.world(|w| w.locked(&name.into())), None, "{lines}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_fails_before_anything_is_done() {
    for (how, why) in [
        (How::Refused, "its answer is garbled"),
        (How::Panics, "a provider panicked: a fault of the lock"),
    ] {
        let (sim, journal) = (sim(), Journal::in_memory().unwrap());
        let run = carried_out(&sim, how, &journal).await;
        let lines = told(&run).await.join("\n");
        let story = run.story().await.unwrap();
        let state = &story.components["t-1"];
        assert_eq!(
            state.phase,
            Phase::Ended(End::Untouched),
            "{how:?}: {lines}"
        );
        assert!(lines.contains(why), "{how:?}: {lines}");
        assert!(sim.history("t-1").unwrap().transactions.is_empty());
        assert_eq!(sim.world(|w| w.locked(&"t-1".into())), None, "{lines}");
    }
}

/// Somebody has the lock of a guest, and it cannot be taken: whether it is held after the run.
async fn is_held_after(by: impl FnOnce(&Journal) -> Claim) -> bool {
    let (sim, journal) = (sim(), Journal::in_memory().unwrap());
    let theirs = locks(&sim)
        .take(&reading(&sim), &"t-1".into(), &by(&journal))
        .await;
    assert_eq!(theirs.unwrap(), Taken::Ours { fence: 1 });
    carried_out(&sim, How::Refused, &journal).await;
    assert!(sim.history("t-1").unwrap().transactions.is_empty());
    sim.world(|w| w.locked(&"t-1".into())).is_some()
}

#[tokio::test]
async fn what_a_process_of_before_took_and_never_recorded_is_given_back() {
    let before = |journal: &Journal| Claim::new(journal.uid(), "before", 0, "process 7 on ops-1");
    assert!(!is_held_after(before).await);
    // Nobody else's, nor that of a copy of the journal that was opened as often.
    let copy = |journal: &Journal| Claim::new(journal.uid(), "a copy", 1, "process 7 on ops-2");
    assert!(is_held_after(copy).await);
    let rival = |_: &Journal| Claim::new("rival", "o1", 0, "process 7 on ops-2");
    assert!(is_held_after(rival).await);
}
