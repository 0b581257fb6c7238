//! From a component and what is taken of its offer to its target.

use std::{collections::BTreeSet, time::Duration};

use super::{PlanInput, PlannedBracket, PlannedCheck, RebootRule, Target, floors::limited_by};
use crate::{
    error::{Error, ErrorKind},
    estate::{Component, Estimate, Finding, Impact, Inventory, Patch, Scan, WayBack},
    id::{ComponentId, GroupName, Version},
    policy::{Around, CheckKind, PendingReboot, Policy, RebootWhen, Ring},
    provider::{BracketKind, ProbeKind},
};

/// Applying takes this long where the tool does not say: ten minutes is twice what a large package set took
/// in the lab, and half an hour covers a slow mirror.
const APPLY: Estimate = Estimate::new(Duration::from_secs(10 * 60), Duration::from_secs(30 * 60));

/// A restart takes this long where the tool does not say: a physical server with much memory needs ten minutes.
const RESTART: Estimate = Estimate::new(Duration::from_secs(3 * 60), Duration::from_secs(15 * 60));

/// What is held around a change is held this much longer than a slow change takes: others are waited for in between,
/// and what lets go by itself should not do so before it is given back.
const GIVING_BACK: Duration = Duration::from_secs(3600);

/// What was wrong with a component before anybody came.
pub(super) fn unhealthy<'a>(
    id: &'a ComponentId,
    scan: &'a Scan,
) -> impl Iterator<Item = Error> + 'a {
    scan.unhealthy.iter().map(move |fault| {
        Error::new(ErrorKind::Unhealthy, format!("{id}: {}", fault.what)).hint(fault.remedy.clone())
    })
}

/// A component's target, or everything that is in its way at once.
pub(super) fn target(
    input: &PlanInput<'_>,
    component: &Component,
    ring: &Ring,
    finding: &Finding,
    patches: Vec<Patch>,
) -> Result<Target, Vec<Error>> {
    let PlanInput {
        inventory, policy, ..
    } = *input;
    let id = &component.id;
    let scan = &finding.scan;
    let can = |verb: &str| {
        inventory
            .tools
            .get(&finding.tool)
            .is_some_and(|tool| tool.can.contains(verb))
    };
    let mut errors: Vec<Error> = unhealthy(id, scan).collect();

    contradictions(component, &patches, finding, &mut errors);
    let impact = patches
        .iter()
        .map(Patch::assumed_impact)
        .max()
        .unwrap_or(Impact::Reboot);
    let reboot = match policy.reboot.when {
        RebootWhen::Never => RebootRule::Never,
        RebootWhen::Always => RebootRule::Always,
        _ => RebootRule::WhenNeeded,
    };
    let mut reboot_expected = match reboot {
        RebootRule::Never => false,
        RebootRule::Always => true,
        RebootRule::WhenNeeded => impact >= Impact::Reboot,
    };
    let mut reboot_first = false;
    let pending = scan.reboot_wanted.as_deref();
    if pending != Some(&[]) {
        let what = match pending {
            None => "nobody can say whether a restart is pending".to_owned(),
            Some(wants) => format!("a restart is pending already: {}", wants.join(", ")),
        };
        match policy.reboot.pending_before {
            PendingReboot::RebootFirst => reboot_first = true,
            PendingReboot::FoldIn => reboot_expected = reboot != RebootRule::Never,
            _ => errors.push(
                Error::new(ErrorKind::Unhealthy, format!("{id}: {what}"))
                    .hint("restart it and plan again, or set pending_before = \"reboot_first\" or \"fold_in\" in [reboot]"),
            ),
        }
    }
    // A tool that restarts what it patches is asked for nothing more; the scan after it says whether it did.
    let by_itself = !can("reboot") && can("restart_with_apply");
    let reboot = match reboot {
        RebootRule::WhenNeeded if by_itself => RebootRule::Never,
        rule => rule,
    };
    let asked_for = reboot != RebootRule::Never && reboot_expected;
    let refused = match &scan.restart_refused {
        _ if !can("reboot") => Some(format!("{} cannot restart it", finding.tool)),
        Some(why) => Some(format!("{} does not restart it: {why}", finding.tool)),
        None => None,
    };
    if let (true, Some(refused)) = (asked_for || reboot_first, refused) {
        errors.push(
            Error::new(
                ErrorKind::Unsupported,
                format!("{id}: a restart is needed and {refused}"),
            )
            .hint("set when = \"never\" in [reboot] and restart it by hand afterwards"),
        );
    }

    let checks = checks(inventory, policy, component, &mut errors);
    let mut around = around(inventory, policy, component, &mut errors);
    let steady = checks.iter().map(|c| c.steady).max().unwrap_or_default();
    // It may take all of `within` to become healthy, and must then stay so.
    let longest = checks
        .iter()
        .map(|c| c.within + c.steady)
        .max()
        .unwrap_or_default();
    let apply = scan.takes.unwrap_or(APPLY);
    let restart = scan.restart_takes.unwrap_or(RESTART);
    let restarts = u32::from(reboot_expected) + u32::from(reboot_first);
    if !errors.is_empty() {
        return Err(errors);
    }
    let rolls_back = can("roll_back");
    let p50 = apply.p50 + restart.p50 * restarts + steady;
    let takes = Estimate::new(p50, p50.max(apply.p95 + restart.p95 * restarts + longest));
    Ok(Target {
        component: id.clone(),
        ring: ring.name.clone(),
        tool: finding.tool.clone(),
        known_as: finding.known_as.clone(),
        patches: patches.into(),
        stages: can("stage"),
        rolls_back,
        reboot,
        reboot_expected,
        reboot_first,
        way_back: match &scan.way_back {
            Some(way_back) if rolls_back => way_back.clone(),
            None if rolls_back => WayBack::None {
                why: format!("{} does not know one", finding.tool),
            },
            _ => WayBack::None {
                why: format!("{} cannot put earlier versions back", finding.tool),
            },
        },
        checks: checks.into(),
        around: {
            // The way there, and where it fails the way back.
            around
                .iter_mut()
                .for_each(|b| b.at_least = takes.p95 * 2 + GIVING_BACK);
            around
        },
        after: Vec::new(),
        groups: groups(inventory, policy, component),
        takes,
    })
}

/// An offer must fit the scan and itself: nothing is left for execution to choose.
fn contradictions(
    component: &Component,
    patches: &[Patch],
    finding: &Finding,
    errors: &mut Vec<Error>,
) {
    let id = &component.id;
    let scan = &finding.scan;
    for pair in patches.windows(2) {
        if let [one, other] = pair
            && one.id == other.id
        {
            errors.push(
                Error::new(ErrorKind::ProviderFault, format!("{id}: {} is on offer twice", one.id))
                    .expected("one version")
                    .found(format!("{} and {}", one.to, other.to))
                    .hint("leave one of them out with an exception, and report it to the author of the provider"),
            );
        }
    }
    // A tool that offers what is there beside something else would be led back and forth for ever.
    let offered = finding.available.iter().flat_map(|offer| &offer.patches);
    for there in offered.filter(|p| scan.installed.get(&p.id) == Some(&p.to)) {
        if let Some(other) = patches.iter().find(|p| p.id == there.id) {
            errors.push(
                Error::new(
                    ErrorKind::ProviderFault,
                    format!("{id}: {} is on offer twice", there.id),
                )
                .expected("one version")
                .found(format!(
                    "{} and {}, which is there already",
                    other.to, there.to
                ))
                .hint("report it to the author of the provider"),
            );
        }
    }
    let words = |v: Option<&Version>| v.map_or_else(|| "absent".to_owned(), ToString::to_string);
    for patch in patches {
        let there = scan.installed.get(&patch.id);
        if patch.from.as_ref() != there {
            errors.push(
                Error::new(
                    ErrorKind::PlanDrift,
                    format!("{id}: the offer and the scan of {} differ", patch.id),
                )
                .expected(format!("{} as the offer says", words(patch.from.as_ref())))
                .found(format!("{} in the scan", words(there)))
                .hint("somebody may be changing it just now: plan again"),
            );
        }
    }
}

/// Its groups by either side's word, and those of the policy: a floor that only one of them knows of holds too.
fn groups(inventory: &Inventory, policy: &Policy, component: &Component) -> Vec<GroupName> {
    let listed = inventory
        .groups
        .values()
        .filter(|g| g.members.contains(&component.id))
        .map(|g| g.name.clone());
    let all: BTreeSet<GroupName> = component
        .groups
        .iter()
        .cloned()
        .chain(listed)
        .chain(limited_by(policy, component))
        .collect();
    all.into_iter().collect()
}

fn checks(
    inventory: &Inventory,
    policy: &Policy,
    component: &Component,
    errors: &mut Vec<Error>,
) -> Vec<PlannedCheck> {
    let mut planned = Vec::new();
    for check in &policy.checks {
        if !check.select.matches(&|key: &str| component.fact(key)) {
            continue;
        }
        let kind = match &check.kind {
            CheckKind::Http(url) => {
                let Some(url) = fill(url, component) else {
                    errors.push(
                        Error::new(
                            ErrorKind::InvalidInput,
                            format!("{}: its http check needs an address", component.id),
                        )
                        .found("no address in the inventory")
                        .hint("give it an address, or write the check with a url that needs none"),
                    );
                    continue;
                };
                ProbeKind::Http { url }
            }
            CheckKind::Command(argv) => ProbeKind::Command { argv: argv.clone() },
        };
        match inventory.probes.get(kind.slug()) {
            Some(by) => planned.push(PlannedCheck {
                kind,
                by: by.clone(),
                within: check.within,
                steady: check.steady,
            }),
            None => errors.push(
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "{}: no provider of this estate can run {} checks",
                        component.id,
                        kind.slug()
                    ),
                )
                .hint("add one that does, or take the check out of the policy"),
            ),
        }
    }
    planned
}

fn around(
    inventory: &Inventory,
    policy: &Policy,
    component: &Component,
    errors: &mut Vec<Error>,
) -> Vec<PlannedBracket> {
    let mut planned: Vec<PlannedBracket> = Vec::new();
    let selected = |around: &&Around| around.select.matches(&|key: &str| component.fact(key));
    for around in policy.around.iter().filter(selected) {
        let (kind, by) = (around.what.kind(), around.what.by());
        let can = |kinds: &BTreeSet<BracketKind>| kinds.contains(&kind);
        if !inventory.brackets.get(by).is_some_and(can) {
            let others = inventory.brackets.iter().filter(|(_, kinds)| can(kinds));
            let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
            errors.push(
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "{}: {} = \"{by}\" in [[around]], and no provider of that name can do it",
                        component.id,
                        kind.slug()
                    ),
                )
                .expected(format!("a provider {by} with that bracket"))
                .found(match others.as_slice() {
                    [] => "none of this estate has it".to_owned(),
                    others => format!("only {} of this estate", others.join(", ")),
                })
                .hint(format!(
                    "add it: Estate::named(…).with({by}), or take it out of the policy"
                )),
            );
            continue;
        }
        if planned.iter().any(|p| p.kind == kind && p.by == *by) {
            continue;
        }
        let findings = inventory.findings.get(&component.id).into_iter().flatten();
        let mut known_as = findings.filter(|f| f.tool == *by).map(|f| &f.known_as);
        planned.push(PlannedBracket {
            kind,
            by: by.clone(),
            known_as: known_as.next().unwrap_or(&component.id).clone(),
            at_least: Duration::ZERO,
        });
    }
    planned
}

/// Fills `{address}` and `{name}` in; none where a value is missing or would change the URL's shape.
fn fill(url: &str, component: &Component) -> Option<String> {
    let plain = |value: &str| {
        value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
    };
    let mut filled = url.to_owned();
    for (key, value) in [
        ("{address}", component.address.as_deref()),
        ("{name}", Some(component.id.as_str())),
    ] {
        if filled.contains(key) {
            filled = filled.replace(key, value.filter(|v| plain(v))?);
        }
    }
    Some(filled)
}
