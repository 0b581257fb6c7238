//! The linter: what is worth knowing before signing, and what stops a plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    Envelope, Remark, RingSchedule, Schedule, Severity, WhyPatchLeftOut,
    text::{Times, count, duration, names},
};
use crate::{
    estate::{Inventory, RelationKind},
    id::{ComponentId, PatchId, PersonId},
    policy::Policy,
};

pub(super) fn remarks(
    inventory: &Inventory,
    policy: &Policy,
    envelope: &Envelope,
    schedule: &Schedule,
) -> Vec<Remark> {
    let mut lint = Lint {
        envelope,
        remarks: Vec::new(),
    };
    for lack in policy.lacks() {
        lint.say(Severity::CannotRun, lack.to_string());
    }
    lint.approvers();
    lint.listings(inventory);
    lint.other_patchers(inventory);
    lint.supports(inventory);
    if !policy.windows.is_empty() {
        lint.windows(schedule);
    }
    if let Some(ends) = schedule.ends {
        lint.exceptions(ends);
    }
    lint.remarks
}

/// For what one component relies on another; none where that is said elsewhere.
const fn relies(kind: RelationKind) -> Option<&'static str> {
    match kind {
        RelationKind::ResolvesBy => Some("names"),
        RelationKind::AuthenticatesBy => Some("logins"),
        RelationKind::ReachedBy => Some("its network"),
        RelationKind::ManagedBy => Some("its management"),
        RelationKind::StoredOn | RelationKind::BackedBy => Some("storage"),
        RelationKind::DependsOn => Some("its work"),
        RelationKind::RunsOn | RelationKind::MemberOf => None,
    }
}

struct Lint<'a> {
    envelope: &'a Envelope,
    remarks: Vec<Remark>,
}

impl Lint<'_> {
    fn say(&mut self, severity: Severity, text: String) {
        self.remarks.push(Remark { severity, text });
    }

    /// The requester never counts, so that a list with too few others can never be enough.
    fn approvers(&mut self) {
        let rules = &self.envelope.approval;
        let by = &self.envelope.requested_by;
        let others: BTreeSet<&PersonId> = rules.from.iter().filter(|p| *p != by).collect();
        let needs = rules.needs.max(1) as usize;
        if !rules.from.is_empty() && others.len() < needs {
            let text = format!(
                "{} must approve, and without {by}, who asked for it, only {} may: name more in [approval] from, or let another person ask",
                count(needs, "person", "people"),
                others.len()
            );
            self.say(Severity::CannotRun, text);
        }
    }

    /// Components that nobody listed are missing from every figure of the plan.
    fn listings(&mut self, inventory: &Inventory) {
        let whole: BTreeSet<String> = inventory
            .gaps
            .iter()
            .filter(|gap| gap.component.is_none())
            .map(|gap| {
                format!(
                    "{} could not answer ({}): {}; what only it sees is not counted here",
                    gap.provider, gap.call, gap.failure
                )
            })
            .collect();
        for text in whole {
            self.say(Severity::Warning, text);
        }
    }

    /// What somebody else puts in meanwhile meets no window and no ring.
    fn other_patchers(&mut self, inventory: &Inventory) {
        let mut found: BTreeMap<&str, BTreeSet<&ComponentId>> = BTreeMap::new();
        for target in &self.envelope.targets {
            let findings = inventory.findings.get(&target.component);
            let scans = findings.into_iter().flatten().map(|f| &f.scan);
            for patcher in scans.flat_map(|scan| &scan.other_patchers) {
                found.entry(patcher).or_default().insert(&target.component);
            }
        }
        let texts: Vec<String> = found
            .into_iter()
            .map(|(patcher, who)| {
                format!(
                    "{patcher} is at work too on {}, and heeds neither windows nor rings: switch it off where the order of this plan matters",
                    names(who, 6)
                )
            })
            .collect();
        for text in texts {
            self.say(Severity::Warning, text);
        }
    }

    /// Whom the components of a plan rely on, where no tool covers it: nobody else says that it needs patches too.
    fn supports(&mut self, inventory: &Inventory) {
        let mut found: BTreeMap<(&ComponentId, &str), BTreeSet<&ComponentId>> = BTreeMap::new();
        for relation in &inventory.relations {
            let Some(how) = relies(relation.kind) else {
                continue;
            };
            let covered = inventory.findings.contains_key(&relation.to);
            let of_plan = self.envelope.target(&relation.from).is_some();
            if of_plan && !covered {
                let who = found.entry((&relation.to, how)).or_default();
                who.insert(&relation.from);
            }
        }
        for ((support, how), who) in found {
            let verb = if who.len() == 1 { "relies" } else { "rely" };
            let text = format!(
                "{} {verb} on {support} for {how}, which no tool covers: patch it by hand, and not while this plan runs",
                names(who, 6)
            );
            self.say(Severity::Warning, text);
        }
    }

    fn windows(&mut self, schedule: &Schedule) {
        let working = || schedule.rings.iter().filter(|r| !r.waves.is_empty());
        let first = working().next().map(|r| r.ring.clone());
        for ring in working() {
            if ring.waves.iter().any(|w| w.starts.is_none()) {
                let slowest = ring.waves.iter().map(|w| w.p95).max().unwrap_or_default();
                let text = format!(
                    "ring {} never comes to a window that is long enough: its slowest wave may take {}",
                    ring.ring,
                    duration(slowest)
                );
                self.say(Severity::CannotRun, text);
            } else if let Some(starts) = self.too_late(ring) {
                let times = self.times(ring);
                let text = format!(
                    "ring {} has a wave that would start {}, after the approval expires {}: make approvals valid for longer, or plan again for what is left then",
                    ring.ring,
                    times.at(starts),
                    times.at(self.envelope.expires)
                );
                let nothing_starts = first.as_ref() == Some(&ring.ring)
                    && ring.waves.first().and_then(|w| w.starts) == Some(starts);
                self.say(
                    match nothing_starts {
                        true => Severity::CannotRun,
                        false => Severity::Warning,
                    },
                    text,
                );
                // What comes later is later still.
                return;
            }
        }
    }

    /// When the first wave would start that the approval does not reach any more.
    fn too_late(&self, ring: &RingSchedule) -> Option<Timestamp> {
        ring.waves
            .iter()
            .filter_map(|w| w.starts)
            .find(|starts| *starts >= self.envelope.expires)
    }

    fn times(&self, ring: &RingSchedule) -> Times {
        let rules = self.envelope.rings.iter().find(|r| r.name == ring.ring);
        Times::of(self.envelope, rules.and_then(|r| r.window.as_ref()))
    }

    fn exceptions(&mut self, ends: Timestamp) {
        let last_day = ends.to_zoned(TimeZone::UTC).date();
        let mut ending: BTreeMap<(&PatchId, Date), Vec<&ComponentId>> = BTreeMap::new();
        for exception in &self.envelope.exceptions {
            if let WhyPatchLeftOut::Excepted { until, .. } = &exception.reason
                && last_day > *until
            {
                ending
                    .entry((&exception.patch, *until))
                    .or_default()
                    .push(&exception.component);
            }
        }
        let times = Times::of(self.envelope, None);
        let texts: Vec<String> = ending
            .into_iter()
            .map(|((patch, until), who)| {
                format!(
                    "the exception for {patch} on {} ends {}, inside this run",
                    names(who, 6),
                    times.day(until)
                )
            })
            .collect();
        for text in texts {
            self.say(Severity::Warning, text);
        }
    }
}
