//! Clusters so small that every way can be looked at, and that looking.

use std::{cmp::Reverse, collections::BinaryHeap};

use patchcore::plan::roll::{
    Cluster, Ha, Host, Level, Migration, Mobility, NonMigratable, PatchTime, Pin, Rule, Vm,
};

use super::twister::Twister;

const MOST_VMS: usize = 10;
const LARGEST: usize = 48;

/// A cluster of 2 to 4 hosts and at most 10 machines, with rules.
pub(crate) fn generate(seed: u32) -> Cluster {
    let mut dice = Twister::new(seed);
    let mut cluster = Cluster::new(["memory_gb", "vcpu"]);
    cluster.patch_time = Some(PatchTime {
        p50_s: 1200,
        p95_s: 1800,
    });
    cluster.migration = Some(Migration {
        in_slots: 4,
        out_slots: 4,
        mib_per_s: 640,
    });
    cluster.limits.ha = match dice.below(4) {
        0 => Ha::Failures(1),
        1 => Ha::Percent(10),
        _ => Ha::None,
    };
    let hosts = 2 + dice.below(3);
    let full = 30 + dice.below(55);
    for host in 0..hosts {
        let memory = if dice.below(4) == 0 { 72 } else { 96 };
        let mut host = Host::new(format!("h{host}"), [memory, 48]);
        host.needs_patch = dice.below(8) > 0;
        cluster.hosts.push(host);
    }
    for host in 0..hosts {
        let name = format!("h{host}");
        let room = cluster.hosts[host].capacity[0].unwrap_or(0);
        let mut used = 0;
        for _ in 0..8 {
            let memory = 1 + dice.below(LARGEST) as u64;
            if (used + memory) * 100 <= room * full as u64 && cluster.vms.len() < MOST_VMS {
                used += memory;
                let id = format!("v{}", cluster.vms.len());
                let demand = [memory, 1 + memory / 4];
                cluster
                    .vms
                    .push(Vm::new(id, name.as_str(), demand, memory * 1024));
            }
        }
    }
    rules(&mut cluster, &mut dice);
    cluster
}

fn rules(cluster: &mut Cluster, dice: &mut Twister) {
    if cluster.vms.len() < 4 {
        return;
    }
    for _ in 0..dice.below(3) {
        let mut vms: Vec<Vm> = Vec::new();
        for _ in 0..2 + dice.below(2) {
            let vm = &cluster.vms[dice.below(cluster.vms.len())];
            if vms.iter().all(|other| other.host != vm.host) {
                vms.push(vm.clone());
            }
        }
        cluster.rules.push(Rule::AntiAffinity {
            vms: vms.into_iter().map(|vm| vm.id).collect(),
            level: Level::Host,
            max_per: 1,
            soft: None,
        });
    }
    if dice.below(5) == 0 {
        let vm = dice.below(cluster.vms.len());
        cluster.vms[vm].mobility = Mobility::Pinned(Pin {
            reason: "passes a GPU through".to_owned(),
            policy: Some(NonMigratable::ShutdownRestart),
        });
    }
    if dice.below(5) == 0 {
        let vm = &cluster.vms[dice.below(cluster.vms.len())];
        let not = cluster.hosts.iter().find(|host| host.id != vm.host);
        if let Some(not) = not {
            cluster.rules.push(Rule::Avoid {
                vms: vec![vm.id.clone()],
                hosts: vec![not.id.clone()],
            });
        }
    }
    if dice.below(4) == 0 {
        let apart = |vm: &Vm| {
            cluster
                .rules
                .iter()
                .any(|rule| matches!(rule, Rule::AntiAffinity { vms, .. } if vms.contains(&vm.id)))
        };
        let first = &cluster.vms[0];
        let pair: Vec<_> = cluster
            .vms
            .iter()
            .filter(|vm| vm.host == first.host && vm.mobility == Mobility::Live && !apart(vm))
            .map(|vm| vm.id.clone())
            .take(2)
            .collect();
        if pair.len() == 2 {
            cluster.rules.push(Rule::Affinity {
                vms: pair,
                level: Level::Host,
                soft: None,
            });
        }
    }
}

/// What one machine is to the search.
struct Machine {
    memory: u64,
    vcpu: u64,
    mib: u64,
    moves: bool,
    may: Vec<bool>,
    apart_from: Vec<usize>,
    /// Those that move with it, itself among them.
    together: Vec<usize>,
}

/// The least memory that any order of moves, one by one, and of patches copies; none where none patches all.
///
/// Several hosts at once, or moves at once, only take more room: what they can do, this order can.
pub(crate) fn fewest_mib(cluster: &Cluster) -> Option<u64> {
    let machines = machines(cluster);
    let hosts = cluster.hosts.len();
    let vms = machines.len();
    let closes: Vec<bool> = (0..hosts).map(|host| reserve(cluster, host)).collect();
    let bit = |host: usize| 1_usize << host;
    let place = |code: usize, vm: usize| code >> (4 + 2 * vm) & 3;
    let mut start = 0;
    for (at, host) in cluster.hosts.iter().enumerate() {
        if !host.needs_patch {
            start |= bit(at);
        }
    }
    for (vm, known) in cluster.vms.iter().enumerate() {
        let at = cluster.hosts.iter().position(|host| host.id == known.host);
        start |= at.unwrap_or(0) << (4 + 2 * vm);
    }
    let all = bit(hosts) - 1;
    if (0..hosts).any(|host| start & bit(host) == 0 && !closes[host]) {
        return None;
    }
    // Whoever is on a host that is not patched has to leave it at least once more.
    let least = |code: usize| -> u64 {
        let leaves = |vm: &usize| machines[*vm].moves && code & bit(place(code, *vm)) == 0;
        (0..vms).filter(leaves).map(|vm| machines[vm].mib).sum()
    };
    // What each place costs, and one more: 0 is a place that was not reached.
    let mut best = vec![0_u64; 1 << (4 + 2 * vms)];
    best[start] = 1;
    let mut open = BinaryHeap::from([Reverse((least(start), 0_u64, start))]);
    while let Some(Reverse((_, cost, code))) = open.pop() {
        if best[code] <= cost {
            continue;
        }
        if code & all == all {
            return Some(cost);
        }
        let on = |vm: usize, host: usize| place(code, vm) == host;
        let mut reach = |next: usize, cost: u64| {
            if best[next] == 0 || cost + 1 < best[next] {
                best[next] = cost + 1;
                open.push(Reverse((cost + least(next), cost, next)));
            }
        };
        for (host, closes) in closes.iter().enumerate() {
            let empty = (0..vms).all(|vm| !machines[vm].moves || !on(vm, host));
            if code & bit(host) == 0 && *closes && empty {
                reach(code | bit(host), cost);
            }
        }
        for (vm, machine) in machines.iter().enumerate() {
            // Each group is moved by its first member.
            if !machine.moves || machine.together[0] != vm {
                continue;
            }
            for to in (0..hosts).filter(|to| !on(vm, *to)) {
                let group = machine.together.iter().map(|member| &machines[*member]);
                let used = |of: fn(&Machine) -> u64| -> u64 {
                    let there = (0..vms).filter(|other| on(*other, to));
                    let there: u64 = there.map(|other| of(&machines[other])).sum();
                    there + group.clone().map(of).sum::<u64>()
                };
                let room = &cluster.hosts[to].capacity;
                let fits = used(|m| m.memory) <= room[0].unwrap_or(0)
                    && used(|m| m.vcpu) <= room[1].unwrap_or(0)
                    && group
                        .clone()
                        .all(|m| m.may[to] && !m.apart_from.iter().any(|other| on(*other, to)));
                if fits {
                    let next = machine.together.iter().fold(code, |code, member| {
                        code & !(3 << (4 + 2 * member)) | to << (4 + 2 * member)
                    });
                    reach(next, cost + group.map(|m| m.mib).sum::<u64>());
                }
            }
        }
    }
    None
}

fn machines(cluster: &Cluster) -> Vec<Machine> {
    let at = |id: &patchcore::id::ComponentId| cluster.vms.iter().position(|vm| vm.id == *id);
    let mut machines: Vec<Machine> = cluster
        .vms
        .iter()
        .enumerate()
        .map(|(at, vm)| Machine {
            memory: vm.demand[0].unwrap_or(0),
            vcpu: vm.demand[1].unwrap_or(0),
            mib: vm.mem_mib.unwrap_or(0),
            moves: vm.mobility == Mobility::Live,
            may: vec![true; cluster.hosts.len()],
            apart_from: Vec::new(),
            together: vec![at],
        })
        .collect();
    for rule in &cluster.rules {
        match rule {
            Rule::AntiAffinity { vms, .. } => {
                let members: Vec<usize> = vms.iter().filter_map(at).collect();
                for vm in &members {
                    let others = members.iter().copied().filter(|other| other != vm);
                    machines[*vm].apart_from.extend(others);
                }
            }
            Rule::Affinity { vms, .. } => {
                let members: Vec<usize> = vms.iter().filter_map(at).collect();
                for vm in &members {
                    machines[*vm].together.clone_from(&members);
                }
            }
            Rule::Avoid { vms, hosts } => {
                for vm in vms.iter().filter_map(at) {
                    for (host, known) in cluster.hosts.iter().enumerate() {
                        machines[vm].may[host] &= !hosts.contains(&known.id);
                    }
                }
            }
            _ => {}
        }
    }
    machines
}

/// Whether the sums let this host be closed while all others are open.
fn reserve(cluster: &Cluster, closed: usize) -> bool {
    (0..cluster.resources.len()).all(|dim| {
        let others = cluster.hosts.iter().enumerate();
        let others = others.filter(|(at, _)| *at != closed);
        let rooms: Vec<u64> = others.map(|(_, h)| h.capacity[dim].unwrap_or(0)).collect();
        let demand = cluster.vms.iter().map(|vm| vm.demand[dim].unwrap_or(0));
        let (demand, sum): (u64, u64) = (demand.sum(), rooms.iter().sum());
        match cluster.limits.ha {
            Ha::Failures(1) => demand + rooms.iter().max().unwrap_or(&0) <= sum,
            Ha::Percent(percent) => demand * 100 <= sum * u64::from(100 - percent),
            _ => true,
        }
    })
}
