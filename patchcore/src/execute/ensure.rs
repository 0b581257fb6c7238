//! The one place where effects happen.
//!
//! prepare → durable intent → locate → begin → durable handle → observe → result. Resuming uses the journaled
//! request and baseline and never retakes them. What cannot be settled goes to a person, never to a second try.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    bracket::Around,
    kernel::{ComponentEvent, OpResult, OpState, Step},
    patience::Patience,
    port::Port,
    stall::{GIVEN_UP, Watch},
    supervise::Caller,
};
use crate::{
    error::{Error, ErrorKind, Failure, Result, Retry},
    id::{ComponentId, OpKey},
    mutant::{self, Mutant},
    provider::{
        Baseline, Begun, Blocker, BracketKind, DeployRequest, DrainRequest, Evidence, Guarantee,
        Handle, Located, Observed, Op, OpContext, Operations, PortCall, PortRequest, Prepared,
        Progress, Readiness, Settled, SubjectResult, Undo,
    },
};

/// One reading call may take this long: a scan of a slow guest takes seconds, so ten minutes means that nobody
/// will answer.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// Beginning may take this long: where a tool works inside the call, flashing an array's controller takes hours.
const BEGIN_DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// What passes by itself is waited for this long: another patcher's run takes minutes, and after half an hour a
/// person should know.
pub(super) const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A running operation is asked again for this long after it last answered: a restart with a long self-test
/// takes half an hour.
const SILENCE: Duration = Duration::from_secs(2 * 3600);

/// The clock may be set back by so much while nobody is there, and then an operation is older than it looks: the memory of a
/// target counts as shorter by this, or by half where it is short.
const ASTRAY: Duration = Duration::from_secs(3600);

/// How often one operation is begun when its target surely has not got it.
const BEGINS: u32 = 3;

/// What is to be made sure.
#[derive(Debug)]
pub(super) struct Ask<R> {
    pub(super) step: Step,
    pub(super) key: OpKey,
    pub(super) subject: ComponentId,
    pub(super) request: R,
    pub(super) journaled: Option<Box<OpState>>,
    /// When what it borrows should be given back.
    pub(super) give_back_by: Option<Timestamp>,
    /// What must be held when it begins.
    pub(super) around: Vec<Around>,
}

/// Where decisions are made durable.
pub(super) trait Record: Send + Sync {
    /// Returns when the event is on the disk.
    fn record(&self, event: ComponentEvent) -> impl Future<Output = Result<()>> + Send;
    /// Tells how far it is; may be lost.
    fn progress(&self, progress: Progress);
    /// Returns when it is sure that the run is still ours: asked before every begin, so that nobody who was replaced
    /// begins anything.
    fn may_begin(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Makes sure that an operation happened exactly once, and says how it came out.
///
/// # Errors
/// The journal's only: then nothing more may happen.
pub(super) async fn ensure<R: PortRequest>(
    port: &Port<R>,
    caller: &Caller,
    ctx: &OpContext,
    ask: Ask<R>,
    to: &impl Record,
) -> Result<OpResult> {
    let stalled = ask.journaled.as_ref().is_some_and(|op| op.stalled);
    let watch = Watch::new(ctx.now(), stalled);
    let (heard, clock, outer) = (watch.clone(), Arc::clone(ctx.clock()), ctx.clone());
    let ctx = ctx
        .clone()
        .for_operation(ask.key.clone(), ctx.fence())
        .with_progress(Arc::new(move |progress| {
            heard.heard(&progress, clock.now());
            outer.progress(progress);
        }));
    let call = Call {
        port,
        caller,
        ctx: &ctx,
        subject: &ask.subject,
        around: &ask.around,
        to,
        watch,
    };
    if let Some(journaled) = ask.journaled {
        let baseline = if mutant::is(Mutant::NoBaseline) {
            Baseline::empty()
        } else if mutant::is(Mutant::RetakenBaseline)
            && let Ok(Ok(prepared)) = call.prepare(&ask.request).await
        {
            prepared.baseline
        } else {
            journaled.baseline
        };
        let op = Op::new(journaled.key, ask.request, baseline);
        return match journaled.handle {
            Some(handle) => call.follow(&op, handle).await,
            None => {
                call.find_again(&op, journaled.guarantee, journaled.since, 0)
                    .await
            }
        };
    }
    let prepared = match call.prepare(&ask.request).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(result)) => return Ok(result),
        Err(error) => return Ok(OpResult::Failed(vec![Failure::from(&error)])),
    };
    let op = Op::new(ask.key, ask.request, prepared.baseline);
    let guarantee = port.calls.guarantee(&op);
    let undo = port.calls.undo(&op).map(|undo| port.call(undo));
    let since = ctx.now();
    let request = port.call(op.request.clone());
    let owes = owes(ask.step, &request, &undo);
    let intended = ComponentEvent::Intended {
        step: ask.step,
        key: op.key.clone(),
        request,
        baseline: op.baseline.clone(),
        guarantee,
        give_back_by: owes.as_ref().and(ask.give_back_by),
        owes,
        undo,
    };
    if !mutant::is(Mutant::NoIntent) {
        to.record(intended).await?;
    }
    call.first(&op, guarantee, since).await
}

/// What is owed from the moment an operation is intended.
fn owes(step: Step, request: &PortCall, undo: &Undo<PortCall>) -> Option<String> {
    let changes = match (step, request, undo) {
        (Step::Stage, PortCall::Deploy(DeployRequest::Stage { changes }), Undo::By(_)) => changes,
        (Step::Take, PortCall::Bracket { by, request }, Undo::By(_)) => {
            return Some(match request.kind() {
                BracketKind::Silence => format!("has its alerts silenced in {by}"),
                BracketKind::Pause => format!("has {by} paused"),
            });
        }
        (_, PortCall::Drain { request, .. }, Undo::By(_)) => return drain_owes(request),
        _ => return None,
    };
    let kept = changes
        .iter()
        .flat_map(|c| &c.patches)
        .filter(|p| p.from.is_some())
        .count();
    Some(format!(
        "keeps {kept} old package{} for the way back",
        if kept == 1 { "" } else { "s" }
    ))
}

/// What a cluster is owed from the moment it is intended.
fn drain_owes(request: &DrainRequest) -> Option<String> {
    Some(match request {
        DrainRequest::HoldSetting {
            cluster, setting, ..
        } => {
            format!("{cluster} has its {} held", setting.slug())
        }
        DrainRequest::EnterMaintenance { host } => format!("{host} is in maintenance mode"),
        DrainRequest::ShutDown { vm, suspend, .. } => {
            let how = if *suspend { "suspended" } else { "shut down" };
            format!("{vm} is {how}")
        }
        _ => return None,
    })
}

struct Call<'a, R: PortRequest, T> {
    port: &'a Port<R>,
    caller: &'a Caller,
    ctx: &'a OpContext,
    subject: &'a ComponentId,
    around: &'a [Around],
    to: &'a T,
    watch: Watch,
}

impl<R: PortRequest, T: Record> Call<'_, R, T> {
    /// Ready with a baseline, or a result that needs no operation.
    async fn prepare(&self, request: &R) -> Result<Result<Prepared, OpResult>> {
        let mut patience = Patience::of(self.ctx, PATIENCE);
        let mut pause = Pause::new();
        loop {
            let answer = self
                .reads("prepare", |port, ctx| {
                    let request = request.clone();
                    async move { port.prepare(&ctx, &request).await }
                })
                .await;
            let mut prepared = match answer {
                Ok(prepared) => prepared,
                Err(error) if error.is_retryable() && !patience.is_over() => {
                    self.watch.failed(&error);
                    self.to.progress(Progress::message(error.to_string()));
                    self.ctx.sleep(pause.next(error.retry())).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match prepared.subjects.remove(self.subject) {
                Some(Readiness::Ready) => return Ok(Ok(prepared)),
                Some(Readiness::ChangedMeanwhile { .. }) if mutant::is(Mutant::FightIgnored) => {
                    return Ok(Ok(prepared));
                }
                Some(Readiness::AlreadyHolds(evidence)) => {
                    return Ok(Err(OpResult::HeldAlready(evidence)));
                }
                Some(Readiness::Blocked(blockers)) if blockers.is_empty() => {
                    return Ok(Err(fault(
                        "prepare says that it is blocked, and not by what",
                    )));
                }
                Some(Readiness::Blocked(blockers)) => {
                    if blockers.iter().all(|b| b.passes) && !patience.is_over() {
                        let holder = blockers.iter().find_map(|b| b.holder.clone());
                        self.watch.waits(said(&blockers), holder);
                        let waits = format!("waits: {}", said(&blockers));
                        self.to.progress(Progress::message(waits));
                        self.ctx.sleep(pause.next(Retry::After(None))).await;
                        continue;
                    }
                    let waited = PATIENCE.as_secs() / 60;
                    let failed = blockers.into_iter().map(|mut blocker| {
                        if blocker.passes && patience.is_over() {
                            let said = &mut blocker.failure.message;
                            said.push_str(&format!(", also after {waited} min"));
                        }
                        blocker.failure
                    });
                    return Ok(Err(OpResult::Failed(failed.collect())));
                }
                Some(Readiness::ChangedMeanwhile { expected, found }) => {
                    return Ok(Err(OpResult::Fought { expected, found }));
                }
                None => {
                    return Ok(Err(fault("prepare left the component out of its answer")));
                }
            }
        }
    }

    /// The first begin of a fresh intent. Somebody may have begun it all the same: a copied journal has.
    async fn first(&self, op: &Op<R>, guarantee: Guarantee, since: Timestamp) -> Result<OpResult> {
        match guarantee {
            // A blind tool cannot say anything about an operation, and this one was never sent. A keyed one says it when
            // it is asked to begin: that which it knows runs or has settled, and it begins none twice.
            Guarantee::Blind | Guarantee::Keyed { .. } => {
                return self.begin(op, guarantee, since, 1).await;
            }
            Guarantee::Locatable { .. } | Guarantee::StateOnly { .. } => {}
        }
        match self.locate(op).await {
            Ok(Located::NotFound) => self.begin(op, guarantee, since, 1).await,
            // Somebody else's tool may be at work, and the state look like any end meanwhile.
            Ok(Located::Settled(_)) if matches!(guarantee, Guarantee::StateOnly { .. }) => {
                self.find_again(op, guarantee, since, 0).await
            }
            Ok(Located::Settled(settled)) => Ok(self.result(settled)),
            Ok(Located::Running(handle)) => self.begun(op, handle).await,
            Ok(Located::Unknown { why }) => Ok(OpResult::Unknown { why }),
            // Nothing was sent yet.
            Err(error) => Ok(OpResult::NotStarted(vec![Failure::from(&error)])),
        }
    }

    async fn begin(
        &self,
        op: &Op<R>,
        guarantee: Guarantee,
        since: Timestamp,
        nth: u32,
    ) -> Result<OpResult> {
        for around in self.around {
            if let Err(error) = around.is_held(self.ctx).await {
                return Ok(OpResult::NotStarted(vec![Failure::from(&error)]));
            }
        }
        if !mutant::is(Mutant::FenceIgnored) {
            self.to.may_begin().await?;
        }
        self.watch.calls("begin");
        let (op_of_it, port) = (op.clone(), Arc::clone(&self.port.calls));
        let what = format!("begin of {}", self.subject);
        let beginning = self
            .caller
            .effect(&what, self.ctx, BEGIN_DEADLINE, |ctx| async move {
                port.begin(&ctx, &op_of_it).await
            });
        let begun = self.watched(pin!(beginning)).await;
        match begun {
            Ok(Begun::Started(handle)) => self.begun(op, handle).await,
            Ok(Begun::Settled(settled)) => Ok(self.result(settled)),
            Ok(Begun::Refused(failure)) => Ok(OpResult::NotStarted(vec![failure])),
            // It goes on, and may be sent at any time from now on.
            Err(error) if error.kind() == ErrorKind::Timeout && !error.is_retryable() => {
                Ok(OpResult::Unknown { why: error.chain() })
            }
            Err(error) => {
                tracing::warn!(key = %op.key, error = %error.chain(), "begin may have been sent");
                self.watch.failed(&error);
                self.find_again(op, guarantee, since, nth).await
            }
        }
    }

    async fn begun(&self, op: &Op<R>, handle: Handle) -> Result<OpResult> {
        if mutant::is(Mutant::BegunNotJournaled) {
            return self.follow(op, handle).await;
        }
        self.to
            .record(ComponentEvent::Begun {
                handle: handle.clone(),
            })
            .await?;
        if mutant::is(Mutant::OutcomeBeforeAct) {
            let said = Evidence::observed(self.ctx.now(), "it was begun");
            return Ok(OpResult::Done(said));
        }
        self.watch.moves(self.ctx.now());
        self.follow(op, handle).await
    }

    /// Settles whether an operation that may have been sent was: by what is found, and by what the target promises.
    ///
    /// What is waited for counts from here and is slept through: whoever may have sent it had time until now, and a
    /// clock that is set meanwhile must not shorten it.
    async fn find_again(
        &self,
        op: &Op<R>,
        guarantee: Guarantee,
        since: Timestamp,
        begins: u32,
    ) -> Result<OpResult> {
        let (mut wait, memory) = match guarantee {
            Guarantee::Keyed { memory } => (Duration::ZERO, memory),
            Guarantee::Locatable {
                consistency_delay,
                memory,
            } => (consistency_delay, memory),
            Guarantee::StateOnly { quiet_after } => (quiet_after, Duration::MAX),
            Guarantee::Blind => (Duration::ZERO, Duration::ZERO),
        };
        if mutant::is(Mutant::QuietTimeIgnored) {
            wait = Duration::ZERO;
        }
        loop {
            let found = self.locate(op).await;
            // Where only the state can be seen, it may look like any end while the tool still works.
            let too_early = !wait.is_zero() && matches!(guarantee, Guarantee::StateOnly { .. });
            match found {
                Ok(Located::Running(handle)) => return self.begun(op, handle).await,
                _ if too_early => {}
                Ok(Located::Settled(settled)) => return Ok(self.result(settled)),
                Ok(Located::Unknown { why }) => return Ok(OpResult::Unknown { why }),
                Err(error) => return Ok(OpResult::Unknown { why: error.chain() }),
                Ok(Located::NotFound) => {}
            }
            if guarantee == Guarantee::Blind {
                let why =
                    "it was interrupted while it began, and its tool cannot tell whether it began";
                return Ok(OpResult::Unknown {
                    why: why.to_owned(),
                });
            }
            if !wait.is_zero() {
                let waits = "waits until an interrupted start would be visible";
                self.watch.waits(waits.to_owned(), None);
                self.to.progress(Progress::message(waits));
                self.ctx.sleep(std::mem::take(&mut wait)).await;
                continue;
            }
            let age = Duration::try_from(self.ctx.now().duration_since(since)).unwrap_or_default();
            let trusted = memory.saturating_sub(ASTRAY.min(memory / 2));
            if age >= trusted && !mutant::is(Mutant::MemoryIgnored) {
                let why = "it was interrupted, and its target forgets after so long: not found means nothing";
                return Ok(OpResult::Unknown {
                    why: why.to_owned(),
                });
            }
            if begins >= BEGINS {
                let error = Error::new(
                    ErrorKind::Unreachable,
                    format!("the target did not take it {BEGINS} times"),
                );
                return Ok(OpResult::NotStarted(vec![Failure::from(&error)]));
            }
            return Box::pin(self.begin(op, guarantee, since, begins + 1)).await;
        }
    }

    /// Follows a running operation to its result.
    async fn follow(&self, op: &Op<R>, handle: Handle) -> Result<OpResult> {
        let mut handle = handle;
        let mut pause = Pause::new();
        let mut silence = Patience::of(self.ctx, SILENCE);
        let mut located = false;
        loop {
            let seen = self
                .reads("observe", |port, ctx| {
                    let (op, handle) = (op.clone(), handle.clone());
                    async move { port.observe(&ctx, &op, &handle).await }
                })
                .await;
            match seen {
                Ok(Observed::Running {
                    progress,
                    poll_after,
                }) => {
                    self.watch.heard(&progress, self.ctx.now());
                    self.to.progress(progress);
                    if self.watch.still_for(self.ctx.now()) >= GIVEN_UP {
                        let why = self.watch.why(self.ctx.now());
                        return Ok(OpResult::Unknown { why });
                    }
                    pause = Pause::new();
                    silence = Patience::of(self.ctx, SILENCE);
                    self.ctx
                        .sleep(
                            poll_after.clamp(Duration::from_millis(50), Duration::from_secs(300)),
                        )
                        .await;
                }
                Ok(Observed::Settled(settled)) => return Ok(self.result(settled)),
                Ok(Observed::NeedsPerson(question)) => {
                    return Ok(OpResult::Unknown {
                        why: format!("the tool asks: {}", question.text),
                    });
                }
                Ok(Observed::Lost { why }) if located => return Ok(OpResult::Unknown { why }),
                Ok(Observed::Lost { why }) => {
                    located = true;
                    let mut found = self.locate(op).await;
                    // Where only the state can be seen, it may look like any end while the tool still works.
                    if let Guarantee::StateOnly { quiet_after } = self.port.calls.guarantee(op)
                        && !matches!(found, Ok(Located::Running(_)))
                    {
                        self.watch.waits(why.clone(), None);
                        self.ctx.sleep(quiet_after).await;
                        found = self.locate(op).await;
                    }
                    match found {
                        Ok(Located::Settled(settled)) => return Ok(self.result(settled)),
                        Ok(Located::Running(again)) => handle = again,
                        Ok(Located::NotFound | Located::Unknown { .. }) => {
                            return Ok(OpResult::Unknown { why });
                        }
                        Err(error) => {
                            return Ok(OpResult::Unknown {
                                why: format!("{why}; {}", error.chain()),
                            });
                        }
                    }
                }
                Err(error) if error.is_retryable() && !silence.is_over() => {
                    self.watch.failed(&error);
                    self.to.progress(Progress::message(error.to_string()));
                    self.ctx.sleep(pause.next(error.retry())).await;
                }
                Err(error) => return Ok(OpResult::Unknown { why: error.chain() }),
            }
        }
    }

    async fn locate(&self, op: &Op<R>) -> Result<Located> {
        if mutant::is(Mutant::NoLocate) {
            return Ok(Located::NotFound);
        }
        let mut silence = Patience::of(self.ctx, SILENCE);
        let mut pause = Pause::new();
        loop {
            match self
                .reads("locate", |port, ctx| {
                    let op = op.clone();
                    async move { port.locate(&ctx, &op).await }
                })
                .await
            {
                Err(error) if error.is_retryable() && !silence.is_over() => {
                    self.watch.failed(&error);
                    self.to.progress(Progress::message(error.to_string()));
                    self.ctx.sleep(pause.next(error.retry())).await;
                }
                other => return other,
            }
        }
    }

    fn result(&self, mut settled: Settled) -> OpResult {
        match settled.subjects.remove(self.subject) {
            Some(SubjectResult::Done(evidence)) => OpResult::Done(evidence),
            Some(SubjectResult::Failed(failure)) => OpResult::Failed(vec![failure]),
            None => OpResult::Unknown {
                why: "the tool's result leaves the component out".to_owned(),
            },
        }
    }

    /// A reading call with a deadline, watched.
    async fn reads<A: Send + 'static, F>(
        &self,
        verb: &'static str,
        call: impl FnOnce(Arc<dyn Operations<R>>, OpContext) -> F,
    ) -> Result<A>
    where
        F: Future<Output = Result<A>> + Send + 'static,
    {
        self.watch.calls(verb);
        let what = format!("{verb} of {}", self.subject);
        let port = Arc::clone(&self.port.calls);
        let reading = self
            .caller
            .call(&what, self.ctx, READ_DEADLINE, |ctx| call(port, ctx));
        self.watched(pin!(reading)).await
    }

    /// Waits for an answer, and tells once when nothing moves, and once when it does again.
    async fn watched<A>(&self, mut call: Pin<&mut impl Future<Output = Result<A>>>) -> Result<A> {
        loop {
            let look = self.watch.next_look();
            tokio::select! {
                biased;
                answer = call.as_mut() => {
                    self.tell().await;
                    return answer;
                }
                () = self.ctx.clock().reached(look) => self.tell().await,
            }
        }
    }

    async fn tell(&self) {
        if let Some(news) = self.watch.news(self.ctx.now()) {
            // A journal that cannot take it ends the run by itself, and then nothing here begins any more.
            let _ = self.to.record(news).await;
        }
    }
}

/// An answer that breaks the contract of the port. Without a reason a failure would count as none.
fn fault(what: &str) -> OpResult {
    let error = Error::new(ErrorKind::ProviderFault, what);
    OpResult::Failed(vec![Failure::from(&error)])
}

fn said(blockers: &[Blocker]) -> String {
    blockers
        .iter()
        .map(|b| b.failure.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Longer and longer pauses: 1 s to 60 s, so that a machine that restarts is seen soon and one that is gone
/// costs little.
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(Duration::from_secs(1))
    }

    pub(super) fn next(&mut self, retry: Retry) -> Duration {
        let pause = match retry {
            Retry::After(Some(after)) => after,
            _ => self.0,
        };
        self.0 = (self.0 * 2).min(Duration::from_secs(60));
        pause
    }
}
