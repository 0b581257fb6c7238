//! A pager of the house as a bracket: it is silent about a machine while that is patched, and not a minute longer.
//!
//! `cargo run --example own_bracket`: two simulated machines are patched in virtual time, and a pager that is played
//! in memory says at the end who silenced it about whom, and when. What each call promises:
//! `docs/guide/own-provider.md`.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Estate, Journal, Policy, Result, Timestamp,
    estate::{Impact, Patch, PatchClass},
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, Bracket, BracketCapabilities, BracketKind, BracketRequest, Evidence,
        Guarantee, Handle, Holding, Located, Observed, Op, OpContext, Operations, PerComponent,
        PortRequest, Ports, Prepared, Provider, ProviderInfo, Readiness, Settled, SubjectResult,
        Undo,
    },
    sim::Sim,
};

/// Whom this program ends silences as.
const US: &str = "patchcore";

/// A silence about one machine. Its comment is all that the pager lets others write.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) about: ComponentId,
    comment: String,
    from: Timestamp,
    until: Timestamp,
    ended: Option<(Timestamp, String)>,
}

/// The pager, with every silence that it ever had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pager(Arc<Mutex<Vec<Silence>>>);

impl Pager {
    pub(crate) fn silences(&self) -> MutexGuard<'_, Vec<Silence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The silence that an operation made.
    fn of(&self, taken: &OpKey) -> Option<Silence> {
        let silences = self.silences();
        silences
            .iter()
            .rfind(|s| s.comment == taken.token())
            .cloned()
    }

    /// Somebody ends silences, by what they are about or by their comment.
    pub(crate) fn end(&self, who: &str, now: Timestamp, which: impl Fn(&Silence) -> bool) {
        for silence in self
            .silences()
            .iter_mut()
            .filter(|s| s.holds(now) && which(s))
        {
            silence.ended = Some((now, who.to_owned()));
        }
    }
}

impl Silence {
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.until
    }
}

/// The provider.
#[derive(Debug)]
pub(crate) struct OnCall {
    info: ProviderInfo,
    port: Arc<Port>,
}

#[derive(Debug)]
struct Port(Pager);

impl OnCall {
    pub(crate) fn new(pager: Pager) -> Self {
        Self {
            info: ProviderInfo::new("pager", env!("CARGO_PKG_VERSION")),
            port: Arc::new(Port(pager)),
        }
    }
}

impl Provider for OnCall {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none().with_bracket(self.port.clone())
    }
}

#[async_trait]
impl Bracket for Port {
    fn capabilities(&self) -> BracketCapabilities {
        BracketCapabilities::of([BracketKind::Silence])
    }

    async fn held(
        &self,
        ctx: &OpContext,
        _: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        let holds = self.0.of(taken).is_some_and(|s| s.holds(ctx.now()));
        let answer = || match holds {
            true => Holding::Held(Evidence::observed(ctx.now(), "the pager is silent")),
            false => Holding::NotHeld {
                found: "no such silence".to_owned(),
            },
        };
        Ok(components
            .iter()
            .map(|c| (c.clone(), Ok(answer())))
            .collect())
    }
}

#[async_trait]
impl Operations<BracketRequest> for Port {
    fn guarantee(&self, _: &Op<BracketRequest>) -> Guarantee {
        // The comment can be searched for at once, and the pager keeps a silence for five days after its end.
        Guarantee::Locatable {
            consistency_delay: Duration::ZERO,
            memory: Duration::from_secs(5 * 24 * 3600),
        }
    }

    fn undo(&self, op: &Op<BracketRequest>) -> Undo<BracketRequest> {
        match &op.request {
            BracketRequest::Take {
                components, kind, ..
            } => Undo::By(BracketRequest::GiveBack {
                components: components.clone(),
                kind: *kind,
                taken: op.key.clone(),
            }),
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &BracketRequest) -> Result<Prepared> {
        let machine = one(request)?;
        let already = |saw: &str| Readiness::AlreadyHolds(Evidence::observed(ctx.now(), saw));
        let readiness = match request {
            BracketRequest::Take { .. } => Readiness::Ready,
            BracketRequest::GiveBack { taken, .. } => match self.0.of(taken) {
                Some(silence) if silence.holds(ctx.now()) => Readiness::Ready,
                Some(Silence {
                    ended: Some((_, who)),
                    ..
                }) if who != US => Readiness::ChangedMeanwhile {
                    expected: "our silence".to_owned(),
                    found: format!("{who} ended it"),
                },
                Some(_) => already("the silence is over"),
                None => already("the pager was never silent for this"),
            },
            _ => return Err(unsupported(request)),
        };
        let mut prepared = Prepared::ready(machine.clone(), Baseline::empty());
        prepared.subjects.insert(machine, readiness);
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Begun> {
        match &op.request {
            BracketRequest::Take { at_least, .. } => self.0.silences().push(Silence {
                about: one(&op.request)?,
                // The key is found again by whoever knows the operation, and by nobody else.
                comment: op.key.token(),
                from: ctx.now(),
                until: ctx.now() + *at_least,
                ended: None,
            }),
            BracketRequest::GiveBack { taken, .. } => {
                self.0.end(US, ctx.now(), |s| s.comment == taken.token());
            }
            other => return Err(unsupported(other)),
        }
        Ok(Begun::Settled(done(ctx, op)))
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Located> {
        let is_done = match &op.request {
            BracketRequest::Take { .. } => self.0.of(&op.key).is_some(),
            BracketRequest::GiveBack { taken, .. } => {
                !self.0.of(taken).is_some_and(|s| s.holds(ctx.now()))
            }
            other => return Err(unsupported(other)),
        };
        Ok(match is_done {
            true => Located::Settled(done(ctx, op)),
            false => Located::NotFound,
        })
    }

    async fn observe(&self, _: &OpContext, _: &Op<BracketRequest>, _: &Handle) -> Result<Observed> {
        Ok(Observed::Lost {
            why: "a pager is silent at once, so nothing is ever at work".to_owned(),
        })
    }
}

/// The machine that a request is about: this pager can be silent, and about one at a time.
fn one(request: &BracketRequest) -> Result<ComponentId> {
    let mut subjects = request.subjects();
    match (request.kind(), subjects.pop_first(), subjects.len()) {
        (BracketKind::Silence, Some(machine), 0) => Ok(machine),
        _ => Err(unsupported(request)),
    }
}

fn unsupported(request: &BracketRequest) -> Error {
    let (verb, kind) = (request.verb(), request.kind().slug());
    let what = format!("the pager cannot {verb} a {kind}");
    Error::new(ErrorKind::Unsupported, what)
}

fn done(ctx: &OpContext, op: &Op<BracketRequest>) -> Settled {
    let saw = match op.request {
        BracketRequest::Take { .. } => "the pager is silent",
        _ => "the pager calls again",
    };
    let subjects = op.request.subjects().into_iter();
    let done = |c| (c, SubjectResult::Done(Evidence::observed(ctx.now(), saw)));
    Settled {
        subjects: subjects.map(done).collect(),
    }
}

/// The pager is silent about each machine while that is patched.
const POLICY: &str = r#"
policy   = 1
name     = "web"
approval = { from = ["maria"] }
window   = [{ name = "always", when = "any time" }]
ring     = [{ name = "all", select = "*", soak = "1h" }]
around   = [{ select = "tier = web", silence = "pager" }]
"#;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let start = "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        Error::new(ErrorKind::InvalidInput, "the start cannot be read").source_error(e)
    })?;
    let web = |g: patchcore::sim::GuestSpec| g.label("tier", "web").package("nginx", "1.22.1-9");
    let sim = Sim::starting(start, 7)
        .guests(["web-1", "web-2"], web)
        .publish(
            Patch::new("nginx", None, "1.22.1-10", PatchClass::Security)
                .with_impact(Impact::ServiceRestart),
        );
    let pager = Pager::default();
    let estate = Estate::named("web")
        .with(sim.provider())
        .with(OnCall::new(pager.clone()))
        .with_clock(sim.shared_clock());
    let policy = Policy::from_toml(POLICY, "the policy of this example")?;
    let journal = Journal::in_memory()?;

    let plan = estate.plan(&policy).requested_by("sam").await?;
    println!("{plan}\n");
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &journal)
        .await?;
    let mut lines = run.lines();
    while let Some(line) = lines.next().await {
        println!("{line}");
    }
    println!();
    for silence in pager.silences().iter() {
        let ended = silence.ended.as_ref();
        println!(
            "the pager was silent about {} from {} {}",
            silence.about,
            silence.from,
            ended.map_or_else(
                || format!("until {}", silence.until),
                |(at, who)| format!("to {at}, ended by {who}")
            )
        );
    }
    Ok(run.report().await?.exit_code())
}
