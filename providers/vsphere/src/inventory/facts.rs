//! What is asked of a cluster, its hosts, machines and datastores, and read as plain values.

use std::collections::{BTreeSet, HashMap};

use patchcore::Result;

use crate::{
    client::{
        Found, VCenter, Wanted,
        soap::{Broken, Element, MoRef},
    },
    config::WhatCounts,
};

/// What is set for the cluster as a whole.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `dasConfig`: HA.
    pub(super) ha: Option<Element>,
    pub(super) rules: Vec<Element>,
    pub(super) groups: Vec<Element>,
}

impl Settings {
    pub(super) fn of(found: &Found) -> Self {
        let list = |path: &str| {
            found
                .get(path)
                .map(|list| list.children.clone())
                .unwrap_or_default()
        };
        Self {
            ha: found.get("configurationEx.dasConfig").cloned(),
            rules: list("configurationEx.rule"),
            groups: list("configurationEx.group"),
        }
    }
}

#[derive(Debug)]
pub(super) struct HostFacts {
    pub(super) object: MoRef,
    pub(super) name: String,
    pub(super) connected: bool,
    pub(super) in_maintenance: bool,
    pub(super) cpu_mhz: Option<u64>,
    pub(super) core_mhz: Option<u64>,
    pub(super) memory_mib: Option<u64>,
    /// What its own services reserve.
    pub(super) reserved_mib: u64,
    pub(super) vmotion: bool,
    pub(super) evc: Option<String>,
    pub(super) datastores: BTreeSet<Box<str>>,
    pub(super) networks: BTreeSet<Box<str>>,
}

#[derive(Debug)]
pub(super) struct VmFacts {
    pub(super) object: MoRef,
    pub(super) name: String,
    pub(super) host: Option<MoRef>,
    /// `runtime.powerState`.
    pub(super) power: Option<String>,
    pub(super) template: bool,
    pub(super) agent_of: Option<String>,
    pub(super) connected: bool,
    pub(super) question: bool,
    pub(super) fault_tolerant: bool,
    pub(super) cpu_affinity: bool,
    pub(super) disabled: BTreeSet<Box<str>>,
    pub(super) evc: Option<String>,
    pub(super) memory_mib: Option<u64>,
    pub(super) memory_reserved_mib: u64,
    pub(super) memory_held_mib: Option<u64>,
    pub(super) cpu_reserved_mhz: u64,
    pub(super) cpu_demand_mhz: Option<u64>,
    pub(super) cpu_most_mhz: Option<u64>,
    pub(super) cpus: Option<u64>,
    pub(super) devices: Vec<Element>,
    pub(super) datastores: BTreeSet<Box<str>>,
    pub(super) networks: BTreeSet<Box<str>>,
}

impl VmFacts {
    pub(super) fn runs(&self) -> bool {
        // What cannot be seen may run.
        !matches!(self.power.as_deref(), Some("poweredOff" | "suspended"))
    }

    /// What it takes of its host while it runs, in the order of [`RESOURCES`](super::RESOURCES).
    pub(super) fn demand(&self, memory: WhatCounts) -> [Option<u64>; 2] {
        let memory = match memory {
            WhatCounts::Configured => self.memory_mib,
            WhatCounts::Held => self
                .memory_held_mib
                .map(|held| held.max(self.memory_reserved_mib)),
        };
        let cpu = self
            .cpu_demand_mhz
            .or(self.cpu_most_mhz)
            .map(|demand| demand.max(self.cpu_reserved_mhz));
        [memory, cpu]
    }
}

/// Whether a machine is the service's own: those come and go with each host, and nobody may move them (vSphere Resource
/// Management, *vSphere Cluster Services*).
pub(crate) fn is_agent(managed_by: Option<&str>) -> bool {
    managed_by == Some("com.vmware.vim.eam")
}

/// Datastores by what the vCenter calls them.
#[derive(Debug, Default)]
pub(super) struct Datastores(pub(super) HashMap<Box<str>, Datastore>);

impl Datastores {
    pub(super) fn take(&mut self, found: Found) -> Result<(), Broken> {
        let store = Datastore {
            name: found.text("name").unwrap_or(&found.object.id).to_owned(),
            // What nobody says is shared counts as not shared.
            shared: found.truth("summary.multipleHostAccess")?.unwrap_or(false),
        };
        self.0.insert(found.object.id, store);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Datastore {
    pub(super) name: String,
    pub(super) shared: bool,
}

/// What is read of hosts.
pub(super) const HOSTS: Wanted = Wanted {
    kind: "HostSystem",
    paths: &[
        "name",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "summary.hardware.cpuMhz",
        "summary.hardware.numCpuCores",
        "summary.hardware.memorySize",
        "summary.config.vmotionEnabled",
        "summary.currentEVCModeKey",
        "summary.maxEVCModeKey",
        "systemResources.config.memoryAllocation.reservation",
        "datastore",
        "network",
    ],
};

/// What is read of machines to know who is where.
pub(super) const PLACES: Wanted = Wanted {
    kind: "VirtualMachine",
    paths: &[
        "name",
        "runtime.host",
        "runtime.powerState",
        "runtime.maxCpuUsage",
        "summary.config.memorySizeMB",
        "summary.config.memoryReservation",
        "summary.config.cpuReservation",
        "summary.config.numCpu",
        "summary.quickStats.overallCpuDemand",
        "summary.quickStats.hostMemoryUsage",
        "config.managedBy.extensionKey",
    ],
};

impl VCenter {
    pub(super) async fn settings_of(&self, cluster: &MoRef) -> Result<Settings> {
        const PATHS: &[&str] = &[
            "configurationEx.dasConfig",
            "configurationEx.rule",
            "configurationEx.group",
        ];
        let found = self.properties_of(cluster, PATHS).await?;
        Ok(Settings::of(&found))
    }

    pub(super) async fn hosts_of(&self, cluster: &MoRef) -> Result<Vec<HostFacts>> {
        self.collect(cluster, HOSTS, Vec::new, |all, found| {
            all.push(host(&found)?);
            Ok(())
        })
        .await
    }

    /// Its machines; of a whole look also what keeps them where they are.
    pub(super) async fn machines_of(&self, cluster: &MoRef, whole: bool) -> Result<Vec<VmFacts>> {
        const WHOLE: Wanted = Wanted {
            kind: "VirtualMachine",
            paths: &[
                "name",
                "runtime.host",
                "runtime.powerState",
                "runtime.connectionState",
                "runtime.faultToleranceState",
                "runtime.question",
                "runtime.minRequiredEVCModeKey",
                "runtime.maxCpuUsage",
                "summary.config.template",
                "summary.config.memorySizeMB",
                "summary.config.memoryReservation",
                "summary.config.cpuReservation",
                "summary.quickStats.overallCpuDemand",
                "summary.quickStats.hostMemoryUsage",
                "config.cpuAffinity.affinitySet",
                "config.hardware.device",
                "config.managedBy.extensionKey",
                "datastore",
                "network",
                "disabledMethod",
            ],
        };
        let wanted = if whole { WHOLE } else { PLACES };
        self.collect(cluster, wanted, Vec::new, |all, found| {
            all.push(machine(&found)?);
            Ok(())
        })
        .await
    }

    pub(super) async fn datastores(&self, root: &MoRef) -> Result<Datastores> {
        const WANTED: Wanted = Wanted {
            kind: "Datastore",
            paths: &["name", "summary.multipleHostAccess"],
        };
        self.collect(root, WANTED, Datastores::default, |all, found| {
            all.take(found)
        })
        .await
    }

    /// The EVC modes that the vCenter knows, each with its tier: a mode has all features of the lower ones of its
    /// vendor (vSphere Web Services API reference, *EVCMode*).
    pub(super) async fn evc_levels(&self) -> Result<HashMap<String, u32>> {
        let instance = MoRef::new("ServiceInstance", "ServiceInstance");
        let found = self
            .properties_of(&instance, &["capability.supportedEVCMode"])
            .await?;
        let modes = found.get("capability.supportedEVCMode");
        Ok(modes
            .map(|list| &*list.children)
            .unwrap_or_default()
            .iter()
            .filter_map(|mode| {
                let tier = mode.child("vendorTier")?.number().ok()?;
                Some((mode.text_of("key")?.to_owned(), tier))
            })
            .collect())
    }
}

pub(super) fn host(found: &Found) -> Result<HostFacts, Broken> {
    let mhz: Option<u64> = number(found, "summary.hardware.cpuMhz")?;
    let cores: Option<u64> = number(found, "summary.hardware.numCpuCores")?;
    Ok(HostFacts {
        name: found.text("name").unwrap_or(&found.object.id).to_owned(),
        connected: found.text("runtime.connectionState") == Some("connected"),
        in_maintenance: found.truth("runtime.inMaintenanceMode")?.unwrap_or(true),
        core_mhz: mhz,
        cpu_mhz: mhz.zip(cores).map(|(mhz, cores)| mhz.saturating_mul(cores)),
        memory_mib: number(found, "summary.hardware.memorySize")?.map(|bytes: u64| bytes >> 20),
        reserved_mib: number(found, "systemResources.config.memoryAllocation.reservation")?
            .unwrap_or_default(),
        vmotion: found
            .truth("summary.config.vmotionEnabled")?
            .unwrap_or(false),
        evc: found
            .text("summary.currentEVCModeKey")
            .or_else(|| found.text("summary.maxEVCModeKey"))
            .map(str::to_owned),
        datastores: ids(found, "datastore")?,
        networks: ids(found, "network")?,
        object: found.object.clone(),
    })
}

pub(super) fn machine(found: &Found) -> Result<VmFacts, Broken> {
    let text = |path: &str| found.text(path);
    Ok(VmFacts {
        name: text("name").unwrap_or(&found.object.id).to_owned(),
        host: found.get("runtime.host").map(Element::moref).transpose()?,
        power: text("runtime.powerState").map(str::to_owned),
        template: found.truth("summary.config.template")?.unwrap_or(false),
        agent_of: text("config.managedBy.extensionKey").map(str::to_owned),
        connected: text("runtime.connectionState") == Some("connected"),
        question: found
            .get("runtime.question")
            .is_some_and(|question| !question.children.is_empty()),
        fault_tolerant: text("runtime.faultToleranceState")
            .is_some_and(|state| state != "notConfigured"),
        cpu_affinity: found
            .get("config.cpuAffinity.affinitySet")
            .is_some_and(|set| !set.children.is_empty()),
        disabled: found
            .get("disabledMethod")
            .map(|list| list.children.iter().map(|name| name.text.clone()).collect())
            .unwrap_or_default(),
        evc: text("runtime.minRequiredEVCModeKey").map(str::to_owned),
        memory_mib: number(found, "summary.config.memorySizeMB")?,
        memory_reserved_mib: number(found, "summary.config.memoryReservation")?.unwrap_or_default(),
        memory_held_mib: number(found, "summary.quickStats.hostMemoryUsage")?,
        cpu_reserved_mhz: number(found, "summary.config.cpuReservation")?.unwrap_or_default(),
        cpu_demand_mhz: number(found, "summary.quickStats.overallCpuDemand")?,
        cpu_most_mhz: number(found, "runtime.maxCpuUsage")?,
        cpus: number(found, "summary.config.numCpu")?,
        devices: found
            .get("config.hardware.device")
            .map(|list| list.children.clone())
            .unwrap_or_default(),
        datastores: ids(found, "datastore")?,
        networks: ids(found, "network")?,
        object: found.object.clone(),
    })
}

/// A number, where it is known: the API says *unset* with nothing, and some of its statistics with -1.
fn number(found: &Found, path: &str) -> Result<Option<u64>, Broken> {
    match found.get(path) {
        None => Ok(None),
        Some(value) if value.text.is_empty() => Ok(None),
        Some(value) => Ok(u64::try_from(value.number::<i64>()?).ok()),
    }
}

fn ids(found: &Found, path: &str) -> Result<BTreeSet<Box<str>>, Broken> {
    let Some(list) = found.get(path) else {
        return Ok(BTreeSet::new());
    };
    Ok(list.morefs()?.into_iter().map(|object| object.id).collect())
}
