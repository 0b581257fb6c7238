//! Why this, why then, why not: a few lines about one component or one patch.

use std::{collections::BTreeMap, fmt};

use super::{
    LeftOut, PatchLeftOut, Plan, Target, WhyLeftOut,
    text::{self, Times, condition, count, duration, listed, names},
};
use crate::id::{ComponentId, PatchId, RingName};

/// Why a component or a patch is where it is in a plan. Three to eight lines when displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is about.
    pub about: String,
    /// One sentence each, most important first.
    pub lines: Vec<String>,
}

/// More than this is no explanation.
const LONGEST: usize = 8;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.about)?;
        for line in self.lines.iter().take(LONGEST - 1) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// Why a component or a patch of this name is in the plan, why then, or why not. A component goes before a
    /// patch of the same name; none where the plan knows neither.
    #[must_use]
    pub fn explain(&self, name: &str) -> Option<Explanation> {
        let component = ComponentId::from(name);
        if let Some(target) = self.envelope.target(&component) {
            return Some(self.explain_target(target));
        }
        if let Some(left) = self.left_out.iter().find(|l| l.component == component) {
            return Some(self.explain_left_out(left));
        }
        self.explain_patch(&PatchId::from(name))
    }

    fn explain_target(&self, target: &Target) -> Explanation {
        let id = &target.component;
        let times = self.times_of(&target.ring);
        let patches: Vec<String> = text::sorted(&target.patches)
            .into_iter()
            .map(text::patch)
            .collect();
        let mut lines = vec![
            format!("why: {}", listed(&patches, 2)),
            format!("when: {}", self.when(id, &target.ring, &times)),
        ];
        for chain in &self.order {
            let step = chain.steps.iter().position(|step| step.contains(id));
            if let Some(before) = step
                .and_then(|at| at.checked_sub(1))
                .and_then(|at| chain.steps.get(at))
            {
                lines.push(format!("after {} ({})", names(before, 4), chain.because));
            }
        }
        if let Some(busy) = self.busy.get(id) {
            lines.push(format!(
                "{busy}: it is waited for when its turn comes, for up to half an hour"
            ));
        }
        let mut out = vec![format!(
            "out of service for about {} (95 %: {})",
            duration(target.takes.p50),
            duration(target.takes.p95)
        )];
        out.extend(text::reboot(target));
        lines.push(out.join(" · "));
        for group in self
            .envelope
            .groups
            .iter()
            .filter(|g| target.groups.contains(&g.name))
        {
            lines.push(format!(
                "group \"{}\" keeps {} of {} up",
                group.name,
                group.keep_up,
                group.members.len()
            ));
        }
        lines.extend(text::around(&target.around));
        lines.push(text::way_back(&target.way_back));
        lines.extend(self.why_not(|l| l.component == *id, &times, |l| l.patch.to_string()));
        Explanation {
            about: format!(
                "{id} is planned: {} by {}",
                count(target.patches.len(), "patch", "patches"),
                target.tool
            ),
            lines,
        }
    }

    /// `ring broad, the first that selects it; wave 3 of 11, Tue 15 Dec 22:20 CET at the earliest, if …`.
    fn when(&self, id: &ComponentId, ring: &RingName, times: &Times) -> String {
        let mut parts = vec![format!("ring {ring} is the first that selects it")];
        let scheduled = self.schedule.rings.iter().find(|r| r.ring == *ring);
        let waves = scheduled.map_or(&[][..], |r| &r.waves);
        if let Some((at, wave)) = waves
            .iter()
            .enumerate()
            .find(|(_, w)| w.components.contains(id))
        {
            let starts = wave.starts.map_or_else(
                || "which has no window".to_owned(),
                |starts| format!("{} at the earliest", times.at(starts)),
            );
            parts.push(format!("wave {} of {}, {starts}", at + 1, waves.len()));
        }
        let rules = self.envelope.rings.iter().find(|r| r.name == *ring);
        parts.extend(rules.and_then(|rules| condition(self, rules)));
        parts.join("; ")
    }

    fn explain_left_out(&self, left: &LeftOut) -> Explanation {
        let id = &left.component;
        let times = Times::of(&self.envelope, None);
        let mut lines = match &left.reason {
            WhyLeftOut::Blocked { reasons } => {
                reasons.iter().map(|r| text::obstacle(id, r)).collect()
            }
            WhyLeftOut::NotCovered => vec![text::NOT_COVERED.to_owned()],
            WhyLeftOut::NotSelected => vec![text::NOT_SELECTED.to_owned()],
            _ => Vec::new(),
        };
        lines.extend(self.why_not(|l| l.component == *id, &times, |l| l.patch.to_string()));
        if lines.is_empty() {
            lines.push("its tool offers nothing newer than what is installed".to_owned());
        }
        lines.push(text::scanned(self));
        lines.extend(text::catalogues(self));
        Explanation {
            about: format!("{id} is not in this plan: {}", left.reason.word()),
            lines,
        }
    }

    fn explain_patch(&self, id: &PatchId) -> Option<Explanation> {
        let mut changes: BTreeMap<String, Vec<&Target>> = BTreeMap::new();
        for target in &self.envelope.targets {
            for patch in target.patches.iter().filter(|p| p.id == *id) {
                changes.entry(text::patch(patch)).or_default().push(target);
            }
        }
        let times = Times::of(&self.envelope, None);
        let not: Vec<String> =
            self.why_not(|l| l.patch == *id, &times, |l| l.component.to_string());
        let planned: usize = changes.values().map(Vec::len).sum();
        if planned == 0 && not.is_empty() {
            return None;
        }
        let mut lines: Vec<String> = changes
            .iter()
            .map(|(change, targets)| {
                format!(
                    "{change} on {}",
                    names(targets.iter().map(|t| &t.component), 4)
                )
            })
            .collect();
        if planned > 0 {
            lines.push(
                "why: the policy takes its class, and no exception or denial names it".to_owned(),
            );
        }
        for ring in &self.schedule.rings {
            let of_ring = changes
                .values()
                .flatten()
                .filter(|t| t.ring == ring.ring)
                .count();
            if of_ring > 0 {
                let times = self.times_of(&ring.ring);
                let starts = ring
                    .waves
                    .first()
                    .and_then(|w| w.starts)
                    .map_or_else(|| "no window".to_owned(), |starts| times.at(starts));
                lines.push(format!(
                    "when: {} in ring {}, from {starts}",
                    count(of_ring, "component", "components"),
                    ring.ring
                ));
            }
        }
        lines.extend(not);
        if planned == 0 {
            lines.push(text::scanned(self));
        }
        Some(Explanation {
            about: match planned {
                0 => format!("{id} is not in this plan"),
                n => format!("{id} goes into {}", count(n, "component", "components")),
            },
            lines,
        })
    }

    /// What is left out, equal reasons together.
    fn why_not(
        &self,
        about: impl Fn(&PatchLeftOut) -> bool,
        times: &Times,
        name: impl Fn(&PatchLeftOut) -> String,
    ) -> Vec<String> {
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for left in self.patches_left_out.iter().filter(|l| about(l)) {
            let reason = text::patch_reason(&left.reason, times);
            match by_reason.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, names)) => names.push(name(left)),
                None => by_reason.push((reason, vec![name(left)])),
            }
        }
        by_reason
            .into_iter()
            .map(|(reason, names)| format!("not {}: {reason}", listed(&names, 3)))
            .collect()
    }

    fn times_of(&self, ring: &RingName) -> Times {
        let rules = self.envelope.rings.iter().find(|r| r.name == *ring);
        Times::of(&self.envelope, rules.and_then(|r| r.window.as_ref()))
    }
}
