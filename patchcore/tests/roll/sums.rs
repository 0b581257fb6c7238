//! What a roll costs, worked out a second time: moment by moment, every step looked at in each, which is too slow for a
//! large cluster and too plain to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::plan::roll::{
    Action, BreachKind, Cluster, How, Level, Migration, Mobility, NonMigratable, PatchTime, Pin,
    Roll, RollWindow, Rule, Vm, check,
};

use crate::{
    clusters::{Dice, plain, vm},
    property::planned,
    serial::{Script, close, migrate, patch, reopen},
};

fn count() -> u64 {
    if std::env::var_os("PATCHCORE_FULL").is_some() {
        2_000
    } else {
        150
    }
}

fn machine<'c>(cluster: &'c Cluster, id: &str) -> &'c Vm {
    cluster.vms.iter().find(|vm| vm.id == *id).unwrap()
}

fn slots(cluster: &Cluster, id: &str) -> Migration {
    let host = cluster.hosts.iter().find(|host| host.id == *id).unwrap();
    host.migration.or(cluster.migration).unwrap()
}

/// A part of a unit counts whole.
fn up(amount: u64, of: u64) -> u64 {
    amount / of + u64::from(!amount.is_multiple_of(of))
}

/// How long a step takes, in milliseconds.
fn lasts(cluster: &Cluster, action: &Action, slow: bool) -> u64 {
    let costs = cluster.costs;
    let usual = match action {
        Action::Close { .. } | Action::Reopen { .. } | Action::AwaitEnd { .. } => 0,
        Action::Patch { host } => {
            let host = cluster.hosts.iter().find(|h| h.id == *host).unwrap();
            let time = host.patch_time.or(cluster.patch_time).unwrap();
            return 1000 * if slow { time.p95_s } else { time.p50_s };
        }
        Action::Stop { .. } => 1000 * costs.stop_s,
        Action::Start { .. } => 1000 * costs.start_s,
        Action::Migrate { vm, from, to, how } => {
            let vm = machine(cluster, vm.as_str());
            let rate = [from, to].map(|host| slots(cluster, host.as_str()).mib_per_s);
            let rate = rate.into_iter().min().unwrap();
            let memory = up(vm.mem_mib.unwrap() * costs.overhead_permille, rate);
            let disk = up(vm.disk_mib * 1000, rate);
            match how {
                How::Live => costs.fixed_ms + memory,
                How::Storage => costs.fixed_ms + memory + disk,
                How::Cold => 1000 * (costs.stop_s + costs.start_s) + disk,
            }
        }
    };
    match slow {
        true => up(usual * costs.p95_permille, 1000),
        false => usual,
    }
}

/// When each step begins and ends.
fn spans(cluster: &Cluster, roll: &Roll, slow: bool) -> Vec<(u64, u64)> {
    let mut spans: Vec<Option<(u64, u64)>> = vec![None; roll.steps.len()];
    let mut now = 0;
    loop {
        // What ends now is over before anything begins.
        let over: Vec<bool> = spans
            .iter()
            .map(|span| span.is_some_and(|(_, until)| until <= now))
            .collect();
        let mut at_once = false;
        for (at, step) in roll.steps.iter().enumerate() {
            let waits = step.needs.iter().any(|need| !over[*need as usize]);
            if spans[at].is_some() || waits || step.not_before_ms.unwrap_or(0) > now {
                continue;
            }
            if let Action::Migrate { from, to, .. } = &step.action {
                let running = |is: &dyn Fn(&str, &str) -> bool| {
                    let those = roll.steps.iter().zip(&spans).zip(&over);
                    let those = those.filter(|((step, span), over)| {
                        matches!(&step.action, Action::Migrate { from, to, .. }
                            if span.is_some() && !**over && is(from.as_str(), to.as_str()))
                    });
                    those.count() as u64
                };
                let (from, to) = (from.as_str(), to.as_str());
                let out = running(&|other, _| other == from);
                let into = running(&|_, other| other == to);
                let all = running(&|_, _| true);
                let most = cluster.limits.max_migrations.unwrap_or(u32::MAX);
                if out >= u64::from(slots(cluster, from).out_slots)
                    || into >= u64::from(slots(cluster, to).in_slots)
                    || all >= u64::from(most)
                {
                    continue;
                }
            }
            let lasts = lasts(cluster, &step.action, slow);
            spans[at] = Some((now, now + lasts));
            at_once |= lasts == 0;
        }
        if at_once {
            continue;
        }
        let ends = spans.iter().flatten().map(|(_, until)| *until);
        let begins = roll.steps.iter().filter_map(|step| step.not_before_ms);
        match ends.chain(begins).filter(|at| *at > now).min() {
            Some(next) => now = next,
            None => return spans.into_iter().map(Option::unwrap).collect(),
        }
    }
}

/// Where each machine is at the end; none: it ended.
fn ends(cluster: &Cluster, roll: &Roll) -> BTreeMap<String, Option<String>> {
    let at = |vm: &Vm| (vm.id.to_string(), Some(vm.host.to_string()));
    let mut at: BTreeMap<String, Option<String>> = cluster.vms.iter().map(at).collect();
    for step in &roll.steps {
        match &step.action {
            Action::Migrate { vm, to, .. } => at.insert(vm.to_string(), Some(to.to_string())),
            Action::AwaitEnd { vm, .. } => at.insert(vm.to_string(), None),
            _ => None,
        };
    }
    at
}

fn fullest(cluster: &Cluster, roll: &Roll) -> u64 {
    let at = ends(cluster, roll);
    let mut fullest = 0;
    for host in &cluster.hosts {
        for dim in 0..cluster.resources.len() {
            let own = host.reserve.get(dim).copied().flatten().unwrap_or(0);
            let room = host.capacity[dim].unwrap() - own;
            let here = |vm: &&Vm| at[vm.id.as_str()].as_deref() == Some(host.id.as_str());
            let here = cluster.vms.iter().filter(here);
            let used: u64 = here.map(|vm| vm.demand[dim].unwrap()).sum();
            fullest = fullest.max((used * 1000).checked_div(room).unwrap_or(0));
        }
    }
    fullest
}

/// What soft rules cost.
fn soft(cluster: &Cluster, roll: &Roll) -> u64 {
    let at = ends(cluster, roll);
    let mut cost = 0;
    for rule in &cluster.rules {
        let (vms, level) = match rule {
            Rule::AntiAffinity { vms, level, .. } | Rule::Affinity { vms, level, .. } => {
                (vms, *level)
            }
            _ => continue,
        };
        let places = vms.iter().filter_map(|vm| at[vm.as_str()].as_ref());
        let places: Vec<String> = places
            .map(|id| {
                let host = cluster.hosts.iter().find(|h| h.id == *id.as_str()).unwrap();
                match level {
                    Level::Host => id.clone(),
                    Level::Rack => host.rack.clone().unwrap_or_default(),
                    Level::Site => host.site.clone().unwrap_or_default(),
                }
            })
            .collect();
        let different: BTreeSet<&String> = places.iter().collect();
        cost += match rule {
            Rule::AntiAffinity {
                max_per,
                soft: Some(weight),
                ..
            } => {
                let each = different.iter().map(|place| {
                    let there = places.iter().filter(|other| other == place).count();
                    there.saturating_sub(*max_per as usize)
                });
                u64::from(*weight) * each.sum::<usize>() as u64
            }
            Rule::Affinity {
                soft: Some(weight), ..
            } if !different.is_empty() => u64::from(*weight) * (different.len() as u64 - 1),
            _ => 0,
        };
    }
    cost
}

/// Other slots, rates, times and costs, and rules that may be broken: none of them makes the roll another.
fn varied(cluster: &mut Cluster, dice: &mut Dice) {
    let short = |dice: &mut Dice, most| u32::try_from(1 + dice.roll(most)).unwrap();
    let slots = |dice: &mut Dice| Migration {
        in_slots: short(dice, 3),
        out_slots: short(dice, 3),
        mib_per_s: 7 + dice.roll(90),
    };
    cluster.migration = Some(slots(dice));
    for host in &mut cluster.hosts {
        host.migration = dice.one_in(3).then(|| slots(dice));
        host.patch_time = dice.one_in(3).then(|| PatchTime {
            p50_s: 100 + dice.roll(900),
            p95_s: 1000 + dice.roll(900),
        });
        host.site = Some(format!("s{}", dice.roll(2)));
    }
    for vm in &mut cluster.vms {
        if vm.mobility == Mobility::Cold {
            vm.disk_mib = dice.roll(9_999);
        }
    }
    cluster.limits.max_migrations = dice.one_in(2).then(|| short(dice, 4));
    cluster.costs.overhead_permille = 1000 + dice.roll(400);
    cluster.costs.fixed_ms = dice.roll(9_999);
    cluster.costs.p95_permille = 1000 + dice.roll(999);
    cluster.costs.stop_s = 1 + dice.roll(99);
    cluster.costs.start_s = 1 + dice.roll(99);
    for _ in 0..dice.roll(4) {
        let vms: BTreeSet<_> = (0..4).map(|_| dice.pick(&cluster.vms).id.clone()).collect();
        let (vms, soft) = (vms.into_iter().collect(), Some(1 + short(dice, 9)));
        let level = *dice.pick(&[Level::Host, Level::Rack, Level::Site]);
        cluster.rules.push(match dice.one_in(2) {
            true => Rule::Affinity { vms, level, soft },
            false => Rule::AntiAffinity {
                vms,
                level,
                max_per: 1 + short(dice, 2) / 2,
                soft,
            },
        });
    }
}

#[test]
fn the_checkers_sums_are_those_of_the_plainest_way() {
    let (mut rolls, mut moves, mut waits, mut cold, mut softs) = (0, 0, 0, 0, 0);
    for seed in 0..count() {
        let Some((mut cluster, roll)) = planned(seed) else {
            continue;
        };
        let mut dice = Dice::new(seed);
        varied(&mut cluster, &mut dice);
        let what = format!("seed {seed}");
        let checked = check(&cluster, roll.clone()).unwrap_or_else(|b| panic!("{what}: {b}"));
        let (usual, slow) = (spans(&cluster, &roll, false), spans(&cluster, &roll, true));
        let found = checked.timeline().iter();
        let found: Vec<(u64, u64)> = found.map(|span| (span.from_ms, span.until_ms)).collect();
        assert_eq!(found, usual, "{what}");
        let figures = checked.figures();
        let last = |spans: &[(u64, u64)]| spans.iter().map(|span| span.1).max().unwrap_or(0);
        assert_eq!(figures.makespan_ms, last(&usual), "{what}");
        assert_eq!(figures.makespan_p95_ms, last(&slow), "{what}");

        let (mut mib, mut all, mut down, mut patched) = (0, 0, 0, 0);
        let mut closed: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        let mut stopped: BTreeMap<&str, u64> = BTreeMap::new();
        for (step, (from, until)) in roll.steps.iter().zip(&usual) {
            match &step.action {
                Action::Migrate { vm, how, .. } => {
                    let vm = machine(&cluster, vm.as_str());
                    let (memory, disk) = (vm.mem_mib.unwrap(), vm.disk_mib);
                    all += 1;
                    mib += match how {
                        How::Live => memory,
                        How::Storage => memory + disk,
                        How::Cold => disk,
                    };
                    down += if *how == How::Cold { until - from } else { 0 };
                    cold += u64::from(*how == How::Cold);
                    let ready = step.needs.iter().map(|need| usual[*need as usize].1);
                    let ready = ready
                        .max()
                        .unwrap_or(0)
                        .max(step.not_before_ms.unwrap_or(0));
                    waits += u64::from(*from > ready);
                }
                Action::Patch { .. } => patched += 1,
                Action::Close { host } => closed.entry(host.as_str()).or_default()[0] = *from,
                Action::Reopen { host } => closed.entry(host.as_str()).or_default()[1] = *until,
                Action::Stop { vm, .. } => {
                    stopped.insert(vm.as_str(), *from);
                }
                Action::Start { vm, .. } => down += until - stopped[vm.as_str()],
                Action::AwaitEnd { .. } => {}
            }
        }
        let at_once = closed.values().map(|[from, _]| {
            let with = closed.values();
            with.filter(|other| other[0] <= *from && *from < other[1])
                .count()
        });
        assert_eq!(figures.moves, all, "{what}");
        assert_eq!(figures.moved_mib, mib, "{what}");
        assert_eq!(figures.downtime_ms, down, "{what}");
        assert_eq!(figures.patched, patched, "{what}");
        assert_eq!(figures.left_out as usize, roll.left_out.len(), "{what}");
        let at_once = at_once.max().unwrap_or(0);
        assert_eq!(figures.closed_at_once as usize, at_once, "{what}");
        let permille = u64::from(figures.fullest_permille);
        assert_eq!(permille, fullest(&cluster, &roll), "{what}");
        assert_eq!(figures.soft, soft(&cluster, &roll), "{what}");
        rolls += 1;
        moves += all;
        softs += u64::from(figures.soft > 0);
        windowed(&cluster, &roll, &usual, &slow, &what);
    }
    println!(
        "{rolls} rolls with {moves} moves, of which {waits} waited for slots and {cold} were cold; {softs} cost something soft"
    );
    // What hardly ever happens proves little.
    assert!(rolls * 4 > count() && waits * 10 > moves && cold > 20 && softs * 10 > rolls);
}

/// The shortest window that holds everything, and one second less.
fn windowed(cluster: &Cluster, roll: &Roll, usual: &[(u64, u64)], slow: &[(u64, u64)], what: &str) {
    // What is touched last: a move's end, a host's opening, or the start of what was stopped on it.
    let last = |spans: &[(u64, u64)]| {
        let touches = |action: &Action| {
            matches!(
                action,
                Action::Migrate { .. } | Action::Reopen { .. } | Action::Start { .. }
            )
        };
        let those = roll.steps.iter().zip(spans);
        let those = those.filter(|(step, _)| touches(&step.action));
        those.map(|(_, span)| span.1).max()
    };
    let Some(until) = last(usual).max(last(slow)) else {
        return;
    };
    let until_s = up(until, 1000);
    for (from_s, until_s, fits) in [(0, until_s, true), (0, until_s - 1, false)] {
        let mut cluster = cluster.clone();
        cluster.limits.windows = vec![RollWindow { from_s, until_s }];
        match check(&cluster, roll.clone()) {
            Ok(_) => assert!(fits, "{what}: {until_s} s are too short"),
            Err(b) => assert!(!fits && b.has(BreachKind::OutsideWindow), "{what}: {b}"),
        }
    }
}

/// One machine of 10 MiB at 10 MiB/s, moved before its host is patched; from its fifth second on.
fn five_seconds_late() -> (Cluster, Script) {
    let mut cluster = plain(2);
    cluster.hosts[1].needs_patch = false;
    vm(&mut cluster, "v", 0, 1);
    cluster.vms[0].mem_mib = Some(10);
    cluster.costs.overhead_permille = 1000;
    cluster.costs.fixed_ms = 1000;
    cluster.costs.p95_permille = 2000;
    let mut script = Script::new();
    script.then(close("h0"));
    script.then(migrate("v", "h0", "h1"));
    script.then(patch("h0"));
    script.then(reopen("h0"));
    script.roll.steps[0].not_before_ms = Some(5_000);
    (cluster, script)
}

#[test]
fn a_window_is_kept_to_the_second() {
    // At the usual pace 2 s and 1200 s, at the slow one 4 s and 1800 s.
    let spans = |windows: &[(u64, u64)]| -> Vec<RollWindow> {
        let window = |(from_s, until_s): &(u64, u64)| RollWindow {
            from_s: *from_s,
            until_s: *until_s,
        };
        windows.iter().map(window).collect()
    };
    for (windows, fits) in [
        (&[(5, 1809)][..], true),
        (&[(5, 1808)], false),
        (&[(6, 1809)], false),
        (&[(0, 1), (5, 1809), (5000, 6000)], true),
        // A host is not closed from one window into the next.
        (&[(5, 1000), (1000, 1809)], false),
        // Nor does it need the slow pace to miss one.
        (&[(5, 1206)], false),
    ] {
        let (mut cluster, script) = five_seconds_late();
        cluster.limits.windows = spans(windows);
        match check(&cluster, script.roll) {
            Ok(_) => assert!(fits, "{windows:?}"),
            Err(b) => assert!(
                !fits && b.has(BreachKind::OutsideWindow),
                "{windows:?}: {b}"
            ),
        }
    }
}

#[test]
fn a_move_outside_of_every_window_is_found_beside_a_host_inside() {
    // The host is emptied ahead of its close, which alone is inside.
    let (mut cluster, mut script) = five_seconds_late();
    script.roll.steps.swap(0, 1);
    script.roll.steps[0].needs = Vec::new();
    script.roll.steps[1].needs = vec![0];
    script.roll.steps[1].not_before_ms = Some(10_000);
    for (windows, fits) in [
        ([(0, 4), (10, 1810)], true),
        ([(0, 3), (10, 1810)], false),
        ([(1, 4), (10, 1810)], false),
    ] {
        cluster.limits.windows = windows
            .map(|(from_s, until_s)| RollWindow { from_s, until_s })
            .into();
        match check(&cluster, script.roll.clone()) {
            Ok(_) => assert!(fits, "{windows:?}"),
            Err(b) => {
                assert!(
                    !fits && b.has(BreachKind::OutsideWindow),
                    "{windows:?}: {b}"
                );
                assert_eq!(b.listed()[0].step, Some(0), "{b}");
            }
        }
    }
}

#[test]
fn a_host_is_touched_until_what_was_stopped_on_it_runs_again_and_no_longer() {
    // At the slow pace 90 s to stop, 1800 s to patch, 90 s to start.
    let mut cluster = plain(2);
    cluster.hosts[1].needs_patch = false;
    vm(&mut cluster, "p", 0, 1);
    cluster.vms[0].mobility = Mobility::Pinned(Pin {
        reason: "GPU".to_owned(),
        policy: Some(NonMigratable::ShutdownRestart),
    });
    let (vm, host) = ("p".into(), "h0".into());
    let mut script = Script::new();
    script.then(close("h0"));
    script.then(Action::Stop {
        vm,
        host,
        suspend: false,
    });
    script.then(patch("h0"));
    script.then(reopen("h0"));
    let (vm, host) = ("p".into(), "h0".into());
    script.then(Action::Start { vm, host });
    let window = |from_s, until_s| RollWindow { from_s, until_s };
    for (until_s, fits) in [(1980, true), (1979, false), (1890, false)] {
        cluster.limits.windows = vec![window(0, until_s)];
        assert_eq!(
            check(&cluster, script.roll.clone()).is_ok(),
            fits,
            "{until_s}"
        );
    }
    // Who moves on and off it afterwards does so in a window of its own.
    let (mut cluster, mut script) = five_seconds_late();
    let back = script.then(migrate("v", "h1", "h0"));
    script.then(migrate("v", "h0", "h1"));
    script.roll.steps[back as usize].not_before_ms = Some(10_000_000);
    for (until_s, fits) in [(10_008, true), (10_007, false)] {
        cluster.limits.windows = vec![window(5, 1809), window(10_000, until_s)];
        assert_eq!(
            check(&cluster, script.roll.clone()).is_ok(),
            fits,
            "{until_s}"
        );
    }
}
