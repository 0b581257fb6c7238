//! What changed between two plans.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Plan, RingRules, Target,
    text::{Times, count, duration, names},
};
use crate::{
    estate::Patch,
    id::{ComponentId, RingName},
    policy::{Recurrence, Window, time_of_day_words},
};

/// What changed since an earlier plan, one sentence each; what stayed is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDiff {
    /// The sentences.
    pub lines: Vec<String>,
}

impl PlanDiff {
    /// Whether nothing changed but the time at which the plan was made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Display for PlanDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.as_slice() {
            [] => f.write_str("nothing changed"),
            lines => f.write_str(&lines.join("\n")),
        }
    }
}

impl Plan {
    /// What changed since an earlier plan.
    #[must_use]
    pub fn diff(&self, earlier: &Self) -> PlanDiff {
        let mut diff = Diff {
            now: self,
            then: earlier,
            lines: Vec::new(),
        };
        diff.components();
        diff.patches();
        diff.rings();
        diff.windows();
        diff.moves();
        diff.rest();
        PlanDiff { lines: diff.lines }
    }
}

struct Diff<'p> {
    now: &'p Plan,
    then: &'p Plan,
    lines: Vec<String>,
}

/// Where a component is, in a word.
fn place(plan: &Plan, id: &ComponentId) -> Option<String> {
    if plan.envelope.target(id).is_some() {
        return Some("planned".to_owned());
    }
    let left = plan.left_out.iter().find(|l| l.component == *id)?;
    let reason = match &left.reason {
        super::WhyLeftOut::Blocked { reasons } => {
            let reasons: Vec<&str> = reasons.iter().map(|r| r.message.as_str()).collect();
            format!("blocked ({})", reasons.join("; "))
        }
        other => other.word().to_owned(),
    };
    Some(reason)
}

impl<'p> Diff<'p> {
    fn components(&mut self) {
        let all = |plan: &'p Plan| {
            let targets = plan.envelope.targets.iter().map(|t| &t.component);
            targets.chain(plan.left_out.iter().map(|l| &l.component))
        };
        let ids: BTreeSet<&ComponentId> = all(self.now).chain(all(self.then)).collect();
        let mut moved: BTreeMap<(String, String), Vec<&ComponentId>> = BTreeMap::new();
        for id in ids {
            let absent = || "not in the estate".to_owned();
            let was = place(self.then, id).unwrap_or_else(absent);
            let is = place(self.now, id).unwrap_or_else(absent);
            if was != is {
                moved.entry((is, was)).or_default().push(id);
            }
        }
        for ((is, was), who) in moved {
            self.lines
                .push(format!("{}: {is}, was {was}", names(who, 6)));
        }
    }

    /// Targets that are in both plans.
    fn both(&self) -> Vec<(&'p Target, &'p Target)> {
        let then = self.then;
        self.now
            .envelope
            .targets
            .iter()
            .filter_map(|now| Some((now, then.envelope.target(&now.component)?)))
            .collect()
    }

    fn patches(&mut self) {
        let mut changed: BTreeMap<String, Vec<&ComponentId>> = BTreeMap::new();
        for (now, then) in self.both() {
            let find = |of: &'p Target, patch: &Patch| of.patches.iter().find(|p| p.id == patch.id);
            for patch in &now.patches {
                let text = match find(then, patch) {
                    None => format!("+ {}", patch.change()),
                    Some(was) if was.change() != patch.change() => {
                        format!("{}, was {}", patch.change(), was.change())
                    }
                    Some(was) if was != patch => {
                        format!("{}: what is known of it changed", patch.change())
                    }
                    Some(_) => continue,
                };
                changed.entry(text).or_default().push(&now.component);
            }
            for patch in then.patches.iter().filter(|p| find(now, p).is_none()) {
                changed
                    .entry(format!("- {}", patch.change()))
                    .or_default()
                    .push(&now.component);
            }
            let mut told = |text: String| changed.entry(text).or_default().push(&now.component);
            if now.ring != then.ring {
                told(format!("ring {}, was {}", now.ring, then.ring));
            }
            if now.way_back != then.way_back {
                told(format!(
                    "{}, was {}",
                    super::text::way_back(&now.way_back),
                    super::text::way_back(&then.way_back)
                ));
            }
            if (now.reboot, now.reboot_expected, now.reboot_first)
                != (then.reboot, then.reboot_expected, then.reboot_first)
            {
                let words =
                    |t: &Target| super::text::reboot(t).unwrap_or_else(|| "no reboot".to_owned());
                told(format!("{}, was {}", words(now), words(then)));
            }
            if now.checks != then.checks {
                told(format!(
                    "{}, was {}",
                    count(now.checks.len(), "check", "checks"),
                    then.checks.len()
                ));
            }
            if now.around != then.around {
                let words = |t: &Target| {
                    super::text::around(&t.around)
                        .unwrap_or_else(|| "nothing is held around it".to_owned())
                };
                match (words(now), words(then)) {
                    (is, was) if is == was => {
                        told("what is held around it, for another time".to_owned())
                    }
                    (is, was) => told(format!("{is}, was {was}")),
                }
            }
            if now.after != then.after {
                told(format!(
                    "waits for {} others, was {}",
                    now.after.len(),
                    then.after.len()
                ));
            }
            if now.takes != then.takes {
                told(format!(
                    "takes {} (95 %: {}), was {} (95 %: {})",
                    duration(now.takes.p50),
                    duration(now.takes.p95),
                    duration(then.takes.p50),
                    duration(then.takes.p95)
                ));
            }
            // Everything that was not told above.
            let untold = Target {
                ring: then.ring.clone(),
                patches: then.patches.clone(),
                way_back: then.way_back.clone(),
                reboot: then.reboot,
                reboot_expected: then.reboot_expected,
                reboot_first: then.reboot_first,
                checks: then.checks.clone(),
                around: then.around.clone(),
                after: then.after.clone(),
                takes: then.takes,
                ..now.clone()
            };
            if untold != *then {
                told("a detail of the target changed".to_owned());
            }
        }
        for (text, who) in changed {
            self.lines.push(format!("{}: {text}", names(who, 6)));
        }
    }

    fn rings(&mut self) {
        let (now, then) = (&self.now.envelope.rings, &self.then.envelope.rings);
        let mut lines = Vec::new();
        for ring in now {
            match then.iter().find(|r| r.name == ring.name) {
                None => lines.push(format!("ring {} is new", ring.name)),
                Some(was) => lines.extend(rules(ring, was)),
            }
        }
        for ring in then.iter().filter(|r| now.iter().all(|n| n.name != r.name)) {
            lines.push(format!("ring {} is gone", ring.name));
        }
        let order = |rings: &[RingRules], other: &[RingRules]| -> Vec<RingName> {
            let kept = rings
                .iter()
                .filter(|r| other.iter().any(|o| o.name == r.name));
            kept.map(|r| r.name.clone()).collect()
        };
        if order(now, then) != order(then, now) {
            lines.push("the rings are in another order".to_owned());
        }
        self.lines.extend(lines);
    }

    fn windows(&mut self) {
        let (now, then) = (&self.now.envelope.windows, &self.then.envelope.windows);
        let mut lines = Vec::new();
        for window in now {
            match then.iter().find(|w| w.name == window.name) {
                None => lines.push(format!(
                    "window {} is new: {}",
                    window.name,
                    opening(window)
                )),
                Some(was) if was != window => lines.push(format!(
                    "window {}: {}, was {}",
                    window.name,
                    opening(window),
                    opening(was)
                )),
                Some(_) => {}
            }
        }
        for window in then.iter().filter(|w| now.iter().all(|n| n.name != w.name)) {
            lines.push(format!("window {} is gone", window.name));
        }
        if lines.is_empty() && now != then {
            lines.push("the windows are in another order".to_owned());
        }
        self.lines.extend(lines);
    }

    fn moves(&mut self) {
        let start = |plan: &'p Plan, ring: &RingName| {
            let ring = plan.schedule.rings.iter().find(|r| r.ring == *ring);
            ring.and_then(|r| r.waves.first()).and_then(|w| w.starts)
        };
        let times = Times::of(&self.now.envelope, None);
        let words =
            |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| times.at(at));
        let mut lines = Vec::new();
        for ring in &self.now.schedule.rings {
            let (is, was) = (start(self.now, &ring.ring), start(self.then, &ring.ring));
            let known = self.then.schedule.rings.iter().any(|r| r.ring == ring.ring);
            if known && is != was {
                lines.push(format!(
                    "ring {} starts {}, was {}",
                    ring.ring,
                    words(is),
                    words(was)
                ));
            }
        }
        let (is, was) = (self.now.schedule.ends, self.then.schedule.ends);
        if is != was {
            lines.push(format!("it ends {}, was {}", words(is), words(was)));
        }
        self.lines.extend(lines);
    }

    /// Whatever else differs is named at least by its place, so that *nothing changed* is never a lie.
    fn rest(&mut self) {
        // Told above, or different in every plan.
        const KNOWN: [&str; 11] = [
            "envelope.made",
            "envelope.expires",
            "envelope.targets",
            "envelope.rings",
            "envelope.windows",
            "schedule.rings",
            "schedule.ends",
            "schedule.p50",
            "schedule.p95",
            "scanned",
            "catalogue_as_of",
        ];
        let told = !self.lines.is_empty();
        let valid = |plan: &Plan| plan.envelope.expires.duration_since(plan.envelope.made);
        if valid(self.now) != valid(self.then) {
            self.lines
                .push("approvals are valid for another time".to_owned());
        }
        let json = |plan: &Plan| serde_json::to_value(plan).unwrap_or_default();
        let mut paths = BTreeSet::new();
        differing(&json(self.now), &json(self.then), "", 2, &mut paths);
        for path in paths {
            // Components that left or came in, and times that follow from what was told, need no second word.
            let follows = matches!(path.as_str(), "left_out" | "found" | "schedule.rings") && told;
            let silent = path == "schedule.rings" && !told;
            if silent || !(follows || KNOWN.contains(&path.as_str())) {
                self.lines.push(format!("{} changed", words_of(&path)));
            }
        }
    }
}

/// `envelope.on_fail` as people call it.
fn words_of(path: &str) -> String {
    match path {
        "envelope.estate" => "the estate",
        "envelope.requested_by" => "the requester",
        "envelope.policy" => "the policy's name",
        "envelope.policy_digest" => "the policy's text",
        "envelope.references" => "a reference",
        "envelope.approval" => "who approves",
        "envelope.blackouts" => "a blackout",
        "envelope.groups" => "a redundancy group",
        "envelope.on_fail" => "what happens on failure",
        "envelope.exceptions" => "an exception",
        "patches_left_out" => "what is left out of offers",
        "left_out" => "why a component is left out",
        "order" => "the order",
        "busy" => "who is busy",
        "tools" => "a tool",
        "remarks" => "a remark",
        "found" => "how many components were found",
        "schedule.rings" => "the times of waves",
        other => other,
    }
    .to_owned()
}

/// The places, so many levels deep, at which two values differ.
fn differing(now: &Value, then: &Value, at: &str, levels: u8, paths: &mut BTreeSet<String>) {
    if now == then {
        return;
    }
    let inside = matches!(at, "" | "envelope" | "schedule");
    match (now, then) {
        (Value::Object(a), Value::Object(b)) if inside && levels > 0 => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = match at {
                    "" => key.clone(),
                    at => format!("{at}.{key}"),
                };
                let none = Value::Null;
                differing(
                    a.get(key).unwrap_or(&none),
                    b.get(key).unwrap_or(&none),
                    &path,
                    levels - 1,
                    paths,
                );
            }
        }
        _ => {
            paths.insert(at.to_owned());
        }
    }
}

fn rules(now: &RingRules, was: &RingRules) -> Vec<String> {
    let name = &now.name;
    let mut lines = Vec::new();
    if now.at_once != was.at_once {
        lines.push(format!(
            "ring {name}: at most {} at once, was {}",
            now.at_once, was.at_once
        ));
    }
    if now.soak != was.soak {
        lines.push(format!(
            "ring {name}: soak {}, was {}",
            duration(now.soak),
            duration(was.soak)
        ));
    }
    if now.start_after != was.start_after {
        lines.push(format!(
            "ring {name}: what must hold before it starts changed"
        ));
    }
    if now.window != was.window {
        let words = |w: &Option<crate::id::WindowName>| {
            w.as_ref()
                .map_or_else(|| "any window".to_owned(), |w| format!("window {w}"))
        };
        lines.push(format!(
            "ring {name}: {}, was {}",
            words(&now.window),
            words(&was.window)
        ));
    }
    if now.needs_approval != was.needs_approval {
        lines.push(match now.needs_approval {
            true => format!("ring {name} needs an approval of its own now"),
            false => format!("ring {name} needs no approval of its own any more"),
        });
    }
    if now.up_to_date != was.up_to_date {
        lines.push(format!(
            "ring {name}: {} up to date, was {}",
            now.up_to_date, was.up_to_date
        ));
    }
    lines
}

/// `mon..thu from 22:00 until 04:00 Europe/Berlin`.
fn opening(window: &Window) -> String {
    if window.when == Recurrence::AnyTime {
        return window.when.to_string();
    }
    format!(
        "{} from {} until {} {}",
        window.when,
        time_of_day_words(window.from),
        time_of_day_words(window.until),
        window.zone
    )
}
