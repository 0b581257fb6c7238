//! Every kind of breach, each planted into a roll that passes.

use std::collections::BTreeSet;

use patchcore::plan::roll::{
    Action, BreachKind, Cluster, Ha, HostLeftOut, HostState, How, Level, Mobility, NonMigratable,
    Pin, Roll, RollWindow, Rule, WhyNotRolled, check,
};

use crate::{
    clusters::{plain, vm},
    serial::{Script, close, migrate, patch, reopen},
};

/// Three hosts, each with two machines, one after the other: `a0` and `b0` on `h0`, and so on.
///
/// The steps: 0 close h0, 1 and 2 its machines to h1, 3 patch, 4 reopen; 5 close h1, 6 to 9 its four machines to h0,
/// 10 patch, 11 reopen; 12 close h2, 13 and 14 its machines to h1, 15 patch, 16 reopen.
fn base() -> (Cluster, Roll) {
    let mut cluster = plain(3);
    for host in 0..3 {
        vm(&mut cluster, &format!("a{host}"), host, 20);
        vm(&mut cluster, &format!("b{host}"), host, 20);
    }
    let mut script = Script::new();
    let c0 = script.push(close("h0"), &[]);
    let m1 = script.push(migrate("a0", "h0", "h1"), &[c0]);
    let m2 = script.push(migrate("b0", "h0", "h1"), &[c0]);
    let p0 = script.push(patch("h0"), &[c0, m1, m2]);
    let r0 = script.push(reopen("h0"), &[p0]);
    let c1 = script.push(close("h1"), &[c0, r0, m1, m2]);
    let moves: Vec<u32> = [("a0", m1), ("b0", m2), ("a1", c1), ("b1", c1)]
        .map(|(vm, after)| script.push(migrate(vm, "h1", "h0"), &[c1, after, r0]))
        .to_vec();
    let p1 = script.push(patch("h1"), &[&moves[..], &[c1]].concat());
    let r1 = script.push(reopen("h1"), &[p1]);
    let c2 = script.push(close("h2"), &[c1, r1]);
    let m13 = script.push(migrate("a2", "h2", "h1"), &[c2, r1]);
    let m14 = script.push(migrate("b2", "h2", "h1"), &[c2, r1]);
    let p2 = script.push(patch("h2"), &[c2, m13, m14]);
    script.push(reopen("h2"), &[p2]);
    (cluster, script.roll)
}

fn to(roll: &mut Roll, step: usize, host: &str) {
    if let Action::Migrate { to, .. } = &mut roll.steps[step].action {
        *to = host.into();
    }
}

fn without(roll: &mut Roll, step: usize) {
    roll.steps.remove(step);
    let gone = u32::try_from(step).unwrap();
    for step in &mut roll.steps {
        step.needs.retain(|need| *need != gone);
        for need in &mut step.needs {
            *need -= u32::from(*need > gone);
        }
    }
}

type Change = fn(&mut Cluster, &mut Roll);

fn pinned(cluster: &mut Cluster, policy: Option<NonMigratable>) {
    cluster.vms[0].mobility = Mobility::Pinned(Pin {
        reason: "GPU".to_owned(),
        policy,
    });
}

fn anti(vms: &[&str], level: Level) -> Rule {
    Rule::AntiAffinity {
        vms: vms.iter().map(|vm| (*vm).into()).collect(),
        level,
        max_per: 1,
        soft: None,
    }
}

/// What is changed in the cluster and still passes, what is then changed in the roll, and what must be found.
const KINDS: &[(&str, Change, Change, BreachKind)] = &[
    (
        "a step of an unknown machine",
        nothing,
        |_, r| r.steps[1].action = migrate("x", "h0", "h1"),
        BreachKind::Malformed,
    ),
    (
        "a step that waits for a later one",
        nothing,
        |_, r| r.steps[1].needs.push(9),
        BreachKind::Malformed,
    ),
    (
        "another schema",
        nothing,
        |_, r| r.schema = "patchcore.roll/2".to_owned(),
        BreachKind::Malformed,
    ),
    (
        "a move is dropped",
        nothing,
        |_, r| without(r, 13),
        BreachKind::NotEmpty,
    ),
    (
        "a patch does not wait for a move",
        nothing,
        |_, r| r.steps[15].needs.retain(|n| *n != 14),
        BreachKind::NotEmpty,
    ),
    (
        "a host is forgotten",
        nothing,
        |_, r| r.steps.truncate(12),
        BreachKind::NotPatched,
    ),
    (
        "a host is patched twice",
        nothing,
        |_, r| r.steps[16].action = patch("h2"),
        BreachKind::PatchedAmiss,
    ),
    (
        "a host never opens",
        nothing,
        |_, r| r.steps.truncate(16),
        BreachKind::PatchedAmiss,
    ),
    (
        "a host without need is patched",
        nothing,
        |c, _| c.hosts[2].needs_patch = false,
        BreachKind::PatchedAmiss,
    ),
    (
        "a move into a closed host",
        nothing,
        |_, r| r.steps[13].needs.clear(),
        BreachKind::IntoClosed,
    ),
    (
        "a close does not wait for who arrives",
        nothing,
        |_, r| r.steps[5].needs = vec![0],
        BreachKind::IntoClosed,
    ),
    (
        "a move into a host that is down",
        |c, _| {
            c.hosts
                .push(patchcore::plan::roll::Host::new("h3", [100, 50]));
            c.hosts[3].needs_patch = false;
        },
        |c, r| {
            c.hosts[3].state = HostState::Down;
            to(r, 13, "h3");
        },
        BreachKind::IntoClosed,
    ),
    (
        "a move into a host kept for failures",
        |c, _| {
            c.hosts
                .push(patchcore::plan::roll::Host::new("h3", [100, 50]));
            c.hosts[3].needs_patch = false;
        },
        |c, r| {
            c.limits.ha = Ha::Dedicated {
                hosts: vec!["h3".into()],
                keep: 1,
            };
            to(r, 13, "h3");
        },
        BreachKind::IntoClosed,
    ),
    (
        "a move twice",
        nothing,
        |_, r| r.steps[14] = r.steps[13].clone(),
        BreachKind::WrongPlace,
    ),
    (
        "a move from elsewhere",
        nothing,
        |_, r| r.steps[13].action = migrate("a2", "h0", "h1"),
        BreachKind::WrongPlace,
    ),
    (
        "a patch before its close",
        nothing,
        |_, r| {
            r.steps[3].needs.retain(|n| *n != 0);
            for m in [1, 2] {
                r.steps[m].needs.clear();
            }
        },
        BreachKind::Unordered,
    ),
    (
        "two moves of a machine at once",
        nothing,
        |_, r| {
            r.steps[5].needs = vec![0, 4];
            r.steps[6].needs.clear();
        },
        BreachKind::Unordered,
    ),
    (
        "more than a host has",
        nothing,
        |c, _| c.hosts[1].capacity[0] = Some(79),
        BreachKind::TooFull,
    ),
    (
        "more than a host has at both ends of moves",
        |c, r| {
            c.hosts[0].capacity[0] = Some(80);
            r.steps[13].needs.push(4);
        },
        |_, r| {
            to(r, 13, "h0");
            r.steps[14].needs.push(13);
        },
        BreachKind::TooFull,
    ),
    (
        "a move fills above the cap",
        |c, _| c.limits.fill_cap_percent = 80,
        |c, _| c.limits.fill_cap_percent = 79,
        BreachKind::FillCap,
    ),
    (
        "the reserve is used up",
        |c, _| c.limits.ha = Ha::None,
        |c, _| c.limits.ha = Ha::Failures(1),
        BreachKind::HaReserve,
    ),
    (
        "the share for failures is used up",
        |c, _| c.limits.ha = Ha::Percent(40),
        |c, _| c.limits.ha = Ha::Percent(41),
        BreachKind::HaReserve,
    ),
    (
        "too many hosts at once",
        |c, _| c.limits.max_hosts_down = Some(1),
        |_, r| r.steps[12].needs = vec![5, 4],
        BreachKind::TooManyDown,
    ),
    (
        "too many hosts of a rack at once",
        |c, _| {
            for h in &mut c.hosts {
                h.rack = Some("r".to_owned());
            }
            c.limits.max_down_per_rack = Some(1);
        },
        |_, r| r.steps[12].needs = vec![5, 4],
        BreachKind::TooManyDown,
    ),
    (
        "exclusive hosts at once",
        |c, _| {
            c.rules.push(Rule::Exclusive {
                hosts: vec!["h1".into(), "h2".into()],
            })
        },
        |_, r| r.steps[12].needs = vec![5, 4],
        BreachKind::Exclusive,
    ),
    (
        "a host before its turn",
        |c, _| {
            c.rules.push(Rule::Order {
                before: vec!["h1".into()],
                after: vec!["h2".into()],
            })
        },
        |_, r| r.steps[12].needs = vec![5, 4],
        BreachKind::Order,
    ),
    (
        "two of a group on one host",
        nothing,
        |c, _| c.rules.push(anti(&["a0", "a1"], Level::Host)),
        BreachKind::AntiAffinity,
    ),
    (
        "two of a group in one rack",
        |c, _| {
            for (n, h) in c.hosts.iter_mut().enumerate() {
                h.rack = Some(format!("r{n}"));
            }
        },
        |c, _| c.rules.push(anti(&["b0", "b1"], Level::Rack)),
        BreachKind::AntiAffinity,
    ),
    (
        "one of those together goes elsewhere",
        |c, _| {
            c.rules.push(Rule::Affinity {
                vms: vec!["a2".into(), "b2".into()],
                level: Level::Host,
                soft: None,
            })
        },
        |_, r| {
            r.steps[14].needs.push(4);
            to(r, 14, "h0");
        },
        BreachKind::Affinity,
    ),
    (
        "outside of its fence",
        |c, _| {
            c.rules.push(Rule::Fence {
                vms: vec!["a2".into()],
                hosts: vec!["h2".into(), "h1".into()],
            })
        },
        |_, r| {
            r.steps[13].needs.push(4);
            to(r, 13, "h0");
        },
        BreachKind::Fence,
    ),
    (
        "where it must not be",
        |c, _| {
            c.rules.push(Rule::Avoid {
                vms: vec!["a2".into()],
                hosts: vec!["h0".into()],
            })
        },
        |_, r| {
            r.steps[13].needs.push(4);
            to(r, 13, "h0");
        },
        BreachKind::Fence,
    ),
    (
        "two of those that stay up move at once",
        |c, r| {
            c.rules.push(Rule::KeepUp {
                vms: vec!["a2".into(), "b2".into()],
                keep: 1,
            });
            r.steps[14].needs.push(13);
        },
        |_, r| r.steps[14].needs.retain(|n| *n != 13),
        BreachKind::KeepUp,
    ),
    (
        "a lesser CPU",
        |c, _| {
            c.vms[4].cpu_level = Some(0);
        },
        |c, _| c.vms[4].cpu_level = Some(1),
        BreachKind::CpuLevel,
    ),
    (
        "a lesser CPU after the patch",
        |c, _| {
            c.hosts[2].cpu_level = 2;
            c.vms[4].cpu_level = Some(1);
            c.vms[5].cpu_level = Some(1);
            c.hosts[1].cpu_level_patched = Some(1);
        },
        |c, _| c.hosts[1].cpu_level_patched = Some(0),
        BreachKind::CpuLevel,
    ),
    (
        "a pinned machine moves",
        nothing,
        |c, _| pinned(c, Some(NonMigratable::ShutdownRestart)),
        BreachKind::NotAllowed,
    ),
    (
        "a cold machine moves live",
        nothing,
        |c, _| c.vms[4].mobility = Mobility::Cold,
        BreachKind::NotAllowed,
    ),
    (
        "a disk is left behind",
        nothing,
        |c, _| c.vms[4].disk_mib = 5,
        BreachKind::NotAllowed,
    ),
    (
        "before its notice is over",
        |c, r| {
            c.vms[4].notice_s = 60;
            r.steps[13].not_before_ms = Some(60_000);
        },
        |_, r| r.steps[13].not_before_ms = Some(59_999),
        BreachKind::TooEarly,
    ),
    (
        "outside of every window",
        |c, _| {
            c.limits.windows = vec![RollWindow {
                from_s: 0,
                until_s: 100_000,
            }]
        },
        |c, _| {
            c.limits.windows = vec![
                RollWindow {
                    from_s: 0,
                    until_s: 1000,
                },
                RollWindow {
                    from_s: 1001,
                    until_s: 100_000,
                },
            ]
        },
        BreachKind::OutsideWindow,
    ),
    (
        "a host is left out without a reason",
        nothing,
        |_, r| {
            r.steps.truncate(12);
            r.left_out = vec![HostLeftOut {
                host: "h2".into(),
                why: WhyNotRolled::Down,
            }];
        },
        BreachKind::LeftOutAmiss,
    ),
    (
        "a host is left out that nobody allowed to",
        nothing,
        |_, r| {
            r.steps.truncate(12);
            r.left_out = vec![HostLeftOut {
                host: "h2".into(),
                why: WhyNotRolled::NotEmptied,
            }];
        },
        BreachKind::LeftOutAmiss,
    ),
    (
        "a host is left out and patched",
        |_, r| r.partial = true,
        |_, r| {
            r.left_out = vec![HostLeftOut {
                host: "h2".into(),
                why: WhyNotRolled::NotEmptied,
            }]
        },
        BreachKind::PatchedAmiss,
    ),
    (
        "a cluster that is faulty",
        nothing,
        |c, _| c.hosts[0].capacity[0] = None,
        BreachKind::BadCluster,
    ),
];

fn nothing(_: &mut Cluster, _: &mut Roll) {}

#[test]
fn every_kind_of_mutation_is_caught() {
    let mut kinds = BTreeSet::new();
    let mut amiss = Vec::new();
    for (what, before, change, kind) in KINDS {
        let (mut cluster, mut roll) = base();
        before(&mut cluster, &mut roll);
        if let Err(breaches) = check(&cluster, roll.clone()) {
            amiss.push(format!("{what}: the roll does not pass before: {breaches}"));
        }
        change(&mut cluster, &mut roll);
        match check(&cluster, roll) {
            Ok(_) => amiss.push(format!("{what}: not caught")),
            Err(breaches) if breaches.has(*kind) => {}
            Err(breaches) => amiss.push(format!("{what}: expected {kind:?} but found {breaches}")),
        }
        kinds.insert(*kind);
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
    assert!(kinds.len() >= 20, "{kinds:?}");
}

/// A pinned machine on the only host that is patched.
fn restarted(policy: NonMigratable) -> (Cluster, Script) {
    let mut cluster = plain(2);
    cluster.hosts[1].needs_patch = false;
    vm(&mut cluster, "p", 0, 20);
    pinned(&mut cluster, Some(policy));
    let mut script = Script::new();
    let (vm, host) = ("p".into(), "h0".into());
    script.then(close("h0"));
    script.then(Action::Stop {
        vm,
        host,
        suspend: policy == NonMigratable::Suspend,
    });
    script.then(patch("h0"));
    script.then(reopen("h0"));
    let (vm, host) = ("p".into(), "h0".into());
    script.then(Action::Start { vm, host });
    (cluster, script)
}

fn finds(cluster: &Cluster, roll: Roll, kind: BreachKind) {
    let breaches = check(cluster, roll).unwrap_err();
    assert!(
        breaches.has(kind),
        "expected {kind:?} but found {breaches:#?}"
    );
}

#[test]
fn a_stopped_machine_is_started_again() {
    let (cluster, script) = restarted(NonMigratable::ShutdownRestart);
    let checked = check(&cluster, script.roll.clone()).unwrap();
    // A minute to stop, twenty to patch, one to start.
    assert_eq!(checked.figures().downtime_ms, 22 * 60_000);
    assert_eq!(checked.figures().moves, 0);
    let mut roll = script.roll.clone();
    roll.steps.pop();
    finds(&cluster, roll, BreachKind::Lost);
    let mut roll = script.roll.clone();
    roll.steps[4].needs = vec![2];
    finds(&cluster, roll, BreachKind::IntoClosed);
    let mut roll = script.roll.clone();
    roll.steps[2].needs = vec![0];
    finds(&cluster, roll, BreachKind::NotEmpty);
    let (other, _) = restarted(NonMigratable::Suspend);
    finds(&other, script.roll, BreachKind::NotAllowed);
}

#[test]
fn a_suspended_machine_needs_its_cpu_again() {
    let (mut cluster, script) = restarted(NonMigratable::Suspend);
    cluster.hosts[0].cpu_level = 2;
    check(&cluster, script.roll.clone()).unwrap();
    cluster.hosts[0].cpu_level_patched = Some(1);
    finds(&cluster, script.roll, BreachKind::CpuLevel);
    let (mut cluster, script) = restarted(NonMigratable::ShutdownRestart);
    cluster.hosts[0].cpu_level = 2;
    cluster.hosts[0].cpu_level_patched = Some(1);
    check(&cluster, script.roll).unwrap();
}

#[test]
fn a_machine_that_ends_is_waited_for() {
    let mut cluster = plain(2);
    cluster.hosts[1].needs_patch = false;
    vm(&mut cluster, "e", 0, 20);
    cluster.vms[0].ends_in_s = Some(600);
    let mut script = Script::new();
    script.then(close("h0"));
    let (vm, host) = ("e".into(), "h0".into());
    script.then(Action::AwaitEnd { vm, host });
    script.then(patch("h0"));
    script.then(reopen("h0"));
    script.roll.steps[1].not_before_ms = Some(600_000);
    let checked = check(&cluster, script.roll.clone()).unwrap();
    assert_eq!(checked.figures().makespan_ms, 1_800_000);
    script.roll.steps[1].not_before_ms = Some(599_999);
    finds(&cluster, script.roll.clone(), BreachKind::TooEarly);
    script.roll.steps[1].not_before_ms = Some(600_000);
    cluster.vms[0].ends_in_s = None;
    finds(&cluster, script.roll, BreachKind::NotAllowed);
}

#[test]
fn a_cold_machine_takes_the_level_of_where_it_starts() {
    let mut cluster = plain(3);
    cluster.hosts[1].cpu_level = 3;
    cluster.hosts[2].needs_patch = false;
    cluster.hosts[0].needs_patch = false;
    vm(&mut cluster, "c", 1, 20);
    cluster.vms[0].mobility = Mobility::Cold;
    let mut script = Script::new();
    script.then(close("h1"));
    script.then(Action::Migrate {
        vm: "c".into(),
        from: "h1".into(),
        to: "h0".into(),
        how: How::Cold,
    });
    script.then(patch("h1"));
    script.then(reopen("h1"));
    let checked = check(&cluster, script.roll).unwrap();
    assert_eq!(checked.figures().moved_mib, 0);
    assert_eq!(checked.figures().downtime_ms, 120_000);
}

#[test]
fn nothing_to_patch_is_a_right_roll() {
    let mut cluster = plain(3);
    for host in &mut cluster.hosts {
        host.needs_patch = false;
    }
    vm(&mut cluster, "a", 0, 0);
    let checked = check(&cluster, Script::new().roll).unwrap();
    assert_eq!(checked.figures().makespan_ms, 0);
}
