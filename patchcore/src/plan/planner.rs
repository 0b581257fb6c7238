//! The planner itself: each step of [`plan`] is one sentence of the policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Denial, Envelope, GroupFloor, LeftOut, PatchLeftOut, Plan, PlannedCheck, RebootRule, Reference,
    Remark, RingRules, RingSchedule, Severity, Target, WhyLeftOut, WhyPatchLeftOut, order, select,
    timetable, waves,
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure, Result},
    estate::{Busy, Component, Estimate, Finding, Impact, Inventory, WayBack},
    id::{ComponentId, GroupName, PersonId, ProviderName},
    policy::{CheckKind, PendingReboot, Policy, RebootWhen, Ring},
    provider::ProbeKind,
};

/// Applying takes this long where the tool does not say: ten minutes is twice what a large package set took
/// in the lab, and half an hour covers a slow mirror.
const APPLY: Estimate = Estimate::new(Duration::from_secs(10 * 60), Duration::from_secs(30 * 60));

/// A restart takes this long where the tool does not say: a physical server with much memory needs ten minutes.
const RESTART: Estimate = Estimate::new(Duration::from_secs(3 * 60), Duration::from_secs(15 * 60));

/// Everything a plan is made from.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// The estate as it was found.
    pub inventory: &'a Inventory,
    /// The organisation's rules.
    pub policy: &'a Policy,
    /// Who asks.
    pub requested_by: &'a PersonId,
    /// The time now.
    pub now: Timestamp,
    /// What earlier runs rolled back.
    pub denials: &'a [Denial],
    /// Pointers into the organisation's own systems.
    pub references: &'a [Reference],
}

/// Makes a plan.
///
/// # Errors
/// - `InvalidInput`: the policy contradicts itself, selects nothing, or has a ring that can never start.
/// - `Cycle`: the order that policy and estate ask for runs in a circle, or against the rings.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan> {
    let PlanInput {
        inventory,
        policy,
        now,
        ..
    } = *input;
    policy.check()?;
    let rings = policy.effective_rings();
    refuse_empty(inventory, policy, &rings)?;

    let mut sorted = sort_out(input, &rings);
    let groups = floors(inventory, &mut sorted);
    let planned: BTreeSet<ComponentId> = sorted.targets.keys().cloned().collect();
    let sequence = order::sequence(inventory, policy, &planned)?;
    for (component, before) in &sequence.before {
        if let Some(target) = sorted.targets.get_mut(component) {
            target.after = before.keys().cloned().collect();
            refuse_order_against_rings(&sorted.ring_of, component, before, &rings)?;
        }
    }

    let mut schedule_rings = Vec::new();
    for ring in &rings {
        let members: Vec<&Target> = sorted
            .targets
            .values()
            .filter(|t| t.ring == ring.name)
            .collect();
        let at_once = ring.at_once.of(members.len());
        schedule_rings.push((ring.name.clone(), waves::waves(&members, at_once, &groups)));
    }

    let ring_rules: Vec<RingRules> = rings
        .iter()
        .enumerate()
        .map(|(at, ring)| rules(at, ring, &sorted))
        .collect();
    refuse_rings_that_never_start(policy, &ring_rules, &sorted)?;

    let envelope = Envelope {
        estate: inventory.estate.clone(),
        requested_by: input.requested_by.clone(),
        made: now,
        expires: later(now, policy.approval.valid),
        policy: policy.name.clone(),
        policy_digest: policy.digest(),
        references: input.references.to_vec(),
        approval: policy.approval.clone(),
        rings: ring_rules,
        targets: sorted.targets.values().cloned().collect(),
        windows: policy.windows.clone(),
        blackouts: policy.blackouts.clone(),
        groups: groups.into_values().collect(),
        on_fail: policy.on_fail.clone(),
        exceptions: sorted
            .patches_left_out
            .iter()
            .filter(|p| matches!(p.reason, WhyPatchLeftOut::Excepted { .. }))
            .cloned()
            .collect(),
    };
    let schedule = timetable::schedule(&envelope, &policy.calendar()?, schedule_rings, now);
    let remarks = remarks(policy, &envelope, &schedule.rings, schedule.ends);
    let findings = || inventory.findings.values().flatten();
    let mut catalogue_as_of: BTreeMap<ProviderName, Timestamp> = BTreeMap::new();
    for finding in findings() {
        if let Some(at) = finding.available.as_ref().and_then(|a| a.catalogue_as_of) {
            catalogue_as_of
                .entry(finding.tool.clone())
                .and_modify(|oldest| *oldest = at.min(*oldest))
                .or_insert(at);
        }
    }
    let used: BTreeSet<&ProviderName> = envelope.targets.iter().map(|t| &t.tool).collect();
    let tools = inventory
        .tools
        .iter()
        .filter(|(name, _)| used.contains(name));
    Ok(Plan {
        schema: Plan::SCHEMA.to_owned(),
        tools: tools
            .map(|(name, tool)| (name.clone(), tool.clone()))
            .collect(),
        envelope,
        schedule,
        left_out: sorted
            .left_out
            .into_iter()
            .map(|(component, reason)| LeftOut { component, reason })
            .collect(),
        patches_left_out: sorted.patches_left_out,
        order: sequence.chains,
        busy: sorted.busy,
        scanned: findings().map(|f| f.scan.at).min(),
        catalogue_as_of,
        remarks,
        found: inventory.components.len(),
    })
}

/// Every component in exactly one place: a target, or left out with a reason.
#[derive(Default)]
struct Sorted {
    targets: BTreeMap<ComponentId, Target>,
    left_out: BTreeMap<ComponentId, WhyLeftOut>,
    patches_left_out: Vec<PatchLeftOut>,
    busy: BTreeMap<ComponentId, Busy>,
    /// The ring of each component that a ring selects, planned or not.
    ring_of: BTreeMap<ComponentId, usize>,
    /// Components of which nobody can say that they are up.
    down: BTreeSet<ComponentId>,
}

fn refuse_empty(inventory: &Inventory, policy: &Policy, rings: &[Ring]) -> Result<()> {
    if inventory.components.is_empty() {
        let mut error = Error::new(
            ErrorKind::InvalidInput,
            format!("estate {} has no components", inventory.estate),
        )
        .operation("plan")
        .consequence("nothing was planned")
        .hint("add a provider that lists some");
        if let Some(gap) = inventory.gaps.first() {
            error = error.found(format!("{}: {}", gap.provider, gap.failure));
        }
        return Err(error);
    }
    let selects = |component: &Component| {
        rings
            .iter()
            .any(|r| r.select.matches(&|key: &str| component.fact(key)))
    };
    if !inventory.components.values().any(selects) {
        let place = policy
            .place("/ring")
            .or_else(|| policy.place("/ring/0"))
            .map(|p| format!("{p}: "));
        let selectors: Vec<String> = rings
            .iter()
            .map(|r| format!("{} selects \"{}\"", r.name, r.select))
            .collect();
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{}policy {} selects none of the {} components",
                place.unwrap_or_default(),
                policy.name,
                inventory.components.len()
            ),
        )
        .operation("plan")
        .found(selectors.join(", "))
        .consequence("nothing was planned")
        .hint("correct the selectors, or end with a ring that selects \"*\""));
    }
    Ok(())
}

fn sort_out(input: &PlanInput<'_>, rings: &[Ring]) -> Sorted {
    let mut sorted = Sorted::default();
    for component in input.inventory.components.values() {
        let ring = rings
            .iter()
            .position(|r| r.select.matches(&|key: &str| component.fact(key)));
        if let Some(ring) = ring {
            sorted.ring_of.insert(component.id.clone(), ring);
        }
        match consider(
            input,
            component,
            ring.and_then(|r| rings.get(r)),
            &mut sorted,
        ) {
            Ok(target) => {
                sorted.targets.insert(component.id.clone(), target);
            }
            Err(reason) => {
                sorted.left_out.insert(component.id.clone(), reason);
            }
        }
    }
    sorted
}

/// One component: its target, or why it has none.
fn consider(
    input: &PlanInput<'_>,
    component: &Component,
    ring: Option<&Ring>,
    sorted: &mut Sorted,
) -> std::result::Result<Target, WhyLeftOut> {
    let PlanInput {
        inventory,
        policy,
        now,
        denials,
        ..
    } = *input;
    let gaps: Vec<Failure> = inventory
        .gaps
        .iter()
        .filter(|gap| gap.component.as_ref() == Some(&component.id))
        .map(|gap| gap.failure.clone())
        .collect();
    if !gaps.is_empty() {
        sorted.down.insert(component.id.clone());
    }
    let findings = inventory
        .findings
        .get(&component.id)
        .map_or(&[][..], Vec::as_slice);
    let finding = match findings {
        [] if gaps.is_empty() => return Err(WhyLeftOut::NotCovered),
        [] => return Err(WhyLeftOut::Blocked { reasons: gaps }),
        [finding] => finding,
        several => return Err(blocked([ambiguous(&component.id, several)])),
    };
    if !gaps.is_empty() {
        return Err(WhyLeftOut::Blocked { reasons: gaps });
    }
    let Some(offer) = &finding.available else {
        return Err(blocked([Error::new(
            ErrorKind::NotFound,
            format!("{}: nobody can say what is on offer for it", component.id),
        )
        .hint("add a provider that is a patch source for it")]));
    };
    let Some(ring) = ring else {
        return Err(WhyLeftOut::NotSelected);
    };

    let selection = select::select(component, offer, policy, denials, now);
    let left = &selection.left;
    let why_nothing = if left
        .iter()
        .any(|p| matches!(p.reason, WhyPatchLeftOut::Excepted { .. }))
    {
        WhyLeftOut::Excepted
    } else if left.iter().any(|p| {
        matches!(
            p.reason,
            WhyPatchLeftOut::Denied { .. } | WhyPatchLeftOut::Recalled { .. }
        )
    }) {
        WhyLeftOut::Denied
    } else {
        WhyLeftOut::NothingToDo
    };
    sorted
        .patches_left_out
        .extend(selection.left.iter().cloned());
    if selection.taken.is_empty() {
        return Err(why_nothing);
    }

    let target = target(input, component, ring, finding, selection.taken).map_err(|errors| {
        sorted.down.insert(component.id.clone());
        blocked(errors)
    })?;
    if let Some(busy) = &finding.scan.busy {
        sorted.busy.insert(component.id.clone(), busy.clone());
    }
    Ok(target)
}

fn blocked(errors: impl IntoIterator<Item = Error>) -> WhyLeftOut {
    WhyLeftOut::Blocked {
        reasons: errors.into_iter().map(|e| Failure::from(&e)).collect(),
    }
}

fn ambiguous(component: &ComponentId, findings: &[Finding]) -> Error {
    let tools: Vec<&str> = findings.iter().map(|f| f.tool.as_str()).collect();
    Error::new(
        ErrorKind::AmbiguousTool,
        format!("{component}: {} tools could act", findings.len()),
    )
    .expected("one tool")
    .found(tools.join(" and "))
    .hint("register only one of them, or take the component out of one of their inventories")
}

/// A component's target, or everything that is in its way at once.
fn target(
    input: &PlanInput<'_>,
    component: &Component,
    ring: &Ring,
    finding: &Finding,
    patches: Vec<crate::estate::Patch>,
) -> std::result::Result<Target, Vec<Error>> {
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
    let mut errors: Vec<Error> = scan
        .unhealthy
        .iter()
        .map(|fault| {
            Error::new(ErrorKind::Unhealthy, format!("{id}: {}", fault.what))
                .hint(fault.remedy.clone())
        })
        .collect();

    let impact = patches
        .iter()
        .map(crate::estate::Patch::assumed_impact)
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
    if (reboot_expected || reboot_first) && !can("reboot") {
        errors.push(
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{id}: a restart is needed and {} cannot restart it",
                    finding.tool
                ),
            )
            .hint("set when = \"never\" in [reboot] and restart it by hand afterwards"),
        );
    }

    let checks = checks(inventory, policy, component, &mut errors);
    let steady = checks.iter().map(|c| c.steady).max().unwrap_or_default();
    let within = checks.iter().map(|c| c.within).max().unwrap_or_default();
    let apply = scan.takes.unwrap_or(APPLY);
    let restart = scan.restart_takes.unwrap_or(RESTART);
    let restarts = u32::from(reboot_expected) + u32::from(reboot_first);
    if !errors.is_empty() {
        return Err(errors);
    }
    let rolls_back = can("roll_back");
    Ok(Target {
        component: id.clone(),
        ring: ring.name.clone(),
        tool: finding.tool.clone(),
        known_as: finding.known_as.clone(),
        patches,
        stages: can("stage"),
        rolls_back,
        reboot,
        reboot_expected,
        reboot_first,
        way_back: match &scan.way_back {
            Some(way_back) if rolls_back => way_back.clone(),
            Some(_) | None => WayBack::None {
                why: format!("{} does not know one", finding.tool),
            },
        },
        checks,
        after: Vec::new(),
        groups: component.groups.iter().cloned().collect(),
        takes: Estimate::new(
            apply.p50 + restart.p50 * restarts + steady,
            apply.p95 + restart.p95 * restarts + within,
        ),
    })
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
                        .hint("give it an address, or write the check without {address}"),
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

fn refuse_order_against_rings(
    ring_of: &BTreeMap<ComponentId, usize>,
    component: &ComponentId,
    before: &BTreeMap<ComponentId, String>,
    rings: &[Ring],
) -> Result<()> {
    let name = |c: &ComponentId| {
        ring_of
            .get(c)
            .and_then(|r| rings.get(*r))
            .map(|r| r.name.clone())
    };
    for (earlier, why) in before {
        if ring_of.get(earlier) > ring_of.get(component)
            && let (Some(late), Some(early)) = (name(earlier), name(component))
        {
            return Err(Error::new(
                ErrorKind::Cycle,
                format!("{earlier} must come before {component}, but its ring {late} comes after ring {early}"),
            )
            .operation("plan")
            .found(why.clone())
            .consequence("nothing was planned")
            .hint(format!("select both in one ring, or {earlier} in an earlier one")));
        }
    }
    Ok(())
}

/// The floors of all groups that the plan touches. A target that no floor lets go is left out.
fn floors(inventory: &Inventory, sorted: &mut Sorted) -> BTreeMap<GroupName, GroupFloor> {
    let all: BTreeMap<GroupName, GroupFloor> = inventory
        .groups
        .values()
        .map(|group| {
            let down_already = group
                .members
                .iter()
                .filter(|m| sorted.down.contains(*m))
                .cloned()
                .collect();
            let floor = GroupFloor {
                name: group.name.clone(),
                keep_up: group.keep_up as usize,
                members: group.members.iter().cloned().collect(),
                down_already,
            };
            (group.name.clone(), floor)
        })
        .collect();
    let keeps = |target: &Target| {
        let full = |g: &&GroupName| all.get(*g).is_none_or(|floor| floor.may_go_down() == 0);
        target.groups.iter().find(full).cloned()
    };
    let stuck: Vec<(ComponentId, GroupName)> = sorted
        .targets
        .values()
        .filter_map(|t| keeps(t).map(|group| (t.component.clone(), group)))
        .collect();
    for (component, group) in stuck {
        sorted.targets.remove(&component);
        sorted.busy.remove(&component);
        let why = floor_reached(&component, &group, &all);
        sorted.left_out.insert(component, why);
    }
    let touched: BTreeSet<&GroupName> = sorted.targets.values().flat_map(|t| &t.groups).collect();
    all.into_iter()
        .filter(|(name, _)| touched.contains(name))
        .collect()
}

fn floor_reached(
    component: &ComponentId,
    group: &GroupName,
    groups: &BTreeMap<GroupName, GroupFloor>,
) -> WhyLeftOut {
    let floor = groups.get(group);
    let down: Vec<&str> = floor
        .into_iter()
        .flat_map(|f| f.down_already.iter().map(ComponentId::as_str))
        .collect();
    let found = match (floor, down.is_empty()) {
        (Some(f), true) => format!(
            "{} members of which {} must stay up",
            f.members.len(),
            f.keep_up
        ),
        (Some(f), false) => {
            format!(
                "{} members of which {} must stay up, and {} counts as down",
                f.members.len(),
                f.keep_up,
                down.join(", ")
            )
        }
        (None, _) => "no such group".to_owned(),
    };
    let error = Error::new(
        ErrorKind::Unhealthy,
        format!("{component} may not go down: group {group} is at its floor"),
    )
    .found(found)
    .hint("bring the missing members back, add one, or lower the group's floor in the inventory");
    blocked([error])
}

fn rules(at: usize, ring: &Ring, sorted: &Sorted) -> RingRules {
    let n = sorted
        .targets
        .values()
        .filter(|t| t.ring == ring.name)
        .count();
    let up_to_date = |(component, why): &(&ComponentId, &WhyLeftOut)| {
        matches!(why, WhyLeftOut::NothingToDo) && sorted.ring_of.get(*component) == Some(&at)
    };
    RingRules {
        name: ring.name.clone(),
        at_once: ring.at_once.of(n),
        up_to_date: sorted.left_out.iter().filter(up_to_date).count(),
        soak: ring.soak,
        start_after: ring.start_after.clone(),
        window: ring.window.clone(),
        needs_approval: ring.needs_approval,
    }
}

fn refuse_rings_that_never_start(
    policy: &Policy,
    rings: &[RingRules],
    sorted: &Sorted,
) -> Result<()> {
    let mut mistakes = Vec::new();
    for (i, ring) in rings.iter().enumerate() {
        let Some(after) = &ring.start_after else {
            continue;
        };
        if !sorted.targets.values().any(|t| t.ring == ring.name) {
            continue;
        }
        let Some(earlier) = rings.iter().find(|r| r.name == after.ring) else {
            continue;
        };
        let members = sorted
            .targets
            .values()
            .filter(|t| t.ring == earlier.name)
            .count()
            + earlier.up_to_date;
        if members < after.at_least as usize {
            let place = policy
                .place(&format!("/ring/{i}/start_after"))
                .or_else(|| policy.place(&format!("/ring/{i}")))
                .map(|p| format!("{p}: "))
                .unwrap_or_default();
            mistakes.push(format!(
                "{place}ring \"{}\" can never start: at_least = {}, but ring \"{}\" has {members} component{} that can count",
                ring.name,
                after.at_least,
                earlier.name,
                if members == 1 { "" } else { "s" },
            ));
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, mistakes.join("\n"))
        .operation("plan")
        .consequence("nothing was planned")
        .hint("lower at_least, or select more components in the earlier ring"))
}

fn remarks(
    policy: &Policy,
    envelope: &Envelope,
    schedule: &[RingSchedule],
    ends: Option<Timestamp>,
) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |severity, text: String| remarks.push(Remark { severity, text });
    for lack in policy.lacks() {
        say(Severity::CannotRun, lack.to_string());
    }
    let waves = || {
        schedule
            .iter()
            .flat_map(|ring| ring.waves.iter().map(move |wave| (&ring.ring, wave)))
    };
    if !policy.windows.is_empty() {
        let mut told = BTreeSet::new();
        for (ring, wave) in waves() {
            match wave.starts {
                None if told.insert(ring) => say(
                    Severity::CannotRun,
                    format!(
                        "ring {ring} never comes to a window that is long enough: its slowest wave may take {:#}",
                        jiff::SignedDuration::try_from(wave.p95).unwrap_or_default()
                    ),
                ),
                Some(starts) if starts > envelope.expires && told.insert(ring) => say(
                    if ring == &schedule[0].ring {
                        Severity::CannotRun
                    } else {
                        Severity::Warning
                    },
                    format!(
                        "ring {ring} would start {starts}, after the approval expires {}: make approvals valid for longer, or its later part needs a new plan",
                        envelope.expires
                    ),
                ),
                _ => {}
            }
        }
    }
    if let Some(ends) = ends {
        for exception in &envelope.exceptions {
            if let WhyPatchLeftOut::Excepted { until, .. } = &exception.reason
                && ends.to_zoned(jiff::tz::TimeZone::UTC).date() > *until
            {
                say(
                    Severity::Warning,
                    format!(
                        "the exception for {} on {} ends {until}, inside this run",
                        exception.patch, exception.component
                    ),
                );
            }
        }
    }
    remarks
}
