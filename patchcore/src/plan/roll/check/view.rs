//! A roll in numbers, as the checker reads it.

use super::breach::{BreachKind, Found};
use crate::plan::roll::{
    cluster::{Cluster, HostState, Mobility, NonMigratable, Vm},
    limits::Ha,
    names::Names,
    step::{Action, How, Roll},
};

/// One action, with the places of its host and its machine in the cluster's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Close(usize),
    Move {
        vm: usize,
        from: usize,
        to: usize,
        how: How,
    },
    AwaitEnd {
        vm: usize,
        host: usize,
    },
    Stop {
        vm: usize,
        host: usize,
        suspend: bool,
    },
    Patch(usize),
    Reopen(usize),
    Start {
        vm: usize,
        host: usize,
    },
}

impl Act {
    pub(super) fn vm(self) -> Option<usize> {
        match self {
            Self::Move { vm, .. }
            | Self::AwaitEnd { vm, .. }
            | Self::Stop { vm, .. }
            | Self::Start { vm, .. } => Some(vm),
            Self::Close(_) | Self::Patch(_) | Self::Reopen(_) => None,
        }
    }
}

/// What the checker works on.
#[derive(Debug)]
pub(super) struct View<'r> {
    pub(super) cluster: &'r Cluster,
    pub(super) roll: &'r Roll,
    pub(super) names: Names<'r>,
    pub(super) acts: Vec<Act>,
    /// The host of each machine before the roll.
    pub(super) home: Vec<usize>,
    /// How many resources there are.
    pub(super) dims: usize,
    /// What each host has for machines.
    pub(super) room: Vec<u64>,
    /// What each machine takes.
    pub(super) demand: Vec<u64>,
    /// Memory and disk of each machine, apart: the cluster is too large to be looked at in the order of the steps.
    pub(super) copies: Vec<(u64, u64)>,
    /// Hosts that take no machine because they are kept for failures.
    pub(super) dedicated: Vec<bool>,
}

impl<'r> View<'r> {
    /// Reads a roll; one with a name that nothing has, or a step that waits for a later one, cannot be read.
    pub(super) fn of(cluster: &'r Cluster, roll: &'r Roll, found: &mut Found) -> Self {
        let names = Names::of(cluster);
        let dims = cluster.resources.len();
        let mut room = Vec::with_capacity(cluster.hosts.len() * dims);
        for host in &cluster.hosts {
            for dim in 0..dims {
                let own = host.reserve.get(dim).copied().flatten().unwrap_or(0);
                room.push(host.capacity[dim].unwrap_or(0).saturating_sub(own));
            }
        }
        let mut demand = Vec::with_capacity(cluster.vms.len() * dims);
        let mut copies = Vec::with_capacity(cluster.vms.len());
        for vm in &cluster.vms {
            demand.extend(vm.demand.iter().map(|amount| amount.unwrap_or(0)));
            copies.push((vm.mem_mib.unwrap_or(0), vm.disk_mib));
        }
        let home = cluster
            .vms
            .iter()
            .map(|vm| names.host(vm.host.as_str()).unwrap_or(0))
            .collect();
        let mut dedicated = vec![false; cluster.hosts.len()];
        if let Ha::Dedicated { hosts, .. } = &cluster.limits.ha {
            for host in hosts.iter().filter_map(|h| names.host(h.as_str())) {
                dedicated[host] = true;
            }
        }
        let acts = acts(roll, &names, found);
        Self {
            cluster,
            roll,
            names,
            acts,
            home,
            dims,
            room,
            demand,
            copies,
            dedicated,
        }
    }

    pub(super) fn room_of(&self, host: usize) -> &[u64] {
        &self.room[host * self.dims..(host + 1) * self.dims]
    }

    pub(super) fn demand_of(&self, vm: usize) -> &[u64] {
        &self.demand[vm * self.dims..(vm + 1) * self.dims]
    }

    pub(super) fn vm_name(&self, vm: usize) -> &str {
        self.cluster.vms[vm].id.as_str()
    }

    pub(super) fn host_name(&self, host: usize) -> &str {
        self.cluster.hosts[host].id.as_str()
    }

    /// What is done about a machine that cannot move; none where it can, or where nobody says.
    pub(super) fn policy(&self, vm: &Vm) -> Option<NonMigratable> {
        match &vm.mobility {
            Mobility::Pinned(pin) => pin.policy.or(self.cluster.non_migratable),
            Mobility::Live | Mobility::Cold => None,
        }
    }

    /// Whether this roll is to patch the host, when nothing forbids it.
    pub(super) fn wants_patch(&self, host: usize) -> bool {
        self.cluster.hosts[host].needs_patch
    }

    pub(super) fn state(&self, host: usize) -> HostState {
        self.cluster.hosts[host].state
    }
}

fn acts(roll: &Roll, names: &Names<'_>, found: &mut Found) -> Vec<Act> {
    let mut acts = Vec::with_capacity(roll.steps.len());
    for (at, step) in roll.steps.iter().enumerate() {
        if step.needs.iter().any(|need| *need as usize >= at) {
            let message = "it waits for itself or for a step that is listed after it";
            found.add(BreachKind::Malformed, Some(at), message);
        }
        let act = act(&step.action, names);
        if act.is_none() {
            let message = "it names a host or a machine that the cluster has not";
            found.add(BreachKind::Malformed, Some(at), message);
        }
        acts.push(act.unwrap_or(Act::Close(0)));
    }
    acts
}

fn act(action: &Action, names: &Names<'_>) -> Option<Act> {
    Some(match action {
        Action::Close { host } => Act::Close(names.host(host.as_str())?),
        Action::Migrate { vm, from, to, how } => Act::Move {
            vm: names.vm(vm.as_str())?,
            from: names.host(from.as_str())?,
            to: names.host(to.as_str())?,
            how: *how,
        },
        Action::AwaitEnd { vm, host } => Act::AwaitEnd {
            vm: names.vm(vm.as_str())?,
            host: names.host(host.as_str())?,
        },
        Action::Stop { vm, host, suspend } => Act::Stop {
            vm: names.vm(vm.as_str())?,
            host: names.host(host.as_str())?,
            suspend: *suspend,
        },
        Action::Patch { host } => Act::Patch(names.host(host.as_str())?),
        Action::Reopen { host } => Act::Reopen(names.host(host.as_str())?),
        Action::Start { vm, host } => Act::Start {
            vm: names.vm(vm.as_str())?,
            host: names.host(host.as_str())?,
        },
    })
}
