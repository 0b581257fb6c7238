//! What the engine makes of a tool that panics, refuses, answers half-way, takes too long, or does not get on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Journal, Result, SystemClock, Timestamp,
    clock::{AtWork, Clock, SharedClock},
    execute::{
        Story,
        kernel::{End, Phase, Resolution, Wait},
    },
    provider::{
        Begun, DeployRequest, Deployer, Evidence, Guarantee, Handle, Located, Observed, Op,
        OpContext, Prepared, Progress, Readiness, Settled,
    },
    sim::{Script, Sim},
};

use super::{
    estate::{policy, sim, told},
    twist::{self, Twist},
    watch::{OFTEN, Watch},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn applies(op: &Op<DeployRequest>, on: &str) -> bool {
    matches!(&op.request, DeployRequest::Apply { changes, .. } if changes[0].component == on)
}

/// At one of its looks, counted from 0, the tool looks as if it were done although it is not.
#[derive(Debug)]
struct LooksDone {
    at: u32,
    looks: AtomicU32,
}

impl LooksDone {
    fn at(at: u32) -> Arc<Self> {
        let looks = AtomicU32::new(0);
        Arc::new(Self { at, looks })
    }
}

#[async_trait]
impl Twist for LooksDone {
    async fn locate(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Located> {
        if applies(op, "t-1") && self.looks.fetch_add(1, Ordering::SeqCst) == self.at {
            let evidence = Evidence::observed(ctx.now(), "everything is there, half-way");
            return Ok(Located::Settled(Settled::done("t-1".into(), evidence)));
        }
        sim.locate(ctx, op).await
    }
}

/// A run over a tool that shows only its state, and looks done too early at one look.
async fn looking_done(at: u32, sim: Sim) {
    let quiet = 30 * MINUTE;
    let sim = sim.with_guarantee_for("apply", Guarantee::StateOnly { quiet_after: quiet });
    let looks = LooksDone::at(at);
    let journal = Journal::in_memory().unwrap();
    let run = twist::started(&sim, &looks, &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let lines = told(&run).await;
    let state = &run.story().await.unwrap().components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Done), "{lines:#?}");
    assert!(
        looks.looks.load(Ordering::SeqCst) >= at + 2,
        "it was asked again when it was quiet"
    );
    let times = sim.history("t-1").unwrap();
    assert_eq!(times.times_installed("nginx", "1.1-1"), 1, "{lines:#?}");
}

#[tokio::test]
async fn what_only_looks_done_is_not_believed_before_the_tool_is_quiet() {
    // The first look is before the first begin.
    looking_done(1, sim().script(Script::loses_request("apply", 1).on("t-1"))).await;
}

#[tokio::test]
async fn what_looks_done_before_it_was_begun_is_not_believed_either() {
    looking_done(0, sim()).await;
}

/// The target refuses, before anything happens.
#[derive(Debug)]
struct Refuses;

#[async_trait]
impl Twist for Refuses {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        if applies(op, "t-1") {
            let error = Error::new(ErrorKind::Unsupported, "this tool takes no such package");
            return Ok(Begun::Refused(Failure::from(&error)));
        }
        sim.begin(ctx, op).await
    }
}

#[tokio::test]
async fn what_was_refused_is_neither_rolled_back_nor_denied() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = twist::started(&sim, &Arc::new(Refuses), &policy(&[]), &journal).await;
    assert!(run.finished().await.unwrap().is_halted());
    let story = run.story().await.unwrap();
    let lines = told(&run).await;
    let state = &story.components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Untouched), "{lines:#?}");
    assert!(!state.changed, "{lines:#?}");
    assert!(story.state.denials.is_empty(), "{lines:#?}");
    assert!(story.ledger().is_empty(), "{lines:#?}");
    assert!(sim.world(|w| w.kept_for(&"t-1".into()).unwrap().is_empty()));
}

/// Beginning takes seven hours, in naps.
#[derive(Debug, Default)]
struct SlowToBegin {
    begun: AtomicU32,
    over: AtomicU32,
}

#[async_trait]
impl Twist for SlowToBegin {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        if !applies(op, "t-1") {
            return sim.begin(ctx, op).await;
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        for _ in 0..70 {
            ctx.sleep(6 * MINUTE).await;
            // Virtual time would be over before anybody had looked at it.
            SystemClock
                .sleep_until(SystemClock.now() + Duration::from_millis(2))
                .await;
        }
        // The simulation itself keeps deadlines; this tool does not.
        let late = ctx.clone().with_deadline(Timestamp::MAX);
        let begun = sim.begin(&late, op).await;
        self.over.fetch_add(1, Ordering::SeqCst);
        begun
    }
}

#[tokio::test]
async fn a_begin_is_never_dropped_half_way() {
    let sim = sim();
    let slow = Arc::new(SlowToBegin::default());
    let journal = Journal::in_memory().unwrap();
    let run = twist::started(&sim, &slow, &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let state = run.story().await.unwrap().components["t-1"].clone();
    let lines = told(&run).await;
    assert_eq!(state.phase, Phase::Quarantined, "{lines:#?}");
    let why = state.quarantine.unwrap();
    assert!(why.contains("did not answer begin of t-1"), "{why}");
    for _ in 0..1000 {
        if slow.over.load(Ordering::SeqCst) == 1 {
            break;
        }
        sim.clock().advance_to(sim.clock().now() + 6 * MINUTE);
        SystemClock
            .sleep_until(SystemClock.now() + Duration::from_millis(2))
            .await;
    }
    assert_eq!(slow.over.load(Ordering::SeqCst), 1, "it was dropped");
    assert_eq!(slow.begun.load(Ordering::SeqCst), 1, "it was begun again");
}

/// The tool runs and says the same for some time.
#[derive(Debug)]
struct Stands {
    until: Duration,
    began: std::sync::Mutex<Option<Timestamp>>,
}

impl Stands {
    fn for_(until: Duration) -> Arc<Self> {
        Arc::new(Self {
            until,
            began: std::sync::Mutex::default(),
        })
    }
}

#[async_trait]
impl Twist for Stands {
    async fn observe(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let began = *self.began.lock().unwrap().get_or_insert(ctx.now());
        let stands = ctx.now() < began + self.until;
        if !applies(op, "t-1") || !stands {
            return sim.observe(ctx, op, handle).await;
        }
        let mut progress = Progress::message("unpacking nginx");
        progress.percent = Some(40);
        Ok(Observed::Running {
            progress,
            poll_after: MINUTE,
        })
    }
}

#[tokio::test]
async fn what_does_not_get_on_is_named_once_and_waited_for() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let watch = Watch::over(&sim);
    let run = twist::started(&sim, &Stands::for_(2 * HOUR), &policy(&[]), &journal).await;
    let is_stalled = |story: &Story| story.components["t-1"].stalled.is_some();
    let story = watch.until(&run, OFTEN, is_stalled).await;
    let now = sim.clock().now();
    drop(watch);
    let standing = story.standing(now).unwrap();
    let wait = standing
        .waits()
        .iter()
        .find(|w| matches!(w, Wait::Stalled { component, .. } if *component == "t-1"));
    assert!(wait.is_some(), "{standing:?}");
    let why = story.why(&"t-1".into(), &standing, now).unwrap();
    assert!(why.contains("stalled: its tool says nothing new"), "{why}");
    run.finished().await.unwrap();
    let lines = told(&run).await;
    let mut stalled = lines.iter().filter(|l| l.contains(": stalled"));
    assert!(
        stalled
            .next()
            .is_some_and(|l| l.starts_with("t-1") && l.contains("last: 40 %, unpacking nginx")),
        "{lines:#?}"
    );
    assert_eq!(stalled.next(), None, "{lines:#?}");
    let state = &run.story().await.unwrap().components["t-1"];
    assert_eq!(state.phase, Phase::Ended(End::Done));
    assert_eq!(state.stalled, None);
}

#[tokio::test]
async fn what_never_moves_is_given_to_a_person_with_its_cause() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = twist::started(&sim, &Stands::for_(1000 * HOUR), &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let state = run.story().await.unwrap().components["t-1"].clone();
    assert_eq!(state.phase, Phase::Quarantined, "{:#?}", told(&run).await);
    let why = state.quarantine.unwrap();
    assert!(why.contains("unpacking nginx"), "{why}");
}

#[tokio::test]
async fn a_stall_names_who_holds_the_lock() {
    let until = super::estate::start() + 25 * MINUTE;
    let sim = sim().script(
        Script::lock_held(
            "unattended-upgrade (pid 412)",
            super::estate::start(),
            until,
        )
        .on("t-1"),
    );
    let (_, _, run) = super::estate::carried_out(&sim, &policy(&[])).await;
    let lines = told(&run).await;
    let stalled = lines.iter().find(|l| l.contains("stalled: "));
    assert!(
        stalled.is_some_and(|l| l.contains("unattended-upgrade (pid 412)")),
        "{lines:#?}"
    );
}

/// Somebody installed the kept packages anew.
#[derive(Debug)]
struct ChangedMeanwhile;

#[async_trait]
impl Twist for ChangedMeanwhile {
    async fn prepare(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        request: &DeployRequest,
    ) -> Result<Prepared> {
        let mut prepared = sim.prepare(ctx, request).await?;
        if matches!(request, DeployRequest::Discard { .. }) {
            for (subject, answer) in &mut prepared.subjects {
                if *subject == "t-1" {
                    *answer = Readiness::ChangedMeanwhile {
                        expected: "2 kept packages".to_owned(),
                        found: "3, one of them of root".to_owned(),
                    };
                }
            }
        }
        Ok(prepared)
    }
}

#[tokio::test]
async fn what_somebody_else_changed_is_reported_and_never_overwritten() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let run = twist::started(&sim, &Arc::new(ChangedMeanwhile), &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    let lines = told(&run).await;
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Quarantined,
        "{lines:#?}"
    );
    let ledger = story.ledger().join("\n");
    let fought =
        "somebody else changed it: expected 2 kept packages but found 3, one of them of root";
    assert!(ledger.contains(fought), "{ledger}");
    let discards = |sim: &Sim| {
        let all = sim.history("t-1").unwrap().transactions;
        all.iter().filter(|t| t.verb == "discard").count()
    };
    assert_eq!(discards(&sim), 0, "it was overwritten");
    // Nobody asked its tool to take it away, so it is still there when it is waived.
    run.resolve("t-1", Resolution::Abandon, "maria", "root keeps them now")
        .await
        .unwrap();
    run.finished().await.unwrap();
    let story = run.story().await.unwrap();
    // It is patched, healthy and soaked, whatever became of the loan.
    assert_eq!(story.components["t-1"].phase, Phase::Ended(End::Done));
    assert!(story.components["t-1"].owed.is_empty());
    assert!(!sim.world(|w| w.kept_for(&"t-1".into()).unwrap().is_empty()));
    let waived = story.waived().join("\n");
    for part in ["t-1 keeps", "waived by maria", "root keeps them now"] {
        assert!(waived.contains(part), "{part}: {waived}");
    }
    let report = run.report().await.unwrap();
    assert_eq!(report.waived, story.waived());
    assert!(report.to_string().contains("waived by maria"), "{report}");
}

#[tokio::test]
async fn a_failed_way_back_is_tried_again_and_not_the_patch() {
    let sim = sim()
        .script(Script::postinst_fails("nginx", "1.1-1").on("t-1"))
        .script(Script::roll_back_fails().on("t-1"));
    let journal = Journal::in_memory().unwrap();
    let run = super::estate::started(&sim, &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    let state = run.story().await.unwrap().components["t-1"].clone();
    assert_eq!(state.phase, Phase::Quarantined);
    assert!(state.quarantine.is_some(), "a person is told why");
    run.resolve(
        "t-1",
        Resolution::Retry,
        "maria",
        "its packages are there again",
    )
    .await
    .unwrap();
    run.finished().await.unwrap();
    let lines = told(&run).await;
    let count = |what: &str| lines.iter().filter(|l| l.starts_with(what)).count();
    assert_eq!(
        count("t-1: applying"),
        2,
        "one began, one failed: {lines:#?}"
    );
    assert!(count("t-1: rolling back") >= 3, "{lines:#?}");
}

/// A second fetch after a first one that nobody could judge.
#[tokio::test]
async fn every_loan_is_given_back_by_itself() {
    let sim = sim()
        .with_guarantee_for("stage", Guarantee::Blind)
        .script(Script::loses_reply("stage", 1).on("t-1"));
    let journal = Journal::in_memory().unwrap();
    let run = super::estate::started(&sim, &policy(&[]), &journal).await;
    run.finished().await.unwrap();
    assert_eq!(
        run.story().await.unwrap().components["t-1"].phase,
        Phase::Quarantined
    );
    sim.clock().advance_to(sim.clock().now() + HOUR);
    let watch = Watch::over(&sim);
    run.resolve("t-1", Resolution::Retry, "maria", "fetch it once more")
        .await
        .unwrap();
    let owes_both = |story: &Story| story.components["t-1"].owed.len() == 2;
    watch.until(&run, OFTEN, owes_both).await;
    drop(watch);
    run.finished().await.unwrap();
    let lines = told(&run).await;
    let story = run.story().await.unwrap();
    assert_eq!(
        story.components["t-1"].phase,
        Phase::Ended(End::Done),
        "{lines:#?}"
    );
    assert!(story.ledger().is_empty(), "{:?}", story.ledger());
    let given = lines.iter().filter(|l| l.starts_with("t-1: gave back"));
    assert_eq!(given.count(), 2, "{lines:#?}");
    assert!(
        sim.world(|w| w.kept_for(&"t-1".into()).unwrap().is_empty()),
        "what the first fetch kept is still there: {lines:#?}"
    );
}

#[tokio::test]
async fn what_is_owed_says_by_when_and_is_overdue_after_that() {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let own = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let watch = Watch::over(&sim);
    let run = super::estate::started(&sim, &own, &journal).await;
    let owes = |story: &Story| !story.components["t-1"].owed.is_empty();
    let story = watch.until(&run, OFTEN, owes).await;
    drop(watch);
    run.finished().await.unwrap();
    let owed = &story.components["t-1"].owed[0];
    let by = owed.give_back_by.unwrap();
    assert!(by > owed.since + 24 * HOUR, "the soak is not over by {by}");
    let at = |now| story.ledger_at(now).join("\n");
    assert!(at(by).contains(", by Tue"), "{}", at(by));
    let late = by + HOUR;
    assert!(at(late).contains("overdue since Tue"), "{}", at(late));
    let waits = story.standing(late).unwrap();
    assert!(
        waits
            .waits()
            .iter()
            .any(|w| matches!(w, Wait::Overdue { .. })),
        "{waits:?}"
    );
}

/// The simulation's time, which somebody sets ahead.
#[derive(Debug)]
struct SetAhead(SharedClock, AtomicU32);

impl SetAhead {
    fn ahead(&self) -> Duration {
        Duration::from_secs(self.1.load(Ordering::SeqCst).into())
    }
}

#[async_trait]
impl Clock for SetAhead {
    fn now(&self) -> Timestamp {
        self.0.now() + self.ahead()
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.0.sleep_until(until - self.ahead()).await;
    }

    async fn pause(&self, duration: Duration) {
        self.0.pause(duration).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.0.reached(time - self.ahead()).await;
    }

    fn at_work(&self) -> AtWork {
        self.0.at_work()
    }
}

/// Sets the clock an hour ahead as soon as the first begin was lost, and notes when it is begun again.
#[derive(Debug)]
struct Ahead {
    clock: Arc<SetAhead>,
    begins: std::sync::Mutex<Vec<Timestamp>>,
}

#[async_trait]
impl Twist for Ahead {
    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        // The simulation keeps its own time.
        let ctx = ctx.clone().with_deadline(Timestamp::MAX);
        if applies(op, "t-1") {
            self.begins.lock().unwrap().push(self.clock.0.now());
        }
        sim.begin(&ctx, op).await
    }

    async fn locate(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Located> {
        let found = sim.locate(ctx, op).await;
        if applies(op, "t-1") && self.begins.lock().unwrap().len() == 1 {
            self.clock.1.store(3600, Ordering::SeqCst);
        }
        found
    }
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_does_not_shorten_the_quiet_time() {
    let quiet = 30 * MINUTE;
    let sim = sim()
        .with_guarantee_for("apply", Guarantee::StateOnly { quiet_after: quiet })
        .script(Script::loses_request("apply", 1).on("t-1"));
    let clock = Arc::new(SetAhead(sim.shared_clock(), AtomicU32::new(0)));
    let ahead = Arc::new(Ahead {
        clock: Arc::clone(&clock),
        begins: std::sync::Mutex::default(),
    });
    let estate = twist::estate(&sim, &ahead).with_clock(clock);
    let journal = Journal::in_memory().unwrap();
    let plan = super::estate::plan(&estate, &policy(&[]), &journal).await;
    let approved = super::estate::approved(&estate, plan);
    let run = estate.run(approved, &journal).await.unwrap();
    run.finished().await.unwrap();
    let begins = ahead.begins.lock().unwrap().clone();
    assert_eq!(begins.len(), 2, "{:#?}", told(&run).await);
    assert!(
        begins[1] >= begins[0] + quiet,
        "begun again after {begins:?}"
    );
}
