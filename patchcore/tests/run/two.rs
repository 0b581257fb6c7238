//! Two orchestrators with a journal each, over targets that keep locks: one decides, the other waits and says for whom.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Estate, Journal, Result, Run, Standing, SystemClock,
    clock::Clock as _,
    execute::kernel::{ComponentEvent, Event, RunVerdict, Step},
    id::ComponentId,
    provider::{
        Begun, Claim, DeployRequest, Deployer, Op, OpContext, PortRequest as _, Prepared,
        Provider as _, Taken, TargetLock,
    },
    sim::{Script, Sim, VirtualClock},
};

use super::{
    crash::{killed_after, open_when_free},
    estate::{self, ALL, Folder, approved, locked_estate, plan, policy, sim},
    twist::{self, Twist},
};

async fn start(estate: &Estate, journal: &Journal) -> Run {
    let plan = plan(estate, &policy(&[]), journal).await;
    estate.run(approved(estate, plan), journal).await.unwrap()
}

/// The lock of the targets, past every orchestrator.
pub(crate) fn locks(sim: &Sim) -> Arc<dyn TargetLock> {
    sim.provider().with_target_locks().ports().lock.unwrap()
}

pub(crate) fn reading(sim: &Sim) -> OpContext {
    let clock = sim.shared_clock();
    OpContext::reading(clock, jiff::Timestamp::MAX, Default::default())
}

/// The events of one component.
async fn of(run: &Run, name: &str) -> Vec<ComponentEvent> {
    let mut events = run.events();
    let mut all = Vec::new();
    while let Some(told) = events.next().await {
        if let (Some(component), Event::Component(event)) = (told.component, told.event)
            && component == name
        {
            all.push(event);
        }
    }
    all
}

/// From whom each lock was taken over.
fn taken_over(events: &[ComponentEvent]) -> Vec<String> {
    let from = |event: &ComponentEvent| match event {
        ComponentEvent::Locked { took_over, .. } => took_over.clone(),
        _ => None,
    };
    events.iter().filter_map(from).collect()
}

/// Which journals began something that patches or restarts a component, in the order of the target's own notes; each once
/// in a row.
fn begun_by(sim: &Sim, component: &str) -> Vec<String> {
    sim.world(|world| {
        let mut by: Vec<String> = Vec::new();
        for arrival in world.arrivals(&component.into()) {
            let journal = arrival.key.as_str().split('/').next().unwrap().to_owned();
            let key = arrival.key.as_str();
            let patches = key.contains("/apply/") || key.contains("/reboot/");
            if patches && arrival.admitted && by.last() != Some(&journal) {
                by.push(journal);
            }
        }
        by
    })
}

fn each_is_patched_once(sim: &Sim) {
    for name in ALL {
        let history = sim.history(name).unwrap();
        assert_eq!(history.times_installed("nginx", "1.1-1"), 1, "{name}");
        assert_eq!(history.times_installed("linux", "6.2-1"), 1, "{name}");
    }
}

/// Until a component of one of the runs waits for its lock.
async fn one_waits_of(runs: &[&Run]) {
    for _ in 0..2_400 {
        for run in runs {
            let story = run.story().await.unwrap();
            if story
                .components
                .values()
                .any(|state| state.stalled.is_some())
            {
                return;
            }
        }
        SystemClock
            .sleep_until(SystemClock.now() + Duration::from_millis(25))
            .await;
    }
    panic!("nobody waits for a lock");
}

#[tokio::test]
async fn one_decides_and_the_other_waits_and_says_for_whom() {
    let sim = sim();
    let (one, two) = (Journal::in_memory().unwrap(), Journal::in_memory().unwrap());
    let estate = locked_estate(&sim);
    // Both plans are made before anything is patched.
    let plans = [
        plan(&estate, &policy(&[]), &one).await,
        plan(&estate, &policy(&[]), &two).await,
    ];
    let [first, second] = plans.map(|plan| approved(&estate, plan));
    // Time stands still until both are there: one that begins late would find everything done.
    let still = sim.clock().at_work();
    let first = estate.run(first, &one).await.unwrap();
    let second = estate.run(second, &two).await.unwrap();
    one_waits_of(&[&first, &second]).await;
    drop(still);
    let done = Standing::Ended {
        verdict: RunVerdict::Done,
    };
    let (a, b) = tokio::join!(first.finished(), second.finished());
    assert_eq!((a.unwrap(), b.unwrap()), (done.clone(), done));
    each_is_patched_once(&sim);

    let mut waited = 0;
    for (run, rival) in [(&first, &two), (&second, &one)] {
        for name in ALL {
            let events = of(run, name).await;
            for event in &events {
                if let ComponentEvent::Stalled { why, holder, .. } = event {
                    let holder = holder.as_deref().unwrap();
                    assert!(why.contains("its lock is held by process"), "{why}");
                    assert!(holder.contains(&rival.holder().to_string()), "{holder}");
                    assert!(holder.contains(rival.uid()), "{holder}");
                    waited += 1;
                }
            }
            let count = |is: fn(&ComponentEvent) -> bool| events.iter().filter(|e| is(e)).count();
            let locked = count(|e| matches!(e, ComponentEvent::Locked { .. }));
            let unlocked = count(|e| matches!(e, ComponentEvent::Unlocked { lapses: None, .. }));
            assert_eq!(locked, unlocked, "{name}");
            assert_eq!(taken_over(&events), Vec::<String>::new(), "{name}");
        }
        assert_eq!(run.ledger().await.unwrap(), Vec::<String>::new());
    }
    assert!(waited > 0, "nobody had to wait, so that nothing was tried");
    for name in ALL {
        let by = begun_by(&sim, name);
        assert_eq!(by.len(), 1, "{name}: both were at work: {by:?}");
        assert_eq!(sim.history(name).unwrap().boots.len(), 1, "{name}");
    }
}

/// Whether a process is there while it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nap {
    /// Its machine was suspended: time jumps, and nothing of it runs meanwhile.
    Suspended,
    /// One call of it takes long.
    Waits,
}

/// Sleeps before its first patch is begun, and looks what the ledger says.
#[derive(Debug, Default)]
struct Sleeps {
    /// How, how long, and who takes the lock meanwhile.
    nap: Mutex<Option<(Nap, Duration, Claim)>>,
    clock: Mutex<Option<VirtualClock>>,
    taken: Mutex<Option<Taken>>,
    begun: Mutex<Vec<Begun>>,
    locks: Mutex<Option<Arc<dyn TargetLock>>>,
}

#[async_trait]
impl Twist for Sleeps {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        if !matches!(op.request, DeployRequest::Apply { .. }) {
            return sim.begin(ctx, op).await;
        }
        let nap = self.nap.lock().unwrap().take();
        if let Some((how, length, claim)) = nap {
            let clock = self.clock.lock().unwrap().clone().unwrap();
            let locks = self.locks.lock().unwrap().clone().unwrap();
            let taken = match how {
                Nap::Suspended => {
                    // It is later for everybody else, and only then for whoever wakes: nothing of this process, which
                    // would keep its lock alive, runs before.
                    let later = clock.now() + length;
                    let rivals = Arc::new(VirtualClock::starting(later));
                    let rival =
                        OpContext::reading(rivals, jiff::Timestamp::MAX, Default::default());
                    let taken = locks.take(&rival, &"t-1".into(), &claim).await;
                    clock.advance_to(later);
                    taken?
                }
                Nap::Waits => {
                    ctx.sleep(length).await;
                    locks.take(ctx, &"t-1".into(), &claim).await?
                }
            };
            *self.taken.lock().unwrap() = Some(taken);
        }
        let begun = sim.begin(ctx, op).await?;
        self.begun.lock().unwrap().push(begun.clone());
        Ok(begun)
    }
}

#[tokio::test]
async fn whoever_sleeps_through_its_lease_begins_nothing_when_it_wakes() {
    for (how, nap, loses) in [
        (Nap::Suspended, Duration::from_secs(14 * 60), false),
        (Nap::Suspended, Claim::LEASE, true),
        (Nap::Waits, 2 * Claim::LEASE, false),
    ] {
        let sim = sim();
        let journal = Journal::in_memory().unwrap();
        let twist = Arc::new(Sleeps::default());
        let rival = Claim::new("rival", "o1", 1, "process 7 on ops-2");
        *twist.nap.lock().unwrap() = Some((how, nap, rival.clone()));
        *twist.clock.lock().unwrap() = Some(sim.clock());
        *twist.locks.lock().unwrap() = Some(locks(&sim));
        let run = start(&twist::locked_estate(&sim, &twist), &journal).await;
        run.finished().await.unwrap();

        let taken = twist.taken.lock().unwrap().clone().unwrap();
        let arrivals = sim.world(|w| w.arrivals(&"t-1".into()).to_vec());
        let history = sim.history("t-1").unwrap();
        if !loses {
            assert!(matches!(taken, Taken::HeldBy(_)), "{taken:?}");
            assert_eq!(history.times_installed("nginx", "1.1-1"), 1);
            assert!(arrivals.iter().all(|a| a.admitted), "{arrivals:?}");
            continue;
        }
        let Taken::TakenOver { fence, from } = taken else {
            panic!("the lease was over: {taken:?}");
        };
        assert_eq!(from.claim.journal, journal.uid());
        assert!(from.silent_for() >= Claim::LEASE);
        let refused = twist.begun.lock().unwrap()[0].clone();
        let Begun::Refused(failure) = refused else {
            panic!("it was begun: {refused:?}");
        };
        assert_eq!(failure.kind, ErrorKind::Fenced);
        assert!(failure.message.contains("process 7 on ops-2"), "{failure}");
        assert_eq!(history.times_installed("nginx", "1.1-1"), 0);
        // The target's own notes: nothing of the loser came in after the takeover.
        let ours = arrivals
            .iter()
            .filter(|a| a.fence < fence && a.at >= from.at);
        assert!(ours.clone().count() > 0);
        assert!(ours.clone().all(|a| !a.admitted), "{arrivals:?}");
    }
}

/// Asks for the lock of a target whenever somebody prepares to patch it.
#[derive(Debug, Default)]
struct Covets {
    locks: Mutex<Option<Arc<dyn TargetLock>>>,
    /// When, and whether it got it.
    asked: Mutex<Vec<(jiff::Timestamp, bool)>>,
}

#[async_trait]
impl Twist for Covets {
    async fn prepare(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        request: &DeployRequest,
    ) -> Result<Prepared> {
        let subject = "t-1".into();
        if request.subjects().contains(&subject) {
            let rival = Claim::new("rival", "o1", 1, "process 7 on ops-2");
            let locks = self.locks.lock().unwrap().clone().unwrap();
            let taken = locks.take(ctx, &subject, &rival).await?;
            let got = !matches!(taken, Taken::HeldBy(_));
            self.asked.lock().unwrap().push((ctx.now(), got));
        }
        sim.prepare(ctx, request).await
    }
}

#[tokio::test]
async fn whoever_waits_for_another_patcher_keeps_its_lock_beyond_the_lease() {
    let until = estate::start() + Duration::from_secs(28 * 60);
    let sim =
        sim().script(Script::lock_held("unattended-upgrades", estate::start(), until).on("t-1"));
    let journal = Journal::in_memory().unwrap();
    let twist = Arc::new(Covets::default());
    *twist.locks.lock().unwrap() = Some(locks(&sim));
    let run = start(&twist::locked_estate(&sim, &twist), &journal).await;
    run.finished().await.unwrap();
    let asked = twist.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(_, got)| !got), "it lapsed: {asked:?}");
    let waited = asked.iter().filter(|(at, _)| *at < until).count();
    let first = asked.first().unwrap().0;
    assert!(
        waited > 20 && until.duration_since(first).unsigned_abs() > Claim::LEASE,
        "nobody waited: {asked:?}"
    );
    each_is_patched_once(&sim);
}

#[tokio::test]
async fn a_lock_that_a_crash_left_is_taken_over_at_once_and_its_holder_named() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    // The opening before took it, and was killed before it could write that down.
    let before = Claim::new(journal.uid(), "before", 0, "process 7 on ops-2");
    let locks = locks(&sim);
    let taken = locks.take(&reading(&sim), &"t-1".into(), &before).await;
    assert_eq!(taken.unwrap(), Taken::Ours { fence: 1 });
    sim.clock()
        .advance_to(sim.clock().now() + Duration::from_secs(90));

    let begun = sim.clock().now();
    let run = start(&locked_estate(&sim), &journal).await;
    run.finished().await.unwrap();
    let events = of(&run, "t-1").await;
    assert_eq!(
        taken_over(&events)[0],
        format!(
            "process 7 on ops-2 (journal {}), held for 1 min 30 s, last sign of life 1 min 30 s ago",
            journal.uid()
        )
    );
    let first = sim.world(|w| w.arrivals(&"t-1".into())[0].clone());
    assert!(first.at.duration_since(begun).as_secs() < 60, "{first:?}");
    assert_eq!(first.fence, 2);
    each_is_patched_once(&sim);
}

#[tokio::test]
async fn a_dead_holders_lock_is_taken_over_after_its_lease_and_its_age_named() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let dead = Claim::new("dead", "o1", 9, "process 7 on ops-2");
    locks(&sim)
        .take(&reading(&sim), &"t-1".into(), &dead)
        .await
        .unwrap();
    let begun = sim.clock().now();
    let run = start(&locked_estate(&sim), &journal).await;
    run.finished().await.unwrap();
    let events = of(&run, "t-1").await;
    let from = taken_over(&events).remove(0);
    assert!(
        from.starts_with("process 7 on ops-2 (journal dead), held for 15 min"),
        "{from}"
    );
    let first = sim.world(|w| w.arrivals(&"t-1".into())[0].clone());
    assert!(first.at.duration_since(begun).unsigned_abs() >= Claim::LEASE);
    each_is_patched_once(&sim);
}

#[tokio::test]
async fn one_that_is_held_for_too_long_fails_its_component_by_the_holders_name() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let lives = Claim::new("lives", "o1", 9, "process 7 on ops-2")
        .with_lease(Duration::from_secs(30 * 24 * 3600));
    locks(&sim)
        .take(&reading(&sim), &"t-1".into(), &lives)
        .await
        .unwrap();
    let run = start(&locked_estate(&sim), &journal).await;
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    let state = &story.components[&ComponentId::from("t-1")];
    assert_eq!(state.failures[0].kind, ErrorKind::Busy);
    assert!(
        state.failures[0].message.contains("process 7 on ops-2"),
        "{}",
        state.failures[0]
    );
    let arrivals = sim.world(|w| w.arrivals(&"t-1".into()).len());
    assert_eq!(arrivals, 0);
}

/// Looks at the ledger whenever something begins.
#[derive(Debug, Default)]
struct Reads(Mutex<BTreeMap<ComponentId, u64>>);

#[async_trait]
impl Twist for Reads {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        for subject in patchcore::provider::PortRequest::subjects(&op.request) {
            self.0.lock().unwrap().insert(subject, ctx.fence());
        }
        sim.begin(ctx, op).await
    }
}

#[tokio::test]
async fn the_ledger_says_what_is_locked_and_every_call_comes_with_its_fence() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    // Somebody was there before, so that the fence is not the journal's epoch by chance.
    let locks = locks(&sim);
    for nth in 1..=4 {
        let claim = Claim::new("earlier", format!("o{nth}"), 1, "process 7 on ops-2");
        let (ctx, name) = (reading(&sim), "t-1".into());
        assert_eq!(
            locks.take(&ctx, &name, &claim).await.unwrap(),
            Taken::Ours { fence: nth }
        );
        locks.give_back(&ctx, &name, nth).await.unwrap();
    }
    let reads = Arc::new(Reads::default());
    let run = start(&twist::locked_estate(&sim, &reads), &journal).await;
    // It stands still in the middle of its work, so that whoever looks sees it locked.
    run.pause_before(Step::Apply, None, "jon", "to look at the ledger")
        .await
        .unwrap();
    run.finished().await.unwrap();
    let ledger = run.ledger().await.unwrap();
    assert!(
        ledger
            .iter()
            .any(|l| l.starts_with("t-1 is locked by us (fence 5) since ")),
        "{ledger:#?}"
    );
    run.unpause_before(Step::Apply, None, "jon", "it is seen")
        .await
        .unwrap();
    run.finished().await.unwrap();
    assert_eq!(run.ledger().await.unwrap(), Vec::<String>::new());
    // It was given back for the soak, and taken again to give back what was kept.
    let fence = reads.0.lock().unwrap()[&ComponentId::from("t-1")];
    assert_eq!(fence, 6);
}

#[test]
fn killed_after_any_event_every_lock_is_given_back() {
    let mut nth = 1;
    while killed_after(nth, &sim(), locked_estate, |sim, story, _, told| {
        each_is_patched_once(sim);
        for (name, state) in &story.components {
            assert_eq!(state.lock, None, "{nth}: {name}\n{}", told.join("\n"));
        }
        let held = sim.world(|w| {
            let held = |name: &&str| w.locked(&(*name).into()).is_some();
            ALL.into_iter().filter(held).collect::<Vec<_>>()
        });
        assert_eq!(held, Vec::<&str>::new(), "{nth}\n{}", told.join("\n"));
    }) {
        nth += 1;
    }
    assert!(nth > 60, "{nth}");
}

#[tokio::test]
async fn of_one_journal_the_second_is_told_who_has_it() {
    let folder = Folder::new();
    let path: &Path = &folder.journal();
    let first = Journal::open(path).unwrap();
    let error = Journal::open(path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalInUse);
    let holder = first.holder().to_string();
    assert!(format!("{error:?}").contains(&holder), "{error:?}");
    // Each opening is told from every other.
    let opening = first.opening().to_owned();
    drop(first);
    assert_ne!(open_when_free(path).await.opening(), opening);
}

/// Whoever was killed may wake up: it must not be let in under the same fence, however young its lock is.
#[test]
fn what_the_life_before_locked_a_moment_ago_is_taken_anew() {
    let (sim, folder) = (sim(), Folder::new());
    let path: &Path = &folder.journal();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let first = runtime();
    first.block_on(async {
        let journal = Journal::open(path).unwrap();
        let run = start(&locked_estate(&sim), &journal).await;
        run.pause_before(Step::Apply, None, "jon", "to be killed here")
            .await
            .unwrap();
        run.finished().await.unwrap();
    });
    first.shutdown_background();
    let held = sim.world(|w| w.locked(&"t-1".into()).is_some());
    assert!(held, "t-1 was not locked when its holder was killed");
    sim.clock()
        .advance_to(sim.clock().now() + Duration::from_secs(60));
    runtime().block_on(async {
        let journal = open_when_free(path).await;
        let run = locked_estate(&sim).reopen(&journal).await.unwrap().unwrap();
        run.unpause_before(Step::Apply, None, "jon", "it goes on")
            .await
            .unwrap();
        run.finished().await.unwrap();
    });
    let fences = |step: &str| -> Vec<u64> {
        sim.world(|w| {
            let all = w.arrivals(&"t-1".into()).iter();
            let of_step = all.filter(|a| a.key.as_str().contains(step));
            of_step.map(|a| a.fence).collect()
        })
    };
    assert_eq!((fences("/stage/"), fences("/apply/")), (vec![1], vec![2]));
    each_is_patched_once(&sim);
}
