//! The clusters of the simulated estate: where machines run, which hosts are in maintenance mode, and what became of
//! each.
//!
//! A host of a cluster is a component of the estate, patched and restarted as every other. What runs on it when it
//! goes down is lost, and the log says so.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    drain_job::DrainJob,
    guest::Power,
    world::{Due, World},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{ComponentId, OpKey},
    provider::{ClusterSetting, VmPower},
};

/// The word of a setting that is held.
pub(super) const HELD: &str = "off";

/// The first description of a simulated cluster.
#[derive(Debug, Clone)]
pub struct ClusterSpec(pub(super) SimCluster);

impl ClusterSpec {
    pub(super) fn new(resources: Vec<String>) -> Self {
        Self(SimCluster {
            resources,
            hosts: BTreeMap::new(),
            vms: BTreeMap::new(),
            settings: ClusterSetting::ALL
                .into_iter()
                .map(|setting| (setting, "automatic".to_owned()))
                .collect(),
            log: Vec::new(),
        })
    }

    /// A host, which is a component of the estate by the same name, with what it has of each resource.
    #[must_use]
    pub fn host(
        mut self,
        name: impl Into<ComponentId>,
        capacity: impl IntoIterator<Item = u64>,
    ) -> Self {
        let host = SimHost {
            capacity: capacity.into_iter().collect(),
            mode: Mode::Out,
            down: false,
        };
        self.0.hosts.insert(name.into(), host);
        self
    }

    /// A machine that runs on a host, with what it takes of each resource and the memory that a move copies.
    #[must_use]
    pub fn vm(
        mut self,
        name: impl Into<ComponentId>,
        host: impl Into<ComponentId>,
        demand: impl IntoIterator<Item = u64>,
        mem_mib: u64,
    ) -> Self {
        let vm = SimVm::new(host.into(), demand.into_iter().collect(), mem_mib);
        self.0.vms.insert(name.into(), vm);
        self
    }
}

/// Whether a host is in maintenance mode, and by whose operation; none where a person put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Out,
    Entering(u64),
    In(Option<OpKey>),
}

#[derive(Debug, Clone)]
pub(super) struct SimHost {
    capacity: Vec<u64>,
    pub(super) mode: Mode,
    /// As the log has it.
    down: bool,
}

#[derive(Debug, Clone)]
pub(super) struct SimVm {
    pub(super) host: ComponentId,
    first_host: ComponentId,
    pub(super) power: VmPower,
    /// The operation that shut it down.
    pub(super) stopped_by: Option<OpKey>,
    /// The job that works on it, and where it moves to.
    pub(super) job: Option<u64>,
    pub(super) moving_to: Option<ComponentId>,
    pub(super) demand: Vec<u64>,
    pub(super) mem_mib: u64,
}

impl SimVm {
    fn new(host: ComponentId, demand: Vec<u64>, mem_mib: u64) -> Self {
        Self {
            first_host: host.clone(),
            host,
            power: VmPower::On,
            stopped_by: None,
            job: None,
            moving_to: None,
            demand,
            mem_mib,
        }
    }
}

/// What became of something in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterChange {
    /// A machine appeared.
    Appeared {
        /// Which.
        vm: ComponentId,
        /// Where.
        host: ComponentId,
    },
    /// A machine began to move.
    Moving {
        /// Which.
        vm: ComponentId,
        /// Where to.
        to: ComponentId,
    },
    /// A machine was moved.
    Moved {
        /// Which.
        vm: ComponentId,
        /// Where to.
        to: ComponentId,
        /// By which operation; none: by somebody else.
        by: Option<OpKey>,
    },
    /// A machine stayed where it was.
    MoveFailed {
        /// Which.
        vm: ComponentId,
        /// Where it should have gone.
        to: ComponentId,
    },
    /// A machine was shut down or suspended.
    Stopped {
        /// Which.
        vm: ComponentId,
    },
    /// A machine started.
    Started {
        /// Which.
        vm: ComponentId,
    },
    /// A machine ran on a host that went down.
    Lost {
        /// Which.
        vm: ComponentId,
        /// On which host.
        host: ComponentId,
    },
    /// A host takes no more machines, and is on its way into maintenance mode.
    EntersMaintenance {
        /// Which.
        host: ComponentId,
    },
    /// A host is in maintenance mode.
    InMaintenance {
        /// Which.
        host: ComponentId,
    },
    /// A host left maintenance mode.
    LeftMaintenance {
        /// Which.
        host: ComponentId,
    },
    /// A host went down.
    Down {
        /// Which.
        host: ComponentId,
    },
    /// A host is up again.
    Up {
        /// Which.
        host: ComponentId,
    },
    /// A setting has another value.
    Set {
        /// Which.
        setting: ClusterSetting,
        /// What.
        to: String,
    },
}

/// One line of what truly happened in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: ClusterChange,
}

/// A simulated cluster.
#[derive(Debug, Clone)]
pub(super) struct SimCluster {
    pub(super) resources: Vec<String>,
    pub(super) hosts: BTreeMap<ComponentId, SimHost>,
    pub(super) vms: BTreeMap<ComponentId, SimVm>,
    pub(super) settings: BTreeMap<ClusterSetting, String>,
    log: Vec<ClusterEntry>,
}

impl SimCluster {
    pub(super) fn note(&mut self, at: Timestamp, change: ClusterChange) {
        self.log.push(ClusterEntry { at, change });
    }

    /// What is wrong with what happened, judged from the log alone.
    fn faults(&self) -> Vec<String> {
        Replay::of(self).faults(&self.log)
    }
}

/// Who is where, as the log tells it.
struct Replay<'a> {
    cluster: &'a SimCluster,
    at: BTreeMap<&'a ComponentId, (&'a ComponentId, bool)>,
    moving: BTreeMap<&'a ComponentId, &'a ComponentId>,
    closed: BTreeMap<&'a ComponentId, &'static str>,
    down: BTreeMap<&'a ComponentId, ()>,
}

impl<'a> Replay<'a> {
    fn of(cluster: &'a SimCluster) -> Self {
        let appeared = |vm: &ComponentId| {
            cluster.log.iter().any(
                |entry| matches!(&entry.change, ClusterChange::Appeared { vm: v, .. } if v == vm),
            )
        };
        let at = cluster.vms.iter().filter(|(vm, _)| !appeared(vm));
        Self {
            cluster,
            at: at.map(|(id, vm)| (id, (&vm.first_host, true))).collect(),
            moving: BTreeMap::new(),
            closed: BTreeMap::new(),
            down: BTreeMap::new(),
        }
    }

    fn faults(mut self, log: &'a [ClusterEntry]) -> Vec<String> {
        let mut faults = Vec::new();
        for entry in log {
            let mut fault = |what: String| faults.push(format!("{}: {what}", entry.at));
            let mut touched: Vec<&ComponentId> = Vec::new();
            match &entry.change {
                ClusterChange::Appeared { vm, host } => {
                    self.at.insert(vm, (host, true));
                    touched.push(host);
                }
                ClusterChange::Moving { vm, to } => {
                    self.moving.insert(vm, to);
                    if let Some(how) = self.closed.get(to) {
                        fault(format!("{vm} began to move to {to}, which is {how}"));
                    }
                    if self.down.contains_key(to) {
                        fault(format!("{vm} began to move to {to}, which is down"));
                    }
                    touched.push(to);
                }
                ClusterChange::Moved { vm, to, .. } => {
                    self.moving.remove(vm);
                    if let Some(place) = self.at.get_mut(vm) {
                        place.0 = to;
                    }
                    touched.push(to);
                }
                ClusterChange::MoveFailed { vm, .. } => {
                    self.moving.remove(vm);
                }
                ClusterChange::Stopped { vm } => self.power(vm, false),
                ClusterChange::Started { vm } => {
                    self.power(vm, true);
                    touched.extend(self.at.get(vm).map(|(host, _)| *host));
                }
                ClusterChange::Lost { vm, host } => {
                    fault(format!("{vm} ran on {host} when that went down"));
                    self.power(vm, false);
                }
                ClusterChange::EntersMaintenance { host } => {
                    self.closed.insert(host, "entering maintenance mode");
                    touched.push(host);
                }
                ClusterChange::InMaintenance { host } => {
                    self.closed.insert(host, "in maintenance mode");
                    touched.push(host);
                }
                ClusterChange::LeftMaintenance { host } => {
                    self.closed.remove(host);
                }
                ClusterChange::Down { host } => {
                    self.down.insert(host, ());
                    touched.push(host);
                }
                ClusterChange::Up { host } => {
                    self.down.remove(host);
                }
                ClusterChange::Set { .. } => {}
            }
            for host in touched {
                for what in self.wrong_on(host) {
                    fault(what);
                }
            }
        }
        faults
    }

    fn power(&mut self, vm: &'a ComponentId, on: bool) {
        if let Some(place) = self.at.get_mut(vm) {
            place.1 = on;
        }
    }

    /// What is wrong on one host at this instant.
    fn wrong_on(&self, host: &ComponentId) -> Vec<String> {
        let mut wrong = Vec::new();
        let how = self.closed.get(host).copied();
        let how = self.down.get(host).map(|()| "down").or(how);
        if let Some(how) = how {
            let running = self.at.iter().filter(|(_, (at, on))| *at == host && *on);
            wrong.extend(running.map(|(vm, _)| format!("{vm} runs on {host}, which is {how}")));
        }
        let Some(has) = self.cluster.hosts.get(host).map(|h| &h.capacity) else {
            return wrong;
        };
        // A machine that is shut down keeps its room, and one that moves has it at both ends.
        let here = self.at.iter().filter(|(_, (at, _))| *at == host);
        let coming = self.moving.iter().filter(|(_, to)| **to == host);
        let names = here.map(|(vm, _)| *vm).chain(coming.map(|(vm, _)| *vm));
        let mut takes = vec![0_u64; has.len()];
        for vm in names.filter_map(|vm| self.cluster.vms.get(vm)) {
            for (sum, amount) in takes.iter_mut().zip(&vm.demand) {
                *sum += amount;
            }
        }
        for ((takes, has), of) in takes.iter().zip(has).zip(&self.cluster.resources) {
            if takes > has {
                wrong.push(format!("{host} has {has} {of}, and {takes} are taken"));
            }
        }
        wrong
    }
}

/// The clusters of a world, and what works on them.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    pub(super) all: BTreeMap<ComponentId, SimCluster>,
    pub(super) jobs: BTreeMap<u64, DrainJob>,
    /// The latest job of each key.
    pub(super) by_key: BTreeMap<OpKey, u64>,
}

impl Clusters {
    /// The cluster that has this host, machine, or name.
    pub(super) fn of(&self, name: &ComponentId) -> Option<&ComponentId> {
        self.all
            .iter()
            .find(|(id, c)| *id == name || c.hosts.contains_key(name) || c.vms.contains_key(name))
            .map(|(id, _)| id)
    }
}

impl World {
    pub(super) fn cluster(&self, name: &ComponentId) -> Result<&SimCluster> {
        self.clusters.all.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{name} is no simulated cluster"),
            )
            .hint("describe it with Sim::cluster")
        })
    }

    /// Whether a host is there and answers.
    pub(super) fn responds(&self, host: &ComponentId) -> bool {
        let on = |g: &super::guest::Guest| g.power == Power::On;
        self.guests.get(host).is_some_and(on) && !self.scripts.unreachable(host, self.now)
    }

    /// What truly happened in a cluster, in order.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn cluster_log(&self, cluster: &str) -> Result<&[ClusterEntry]> {
        Ok(&self.cluster(&cluster.into())?.log)
    }

    /// What must never happen in a cluster and did, judged from its log alone: a machine that ran on a host in
    /// maintenance mode or down, or began to move there; a machine that was lost with its host; a host with more on it
    /// than it has.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn cluster_faults(&self, cluster: &str) -> Result<Vec<String>> {
        Ok(self.cluster(&cluster.into())?.faults())
    }

    /// Machines of a cluster that do not run now.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn vms_off(&self, cluster: &str) -> Result<Vec<ComponentId>> {
        let vms = self.cluster(&cluster.into())?.vms.iter();
        let off = vms.filter(|(_, vm)| vm.power != VmPower::On);
        Ok(off.map(|(id, _)| id.clone()).collect())
    }

    /// Hosts of a cluster that are in maintenance mode now, or on their way there.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn in_maintenance(&self, cluster: &str) -> Result<Vec<ComponentId>> {
        let hosts = self.cluster(&cluster.into())?.hosts.iter();
        let closed = hosts.filter(|(_, host)| host.mode != Mode::Out);
        Ok(closed.map(|(id, _)| id.clone()).collect())
    }

    /// Where each machine of a cluster is now.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn placement(&self, cluster: &str) -> Result<BTreeMap<ComponentId, ComponentId>> {
        let vms = self.cluster(&cluster.into())?.vms.iter();
        Ok(vms.map(|(id, vm)| (id.clone(), vm.host.clone())).collect())
    }

    /// The value of a setting now.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn cluster_setting(&self, cluster: &str, setting: ClusterSetting) -> Result<&str> {
        let settings = &self.cluster(&cluster.into())?.settings;
        Ok(settings.get(&setting).map_or("", String::as_str))
    }

    /// Somebody else gives a setting a value.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn set_by_hand(&mut self, cluster: &str, setting: ClusterSetting, to: &str) -> Result<()> {
        self.cluster(&cluster.into())?;
        self.set(&cluster.into(), setting, to);
        Ok(())
    }

    pub(super) fn set(&mut self, cluster: &ComponentId, setting: ClusterSetting, to: &str) {
        let now = self.now;
        if let Some(cluster) = self.clusters.all.get_mut(cluster) {
            cluster.settings.insert(setting, to.to_owned());
            let to = to.to_owned();
            cluster.note(now, ClusterChange::Set { setting, to });
        }
    }

    /// Somebody else moves a machine at once, where the cluster lets them: not to a host that is down or in
    /// maintenance mode, and not a machine that moves already. Whether it moved.
    pub fn move_by_hand(&mut self, vm: impl Into<ComponentId>, to: impl Into<ComponentId>) -> bool {
        let (vm, to, now) = (vm.into(), to.into(), self.now);
        let responds = self.responds(&to);
        let Some(name) = self.clusters.of(&vm).cloned() else {
            return false;
        };
        let Some(cluster) = self.clusters.all.get_mut(&name) else {
            return false;
        };
        let open = |host: &SimHost| host.mode == Mode::Out;
        if !responds || !cluster.hosts.get(&to).is_some_and(open) {
            return false;
        }
        let Some(found) = cluster.vms.get_mut(&vm) else {
            return false;
        };
        if found.job.is_some() || found.power != VmPower::On || found.host == to {
            return false;
        }
        found.host = to.clone();
        cluster.note(now, ClusterChange::Moved { vm, to, by: None });
        true
    }

    /// Somebody else starts a new machine on a host, where the cluster lets them. Whether it is there.
    pub fn start_by_hand(
        &mut self,
        vm: impl Into<ComponentId>,
        host: impl Into<ComponentId>,
        demand: impl IntoIterator<Item = u64>,
        mem_mib: u64,
    ) -> bool {
        let (vm, host, now) = (vm.into(), host.into(), self.now);
        let responds = self.responds(&host);
        let Some(name) = self.clusters.of(&host).cloned() else {
            return false;
        };
        let Some(cluster) = self.clusters.all.get_mut(&name) else {
            return false;
        };
        let open = |host: &SimHost| host.mode == Mode::Out;
        if !responds || !cluster.hosts.get(&host).is_some_and(open) {
            return false;
        }
        let new = SimVm::new(host.clone(), demand.into_iter().collect(), mem_mib);
        cluster.vms.insert(vm.clone(), new);
        cluster.note(now, ClusterChange::Appeared { vm, host });
        true
    }

    /// Somebody else puts an empty host into maintenance mode. Whether it is there.
    pub fn maintenance_by_hand(&mut self, host: impl Into<ComponentId>) -> bool {
        let (host, now) = (host.into(), self.now);
        let Some(name) = self.clusters.of(&host).cloned() else {
            return false;
        };
        let Some(cluster) = self.clusters.all.get_mut(&name) else {
            return false;
        };
        let busy = cluster.vms.values().any(|vm| {
            vm.host == host && vm.power == VmPower::On || vm.moving_to.as_ref() == Some(&host)
        });
        let Some(found) = cluster.hosts.get_mut(&host).filter(|_| !busy) else {
            return false;
        };
        if found.mode != Mode::Out {
            return false;
        }
        found.mode = Mode::In(None);
        cluster.note(now, ClusterChange::InMaintenance { host });
        true
    }

    /// Somebody else moves a machine at this time, where the cluster lets them then.
    pub(super) fn moves_at(&mut self, at: Timestamp, vm: ComponentId, to: ComponentId) {
        self.when(at, Due::MovedByHand { vm, to });
    }

    /// A host's power changed: what ran on it when it went down is lost.
    pub(super) fn cluster_power(&mut self, host: &ComponentId) {
        let Some(guest) = self.guests.get(host) else {
            return;
        };
        let (down, now) = (guest.power != Power::On, self.now);
        let Some(name) = self.clusters.of(host).cloned() else {
            return;
        };
        let Some(cluster) = self.clusters.all.get_mut(&name) else {
            return;
        };
        match cluster.hosts.get_mut(host) {
            Some(found) if found.down != down => found.down = down,
            _ => return,
        }
        let host = host.clone();
        if !down {
            cluster.note(now, ClusterChange::Up { host });
            return;
        }
        let running = cluster.vms.iter_mut();
        let lost: Vec<ComponentId> = running
            .filter(|(_, vm)| vm.host == host && vm.power == VmPower::On)
            .map(|(id, vm)| {
                vm.power = VmPower::Off;
                id.clone()
            })
            .collect();
        for vm in lost {
            let host = host.clone();
            cluster.note(now, ClusterChange::Lost { vm, host });
        }
        cluster.note(now, ClusterChange::Down { host });
    }
}
