//! What the planner answers: checked rolls, proofs, or that it found none.

use patchcore::plan::roll::{
    Answer, BreachKind, Certificate, Cluster, Ha, HostState, Level, Mobility, NonMigratable,
    Objective, Pin, PlannedRoll, Relaxation, RollWindow, Rule, WhyNever, WhyNotRolled, Wish, check,
    plan,
};

use crate::{
    brute::{Verdict, every_order},
    clusters::{Dice, Size, plain, random, vm},
    fewest::fewest_mib,
    serial::serial,
};

fn wish(objective: Objective) -> Wish {
    Wish {
        effort: 200_000,
        attempts: Some(6),
        ..Wish::new(objective)
    }
}

fn answer(cluster: &Cluster, wish: &Wish) -> Answer {
    plan(cluster, wish, &|| false).unwrap_or_else(|error| panic!("{error:?}"))
}

fn planned(cluster: &Cluster, wish: &Wish) -> PlannedRoll {
    match answer(cluster, wish) {
        Answer::Planned(planned) => *planned,
        other => panic!("expected a roll but found {other:#?}"),
    }
}

fn count(short: u64, full: u64) -> u64 {
    if std::env::var_os("PATCHCORE_FULL").is_some() {
        full
    } else {
        short
    }
}

const OBJECTIVES: [Objective; 5] = [
    Objective::FewestMoves,
    Objective::Balanced,
    Objective::Fastest,
    Objective::Knee,
    Objective::Weighted {
        per_tib: 100,
        per_hour: 30,
    },
];

/// Clusters that only the plain serial way of the tests rolled once.
const ONCE_MISSED: [u64; 11] = [
    460, 976, 1573, 1692, 1886, 2933, 3170, 3519, 6670, 6998, 7430,
];

#[test]
fn random_clusters_are_planned_or_refused_with_a_proof() {
    let size = Size {
        hosts: (3, 16),
        used: (30, 85),
        largest: 20,
        rules: true,
    };
    let (mut rolls, mut proofs, mut none) = (0, 0, 0);
    let mut missed = Vec::new();
    let seeds = (0..count(120, 10_000)).chain(ONCE_MISSED);
    for seed in seeds {
        let cluster = random(seed, size);
        let wish = wish(OBJECTIVES[usize::try_from(seed % 5).unwrap()]);
        match answer(&cluster, &wish) {
            Answer::Planned(planned) => {
                rolls += 1;
                let (figures, bounds) = (planned.best.figures(), planned.bounds);
                assert!(
                    figures.moved_mib >= bounds.moved_mib,
                    "seed {seed}: bytes below the bound"
                );
                assert!(
                    figures.moves >= bounds.moves,
                    "seed {seed}: moves below the bound"
                );
                assert!(
                    figures.makespan_ms >= bounds.makespan_ms,
                    "seed {seed}: sooner than the bound"
                );
                // Checked again, from its stored form.
                let text = planned.best.roll().to_json().unwrap();
                let roll = patchcore::plan::roll::Roll::from_json(&text).unwrap();
                assert_eq!(check(&cluster, roll).unwrap(), planned.best);
            }
            Answer::Infeasible(infeasible) => {
                proofs += 1;
                assert!(
                    infeasible.certificate.holds(&cluster),
                    "seed {seed}: {infeasible}"
                );
                assert!(!infeasible.relaxations.is_empty());
                assert_eq!(
                    serial(&cluster),
                    None,
                    "seed {seed} is refuted: {infeasible}"
                );
            }
            Answer::NotFound(_) => {
                none += 1;
                if serial(&cluster).is_some() {
                    missed.push(seed);
                }
            }
        }
    }
    println!("{rolls} rolls, {proofs} proofs, {none} not found");
    assert!(missed.is_empty(), "seeds {missed:?} can be rolled");
    assert!(rolls * 3 > count(120, 10_000), "{rolls} rolls");
    assert!(proofs > 5, "{proofs} proofs");
}

#[test]
fn no_order_breaks_what_is_planned() {
    let size = Size {
        hosts: (3, 4),
        used: (25, 60),
        largest: 40,
        rules: true,
    };
    let (mut safe, mut large) = (0, 0);
    for seed in 0..count(40, 2_000) {
        let cluster = random(seed, size);
        let wish = wish(OBJECTIVES[usize::try_from(seed % 5).unwrap()]);
        let Answer::Planned(planned) = answer(&cluster, &wish) else {
            continue;
        };
        match every_order(&cluster, planned.best.roll()) {
            Verdict::Safe => safe += 1,
            Verdict::Broken(what) => panic!("seed {seed}: {what}\n{:#?}", planned.best.roll()),
            Verdict::TooMany => large += 1,
        }
    }
    println!("{safe} safe, {large} too large");
    assert!(safe > 3, "{safe}");
}

#[test]
fn the_same_wish_gives_the_same_roll() {
    let size = Size {
        hosts: (6, 9),
        used: (60, 80),
        largest: 20,
        rules: true,
    };
    for seed in 0..10 {
        let cluster = random(seed, size);
        let wish = wish(Objective::Knee);
        assert_eq!(answer(&cluster, &wish), answer(&cluster, &wish));
    }
}

#[test]
fn small_clusters_move_the_fewest_bytes() {
    let size = Size {
        hosts: (2, 3),
        used: (40, 95),
        largest: 60,
        rules: false,
    };
    let (mut found, mut none) = (0, 0);
    for seed in 0..count(60, 2_000) {
        let mut cluster = random(seed, size);
        let mut dice = Dice::new(seed);
        cluster.vms.truncate(6);
        if cluster.vms.len() > 2 && dice.one_in(2) && cluster.vms[0].host != cluster.vms[2].host {
            let vms = vec![cluster.vms[0].id.clone(), cluster.vms[2].id.clone()];
            cluster.rules.push(Rule::AntiAffinity {
                vms,
                level: Level::Host,
                max_per: 1,
                soft: None,
            });
        }
        let least = fewest_mib(&cluster);
        match answer(&cluster, &Wish::new(Objective::FewestMoves)) {
            Answer::Planned(planned) => {
                found += 1;
                assert_eq!(Some(planned.best.figures().moved_mib), least, "seed {seed}");
                assert!(
                    least >= Some(planned.bounds.moved_mib),
                    "seed {seed}: the bound is none"
                );
            }
            Answer::Infeasible(proof) => {
                none += 1;
                assert_eq!(least, None, "seed {seed} is refuted: {proof}");
            }
            Answer::NotFound(not) => {
                none += 1;
                assert_eq!(least, None, "seed {seed}: {not:?}");
                assert!(
                    not.exhausted,
                    "seed {seed}: a small cluster is looked at whole"
                );
            }
        }
    }
    println!("{found} found, {none} not");
    assert!(found > 10 && none > 10, "{found} found, {none} not");
}

fn proof(cluster: &Cluster) -> Certificate {
    match answer(cluster, &Wish::new(Objective::Knee)) {
        Answer::Infeasible(infeasible) => {
            assert!(infeasible.certificate.holds(cluster));
            assert!(
                !infeasible.certificate.holds(&plain(2)),
                "it holds of another cluster too"
            );
            infeasible.certificate
        }
        other => panic!("expected a proof but found {other:#?}"),
    }
}

/// Three hosts with one machine each.
fn three() -> Cluster {
    let mut cluster = plain(3);
    for host in 0..3 {
        vm(&mut cluster, &format!("v{host}"), host, 40);
    }
    cluster
}

#[test]
fn each_kind_of_proof_is_given() {
    planned(&three(), &Wish::new(Objective::Knee));

    let mut cluster = three();
    cluster.limits.ha = Ha::Failures(1);
    let Certificate::AggregateCapacity { demand, usable, .. } = proof(&cluster) else {
        panic!("another proof");
    };
    assert_eq!((demand, usable), (120, 100));

    let mut cluster = three();
    cluster.hosts[0].capacity[0] = Some(300);
    cluster.vms[0].demand[0] = Some(110);
    let Certificate::HostUnevacuable { vm, targets, .. } = proof(&cluster) else {
        panic!("another proof");
    };
    assert_eq!((vm.as_str(), targets.len()), ("v0", 2));
    assert!(matches!(
        targets[0].why,
        WhyNever::TooSmall {
            takes: 110,
            has: 100,
            ..
        }
    ));

    let mut cluster = three();
    cluster.rules.push(Rule::AntiAffinity {
        vms: cluster.vms.iter().map(|vm| vm.id.clone()).collect(),
        level: Level::Host,
        max_per: 1,
        soft: None,
    });
    assert!(matches!(
        proof(&cluster),
        Certificate::GroupTooLarge {
            machines: 3,
            places: 2,
            ..
        }
    ));

    let mut cluster = three();
    cluster.vms[1].mobility = Mobility::Pinned(Pin {
        reason: "GPU".to_owned(),
        policy: None,
    });
    assert!(matches!(
        proof(&cluster),
        Certificate::PinnedNoPolicy { .. }
    ));

    let mut cluster = three();
    cluster.limits.max_hosts_down = Some(0);
    assert!(matches!(
        proof(&cluster),
        Certificate::DomainLimit {
            down: 1,
            most: 0,
            ..
        }
    ));

    let mut cluster = three();
    cluster.limits.windows = vec![RollWindow {
        from_s: 0,
        until_s: 1799,
    }];
    assert!(matches!(
        proof(&cluster),
        Certificate::WindowTooShort { takes_s: 1800, .. }
    ));
}

#[test]
fn a_relaxation_makes_its_proof_void() {
    let mut cluster = three();
    cluster.limits.ha = Ha::Failures(1);
    let Answer::Infeasible(infeasible) = answer(&cluster, &Wish::new(Objective::Knee)) else {
        panic!("expected a proof");
    };
    let mut tried = 0;
    for relaxation in &infeasible.relaxations {
        let mut other = cluster.clone();
        match relaxation {
            Relaxation::Set { place, to } if place == "limits.ha.failures" => {
                other.limits.ha = Ha::Failures(u32::try_from(*to).unwrap());
            }
            Relaxation::StopVms { vms } => other.vms.retain(|vm| !vms.contains(&vm.id)),
            _ => continue,
        }
        tried += 1;
        assert!(!infeasible.certificate.holds(&other), "{relaxation}");
    }
    assert_eq!(tried, 2, "{infeasible}");
}

#[test]
fn what_is_left_out_is_named() {
    let mut cluster = three();
    cluster.hosts[0].capacity[0] = Some(300);
    cluster.vms[0].demand[0] = Some(110);
    let mut partial = Wish::new(Objective::FewestMoves);
    partial.allow_partial = true;
    let roll = planned(&cluster, &partial).best;
    assert_eq!((roll.figures().patched, roll.figures().left_out), (2, 1));
    assert_eq!(roll.roll().left_out[0].host.as_str(), "h0");
    assert_eq!(roll.roll().left_out[0].why, WhyNotRolled::NotEmptied);

    let mut cluster = three();
    cluster.non_migratable = Some(NonMigratable::SkipHost);
    cluster.vms[1].mobility = Mobility::Pinned(Pin {
        reason: "GPU".to_owned(),
        policy: None,
    });
    let roll = planned(&cluster, &Wish::new(Objective::FewestMoves)).best;
    assert_eq!(roll.roll().left_out[0].host.as_str(), "h1");
}

#[test]
fn with_some_patched_already_each_machine_moves_once() {
    let mut cluster = plain(16);
    for at in 0..96 {
        let host = at % 14 + 2;
        vm(&mut cluster, &format!("v{at}"), host, 10);
    }
    for host in 0..2 {
        cluster.hosts[host].needs_patch = false;
    }
    cluster.limits.ha = Ha::Failures(1);
    let roll = planned(&cluster, &Wish::new(Objective::FewestMoves));
    assert_eq!(roll.best.figures().moves, 96);
    assert_eq!(roll.bounds.moves, 96);
}

#[test]
fn a_host_with_nothing_on_it_is_patched_first_and_takes_the_others_machines() {
    // Two may be closed at once: closing another beside the empty one would spill its machines onto hosts that need
    // the patch themselves.
    let mut cluster = plain(5);
    for (host, sizes) in [[25, 15, 10], [20, 20, 10], [30, 15, 5], [25, 20, 5]]
        .into_iter()
        .enumerate()
    {
        for (at, size) in sizes.into_iter().enumerate() {
            vm(&mut cluster, &format!("v{host}{at}"), host + 1, size);
        }
    }
    cluster.limits.ha = Ha::Failures(1);
    let roll = planned(&cluster, &Wish::new(Objective::FewestMoves));
    assert_eq!(roll.bounds.moved_mib, 200 * 1024);
    assert_eq!(roll.best.figures().moved_mib, roll.bounds.moved_mib);
}

#[test]
fn windows_are_kept() {
    let mut cluster = three();
    cluster.migration.as_mut().unwrap().mib_per_s = 100;
    cluster.limits.windows = vec![
        RollWindow {
            from_s: 3600,
            until_s: 9000,
        },
        RollWindow {
            from_s: 90_000,
            until_s: 100_000,
        },
    ];
    let roll = planned(&cluster, &Wish::new(Objective::FewestMoves)).best;
    assert!(roll.timeline().iter().all(|span| span.from_ms >= 3_600_000));
    // Three hosts do not fit one window, and none begins between the two.
    assert!(roll.figures().makespan_ms > 90_000_000);
}

#[test]
fn a_host_that_is_closed_already_goes_first_and_one_that_is_down_is_left_out() {
    let mut cluster = plain(4);
    for host in 0..3 {
        vm(&mut cluster, &format!("v{host}"), host, 20);
    }
    cluster.hosts[1].state = HostState::Closed;
    cluster.hosts[3].state = HostState::Down;
    let roll = planned(&cluster, &Wish::new(Objective::FewestMoves)).best;
    assert_eq!(roll.figures().patched, 3);
    assert_eq!(roll.roll().left_out[0].why, WhyNotRolled::Down);
}

#[test]
fn who_is_stopped_is_not_surprised() {
    let calls = std::cell::Cell::new(0);
    let stop = || {
        calls.set(calls.get() + 1);
        calls.get() > 3
    };
    let cluster = three();
    let found = plan(&cluster, &Wish::new(Objective::Knee), &stop).unwrap();
    assert!(matches!(found, Answer::NotFound(_) | Answer::Planned(_)));
    let at_once = plan(&cluster, &Wish::new(Objective::Knee), &|| true).unwrap();
    assert!(matches!(at_once, Answer::NotFound(not) if not.stopped));
}

#[test]
fn a_faulty_cluster_is_refused_before_anything() {
    let mut cluster = three();
    cluster.hosts[0].capacity[0] = None;
    let error = plan(&cluster, &Wish::new(Objective::Knee), &|| false).unwrap_err();
    assert_eq!(error.kind(), patchcore::ErrorKind::InvalidInput);
    let roll = serial(&three()).unwrap();
    assert!(
        check(&cluster, roll)
            .unwrap_err()
            .has(BreachKind::BadCluster)
    );
}
