//! The rules between the items of one policy.

use std::collections::BTreeSet;

use jiff::civil::Time;

use super::{Policy, check::CheckKind, recurrence::Recurrence};
use crate::document::{Document, Mistake, nearest};

/// Every mistake that is one only beside another item.
pub(crate) fn cross_check(policy: &Policy, document: &mut Document) {
    let mut rules = Rules { policy, document };
    rules.approval();
    rules.windows();
    rules.blackouts();
    rules.patches();
    rules.rings();
    rules.orders();
    rules.limits();
    rules.checks();
    rules.around();
    rules.failures();
}

struct Rules<'p> {
    policy: &'p Policy,
    document: &'p mut Document,
}

impl Rules<'_> {
    fn report(&mut self, at: &str, reads: &[&str], message: String) {
        self.document
            .report(at, reads, |place| Mistake::new(place, message));
    }

    fn approval(&mut self) {
        let policy = self.policy;
        let approval = &policy.approval;
        let people = approval.from.iter().enumerate();
        self.document.unique(
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
        self.document.unique(
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

    fn limits(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, limit) in self.policy.limits.iter().enumerate() {
            if !seen.insert((limit.per.as_str(), limit.select.to_string())) {
                let message = format!(
                    "limit {:?}: an earlier limit counts the same components",
                    limit.per
                );
                let (at, select) = (
                    format!("/limit/{index}/per"),
                    format!("/limit/{index}/select"),
                );
                self.report(&at, &[&at, &select], message);
            }
        }
    }

    fn failures(&mut self) {
        let kinds = self.policy.on_fail.kind.iter().enumerate();
        self.document.unique(
            "[on_fail]: kind",
            "the kind",
            kinds.map(|(index, limit)| (format!("/on_fail/kind/{index}/kind"), limit.kind.slug())),
        );
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
        self.document.unique(
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
                self.document.report(&at, &[&at, "/window"], |place| {
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
        self.document.report(&at, &reads, |place| {
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

    fn around(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, around) in self.policy.around.iter().enumerate() {
            let (word, by) = (around.what.kind().slug(), around.what.by().as_str());
            if !seen.insert((word, by, around.select.to_string())) {
                let message = format!(
                    "around {}: {word} = {by:?} stands around the same components already",
                    index + 1
                );
                let (at, select) = (
                    format!("/around/{index}/{word}"),
                    format!("/around/{index}/select"),
                );
                self.report(&at, &[&at, &select], message);
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

#[cfg(test)]
mod tests {
    use crate::policy::{Policy, Recurrence, Ring, Selector, StartAfter, Window};

    fn answers(text: &str) -> Vec<String> {
        match Policy::check_toml(text, "p") {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes
                .as_slice()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    const RINGS: &str = "[[ring]]\nname = \"test\"\nselect = \"ring = test\"\n\
                         [[ring]]\nname = \"broad\"\nselect = \"*\"\n";

    #[test]
    fn items_fit_together() {
        for (text, answer) in [
            (
                "[approval]\nfrom = [\"a\", \"b\", \"a\"]",
                "p:2:19: [approval]: person \"a\": the name is used twice, first at p:2:9",
            ),
            (
                "[approval]\nneeds = 3\nfrom = [\"a\", \"b\"]",
                "p:2:1: [approval]: needs = 3, but from names 2: nothing can be approved",
            ),
            (
                "[[window]]\nname = \"w\"\nwhen = \"any time\"\n[[window]]\nname = \"w\"\nwhen = \"any time\"",
                "p:5:1: window \"w\": the name is used twice, first at p:2:1",
            ),
            (
                "[[window]]\nname = \"w\"\nwhen = \"daily\"",
                "p:1:1: window \"w\": zone is missing, expected such as \"Europe/Berlin\"",
            ),
            (
                "[[window]]\nname = \"w\"\nwhen = \"any time\"\nfrom = \"22:00\"",
                "p:3:1: window \"w\": \"any time\" has no hours, expected when = \"daily\" with from and until",
            ),
            (
                "[[blackout]]\nbecause = \"b\"\nfrom = 2027-01-03\nto = 2026-12-20",
                "p:4:1: blackout \"b\": to = 2026-12-20 is before from = 2027-01-03",
            ),
            (
                "[patches]\ntake = []",
                "p:2:1: [patches]: take is empty: nothing would ever be patched",
            ),
            (
                &format!("{RINGS}[[ring]]\nname = \"test\"\nselect = \"a = b\""),
                "p:8:1: ring \"test\": the name is used twice, first at p:2:1",
            ),
            (
                &format!("{RINGS}[[ring]]\nname = \"last\"\nselect = \"a = b\""),
                "p:9:1: ring \"last\" selects nothing: ring \"broad\" before it takes everything",
            ),
            (
                &format!(
                    "{RINGS}window = \"wekend\"\n[[window]]\nname = \"weekend\"\nwhen = \"any time\""
                ),
                "p:7:1: ring \"broad\": window \"wekend\" is not one of this policy\n   expected one of: weekend\n   did you mean \"weekend\"?",
            ),
            (
                &format!("{RINGS}start_after = {{ ring = \"tets\" }}"),
                "p:7:17: ring \"broad\" can never start: there is no ring \"tets\"\n   expected one of: test\n   did you mean \"test\"?",
            ),
            (
                &format!("{RINGS}start_after = {{ ring = \"broad\" }}"),
                "p:7:17: ring \"broad\" can never start: it waits for itself\n   expected one of: test",
            ),
            (
                "[[ring]]\nname = \"a\"\nselect = \"x = y\"\nstart_after = { ring = \"b\" }\n[[ring]]\nname = \"b\"\nselect = \"*\"",
                "p:4:17: ring \"a\" can never start: ring \"b\" comes after it",
            ),
            (
                "[[order]]\nwithin = \"app\"\nsteps = []",
                "p:3:1: order \"app\": steps is empty",
            ),
            (
                "[[check]]\ncommand = []",
                "p:2:1: check 1: command names no program",
            ),
            (
                "[[check]]\ncommand = [\"\", \"x\"]",
                "p:2:1: check 1: command names no program",
            ),
        ] {
            let found = answers(text);
            // A second "test" ring also comes after a ring that takes everything.
            assert!(
                found.iter().any(|found| found == answer),
                "{text}: {found:#?}"
            );
            assert!(
                found.len() == 1 || text.matches("\"test\"").count() == 2,
                "{text}: {found:#?}"
            );
        }
        let one_day = "[[blackout]]\nbecause = \"b\"\nfrom = 2027-01-03\nto = 2027-01-03";
        assert_eq!(answers(one_day), [""; 0]);
        assert_eq!(
            answers(&format!("{RINGS}start_after = {{ ring = \"test\" }}")),
            [""; 0]
        );
    }

    #[test]
    fn what_depends_on_a_stand_in_is_not_reported() {
        for text in [
            // The name of the ring that is waited for is the mistake.
            "[[ring]]\nname = 3\nselect = \"a = b\"\n[[ring]]\nname = \"broad\"\nselect = \"*\"\nstart_after = { ring = \"test\" }",
            "[[blackout]]\nbecause = \"b\"\nfrom = \"soon\"\nto = 2020-01-01",
            "[[window]]\nname = \"w\"\nzone = 3\nwhen = \"daily\"",
            "[[ring]]\nname = \"a\"\nselect = \"*\"\nwindow = \"w\"\n[[window]]\nname = 3\nwhen = \"any time\"",
            "[patches]\ntake = 3",
            "[[check]]\ncommand = 3",
        ] {
            assert_eq!(answers(text).len(), 1, "{text}: {:#?}", answers(text));
        }
    }

    #[test]
    fn a_policy_built_in_code_is_held_to_the_same_rules() {
        let policy = Policy::named("built")
            .with_window(Window::new("w", "Nowhere", Recurrence::DAILY))
            .with_ring(
                Ring::new("", Selector::all())
                    .with_start_after(StartAfter::ring("test").with_at_least(0)),
            );
        assert_eq!(
            policy.check().unwrap_err().to_string(),
            "built#/window/0/zone: window \"w\": zone = \"Nowhere\" is not a known time zone, \
             expected such as \"Europe/Berlin\"\n\
             built#/ring/0/name: ring \"\": name is empty, expected some text\n\
             built#/ring/0/start_after/at_least: ring \"\": start_after: at_least = 0 is not a whole number from 1 on, \
             without quotes\n\
             3 mistakes; nothing was done"
        );
    }
}
