//! When each wave starts at the earliest.

use std::time::Duration;

use jiff::Timestamp;

use super::{Envelope, RingSchedule, Schedule, Wave};
use crate::{
    clock::later,
    id::{ComponentId, RingName},
    policy::Calendar,
};

/// Places waves one after the other into windows; a wave starts only where its 95 % figure fits before the
/// window closes. Rings follow each other, each after the soak of the one before.
pub(super) fn schedule(
    envelope: &Envelope,
    calendar: &Calendar,
    rings: Vec<(RingName, Vec<Vec<ComponentId>>)>,
    now: Timestamp,
) -> Schedule {
    let mut schedule = Schedule {
        rings: Vec::new(),
        p50: Duration::ZERO,
        p95: Duration::ZERO,
        ends: None,
    };
    let mut cursor = Some(now);
    for (name, waves) in rings {
        let rules = envelope.rings.iter().find(|r| r.name == name);
        let window = rules.and_then(|r| r.window.as_ref());
        let mut placed = Vec::new();
        for components in waves {
            let takes = || {
                components
                    .iter()
                    .filter_map(|c| envelope.target(c))
                    .map(|t| t.takes)
            };
            let p50 = takes().map(|t| t.p50).max().unwrap_or_default();
            let p95 = takes().map(|t| t.p95).max().unwrap_or_default();
            let starts = cursor
                .and_then(|from| calendar.next_opening(window, from, p95))
                .map(|opening| opening.from);
            schedule.p50 += p50;
            schedule.p95 += p95;
            cursor = starts.map(|s| later(s, p50));
            placed.push(Wave {
                components,
                starts,
                p50,
                p95,
            });
        }
        let soak_until = match (placed.is_empty(), cursor, rules) {
            (false, Some(end), Some(rules)) => Some(later(end, rules.soak)),
            _ => None,
        };
        cursor = if placed.is_empty() {
            cursor
        } else {
            soak_until
        };
        if soak_until.is_some() {
            schedule.ends = soak_until;
        }
        schedule.rings.push(RingSchedule {
            ring: name,
            waves: placed,
            soak_until,
        });
    }
    if schedule
        .rings
        .iter()
        .flat_map(|r| &r.waves)
        .any(|w| w.starts.is_none())
    {
        schedule.ends = None;
    }
    schedule
}
