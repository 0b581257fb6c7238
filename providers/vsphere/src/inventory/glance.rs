//! Who is where in a cluster, without what keeps them there.

use std::collections::HashMap;

use patchcore::{Result, id::ComponentId};

use super::facts::{HOSTS, HostFacts, PLACES, VmFacts, host, is_agent, machine};
use crate::client::{
    Task, VCenter, open,
    soap::{Broken, MoRef},
    unreadable,
};

/// What hosts and machines of a cluster are called: by their names, and where several have the same also by what the
/// vCenter calls them.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) hosts: HashMap<MoRef, ComponentId>,
    /// Without the service's own, which come and go.
    pub(crate) machines: HashMap<MoRef, ComponentId>,
}

impl Roster {
    pub(super) fn of(hosts: &[HostFacts], machines: &[VmFacts]) -> Self {
        let machines = machines
            .iter()
            .filter(|vm| !is_agent(vm.agent_of.as_deref()));
        Self {
            hosts: named(hosts.iter().map(|host| (&host.object, &*host.name))),
            machines: named(machines.map(|vm| (&vm.object, &*vm.name))),
        }
    }
}

/// Names that are unique: a vCenter lets two machines in two folders have the same.
fn named<'a>(
    objects: impl Iterator<Item = (&'a MoRef, &'a str)> + Clone,
) -> HashMap<MoRef, ComponentId> {
    let mut count: HashMap<&str, u32> = HashMap::new();
    for (_, name) in objects.clone() {
        *count.entry(name).or_default() += 1;
    }
    objects
        .map(|(object, name)| {
            let id = match count.get(name) == Some(&1) {
                true => name.to_owned(),
                false => format!("{name} ({})", object.id),
            };
            (object.clone(), ComponentId::from(id))
        })
        .collect()
}

/// A cluster at a glance.
#[derive(Debug)]
pub(crate) struct Glance {
    pub(crate) roster: Roster,
    pub(crate) hosts: Vec<HostGlance>,
    pub(crate) machines: Vec<VmGlance>,
}

/// A host.
#[derive(Debug)]
pub(crate) struct HostGlance {
    pub(crate) object: MoRef,
    pub(crate) connected: bool,
    pub(crate) in_maintenance: bool,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct VmGlance {
    pub(crate) object: MoRef,
    pub(crate) host: MoRef,
    pub(crate) power: Option<String>,
    pub(crate) demand: Vec<u64>,
    pub(crate) mem_mib: u64,
}

impl VCenter {
    /// What the hosts and machines of a cluster are called.
    pub(crate) async fn roster(&self, cluster: &MoRef) -> Result<Roster> {
        Ok(self.glance(cluster).await?.roster)
    }

    /// A cluster at a glance.
    pub(crate) async fn glance(&self, cluster: &MoRef) -> Result<Glance> {
        let hosts = self.hosts_of(cluster).await?;
        let machines = self.machines_of(cluster, false).await?;
        self.glance_of(cluster, &hosts, &machines)
    }

    /// The same with what works in the vCenter now, as they were at one moment.
    pub(crate) async fn at_once(&self, cluster: &MoRef) -> Result<(Glance, Vec<Task>)> {
        let found = self
            .read_below(cluster, [HOSTS, PLACES], &self.recent_tasks())
            .await?;
        let broken = |broken| unreadable(&format!("cluster {}", cluster.id), broken);
        let of = |kind: &'static str| found.iter().filter(move |f| &*f.object.kind == kind);
        let hosts = of(HOSTS.kind).map(host).collect::<Result<Vec<_>, _>>();
        let machines = of(PLACES.kind).map(machine).collect::<Result<Vec<_>, _>>();
        let (hosts, machines) = (hosts.map_err(broken)?, machines.map_err(broken)?);
        let glance = self.glance_of(cluster, &hosts, &machines)?;
        Ok((glance, open(&found)?))
    }

    fn glance_of(
        &self,
        cluster: &MoRef,
        hosts: &[HostFacts],
        machines: &[VmFacts],
    ) -> Result<Glance> {
        let roster = Roster::of(hosts, machines);
        let broken = |broken| unreadable(&format!("cluster {}", cluster.id), broken);
        let seen = machines
            .iter()
            .filter(|vm| roster.machines.contains_key(&vm.object))
            .map(|vm| self.machine_at(vm, hosts))
            .collect::<Result<_, Broken>>();
        Ok(Glance {
            machines: seen.map_err(broken)?,
            hosts: hosts
                .iter()
                .map(|host| HostGlance {
                    object: host.object.clone(),
                    connected: host.connected,
                    in_maintenance: host.in_maintenance,
                })
                .collect(),
            roster,
        })
    }

    fn machine_at(&self, vm: &VmFacts, hosts: &[HostFacts]) -> Result<VmGlance, Broken> {
        let missing = |name: &str| Broken::Missing {
            inside: format!("the machine {}", vm.name),
            name: name.to_owned(),
        };
        let host = vm
            .host
            .clone()
            .ok_or_else(|| missing("host that can be seen"))?;
        let [memory, cpu] = vm.demand(self.memory());
        // Of a machine that does not run a vCenter says no demand: it may take all that it has.
        let most = || {
            let host = hosts.iter().find(|h| h.object == host)?;
            Some(vm.cpus?.saturating_mul(host.core_mhz?))
        };
        let cpu = if vm.runs() { cpu } else { most() };
        let memory = if vm.runs() { memory } else { vm.memory_mib };
        Ok(VmGlance {
            object: vm.object.clone(),
            host: host.clone(),
            power: vm.power.clone(),
            demand: vec![
                memory.ok_or_else(|| missing("memory"))?,
                cpu.ok_or_else(|| missing("demand of CPU"))?,
            ],
            mem_mib: vm.memory_mib.ok_or_else(|| missing("memory"))?,
        })
    }
}
