//! Random small clusters, the same for the same seed.

use patchcore::plan::roll::{
    Cluster, Ha, Host, Level, Migration, Mobility, NonMigratable, PatchTime, Pin, Rule, Vm,
};

/// SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678)
    }

    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below.max(1)
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.roll(of) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }
}

/// A cluster without rules: `hosts` of 100 memory and 50 CPUs.
pub(crate) fn plain(hosts: usize) -> Cluster {
    let mut cluster = Cluster::new(["memory", "vcpu"]);
    cluster.patch_time = Some(PatchTime {
        p50_s: 1200,
        p95_s: 1800,
    });
    cluster.migration = Some(Migration {
        in_slots: 2,
        out_slots: 2,
        mib_per_s: 10,
    });
    cluster.limits.ha = Ha::None;
    for host in 0..hosts {
        cluster.hosts.push(Host::new(format!("h{host}"), [100, 50]));
    }
    cluster
}

pub(crate) fn vm(cluster: &mut Cluster, name: &str, host: usize, memory: u64) {
    let host = cluster.hosts[host].id.clone();
    cluster
        .vms
        .push(Vm::new(name, host, [memory, memory / 4], memory * 1024));
}

/// What a random cluster is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) hosts: (u64, u64),
    /// Per cent of the memory that is used.
    pub(crate) used: (u64, u64),
    /// The largest machine.
    pub(crate) largest: u64,
    /// Whether there are rules, pins and levels.
    pub(crate) rules: bool,
}

fn between(dice: &mut Dice, range: (u64, u64)) -> u64 {
    range.0 + dice.roll(range.1 - range.0 + 1)
}

/// A cluster that keeps its own rules now.
pub(crate) fn random(seed: u64, size: Size) -> Cluster {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let hosts = usize::try_from(between(dice, size.hosts)).unwrap();
    let mut cluster = plain(hosts);
    let racks = 2 + dice.roll(3);
    for (at, host) in cluster.hosts.iter_mut().enumerate() {
        host.rack = Some(format!("r{}", at as u64 % racks));
        if size.rules && dice.one_in(10) {
            host.needs_patch = false;
        }
        if size.rules && dice.one_in(8) {
            host.capacity = vec![Some(80), Some(40)];
        }
        if size.rules && dice.one_in(6) {
            host.cpu_level = 1;
            host.cpu_level_patched = Some(u32::try_from(dice.roll(3)).unwrap());
        }
    }
    let used = between(dice, size.used);
    for host in 0..hosts {
        let most = cluster.hosts[host].capacity[0].unwrap() * used / 100;
        let mut memory = 0;
        for _ in 0..60 {
            let size = 1 + dice.roll(size.largest);
            if memory + size <= most {
                memory += size;
                let name = format!("v{}", cluster.vms.len());
                vm(&mut cluster, &name, host, size);
            }
        }
    }
    cluster.limits.ha = match dice.roll(4) {
        0 | 1 => Ha::Failures(1),
        2 => Ha::Percent(10),
        _ => Ha::None,
    };
    if size.rules {
        rules(&mut cluster, dice);
    }
    cluster
}

fn rules(cluster: &mut Cluster, dice: &mut Dice) {
    if cluster.vms.len() < 4 {
        return;
    }
    for vm in &mut cluster.vms {
        match dice.roll(24) {
            0 => vm.mobility = Mobility::Cold,
            1 => {
                let policy = match dice.roll(4) {
                    0 => NonMigratable::Suspend,
                    1 => NonMigratable::StorageMigrate,
                    _ => NonMigratable::ShutdownRestart,
                };
                vm.disk_mib = 4096;
                vm.mobility = Mobility::Pinned(Pin {
                    reason: "holds a disk of its host".to_owned(),
                    policy: Some(policy),
                });
            }
            2 => vm.notice_s = 60,
            3 => vm.ends_in_s = Some(600),
            _ => {}
        }
    }
    for _ in 0..dice.roll(5) {
        let level = *dice.pick(&[Level::Host, Level::Host, Level::Rack]);
        let mut vms: Vec<_> = Vec::new();
        let mut places: Vec<String> = Vec::new();
        for _ in 0..2 + dice.roll(3) {
            let vm = dice.pick(&cluster.vms);
            let host = cluster.hosts.iter().find(|h| h.id == vm.host).unwrap();
            let place = match level {
                Level::Host => host.id.to_string(),
                _ => host.rack.clone().unwrap(),
            };
            if !places.contains(&place) && !vms.contains(&vm.id) {
                places.push(place);
                vms.push(vm.id.clone());
            }
        }
        if vms.len() < 2 {
            continue;
        }
        if dice.one_in(3) {
            cluster.rules.push(Rule::KeepUp {
                keep: u32::try_from(vms.len()).unwrap() - 1,
                vms: vms.clone(),
            });
        }
        cluster.rules.push(Rule::AntiAffinity {
            vms,
            level,
            max_per: 1,
            soft: dice.one_in(4).then_some(3),
        });
    }
    if dice.one_in(3) {
        let vm = dice.pick(&cluster.vms).clone();
        let hosts = cluster.hosts.iter().filter(|h| h.id != vm.host);
        let other = hosts.map(|h| h.id.clone()).next().unwrap();
        cluster.rules.push(match dice.roll(2) {
            0 => Rule::Avoid {
                vms: vec![vm.id],
                hosts: vec![other],
            },
            _ => Rule::Fence {
                vms: vec![vm.id],
                hosts: cluster
                    .hosts
                    .iter()
                    .map(|h| h.id.clone())
                    .filter(|h| *h != other)
                    .collect(),
            },
        });
    }
    if dice.one_in(4) {
        let host = dice.pick(&cluster.vms).host.clone();
        let vms: Vec<_> = cluster
            .vms
            .iter()
            .filter(|vm| vm.host == host && vm.mobility == Mobility::Live && vm.ends_in_s.is_none())
            .filter(|vm| !cluster.rules.iter().any(|rule| names(rule, vm.id.as_str())))
            .map(|vm| vm.id.clone())
            .take(2)
            .collect();
        if vms.len() == 2 {
            cluster.rules.push(Rule::Affinity {
                vms,
                level: Level::Host,
                soft: None,
            });
        }
    }
    if dice.one_in(3) {
        cluster.limits.max_hosts_down = Some(1 + u32::try_from(dice.roll(3)).unwrap());
    }
    if dice.one_in(5) {
        cluster.limits.max_down_per_rack = Some(1);
    }
    if dice.one_in(5) && cluster.hosts.len() > 3 {
        cluster.rules.push(Rule::Order {
            before: vec![cluster.hosts[2].id.clone()],
            after: vec![cluster.hosts[0].id.clone()],
        });
        cluster.rules.push(Rule::Exclusive {
            hosts: cluster.hosts.iter().take(2).map(|h| h.id.clone()).collect(),
        });
    }
}

fn names(rule: &Rule, vm: &str) -> bool {
    match rule {
        Rule::AntiAffinity { vms, .. }
        | Rule::Affinity { vms, .. }
        | Rule::Fence { vms, .. }
        | Rule::Avoid { vms, .. }
        | Rule::KeepUp { vms, .. } => vms.iter().any(|id| id.as_str() == vm),
        Rule::Order { .. } | Rule::Exclusive { .. } => false,
    }
}
