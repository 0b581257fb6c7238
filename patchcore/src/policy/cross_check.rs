//! The rules between the items of one policy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Time;

use super::{
    Policy,
    check::CheckKind,
    mistake::{Mistake, nearest},
    place::Place,
    recurrence::Recurrence,
};

/// Every mistake that is one only beside another item.
///
/// `damaged` are the pointers whose values are stand-ins: a rule that reads one of them is not
/// checked, because its mistake may be none once the value is put right.
pub(crate) fn cross_check(policy: &Policy, damaged: &BTreeSet<String>) -> Vec<Mistake> {
    let mut rules = Rules {
        policy,
        damaged,
        mistakes: Vec::new(),
    };
    rules.approval();
    rules.windows();
    rules.blackouts();
    rules.patches();
    rules.rings();
    rules.orders();
    rules.checks();
    rules.mistakes
}

struct Rules<'p> {
    policy: &'p Policy,
    damaged: &'p BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Rules<'_> {
    /// Whether a value, or one inside it, is a stand-in.
    fn is_damaged(&self, pointer: &str) -> bool {
        self.damaged.iter().any(|damaged| {
            damaged
                .strip_prefix(pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                || pointer
                    .strip_prefix(damaged.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    fn report(&mut self, at: &str, reads: &[&str], message: String) {
        self.report_with(at, reads, |place| Mistake::new(place, message));
    }

    fn report_with(&mut self, at: &str, reads: &[&str], mistake: impl FnOnce(Place) -> Mistake) {
        if reads.iter().any(|pointer| self.is_damaged(pointer)) {
            return;
        }
        // What stands there only by default is named at the nearest item that was written.
        let mut pointer = at;
        let place = loop {
            if let Some(place) = self.policy.place(pointer) {
                break place.clone();
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => {
                    break Place::Pointer {
                        file: self.policy.name.as_str().into(),
                        pointer: at.to_owned(),
                    };
                }
            }
        };
        self.mistakes.push(mistake(place));
    }

    /// Reports every name that an earlier item has too.
    fn unique<'n>(
        &mut self,
        word: &str,
        key: &str,
        names: impl Iterator<Item = (String, &'n str)>,
    ) {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        for (pointer, name) in names {
            if let Some(earlier) = first.get(name) {
                let line = match self.policy.place(earlier) {
                    Some(place) => format!(", first at {place}"),
                    None => String::new(),
                };
                self.report(
                    &pointer,
                    &[&pointer, earlier],
                    format!("{word} {name:?}: {key} is used twice{line}"),
                );
            } else {
                first.insert(name, pointer);
            }
        }
    }

    fn approval(&mut self) {
        let policy = self.policy;
        let approval = &policy.approval;
        let people = approval.from.iter().enumerate();
        self.unique(
            "[approval]: person",
            "the name",
            people.map(|(index, person)| (format!("/approval/from/{index}"), person.as_str())),
        );
        let distinct = approval.from.iter().collect::<BTreeSet<_>>().len();
        let needs = usize::try_from(approval.needs).unwrap_or(usize::MAX);
        // Without any people the policy lacks approvers, which is no mistake.
        if distinct > 0 && needs > distinct {
            let message = format!(
                "[approval]: needs = {needs}, but from names {distinct}: nothing can be approved"
            );
            self.report(
                "/approval/needs",
                &["/approval/needs", "/approval/from"],
                message,
            );
        }
    }

    fn windows(&mut self) {
        let policy = self.policy;
        let windows = policy.windows.iter().enumerate();
        self.unique(
            "window",
            "the name",
            windows
                .clone()
                .map(|(index, window)| (format!("/window/{index}/name"), window.name.as_str())),
        );
        for (index, window) in windows {
            let (at, name) = (format!("/window/{index}"), window.name.as_str());
            let pointer = |key: &str| format!("{at}/{key}");
            let (zone, when) = (pointer("zone"), pointer("when"));
            if window.when != Recurrence::AnyTime {
                if window.zone.is_empty() {
                    let message = format!(
                        "window {name:?}: zone is missing, expected such as \"Europe/Berlin\""
                    );
                    self.report(&at, &[&zone, &when], message);
                }
            } else if (window.from, window.until) != (Time::midnight(), Time::midnight()) {
                let message = format!(
                    "window {name:?}: \"any time\" has no hours, expected when = \"daily\" with from and until"
                );
                self.report(
                    &when,
                    &[&when, &pointer("from"), &pointer("until")],
                    message,
                );
            }
        }
    }

    fn blackouts(&mut self) {
        let policy = self.policy;
        for (index, blackout) in policy.blackouts.iter().enumerate() {
            let (from, to) = (
                format!("/blackout/{index}/from"),
                format!("/blackout/{index}/to"),
            );
            if blackout.to < blackout.from {
                let message = format!(
                    "blackout {:?}: to = {} is before from = {}",
                    blackout.because, blackout.to, blackout.from
                );
                self.report(&to, &[&from, &to], message);
            }
        }
    }

    fn patches(&mut self) {
        if self.policy.patches.take.is_empty() {
            let message = "[patches]: take is empty: nothing would ever be patched".to_owned();
            self.report("/patches/take", &["/patches/take"], message);
        }
    }

    fn rings(&mut self) {
        let policy = self.policy;
        let rings = policy.rings.iter().enumerate();
        self.unique(
            "ring",
            "the name",
            rings
                .clone()
                .map(|(index, ring)| (format!("/ring/{index}/name"), ring.name.as_str())),
        );
        let window_names: Vec<&str> = policy
            .windows
            .iter()
            .map(|window| window.name.as_str())
            .collect();
        let mut takes_all: Option<(usize, &str)> = None;
        for (index, ring) in rings {
            let name = ring.name.as_str();
            let pointer = |key: &str| format!("/ring/{index}/{key}");
            if let Some((earlier, taker)) = takes_all {
                let (select, earlier) = (pointer("select"), format!("/ring/{earlier}/select"));
                let message = format!(
                    "ring {name:?} selects nothing: ring {taker:?} before it takes everything"
                );
                self.report(&select, &[&select, &earlier], message);
            } else if ring.select.is_all() {
                takes_all = Some((index, name));
            }
            if let Some(window) = &ring.window
                && !window_names.contains(&window.as_str())
            {
                let at = pointer("window");
                let message = format!(
                    "ring {name:?}: window {:?} is not one of this policy",
                    window.as_str()
                );
                self.report_with(&at, &[&at, "/window"], |place| {
                    Mistake::new(place, message)
                        .suggesting(nearest(window.as_str(), window_names.iter().copied()))
                        .expected_one_of(&window_names)
                });
            }
            self.start_after(index);
        }
    }

    fn start_after(&mut self, index: usize) {
        let policy = self.policy;
        let Some(ring) = policy.rings.get(index) else {
            return;
        };
        let Some(start_after) = &ring.start_after else {
            return;
        };
        let (name, wanted) = (ring.name.as_str(), start_after.ring.as_str());
        let earlier: Vec<&str> = policy
            .rings
            .iter()
            .take(index)
            .map(|ring| ring.name.as_str())
            .collect();
        if earlier.contains(&wanted) {
            return;
        }
        let problem = if wanted == name {
            "it waits for itself".to_owned()
        } else if policy.rings.iter().any(|ring| ring.name == wanted) {
            format!("ring {wanted:?} comes after it")
        } else {
            format!("there is no ring {wanted:?}")
        };
        let at = format!("/ring/{index}/start_after/ring");
        let names: Vec<String> = (0..policy.rings.len())
            .map(|index| format!("/ring/{index}/name"))
            .collect();
        let mut reads: Vec<&str> = names.iter().map(String::as_str).collect();
        reads.push(&at);
        self.report_with(&at, &reads, |place| {
            Mistake::new(place, format!("ring {name:?} can never start: {problem}"))
                .suggesting(nearest(wanted, earlier.iter().copied()))
                .expected_one_of(&earlier)
        });
    }

    fn orders(&mut self) {
        let policy = self.policy;
        for (index, order) in policy.order.iter().enumerate() {
            if order.steps.is_empty() {
                let at = format!("/order/{index}/steps");
                self.report(
                    &at,
                    &[&at],
                    format!("order {:?}: steps is empty", order.within),
                );
            }
        }
    }

    fn checks(&mut self) {
        let policy = self.policy;
        for (index, check) in policy.checks.iter().enumerate() {
            if let CheckKind::Command(argv) = &check.kind
                && argv.first().is_none_or(String::is_empty)
            {
                let at = format!("/check/{index}/command");
                self.report(
                    &at,
                    &[&at],
                    format!("check {}: command names no program", index + 1),
                );
            }
        }
    }
}
