//! The planner itself: each step of [`plan`] is one sentence of the policy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Denial, Envelope, GroupFloor, LeftOut, Plan, Reference, RingRules, Target, WhyLeftOut,
    WhyPatchLeftOut, aim,
    floors::floors,
    order, refuse, remarks, select,
    sorted::{Sorted, blocked},
    timetable, waves,
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure, Result},
    estate::{Component, Finding, Inventory},
    id::{ComponentId, GroupName, PersonId, ProviderName},
    policy::{Policy, Ring},
};

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
    refuse::refuse_empty(inventory, policy, &rings)?;

    let mut sorted = sort_out(input, &rings);
    let groups = floors(inventory, policy, &mut sorted);
    let planned: BTreeSet<ComponentId> = sorted.targets.keys().cloned().collect();
    let sequence = order::sequence(inventory, policy, &planned)?;
    for (component, before) in &sequence.before {
        if let Some(target) = sorted.targets.get_mut(component) {
            target.after = before.keys().cloned().collect();
            refuse::refuse_order_against_rings(
                &sorted.ring_of,
                component,
                before,
                &sequence.places,
                &rings,
            )?;
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
    refuse::refuse_rings_that_never_start(policy, &ring_rules, &sorted)?;

    let names = other_names(inventory, &sorted, &groups);
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
        names,
        on_fail: policy.on_fail.clone(),
        exceptions: sorted
            .patches_left_out
            .iter()
            .filter(|p| matches!(p.reason, WhyPatchLeftOut::Excepted { .. }))
            .cloned()
            .collect(),
    };
    let schedule = timetable::schedule(&envelope, &policy.calendar()?, schedule_rings, now);
    let remarks = remarks::remarks(inventory, policy, &envelope, &schedule);
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

/// By which other names a run may meet its targets and the members of its groups.
fn other_names(
    inventory: &Inventory,
    sorted: &Sorted,
    groups: &BTreeMap<GroupName, GroupFloor>,
) -> BTreeMap<ComponentId, ComponentId> {
    let counts = |id: &ComponentId| {
        sorted.targets.contains_key(id) || groups.values().any(|group| group.members.contains(id))
    };
    let components = inventory.components.values();
    components
        .filter(|component| !component.also_known_as.is_empty() && counts(&component.id))
        .flat_map(|component| {
            let others = component.also_known_as.iter();
            others.map(|other| (other.clone(), component.id.clone()))
        })
        .collect()
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
    let findings = inventory
        .findings
        .get(&component.id)
        .map_or(&[][..], Vec::as_slice);
    let gaps = gaps(inventory, component, findings.is_empty());
    let unread = gaps.iter().any(|(call, _)| *call != "available");
    let faulty = findings.iter().any(|f| !f.scan.unhealthy.is_empty());
    if findings.is_empty() || unread || faulty {
        sorted.down.insert(component.id.clone());
    }
    if !gaps.is_empty() {
        let reasons = gaps.into_iter().map(|(_, failure)| failure.clone());
        // What else is wrong with it is told at once.
        let scans = findings.iter().map(|finding| &finding.scan);
        let faults = scans.flat_map(|scan| aim::unhealthy(&component.id, scan));
        let reasons = reasons.chain(faults.map(|fault| Failure::from(&fault)));
        return Err(WhyLeftOut::Blocked {
            reasons: reasons.collect(),
        });
    }
    let finding = match findings {
        [] => return Err(WhyLeftOut::NotCovered),
        [finding] => finding,
        several => return Err(blocked([ambiguous(&component.id, several)])),
    };
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

    let selection = select::select(component, finding, offer, policy, denials, now);
    let nothing = select::why_nothing(&selection.left);
    sorted.patches_left_out.extend(selection.left);
    if selection.taken.is_empty() {
        return Err(nothing);
    }
    let target = aim::target(input, component, ring, finding, selection.taken).map_err(blocked)?;
    if let Some(busy) = &finding.scan.busy {
        sorted.busy.insert(component.id.clone(), busy.clone());
    }
    Ok(target)
}

/// What could not be learned about a component, by call. Of one that no tool speaks of, also which provider
/// could not say what it sees: it may be the one that covers it.
fn gaps<'a>(
    inventory: &'a Inventory,
    component: &Component,
    unspoken_of: bool,
) -> Vec<(&'a str, &'a Failure)> {
    let mut gaps: Vec<_> = inventory
        .gaps
        .iter()
        .filter(|gap| match &gap.component {
            Some(about) => *about == component.id,
            None => unspoken_of,
        })
        .map(|gap| (&gap.provider, gap.call.as_str(), &gap.failure))
        .collect();
    // The order in which providers answered leaves no trace.
    gaps.sort_by_key(|(provider, call, failure)| (*provider, *call, &failure.message));
    gaps.into_iter()
        .map(|(_, call, failure)| (call, failure))
        .collect()
}

fn ambiguous(component: &ComponentId, findings: &[Finding]) -> Error {
    let tools: BTreeSet<&str> = findings.iter().map(|f| f.tool.as_str()).collect();
    let tools: Vec<&str> = tools.into_iter().collect();
    Error::new(
        ErrorKind::AmbiguousTool,
        format!("{component}: {} tools could act", findings.len()),
    )
    .expected("one tool")
    .found(tools.join(" and "))
    .hint("register only one of them, or take the component out of one of their inventories")
}

fn rules(at: usize, ring: &Ring, sorted: &Sorted) -> RingRules {
    let n = sorted
        .targets
        .values()
        .filter(|t| t.ring == ring.name)
        .count();
    // One with a fault is not evidence that a ring is healthy, whether it has anything to do or not.
    let up_to_date = |(component, why): &(&ComponentId, &WhyLeftOut)| {
        matches!(
            why,
            WhyLeftOut::NothingToDo | WhyLeftOut::NotTaken | WhyLeftOut::KeptBack
        ) && sorted.ring_of.get(*component) == Some(&at)
            && !sorted.down.contains(*component)
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
