//! A provider that is written in another language, the full way: all of its ports behind two calls with owned
//! arguments, because neither borrowed values nor generic traits can cross.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    estate::{Available, Scan},
    id::{ComponentId, OpKey},
    provider::{
        Begun, Bracket, BracketCapabilities, BracketKind, BracketRequest, Claim, DeployRequest,
        Deployer, DeployerCapabilities, Guarantee, Handle, HealthProbe, Held, Holding,
        InventorySource, Listing, Located, Observed, Op, OpContext, Operations, PatchSource,
        PerComponent, PortRequest, Ports, Prepared, ProbeAnswer, ProbeRequest, Provider,
        ProviderInfo, Taken, TargetLock, Undo,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::wire::{
    Answers, BegunForm, HoldingForm, LocatedForm, ObservedForm, Offers, PreparedForm, TakenForm,
    per_component,
};

/// One method of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The port, such as `deployer`.
    pub port: &'static str,
    /// The method, such as `begin`.
    pub name: &'static str,
    /// It may change something, so it is never cut in the middle: its effect would come later and unseen.
    pub changes: bool,
}

impl Method {
    /// One that reads only, and may be dropped when nobody waits for it any more.
    #[must_use]
    pub const fn reads(port: &'static str, name: &'static str) -> Self {
        Self {
            port,
            name,
            changes: false,
        }
    }

    /// One that runs to its end.
    #[must_use]
    pub const fn changes(port: &'static str, name: &'static str) -> Self {
        Self {
            port,
            name,
            changes: true,
        }
    }
}

/// The ports of a provider in another language. Arguments are a JSON array, the answer is JSON in the forms of the core
/// and of [`wire`](crate::wire).
#[async_trait]
pub trait ForeignPorts: Debug + Send + Sync + 'static {
    /// A call that may wait.
    ///
    /// # Errors
    /// The other language's.
    async fn call(&self, ctx: &OpContext, method: Method, given: String) -> Result<String>;

    /// A call of a pure method, which answers at once.
    ///
    /// # Errors
    /// The other language's.
    fn ask(&self, method: Method, given: String) -> Result<String>;
}

/// Makes a [`Provider`] of foreign ports.
#[derive(Debug)]
pub struct Foreigner<P> {
    info: ProviderInfo,
    offers: Offers,
    kinds: &'static [&'static str],
    ports: Arc<Face<P>>,
}

/// The words of all kinds of checks, in every choice of them: the core asks for words that last.
const KINDS: [&[&str]; 4] = [&[], &["http"], &["command"], &["http", "command"]];

impl<P: ForeignPorts> Foreigner<P> {
    /// Of foreign ports, with what they say of themselves.
    ///
    /// # Errors
    /// `InvalidInput`: a kind of check that patchcore does not know.
    pub fn new(info: ProviderInfo, offers: Offers, ports: P) -> Result<Self> {
        let claimed = offers.probe.clone().unwrap_or_default();
        let same = |known: &&&[&str]| {
            known.len() == claimed.len() && known.iter().all(|k| claimed.iter().any(|c| c == k))
        };
        let Some(kinds) = KINDS.iter().find(same).copied() else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{}: kinds of checks", info.name),
            )
            .expected("some of http, command, each once")
            .found(claimed.join(", ")));
        };
        let ports = Arc::new(Face {
            name: info.name.to_string(),
            deployer: offers.deployer.unwrap_or_default(),
            bracket: offers.bracket.clone().unwrap_or_default(),
            kinds,
            ports,
        });
        Ok(Self {
            info,
            offers,
            kinds,
            ports,
        })
    }
}

impl<P: ForeignPorts> Provider for Foreigner<P> {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        let mut ports = Ports::none();
        let face = &self.ports;
        if self.offers.inventory {
            ports = ports.with_inventory(face.clone());
        }
        if self.offers.source {
            ports = ports.with_source(face.clone());
        }
        if self.offers.deployer.is_some() {
            ports = ports.with_deployer(face.clone());
        }
        if !self.kinds.is_empty() {
            ports = ports.with_probe(face.clone());
        }
        if self.offers.lock {
            ports = ports.with_lock(face.clone());
        }
        if self.offers.bracket.is_some() {
            ports = ports.with_bracket(face.clone());
        }
        ports
    }
}

#[derive(Debug)]
struct Face<P> {
    name: String,
    deployer: DeployerCapabilities,
    bracket: BracketCapabilities,
    kinds: &'static [&'static str],
    ports: P,
}

/// Which port serves the operations of a request.
trait Serves: PortRequest {
    const BY: &'static str;
}

impl Serves for DeployRequest {
    const BY: &'static str = "deployer";
}

impl Serves for BracketRequest {
    const BY: &'static str = "bracket";
}

fn given(parts: &[Result<Value, serde_json::Error>]) -> Result<String> {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Ok(value) => all.push(value.clone()),
            Err(error) => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("an argument cannot be written as JSON: {error}"),
                ));
            }
        }
    }
    Ok(Value::from(all).to_string())
}

fn value(of: impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(of)
}

impl<P: ForeignPorts> Face<P> {
    async fn call<T: DeserializeOwned>(
        &self,
        ctx: &OpContext,
        method: Method,
        parts: &[Result<Value, serde_json::Error>],
    ) -> Result<T> {
        let answer = self.ports.call(ctx, method, given(parts)?).await?;
        self.read(method, answer)
    }

    fn read<T: DeserializeOwned>(&self, method: Method, answer: String) -> Result<T> {
        serde_json::from_str(&answer).map_err(|error| {
            Error::new(
                ErrorKind::ProviderFault,
                format!(
                    "{}.{}: its answer is not what it must be",
                    self.name, method.name
                ),
            )
            .found(answer)
            .source_error(error)
            .operation(method.name)
            .context("provider", self.name.clone())
            .hint("this is a fault of the provider: report it to its author")
        })
    }

    fn ask<T: DeserializeOwned, R: Serves>(&self, name: &'static str, op: &Op<R>) -> Result<T> {
        let method = Method::reads(R::BY, name);
        let answer = self.ports.ask(method, given(&[value(op)])?)?;
        self.read(method, answer)
    }
}

#[async_trait]
impl<P: ForeignPorts> InventorySource for Face<P> {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let method = Method::reads("inventory", "list");
        self.call(ctx, method, &[value(ctx.now())]).await
    }
}

#[async_trait]
impl<P: ForeignPorts> PatchSource for Face<P> {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let method = Method::reads("source", "available");
        let answers: Answers<Available> = self.call(ctx, method, &[value(components)]).await?;
        Ok(per_component(answers, |read| read))
    }
}

#[async_trait]
impl<P: ForeignPorts> HealthProbe for Face<P> {
    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let method = Method::reads("probe", "probe");
        self.call(ctx, method, &[value(request)]).await
    }
}

#[async_trait]
impl<P: ForeignPorts> Deployer for Face<P> {
    fn capabilities(&self) -> DeployerCapabilities {
        self.deployer
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let method = Method::reads("deployer", "scan");
        let answers: Answers<Scan> = self.call(ctx, method, &[value(components)]).await?;
        Ok(per_component(answers, |read| read))
    }
}

#[async_trait]
impl<P: ForeignPorts> Bracket for Face<P> {
    fn capabilities(&self) -> BracketCapabilities {
        self.bracket.clone()
    }

    async fn held(
        &self,
        ctx: &OpContext,
        kind: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        let method = Method::reads("bracket", "held");
        let parts = [value(kind), value(taken), value(components)];
        let answers: Answers<HoldingForm> = self.call(ctx, method, &parts).await?;
        Ok(per_component(answers, Holding::from))
    }
}

#[async_trait]
impl<P: ForeignPorts> TargetLock for Face<P> {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let method = Method::changes("lock", "take");
        let taken: TakenForm = self
            .call(ctx, method, &[value(component), value(claim)])
            .await?;
        Ok(taken.into())
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let method = Method::changes("lock", "give_back");
        self.call(ctx, method, &[value(component), value(fence)])
            .await
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let method = Method::reads("lock", "look");
        self.call(ctx, method, &[value(component)]).await
    }
}

#[async_trait]
impl<P: ForeignPorts, R: Serves> Operations<R> for Face<P> {
    fn guarantee(&self, op: &Op<R>) -> Guarantee {
        // Who cannot say what is promised promises nothing; the exception stands in the other language's log.
        self.ask("guarantee", op).unwrap_or(Guarantee::Blind)
    }

    fn undo(&self, op: &Op<R>) -> Undo<R> {
        self.ask("undo", op)
            .unwrap_or_else(|error| Undo::Unavailable {
                why: format!("the provider does not say how: {}", error.chain()),
            })
    }

    async fn prepare(&self, ctx: &OpContext, request: &R) -> Result<Prepared> {
        let method = Method::reads(R::BY, "prepare");
        let form: PreparedForm = self.call(ctx, method, &[value(request)]).await?;
        Ok(form.into())
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<R>) -> Result<Begun> {
        let method = Method::changes(R::BY, "begin");
        let form: BegunForm = self.call(ctx, method, &[value(op)]).await?;
        Ok(form.into())
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<R>) -> Result<Located> {
        let method = Method::reads(R::BY, "locate");
        let form: LocatedForm = self.call(ctx, method, &[value(op)]).await?;
        Ok(form.into())
    }

    async fn observe(&self, ctx: &OpContext, op: &Op<R>, handle: &Handle) -> Result<Observed> {
        let method = Method::reads(R::BY, "observe");
        let form: ObservedForm = self.call(ctx, method, &[value(op), value(handle)]).await?;
        Ok(form.into())
    }
}

/// What the answers of a foreign provider look like, by the name of each form: JSON Schema from the types themselves.
#[must_use]
pub fn schemas() -> Value {
    macro_rules! all {
        ($($name:literal: $of:ty,)*) => { json!({ $($name: schemars::schema_for!($of),)* }) };
    }
    all! {
        "Listing": Listing,
        "Available": Available,
        "Scan": Scan,
        "DeployRequest": DeployRequest,
        "BracketRequest": BracketRequest,
        "DeployerCapabilities": DeployerCapabilities,
        "BracketCapabilities": BracketCapabilities,
        "Op": Op<DeployRequest>,
        "BracketOp": Op<BracketRequest>,
        "Guarantee": Guarantee,
        "Undo": Undo<DeployRequest>,
        "Prepared": PreparedForm,
        "Begun": BegunForm,
        "Located": LocatedForm,
        "Observed": ObservedForm,
        "Holding": HoldingForm,
        "Taken": TakenForm,
        "Claim": Claim,
        "ProbeRequest": ProbeRequest,
        "ProbeAnswer": ProbeAnswer,
        "Raised": crate::wire::Raised,
    }
}
