//! A planned roll as people and programs read it: every step with its time and its reason, as text, as JSON and as a
//! picture.

mod picture;
pub(super) mod scene;
mod text;
pub(super) mod units;
mod why;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    bounds::{Bounds, bounds},
    check::{CheckedRoll, Figures, check},
    cluster::Cluster,
    planner::{Objective, PlannedRoll, ground::Ground},
    step::{Action, HostLeftOut, Reason, Roll, Step},
};
use crate::error::Result;

/// One step with its time and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// Its place in the list, from 0.
    pub number: u32,
    /// What is done.
    pub action: Action,
    /// The numbers of the steps that are over before it begins.
    pub needs: Vec<u32>,
    /// It begins no earlier than so many milliseconds after the roll does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// When it begins at the usual pace, in milliseconds after the roll did.
    pub from_ms: u64,
    /// When it is over at the usual pace.
    pub until_ms: u64,
    /// The planner's reason.
    pub reason: Reason,
    /// The same as a sentence, with what else was possible at that moment.
    pub why: String,
}

/// The stored form.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Stored {
    /// Which schema this is: `patchcore.roll-plan/1`.
    schema: String,
    /// What the roll is good at.
    objective: Objective,
    /// What it costs.
    figures: Figures,
    /// What no roll can beat.
    bounds: Bounds,
    /// By how much it misses them, in thousandths: bytes, moves, makespan.
    gap_permille: [u64; 3],
    /// Every step.
    steps: Vec<PlanStep>,
    /// Hosts that need the patch and do not get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<HostLeftOut>,
    /// Whether hosts may be left out that no policy leaves out.
    #[serde(default)]
    partial: bool,
    /// What other rolls cost that are better at something else.
    #[serde(default)]
    others: Vec<Figures>,
    /// The cluster that it was planned from.
    cluster: Cluster,
}

/// A planned roll with its cluster: what is printed, drawn and stored.
///
/// Its text is its [`Display`](std::fmt::Display). Whoever reads a stored one gets what the checker makes of it now.
///
/// ```
/// use patchcore::plan::roll::{Answer, Cluster, Host, Objective, RollPlan, Vm, Wish, plan};
///
/// let mut cluster = Cluster::new(["memory_mib"]);
/// cluster.patch_time = Some(patchcore::plan::roll::PatchTime { p50_s: 1200, p95_s: 1800 });
/// cluster.migration = Some(patchcore::plan::roll::Migration { in_slots: 2, out_slots: 2, mib_per_s: 600 });
/// for (host, vm) in [("p1", "db"), ("p2", "web"), ("p3", "mail")] {
///     cluster.hosts.push(Host::new(host, [65_536]));
///     cluster.vms.push(Vm::new(vm, host, [16_384], 16_384));
/// }
/// let Answer::Planned(planned) = plan(&cluster, &Wish::new(Objective::Knee), &|| false)? else {
///     return Err("there is a roll".into());
/// };
/// let plan = RollPlan::of(cluster, Objective::Knee, *planned)?;
/// assert!(plan.to_string().starts_with("roll of 3 hosts with 3 machines"));
/// assert!(plan.svg().starts_with("<svg"));
/// assert_eq!(RollPlan::from_json(&plan.to_json()?)?, plan);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollPlan {
    cluster: Cluster,
    objective: Objective,
    checked: CheckedRoll,
    bounds: Bounds,
    steps: Vec<PlanStep>,
    others: Vec<Figures>,
}

impl RollPlan {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.roll-plan/1";

    /// What was planned from this cluster.
    ///
    /// # Errors
    /// `InvalidInput`: it was planned from another cluster, and breaks a rule of this one.
    pub fn of(cluster: Cluster, objective: Objective, planned: PlannedRoll) -> Result<Self> {
        let others = planned.others.iter().map(|o| o.figures().clone()).collect();
        Self::checked(cluster, objective, planned.best.into_roll(), others)
    }

    fn checked(
        cluster: Cluster,
        objective: Objective,
        roll: Roll,
        others: Vec<Figures>,
    ) -> Result<Self> {
        let checked = check(&cluster, roll)?;
        let ground = Ground::of(&cluster, checked.roll().partial);
        let bounds = bounds(&ground);
        let why = why::sentences(&ground, &checked);
        let steps = checked.roll().steps.iter().zip(checked.timeline()).zip(why);
        let steps = (0_u32..).zip(steps);
        let steps = steps.map(|(number, ((step, span), why))| PlanStep {
            number,
            action: step.action.clone(),
            needs: step.needs.clone(),
            not_before_ms: step.not_before_ms,
            from_ms: span.from_ms,
            until_ms: span.until_ms,
            reason: step.reason.clone(),
            why,
        });
        Ok(Self {
            steps: steps.collect(),
            cluster,
            objective,
            checked,
            bounds,
            others,
        })
    }

    /// The cluster that it was planned from.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What it is good at.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The roll, as the checker made it.
    #[must_use]
    pub fn roll(&self) -> &CheckedRoll {
        &self.checked
    }

    /// What it costs.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        self.checked.figures()
    }

    /// What no roll of this cluster can beat.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// By how much it misses them, in thousandths: bytes, moves, makespan.
    #[must_use]
    pub fn gap_permille(&self) -> [u64; 3] {
        self.bounds.gap_permille(self.figures())
    }

    /// Every step with its time and its reason.
    #[must_use]
    pub fn steps(&self) -> &[PlanStep] {
        &self.steps
    }

    /// Hosts that need the patch and do not get it.
    #[must_use]
    pub fn left_out(&self) -> &[HostLeftOut] {
        &self.checked.roll().left_out
    }

    /// What other rolls cost that are better at something else, the fewest bytes first.
    #[must_use]
    pub fn others(&self) -> &[Figures] {
        &self.others
    }

    /// When which host is down, what moves where, and what is free at each instant, as a picture for light and dark
    /// pages.
    #[must_use]
    pub fn svg(&self) -> String {
        picture::svg(self)
    }

    /// The stored form: everything, also what can be worked out from the rest.
    ///
    /// # Errors
    /// As [`digest::canonical_json`](crate::digest::canonical_json).
    pub fn to_json(&self) -> Result<String> {
        crate::digest::canonical_json(&Stored {
            schema: Self::SCHEMA.to_owned(),
            objective: self.objective,
            figures: self.figures().clone(),
            bounds: self.bounds,
            gap_permille: self.gap_permille(),
            steps: self.steps.clone(),
            left_out: self.left_out().to_vec(),
            partial: self.checked.roll().partial,
            others: self.others.clone(),
            cluster: self.cluster.clone(),
        })
    }

    /// Reads the stored form. No figure, time or sentence of it is believed: the steps are checked against the cluster
    /// again, and the rest is worked out anew.
    ///
    /// # Errors
    /// `InvalidInput`: not JSON, not such a plan, one of a newer version, or one whose steps break a rule.
    pub fn from_json(text: &str) -> Result<Self> {
        let stored: Stored =
            crate::stored::parse(text, Self::SCHEMA, "the plan of a roll", "roll.load")?;
        let steps = stored.steps.into_iter().map(|step| Step {
            action: step.action,
            needs: step.needs,
            not_before_ms: step.not_before_ms,
            reason: step.reason,
        });
        let roll = Roll {
            schema: Roll::SCHEMA.to_owned(),
            steps: steps.collect(),
            left_out: stored.left_out,
            partial: stored.partial,
        };
        Self::checked(stored.cluster, stored.objective, roll, stored.others)
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Stored).into()
    }
}
