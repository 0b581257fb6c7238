//! A planned roll as text, as JSON and as a picture; and what would be if the cluster were another.

use patchcore::plan::roll::{
    Action, Answer, Cluster, Ha, HostState, Mobility, Objective, RollPlan, WhatIf, Wish, plan,
};

use crate::clusters::{Size, plain, random, vm};

fn shown(cluster: &Cluster) -> Option<RollPlan> {
    let wish = Wish {
        attempts: Some(4),
        effort: 20_000,
        allow_partial: true,
        ..Wish::new(Objective::Knee)
    };
    match plan(cluster, &wish, &|| false).unwrap() {
        Answer::Planned(planned) => {
            Some(RollPlan::of(cluster.clone(), wish.objective, *planned).unwrap())
        }
        _ => None,
    }
}

/// Four hosts, of which the first is full of one machine that fits only the last.
fn four() -> Cluster {
    let mut cluster = plain(4);
    vm(&mut cluster, "large", 0, 90);
    vm(&mut cluster, "b", 1, 40);
    vm(&mut cluster, "c", 2, 40);
    cluster.hosts[3].needs_patch = false;
    cluster
}

#[test]
fn each_choice_has_its_reason() {
    let plan = shown(&four()).unwrap();
    let why = |name: &str| {
        let moves = plan.steps().iter();
        let mut moves = moves.filter(
            |step| matches!(&step.action, Action::Migrate { vm, .. } if vm.as_str() == name),
        );
        moves.next().unwrap().why.clone()
    };
    let large = why("large");
    assert!(large.starts_with("fits only patched host"), "{large}");
    let text = plan.to_string();
    for expected in [
        "roll of 4 hosts with 3 machines · knee of time and moves · ",
        "bound         above it",
        "h0 closes: can be emptied; with ",
        "h0 is down for its patch until ",
    ] {
        assert!(text.contains(expected), "{expected} not in\n{text}");
    }
    // Everything that is done stands in the text.
    for step in plan.steps() {
        if let Action::Migrate { vm, from, to, .. } = &step.action {
            assert!(
                text.contains(&format!("{vm}: {from} → {to}, ")),
                "{vm}\n{text}"
            );
        }
    }
}

#[test]
fn what_is_stored_is_checked_again_when_it_is_read() {
    let plan = shown(&four()).unwrap();
    let text = plan.to_json().unwrap();
    assert_eq!(RollPlan::from_json(&text).unwrap(), plan);
    // A figure is not believed, and steps that break a rule are refused.
    let moved = format!("\"moved_mib\":{}", plan.figures().moved_mib);
    assert!(text.contains(&moved));
    let lied = text.replace(&moved, "\"moved_mib\":1");
    assert_eq!(RollPlan::from_json(&lied).unwrap(), plan);
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let steps = value["steps"].as_array_mut().unwrap();
    let patch = steps
        .iter_mut()
        .find(|step| step["action"]["patch"].is_object());
    patch.unwrap()["needs"] = serde_json::json!([]);
    let error = RollPlan::from_json(&value.to_string()).unwrap_err();
    assert_eq!(error.kind(), patchcore::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("in another order"), "{error}");
    assert!(RollPlan::from_json("{\"schema\":\"patchcore.roll-plan/2\"}").is_err());
}

#[test]
fn random_rolls_are_shown_whole() {
    let schema = jsonschema::validator_for(&RollPlan::json_schema()).unwrap();
    let size = Size {
        hosts: (3, 12),
        used: (30, 70),
        largest: 25,
        rules: true,
    };
    let mut found = 0;
    for seed in 0..60 {
        let Some(plan) = shown(&random(seed, size)) else {
            continue;
        };
        found += 1;
        let text = plan.to_json().unwrap();
        assert!(
            schema.is_valid(&serde_json::from_str(&text).unwrap()),
            "seed {seed}"
        );
        assert_eq!(RollPlan::from_json(&text).unwrap(), plan, "seed {seed}");
        assert_eq!(plan.to_json().unwrap(), text);
        assert!(
            plan.steps().iter().all(|step| !step.why.is_empty()),
            "seed {seed}"
        );
        let text = plan.to_string();
        for step in plan.steps() {
            let named = match &step.action {
                Action::Close { host } => format!("{host} closes: "),
                Action::Patch { host } => format!("{host} is down for its patch"),
                Action::Migrate { vm, from, to, .. } => format!("{vm}: {from} → {to}"),
                Action::AwaitEnd { vm, .. } => format!("{vm} ends by itself"),
                Action::Start { vm, .. } => format!("{vm} starts again"),
                Action::Stop { vm, .. } => format!("{vm} is s"),
                Action::Reopen { .. } => continue,
            };
            assert!(text.contains(&named), "seed {seed}: {named} not in\n{text}");
        }
        picture(&plan, seed);
    }
    assert!(found > 30, "only {found} were planned");
}

/// Every host is down in it when it is, every move is in it, and nothing is drawn outside.
fn picture(plan: &RollPlan, seed: u64) {
    let svg = plan.svg();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "seed {seed}");
    let downs = svg.matches(" is down from ").count();
    assert_eq!(downs, plan.figures().patched as usize, "seed {seed}");
    let moved: usize = svg
        .split("class=\"move ")
        .skip(1)
        // The key has lines too, and they say nothing.
        .filter(|part| part.find("<title>") < Some(part.find("/>").unwrap_or(part.len())))
        .filter_map(|part| part.split_once("<title>")?.1.split_once("</title>"))
        .map(|(title, _)| match title.split_once(" machines, such as ") {
            Some((before, _)) => before.rsplit(' ').next().unwrap().parse().unwrap(),
            None => title.rsplit_once(" (").unwrap().0.matches(", ").count(),
        })
        .sum();
    assert_eq!(moved as u64, plan.figures().moves, "seed {seed}");
}

#[test]
fn names_cannot_break_the_picture() {
    let mut cluster = four();
    cluster.vms[0].id = "<script>&".into();
    cluster.hosts[0].id = "a\"b<".into();
    cluster.vms[0].host = "a\"b<".into();
    let svg = shown(&cluster).unwrap().svg();
    assert!(
        !svg.contains("<script>") && svg.contains("&lt;script&gt;&amp;"),
        "{svg}"
    );
}

#[test]
fn nothing_to_do_is_shown_too() {
    let mut cluster = plain(2);
    for host in &mut cluster.hosts {
        host.needs_patch = false;
    }
    let plan = shown(&cluster).unwrap();
    assert!(
        plan.to_string()
            .starts_with("roll of 2 hosts with 0 machines")
    );
    assert!(!plan.svg().contains("NaN"));
    assert_eq!(RollPlan::from_json(&plan.to_json().unwrap()).unwrap(), plan);
}

#[test]
fn changes_are_what_they_say() {
    let mut cluster = plain(4);
    for host in 0..4 {
        vm(&mut cluster, &format!("v{host}"), host, 30);
    }
    cluster.limits.max_hosts_down = Some(1);
    let change = |words: &str| words.parse::<WhatIf>().unwrap().of(&cluster);
    let other = change("without h1").unwrap();
    assert_eq!(other.hosts[1].state, HostState::Down);
    assert_ne!(other.vms[1].host.as_str(), "h1");
    other.looked_through().unwrap();
    assert_eq!(
        change("one host fewer").unwrap().hosts[0].state,
        HostState::Down
    );
    assert_eq!(
        change("one more down").unwrap().limits.max_hosts_down,
        Some(2)
    );
    assert!(matches!(
        change("pin v2").unwrap().vms[2].mobility,
        Mobility::Pinned(_)
    ));
    assert_eq!(
        change("pin h2").unwrap_err().kind(),
        patchcore::ErrorKind::NotFound
    );
    assert!("pin".parse::<WhatIf>().is_err());
    for words in ["without h1", "one host fewer", "one more down", "pin v2"] {
        assert_eq!(words.parse::<WhatIf>().unwrap().to_string(), words);
    }

    let answer = |words: &str, cluster: &Cluster| {
        let what_if: WhatIf = words.parse().unwrap();
        what_if.answer(cluster, &Wish::new(Objective::Knee), &|| false)
    };
    let told = answer("one more down", &cluster).unwrap();
    assert!(told.starts_with("one more down:\n   "), "{told}");
    assert!(told.contains("closed at once          1 → 2"), "{told}");
    cluster.limits.ha = Ha::Failures(2);
    let told = answer("without h1", &cluster).unwrap();
    assert!(told.contains("no roll patches every host then"), "{told}");
    cluster.limits.max_hosts_down = None;
    let error = answer("one more down", &cluster).unwrap_err();
    assert_eq!(error.kind(), patchcore::ErrorKind::Unsupported);
    // A cluster that would not live through the failure says so.
    cluster.limits.ha = Ha::None;
    for vm in &mut cluster.vms {
        vm.demand[0] = Some(60);
    }
    let told = answer("without h1", &cluster).unwrap();
    assert!(
        told.contains("does not live through the failure of h1"),
        "{told}"
    );
}
