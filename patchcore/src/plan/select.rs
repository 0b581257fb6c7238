//! Which patches of an offer go into a plan.

use jiff::Timestamp;

use super::{Denial, PatchLeftOut, WhyLeftOut, WhyPatchLeftOut, deny};
use crate::{
    estate::{Available, Component, Finding, Patch},
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
    finding: &Finding,
    offer: &Available,
    policy: &Policy,
    denials: &[Denial],
    now: Timestamp,
) -> Selection {
    let mut taken = Vec::new();
    let mut left = Vec::new();
    let there = |patch: &Patch| finding.scan.installed.get(&patch.id);
    // A tool may go on offering what is in already, as simple ones do: that is no work.
    for patch in offer.patches.iter().filter(|p| there(p) != Some(&p.to)) {
        let mut patch = patch.clone();
        // Whoever does not say from where it goes means what the scan shows.
        if patch.from.is_none() {
            patch.from = there(&patch).cloned();
        }
        match why_not(component, &patch, policy, denials, now) {
            None => taken.push(patch),
            Some(reason) => left.push(PatchLeftOut {
                component: component.id.clone(),
                patch: patch.id,
                from: patch.from,
                to: Some(patch.to),
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
    // By everything, so that the order in which a tool answers leaves no trace.
    left.sort_by_cached_key(|l| {
        let reason = serde_json::to_string(&l.reason).unwrap_or_default();
        (l.patch.clone(), l.to.clone(), l.from.clone(), reason)
    });
    Selection { taken, left }
}

/// Why a component of whose offer nothing was taken is left out: the reason that most needs a person.
pub(super) fn why_nothing(left: &[PatchLeftOut]) -> WhyLeftOut {
    let has = |is: fn(&WhyPatchLeftOut) -> bool| left.iter().any(|l| is(&l.reason));
    if has(|r| matches!(r, WhyPatchLeftOut::Excepted { .. })) {
        WhyLeftOut::Excepted
    } else if has(|r| matches!(r, WhyPatchLeftOut::Denied { .. })) {
        WhyLeftOut::Denied
    } else if has(|r| matches!(r, WhyPatchLeftOut::Recalled { .. })) {
        WhyLeftOut::Recalled
    } else if has(|r| matches!(r, WhyPatchLeftOut::KeptBack { .. })) {
        WhyLeftOut::KeptBack
    } else if has(|r| matches!(r, WhyPatchLeftOut::ClassNotTaken { .. })) {
        WhyLeftOut::NotTaken
    } else {
        WhyLeftOut::NothingToDo
    }
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

/// An exception holds to the end of its last day, in UTC.
fn applies(rule: &ExceptionRule, component: &Component, patch: &Patch, now: Timestamp) -> bool {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    today <= rule.until
        && rule.pattern.matches(patch.id.as_str())
        && rule
            .select
            .as_ref()
            .is_none_or(|select| select.matches(&|key: &str| component.fact(key)))
}
