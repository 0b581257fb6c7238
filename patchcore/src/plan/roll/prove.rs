//! The arithmetic of certificates, from the cluster alone.

use std::collections::BTreeSet;

use super::{
    cluster::{Cluster, HostState, Mobility, NonMigratable, PatchTime},
    infeasible::{Certificate, Infeasible, NeverTakes, Relaxation, WhyNever},
    limits::Ha,
    planner::ground::{Ground, NONE, Role, Way, part},
    rule::{Level, Rule},
    step::How,
};
use crate::id::ComponentId;

/// The first proof that not every host can be patched, with what would make it void.
pub(super) fn infeasible(ground: &Ground<'_>) -> Option<Infeasible> {
    let certificate = proofs(ground).into_iter().next()?;
    let relaxations = relaxations(ground.cluster, &certificate);
    Some(Infeasible {
        certificate,
        relaxations,
    })
}

/// Every proof, in the order of the hosts.
pub(super) fn certificates(cluster: &Cluster) -> impl Iterator<Item = Certificate> {
    proofs(&Ground::of(cluster, false)).into_iter()
}

fn proofs(ground: &Ground<'_>) -> Vec<Certificate> {
    let prover = Prover::of(ground);
    let mut all = Vec::new();
    prover.pinned(&mut all);
    prover.limits(&mut all);
    prover.sums(&mut all);
    prover.groups(&mut all);
    prover.stuck(&mut all);
    prover.windows(&mut all);
    all
}

struct Prover<'g> {
    ground: &'g Ground<'g>,
    patched: Vec<usize>,
    /// Hosts that are open at some time and take machines.
    usable: Vec<usize>,
}

impl<'g> Prover<'g> {
    fn of(ground: &'g Ground<'g>) -> Self {
        let all = || 0..ground.cluster.hosts.len();
        Self {
            ground,
            patched: all().filter(|h| ground.role[*h] == Role::Patch).collect(),
            usable: all()
                .filter(|h| ground.role[*h] != Role::Shut && !ground.dedicated[*h])
                .collect(),
        }
    }

    fn id(&self, host: usize) -> ComponentId {
        self.ground.cluster.hosts[host].id.clone()
    }

    fn pinned(&self, all: &mut Vec<Certificate>) {
        for (at, vm) in self.ground.cluster.vms.iter().enumerate() {
            let host = self.ground.home[at] as usize;
            if self.ground.way[at] != Way::Stays || self.ground.role[host] != Role::Patch {
                continue;
            }
            let asks = match &vm.mobility {
                Mobility::Pinned(pin) => pin.policy.or(self.ground.cluster.non_migratable),
                _ => None,
            } == Some(NonMigratable::AskOwner);
            all.push(Certificate::PinnedNoPolicy {
                host: self.id(host),
                vm: vm.id.clone(),
                owner: vm.owner.clone().filter(|_| asks),
            });
        }
    }

    fn limits(&self, all: &mut Vec<Certificate>) {
        let cluster = self.ground.cluster;
        let limits = &cluster.limits;
        let shut = |host: &usize| self.ground.role[*host] == Role::Shut;
        let down = |members: &mut dyn Iterator<Item = usize>| {
            u32::try_from(members.filter(|host| shut(host)).count()).unwrap_or(u32::MAX)
        };
        let some_shut = self.ground.role.contains(&Role::Shut);
        for host in &self.patched {
            let mut limit = |name: String, most: u32, members: &mut dyn Iterator<Item = usize>| {
                // Without hosts that stay down, only a limit of none is in the way.
                if !some_shut && most > 0 {
                    return;
                }
                let down = down(members) + 1;
                if down > most {
                    all.push(Certificate::DomainLimit {
                        host: self.id(*host),
                        limit: name,
                        down,
                        most,
                    });
                }
            };
            let hosts = || 0..cluster.hosts.len();
            if let Some(most) = limits.max_hosts_down {
                limit("limits.max_hosts_down".to_owned(), most, &mut hosts());
            }
            for (most, numbers, name) in [
                (
                    limits.max_down_per_rack,
                    &self.ground.rack,
                    "limits.max_down_per_rack",
                ),
                (
                    limits.max_down_per_site,
                    &self.ground.site,
                    "limits.max_down_per_site",
                ),
            ] {
                if let Some(most) = most {
                    let same = |other: &usize| numbers[*other] == numbers[*host];
                    limit(name.to_owned(), most, &mut hosts().filter(same));
                }
            }
            for (at, rule) in cluster.rules.iter().enumerate() {
                if let Rule::Exclusive { hosts: named } = rule
                    && named.contains(&cluster.hosts[*host].id)
                {
                    let same = |other: &usize| named.contains(&cluster.hosts[*other].id);
                    limit(
                        format!("rules[{at}].exclusive"),
                        1,
                        &mut hosts().filter(same),
                    );
                }
            }
            if let Ha::Dedicated { hosts: named, keep } = &limits.ha
                && self.ground.dedicated[*host]
            {
                let named = u32::try_from(named.len()).unwrap_or(u32::MAX);
                let same = |other: &usize| self.ground.dedicated[*other];
                let most = named.saturating_sub(*keep);
                limit(
                    "limits.ha.dedicated.keep".to_owned(),
                    most,
                    &mut hosts().filter(same),
                );
            }
        }
    }

    fn sums(&self, all: &mut Vec<Certificate>) {
        let ground = self.ground;
        for dim in 0..ground.dims {
            let demand: u64 = (0..ground.home.len())
                .map(|vm| ground.demand_of(vm)[dim])
                .sum();
            let mut elsewhere = 0;
            let mut rests = vec![0; ground.role.len()];
            for vm in 0..ground.home.len() {
                let host = ground.home[vm] as usize;
                if ground.role[host] == Role::Shut || ground.cluster.vms[vm].ends_in_s.is_some() {
                    continue;
                }
                elsewhere += ground.demand_of(vm)[dim];
                if !matches!(ground.way[vm], Way::Moves(_)) {
                    rests[host] += ground.demand_of(vm)[dim];
                }
            }
            let room = |host: &usize| ground.room[*host * ground.dims + dim];
            let mut rooms: Vec<u64> = self.usable.iter().map(room).collect();
            rooms.sort_unstable_by(|a, b| b.cmp(a));
            let sum: u64 = rooms.iter().sum();
            for host in self.patched.iter().filter(|host| !ground.dedicated[**host]) {
                let own = room(host);
                let open = sum - own;
                let usable = match ground.cluster.limits.ha {
                    Ha::None | Ha::Dedicated { .. } => open,
                    Ha::Percent(percent) => part(open, u64::from(100 - percent.min(100)) * 10),
                    Ha::Failures(hosts) => {
                        let hosts = hosts as usize;
                        let largest: u64 = rooms.iter().take(hosts).sum();
                        // The closed host is none of those that could fail; the next one is.
                        let among =
                            hosts > 0 && rooms.get(hosts - 1).is_some_and(|least| own >= *least);
                        let lost = match among {
                            true => largest - own + rooms.get(hosts).copied().unwrap_or(0),
                            false => largest,
                        };
                        open - lost.min(open)
                    }
                };
                let demand = match ground.cluster.limits.ha {
                    // Nothing is reserved: what counts is that all who must be elsewhere have room there.
                    Ha::None | Ha::Dedicated { .. } => elsewhere.saturating_sub(rests[*host]),
                    Ha::Failures(_) | Ha::Percent(_) => demand,
                };
                if demand > usable {
                    all.push(Certificate::AggregateCapacity {
                        host: self.id(*host),
                        resource: ground.cluster.resources[dim].clone(),
                        demand,
                        usable,
                    });
                }
            }
        }
    }

    fn groups(&self, all: &mut Vec<Certificate>) {
        let ground = self.ground;
        let places_of = [Level::Host, Level::Rack, Level::Site].map(|level| {
            let places = self.usable.iter().map(|host| ground.place(*host, level));
            places.collect::<BTreeSet<u32>>().len()
        });
        let mut group = 0;
        for (at, rule) in ground.cluster.rules.iter().enumerate() {
            let Rule::AntiAffinity { .. } = rule else {
                continue;
            };
            let known = &ground.groups[group];
            group += 1;
            let all_places = places_of[known.level as usize];
            let room = all_places.saturating_sub(1) * known.max_per as usize;
            if known.soft || known.members.len() <= room {
                continue;
            }
            for host in &self.patched {
                let elsewhere = known.members.iter().filter(|vm| {
                    let vm = **vm as usize;
                    let rests = ground.home[vm] as usize == *host
                        && !matches!(ground.way[vm], Way::Moves(_));
                    !rests && ground.cluster.vms[vm].ends_in_s.is_none()
                });
                let machines = elsewhere.count();
                let open = self.usable.iter().filter(|other| *other != host);
                let places: BTreeSet<u32> = open
                    .map(|other| ground.place(*other, known.level))
                    .collect();
                // One that stays where no machine comes to still has its place.
                let kept: BTreeSet<u32> = known
                    .members
                    .iter()
                    .map(|vm| ground.home[*vm as usize] as usize)
                    .filter(|home| !self.usable.contains(home) && home != host)
                    .map(|home| ground.place(home, known.level))
                    .collect();
                let places = places.union(&kept).count();
                if machines as u64 > places as u64 * u64::from(known.max_per) {
                    all.push(Certificate::GroupTooLarge {
                        rule: at,
                        host: self.id(*host),
                        machines,
                        places,
                        max_per: known.max_per,
                    });
                }
            }
        }
    }

    fn stuck(&self, all: &mut Vec<Certificate>) {
        let ground = self.ground;
        for vm in 0..ground.home.len() {
            let host = ground.home[vm] as usize;
            let moves = matches!(ground.way[vm], Way::Moves(_)) && ground.role[host] == Role::Patch;
            if !moves || ground.cluster.vms[vm].ends_in_s.is_some() {
                continue;
            }
            let mut targets = Vec::new();
            for other in (0..ground.cluster.hosts.len()).filter(|other| *other != host) {
                match self.never(vm, other) {
                    Some(why) => targets.push(NeverTakes {
                        host: self.id(other),
                        why,
                    }),
                    None => break,
                }
            }
            if targets.len() + 1 == ground.cluster.hosts.len() {
                all.push(Certificate::HostUnevacuable {
                    host: self.id(host),
                    vm: ground.cluster.vms[vm].id.clone(),
                    targets,
                });
            }
        }
    }

    fn never(&self, vm: usize, host: usize) -> Option<WhyNever> {
        let ground = self.ground;
        if ground.dedicated[host] {
            return Some(WhyNever::Dedicated);
        }
        if ground.role[host] == Role::Shut {
            return Some(WhyNever::NotOpen);
        }
        if ground.fenced[vm] != NONE && !ground.allowed[ground.fenced[vm] as usize][host] {
            return Some(WhyNever::Rule);
        }
        let known = &ground.cluster.hosts[host];
        let mut has = known.cpu_level;
        if ground.role[host] == Role::Patch {
            let patched = known.cpu_level_patched.unwrap_or(has);
            // One that is closed before the roll takes machines only once it is patched.
            has = if known.state == HostState::Open {
                has.max(patched)
            } else {
                patched
            };
        }
        if ground.way[vm] != Way::Moves(How::Cold) && has < ground.level[vm] {
            return Some(WhyNever::CpuLevel {
                needs: ground.level[vm],
                has,
            });
        }
        let own = [super::planner::ground::short(vm)];
        let unit = match ground.clump_of[vm] {
            NONE => &own[..],
            clump => &ground.clumps[clump as usize],
        };
        (0..ground.dims).find_map(|dim| {
            let takes: u64 = unit
                .iter()
                .map(|vm| ground.demand_of(*vm as usize)[dim])
                .sum();
            let has = ground.capped[host * ground.dims + dim];
            (takes > has).then(|| WhyNever::TooSmall {
                resource: ground.cluster.resources[dim].clone(),
                takes,
                has,
            })
        })
    }

    fn windows(&self, all: &mut Vec<Certificate>) {
        let cluster = self.ground.cluster;
        let lengths = cluster.limits.windows.iter().map(|w| w.until_s - w.from_s);
        let Some(longest_s) = lengths.max() else {
            return;
        };
        for host in &self.patched {
            let own = cluster.hosts[*host].patch_time.or(cluster.patch_time);
            let takes_s = own.map_or(0, |time: PatchTime| time.p95_s);
            if takes_s > longest_s {
                all.push(Certificate::WindowTooShort {
                    host: self.id(*host),
                    takes_s,
                    longest_s,
                });
            }
        }
    }
}

/// What would make a certificate void, the smallest change first.
fn relaxations(cluster: &Cluster, certificate: &Certificate) -> Vec<Relaxation> {
    let leave_out = Relaxation::LeaveOut {
        host: certificate.host().clone(),
    };
    let set = |place: &str, to: u64| Relaxation::Set {
        place: place.to_owned(),
        to,
    };
    let mut all = match certificate {
        Certificate::AggregateCapacity {
            resource,
            demand,
            usable,
            ..
        } => {
            let missing = demand - usable;
            let mut all = vec![
                Relaxation::StopVms {
                    vms: to_stop(cluster, resource, missing),
                },
                Relaxation::AddHost {
                    resource: resource.clone(),
                    amount: missing,
                },
            ];
            let (place, from) = match cluster.limits.ha {
                Ha::Failures(hosts) => ("limits.ha.failures", hosts),
                Ha::Percent(percent) => ("limits.ha.percent", percent),
                Ha::None | Ha::Dedicated { .. } => ("", 0),
            };
            let less = (0..from).rev().find(|to| {
                let mut other = cluster.clone();
                other.limits.ha = match other.limits.ha {
                    Ha::Percent(_) => Ha::Percent(*to),
                    _ => Ha::Failures(*to),
                };
                !certificates(&other).any(|c| matches!(c, Certificate::AggregateCapacity { .. }))
            });
            if let Some(to) = less {
                all.insert(0, set(place, to.into()));
            }
            all
        }
        Certificate::HostUnevacuable { vm, targets, .. } => {
            let mut all = vec![Relaxation::StopVms {
                vms: vec![vm.clone()],
            }];
            let small = targets.iter().filter_map(|target| match &target.why {
                WhyNever::TooSmall {
                    resource,
                    takes,
                    has,
                    ..
                } => Some((takes - has, resource, *takes)),
                _ => None,
            });
            if let Some((_, resource, takes)) = small.min() {
                all.push(Relaxation::AddHost {
                    resource: resource.clone(),
                    amount: takes,
                });
            }
            all
        }
        Certificate::GroupTooLarge {
            rule,
            machines,
            places,
            ..
        } => {
            let mut all = Vec::new();
            if *places > 0 {
                let to = machines.div_ceil(*places) as u64;
                all.push(set(&format!("rules[{rule}].anti_affinity.max_per"), to));
            }
            if let Some(resource) = cluster.resources.first() {
                all.push(Relaxation::AddHost {
                    resource: resource.clone(),
                    amount: 0,
                });
            }
            all
        }
        Certificate::PinnedNoPolicy { vm, .. } => vec![Relaxation::GivePolicy { vm: vm.clone() }],
        Certificate::DomainLimit { limit, down, .. } if limit.starts_with("limits.max") => {
            vec![set(limit, (*down).into())]
        }
        Certificate::DomainLimit { .. } => Vec::new(),
        Certificate::WindowTooShort { takes_s, .. } => {
            vec![set(
                "limits.windows[0].until_s",
                cluster.limits.windows[0].from_s + takes_s,
            )]
        }
    };
    all.push(leave_out);
    all
}

/// The fewest machines of the least priority that free so much.
fn to_stop(cluster: &Cluster, resource: &str, missing: u64) -> Vec<ComponentId> {
    let dim = cluster
        .resources
        .iter()
        .position(|name| name == resource)
        .unwrap_or(0);
    let takes = |vm: &super::cluster::Vm| vm.demand[dim].unwrap_or(0);
    let mut all: Vec<_> = cluster.vms.iter().filter(|vm| takes(vm) > 0).collect();
    all.sort_by_key(|vm| (vm.priority, std::cmp::Reverse(takes(vm)), vm.id.clone()));
    let mut left = missing;
    let mut stopped = Vec::new();
    for (at, vm) in all.iter().enumerate() {
        if left == 0 {
            break;
        }
        // The last of them is the smallest that suffices.
        let same = all[at..]
            .iter()
            .filter(|other| other.priority == vm.priority && takes(other) >= left);
        if let Some(last) = same.min_by_key(|other| takes(other)) {
            stopped.push(last.id.clone());
            return stopped;
        }
        left = left.saturating_sub(takes(vm));
        stopped.push(vm.id.clone());
    }
    stopped
}
