//! What is not in the plan and why, and what is in the way.

use std::collections::BTreeMap;

use super::{
    Detail, Table, count, names, patches,
    times::{Times, age},
};
use crate::{
    error::Failure,
    estate::PatchClass,
    id::{ComponentId, PatchId},
    plan::{PatchLeftOut, Plan, WhyLeftOut, WhyPatchLeftOut},
};

/// What to do about a component that no tool speaks of.
pub(in crate::plan) const NOT_COVERED: &str =
    "no tool covers it: patch by hand, or write a provider (docs/guide/own-provider.md)";

/// What to do about a component that the policy does not reach.
pub(in crate::plan) const NOT_SELECTED: &str =
    "no ring selects it: add a ring to the policy, or end with one that selects \"*\"";

pub(super) fn write(plan: &Plan, detail: Detail, page: &mut Vec<String>) {
    let times = Times::of(&plan.envelope, None);
    section("not in this plan", not_in_plan(plan, detail, &times), page);
    section("blocked now", blocked(plan, detail), page);
    section("busy now", busy(plan, detail, &times), page);
}

fn section(title: &str, table: Table, page: &mut Vec<String>) {
    if !table.0.is_empty() {
        page.push(title.to_owned());
        table.write(page);
    }
}

fn not_in_plan(plan: &Plan, detail: Detail, times: &Times) -> Table {
    let mut table = Table::default();
    let mut rows: Vec<(Vec<&ComponentId>, String)> = Vec::new();
    // Equal in everything but the component, then equal in everything but the patch.
    let mut by_patch: Vec<(&PatchLeftOut, Vec<&ComponentId>)> = Vec::new();
    for left in plan.patches_left_out.iter().filter(|l| !is_class(l)) {
        let same = |other: &PatchLeftOut| {
            (&other.patch, &other.from, &other.to, &other.reason)
                == (&left.patch, &left.from, &left.to, &left.reason)
        };
        match by_patch.iter_mut().find(|(other, _)| same(other)) {
            Some((_, components)) => components.push(&left.component),
            None => by_patch.push((left, vec![&left.component])),
        }
    }
    let mut by_reason: Vec<(&WhyPatchLeftOut, Vec<&ComponentId>, Vec<String>)> = Vec::new();
    for (left, components) in by_patch {
        let what = change(left);
        match by_reason
            .iter_mut()
            .find(|(reason, who, _)| **reason == left.reason && *who == components)
        {
            Some((_, _, patches)) => patches.push(what),
            None => by_reason.push((&left.reason, components, vec![what])),
        }
    }
    by_reason.sort_by_key(|(reason, who, _)| (weight(reason), who.first().copied()));
    let few = if detail == Detail::Full {
        usize::MAX
    } else {
        3
    };
    rows.extend(by_reason.into_iter().map(|(reason, who, patches)| {
        let what = patches::listed(&patches, few);
        (who, format!("{what}: {}", patch_reason(reason, times)))
    }));
    rows.extend(classes(plan, few));
    for (why, text) in [
        (WhyLeftOut::NotCovered, NOT_COVERED),
        (WhyLeftOut::NotSelected, NOT_SELECTED),
    ] {
        let who: Vec<&ComponentId> = plan
            .left_out
            .iter()
            .filter(|l| l.reason == why)
            .map(|l| &l.component)
            .collect();
        if !who.is_empty() {
            rows.push((who, text.to_owned()));
        }
    }
    fill(&mut table, rows, detail);
    table
}

fn fill(table: &mut Table, rows: Vec<(Vec<&ComponentId>, String)>, detail: Detail) {
    let more = rows.len().saturating_sub(detail.lines());
    for (who, text) in rows.into_iter().take(detail.lines()) {
        table.row(names(who, detail.names()), text);
    }
    if more > 0 {
        table.row("…", format!("+ {more} more; the full text has them all"));
    }
}

fn is_class(left: &PatchLeftOut) -> bool {
    matches!(left.reason, WhyPatchLeftOut::ClassNotTaken { .. })
}

/// What nobody took is one line for each class: it may be hundreds.
fn classes(plan: &Plan, few: usize) -> Vec<(Vec<&ComponentId>, String)> {
    let mut by_class: BTreeMap<PatchClass, (Vec<&ComponentId>, Vec<&PatchId>)> = BTreeMap::new();
    for left in &plan.patches_left_out {
        if let WhyPatchLeftOut::ClassNotTaken { class } = &left.reason {
            let (who, what) = by_class.entry(*class).or_default();
            who.push(&left.component);
            what.push(&left.patch);
        }
    }
    let rows = by_class.into_iter().map(|(class, (mut who, mut what))| {
        who.sort();
        who.dedup();
        what.sort();
        what.dedup();
        let text = format!(
            "{} of class {class}, which the policy does not take: {}",
            count(what.len(), "patch", "patches"),
            patches::listed(&what, few)
        );
        // A tool that does not classify names no class: its author sees an empty plan, and has to find this out.
        let remedy = match class {
            PatchClass::Other => {
                " · `take` in [patches] takes it with \"other\", or its source says a class"
            }
            _ => "",
        };
        (who, text + remedy)
    });
    rows.collect()
}

fn weight(reason: &WhyPatchLeftOut) -> u8 {
    match reason {
        WhyPatchLeftOut::Excepted { .. } => 0,
        WhyPatchLeftOut::Denied { .. } => 1,
        WhyPatchLeftOut::Recalled { .. } => 2,
        WhyPatchLeftOut::KeptBack { .. } => 3,
        WhyPatchLeftOut::ClassNotTaken { .. } => 4,
    }
}

/// `mysql-server 8.0.36 → 8.0.39`.
fn change(left: &PatchLeftOut) -> String {
    match (&left.from, &left.to) {
        (Some(from), Some(to)) => format!("{} {from} → {to}", left.patch),
        (None, Some(to)) => format!("{} {to} (new)", left.patch),
        (Some(from), None) => format!("{} {from}", left.patch),
        (None, None) => left.patch.to_string(),
    }
}

/// Why a patch is left out, as half a sentence.
pub(crate) fn patch_reason(reason: &WhyPatchLeftOut, times: &Times) -> String {
    match reason {
        WhyPatchLeftOut::ClassNotTaken { class } => {
            format!("the policy does not take class {class}")
        }
        WhyPatchLeftOut::Excepted {
            because,
            risk_owner,
            approver,
            compensating,
            until,
        } => {
            let mut people = vec![format!("risk owner {risk_owner}")];
            people.extend(approver.iter().map(|a| format!("approved by {a}")));
            people.extend(compensating.iter().map(|c| format!("instead: {c}")));
            format!(
                "exception until {}, {because} ({})",
                times.day(*until),
                people.join(", ")
            )
        }
        WhyPatchLeftOut::Denied { denial } => format!(
            "on the deny-list since {}: run {} rolled {} {} back on {}, {}",
            times.at(denial.at),
            denial.run,
            denial.patch,
            denial.version,
            denial.component,
            denial
                .why
                .strip_prefix(denial.component.as_str())
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or(&denial.why)
        ),
        WhyPatchLeftOut::Recalled { because } => format!("its vendor took it back: {because}"),
        WhyPatchLeftOut::KeptBack { reason } => format!("kept back, {reason}"),
    }
}

fn blocked(plan: &Plan, detail: Detail) -> Table {
    let mut rows: Vec<(Vec<&ComponentId>, Vec<String>)> = Vec::new();
    for left in &plan.left_out {
        let WhyLeftOut::Blocked { reasons } = &left.reason else {
            continue;
        };
        let texts: Vec<String> = reasons
            .iter()
            .map(|r| obstacle(&left.component, r))
            .collect();
        match rows.iter_mut().find(|(_, other)| *other == texts) {
            Some((who, _)) => who.push(&left.component),
            None => rows.push((vec![&left.component], texts)),
        }
    }
    let mut table = Table::default();
    let more: usize = rows
        .iter()
        .skip(detail.lines())
        .map(|(who, _)| who.len())
        .sum();
    for (who, texts) in rows.into_iter().take(detail.lines()) {
        let mut name = names(who, detail.names());
        for text in texts {
            table.row(std::mem::take(&mut name), text);
        }
    }
    if more > 0 {
        table.row("…", format!("+ {more} more; the full text has them all"));
    }
    table
}

/// What is in the way and what a person can do, without the name that stands before it already.
pub(crate) fn obstacle(component: &ComponentId, failure: &Failure) -> String {
    // The line begins with the component already.
    let message = failure
        .message
        .strip_prefix(component.as_str())
        .and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')))
        .unwrap_or(&failure.message);
    match &failure.hint {
        Some(hint) => format!("{message} · {hint}"),
        None => message.to_owned(),
    }
}

fn busy(plan: &Plan, detail: Detail, times: &Times) -> Table {
    let mut rows: Vec<(Vec<&ComponentId>, String)> = Vec::new();
    for (component, busy) in &plan.busy {
        let since =
            busy.since
                .map_or_else(String::new, |since| match age(since, plan.envelope.made) {
                    Some(age) => format!(" since {age}"),
                    None => format!(" since {}", times.at(since)),
                });
        let text =
            format!("{busy}{since} · waited for when its turn comes, for up to half an hour");
        match rows.iter_mut().find(|(_, other)| *other == text) {
            Some((who, _)) => who.push(component),
            None => rows.push((vec![component], text)),
        }
    }
    let mut table = Table::default();
    fill(&mut table, rows, detail);
    table
}
