//! Which patches of an offer go into a plan.

use jiff::Timestamp;

use super::{Denial, PatchLeftOut, WhyPatchLeftOut, deny};
use crate::{
    estate::{Available, Component, Patch},
    policy::{ExceptionRule, Policy},
};

/// What is taken of an offer, and what is left out with its reason. Ordered by name.
pub(super) struct Selection {
    pub(super) taken: Vec<Patch>,
    pub(super) left: Vec<PatchLeftOut>,
}

/// Splits an offer by the policy's rules.
pub(super) fn select(
    component: &Component,
    offer: &Available,
    policy: &Policy,
    denials: &[Denial],
    now: Timestamp,
) -> Selection {
    let mut taken = Vec::new();
    let mut left = Vec::new();
    for patch in &offer.patches {
        match why_not(component, patch, policy, denials, now) {
            None => taken.push(patch.clone()),
            Some(reason) => left.push(PatchLeftOut {
                component: component.id.clone(),
                patch: patch.id.clone(),
                from: patch.from.clone(),
                to: Some(patch.to.clone()),
                reason,
            }),
        }
    }
    for kept in &offer.kept_back {
        left.push(PatchLeftOut {
            component: component.id.clone(),
            patch: kept.patch.clone(),
            from: kept.from.clone(),
            to: kept.to.clone(),
            reason: WhyPatchLeftOut::KeptBack {
                reason: kept.reason.clone(),
            },
        });
    }
    taken.sort();
    left.sort_by(|a, b| (&a.patch, &a.to).cmp(&(&b.patch, &b.to)));
    Selection { taken, left }
}

/// The most serious reason first: what its vendor took back stays out also where an exception would say so.
fn why_not(
    component: &Component,
    patch: &Patch,
    policy: &Policy,
    denials: &[Denial],
    now: Timestamp,
) -> Option<WhyPatchLeftOut> {
    if let Some(because) = &patch.recalled {
        return Some(WhyPatchLeftOut::Recalled {
            because: because.clone(),
        });
    }
    if let Some(denial) = deny::denied(patch, denials) {
        return Some(WhyPatchLeftOut::Denied {
            denial: denial.clone(),
        });
    }
    if let Some(rule) = policy
        .exceptions
        .iter()
        .find(|rule| applies(rule, component, patch, now))
    {
        return Some(WhyPatchLeftOut::Excepted {
            because: rule.because.clone(),
            risk_owner: rule.risk_owner.clone(),
            approver: rule.approver.clone(),
            compensating: rule.compensating.clone(),
            until: rule.until,
        });
    }
    (!policy.patches.take.contains(&patch.class))
        .then_some(WhyPatchLeftOut::ClassNotTaken { class: patch.class })
}

/// An exception holds to the end of its last day, in the last zone on Earth where that day ends.
fn applies(rule: &ExceptionRule, component: &Component, patch: &Patch, now: Timestamp) -> bool {
    let today = now
        .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(-12)))
        .date();
    today <= rule.until
        && rule.pattern.matches(patch.id.as_str())
        && rule
            .select
            .as_ref()
            .is_none_or(|select| select.matches(&|key: &str| component.fact(key)))
}
