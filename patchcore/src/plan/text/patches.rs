//! What goes into a component, in one line.

use crate::{
    estate::{Impact, Patch, Pin, WayBack},
    id::PatchId,
    plan::{PlannedBracket, RebootRule, Target},
};

/// `1 patch`, `12 patches`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// `a, b + 3 more`.
pub(crate) fn listed<T: ToString>(items: &[T], most: usize) -> String {
    let shown: Vec<String> = items.iter().take(most).map(T::to_string).collect();
    let shown = shown.join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        n => format!("{shown} + {n} more"),
    }
}

/// `openssl 3.0.14-1 → 3.0.15-1 (security, CVE-2026-1111)`.
pub(in crate::plan) fn one(patch: &Patch) -> String {
    let mut about = vec![patch.class.word().to_owned()];
    let advisories: Vec<&str> = patch.advisories.iter().map(|a| a.as_str()).collect();
    if !advisories.is_empty() {
        about.push(listed(&advisories, 2));
    }
    match &patch.pin {
        Pin::Artifact { .. } | Pin::Version => {}
        Pin::NamesOnly => about.push("fixed by name only".to_owned()),
        Pin::ProviderManaged => about.push("the tool decides the content".to_owned()),
    }
    format!("{} ({})", patch.change(), about.join(", "))
}

/// Every patch, most important first.
pub(in crate::plan) fn sorted(patches: &[Patch]) -> Vec<&Patch> {
    let mut sorted: Vec<&Patch> = patches.iter().collect();
    sorted.sort_by_key(|p| (p.class, p.advisories.is_empty(), &p.id));
    sorted
}

/// The patches in one line, of a long list the first.
pub(super) fn first_few(patches: &[Patch]) -> String {
    let sorted = sorted(patches);
    let few = match sorted.len() {
        n if n <= 2 => n,
        _ => 1,
    };
    let shown: Vec<String> = sorted.iter().take(few).map(|p| one(p)).collect();
    let shown = shown.join(", ");
    match sorted.len() - few {
        0 => shown,
        n => format!("{shown} + {n} more"),
    }
}

/// Whether and why it restarts; none where nothing asks for it.
pub(in crate::plan) fn reboot(target: &Target) -> Option<String> {
    let needing: Vec<&Patch> = target
        .patches
        .iter()
        .filter(|p| p.assumed_impact() >= Impact::Reboot)
        .collect();
    let known: Vec<&PatchId> = needing
        .iter()
        .filter(|p| p.impact.is_some())
        .map(|p| &p.id)
        .collect();
    let why = match (known.as_slice(), needing.as_slice()) {
        ([], []) => None,
        ([], unsaid) => Some(format!(
            "nobody says that {} goes without",
            listed(&unsaid.iter().map(|p| &p.id).collect::<Vec<_>>(), 1)
        )),
        (known, _) => Some(listed(known, 2)),
    };
    let first = target
        .reboot_first
        .then(|| "reboot first, one is pending".to_owned());
    let after = match (target.reboot, why) {
        // Nobody is asked to restart it, and it does: its tool does that as a part of putting the patch in.
        (RebootRule::Never, Some(why)) if target.reboot_expected => {
            Some(format!("restarts as a part of it ({why})"))
        }
        (RebootRule::Never, Some(why)) => {
            Some(format!("no reboot, so not in effect before one ({why})"))
        }
        (RebootRule::Never, None) => None,
        (RebootRule::Always, _) => Some("reboot (always)".to_owned()),
        (RebootRule::WhenNeeded, Some(why)) => Some(format!("reboot ({why})")),
        (RebootRule::WhenNeeded, None) if target.reboot_expected => {
            Some("reboot (one is pending)".to_owned())
        }
        (RebootRule::WhenNeeded, None) => None,
    };
    match (first, after) {
        (Some(first), Some(after)) => Some(format!("{first} · {after}")),
        (first, after) => first.or(after),
    }
}

/// What is held around it: `alerts silenced in alertmanager, backup paused`; none where nothing is.
pub(in crate::plan) fn around(around: &[PlannedBracket]) -> Option<String> {
    let held: Vec<String> = around.iter().map(PlannedBracket::words).collect();
    (!held.is_empty()).then(|| format!("around it: {}", held.join(", ")))
}

/// `way back: old packages kept`.
pub(in crate::plan) fn way_back(way_back: &WayBack) -> String {
    match way_back {
        WayBack::Ready { by } => format!("way back: {}", by.words()),
        WayBack::Partial { by, missing, why } => format!(
            "way back partial ({}): not for {}, {why}",
            by.words(),
            listed(missing, 3)
        ),
        WayBack::None { why } => format!("no way back: {why}"),
    }
}
