//! The rolls of clusters that a run carries out.

use jiff::Timestamp;

use crate::{
    error::{Error, ErrorKind, Result},
    execute::{
        Tools,
        kernel::{RollEvent, RollState, RunEvent},
    },
    id::{ComponentId, ProviderName},
    plan::{
        Plan,
        roll::{Action, CheckedRoll, Cluster, Objective, check},
    },
    provider::ClusterSetting,
};

/// A checked roll of a cluster, for [`run_rolling`](crate::Estate::run_rolling).
#[derive(Debug, Clone)]
pub struct ClusterRoll {
    name: ComponentId,
    by: ProviderName,
    cluster: Cluster,
    roll: CheckedRoll,
    objective: Objective,
    settings: Vec<ClusterSetting>,
}

impl ClusterRoll {
    /// The roll of a cluster that a provider drains, as it was checked against the cluster. While it runs, the
    /// cluster places no machine by itself.
    pub fn new(
        name: impl Into<ComponentId>,
        by: impl Into<ProviderName>,
        cluster: Cluster,
        roll: CheckedRoll,
    ) -> Self {
        Self {
            name: name.into(),
            by: by.into(),
            cluster,
            roll,
            objective: Objective::default(),
            settings: vec![ClusterSetting::Placement],
        }
    }

    /// What it is to be good at where it must be planned anew.
    #[must_use]
    pub fn with_objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// With these settings held while it runs.
    #[must_use]
    pub fn holding(mut self, settings: impl IntoIterator<Item = ClusterSetting>) -> Self {
        self.settings = settings.into_iter().collect();
        self
    }

    /// The decision that begins it.
    pub(crate) fn planned(self, begins: Timestamp) -> RunEvent {
        let event = RollEvent::Planned {
            by: self.by,
            cluster: Box::new(self.cluster),
            roll: Box::new(self.roll.into_roll()),
            objective: self.objective,
            settings: self.settings,
            begins,
        };
        RunEvent::Roll {
            cluster: self.name,
            event: Box::new(event),
        }
    }

    /// Whether a run of this plan may carry it out.
    ///
    /// # Errors
    /// `InvalidInput`, with what does not fit; `NotFound`: its drainer is not part of the estate.
    pub(crate) fn fits(&self, plan: &Plan, tools: &Tools) -> Result<()> {
        let refused = |what: String| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the roll of {} cannot run: {what}", self.name),
            )
            .operation("run")
            .consequence("nothing was started")
        };
        let drainer = tools.drainers.get(&self.by).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "{} drains {} and is not part of this estate",
                    self.by, self.name
                ),
            )
            .operation("run")
            .consequence("nothing was started")
        })?;
        let claimed = drainer.capabilities().settings;
        if let Some(setting) = self.settings.iter().find(|s| !claimed.contains(s)) {
            return Err(refused(format!(
                "{} cannot hold {}",
                self.by,
                setting.slug()
            )));
        }
        if let Err(breaches) = check(&self.cluster, self.roll.roll().clone()) {
            return Err(refused(format!(
                "it was checked against another cluster: {breaches}"
            )));
        }
        let mut ring = None;
        for host in &self.cluster.hosts {
            let target = plan.envelope.target(&host.id);
            let is = |s: &crate::plan::roll::Step| matches!(&s.action, Action::Patch { host: h } if *h == host.id);
            let patched = self.roll.roll().steps.iter().any(is);
            let Some(target) = target else {
                if patched {
                    return Err(refused(format!("{} is not in the plan", host.id))
                        .hint("let it need no patch, or plan patches for it"));
                }
                continue;
            };
            if ring.get_or_insert(&target.ring) != &&target.ring {
                return Err(refused(format!(
                    "its hosts are of ring {} and of ring {}",
                    ring.map_or("", |r| r.as_str()),
                    target.ring
                ))
                .hint("put all hosts of a cluster into one ring"));
            }
        }
        let rules = plan.envelope.rings.iter().find(|r| Some(&r.name) == ring);
        let closes = self.cluster.limits.max_hosts_down;
        if let Some(rules) = rules
            && closes.is_none_or(|most| most as usize > rules.at_once)
        {
            let may = closes.map_or_else(|| "any number of".to_owned(), |n| n.to_string());
            return Err(refused(format!(
                "it may close {may} hosts at once, and ring {} lets {} go",
                rules.name, rules.at_once
            ))
            .hint("set the cluster's limit max_hosts_down to what the ring lets go"));
        }
        Ok(())
    }
}

/// Whether the roll that a journal holds is one that the checker proves.
///
/// # Errors
/// `JournalDamaged`, `NotFound`.
pub(crate) fn still_checked(cluster: &ComponentId, roll: &RollState, tools: &Tools) -> Result<()> {
    if !tools.drainers.contains_key(&roll.by) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "{} drains {cluster} and is not part of this estate",
                roll.by
            ),
        )
        .operation("reopen")
        .hint("open the estate with the providers that the run needs"));
    }
    match check(&roll.cluster, (*roll.roll).clone()) {
        Ok(_) => Ok(()),
        Err(breaches) => Err(Error::new(
            ErrorKind::JournalDamaged,
            format!("the roll of {cluster} in this journal breaks rules: {breaches}"),
        )
        .operation("reopen")
        .consequence("the run cannot go on from this journal")
        .hint("verify the journal: it names the first record that was changed")),
    }
}
