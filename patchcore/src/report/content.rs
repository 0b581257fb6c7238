//! What a report says, before it is laid out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use super::{ComponentReport, Report, Verdict};
use crate::{
    execute::{
        kernel::{End, Phase},
        words,
    },
    id::ComponentId,
    judge::{Answer, Outcome},
    plan::{
        WhyLeftOut,
        text::{Times, count, listed, names, obstacle, patch_reason},
    },
    provider::EvidenceLabel,
};

/// So many names are said before the rest is counted; the JSON form has all.
const NAMES: usize = 8;

/// A headed list of whom and what.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) about: Option<String>,
    pub(super) rows: Vec<(String, String)>,
}

impl Section {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            title,
            about: None,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, who: impl Into<String>, what: impl Into<String>) {
        self.rows.push((who.into(), what.into()));
    }
}

impl Report {
    pub(super) fn times(&self) -> Times {
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        Times::within(zone, self.started)
    }

    /// The lines that everybody reads: what it is, how it ended, and the figures.
    pub(super) fn head(&self) -> Vec<String> {
        let times = self.times();
        let mut first = vec![
            format!("report on run {}", self.run),
            format!("estate {}", self.estate),
            format!("plan {}", self.plan),
            format!("policy {}", self.policy),
        ];
        first.extend(self.references.iter().map(|r| match &r.state {
            Some(state) => format!("{} ({state})", r.id),
            None => r.id.clone(),
        }));
        let mut verdict = format!(
            "{} (exit code {}: {})",
            self.verdict.words(),
            self.exit_status(),
            self.verdict.meaning()
        );
        if let Some(why) = &self.halted {
            verdict.push_str(&format!(" · it halted: {why}"));
        }
        let ended = match (self.ended, self.verdict) {
            (Some(ended), _) => format!("ended {}", times.at(ended)),
            (None, Verdict::Open) => format!("not over {}", times.at(self.made)),
            (None, _) => format!("not ended {}", times.at(self.made)),
        };
        vec![
            first.join(" · "),
            verdict,
            self.figures.to_string(),
            self.seen(&times),
            format!("started {} · {ended}", times.at(self.started)),
        ]
    }

    /// `at the planned versions when scanned last: 3 of 14, Tue 8 Dec 22:06 CET to Tue 8 Dec 22:08 CET`.
    fn seen(&self, times: &Times) -> String {
        let patched = self
            .components
            .iter()
            .filter(|c| c.outcome.patched.is_yes());
        let n = patched.clone().count();
        let of = self.components.len();
        let scans = patched.filter_map(|c| c.reached.get("verified").copied());
        let scans: BTreeSet<Timestamp> = scans.collect();
        let when = match (scans.first(), scans.last()) {
            (Some(first), Some(last)) => span(*first, *last, times),
            _ => match self.scanned {
                Some(at) => format!("scanned before the run {}", times.at(at)),
                None => "never scanned".to_owned(),
            },
        };
        format!("seen at the planned versions: {n} of {of} · {when}")
    }

    /// Everything else. What is empty is left out, except where its absence is the news.
    pub(super) fn sections(&self) -> Vec<Section> {
        let times = self.times();
        let mut sections = vec![
            self.rings_section(),
            self.failures(&times),
            self.open(&times),
            self.moved(),
            self.outcomes(),
            self.not_observed(),
            self.deny_list(&times),
            self.left_out(&times),
            self.approvals(&times),
            self.ledger_section(),
            self.clock(&times),
            self.proof(),
        ];
        sections.retain(|s| !s.rows.is_empty() || s.about.is_some());
        sections
    }

    fn rings_section(&self) -> Section {
        let mut section = Section::new("rings");
        for ring in &self.rings {
            let mut text = ring.figures.to_string();
            if ring.figures.failed > 0 {
                text.push_str(&format!(
                    " · {} of {} failed",
                    ring.figures.failed, ring.figures.planned
                ));
            }
            if ring.up_to_date > 0 {
                text.push_str(&format!(" · {} more up to date", ring.up_to_date));
            }
            section.row(ring.ring.to_string(), text);
        }
        section
    }

    /// What happened, what is blamed, and what is its state now.
    fn failures(&self, times: &Times) -> Section {
        let mut section = Section::new("failures");
        for component in self.components.iter().filter(|c| !c.failures.is_empty()) {
            let mut parts: Vec<String> = component
                .failures
                .iter()
                .map(|f| obstacle(&component.component, f))
                .collect();
            parts.push(blamed(component));
            parts.push(now(component, times));
            section.row(component.component.to_string(), parts.join(" · "));
        }
        section
    }

    /// Who is not through, without having failed.
    fn open(&self, times: &Times) -> Section {
        let mut section = Section::new("not over");
        let mut equal: Vec<(String, Vec<&ComponentId>)> = Vec::new();
        for component in &self.components {
            if !component.phase.is_ended() && component.failures.is_empty() {
                let mut text = now(component, times);
                if let Some(why) = &component.why {
                    text.push_str(&format!(": {why}"));
                }
                gather(&mut equal, text, &component.component);
            }
        }
        fill(&mut section, equal);
        section
    }

    /// What observation says, equal outcomes together.
    fn outcomes(&self) -> Section {
        let mut section = Section::new("what was observed");
        let mut equal: Vec<(String, Vec<&ComponentId>)> = Vec::new();
        for component in self.components.iter().filter(|c| was_seen(c)) {
            gather(&mut equal, outcome(component), &component.component);
        }
        fill(&mut section, equal);
        section
    }

    fn not_observed(&self) -> Section {
        let mut section = Section::new("nothing was observed of");
        let mut equal: Vec<(String, Vec<&ComponentId>)> = Vec::new();
        for component in self.components.iter().filter(|c| !was_seen(c)) {
            let mut text = words::phase(component.phase).to_owned();
            if let Some(why) = &component.why {
                text.push_str(&format!(": {why}"));
            }
            gather(&mut equal, text, &component.component);
        }
        for (text, who) in equal {
            section.row(
                names(who.iter().copied(), NAMES),
                format!("{} of {}: {text}", who.len(), self.components.len()),
            );
        }
        section
    }

    fn deny_list(&self, times: &Times) -> Section {
        let mut section = Section::new("put on the deny-list");
        for denial in &self.denials {
            section.row(
                format!("{} {}", denial.patch, denial.version),
                format!(
                    "since {}: on {}, {}",
                    times.at(denial.at),
                    denial.component,
                    words::without(&denial.why, Some(&denial.component))
                ),
            );
        }
        section
    }

    /// What the plan left out, counted.
    fn left_out(&self, times: &Times) -> Section {
        let mut section = Section::new("left out of the plan");
        let mut words: BTreeMap<&str, Vec<&ComponentId>> = BTreeMap::new();
        for left in &self.left_out {
            words
                .entry(left.reason.word())
                .or_default()
                .push(&left.component);
        }
        let mut sum = format!("{} found = {} planned", self.found, self.components.len());
        for (word, who) in &words {
            sum.push_str(&format!(" + {} {word}", who.len()));
        }
        section.about = Some(sum);
        for (word, who) in words {
            section.row(names(who, NAMES), word);
        }
        for left in &self.left_out {
            if let WhyLeftOut::Blocked { reasons } = &left.reason {
                let reasons: Vec<String> = reasons
                    .iter()
                    .map(|r| obstacle(&left.component, r))
                    .collect();
                section.row(left.component.to_string(), reasons.join(" · "));
            }
        }
        let mut equal: Vec<(String, BTreeSet<String>, BTreeSet<&ComponentId>)> = Vec::new();
        for left in &self.patches_left_out {
            let reason = patch_reason(&left.reason, times);
            let patch = match &left.to {
                Some(to) => format!("{} {to}", left.patch),
                None => left.patch.to_string(),
            };
            match equal.iter_mut().find(|(other, ..)| *other == reason) {
                Some((_, patches, who)) => {
                    patches.insert(patch);
                    who.insert(&left.component);
                }
                None => equal.push((reason, [patch].into(), [&left.component].into())),
            }
        }
        for (reason, patches, who) in equal {
            let patches: Vec<String> = patches.into_iter().collect();
            section.row(
                names(who, NAMES),
                format!(
                    "{} ({}): {reason}",
                    count(patches.len(), "patch", "patches"),
                    listed(&patches, 3)
                ),
            );
        }
        section
    }

    fn approvals(&self, times: &Times) -> Section {
        let mut section = Section::new("requested and approved");
        section.row(self.requested_by.to_string(), "requested it");
        for approval in &self.approved_by {
            let comment = approval
                .comment
                .as_ref()
                .map_or_else(String::new, |c| format!(": {c}"));
            section.row(
                approval.by.to_string(),
                format!(
                    "approved it {}, {}{comment}",
                    times.at(approval.at),
                    approval.standing
                ),
            );
        }
        section
    }

    fn ledger_section(&self) -> Section {
        let mut section = Section::new("ledger");
        match self.ledger.as_slice() {
            [] => section.about = Some("nothing is owed".to_owned()),
            owed => {
                section.about = Some(count(owed.len(), "thing is owed", "things are owed"));
                section
                    .rows
                    .extend(owed.iter().map(|o| (String::new(), o.clone())));
            }
        }
        let waived = self.waived.iter();
        section
            .rows
            .extend(waived.map(|w| ("waived".to_owned(), w.clone())));
        let around = self.around.iter();
        section
            .rows
            .extend(around.map(|a| ("held".to_owned(), a.clone())));
        section
    }

    /// The auditor's clock: when each step was reached first and last; the JSON form has every component.
    fn clock(&self, times: &Times) -> Section {
        let mut section = Section::new("when each step was reached");
        for step in ["staged", "applied", "in_effect", "verified"] {
            let reached: BTreeSet<(Timestamp, &ComponentId)> = self
                .components
                .iter()
                .filter_map(|c| Some((*c.reached.get(step)?, &c.component)))
                .collect();
            let when = match (reached.first(), reached.last()) {
                (Some((first, _)), Some((last, _))) => format!(", {}", span(*first, *last, times)),
                _ => String::new(),
            };
            section.row(
                step.replace('_', " "),
                format!("{} of {}{when}", reached.len(), self.components.len()),
            );
        }
        section
    }

    /// How far the verbs of each tool are proven.
    fn proof(&self) -> Section {
        let mut section = Section::new("how far the tools are proven");
        for (name, tool) in &self.tools {
            let mut by_proof: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for verb in &tool.can {
                let proof = tool
                    .evidence
                    .get(verb)
                    .map_or("nobody says how far it is proven", String::as_str);
                by_proof.entry(proof).or_default().push(verb);
            }
            let proofs: Vec<String> = by_proof
                .iter()
                .map(|(proof, verbs)| format!("{}: {proof}", verbs.join(", ").replace('_', " ")))
                .collect();
            let live = by_proof
                .keys()
                .all(|p| *p == EvidenceLabel::LiveSystem.words());
            let warning = if live {
                ""
            } else {
                " · not all of it was ever tried on a live system"
            };
            let version = match tool.version.as_str() {
                "" => String::new(),
                version => format!(" {version}"),
            };
            section.row(
                format!("{name}{version}"),
                format!("{}{warning}", proofs.join("; ")),
            );
        }
        section
    }
}

fn gather<'r>(
    equal: &mut Vec<(String, Vec<&'r ComponentId>)>,
    text: String,
    component: &'r ComponentId,
) {
    match equal.iter_mut().find(|(other, _)| *other == text) {
        Some((_, who)) => who.push(component),
        None => equal.push((text, vec![component])),
    }
}

fn fill(section: &mut Section, equal: Vec<(String, Vec<&ComponentId>)>) {
    for (text, who) in equal {
        section.row(names(who, NAMES), text);
    }
}

/// Whether anybody looked at it in this run.
fn was_seen(component: &ComponentReport) -> bool {
    component.outcome != Outcome::default()
}

/// All five answers; *not asked* is said as such.
fn outcome(component: &ComponentReport) -> String {
    let outcome = &component.outcome;
    let taken_back = component.phase == Phase::Ended(End::RolledBack);
    let answers = [
        ("patched", &outcome.patched),
        ("in effect", &outcome.in_effect),
        ("rebooted", &outcome.rebooted),
        ("healthy", &outcome.healthy),
        ("placed", &outcome.placed),
    ];
    let not_asked: Vec<&str> = answers
        .iter()
        .filter(|(_, a)| **a == Answer::NotAsked)
        .map(|(question, _)| *question)
        .collect();
    let mut parts: Vec<String> = answers
        .iter()
        .filter_map(|(question, answer)| match answer {
            Answer::NotAsked => None,
            Answer::Yes { saw } => Some(format!("{question}: {saw}")),
            // What was planned is no news where it was taken back.
            Answer::No { found, .. } if taken_back && *question == "patched" => {
                Some(format!("not {question}: {found}"))
            }
            Answer::No { .. } | Answer::Unknown { .. } => Some(format!("not {question}: {answer}")),
        })
        .collect();
    if !not_asked.is_empty() {
        parts.push(format!("not asked: {}", not_asked.join(", ")));
    }
    parts.join(" · ")
}

/// What is known to be the cause; where nobody knows, all that went in together.
fn blamed(component: &ComponentReport) -> String {
    let known: BTreeSet<_> = component.failures.iter().flat_map(|f| &f.blames).collect();
    let patches = component.patches.iter();
    let blamed: Vec<String> = match known.is_empty() {
        true => Vec::new(),
        false => patches
            .filter(|p| known.contains(&p.id))
            .map(|p| format!("{} {}", p.id, p.to))
            .collect(),
    };
    match blamed.as_slice() {
        [] => format!(
            "nobody knows which of {} is to blame",
            count(component.patches.len(), "patch", "patches")
        ),
        blamed => format!("blamed: {}", listed(blamed, 3)),
    }
}

/// Its state now, and since when.
fn now(component: &ComponentReport, times: &Times) -> String {
    let state = match component.phase {
        Phase::Ended(End::RolledBack) => "rolled back",
        Phase::Ended(End::LeftAsIs) => "left as it is",
        Phase::Ended(End::Untouched) => "not touched",
        phase => words::phase(phase),
    };
    match component.since {
        Some(since) => format!("now: {state}, since {}", times.at(since)),
        None => format!("now: {state}"),
    }
}

/// `first … to …`, or one time where both read alike.
fn span(first: Timestamp, last: Timestamp, times: &Times) -> String {
    match (times.at(first), times.at(last)) {
        (first, last) if first == last => first,
        (first, last) => format!("first {first}, last {last}"),
    }
}
