//! A cluster in which steps are carried out one by one, and every rule is looked at after each: the plainest reading
//! of what a roll may do, sharing nothing with the checker.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::plan::roll::{
    Action, Cluster, Ha, HostState, How, Level, Mobility, NonMigratable, Rule, Step, Vm,
};

/// What is so at one moment.
#[derive(Debug, Clone)]
pub(crate) struct World<'c> {
    cluster: &'c Cluster,
    /// Where each machine is; none: it ended.
    pub(crate) at: BTreeMap<&'c str, Option<&'c str>>,
    /// Where each moving machine goes.
    going: BTreeMap<&'c str, &'c str>,
    stopped: BTreeMap<&'c str, bool>,
    stopping: BTreeSet<&'c str>,
    level: BTreeMap<&'c str, u32>,
    closed: BTreeSet<&'c str>,
    gone: BTreeSet<&'c str>,
    pub(crate) patched: BTreeMap<&'c str, u32>,
}

type Broken = Result<(), String>;

fn ensure(holds: bool, what: impl Into<String>) -> Broken {
    if holds { Ok(()) } else { Err(what.into()) }
}

impl<'c> World<'c> {
    pub(crate) fn of(cluster: &'c Cluster) -> Self {
        let level = |vm: &Vm| {
            let host = cluster.hosts.iter().find(|h| h.id == vm.host).unwrap();
            vm.cpu_level.unwrap_or(host.cpu_level)
        };
        let with_state = |state| {
            let hosts = cluster.hosts.iter().filter(move |h| h.state == state);
            hosts.map(|h| h.id.as_str()).collect()
        };
        Self {
            cluster,
            at: cluster
                .vms
                .iter()
                .map(|vm| (vm.id.as_str(), Some(vm.host.as_str())))
                .collect(),
            going: BTreeMap::new(),
            stopped: BTreeMap::new(),
            stopping: BTreeSet::new(),
            level: cluster
                .vms
                .iter()
                .map(|vm| (vm.id.as_str(), level(vm)))
                .collect(),
            closed: with_state(HostState::Closed),
            gone: with_state(HostState::Down),
            patched: BTreeMap::new(),
        }
    }

    fn vm(&self, id: &str) -> &'c Vm {
        self.cluster.vms.iter().find(|vm| vm.id == *id).unwrap()
    }

    fn host(&self, id: &str) -> &'c patchcore::plan::roll::Host {
        self.cluster.hosts.iter().find(|h| h.id == *id).unwrap()
    }

    fn dedicated(&self) -> Vec<&'c str> {
        match &self.cluster.limits.ha {
            Ha::Dedicated { hosts, .. } => hosts.iter().map(|h| h.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    fn policy(&self, vm: &Vm) -> Option<NonMigratable> {
        match &vm.mobility {
            Mobility::Pinned(pin) => pin.policy.or(self.cluster.non_migratable),
            _ => None,
        }
    }

    fn cpu(&self, host: &str) -> u32 {
        let known = self.host(host);
        match self.patched.contains_key(host) {
            true => known.cpu_level_patched.unwrap_or(known.cpu_level),
            false => known.cpu_level,
        }
    }

    /// The machines that take room on a host.
    pub(crate) fn on(&self, host: &str) -> Vec<&'c Vm> {
        self.cluster
            .vms
            .iter()
            .filter(|vm| {
                self.at[vm.id.as_str()] == Some(host)
                    || self.going.get(vm.id.as_str()) == Some(&host)
            })
            .collect()
    }

    pub(crate) fn room(&self, host: &str, dim: usize) -> u64 {
        let known = self.host(host);
        let own = known.reserve.get(dim).copied().flatten().unwrap_or(0);
        known.capacity[dim].unwrap() - own
    }

    pub(crate) fn used(&self, host: &str, dim: usize) -> u64 {
        self.on(host).iter().map(|vm| vm.demand[dim].unwrap()).sum()
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, step: &'c Step) -> Broken {
        match &step.action {
            Action::Close { host } => {
                let host = host.as_str();
                ensure(
                    !self.going.values().any(|to| *to == host),
                    "closed while one arrives",
                )?;
                ensure(!self.patched.contains_key(host), "closed after its patch")?;
                self.closed.insert(host);
                self.reserve()?;
            }
            Action::Migrate { vm, from, to, how } => {
                let (vm, from, to) = (vm.as_str(), from.as_str(), to.as_str());
                self.idle(vm, from)?;
                let known = self.vm(vm);
                let right = match (&known.mobility, self.policy(known)) {
                    (Mobility::Live, _) if known.disk_mib > 0 => Some(How::Storage),
                    (Mobility::Live, _) => Some(How::Live),
                    (Mobility::Cold, _) => Some(How::Cold),
                    (_, Some(NonMigratable::StorageMigrate)) => Some(How::Storage),
                    _ => None,
                };
                ensure(right == Some(*how), "moved in a way that it does not allow")?;
                let shut = self.closed.contains(to) || self.gone.contains(to);
                ensure(
                    !shut && !self.dedicated().contains(&to),
                    "moved into a closed host",
                )?;
                ensure(
                    *how == How::Cold || self.cpu(to) >= self.level[vm],
                    "moved to a lesser CPU",
                )?;
                self.allowed(vm, to)?;
                self.going.insert(vm, to);
                for dim in 0..self.cluster.resources.len() {
                    let cap =
                        self.room(to, dim) * u64::from(self.cluster.limits.fill_cap_percent) / 100;
                    let takes = known.demand[dim].unwrap();
                    ensure(
                        takes == 0 || self.used(to, dim) <= cap,
                        "filled above the cap",
                    )?;
                }
            }
            Action::AwaitEnd { vm, host } => {
                self.idle(vm.as_str(), host.as_str())?;
                ensure(self.vm(vm.as_str()).ends_in_s.is_some(), "waits for no end")?;
            }
            Action::Stop { vm, host, suspend } => {
                let vm = vm.as_str();
                self.idle(vm, host.as_str())?;
                let right = match self.policy(self.vm(vm)) {
                    Some(NonMigratable::ShutdownRestart) => Some(false),
                    Some(NonMigratable::Suspend) => Some(true),
                    _ => None,
                };
                ensure(right == Some(*suspend), "stopped against its policy")?;
                self.stopping.insert(vm);
            }
            Action::Patch { host } => {
                let host = host.as_str();
                ensure(self.closed.contains(host), "patched while open")?;
                let runs = |vm: &&Vm| !self.stopped.contains_key(vm.id.as_str());
                ensure(!self.on(host).iter().any(runs), "patched while one runs")?;
                *self.patched.entry(host).or_default() += 1;
                ensure(self.patched[host] == 1, "patched twice")?;
            }
            Action::Reopen { host } => {
                let host = host.as_str();
                ensure(self.patched.contains_key(host), "opened before its patch")?;
                ensure(self.closed.remove(host), "opened twice")?;
            }
            Action::Start { vm, host } => {
                let (vm, host) = (vm.as_str(), host.as_str());
                let suspended = self.stopped.get(vm).copied();
                ensure(
                    suspended.is_some() && self.at[vm] == Some(host),
                    "started where it is not stopped",
                )?;
                ensure(
                    !self.closed.contains(host) && self.patched.contains_key(host),
                    "started too early",
                )?;
                let level = self.cpu(host);
                ensure(
                    suspended == Some(false) || level >= self.level[vm],
                    "resumed on a lesser CPU",
                )?;
                if suspended == Some(false) {
                    self.level.insert(vm, level);
                }
            }
        }
        self.holds()
    }

    fn idle(&self, vm: &str, host: &str) -> Broken {
        let busy = self.going.contains_key(vm)
            || self.stopped.contains_key(vm)
            || self.stopping.contains(vm);
        ensure(
            self.at[vm] == Some(host) && !busy,
            format!("{vm} is not there, or not free"),
        )
    }

    fn allowed(&self, vm: &str, to: &str) -> Broken {
        for rule in &self.cluster.rules {
            if let Rule::Fence { vms, hosts } | Rule::Avoid { vms, hosts } = rule
                && vms.iter().any(|id| *id == *vm)
            {
                let inside = hosts.iter().any(|id| *id == *to);
                let fence = matches!(rule, Rule::Fence { .. });
                ensure(inside == fence, "moved where a rule keeps it from")?;
            }
        }
        Ok(())
    }

    /// A step is over.
    pub(crate) fn end(&mut self, step: &'c Step) -> Broken {
        match &step.action {
            Action::Migrate { vm, to, how, .. } => {
                let vm = vm.as_str();
                self.going.remove(vm);
                self.at.insert(vm, Some(to.as_str()));
                if *how == How::Cold {
                    self.level.insert(vm, self.cpu(to.as_str()));
                }
            }
            Action::AwaitEnd { vm, .. } => {
                self.at.insert(vm.as_str(), None);
            }
            Action::Stop { vm, suspend, .. } => {
                self.stopping.remove(vm.as_str());
                self.stopped.insert(vm.as_str(), *suspend);
            }
            Action::Start { vm, .. } => {
                self.stopped.remove(vm.as_str());
            }
            Action::Close { .. } | Action::Patch { .. } | Action::Reopen { .. } => {}
        }
        self.holds()
    }

    fn place(&self, host: &str, level: Level) -> String {
        let known = self.host(host);
        match level {
            Level::Host => known.id.to_string(),
            Level::Rack => known.rack.clone().unwrap(),
            Level::Site => known.site.clone().unwrap(),
        }
    }

    /// What holds at every moment.
    fn holds(&self) -> Broken {
        for host in &self.cluster.hosts {
            for dim in 0..self.cluster.resources.len() {
                let id = host.id.as_str();
                ensure(
                    self.used(id, dim) <= self.room(id, dim),
                    format!("{id} is too full"),
                )?;
            }
        }
        for rule in &self.cluster.rules {
            match rule {
                Rule::AntiAffinity {
                    vms,
                    level,
                    max_per,
                    soft: None,
                } => {
                    let mut count: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
                    for vm in vms.iter().map(|vm| vm.as_str()) {
                        let both = self.at[vm].into_iter().chain(self.going.get(vm).copied());
                        for host in both {
                            count
                                .entry(self.place(host, *level))
                                .or_default()
                                .insert(vm);
                        }
                    }
                    let most = count.values().map(BTreeSet::len).max().unwrap_or(0);
                    ensure(
                        most <= *max_per as usize,
                        "too many of a group in one place",
                    )?;
                }
                Rule::KeepUp { vms, keep } => {
                    let away = |vm: &&str| {
                        self.going.contains_key(*vm)
                            || self.stopped.contains_key(*vm)
                            || self.stopping.contains(*vm)
                    };
                    let up = vms.iter().map(|vm| vm.as_str()).filter(|vm| !away(vm));
                    ensure(up.count() >= *keep as usize, "too few of a group are up")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What holds whenever a host closes.
    fn reserve(&self) -> Broken {
        let limits = &self.cluster.limits;
        let shut = |host: &str| self.closed.contains(host) || self.gone.contains(host);
        let hosts = self.cluster.hosts.iter();
        let open: Vec<&str> = hosts.map(|h| h.id.as_str()).filter(|h| !shut(h)).collect();
        let down = self.cluster.hosts.len() - open.len();
        ensure(
            down <= limits.max_hosts_down.unwrap_or(u32::MAX) as usize,
            "too many down",
        )?;
        for (most, level) in [
            (limits.max_down_per_rack, Level::Rack),
            (limits.max_down_per_site, Level::Site),
        ] {
            let Some(most) = most else { continue };
            let mut count: BTreeMap<String, u32> = BTreeMap::new();
            for host in self.cluster.hosts.iter().filter(|h| shut(h.id.as_str())) {
                *count
                    .entry(self.place(host.id.as_str(), level))
                    .or_default() += 1;
            }
            ensure(
                count.values().all(|n| *n <= most),
                "too many down in one domain",
            )?;
        }
        for rule in &self.cluster.rules {
            match rule {
                Rule::Exclusive { hosts } => {
                    let down = hosts.iter().filter(|h| shut(h.as_str())).count();
                    ensure(down <= 1, "exclusive hosts are closed at once")?;
                }
                Rule::Order { before, after } => {
                    let begun = after.iter().any(|h| {
                        self.closed.contains(h.as_str()) || self.patched.contains_key(h.as_str())
                    });
                    let over = before.iter().all(|h| {
                        let known = self.host(h.as_str());
                        !known.needs_patch
                            || (self.patched.contains_key(h.as_str()) && !shut(h.as_str()))
                    });
                    ensure(!begun || over, "a host goes before its turn")?;
                }
                _ => {}
            }
        }
        let dedicated = self.dedicated();
        for dim in 0..self.cluster.resources.len() {
            let mut rooms: Vec<u64> = open
                .iter()
                .filter(|h| !dedicated.contains(h))
                .map(|h| self.room(h, dim))
                .collect();
            rooms.sort_unstable();
            let lost = match &limits.ha {
                Ha::Failures(hosts) => *hosts as usize,
                _ => 0,
            };
            rooms.truncate(rooms.len().saturating_sub(lost));
            let mut sum: u64 = rooms.iter().sum();
            if let Ha::Percent(percent) = limits.ha {
                sum = sum * u64::from(100 - percent) / 100;
            }
            let demand: u64 = self
                .cluster
                .vms
                .iter()
                .map(|vm| vm.demand[dim].unwrap())
                .sum();
            let reserved = matches!(limits.ha, Ha::Failures(_) | Ha::Percent(_));
            ensure(!reserved || demand <= sum, "the reserve is used up")?;
        }
        if let Ha::Dedicated { keep, .. } = limits.ha {
            let left = dedicated.iter().filter(|h| !shut(h)).count();
            ensure(left >= keep as usize, "too few are kept for failures")?;
        }
        Ok(())
    }

    /// What holds when all is over.
    pub(crate) fn over(&self, left_out: &BTreeSet<&str>) -> Broken {
        ensure(self.stopped.is_empty(), "one stays stopped")?;
        for host in &self.cluster.hosts {
            let wanted = host.needs_patch && !left_out.contains(host.id.as_str());
            let patched = self.patched.contains_key(host.id.as_str());
            ensure(wanted == patched, "not patched, or without need")?;
        }
        Ok(())
    }
}
