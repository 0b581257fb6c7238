//! One ring: when, under which condition, what goes into whom, in which order.

use std::collections::BTreeSet;

use super::{
    Detail, Table, count, names, patches,
    times::{Times, duration},
};
use crate::{
    estate::Patch,
    id::ComponentId,
    plan::{Plan, RingRules, RingSchedule, Target},
    policy::Tolerance,
};

pub(super) fn write(plan: &Plan, detail: Detail, page: &mut Vec<String>) {
    let mut told: Vec<(&ComponentId, &[Patch])> = Vec::new();
    for ring in plan.schedule.rings.iter().filter(|r| !r.waves.is_empty()) {
        let Some(rules) = plan.envelope.rings.iter().find(|r| r.name == ring.ring) else {
            continue;
        };
        let times = Times::of(&plan.envelope, rules.window.as_ref());
        page.push(headline(plan, rules, ring, &times));
        let mut table = Table::default();
        targets(plan, rules, detail, &mut told, &mut table);
        orders(plan, rules, detail, &mut table);
        floors(plan, rules, &mut table);
        if detail == Detail::Full {
            waves(ring, &times, &mut table);
        }
        table.write(page);
    }
}

fn headline(plan: &Plan, rules: &RingRules, ring: &RingSchedule, times: &Times) -> String {
    let n: usize = ring.waves.iter().map(|w| w.components.len()).sum();
    let components = count(n, "component", "components");
    let mut parts = vec![format!("ring {}", rules.name)];
    parts.push(match ring.waves.len() {
        1 => components,
        waves => format!("{components} in {waves} waves of at most {}", rules.at_once),
    });
    let start = match ring.waves.first().and_then(|w| w.starts) {
        Some(starts) => times.at(starts),
        None if plan.envelope.windows.is_empty() => "no window yet".to_owned(),
        None => "no window is long enough".to_owned(),
    };
    parts.push(match condition(plan, rules) {
        Some(condition) => format!("{start}, {condition}"),
        None => start,
    });
    if rules.needs_approval {
        parts.push("needs an approval of its own, on what the rings before show".to_owned());
    }
    parts.push(match ring.soak_until {
        _ if rules.soak.is_zero() => "no soak".to_owned(),
        Some(until) => format!("soak until {}", times.at(until)),
        None => format!("soak {}", duration(rules.soak)),
    });
    parts.join(" · ")
}

/// What must hold before a ring starts; none for the first one that has work.
pub(in crate::plan) fn condition(plan: &Plan, rules: &RingRules) -> Option<String> {
    let planned = |ring: &RingRules| {
        plan.envelope
            .targets
            .iter()
            .filter(|t| t.ring == ring.name)
            .count()
    };
    if let Some(after) = &rules.start_after {
        let earlier = plan.envelope.rings.iter().find(|r| r.name == after.ring)?;
        let n = planned(earlier) + earlier.up_to_date;
        // The smallest number that is enough, by the very rule that decides.
        let needed = (0..=n).find(|healthy| after.is_met_by(*healthy, n));
        return Some(match needed {
            Some(needed) => format!("if {needed} of {n} of {} stay healthy", after.ring),
            None => format!(
                "if {} with at least {} of {} stay healthy",
                after.success, after.at_least, after.ring
            ),
        });
    }
    let before = plan
        .envelope
        .rings
        .iter()
        .take_while(|r| r.name != rules.name)
        .filter(|r| planned(r) > 0)
        .last()?;
    Some(match plan.envelope.on_fail.tolerate {
        Tolerance::Count(0) => format!("if none of {} fails", before.name),
        tolerate => format!("if no more than {tolerate} of {} fail", before.name),
    })
}

/// Components of one ring that go through the same in the same way share a line.
fn targets<'p>(
    plan: &'p Plan,
    rules: &RingRules,
    detail: Detail,
    told: &mut Vec<(&'p ComponentId, &'p [Patch])>,
    table: &mut Table,
) {
    let mut rows: Vec<(&Target, Vec<&ComponentId>)> = Vec::new();
    for target in plan
        .envelope
        .targets
        .iter()
        .filter(|t| t.ring == rules.name)
    {
        let same = |row: &(&Target, Vec<&ComponentId>)| {
            let other = row.0;
            target.patches == other.patches
                && target.way_back == other.way_back
                && patches::reboot(target) == patches::reboot(other)
                && patches::around(&target.around) == patches::around(&other.around)
        };
        match rows.iter_mut().find(|row| same(row)) {
            Some((_, names)) => names.push(&target.component),
            None => rows.push((target, vec![&target.component])),
        }
    }
    // What concerns most is read first.
    rows.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (target, members) in rows {
        let (what, each) = contents(target, detail, told);
        let mut parts = vec![what];
        parts.extend(patches::reboot(target));
        parts.extend(patches::around(&target.around));
        parts.push(patches::way_back(&target.way_back));
        table.row(
            names(members.iter().copied(), detail.names()),
            parts.join(" · "),
        );
        for patch in each {
            table.row("", format!("  {}", patches::one(patch)));
        }
    }
}

/// The patches themselves where they were not told yet, else whose they are; in full, each in its own line.
fn contents<'p>(
    target: &'p Target,
    detail: Detail,
    told: &mut Vec<(&'p ComponentId, &'p [Patch])>,
) -> (String, Vec<&'p Patch>) {
    let n = target.patches.len();
    let known = told
        .iter()
        .find(|(_, patches)| **patches == target.patches[..]);
    let what = match known {
        Some((who, _)) if n > 1 && told.len() > 1 => format!("the same {n} as {who}"),
        Some(_) if n > 1 => format!("the same {n}"),
        None if n > 1 && detail == Detail::Full => {
            told.push((&target.component, &target.patches));
            let what = count(n, "patch", "patches");
            return (what, patches::sorted(&target.patches));
        }
        Some(_) => patches::first_few(&target.patches),
        None => {
            told.push((&target.component, &target.patches));
            patches::first_few(&target.patches)
        }
    };
    (what, Vec::new())
}

fn orders(plan: &Plan, rules: &RingRules, detail: Detail, table: &mut Table) {
    let ends_here = |steps: &[Vec<ComponentId>]| {
        steps
            .last()
            .and_then(|last| last.first())
            .and_then(|c| plan.envelope.target(c))
            .is_some_and(|t| t.ring == rules.name)
    };
    let chains: Vec<_> = plan.order.iter().filter(|o| ends_here(&o.steps)).collect();
    for chain in chains.iter().take(detail.lines()) {
        let steps: Vec<String> = chain
            .steps
            .iter()
            .map(|step| names(step, detail.names()))
            .collect();
        table.row(
            "order",
            format!("{} ({})", steps.join(", then "), chain.because),
        );
    }
    if let Some(more) = chains.len().checked_sub(detail.lines()).filter(|n| *n > 0) {
        table.row(
            "order",
            format!("+ {} like these", count(more, "more", "more")),
        );
    }
}

fn floors(plan: &Plan, rules: &RingRules, table: &mut Table) {
    for group in &plan.envelope.groups {
        let here: Vec<&ComponentId> = plan
            .envelope
            .targets
            .iter()
            .filter(|t| t.ring == rules.name && t.groups.contains(&group.name))
            .map(|t| &t.component)
            .collect();
        let may = group.may_go_down();
        if here.len() <= may {
            continue;
        }
        let how = match (here.len(), may) {
            (2, 1) => "never both".to_owned(),
            (1, _) => continue,
            (_, 1) => "one at a time".to_owned(),
            (_, may) => format!("at most {may} at a time"),
        };
        let down = match group.down_already.as_slice() {
            [] => String::new(),
            down => format!(", {} may be down already", names(down, 3)),
        };
        table.row(
            names(here, 6),
            format!(
                "{how} (group \"{}\" keeps {} of {} up{down})",
                group.name,
                group.keep_up,
                group.members.len()
            ),
        );
    }
}

fn waves(ring: &RingSchedule, times: &Times, table: &mut Table) {
    for (at, wave) in ring.waves.iter().enumerate() {
        let starts = wave
            .starts
            .map_or_else(|| "no window".to_owned(), |starts| times.at(starts));
        let members: BTreeSet<&ComponentId> = wave.components.iter().collect();
        table.row(
            format!("wave {}", at + 1),
            format!(
                "{starts} · about {} (95 %: {}) · {}",
                duration(wave.p50),
                duration(wave.p95),
                names(members, usize::MAX)
            ),
        );
    }
}
