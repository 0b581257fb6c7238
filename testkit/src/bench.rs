//! What every check works with: connections, contexts, keys, and the truth.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use patchcore::{
    Result,
    estate::Scan,
    id::{ComponentId, OpKey, RunId, Version},
    provider::{
        Bracket, CancelToken, Change, ClusterDrainer, Deployer, HealthProbe, InventorySource,
        OpContext, PatchSource, PerComponent, Ports, Provider, ProviderInfo, TargetLock,
    },
};

use crate::{
    check::{Checked, Verdict, fault},
    evidence,
    fixture::{Fixture, Made, Seen, Stock, Trouble},
};

/// One reading call may take this long: what the engine gives it by default.
pub(crate) const READING: Duration = Duration::from_secs(300);
/// One `begin` may take this long: the short way works inside of it.
const WORKING: Duration = Duration::from_secs(4 * 3600);

/// A name that no outside holds.
const NOBODY: &str = "nobody-knows-this-component";

/// One check's place of work: a fresh outside.
pub(crate) struct Bench {
    pub(crate) fixture: Arc<dyn Fixture>,
    pub(crate) stock: Stock,
    check: &'static str,
    started: Timestamp,
    generation: AtomicU32,
    fence: AtomicU64,
    /// Verbs that the provider carried out, each with the provider's name.
    carried_out: Mutex<BTreeSet<(String, &'static str)>>,
    /// What the providers said of themselves.
    known: Mutex<Vec<ProviderInfo>>,
}

/// One process that uses a provider.
pub(crate) struct Connection {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) ports: Ports,
    pub(crate) fence: u64,
}

impl Connection {
    pub(crate) fn inventory(&self) -> Checked<Arc<dyn InventorySource>> {
        claimed(self.ports.inventory.clone(), "inventory")
    }

    pub(crate) fn source(&self) -> Checked<Arc<dyn PatchSource>> {
        claimed(self.ports.source.clone(), "source")
    }

    pub(crate) fn deployer(&self) -> Checked<Arc<dyn Deployer>> {
        claimed(self.ports.deployer.clone(), "deployer")
    }

    pub(crate) fn probe(&self) -> Checked<Arc<dyn HealthProbe>> {
        claimed(self.ports.probe.clone(), "probe")
    }

    pub(crate) fn lock(&self) -> Checked<Arc<dyn TargetLock>> {
        claimed(self.ports.lock.clone(), "lock")
    }

    pub(crate) fn bracket(&self) -> Checked<Arc<dyn Bracket>> {
        claimed(self.ports.bracket.clone(), "bracket")
    }

    pub(crate) fn drainer(&self) -> Checked<Arc<dyn ClusterDrainer>> {
        claimed(self.ports.drainer.clone(), "drainer")
    }
}

/// Whoever asks for a suite claims its port.
fn claimed<T>(port: Option<T>, name: &str) -> Checked<T> {
    match port {
        Some(port) => Ok(port),
        None => fault(format!("the provider offers no {name} port")),
    }
}

impl Bench {
    pub(crate) fn new(fixture: Arc<dyn Fixture>, check: &'static str) -> Self {
        Self {
            stock: fixture.stock(),
            started: fixture.clock().now(),
            fixture,
            check,
            generation: AtomicU32::new(0),
            fence: AtomicU64::new(0),
            carried_out: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Notes that the provider carried a verb out.
    pub(crate) fn carried_out(&self, on: &Connection, verb: &'static str) {
        let name = on.provider.info().name.to_string();
        let mut all = self
            .carried_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert((name, verb));
    }

    /// Says what this check has earned, and what the providers say of themselves.
    pub(crate) fn tell_evidence(&self) {
        let all = self
            .carried_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (provider, verb) in &*all {
            evidence::earned(provider, verb, self.fixture.evidence(verb));
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for info in &*known {
            evidence::claimed(info);
        }
    }

    /// A provider as a new process has it.
    pub(crate) async fn connect(&self) -> Checked<Connection> {
        let provider = self.fixture.connect().await?;
        let ports = provider.ports();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(provider.info()) {
            known.push(provider.info().clone());
        }
        drop(known);
        let fence = self.fence.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Connection {
            provider,
            ports,
            fence,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.fixture.clock().now()
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        let clock = self.fixture.clock();
        let until = clock.now() + duration.min(Duration::from_secs(100 * 24 * 3600));
        clock.sleep_until(until).await;
    }

    /// A context for a reading call.
    pub(crate) fn reading(&self) -> OpContext {
        self.reading_within(READING)
    }

    pub(crate) fn reading_within(&self, limit: Duration) -> OpContext {
        OpContext::reading(self.fixture.clock(), self.now() + limit, CancelToken::new())
    }

    /// A context for a call of an operation.
    pub(crate) fn working(&self, on: &Connection, key: &OpKey) -> OpContext {
        self.reading_within(WORKING)
            .for_operation(key.clone(), on.fence)
    }

    /// The same, by a caller who already asked to stop.
    pub(crate) fn stopping(&self, on: &Connection, key: &OpKey) -> OpContext {
        let cancel = CancelToken::new();
        cancel.cancel();
        OpContext::reading(self.fixture.clock(), self.now() + WORKING, cancel)
            .for_operation(key.clone(), on.fence)
    }

    /// A key that was never used, also not by an earlier run of the suite on the same outside.
    pub(crate) fn key(&self, component: &ComponentId, step: &str) -> OpKey {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let journal = format!("{}@{}", self.check, self.started);
        OpKey::of(&journal, RunId(1), component, step, generation)
    }

    /// The first change, on which most checks work.
    pub(crate) fn change(&self) -> Checked<Change> {
        self.stock
            .changes
            .first()
            .filter(|c| !c.patches.is_empty())
            .cloned()
            .ok_or_else(|| Verdict::NotRun("the fixture's stock has no change".to_owned()))
    }

    /// Every component of the stock, once.
    pub(crate) fn components(&self) -> Vec<ComponentId> {
        let all: BTreeSet<ComponentId> = self
            .stock
            .changes
            .iter()
            .chain(self.stock.bad.iter().map(|b| &b.change))
            .chain(&self.stock.after_restart)
            .map(|c| c.component.clone())
            .collect();
        all.into_iter().collect()
    }

    pub(crate) fn nobody(&self) -> ComponentId {
        ComponentId::from(NOBODY)
    }

    /// The truth about one component.
    pub(crate) async fn look(&self, component: &ComponentId) -> Checked<Seen> {
        Ok(self.fixture.look(component).await?)
    }

    /// The truth about all of them.
    pub(crate) async fn look_at_all(&self) -> Checked<Vec<(ComponentId, Seen)>> {
        let mut seen = Vec::new();
        for component in self.components() {
            let one = self.look(&component).await?;
            seen.push((component, one));
        }
        Ok(seen)
    }

    /// A fault if anything differs from `before`.
    pub(crate) async fn untouched_since(
        &self,
        before: &[(ComponentId, Seen)],
        by: &str,
    ) -> Checked {
        for (component, was) in before {
            let is = self.look(component).await?;
            if is.versions != was.versions {
                return fault(format!(
                    "{by} changed what is installed on {component}: {}",
                    difference(was, &is)
                ));
            }
            if is.trace != was.trace {
                return fault(format!(
                    "{by} wrote to {component}: its trace was {} and is {}",
                    was.trace, is.trace
                ));
            }
        }
        Ok(())
    }

    /// Somebody else puts the stock's other version in.
    pub(crate) async fn drift(&self) -> Checked {
        let other = self.stock.other.clone();
        self.meddle(&other).await
    }

    /// Somebody else puts back what was there before the first change.
    pub(crate) async fn put_back(&self) -> Checked {
        match self.change()?.patches.first().and_then(|p| p.from.clone()) {
            Some(from) => self.meddle(&from).await,
            None => Err(Verdict::NotRun(
                "the first patch of the fixture's first change has no `from`".to_owned(),
            )),
        }
    }

    async fn meddle(&self, version: &Version) -> Checked {
        let change = self.change()?;
        for patch in change.patches.iter().take(1) {
            self.fixture
                .meddle(&change.component, &patch.patch, version)
                .await?;
            let seen = self.look(&change.component).await?;
            if seen.versions.get(&patch.patch) != Some(version) {
                return Err(Verdict::NotRun(format!(
                    "the fixture was to put {} {version} in, and it is not there",
                    patch.patch
                )));
            }
        }
        Ok(())
    }

    /// Makes trouble, or ends the check with what cannot be made.
    pub(crate) async fn trouble(&self, trouble: Trouble) -> Checked {
        match self.fixture.trouble(&trouble).await? {
            Made::Yes => Ok(()),
            Made::CannotBeMade => Err(Verdict::NotOffered(match trouble {
                Trouble::ToolLies(_) => "a tool that claims success and puts nothing in".to_owned(),
                Trouble::BracketEnded(_) => "somebody else who ends what is held".to_owned(),
                Trouble::VmMoved(..) => "somebody else who moves a machine".to_owned(),
                Trouble::SettingChanged(..) => {
                    "somebody else who changes a cluster's setting".to_owned()
                }
                _ => "somebody else who holds the tool's lock".to_owned(),
            })),
        }
    }

    /// One component's scan; where there is none, the scan's own checks say why.
    pub(crate) async fn scan(&self, on: &Connection, component: &ComponentId) -> Checked<Scan> {
        let asked = std::slice::from_ref(component);
        let answers = on.deployer()?.scan(&self.reading(), asked).await;
        let scan = one_answer(
            answers,
            component,
            "deployer_scan_answers_every_component_asked",
        )?;
        self.carried_out(on, "scan");
        Ok(scan)
    }
}

/// The one answer of a reading call, or which check shows why there is none.
pub(crate) fn one_answer<T>(
    answers: Result<PerComponent<T>>,
    component: &ComponentId,
    see: &'static str,
) -> Checked<T> {
    let unjudged = |why: String| Verdict::Unjudged { see, why };
    answers
        .map_err(|e| unjudged(e.chain()))?
        .remove(component)
        .ok_or_else(|| unjudged(format!("no answer for {component}")))?
        .map_err(|e| unjudged(e.chain()))
}

/// The first versions that differ, for messages.
pub(crate) fn difference(was: &Seen, is: &Seen) -> String {
    let names: BTreeSet<_> = was.versions.keys().chain(is.versions.keys()).collect();
    let word = |v: Option<&Version>| v.map_or_else(|| "absent".to_owned(), ToString::to_string);
    names
        .into_iter()
        .filter(|name| was.versions.get(*name) != is.versions.get(*name))
        .map(|name| {
            format!(
                "{name} was {} and is {}",
                word(was.versions.get(name)),
                word(is.versions.get(name))
            )
        })
        .collect::<Vec<_>>()
        .join(", ")
}
