//! From an inventory and a policy to a plan that a person can read and approve.
//!
//! Pure and deterministic: the same inputs give the same bytes. The [`Envelope`] is what people sign, the
//! [`Schedule`] is how it is carried out inside the envelope; [`LeftOut`] says what is not in the plan and why.

mod aim;
mod deny;
mod diff;
mod explain;
mod file;
mod floors;
mod left_out;
mod order;
mod pieces;
mod planner;
mod refuse;
mod remarks;
pub mod roll;
mod select;
mod shared;
mod sorted;
mod target;
pub(crate) mod text;
mod timetable;
mod waves;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use deny::Denial;
#[cfg(feature = "sqlite")]
pub(crate) use deny::denied;
pub use diff::PlanDiff;
pub use explain::Explanation;
pub use left_out::{LeftOut, PatchLeftOut, WhyLeftOut, WhyPatchLeftOut};
#[cfg(feature = "sqlite")]
pub(crate) use pieces::Reading;
pub use planner::{PlanInput, plan};
#[cfg(feature = "sqlite")]
pub(crate) use shared::Seen;
pub use shared::Shared;
pub use target::{PlannedBracket, PlannedCheck, RebootRule, Target};

use crate::{
    error::Result,
    estate::{Busy, Tool},
    id::{ComponentId, EstateName, GroupName, PersonId, ProviderName, RingName, WindowName},
    policy::{ApprovalRules, Blackout, OnFail, StartAfter, Window},
};

/// A pointer into the organisation's own systems: a change ticket, a compatibility attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reference {
    /// Which system, such as `servicenow`.
    pub system: String,
    /// The id there, such as `CHG-4711`.
    pub id: String,
    /// Its state there when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The digest of what was referred to, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The rules of one ring, with its budget as a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RingRules {
    /// Its name.
    pub name: RingName,
    /// How many may be out of service at once.
    pub at_once: usize,
    /// How many of its components have nothing to do and count as healthy for `start_after`.
    pub up_to_date: usize,
    /// How long it is watched before the next one starts.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub soak: Duration,
    /// What must hold of an earlier ring before this one starts.
    pub start_after: Option<StartAfter>,
    /// In which window; none: any of the policy's.
    pub window: Option<WindowName>,
    /// Whether it needs an approval of its own, bound to the evidence of the rings before.
    pub needs_approval: bool,
}

/// A redundancy group as far as the plan touches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupFloor {
    /// Its name.
    pub name: GroupName,
    /// How many of its members stay up at every instant.
    pub keep_up: usize,
    /// All its members.
    pub members: Vec<ComponentId>,
    /// Members that count as down already: nobody could say that they are up.
    pub down_already: Vec<ComponentId>,
}

impl GroupFloor {
    /// How many more members may go down.
    #[must_use]
    pub fn may_go_down(&self) -> usize {
        self.members
            .len()
            .saturating_sub(self.keep_up)
            .saturating_sub(self.down_already.len())
    }
}

/// What may happen: this is what people sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// Whose estate.
    pub estate: EstateName,
    /// Who asked for it; never one of its approvers.
    pub requested_by: PersonId,
    /// When the plan was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// After this moment nothing new starts under this plan.
    #[schemars(with = "String")]
    pub expires: Timestamp,
    /// The policy's name.
    pub policy: String,
    /// The digest of the policy's content.
    pub policy_digest: String,
    /// Pointers into the organisation's own systems.
    pub references: Vec<Reference>,
    /// Who approves.
    pub approval: ApprovalRules,
    /// The rings in order.
    pub rings: Vec<RingRules>,
    /// Every component that may be touched, and exactly how; ordered by name.
    pub targets: Vec<Target>,
    /// When work may happen.
    pub windows: Vec<Window>,
    /// When never.
    pub blackouts: Vec<Blackout>,
    /// Floors that hold at every instant.
    pub groups: Vec<GroupFloor>,
    /// Other names under which providers know the targets and the members of the groups, each with the name that it has
    /// here: who drains a cluster may call a machine otherwise than who patches its system.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<ComponentId, ComponentId>,
    /// What happens when a component fails.
    pub on_fail: OnFail,
    /// Findings left unpatched under an exception.
    pub exceptions: Vec<PatchLeftOut>,
}

impl Envelope {
    /// One component's target.
    #[must_use]
    pub fn target(&self, component: &ComponentId) -> Option<&Target> {
        let at = self
            .targets
            .binary_search_by(|t| t.component.cmp(component))
            .ok()?;
        self.targets.get(at)
    }

    /// The name that a component has here, by any that a provider has for it.
    #[must_use]
    pub fn named<'a>(&'a self, known_as: &'a ComponentId) -> &'a ComponentId {
        self.names.get(known_as).unwrap_or(known_as)
    }

    /// The digest that approvals are bound to.
    ///
    /// # Errors
    /// As [`digest::digest_of`](crate::digest::digest_of).
    pub fn digest(&self) -> Result<String> {
        self.digest_in_pieces()
    }
}

/// Components that move together; the next wave waits until all of them are back in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// Who.
    pub components: Vec<ComponentId>,
    /// When it starts at the earliest; none where the policy names no window yet.
    #[schemars(with = "Option<String>")]
    pub starts: Option<Timestamp>,
    /// How long it takes in half of the cases.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p50: Duration,
    /// How long it takes in 95 % of the cases; it starts only where this fits into the window.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p95: Duration,
}

/// One ring's waves and its soak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingSchedule {
    /// Which.
    pub ring: RingName,
    /// Its waves in order.
    pub waves: Vec<Wave>,
    /// When its soak ends at the earliest.
    #[schemars(with = "Option<String>")]
    pub soak_until: Option<Timestamp>,
}

/// How the envelope is carried out. It may be replaced inside the envelope; it never shortens what that says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// The rings in order.
    pub rings: Vec<RingSchedule>,
    /// Working time in half of the cases: all waves after each other, without waiting for windows and soaks.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p50: Duration,
    /// Working time in 95 % of the cases, where every wave is as slow as that.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p95: Duration,
    /// When the last soak ends at the earliest.
    #[schemars(with = "Option<String>")]
    pub ends: Option<Timestamp>,
}

/// Components that go one step after the other, each step back in service before the next begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// The steps in order.
    pub steps: Vec<Vec<ComponentId>>,
    /// The rule that asks for it: `app "shop": tier = db, then tier = web`.
    pub because: String,
}

/// Whether a remark stops the plan.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing before signing.
    Warning,
    /// The plan cannot run as it is.
    CannotRun,
}

/// What the linter noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// Whether it stops the plan.
    pub severity: Severity,
    /// What and where.
    pub text: String,
}

/// An immutable plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Plan {
    /// Which schema this is: `patchcore.plan/1`.
    pub schema: String,
    /// What may happen.
    pub envelope: Envelope,
    /// How.
    pub schedule: Schedule,
    /// Components that are not in the plan, and why; ordered by name.
    pub left_out: Vec<LeftOut>,
    /// Patches that are not in the plan of a component, and why.
    pub patches_left_out: Vec<PatchLeftOut>,
    /// Which components wait for which, and by which rule; [`Target::after`] is what follows from it.
    #[serde(default)]
    pub order: Vec<Chain>,
    /// Targets that somebody else holds now; they start when free, while the window is open.
    pub busy: BTreeMap<ComponentId, Busy>,
    /// When the oldest scan behind this plan was read.
    #[schemars(with = "Option<String>")]
    pub scanned: Option<Timestamp>,
    /// When the oldest catalogue behind it was fetched, for each tool that says.
    #[schemars(with = "BTreeMap<String, String>")]
    pub catalogue_as_of: BTreeMap<ProviderName, Timestamp>,
    /// The tools that would act.
    pub tools: BTreeMap<ProviderName, Tool>,
    /// What the linter noticed.
    pub remarks: Vec<Remark>,
    /// How many components were found.
    pub found: usize,
}

impl Plan {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.plan/1";

    /// When what a component borrows now should be given back: an hour after the planned end of its ring's soak, or,
    /// where that is later, after a slow work of its own and the soak from now on.
    #[cfg(feature = "sqlite")]
    pub(crate) fn give_back_by(&self, target: &Target, now: Timestamp) -> Option<Timestamp> {
        use crate::clock::later;
        const GIVING_BACK: Duration = Duration::from_secs(3600);
        let rules = self.envelope.rings.iter().find(|r| r.name == target.ring)?;
        let rings = &self.schedule.rings;
        let planned = rings.iter().find(|r| r.ring == target.ring);
        let own = later(later(now, target.takes.p95), rules.soak);
        let end = own.max(planned.and_then(|r| r.soak_until).unwrap_or(own));
        Some(later(end, GIVING_BACK))
    }

    /// The first eight digits of the envelope's digest: what people call the plan.
    #[must_use]
    pub fn id(&self) -> String {
        self.envelope
            .digest()
            .map(|digest| Self::id_of(&digest))
            .unwrap_or_default()
    }

    /// What people call the plan whose envelope has this digest.
    pub(crate) fn id_of(digest: &str) -> String {
        digest.chars().take(8).collect()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.envelope.targets.is_empty()
    }

    /// The digest of everything: envelope, schedule and what is left out.
    ///
    /// # Errors
    /// As [`digest::digest_of`](crate::digest::digest_of).
    pub fn digest(&self) -> Result<String> {
        self.digest_in_pieces()
    }

    /// The stored form.
    ///
    /// # Errors
    /// As [`digest::canonical_json`](crate::digest::canonical_json).
    pub fn to_json(&self) -> Result<String> {
        self.written()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// `InvalidInput`: not JSON, not a plan, or a plan of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        crate::stored::parse(text, Self::SCHEMA, "a plan", "plan.load").map(Self::sharing)
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }
}

/// A time as the text of this plan writes it: in the zone of its first window that has one.
pub(crate) fn time_words(envelope: &Envelope, at: Timestamp) -> String {
    text::Times::of(envelope, None).at(at)
}
