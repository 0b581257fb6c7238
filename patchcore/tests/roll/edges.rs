//! Bounds of the checker met just so, and missed by one.

use patchcore::plan::roll::{
    Action, BreachKind, Breaches, Cluster, Ha, Host, HostLeftOut, HostState, Level, Mobility,
    NonMigratable, Pin, Rule, WhyNotRolled, check,
};

use crate::{
    clusters::{plain, vm},
    serial::{Script, close, migrate, patch, reopen},
};

/// What is found; none where it passes.
fn found(cluster: &Cluster, script: &Script) -> Option<Breaches> {
    check(cluster, script.roll.clone()).err()
}

fn finds(cluster: &Cluster, script: &Script, kind: BreachKind) -> String {
    match found(cluster, script) {
        Some(breaches) if breaches.has(kind) => breaches.to_string(),
        other => panic!("expected {kind:?} but found {other:#?}"),
    }
}

fn passes(cluster: &Cluster, script: &Script) {
    if let Some(breaches) = found(cluster, script) {
        panic!("{breaches}");
    }
}

/// Patches empty hosts, each after the one before it, or all at once.
fn empty(hosts: &[&str], at_once: bool) -> Script {
    let mut script = Script::new();
    let mut last = None;
    for host in hosts {
        let after: Vec<u32> = last.filter(|_| !at_once).into_iter().collect();
        let closed = script.push(close(host), &after);
        let patched = script.push(patch(host), &[closed]);
        last = Some(script.push(reopen(host), &[patched]));
    }
    script
}

#[test]
fn all_breaches_are_counted_and_the_first_hundred_are_listed() {
    for (vms, listed) in [(1, 1), (99, 99), (100, 100), (101, 100), (130, 100)] {
        let mut cluster = plain(2);
        cluster.hosts[1].needs_patch = false;
        for n in 0..vms {
            vm(&mut cluster, &format!("v{n}"), 0, 0);
        }
        let breaches = found(&cluster, &empty(&["h0"], false)).unwrap();
        assert_eq!((breaches.count(), breaches.listed().len()), (vms, listed));
        assert!(breaches.has(BreachKind::NotEmpty) && !breaches.has(BreachKind::TooFull));
        let said = breaches.to_string();
        let ends = match vms {
            1 => "the roll breaks 1 rule".to_owned(),
            many => format!("the roll breaks {many} rules"),
        };
        assert!(said.ends_with(&ends), "{said}");
    }
}

#[test]
fn hosts_kept_for_failures_are_open_as_many_as_are_kept() {
    for (keep, at_once, fits) in [
        (0, true, true),
        (1, false, true),
        (1, true, false),
        (2, false, false),
    ] {
        let mut cluster = plain(3);
        cluster.limits.ha = Ha::Dedicated {
            hosts: vec!["h1".into(), "h2".into()],
            keep,
        };
        let script = empty(&["h0", "h1", "h2"], at_once);
        match fits {
            true => passes(&cluster, &script),
            false => {
                finds(&cluster, &script, BreachKind::HaReserve);
            }
        }
    }
}

#[test]
fn the_largest_open_hosts_are_those_that_may_fail() {
    // Without h0 there are 100, 100, 90, 80 and 50.
    for (failures, room) in [(0, 420), (1, 320), (2, 220), (3, 130), (4, 50), (5, 0)] {
        for (more, fits) in [(0, true), (1, false)] {
            let mut cluster = Cluster::new(["memory"]);
            let like = plain(1);
            (cluster.patch_time, cluster.migration) = (like.patch_time, like.migration);
            for (at, room) in [70, 100, 50, 100, 80, 90].into_iter().enumerate() {
                cluster.hosts.push(Host::new(format!("h{at}"), [room]));
                cluster.hosts[at].needs_patch = at == 0;
            }
            let takes = [100, 50, 100, 80, 90];
            let mut left = room + more;
            for (at, most) in takes.into_iter().enumerate() {
                let amount = left.min(most);
                left -= amount;
                let host = cluster.hosts[at + 1].id.clone();
                let name = format!("v{at}");
                let vm = patchcore::plan::roll::Vm::new(name, host, [amount], 1024);
                cluster.vms.push(vm);
            }
            if left > 0 {
                // Where no host fails, what is too much is too much of itself.
                continue;
            }
            cluster.limits.ha = Ha::Failures(failures);
            let script = empty(&["h0"], false);
            match fits {
                true => passes(&cluster, &script),
                false => {
                    finds(&cluster, &script, BreachKind::HaReserve);
                }
            }
        }
    }
}

/// One machine that moves from `h0`, which is patched, to `h1`.
fn one_moves() -> (Cluster, Script) {
    let mut cluster = plain(2);
    cluster.hosts[1].needs_patch = false;
    vm(&mut cluster, "v", 0, 20);
    let mut script = Script::new();
    script.then(close("h0"));
    script.then(migrate("v", "h0", "h1"));
    script.then(patch("h0"));
    script.then(reopen("h0"));
    (cluster, script)
}

#[test]
fn what_fills_every_resource_is_found_as_what_fills_one() {
    let (cluster, script) = one_moves();
    passes(&cluster, &script);
    for (room, full) in [
        ([20, 5], false),
        ([19, 5], true),
        ([20, 4], true),
        ([19, 4], true),
    ] {
        let mut cluster = cluster.clone();
        cluster.hosts[1].capacity = room.map(Some).into();
        match full {
            false => passes(&cluster, &script),
            true => {
                finds(&cluster, &script, BreachKind::TooFull);
            }
        }
    }
}

#[test]
fn who_takes_nothing_of_a_resource_does_not_fill_it() {
    let (mut cluster, script) = one_moves();
    vm(&mut cluster, "w", 1, 60);
    cluster.limits.fill_cap_percent = 50;
    cluster.vms[0].demand = vec![Some(0), Some(0)];
    passes(&cluster, &script);
    cluster.vms[0].demand = vec![Some(0), Some(1)];
    passes(&cluster, &script);
    cluster.vms[0].demand = vec![Some(1), Some(0)];
    finds(&cluster, &script, BreachKind::FillCap);
}

fn left_out(host: &str, why: WhyNotRolled) -> HostLeftOut {
    HostLeftOut {
        host: host.into(),
        why,
    }
}

#[test]
fn a_host_is_left_out_for_a_reason_that_holds_and_once() {
    let skip = |vm: &str| WhyNotRolled::SkipHost { vm: vm.into() };
    let nobody = |vm: &str| WhyNotRolled::NobodyDecides { vm: vm.into() };
    let policies = [
        ("skipped", Some(NonMigratable::SkipHost)),
        ("restarted", Some(NonMigratable::ShutdownRestart)),
        ("asked", Some(NonMigratable::AskOwner)),
        ("open", None),
    ];
    for (what, why, partial, holds) in [
        ("not down", WhyNotRolled::Down, true, false),
        ("not emptied", WhyNotRolled::NotEmptied, true, true),
        ("not emptied, whole", WhyNotRolled::NotEmptied, false, false),
        ("skipped", skip("skipped"), false, true),
        ("skipped for another", skip("restarted"), true, false),
        ("skipped for one elsewhere", skip("elsewhere"), true, false),
        ("nobody", nobody("open"), true, true),
        ("its owner", nobody("asked"), true, true),
        ("nobody, whole", nobody("open"), false, false),
        ("nobody, decided", nobody("restarted"), true, false),
        ("nobody, elsewhere", nobody("elsewhere"), true, false),
        ("nobody, of one that moves", nobody("moves"), true, false),
    ] {
        let mut cluster = plain(2);
        cluster.hosts[1].needs_patch = false;
        for (name, policy) in policies {
            vm(&mut cluster, name, 0, 1);
            let reason = "GPU".to_owned();
            let pin = Mobility::Pinned(Pin { reason, policy });
            cluster.vms.last_mut().unwrap().mobility = pin;
        }
        vm(&mut cluster, "moves", 0, 1);
        vm(&mut cluster, "elsewhere", 1, 1);
        cluster.vms[5].mobility = Mobility::Pinned(Pin {
            reason: "GPU".to_owned(),
            policy: Some(NonMigratable::SkipHost),
        });
        let mut script = Script::new();
        script.roll.partial = partial;
        script.roll.left_out = vec![left_out("h0", why.clone())];
        let said = found(&cluster, &script);
        assert_eq!(said.is_none(), holds, "{what}: {said:?}");
        script.roll.left_out.push(left_out("h0", why.clone()));
        finds(&cluster, &script, BreachKind::LeftOutAmiss);
        // One that needs no patch is not left out.
        script.roll.left_out = vec![left_out("h1", WhyNotRolled::NotEmptied)];
        finds(&cluster, &script, BreachKind::LeftOutAmiss);
    }
    let mut cluster = plain(2);
    cluster.hosts[0].state = HostState::Down;
    cluster.hosts[1].needs_patch = false;
    let mut script = Script::new();
    script.roll.left_out = vec![left_out("h0", WhyNotRolled::Down)];
    passes(&cluster, &script);
    script.roll.left_out = vec![left_out("h9", WhyNotRolled::Down)];
    finds(&cluster, &script, BreachKind::Malformed);
}

#[test]
fn places_are_called_by_their_names() {
    let (mut cluster, mut script) = one_moves();
    vm(&mut cluster, "w", 1, 1);
    for (at, host) in cluster.hosts.iter_mut().enumerate() {
        host.rack = Some(format!("rack-{at}"));
        host.site = Some(format!("site-{at}"));
    }
    let levels = [
        (Level::Host, "h1", "h0"),
        (Level::Rack, "rack-1", "rack-0"),
        (Level::Site, "site-1", "site-0"),
    ];
    let vms: Vec<patchcore::id::ComponentId> = vec!["v".into(), "w".into()];
    for (level, there, _) in levels {
        let mut cluster = cluster.clone();
        cluster.rules.push(Rule::AntiAffinity {
            vms: vms.clone(),
            level,
            max_per: 1,
            soft: None,
        });
        let said = finds(&cluster, &script, BreachKind::AntiAffinity);
        let expect = format!("2 machines of rules[0] could be in {there} at once, at most 1 may");
        assert!(said.contains(&expect), "{said}");
    }
    vm(&mut cluster, "x", 0, 1);
    let step = script.roll.steps[1].clone();
    script.roll.steps.insert(2, step);
    script.roll.steps[2].action = migrate("x", "h0", "h2");
    for step in &mut script.roll.steps[3..] {
        step.needs = step.needs.iter().map(|need| need + 1).collect();
    }
    script.roll.steps[3].needs.push(1);
    cluster.hosts.push(Host::new("h2", [100, 50]));
    cluster.hosts[2].needs_patch = false;
    cluster.hosts[2].rack = Some("rack-2".to_owned());
    cluster.hosts[2].site = Some("site-2".to_owned());
    passes(&cluster, &script);
    for (level, there, home) in levels {
        let mut cluster = cluster.clone();
        cluster.rules.push(Rule::Affinity {
            vms: vec!["v".into(), "x".into()],
            level,
            soft: None,
        });
        let said = finds(&cluster, &script, BreachKind::Affinity);
        let other = there.replace('1', "2");
        let expect = format!(
            "v goes {home}, {there} and x goes {home}, {other}, and rules[0] keeps them together"
        );
        assert!(said.contains(&expect), "{said}");
    }
    assert!(matches!(
        script.roll.steps[2].action,
        Action::Migrate { .. }
    ));
}

#[test]
fn who_runs_is_not_started_and_who_does_not_run_does_nothing() {
    let (mut cluster, script) = one_moves();
    let start = |host: &str| Action::Start {
        vm: "v".into(),
        host: host.into(),
    };
    let wait = |host: &str| Action::AwaitEnd {
        vm: "v".into(),
        host: host.into(),
    };
    let stop = |host: &str| Action::Stop {
        vm: "v".into(),
        host: host.into(),
        suspend: false,
    };
    let with = |script: &Script, actions: &[Action]| {
        let mut changed = Script::new();
        changed.roll = script.roll.clone();
        for action in actions {
            changed.then(action.clone());
        }
        changed
    };
    // It runs.
    finds(
        &cluster,
        &with(&script, &[start("h1")]),
        BreachKind::WrongPlace,
    );
    // It has ended.
    cluster.vms[0].ends_in_s = Some(0);
    passes(&cluster, &with(&script, &[wait("h1")]));
    for again in [wait("h1"), migrate("v", "h1", "h0"), start("h1")] {
        let roll = with(&script, &[wait("h1"), again]);
        finds(&cluster, &roll, BreachKind::WrongPlace);
    }
    // It is stopped.
    cluster.vms[0].mobility = Mobility::Pinned(Pin {
        reason: "GPU".to_owned(),
        policy: Some(NonMigratable::ShutdownRestart),
    });
    let script = with(&Script::new(), &[close("h0"), stop("h0")]);
    let rest = [patch("h0"), reopen("h0"), start("h0")];
    passes(&cluster, &with(&script, &rest));
    for again in [stop("h0"), wait("h0")] {
        let roll = with(&with(&script, &[again]), &rest);
        finds(&cluster, &roll, BreachKind::WrongPlace);
    }
}

#[test]
fn what_is_found_names_the_machine_and_the_host() {
    let (cluster, script) = one_moves();
    let mut without = Script::new();
    without.roll = empty(&["h0"], false).roll;
    let said = finds(&cluster, &without, BreachKind::NotEmpty);
    assert!(said.contains("h0 is patched while v runs on it"), "{said}");
    let mut early = Script::new();
    early.roll = script.roll;
    early.roll.steps[2].needs = vec![0];
    let said = finds(&cluster, &early, BreachKind::NotEmpty);
    let expect = "step 1: h0 could be patched while v is still on it";
    assert!(said.contains(expect), "{said}");
}
