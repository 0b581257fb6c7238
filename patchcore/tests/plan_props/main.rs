//! What holds of every plan, whatever the estate and the policy.

mod estates;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use estates::{Spec, denials, now, spec};
use patchcore::{
    ErrorKind,
    digest::sha256_hex,
    estate::Inventory,
    id::ComponentId,
    plan::{Plan, WhyPatchLeftOut},
    policy::Gate,
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

/// The plan of a random estate. Estates whose order runs in a circle or whose rings can never start are refused,
/// and nothing else is.
fn planned(spec: &Spec) -> Option<(Inventory, Plan)> {
    let inventory = spec.inventory(0);
    match spec.plan_of(&inventory) {
        Ok(plan) => Some((inventory, plan)),
        Err(error) => {
            let text = error.to_string();
            let expected = error.kind() == ErrorKind::Cycle
                || text.contains("can never start")
                || text.contains("selects none of");
            assert!(expected, "{error:?}");
            None
        }
    }
}

/// Where each planned component stands in the schedule: ring and wave.
fn positions(plan: &Plan) -> BTreeMap<&ComponentId, (usize, usize)> {
    let mut positions = BTreeMap::new();
    for (r, ring) in plan.schedule.rings.iter().enumerate() {
        for (w, wave) in ring.waves.iter().enumerate() {
            for component in &wave.components {
                assert!(
                    positions.insert(component, (r, w)).is_none(),
                    "{component} is scheduled twice"
                );
            }
        }
    }
    positions
}

fn read_badly(inventory: &Inventory, component: &ComponentId) -> bool {
    let findings = inventory.findings.get(component);
    let gap = inventory
        .gaps
        .iter()
        .any(|g| g.component.as_ref() == Some(component) && g.call != "available");
    gap || findings.is_none_or(|f| f.iter().any(|f| !f.scan.unhealthy.is_empty()))
}

/// Everything a component needs, directly or through others.
fn needs(spec: &Spec, component: &ComponentId) -> BTreeSet<ComponentId> {
    let mut all = BTreeSet::new();
    let mut open = vec![component.clone()];
    while let Some(at) = open.pop() {
        for (from, to) in spec.dependencies() {
            if from == at && all.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sum_holds(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (inventory, plan) = found.unwrap();
        let scheduled = positions(&plan);
        let targets: BTreeSet<&ComponentId> = plan.envelope.targets.iter().map(|t| &t.component).collect();
        let left: BTreeSet<&ComponentId> = plan.left_out.iter().map(|l| &l.component).collect();
        prop_assert_eq!(left.len(), plan.left_out.len());
        prop_assert_eq!(scheduled.keys().copied().collect::<BTreeSet<_>>(), targets.clone());
        prop_assert!(targets.is_disjoint(&left));
        prop_assert_eq!(targets.len() + left.len(), plan.found);
        prop_assert_eq!(targets.union(&left).copied().collect::<Vec<_>>(), inventory.components.keys().collect::<Vec<_>>());
        prop_assert!(plan.busy.keys().all(|b| targets.contains(b)));
        for text in [plan.to_string(), plan.to_text_full()] {
            let line = text.lines().find(|l| l.contains(" found = ")).unwrap();
            let (found, parts) = line.split_once(" found = ").unwrap();
            let sum: usize = parts.split(" + ").map(|p| p.split_once(' ').unwrap().0.parse::<usize>().unwrap()).sum();
            prop_assert_eq!(found.parse::<usize>().unwrap(), sum, "{}", line);
            prop_assert_eq!(sum, inventory.components.len());
        }
    }

    #[test]
    fn no_wave_is_larger_than_the_budget_or_breaks_a_floor(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (inventory, plan) = found.unwrap();
        for (rules, ring) in plan.envelope.rings.iter().zip(&plan.schedule.rings) {
            prop_assert_eq!(&rules.name, &ring.ring);
            let budget = spec.policy().effective_rings().into_iter().find(|r| r.name == rules.name).unwrap().at_once;
            let of_ring: usize = ring.waves.iter().map(|w| w.components.len()).sum();
            prop_assert_eq!(rules.at_once, budget.of(of_ring));
            for wave in &ring.waves {
                prop_assert!(!wave.components.is_empty());
                prop_assert!(wave.components.len() <= rules.at_once);
                for group in inventory.groups.values() {
                    let down = group.members.iter().filter(|m| wave.components.contains(m) || read_badly(&inventory, m));
                    let moves = wave.components.iter().any(|c| group.members.contains(c));
                    prop_assert!(!moves || group.members.len() - down.count() >= group.keep_up as usize);
                }
            }
        }
    }

    #[test]
    fn what_comes_first_is_back_before(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (inventory, plan) = found.unwrap();
        let positions = positions(&plan);
        for (component, at) in &positions {
            for needed in needs(&spec, component) {
                if let Some(before) = positions.get(&needed).filter(|_| needed != **component) {
                    prop_assert!(before < at, "{} needs {}", component, needed);
                }
            }
            for rule in &spec.policy().order {
                let place = |id: &ComponentId| {
                    let component = &inventory.components[id];
                    let fact = |key: &str| component.fact(key);
                    fact(&rule.within).zip(rule.steps.iter().position(|s| s.matches(&fact)))
                };
                let Some((family, step)) = place(component) else { continue };
                for (other, before) in &positions {
                    if let Some((same, earlier)) = place(other) && same == family && earlier < step {
                        prop_assert!(before < at, "{} goes before {}", other, component);
                    }
                }
            }
            for after in &plan.envelope.target(component).unwrap().after {
                prop_assert!(positions[after] < *at);
            }
        }
    }

    #[test]
    fn everyone_is_in_the_first_ring_that_selects_them(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (inventory, plan) = found.unwrap();
        let rings = spec.policy().effective_rings();
        for target in &plan.envelope.targets {
            let component = &inventory.components[&target.component];
            let first = rings.iter().find(|r| r.select.matches(&|key: &str| component.fact(key)));
            prop_assert_eq!(&first.unwrap().name, &target.ring);
            let at = positions(&plan)[&target.component].0;
            prop_assert_eq!(&plan.schedule.rings[at].ring, &target.ring);
        }
    }

    #[test]
    fn every_wave_fits_its_window_and_every_soak_is_kept(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (_, plan) = found.unwrap();
        let calendar = spec.policy().calendar().unwrap();
        let mut free_from = Some(now());
        for (rules, ring) in plan.envelope.rings.iter().zip(&plan.schedule.rings) {
            for wave in &ring.waves {
                let slowest = wave.components.iter().map(|c| plan.envelope.target(c).unwrap().takes);
                prop_assert!(slowest.clone().all(|t| t.p50 <= t.p95 && t.p95 <= wave.p95 && t.p50 <= wave.p50));
                if let Some(starts) = wave.starts {
                    prop_assert!(Some(starts) >= free_from);
                    let gate = calendar.gate(rules.window.as_ref(), starts, wave.p95);
                    prop_assert!(matches!(gate, Gate::Open { .. }), "{gate:?}");
                }
                free_from = wave.starts.map(|s| s + wave.p50);
            }
            if !ring.waves.is_empty() {
                prop_assert_eq!(ring.soak_until, free_from.map(|f| f + rules.soak));
                free_from = ring.soak_until;
            }
        }
        if !plan.is_empty() {
            prop_assert_eq!(plan.schedule.ends, free_from);
        }
    }

    #[test]
    fn the_order_of_answers_leaves_no_trace(spec in spec(), seed in 1..u64::MAX) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (_, plan) = found.unwrap();
        let other = spec.plan_of(&spec.inventory(seed)).unwrap();
        prop_assert_eq!(plan.to_json().unwrap(), other.to_json().unwrap());
        prop_assert_eq!(plan.digest().unwrap(), other.digest().unwrap());
        prop_assert_eq!(plan.to_text_full(), other.to_text_full());
    }

    #[test]
    fn a_finished_estate_has_nothing_to_do(spec in spec(), still_offered: bool) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (mut inventory, plan) = found.unwrap();
        for target in &plan.envelope.targets {
            let finding = &mut inventory.findings.get_mut(&target.component).unwrap()[0];
            for patch in &target.patches {
                finding.scan.installed.insert(patch.id.clone(), patch.to.clone());
            }
            if !still_offered {
                let gone = |id| target.patches.iter().any(|p| p.id == id);
                finding.available.as_mut().unwrap().patches.retain(|p| !gone(p.id.clone()));
            }
        }
        let again = spec.plan_of(&inventory).unwrap();
        prop_assert!(again.is_empty(), "{}\n{}", plan, again);
        prop_assert!(again.to_string().contains("nothing to do"));
    }

    #[test]
    fn what_is_kept_out_is_never_planned(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (inventory, plan) = found.unwrap();
        let policy = spec.policy();
        let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
        for target in &plan.envelope.targets {
            let component = &inventory.components[&target.component];
            let finding = &inventory.findings[&target.component][0];
            let offer = finding.available.as_ref().unwrap();
            prop_assert!(finding.scan.unhealthy.is_empty());
            for patch in &target.patches {
                prop_assert!(patch.recalled.is_none());
                prop_assert!(policy.patches.take.contains(&patch.class));
                for denial in denials() {
                    let content = (denial.patch, denial.version);
                    prop_assert!(!patch.contains.contains(&content));
                    prop_assert!((patch.id.clone(), patch.to.clone()) != content);
                }
                for rule in &policy.exceptions {
                    let here = rule.select.as_ref().is_none_or(|s| s.matches(&|key: &str| component.fact(key)));
                    prop_assert!(!(here && today <= rule.until && rule.pattern.matches(patch.id.as_str())));
                }
                prop_assert_eq!(patch.from.as_ref(), finding.scan.installed.get(&patch.id));
                prop_assert!(patch.from.as_ref() != Some(&patch.to));
                let same = |p: &&patchcore::estate::Patch| p.id == patch.id;
                prop_assert!(offer.patches.iter().filter(same).any(|p| p.to == patch.to));
                prop_assert_eq!(target.patches.iter().filter(same).count(), 1);
            }
            // Nothing on offer is silently dropped.
            let waiting = offer.patches.iter().filter(|p| finding.scan.installed.get(&p.id) != Some(&p.to));
            let left = plan.patches_left_out.iter().filter(|l| {
                let kept_back = matches!(l.reason, WhyPatchLeftOut::KeptBack { .. });
                l.component == target.component && !kept_back
            });
            prop_assert_eq!(waiting.count(), target.patches.len() + left.count());
        }
        let excepted = plan.patches_left_out.iter().filter(|p| matches!(p.reason, WhyPatchLeftOut::Excepted { .. }));
        prop_assert_eq!(excepted.count(), plan.envelope.exceptions.len());
    }

    #[test]
    fn what_is_stored_reads_back(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (_, plan) = found.unwrap();
        let read = Plan::from_json(&plan.to_json().unwrap()).unwrap();
        prop_assert_eq!(read.digest().unwrap(), plan.digest().unwrap());
        prop_assert_eq!(read, plan);
    }

    #[test]
    fn people_never_read_rust(spec in spec()) {
        let found = planned(&spec);
        prop_assume!(found.is_some());
        let (_, plan) = found.unwrap();
        let text = plan.to_text_full();
        for line in text.lines() {
            for code in ["Some(", "None", "{ ", " }", "[]", "PT", "T00:", "\\n"] {
                prop_assert!(!line.contains(code), "{}", line);
            }
            prop_assert_eq!(line.trim_end(), line);
            for (at, _) in line.match_indices(':') {
                let bytes = line.as_bytes();
                let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
                if digit(at - 1) && digit(at + 1) && digit(at + 2) && !digit(at + 3) {
                    let zone = line[at + 3..].trim_start().split([' ', ',', ':']).next().unwrap();
                    prop_assert!(["CET", "CEST", "EST", "EDT", "UTC"].contains(&zone), "{}", line);
                }
            }
        }
    }
}

/// Plans of twenty estates, as one text.
#[expect(clippy::unwrap_used, reason = "a test helper")]
fn plans_of_this_process(seed: u64) -> String {
    let mut runner = TestRunner::deterministic();
    let mut text = String::new();
    for _ in 0..20 {
        let spec = spec().new_tree(&mut runner).unwrap().current();
        if let Ok(plan) = spec.plan_of(&spec.inventory(seed)) {
            text.push_str(&plan.to_json().unwrap());
            text.push_str(&plan.digest().unwrap());
            text.push_str(&plan.to_string());
        }
    }
    text
}

#[test]
fn two_processes_make_the_same_plan() {
    const SEED: &str = "PATCHCORE_TEST_SHUFFLE";
    if let Ok(seed) = env::var(SEED) {
        let text = plans_of_this_process(seed.parse().unwrap());
        println!("plans {} {}", text.len(), sha256_hex(text.as_bytes()));
        return;
    }
    let child = |seed: &str| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "two_processes_make_the_same_plan", "--nocapture"])
            .env(SEED, seed)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let at = text.find("plans ").unwrap();
        text[at..].lines().next().unwrap().to_owned()
    };
    let here = plans_of_this_process(3);
    assert!(here.len() > 10_000);
    let here = format!("plans {} {}", here.len(), sha256_hex(here.as_bytes()));
    assert_eq!(child("1"), here);
    assert_eq!(child("77777"), here);
}

/// Properties of estates in which nothing happens would hold of a planner that does nothing.
#[test]
fn the_random_estates_have_something_to_show() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..400 {
        let spec = spec().new_tree(&mut runner).unwrap().current();
        let Ok(plan) = spec.plan_of(&spec.inventory(0)) else {
            *seen.entry("refused").or_default() += 1;
            continue;
        };
        let planned = |c: &ComponentId| plan.envelope.target(c).is_some();
        let needs = spec.dependencies();
        let between = needs.iter().flat_map(|(a, u)| {
            let behind = needs.iter().filter(move |(v, _)| u == v);
            behind.map(move |(_, b)| (a, u, b))
        });
        let waves = || plan.schedule.rings.iter().flat_map(|r| &r.waves);
        for (what, n) in [
            ("planned", plan.envelope.targets.len()),
            (
                "waves of several",
                waves().filter(|w| w.components.len() > 1).count(),
            ),
            (
                "waits",
                plan.envelope.targets.iter().map(|t| t.after.len()).sum(),
            ),
            ("busy", plan.busy.len()),
            ("floors", plan.envelope.groups.len()),
            ("exceptions", plan.envelope.exceptions.len()),
            ("left out patches", plan.patches_left_out.len()),
            ("remarks", plan.remarks.len()),
            (
                "waits through others",
                between
                    .filter(|(a, u, b)| planned(a) && !planned(u) && planned(b))
                    .count(),
            ),
        ] {
            *seen.entry(what).or_default() += n;
        }
    }
    assert!(seen["planned"] > 1_000, "{seen:?}");
    assert!(seen.values().all(|n| *n > 20), "{seen:?}");
}
