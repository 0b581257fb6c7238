//! A cluster of a vCenter as the roll planner sees it.

mod around;
mod facts;
mod foreseen;
mod glance;
mod listing;
mod pins;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use patchcore::{
    Error, ErrorKind, Result,
    id::ComponentId,
    plan::roll::{Cluster, Host, HostState, Limits, Migration, Mobility, PatchTime, Pin, Rule, Vm},
};

use self::facts::{Datastores, HostFacts, Settings, VmFacts};
pub use self::pins::{Pinned, WhyPinned};
pub(crate) use self::{facts::is_agent, foreseen::Foreseen, glance::Roster};
use crate::{
    client::{
        Found, VCenter, Wanted,
        soap::{Broken, MoRef},
        unreadable,
    },
    config::WhatCounts,
};

/// The resources of a cluster, in their order.
pub(crate) const RESOURCES: [&str; 2] = ["memory_mib", "cpu_mhz"];

/// How long a host is gone, until this estate's own runs say better: a patch of ESXi with one restart.
const PATCH_TIME: PatchTime = PatchTime {
    p50_s: 1200,
    p95_s: 2400,
};

/// What vCenter allows at once per host on a network of 10 Gbit/s (vSphere vCenter and Host Management, *Limits on
/// Simultaneous Migrations*), and what one move then copies.
const MIGRATION: Migration = Migration {
    in_slots: 8,
    out_slots: 8,
    mib_per_s: 250,
};

/// A cluster of a vCenter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterRef {
    /// Its name.
    pub name: String,
    /// What the vCenter calls it, such as `domain-c8`.
    pub id: String,
}

/// What was read of a cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterRead {
    /// What a roll is planned from.
    pub cluster: Cluster,
    /// Machines that cannot leave their host, and why, in the order of their names; one that has several reasons stands
    /// here for each.
    pub pinned: Vec<Pinned>,
    /// What of the cluster the planner does not know of, in words.
    pub not_modelled: Vec<String>,
}

impl VCenter {
    /// All clusters, in the order of their names.
    ///
    /// # Errors
    /// What a call can fail with.
    pub async fn clusters(&self) -> Result<Vec<ClusterRef>> {
        const WANTED: Wanted = Wanted {
            kind: "ClusterComputeResource",
            paths: &["name"],
        };
        let mut all = self
            .collect(&self.service().root, WANTED, Vec::new, |all, found| {
                all.push(ClusterRef {
                    name: found.text("name").unwrap_or(&found.object.id).to_owned(),
                    id: found.object.id.to_string(),
                });
                Ok(())
            })
            .await?;
        all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(all)
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// `NotFound` with the names that there are; `AmbiguousIdentity` where several have it.
    pub async fn cluster_named(&self, name: &str) -> Result<ClusterRef> {
        let all = self.clusters().await?;
        let mut those = all.iter().filter(|cluster| cluster.name == name);
        match (those.next(), those.next()) {
            (Some(cluster), None) => Ok(cluster.clone()),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::AmbiguousIdentity,
                format!("several clusters are named {name:?}"),
            )
            .hint("rename one of them")),
            (None, _) => {
                let names: Vec<&str> = all.iter().map(|cluster| &*cluster.name).collect();
                Err(
                    Error::new(ErrorKind::NotFound, format!("no cluster is named {name:?}"))
                        .expected(format!("one of {}", names.join(", ")))
                        .found(name),
                )
            }
        }
    }

    /// Reads a cluster. Nothing is changed.
    ///
    /// # Errors
    /// What a call can fail with; `NotFound` for a cluster that is gone.
    pub async fn read_cluster(&self, cluster: &ClusterRef) -> Result<ClusterRead> {
        let itself = MoRef::new("ClusterComputeResource", &*cluster.id);
        let settings = self.settings_of(&itself).await?;
        let hosts = self.hosts_of(&itself).await?;
        let vms = self.machines_of(&itself, true).await?;
        let stores = self.datastores(&self.service().root).await?;
        let levels = self.evc_levels().await?;
        build(Seen {
            settings,
            hosts,
            vms,
            stores,
            levels,
            memory: self.memory(),
        })
        .map_err(|broken| unreadable(&format!("cluster {}", cluster.name), broken))
    }
}

/// All that one cluster is built from.
struct Seen {
    settings: Settings,
    hosts: Vec<HostFacts>,
    vms: Vec<VmFacts>,
    stores: Datastores,
    levels: HashMap<String, u32>,
    memory: WhatCounts,
}

/// A cluster from the objects of one answer, whatever they are: what [`VCenter::read_cluster`] makes of several.
pub(crate) fn of_objects(found: Vec<Found>) -> Result<ClusterRead, Broken> {
    let mut seen = Seen {
        settings: Settings::default(),
        hosts: Vec::new(),
        vms: Vec::new(),
        stores: Datastores::default(),
        levels: HashMap::new(),
        memory: WhatCounts::default(),
    };
    for object in found {
        match &*object.object.kind {
            "ClusterComputeResource" => seen.settings = Settings::of(&object),
            "HostSystem" => seen.hosts.push(facts::host(&object)?),
            "VirtualMachine" => seen.vms.push(facts::machine(&object)?),
            "Datastore" => seen.stores.take(object)?,
            _ => {}
        }
    }
    build(seen)
}

fn build(seen: Seen) -> Result<ClusterRead, Broken> {
    let roster = Roster::of(&seen.hosts, &seen.vms);
    let hosts = &roster.hosts;
    let of_hosts: HashMap<&str, &HostFacts> = seen
        .hosts
        .iter()
        .map(|host| (&*host.object.id, host))
        .collect();
    let mut agents = 0_u32;
    let mut vms: Vec<&VmFacts> = Vec::new();
    for vm in seen.vms.iter().filter(|vm| vm.runs() && !vm.template) {
        if is_agent(vm.agent_of.as_deref()) {
            agents += 1;
        } else {
            vms.push(vm);
        }
    }
    let of_machine = |vm: &VmFacts| name_of(&roster.machines, &vm.object);
    let named = vms
        .iter()
        .map(|vm| (vm.object.id.clone(), of_machine(vm)))
        .chain(hosts.iter().map(|(host, id)| (host.id.clone(), id.clone())));
    let names: rules::Names = named.collect();
    let mut cluster = Cluster::new(RESOURCES);
    cluster.patch_time = Some(PATCH_TIME);
    cluster.migration = Some(MIGRATION);
    cluster.hosts = seen
        .hosts
        .iter()
        .map(|host| seen.host(host, name_of(hosts, &host.object)))
        .collect();
    cluster.hosts.sort_by(|a, b| a.id.cmp(&b.id));
    let mut pinned = Vec::new();
    let mut fences: BTreeMap<BTreeSet<ComponentId>, Vec<ComponentId>> = BTreeMap::new();
    let mut not_modelled = Vec::new();
    for vm in vms {
        let id = of_machine(vm);
        let Some(host) = vm.host.as_ref().and_then(|host| of_hosts.get(&*host.id)) else {
            // What it takes would be missing somewhere.
            return Err(Broken::Missing {
                inside: format!("the running machine {id}"),
                name: "host that can be seen".to_owned(),
            });
        };
        let why = pins::why(vm, host, &seen.stores);
        let at = name_of(hosts, &host.object);
        if why.is_empty() {
            let reach: BTreeSet<ComponentId> = seen
                .hosts
                .iter()
                .filter(|host| {
                    host.datastores.is_superset(&vm.datastores)
                        && host.networks.is_superset(&vm.networks)
                })
                .map(|host| name_of(hosts, &host.object))
                .collect();
            if reach.len() < seen.hosts.len() {
                fences.entry(reach).or_default().push(id.clone());
            }
        }
        cluster
            .vms
            .push(seen.machine(vm, id.clone(), at.clone(), &why));
        pinned.extend(why.into_iter().map(|why| Pinned {
            vm: id.clone(),
            host: at.clone(),
            why,
        }));
    }
    cluster.vms.sort_by(|a, b| a.id.cmp(&b.id));
    pinned.sort_by(|a, b| a.vm.cmp(&b.vm));
    let (rules, unknown) = rules::rules(&seen.settings, &names)?;
    let (ha, unclear) = rules::ha(seen.settings.ha.as_ref(), &names)?;
    cluster.limits = Limits {
        ha,
        ..Limits::default()
    };
    cluster.rules = rules;
    cluster
        .rules
        .extend(fences.into_iter().map(|(hosts, mut vms)| {
            vms.sort();
            Rule::Fence {
                vms,
                hosts: hosts.into_iter().collect(),
            }
        }));
    not_modelled.extend(unknown);
    not_modelled.extend(unclear);
    if agents > 0 {
        not_modelled.push(format!(
            "{agents} machines of vSphere Cluster Services, which vCenter places itself"
        ));
    }
    Ok(ClusterRead {
        cluster,
        pinned,
        not_modelled,
    })
}

impl Seen {
    fn level(&self, mode: Option<&str>) -> Option<u32> {
        self.levels.get(mode?).copied()
    }

    fn host(&self, facts: &HostFacts, id: ComponentId) -> Host {
        let mut host = Host::new(id, []);
        host.capacity = vec![facts.memory_mib, facts.cpu_mhz];
        host.reserve = vec![Some(facts.reserved_mib), Some(0)];
        host.state = match (facts.connected, facts.in_maintenance) {
            (false, _) => HostState::Down,
            (true, true) => HostState::Closed,
            (true, false) => HostState::Open,
        };
        host.cpu_level = self.level(facts.evc.as_deref()).unwrap_or_default();
        host
    }

    fn machine(&self, facts: &VmFacts, id: ComponentId, at: ComponentId, why: &[WhyPinned]) -> Vm {
        let mut vm = Vm::new(id, at, [], 0);
        vm.demand = facts.demand(self.memory).to_vec();
        // All its memory is copied, whatever counts on the host that it comes to.
        vm.mem_mib = facts.memory_mib;
        vm.cpu_level = self.level(facts.evc.as_deref());
        if !why.is_empty() {
            let reasons: Vec<String> = why.iter().map(ToString::to_string).collect();
            vm.mobility = Mobility::Pinned(Pin {
                reason: reasons.join("; "),
                policy: None,
            });
        }
        vm
    }
}

fn name_of(names: &HashMap<MoRef, ComponentId>, object: &MoRef) -> ComponentId {
    names
        .get(object)
        .cloned()
        .unwrap_or_else(|| ComponentId::from(object.id.to_string()))
}
