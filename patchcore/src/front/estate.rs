//! The estate and its providers.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use super::{
    ask,
    rolls::ClusterRoll,
    run::{Run, missing_tools},
};
use crate::{
    approve::{self, Approval, ApprovedPlan},
    clock::{SharedClock, SystemClock},
    discover,
    error::{Error, ErrorKind, Result},
    estate::Inventory,
    execute::{Tools, denials, journal::Journal},
    id::{EstateName, PersonId},
    plan::{self, Plan, PlanInput, Reference},
    policy::Policy,
    provider::{Ports, Provider, ProviderInfo},
};

/// All that is managed: a name and the providers that know its components.
///
/// One value per tenant. Needs a tokio runtime with time enabled.
#[derive(Debug, Clone)]
pub struct Estate {
    name: EstateName,
    clock: SharedClock,
    providers: Vec<(ProviderInfo, Ports)>,
    lease: Option<Duration>,
    checkpoint_every: Option<u64>,
}

impl Estate {
    /// An estate without providers.
    pub fn named(name: impl Into<EstateName>) -> Self {
        Self {
            name: name.into(),
            clock: Arc::new(SystemClock),
            providers: Vec::new(),
            lease: None,
            checkpoint_every: None,
        }
    }

    /// With one more provider.
    #[must_use]
    pub fn with(mut self, provider: impl Provider) -> Self {
        self.providers
            .push((provider.info().clone(), provider.ports()));
        self
    }

    /// With another clock: virtual time in simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// How long another orchestrator leaves a target alone whose lock we hold and give no sign of life for. Default 15
    /// minutes. A shorter one is for estates where a dead orchestrator must be replaced sooner; whoever is silent for
    /// longer, such as a process that is stopped, loses the target and is told so.
    #[must_use]
    pub fn with_lock_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How many events of a run are recorded until what they come to is kept beside them. Default 50,000. Whoever goes on
    /// with a run reads what was kept last and the events after it; a smaller number makes that shorter, and more is
    /// written meanwhile.
    #[must_use]
    pub fn with_checkpoint_every(mut self, events: u64) -> Self {
        self.checkpoint_every = Some(events);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &EstateName {
        &self.name
    }

    /// The time now, by the estate's clock.
    #[must_use]
    pub fn now(&self) -> crate::Timestamp {
        self.clock.now()
    }

    /// Asks all providers what is there. Reads only.
    ///
    /// # Errors
    /// As [`discover`](discover::discover). That one provider fails is no error but a gap in the inventory.
    pub async fn discover(&self) -> Result<Inventory> {
        self.refuse_twins()?;
        let answers = ask::all(&self.providers, &self.clock).await;
        discover::discover(self.name.clone(), self.clock.now(), &answers)
    }

    /// Discovers and plans. Reads and decides; changes nothing.
    pub fn plan<'a>(&'a self, policy: &'a Policy) -> PlanRequest<'a> {
        PlanRequest {
            estate: self,
            policy,
            requested_by: None,
            journal: None,
            references: Vec::new(),
        }
    }

    /// A person's approval of a plan, given now.
    ///
    /// # Errors
    /// As [`Plan::approval`].
    pub fn approval(&self, plan: &Plan, by: impl Into<PersonId>) -> Result<Approval> {
        plan.approval(by, self.clock.now())
    }

    /// Counts approvals now.
    ///
    /// # Errors
    /// As [`approve`](approve::approve).
    pub fn approve(
        &self,
        plan: Plan,
        approvals: impl IntoIterator<Item = Approval>,
    ) -> Result<ApprovedPlan> {
        approve::approve(plan, approvals, self.clock.now())
    }

    /// Starts a run of an approved plan. It goes on whether or not anybody holds its handle.
    ///
    /// # Errors
    /// Before anything is changed: `InvalidInput` (the plan is another estate's), `NotFound` (a provider of the plan
    /// is missing), `ApprovalExpired`, `Denied` (an earlier run rolled a patch of it back), `RunOpen` (a run is open
    /// in this journal: [`reopen`](Self::reopen) it), `JournalForeign`, and the journal's own.
    pub async fn run(&self, approved: ApprovedPlan, journal: &Journal) -> Result<Run> {
        let plan = approved.plan();
        self.refuse_foreign(plan)?;
        let tools = self.tools()?;
        missing_tools(plan, &tools)?;
        let rolls = Vec::new();
        Run::start(approved, rolls, journal, Arc::clone(&self.clock), tools).await
    }

    /// Starts a run of an approved plan in which clusters are rolled: their hosts are emptied by checked rolls, patched
    /// in maintenance mode, and taken back.
    ///
    /// # Errors
    /// As [`run`](Self::run); `InvalidInput` also where a roll does not fit the plan: a host that it patches is not in
    /// the plan, its hosts are of several rings, it may close more hosts than the ring lets go at once, or it was
    /// checked against another cluster.
    pub async fn run_rolling(
        &self,
        approved: ApprovedPlan,
        rolls: impl IntoIterator<Item = ClusterRoll>,
        journal: &Journal,
    ) -> Result<Run> {
        let plan = approved.plan();
        self.refuse_foreign(plan)?;
        let tools = self.tools()?;
        missing_tools(plan, &tools)?;
        let rolls: Vec<ClusterRoll> = rolls.into_iter().collect();
        for roll in &rolls {
            roll.fits(plan, &tools)?;
        }
        Run::start(approved, rolls, journal, Arc::clone(&self.clock), tools).await
    }

    fn refuse_foreign(&self, plan: &Plan) -> Result<()> {
        if plan.envelope.estate != self.name {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("plan {} was made for another estate", plan.id()),
            )
            .expected(self.name.to_string())
            .found(plan.envelope.estate.to_string())
            .operation("run")
            .consequence("nothing was started")
            .hint(format!(
                "run it on estate {}, or plan again for {}",
                plan.envelope.estate, self.name
            )));
        }
        Ok(())
    }

    /// Goes on with the run that is open in a journal: what a crash left, or what was parked.
    ///
    /// # Errors
    /// `JournalForeign`, `JournalNewer`, `JournalDamaged`, or `NotFound` for a provider that the run needs.
    pub async fn reopen(&self, journal: &Journal) -> Result<Option<Run>> {
        journal.bind(&self.name).await?;
        Run::reopen(journal, Arc::clone(&self.clock), self.tools()?).await
    }

    fn tools(&self) -> Result<Tools> {
        self.refuse_twins()?;
        let mut tools = Tools::default();
        let mut probes = std::collections::BTreeMap::new();
        let mut brackets = std::collections::BTreeMap::new();
        for (info, ports) in &self.providers {
            if let Some(deployer) = &ports.deployer {
                tools
                    .deployers
                    .insert(info.name.clone(), Arc::clone(deployer));
            }
            if let Some(probe) = &ports.probe {
                probes.insert(info.name.clone(), Arc::clone(probe));
            }
            if let Some(lock) = &ports.lock {
                tools.locks.insert(info.name.clone(), Arc::clone(lock));
            }
            if let Some(drainer) = &ports.drainer {
                tools
                    .drainers
                    .insert(info.name.clone(), Arc::clone(drainer));
            }
            if let Some(bracket) = &ports.bracket {
                brackets.insert(info.name.clone(), Arc::clone(bracket));
            }
        }
        let never_block = self.providers.iter().filter(|(_, ports)| ports.never_block);
        tools.never_block = Arc::new(never_block.map(|(info, _)| info.name.clone()).collect());
        tools.probes = Arc::new(probes);
        tools.brackets = Arc::new(brackets);
        tools.lease = self.lease;
        tools.checkpoint_every = self.checkpoint_every;
        Ok(tools)
    }

    fn refuse_twins(&self) -> Result<()> {
        for (i, (info, _)) in self.providers.iter().enumerate() {
            if self.providers[..i]
                .iter()
                .any(|(other, _)| other.name == info.name)
            {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "estate {} has two providers called {}",
                        self.name, info.name
                    ),
                )
                .operation("discover")
                .consequence("nothing was asked")
                .hint("give one of them another name"));
            }
        }
        Ok(())
    }
}

/// A plan that is about to be made. Awaiting it makes it.
#[must_use = "a plan is made when this is awaited"]
#[derive(Debug)]
pub struct PlanRequest<'a> {
    estate: &'a Estate,
    policy: &'a Policy,
    requested_by: Option<PersonId>,
    journal: Option<&'a Journal>,
    references: Vec<Reference>,
}

impl<'a> PlanRequest<'a> {
    /// Who asks. Whoever asks cannot approve.
    pub fn requested_by(mut self, person: impl Into<PersonId>) -> Self {
        self.requested_by = Some(person.into());
        self
    }

    /// With what earlier runs of a journal learned: patches that they rolled back are left out.
    pub fn history(mut self, journal: &'a Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// With a pointer into the organisation's own systems, such as a change ticket.
    pub fn reference(mut self, reference: Reference) -> Self {
        self.references.push(reference);
        self
    }

    async fn make(self) -> Result<Plan> {
        let Some(requested_by) = &self.requested_by else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a plan needs somebody who asks for it",
            )
            .operation("plan")
            .consequence("nothing was asked")
            .hint("say who: estate.plan(&policy).requested_by(\"sam\")"));
        };
        let denials = match self.journal {
            Some(journal) => {
                journal.bind(&self.estate.name).await?;
                denials(journal).await?
            }
            None => Vec::new(),
        };
        let inventory = self.estate.discover().await?;
        plan::plan(&PlanInput {
            inventory: &inventory,
            policy: self.policy,
            requested_by,
            now: self.estate.clock.now(),
            denials: &denials,
            references: &self.references,
        })
    }
}

impl<'a> IntoFuture for PlanRequest<'a> {
    type Output = Result<Plan>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Plan>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}
