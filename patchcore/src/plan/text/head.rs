//! The first lines: which plan this is, and how long it takes.

use super::{
    count,
    times::{Times, age, duration},
};
use crate::plan::{Plan, WhyLeftOut};

pub(super) fn write(plan: &Plan, page: &mut Vec<String>) {
    let envelope = &plan.envelope;
    let scanned = scanned(plan);
    let mut parts = vec![
        format!("plan {}", plan.id()),
        format!(
            "estate {}: {}, {scanned}",
            envelope.estate,
            count(plan.found, "component", "components")
        ),
        format!("policy {}", envelope.policy),
        format!("requested by {}", envelope.requested_by),
    ];
    parts.extend(envelope.references.iter().map(|r| match &r.state {
        Some(state) => format!("{} ({state})", r.id),
        None => r.id.clone(),
    }));
    page.push(parts.join(" · "));

    if plan.is_empty() {
        let up_to_date = plan
            .left_out
            .iter()
            .filter(|l| matches!(l.reason, WhyLeftOut::NothingToDo))
            .count();
        let components = count(plan.found, "component", "components");
        page.push(match plan.found - up_to_date.min(plan.found) {
            0 if plan.found == 1 => format!("nothing to do: {components} is up to date"),
            0 => format!("nothing to do: {components} are up to date"),
            _ => format!("nothing to do now: {up_to_date} of {components} up to date"),
        });
        return;
    }
    let schedule = &plan.schedule;
    let ends = match schedule.ends {
        Some(ends) => {
            let last = schedule.rings.iter().rfind(|r| !r.waves.is_empty());
            let window = last
                .and_then(|last| envelope.rings.iter().find(|r| r.name == last.ring))
                .and_then(|r| r.window.as_ref());
            format!(
                "ends {} at the earliest",
                Times::of(envelope, window).at(ends)
            )
        }
        None => "no end: not every wave has a window".to_owned(),
    };
    page.push(format!(
        "working time about {} (95 %: {}) · {ends}",
        duration(schedule.p50),
        duration(schedule.p95)
    ));
}

/// `scanned 2 min ago`, by the oldest scan.
pub(in crate::plan) fn scanned(plan: &Plan) -> String {
    let made = plan.envelope.made;
    match plan.scanned.map(|at| (at, age(at, made))) {
        Some((_, Some(age))) => format!("scanned {age} ago"),
        Some((at, None)) => format!("scanned {}", Times::of(&plan.envelope, None).at(at)),
        None => "never scanned".to_owned(),
    }
}
