//! The rules of an organisation: who approves, when work may happen, what is taken, in which
//! steps it goes out, and what happens when something fails.
//!
//! A policy is read from TOML or JSON, or built in code. Everything has a stated default: an empty
//! policy plans, and [`Policy::lacks`] says what it needs before a plan made by it may run.

mod approval;
mod around;
mod budget;
mod calendar;
mod check;
mod cross_check;
mod digest;
mod duration;
mod exception;
mod file;
mod glob;
#[cfg(test)]
mod guide;
mod lack;
mod limit;
#[cfg(test)]
mod mistakes;
mod on_fail;
mod order;
mod patches;
mod percent;
mod reboot;
mod recurrence;
mod ring;
mod schema;
mod selector;
mod time_of_day;
mod vocabulary;
mod window;
mod word;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use approval::ApprovalRules;
pub use around::{Around, AroundWhat};
pub use budget::{Budget, Tolerance};
pub use calendar::{Calendar, ClosedBecause, Gate, Opening};
pub use check::{Check, CheckKind};
pub use duration::{duration_words, parse_duration};
pub use exception::ExceptionRule;
pub use glob::Glob;
pub use lack::Lack;
pub use limit::{Limit, Most};
pub use on_fail::{KindTolerance, OnComponentFailure, OnFail};
pub use order::Order;
pub use patches::{PatchClass, PatchRules};
pub use percent::Percent;
pub use reboot::{PendingReboot, RebootRules, RebootWhen};
pub use recurrence::{NthWeekday, Recurrence, Weekdays};
pub use ring::{Ring, StartAfter};
pub use schema::schema;
pub use selector::{Selector, SelectorError};
pub use time_of_day::{parse_time_of_day, time_of_day_words};
pub use window::{Blackout, Window};
pub use word::WordError;

use crate::{
    document::{Place, Places},
    id::PersonId,
};

/// The rules by which a plan is made. The field order is that of the file.
///
/// `Deserialize` takes what patchcore stored as it is; what people wrote is read by
/// [`Policy::from_file`] and its kin, which check it and know its places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The version of the vocabulary. Default and only version: 1.
    #[serde(rename = "policy")]
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// What people call it. Default `unnamed`.
    pub name: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PersonId")]
    pub owner: Option<PersonId>,
    /// Who must agree before a plan may run.
    pub approval: ApprovalRules,
    /// When work may happen. Default never.
    #[serde(rename = "window")]
    pub windows: Vec<Window>,
    /// When no work happens, whatever windows say. Default none.
    #[serde(rename = "blackout")]
    pub blackouts: Vec<Blackout>,
    /// Which patches are taken.
    pub patches: PatchRules,
    /// What is left out. Default nothing.
    #[serde(rename = "exception")]
    pub exceptions: Vec<ExceptionRule>,
    /// The steps of the rollout, in order. Default one ring of everything, see
    /// [`Policy::effective_rings`].
    #[serde(rename = "ring")]
    pub rings: Vec<Ring>,
    /// What goes before what. Default nothing.
    pub order: Vec<Order>,
    /// How many of what belongs together stay in service. Default as the estate's redundancy groups say.
    #[serde(rename = "limit", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// How components show that they are healthy. Default by what the providers observe alone.
    #[serde(rename = "check")]
    pub checks: Vec<Check>,
    /// What is held around a change, and given back when the component is healthy again. Default nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<Around>,
    /// What happens when a component fails.
    pub on_fail: OnFail,
    /// When components are rebooted.
    pub reboot: RebootRules,
    #[serde(skip)]
    #[schemars(skip)]
    places: Places,
}

impl Default for Policy {
    fn default() -> Self {
        Self::named("unnamed")
    }
}

impl Policy {
    /// A policy with the stated defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            version: 1,
            name: name.into(),
            owner: None,
            approval: ApprovalRules::default(),
            windows: Vec::new(),
            blackouts: Vec::new(),
            patches: PatchRules::default(),
            exceptions: Vec::new(),
            rings: Vec::new(),
            order: Vec::new(),
            limits: Vec::new(),
            checks: Vec::new(),
            around: Vec::new(),
            on_fail: OnFail::default(),
            reboot: RebootRules::default(),
            places: Places::default(),
        }
    }

    /// Who answers for it.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<PersonId>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Who must agree before a plan may run.
    #[must_use]
    pub fn with_approval(mut self, approval: ApprovalRules) -> Self {
        self.approval = approval;
        self
    }

    /// One more window.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// One more blackout.
    #[must_use]
    pub fn with_blackout(mut self, blackout: Blackout) -> Self {
        self.blackouts.push(blackout);
        self
    }

    /// Which patches are taken.
    #[must_use]
    pub fn with_patches(mut self, patches: PatchRules) -> Self {
        self.patches = patches;
        self
    }

    /// One more exception.
    #[must_use]
    pub fn with_exception(mut self, exception: ExceptionRule) -> Self {
        self.exceptions.push(exception);
        self
    }

    /// One more ring, after those there are.
    #[must_use]
    pub fn with_ring(mut self, ring: Ring) -> Self {
        self.rings.push(ring);
        self
    }

    /// Something more that is held around a change.
    #[must_use]
    pub fn with_around(mut self, around: Around) -> Self {
        self.around.push(around);
        self
    }

    /// One more order.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order.push(order);
        self
    }

    /// One more limit.
    #[must_use]
    pub fn with_limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// One more check.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// What happens when a component fails.
    #[must_use]
    pub fn with_on_fail(mut self, on_fail: OnFail) -> Self {
        self.on_fail = on_fail;
        self
    }

    /// When components are rebooted.
    #[must_use]
    pub fn with_reboot(mut self, reboot: RebootRules) -> Self {
        self.reboot = reboot;
        self
    }

    /// The rings of the policy, or where it has none, one ring `all` of everything with the
    /// defaults of a ring.
    #[must_use]
    pub fn effective_rings(&self) -> Vec<Ring> {
        if self.rings.is_empty() {
            vec![Ring::new("all", Selector::all())]
        } else {
            self.rings.clone()
        }
    }

    /// What it lacks before a plan made by it may run.
    #[must_use]
    pub fn lacks(&self) -> Vec<Lack> {
        let approvers = self.approval.from.is_empty().then_some(Lack::Approvers);
        let window = self.windows.is_empty().then_some(Lack::Window);
        approvers.into_iter().chain(window).collect()
    }

    /// Where an item stands in what the user wrote, by JSON pointer such as `/ring/1/start_after`;
    /// `None` for what was not written.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Option<&Place> {
        self.places.get(pointer)
    }
}
