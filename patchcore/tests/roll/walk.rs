//! A roll walked through in one order of many that its steps allow, with everything looked at that each event touches:
//! an oracle that shares nothing with the checker, and is quick enough for ten thousand clusters.

use std::collections::HashMap;

use patchcore::plan::roll::{
    Action, Cluster, Ha, HostState, How, Level, Mobility, NonMigratable, Roll, Rule,
};

use crate::clusters::Dice;

/// How an order is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Whatever may begin does, before anything ends.
    Eager,
    /// Whatever may end does, before anything begins.
    Lazy,
    /// By chance.
    Mixed,
    /// By chance, and what is listed last goes first.
    Backwards,
}

pub(crate) const MANNERS: [Manner; 4] = [
    Manner::Eager,
    Manner::Lazy,
    Manner::Mixed,
    Manner::Backwards,
];

struct Group {
    place: Vec<usize>,
    max_per: usize,
    members: Vec<usize>,
}

struct Walk<'c> {
    cluster: &'c Cluster,
    hosts: HashMap<&'c str, usize>,
    vms: HashMap<&'c str, usize>,
    used: Vec<Vec<u64>>,
    at: Vec<Option<usize>>,
    going: Vec<Option<usize>>,
    /// Stopped or being stopped, and whether suspended.
    off: Vec<Option<bool>>,
    level: Vec<u32>,
    shut: Vec<bool>,
    patched: Vec<bool>,
    dedicated: Vec<bool>,
    groups: Vec<Group>,
    groups_of: Vec<Vec<usize>>,
    floors: Vec<(Vec<usize>, usize)>,
}

type Broken = Result<(), String>;

fn ensure(holds: bool, what: &str) -> Broken {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Walks through a roll once.
pub(crate) fn walk(cluster: &Cluster, roll: &Roll, manner: Manner, dice: &mut Dice) -> Broken {
    let mut walk = Walk::of(cluster);
    let count = roll.steps.len();
    let mut waits: Vec<usize> = roll.steps.iter().map(|s| s.needs.len()).collect();
    let mut then = vec![Vec::new(); count];
    for (at, step) in roll.steps.iter().enumerate() {
        for need in &step.needs {
            then[*need as usize].push(at);
        }
    }
    let mut ready: Vec<usize> = (0..count).filter(|at| waits[*at] == 0).collect();
    let mut going: Vec<usize> = Vec::new();
    let mut over = 0;
    while !(ready.is_empty() && going.is_empty()) {
        let begins = match manner {
            _ if ready.is_empty() => false,
            _ if going.is_empty() => true,
            Manner::Eager => true,
            Manner::Lazy => false,
            Manner::Mixed | Manner::Backwards => dice.one_in(2),
        };
        let from = if begins { &mut ready } else { &mut going };
        let pick = match manner {
            Manner::Backwards => (0..from.len()).max_by_key(|at| from[*at]).unwrap(),
            _ => usize::try_from(dice.roll(from.len() as u64)).unwrap(),
        };
        let at = from.swap_remove(pick);
        let action = &roll.steps[at].action;
        if begins {
            walk.begin(action)
                .map_err(|what| format!("step {at} begins: {what}"))?;
            going.push(at);
        } else {
            walk.end(action);
            over += 1;
            for next in &then[at] {
                waits[*next] -= 1;
                if waits[*next] == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    ensure(over == count, "some steps never begin")?;
    walk.over(roll)
}

impl<'c> Walk<'c> {
    fn of(cluster: &'c Cluster) -> Self {
        let number = |ids: Vec<&'c str>| -> HashMap<&'c str, usize> {
            ids.into_iter()
                .enumerate()
                .map(|(at, id)| (id, at))
                .collect()
        };
        let hosts = number(cluster.hosts.iter().map(|h| h.id.as_str()).collect());
        let vms = number(cluster.vms.iter().map(|v| v.id.as_str()).collect());
        let home = |vm: &patchcore::plan::roll::Vm| hosts[vm.host.as_str()];
        let mut used = vec![vec![0; cluster.resources.len()]; cluster.hosts.len()];
        for vm in &cluster.vms {
            for (sum, amount) in used[home(vm)].iter_mut().zip(&vm.demand) {
                *sum += amount.unwrap();
            }
        }
        let mut dedicated = vec![false; cluster.hosts.len()];
        if let Ha::Dedicated { hosts: kept, .. } = &cluster.limits.ha {
            kept.iter()
                .for_each(|h| dedicated[hosts[h.as_str()]] = true);
        }
        let mut this = Self {
            used,
            at: cluster.vms.iter().map(|vm| Some(home(vm))).collect(),
            going: vec![None; cluster.vms.len()],
            off: vec![None; cluster.vms.len()],
            level: cluster
                .vms
                .iter()
                .map(|vm| vm.cpu_level.unwrap_or(cluster.hosts[home(vm)].cpu_level))
                .collect(),
            shut: cluster
                .hosts
                .iter()
                .map(|h| h.state != HostState::Open)
                .collect(),
            patched: vec![false; cluster.hosts.len()],
            groups_of: vec![Vec::new(); cluster.vms.len()],
            groups: Vec::new(),
            floors: Vec::new(),
            dedicated,
            cluster,
            hosts,
            vms,
        };
        for rule in &cluster.rules {
            let numbers = |ids: &[patchcore::id::ComponentId]| -> Vec<usize> {
                ids.iter().map(|id| this.vms[id.as_str()]).collect()
            };
            match rule {
                Rule::AntiAffinity {
                    vms,
                    level,
                    max_per,
                    soft: None,
                } => {
                    let members = numbers(vms);
                    for vm in &members {
                        this.groups_of[*vm].push(this.groups.len());
                    }
                    this.groups.push(Group {
                        place: places(cluster, *level),
                        max_per: *max_per as usize,
                        members,
                    });
                }
                Rule::KeepUp { vms, keep } => {
                    let members = numbers(vms);
                    this.floors.push((members, *keep as usize));
                }
                _ => {}
            }
        }
        this
    }

    fn cpu(&self, host: usize) -> u32 {
        let known = &self.cluster.hosts[host];
        match self.patched[host] {
            true => known.cpu_level_patched.unwrap_or(known.cpu_level),
            false => known.cpu_level,
        }
    }

    fn policy(&self, vm: usize) -> Option<NonMigratable> {
        match &self.cluster.vms[vm].mobility {
            Mobility::Pinned(pin) => pin.policy.or(self.cluster.non_migratable),
            _ => None,
        }
    }

    fn room(&self, host: usize, dim: usize) -> u64 {
        let known = &self.cluster.hosts[host];
        known.capacity[dim].unwrap() - known.reserve.get(dim).copied().flatten().unwrap_or(0)
    }

    fn begin(&mut self, action: &Action) -> Broken {
        match action {
            Action::Close { host } => self.closes(self.hosts[host.as_str()]),
            Action::Migrate { vm, from, to, how } => {
                let (vm, to) = (self.vms[vm.as_str()], self.hosts[to.as_str()]);
                self.idle(vm, self.hosts[from.as_str()])?;
                self.moves(vm, to, *how)
            }
            Action::AwaitEnd { vm, host } => {
                let vm = self.vms[vm.as_str()];
                self.idle(vm, self.hosts[host.as_str()])?;
                ensure(self.cluster.vms[vm].ends_in_s.is_some(), "it does not end")
            }
            Action::Stop { vm, host, suspend } => {
                let vm = self.vms[vm.as_str()];
                self.idle(vm, self.hosts[host.as_str()])?;
                let right = match self.policy(vm) {
                    Some(NonMigratable::ShutdownRestart) => !suspend,
                    Some(NonMigratable::Suspend) => *suspend,
                    _ => false,
                };
                ensure(right, "stopped against its policy")?;
                self.off[vm] = Some(*suspend);
                self.keeps_up()
            }
            Action::Patch { host } => {
                let host = self.hosts[host.as_str()];
                ensure(self.shut[host], "patched while it is open")?;
                ensure(!self.patched[host], "patched twice")?;
                let empty = (0..self.at.len()).all(|vm| {
                    (self.at[vm] != Some(host) || self.off[vm].is_some())
                        && self.going[vm] != Some(host)
                });
                self.patched[host] = true;
                ensure(empty, "patched while a machine is on it")
            }
            Action::Reopen { host } => {
                let host = self.hosts[host.as_str()];
                ensure(
                    self.patched[host] && self.shut[host],
                    "opened too early, or twice",
                )
            }
            Action::Start { vm, host } => {
                let (vm, host) = (self.vms[vm.as_str()], self.hosts[host.as_str()]);
                let suspended = self.off[vm].ok_or("started while it runs")?;
                ensure(self.at[vm] == Some(host), "started elsewhere")?;
                ensure(self.patched[host] && !self.shut[host], "started too early")?;
                let level = self.cpu(host);
                ensure(
                    !suspended || level >= self.level[vm],
                    "resumed on a lesser CPU",
                )?;
                self.level[vm] = if suspended { self.level[vm] } else { level };
                Ok(())
            }
        }
    }

    fn idle(&self, vm: usize, host: usize) -> Broken {
        let there = self.at[vm] == Some(host) && self.going[vm].is_none();
        ensure(
            there && self.off[vm].is_none(),
            "the machine is not there, or not free",
        )
    }

    fn moves(&mut self, vm: usize, to: usize, how: How) -> Broken {
        let known = &self.cluster.vms[vm];
        let right = match (&known.mobility, self.policy(vm)) {
            (Mobility::Live, _) if known.disk_mib > 0 => Some(How::Storage),
            (Mobility::Live, _) => Some(How::Live),
            (Mobility::Cold, _) => Some(How::Cold),
            (_, Some(NonMigratable::StorageMigrate)) => Some(How::Storage),
            _ => None,
        };
        ensure(right == Some(how), "moved in a way that it does not allow")?;
        ensure(
            !self.shut[to] && !self.dedicated[to],
            "moved into a closed host",
        )?;
        ensure(
            how == How::Cold || self.cpu(to) >= self.level[vm],
            "moved to a lesser CPU",
        )?;
        for rule in &self.cluster.rules {
            if let Rule::Fence { vms, hosts } | Rule::Avoid { vms, hosts } = rule
                && vms.contains(&known.id)
            {
                let inside = hosts.contains(&self.cluster.hosts[to].id);
                let fence = matches!(rule, Rule::Fence { .. });
                ensure(inside == fence, "moved where a rule keeps it from")?;
            }
        }
        self.going[vm] = Some(to);
        for dim in 0..self.cluster.resources.len() {
            let takes = known.demand[dim].unwrap();
            self.used[to][dim] += takes;
            let cap = self.room(to, dim) * u64::from(self.cluster.limits.fill_cap_percent) / 100;
            ensure(takes == 0 || self.used[to][dim] <= cap, "too full")?;
        }
        for group in &self.groups_of[vm] {
            let Group {
                place,
                max_per,
                members,
            } = &self.groups[*group];
            let in_place = |host: &Option<usize>| host.is_some_and(|h| place[h] == place[to]);
            let there = members
                .iter()
                .filter(|vm| in_place(&self.at[**vm]) || in_place(&self.going[**vm]))
                .count();
            ensure(there <= *max_per, "too many of a group in one place")?;
        }
        self.keeps_up()
    }

    fn keeps_up(&self) -> Broken {
        for (members, keep) in &self.floors {
            let up = members.iter();
            let up = up.filter(|vm| self.going[**vm].is_none() && self.off[**vm].is_none());
            ensure(up.count() >= *keep, "too few of a group are up")?;
        }
        Ok(())
    }

    fn end(&mut self, action: &Action) {
        match action {
            Action::Migrate { vm, from, how, .. } => {
                let vm = self.vms[vm.as_str()];
                self.at[vm] = self.going[vm].take();
                self.leaves(vm, self.hosts[from.as_str()]);
                if let (How::Cold, Some(host)) = (how, self.at[vm]) {
                    self.level[vm] = self.cpu(host);
                }
            }
            Action::AwaitEnd { vm, host } => {
                let vm = self.vms[vm.as_str()];
                self.at[vm] = None;
                self.leaves(vm, self.hosts[host.as_str()]);
            }
            Action::Start { vm, .. } => self.off[self.vms[vm.as_str()]] = None,
            Action::Reopen { host } => self.shut[self.hosts[host.as_str()]] = false,
            Action::Close { .. } | Action::Patch { .. } | Action::Stop { .. } => {}
        }
    }

    fn leaves(&mut self, vm: usize, host: usize) {
        for (sum, amount) in self.used[host].iter_mut().zip(&self.cluster.vms[vm].demand) {
            *sum -= amount.unwrap();
        }
    }

    fn closes(&mut self, host: usize) -> Broken {
        ensure(
            !self.going.contains(&Some(host)),
            "closed while one arrives",
        )?;
        ensure(!self.patched[host], "closed after its patch")?;
        self.shut[host] = true;
        let limits = &self.cluster.limits;
        let most = |per: Option<u32>, level: Level| {
            let place = places(self.cluster, level);
            let down = (0..self.shut.len()).filter(|h| self.shut[*h] && place[*h] == place[host]);
            per.is_none_or(|most| down.count() <= most as usize)
        };
        let all = self.shut.iter().filter(|shut| **shut).count();
        let most_all = limits.max_hosts_down.unwrap_or(u32::MAX) as usize;
        ensure(all <= most_all, "too many down")?;
        ensure(
            most(limits.max_down_per_rack, Level::Rack),
            "too many down in a rack",
        )?;
        ensure(
            most(limits.max_down_per_site, Level::Site),
            "too many down in a site",
        )?;
        for rule in &self.cluster.rules {
            let number = |id: &patchcore::id::ComponentId| self.hosts[id.as_str()];
            match rule {
                Rule::Exclusive { hosts } => {
                    let down = hosts.iter().filter(|h| self.shut[number(h)]).count();
                    ensure(down <= 1, "exclusive hosts are closed at once")?;
                }
                Rule::Order { before, after } if after.iter().any(|h| number(h) == host) => {
                    let over = before.iter().map(number).all(|h| {
                        !self.cluster.hosts[h].needs_patch || (self.patched[h] && !self.shut[h])
                    });
                    ensure(over, "a host goes before its turn")?;
                }
                _ => {}
            }
        }
        self.reserve()
    }

    fn reserve(&self) -> Broken {
        let ha = &self.cluster.limits.ha;
        if let Ha::Dedicated { keep, .. } = ha {
            let open = (0..self.shut.len()).filter(|h| self.dedicated[*h] && !self.shut[*h]);
            return ensure(
                open.count() >= *keep as usize,
                "too few are kept for failures",
            );
        }
        for dim in 0..self.cluster.resources.len() {
            let open = (0..self.shut.len()).filter(|h| !self.shut[*h]);
            let mut rooms: Vec<u64> = open.map(|host| self.room(host, dim)).collect();
            rooms.sort_unstable();
            let demand = self.cluster.vms.iter().map(|vm| vm.demand[dim].unwrap());
            let demand: u64 = demand.sum();
            let holds = match ha {
                Ha::Failures(fail) => {
                    rooms.truncate(rooms.len().saturating_sub(*fail as usize));
                    demand <= rooms.iter().sum()
                }
                Ha::Percent(percent) => {
                    demand * 100 <= rooms.iter().sum::<u64>() * u64::from(100 - percent)
                }
                _ => true,
            };
            ensure(holds, "the reserve is used up")?;
        }
        Ok(())
    }

    fn over(&self, roll: &Roll) -> Broken {
        ensure(self.off.iter().all(Option::is_none), "one stays stopped")?;
        for (at, host) in self.cluster.hosts.iter().enumerate() {
            let left_out = roll.left_out.iter().any(|left| left.host == host.id);
            let wanted = host.needs_patch && !left_out;
            ensure(self.patched[at] == wanted, "not patched, or without need")?;
        }
        for rule in &self.cluster.rules {
            if let Rule::Affinity {
                vms,
                level,
                soft: None,
            } = rule
            {
                let place = places(self.cluster, *level);
                let at = vms.iter().filter_map(|vm| self.at[self.vms[vm.as_str()]]);
                let mut at: Vec<usize> = at.map(|host| place[host]).collect();
                at.dedup();
                ensure(at.len() <= 1, "not together at the end")?;
            }
        }
        Ok(())
    }
}

/// The place of each host, as the number of the first host in it.
fn places(cluster: &Cluster, level: Level) -> Vec<usize> {
    let name = |host: &patchcore::plan::roll::Host| match level {
        Level::Host => Some(host.id.to_string()),
        Level::Rack => host.rack.clone(),
        Level::Site => host.site.clone(),
    };
    let first = |host| {
        let same = cluster
            .hosts
            .iter()
            .position(|other| name(other) == name(host));
        same.unwrap()
    };
    cluster.hosts.iter().map(first).collect()
}
