//! The last lines: remarks, ways back, proof of tools, the sum, and who approves.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Detail, names,
    times::{Times, age},
};
use crate::{
    estate::WayBack,
    id::ComponentId,
    plan::{Plan, RebootRule, Severity, Target},
    provider::EvidenceLabel,
};

pub(super) fn write(plan: &Plan, detail: Detail, page: &mut Vec<String>) {
    for remark in &plan.remarks {
        page.push(match remark.severity {
            Severity::CannotRun => format!("cannot run as it is: {}", remark.text),
            Severity::Warning => format!("warning: {}", remark.text),
        });
    }
    if !plan.is_empty() {
        page.push(ways_back(plan, detail));
        page.extend(evidence(plan));
    }
    page.extend(catalogues(plan));
    page.push(sum(plan));
    if !plan.is_empty() {
        page.push(approval(plan));
    }
}

fn ways_back(plan: &Plan, detail: Detail) -> String {
    let of = |state: fn(&WayBack) -> bool| -> Vec<&ComponentId> {
        plan.envelope
            .targets
            .iter()
            .filter(|t| state(&t.way_back))
            .map(|t| &t.component)
            .collect()
    };
    let none = of(|w| matches!(w, WayBack::None { .. }));
    let none = if none.is_empty() {
        "nothing".to_owned()
    } else {
        names(none, detail.names())
    };
    let ready = of(|w| matches!(w, WayBack::Ready { .. })).len();
    let partial = of(|w| matches!(w, WayBack::Partial { .. })).len();
    let mut text = format!("no way back: {none} · {ready} ready");
    if partial > 0 {
        text.push_str(&format!(", {partial} partial"));
    }
    text
}

/// The verbs that this plan may need of a tool.
fn verbs<'p>(targets: impl Iterator<Item = &'p Target>) -> BTreeSet<&'static str> {
    let mut verbs = BTreeSet::new();
    for target in targets {
        verbs.insert("apply");
        if target.stages {
            verbs.insert("stage");
        }
        if target.rolls_back {
            verbs.insert("roll_back");
        }
        if target.reboot != RebootRule::Never || target.reboot_first {
            verbs.insert("reboot");
        }
    }
    verbs
}

/// What of the tools was never tried on a live system; none where everything was.
fn evidence(plan: &Plan) -> Option<String> {
    let live = EvidenceLabel::LiveSystem.words();
    let mut sentences = Vec::new();
    for (name, tool) in &plan.tools {
        let mut by_proof: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for verb in verbs(plan.envelope.targets.iter().filter(|t| t.tool == *name)) {
            let proof = tool.evidence.get(verb).map(String::as_str);
            if tool.can.contains(verb) && proof != Some(live) {
                by_proof
                    .entry(proof.unwrap_or("nobody says how far it is proven"))
                    .or_default()
                    .push(verb);
            }
        }
        let proofs: Vec<String> = by_proof
            .iter()
            .map(|(proof, verbs)| format!("{}: {proof}", verbs.join(", ").replace('_', " ")))
            .collect();
        if !proofs.is_empty() {
            let version = match tool.version.as_str() {
                "" => String::new(),
                version => format!(" {version}"),
            };
            sentences.push(format!("{name}{version} ({})", proofs.join("; ")));
        }
    }
    (!sentences.is_empty())
        .then(|| format!("never tried on a live system: {}", sentences.join(", ")))
}

pub(in crate::plan) fn catalogues(plan: &Plan) -> Vec<String> {
    let made = plan.envelope.made;
    let known = plan.catalogue_as_of.iter().map(|(tool, at)| {
        let age = age(*at, made).map_or_else(
            || {
                format!(
                    "dated {}, after this plan",
                    Times::of(&plan.envelope, None).at(*at)
                )
            },
            |age| format!("{age} old"),
        );
        format!("package lists of {tool} are {age}")
    });
    let unknown = plan
        .tools
        .keys()
        .filter(|tool| !plan.catalogue_as_of.contains_key(*tool))
        .map(|tool| format!("how old the package lists of {tool} are is not known"));
    known.chain(unknown).collect()
}

/// `35 found = 32 planned + 1 excepted + 1 not covered + 1 blocked`.
fn sum(plan: &Plan) -> String {
    let mut parts: Vec<(&str, usize)> = vec![("planned", plan.envelope.targets.len())];
    for left in &plan.left_out {
        let word = left.reason.word();
        match parts.iter_mut().find(|(other, _)| *other == word) {
            Some((_, n)) => *n += 1,
            None => parts.push((word, 1)),
        }
    }
    parts[1..].sort_by_key(|(word, n)| (std::cmp::Reverse(*n), *word));
    let parts: Vec<String> = parts
        .iter()
        .map(|(word, n)| format!("{n} {word}"))
        .collect();
    format!("{} found = {}", plan.found, parts.join(" + "))
}

fn approval(plan: &Plan) -> String {
    let envelope = &plan.envelope;
    let people: BTreeSet<&str> = envelope
        .approval
        .from
        .iter()
        .filter(|p| **p != envelope.requested_by)
        .map(|p| p.as_str())
        .collect();
    let people: Vec<&str> = people.into_iter().collect();
    let needs = envelope.approval.needs.max(1) as usize;
    let who = match people.split_last() {
        None => return "to approve: nobody may, name people in [approval] from".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) if needs == 1 => format!("{} or {last}", others.join(", ")),
        Some((last, others)) if needs == people.len() => {
            format!("{} and {last}", others.join(", "))
        }
        Some((last, others)) => format!("{needs} of {} and {last}", others.join(", ")),
    };
    let times = |ring: &crate::plan::RingSchedule| {
        let rules = envelope.rings.iter().find(|r| r.name == ring.ring);
        Times::of(envelope, rules.and_then(|r| r.window.as_ref()))
    };
    let first = plan.schedule.rings.iter().find(|r| !r.waves.is_empty());
    let start = first.and_then(|ring| {
        let starts = ring.waves.first()?.starts?;
        (starts > envelope.made && starts < envelope.expires)
            .then(|| format!("before {} to keep these times", times(ring).at(starts)))
    });
    let expires = format!(
        "this plan expires {}",
        Times::of(envelope, None).at(envelope.expires)
    );
    match start {
        Some(start) => format!("to approve: {who}, {start} · {expires}"),
        None => format!("to approve: {who} · {expires}"),
    }
}
