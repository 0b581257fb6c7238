//! A cluster in numbers, as the planner works on it.

use std::collections::BTreeMap;

use crate::plan::roll::{
    cluster::{Cluster, HostState, Migration, Mobility, NonMigratable, PatchTime},
    limits::Ha,
    names::Names,
    rule::{Level, Rule},
    step::{How, WhyNotRolled},
};

/// What a host is in this roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan::roll) enum Role {
    /// It is patched.
    Patch,
    /// It takes machines, and is not patched.
    Keep,
    /// It takes none, and is not patched.
    Shut,
}

/// How a machine leaves its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan::roll) enum Way {
    Moves(How),
    /// It is stopped and started again in place.
    Stops {
        suspend: bool,
    },
    /// It does not leave, and its host is not patched.
    Stays,
}

/// Machines that keep apart.
#[derive(Debug)]
pub(in crate::plan::roll) struct Group {
    pub(in crate::plan::roll) level: Level,
    pub(in crate::plan::roll) max_per: u32,
    pub(in crate::plan::roll) soft: bool,
    pub(in crate::plan::roll) members: Vec<u32>,
}

/// Machines of which only so many are away at once.
#[derive(Debug)]
pub(in crate::plan::roll) struct Floor {
    pub(in crate::plan::roll) most_away: usize,
}

/// Which lists a machine is in, without a list for each machine.
#[derive(Debug, Default)]
pub(in crate::plan::roll) struct Lists {
    first: Vec<u32>,
    all: Vec<u32>,
}

impl Lists {
    fn of(count: usize, pairs: &[(u32, u32)]) -> Self {
        let mut first = vec![0_u32; count + 1];
        for (owner, _) in pairs {
            first[*owner as usize + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        let mut next = first.clone();
        let mut all = vec![0; pairs.len()];
        for (owner, member) in pairs {
            all[next[*owner as usize] as usize] = *member;
            next[*owner as usize] += 1;
        }
        Self { first, all }
    }

    pub(in crate::plan::roll) fn get(&self, owner: usize) -> &[u32] {
        &self.all[self.first[owner] as usize..self.first[owner + 1] as usize]
    }
}

/// Everything that does not change while a roll is planned.
#[derive(Debug)]
pub(in crate::plan::roll) struct Ground<'c> {
    pub(in crate::plan::roll) cluster: &'c Cluster,
    pub(in crate::plan::roll) dims: usize,
    /// What each host has for machines, and what of that moves may fill.
    pub(in crate::plan::roll) room: Vec<u64>,
    pub(in crate::plan::roll) capped: Vec<u64>,
    pub(in crate::plan::roll) demand: Vec<u64>,
    /// What a move of each machine copies, in MiB.
    pub(in crate::plan::roll) bytes: Vec<u64>,
    pub(in crate::plan::roll) home: Vec<u32>,
    pub(in crate::plan::roll) level: Vec<u32>,
    pub(in crate::plan::roll) way: Vec<Way>,
    pub(in crate::plan::roll) role: Vec<Role>,
    pub(in crate::plan::roll) left_out: Vec<(u32, WhyNotRolled)>,
    pub(in crate::plan::roll) dedicated: Vec<bool>,
    pub(in crate::plan::roll) groups: Vec<Group>,
    pub(in crate::plan::roll) groups_of: Lists,
    pub(in crate::plan::roll) floors: Vec<Floor>,
    pub(in crate::plan::roll) floors_of: Lists,
    /// Machines that move together, and which of these each is in.
    pub(in crate::plan::roll) clumps: Vec<Vec<u32>>,
    pub(in crate::plan::roll) clump_of: Vec<u32>,
    /// For each machine that rules keep from hosts, which of `allowed` says where it may be.
    pub(in crate::plan::roll) fenced: Vec<u32>,
    pub(in crate::plan::roll) allowed: Vec<Vec<bool>>,
    /// The rack and the site of each host, numbered.
    pub(in crate::plan::roll) rack: Vec<u32>,
    pub(in crate::plan::roll) site: Vec<u32>,
    /// Hosts that go before each host.
    pub(in crate::plan::roll) before: Vec<Vec<u32>>,
    /// Memory, the dominant share of a machine of the mean host, by which machines are ordered: largest first.
    pub(in crate::plan::roll) weight: Vec<u64>,
    /// Whether times are those of 95 % of the cases, because windows hold for these.
    pub(in crate::plan::roll) slow: bool,
}

/// In no list.
pub(in crate::plan::roll) const NONE: u32 = u32::MAX;

/// What a list of a million and fewer counts with.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cluster has at most 2^22 machines"
)]
pub(in crate::plan::roll) fn short(number: usize) -> u32 {
    number as u32
}

impl<'c> Ground<'c> {
    /// Every machine is on a host and every name is known: the cluster was looked through.
    pub(in crate::plan::roll) fn of(cluster: &'c Cluster, partial: bool) -> Self {
        let names = Names::of(cluster);
        let host_of = |name: &crate::id::ComponentId| names.host(name.as_str());
        let vm_of = |name: &crate::id::ComponentId| names.vm(name.as_str());
        let (hosts, vms, dims) = (
            cluster.hosts.len(),
            cluster.vms.len(),
            cluster.resources.len(),
        );
        let mut room = Vec::with_capacity(hosts * dims);
        for host in &cluster.hosts {
            for dim in 0..dims {
                let own = host.reserve.get(dim).copied().flatten().unwrap_or(0);
                room.push(host.capacity[dim].unwrap_or(0).saturating_sub(own));
            }
        }
        let percent = u64::from(cluster.limits.fill_cap_percent);
        let capped = room.iter().map(|room| part(*room, percent * 10)).collect();
        let demand: Vec<u64> = cluster
            .vms
            .iter()
            .flat_map(|vm| vm.demand.iter().map(|amount| amount.unwrap_or(0)))
            .collect();
        let home: Vec<u32> = cluster
            .vms
            .iter()
            .map(|vm| short(host_of(&vm.host).unwrap_or(0)))
            .collect();
        let level = (0..vms)
            .map(|vm| {
                let host = &cluster.hosts[home[vm] as usize];
                cluster.vms[vm].cpu_level.unwrap_or(host.cpu_level)
            })
            .collect();
        let mut dedicated = vec![false; hosts];
        if let Ha::Dedicated { hosts, .. } = &cluster.limits.ha {
            for host in hosts.iter().filter_map(host_of) {
                dedicated[host] = true;
            }
        }
        let mut ground = Self {
            cluster,
            dims,
            weight: weights(cluster, &room, &demand),
            room,
            capped,
            demand,
            bytes: Vec::with_capacity(vms),
            home,
            level,
            way: Vec::with_capacity(vms),
            role: Vec::with_capacity(hosts),
            left_out: Vec::new(),
            dedicated,
            groups: Vec::new(),
            groups_of: Lists::default(),
            floors: Vec::new(),
            floors_of: Lists::default(),
            clumps: Vec::new(),
            clump_of: vec![NONE; vms],
            fenced: vec![NONE; vms],
            allowed: Vec::new(),
            rack: numbered(cluster, Level::Rack),
            site: numbered(cluster, Level::Site),
            before: vec![Vec::new(); hosts],
            slow: !cluster.limits.windows.is_empty(),
        };
        ground.ways();
        ground.roles(partial);
        let mut in_groups = Vec::new();
        let mut in_floors = Vec::new();
        for rule in &cluster.rules {
            match rule {
                Rule::AntiAffinity {
                    vms,
                    level,
                    max_per,
                    soft,
                } => {
                    let members: Vec<u32> = vms.iter().filter_map(vm_of).map(short).collect();
                    let at = short(ground.groups.len());
                    in_groups.extend(members.iter().map(|vm| (*vm, at)));
                    ground.groups.push(Group {
                        level: *level,
                        max_per: *max_per,
                        soft: soft.is_some(),
                        members,
                    });
                }
                Rule::KeepUp { vms, keep } => {
                    let at = short(ground.floors.len());
                    in_floors.extend(vms.iter().filter_map(vm_of).map(|vm| (short(vm), at)));
                    ground.floors.push(Floor {
                        most_away: vms.len().saturating_sub(*keep as usize),
                    });
                }
                Rule::Affinity {
                    vms,
                    level,
                    soft: None,
                } => {
                    let vms: Vec<u32> = vms.iter().filter_map(vm_of).map(short).collect();
                    ground.together(&vms, *level);
                }
                Rule::Fence { vms, hosts } | Rule::Avoid { vms, hosts } => {
                    let inside = matches!(rule, Rule::Fence { .. });
                    let mut may = vec![!inside; cluster.hosts.len()];
                    for host in hosts.iter().filter_map(host_of) {
                        may[host] = inside;
                    }
                    for vm in vms.iter().filter_map(vm_of) {
                        ground.keep_to(vm, &may);
                    }
                }
                Rule::Order { before, after } => {
                    let first: Vec<u32> = before.iter().filter_map(host_of).map(short).collect();
                    for host in after.iter().filter_map(host_of) {
                        ground.before[host].extend(&first);
                    }
                }
                Rule::Affinity { .. } | Rule::Exclusive { .. } => {}
            }
        }
        ground.groups_of = Lists::of(vms, &in_groups);
        ground.floors_of = Lists::of(vms, &in_floors);
        ground
    }

    fn ways(&mut self) {
        for vm in &self.cluster.vms {
            let memory = vm.mem_mib.unwrap_or(0);
            let way = match &vm.mobility {
                Mobility::Live if vm.disk_mib > 0 => Way::Moves(How::Storage),
                Mobility::Live => Way::Moves(How::Live),
                Mobility::Cold => Way::Moves(How::Cold),
                Mobility::Pinned(pin) => match pin.policy.or(self.cluster.non_migratable) {
                    Some(NonMigratable::ShutdownRestart) => Way::Stops { suspend: false },
                    Some(NonMigratable::Suspend) => Way::Stops { suspend: true },
                    Some(NonMigratable::StorageMigrate) => Way::Moves(How::Storage),
                    Some(NonMigratable::SkipHost | NonMigratable::AskOwner) | None => Way::Stays,
                },
            };
            self.bytes.push(match way {
                Way::Moves(How::Storage) => memory + vm.disk_mib,
                Way::Moves(How::Cold) => vm.disk_mib,
                _ => memory,
            });
            self.way.push(way);
        }
    }

    fn roles(&mut self, partial: bool) {
        let mut stays: Vec<u32> = vec![NONE; self.cluster.hosts.len()];
        for (vm, way) in self.way.iter().enumerate().rev() {
            if *way == Way::Stays {
                stays[self.home[vm] as usize] = short(vm);
            }
        }
        for (at, host) in self.cluster.hosts.iter().enumerate() {
            let why = match (host.needs_patch, host.state, stays[at]) {
                (false, ..) => None,
                (true, HostState::Down, _) => Some(WhyNotRolled::Down),
                (true, _, NONE) => None,
                (true, _, vm) => {
                    let vm = &self.cluster.vms[vm as usize];
                    let skips = match &vm.mobility {
                        Mobility::Pinned(pin) => pin.policy.or(self.cluster.non_migratable),
                        _ => None,
                    } == Some(NonMigratable::SkipHost);
                    match skips {
                        true => Some(WhyNotRolled::SkipHost { vm: vm.id.clone() }),
                        false if partial => Some(WhyNotRolled::NobodyDecides { vm: vm.id.clone() }),
                        false => None,
                    }
                }
            };
            let patched = host.needs_patch && why.is_none();
            self.role.push(match (patched, host.state) {
                (true, _) => Role::Patch,
                (false, HostState::Open) => Role::Keep,
                (false, _) => Role::Shut,
            });
            if let Some(why) = why {
                self.left_out.push((short(at), why));
            }
        }
    }

    /// On one host they are one thing to move. In one rack or site they stay where they are, host by host.
    fn together(&mut self, vms: &[u32], level: Level) {
        if level != Level::Host {
            let Some(first) = vms.first() else { return };
            let place = self.place(self.home[*first as usize] as usize, level);
            let may: Vec<bool> = (0..self.cluster.hosts.len())
                .map(|host| self.place(host, level) == place)
                .collect();
            for vm in vms {
                self.keep_to(*vm as usize, &may);
            }
            return;
        }
        let mut all: Vec<u32> = vms.to_vec();
        for vm in vms {
            // Two rules that share a machine make one group of both.
            let old = self.clump_of[*vm as usize];
            if old != NONE {
                all.append(&mut self.clumps[old as usize]);
            }
        }
        all.sort_unstable();
        all.dedup();
        for vm in &all {
            self.clump_of[*vm as usize] = short(self.clumps.len());
        }
        self.clumps.push(all);
    }

    fn keep_to(&mut self, vm: usize, may: &[bool]) {
        let own = match self.fenced[vm] {
            NONE => may.to_vec(),
            at => {
                let old = &self.allowed[at as usize];
                old.iter().zip(may).map(|(a, b)| *a && *b).collect()
            }
        };
        // Rules mostly name many machines alike: one list serves them all.
        let at = self.allowed.iter().position(|list| *list == own);
        let at = at.unwrap_or_else(|| {
            self.allowed.push(own);
            self.allowed.len() - 1
        });
        self.fenced[vm] = short(at);
    }

    pub(in crate::plan::roll) fn place(&self, host: usize, level: Level) -> u32 {
        match level {
            Level::Host => short(host),
            Level::Rack => self.rack[host],
            Level::Site => self.site[host],
        }
    }

    pub(in crate::plan::roll) fn demand_of(&self, vm: usize) -> &[u64] {
        &self.demand[vm * self.dims..(vm + 1) * self.dims]
    }

    pub(in crate::plan::roll) fn room_of(&self, host: usize) -> &[u64] {
        &self.room[host * self.dims..(host + 1) * self.dims]
    }

    pub(in crate::plan::roll) fn slots(&self, host: usize) -> Migration {
        let own = self.cluster.hosts[host].migration;
        own.or(self.cluster.migration).unwrap_or(Migration {
            in_slots: 1,
            out_slots: 1,
            mib_per_s: 1,
        })
    }

    /// How long a host is patched, in milliseconds.
    pub(in crate::plan::roll) fn patch_ms(&self, host: usize) -> u64 {
        let own = self.cluster.hosts[host].patch_time;
        let time = own
            .or(self.cluster.patch_time)
            .unwrap_or(PatchTime { p50_s: 0, p95_s: 0 });
        1000 * if self.slow { time.p95_s } else { time.p50_s }
    }

    /// How long a move lasts, in milliseconds.
    pub(in crate::plan::roll) fn move_ms(
        &self,
        vm: usize,
        from: usize,
        to: usize,
        how: How,
    ) -> u64 {
        let (known, costs) = (&self.cluster.vms[vm], &self.cluster.costs);
        let rate = self.slots(from).mib_per_s.min(self.slots(to).mib_per_s);
        let memory = (known.mem_mib.unwrap_or(0) * costs.overhead_permille).div_ceil(rate);
        let disk = (known.disk_mib * 1000).div_ceil(rate);
        self.paced(match how {
            How::Live => costs.fixed_ms + memory,
            How::Storage => costs.fixed_ms + memory + disk,
            How::Cold => (costs.stop_s + costs.start_s) * 1000 + disk,
        })
    }

    pub(in crate::plan::roll) fn paced(&self, usual: u64) -> u64 {
        match self.slow {
            false => usual,
            true => {
                let slow = self.cluster.costs.p95_permille;
                usual / 1000 * slow + (usual % 1000 * slow).div_ceil(1000)
            }
        }
    }
}

/// So many thousandths of an amount.
pub(in crate::plan::roll) fn part(amount: u64, permille: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(permille) / 1000).unwrap_or(u64::MAX)
}

/// The largest share that each machine takes of all rooms together, in units of 2^-40.
fn weights(cluster: &Cluster, room: &[u64], demand: &[u64]) -> Vec<u64> {
    let dims = cluster.resources.len();
    let mut sums = vec![0_u64; dims];
    for host in room.chunks_exact(dims) {
        for (sum, room) in sums.iter_mut().zip(host) {
            *sum += room;
        }
    }
    let share = |(amount, sum): (&u64, &u64)| {
        let share = (u128::from(*amount) << 40) / u128::from((*sum).max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    };
    demand
        .chunks_exact(dims)
        .map(|vm| vm.iter().zip(&sums).map(share).max().unwrap_or(0))
        .collect()
}

fn numbered(cluster: &Cluster, level: Level) -> Vec<u32> {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    cluster
        .hosts
        .iter()
        .map(|host| {
            let name = match level {
                Level::Rack => host.rack.as_deref(),
                _ => host.site.as_deref(),
            };
            let next = short(known.len());
            *known.entry(name.unwrap_or_default()).or_insert(next)
        })
        .collect()
}
