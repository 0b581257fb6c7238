//! What a request is about, as it is now.

use std::sync::Arc;

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    id::ComponentId,
    provider::{DrainRequest, VmPower},
};

use super::{
    VsphereCluster,
    settings::SettingsNow,
    together::{of_host, of_machine, read},
};
use crate::client::{
    Found, Of,
    soap::{Broken, Element, Fault, MoRef},
    unreadable,
};

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct MachineNow {
    pub(super) host: ComponentId,
    pub(super) power: VmPower,
    pub(super) connected: bool,
    /// It waits for the answer to a question.
    pub(super) asks: bool,
    /// VMware Tools run in it.
    pub(super) tools: bool,
    /// A task that works on it: what it does.
    pub(super) busy: Option<String>,
}

/// A host.
#[derive(Debug, Clone)]
pub(super) struct HostNow {
    pub(super) connected: bool,
    pub(super) maintenance: bool,
    /// It is on its way there.
    pub(super) entering: bool,
    /// Machines that run on it, without those that the vCenter places itself.
    pub(super) running: Vec<String>,
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(super) enum Now {
    /// A machine, and the host that it is to be on.
    Machine(MachineNow, HostNow),
    Host(HostNow),
    Cluster(SettingsNow),
}

/// What was read, with by what later tasks are told from earlier ones.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) now: Now,
    /// The vCenter's clock.
    pub(super) at: Timestamp,
    /// Tasks of the subject that there were.
    pub(super) tasks: Vec<String>,
}

pub(super) const MACHINE: &[&str] = &[
    "runtime.host",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.question",
    "guest.toolsRunningStatus",
    "recentTask",
];

pub(super) const HOST: &[&str] = &[
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "recentTask",
];

const ON_HOST: &[&str] = &[
    "name",
    "runtime.powerState",
    "config.managedBy.extensionKey",
];

pub(super) const TASK: &[&str] = &[
    "info.state",
    "info.entity",
    "info.name",
    "info.descriptionId",
];

impl VsphereCluster {
    /// Reads what a request is about, in one call.
    pub(super) async fn look(&self, request: &DrainRequest) -> Result<Look> {
        match request {
            DrainRequest::HoldSetting { cluster, .. }
            | DrainRequest::RestoreSetting { cluster, .. } => {
                self.is_ours(cluster)?;
                let (found, at) = self.see(&[self.settings()]).await?;
                let now = SettingsNow::of(itself(&found, &self.inner.object)?)
                    .map_err(|b| unreadable("the cluster's settings", b))?;
                Ok(Look {
                    now: Now::Cluster(now),
                    at,
                    tasks: recent(&found, &self.inner.object),
                })
            }
            DrainRequest::Migrate { vm, to: host, .. }
            | DrainRequest::ShutDown { vm, host, .. }
            | DrainRequest::Start { vm, host, .. } => {
                let vm = self.object_of(vm).await?;
                let host = self.object_of(host).await?;
                let together = &self.inner.together;
                let pair = (vm.clone(), host.clone());
                let vcenter = &self.inner.vcenter;
                let seen = together.look(pair, |asked| read(vcenter, asked)).await?;
                let read = match seen {
                    Some(read) => read,
                    None => Arc::new(self.see(&[of_machine(&vm), of_host(&host)]).await?),
                };
                let (found, at) = (&read.0, read.1);
                let machine = self.machine(found, &vm).await?;
                let there = host_now(found, &host)?;
                Ok(Look {
                    now: Now::Machine(machine, there),
                    at,
                    tasks: recent(found, &vm),
                })
            }
            DrainRequest::EnterMaintenance { host }
            | DrainRequest::ExitMaintenance { host, .. } => {
                let host = self.object_of(host).await?;
                let of = of_host(&host).and_each("vm", "VirtualMachine", ON_HOST);
                let (found, at) = self.see(&[of]).await?;
                Ok(Look {
                    now: Now::Host(host_now(&found, &host)?),
                    at,
                    tasks: recent(&found, &host),
                })
            }
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!("a vCenter does not do this: {other:?}"),
            )),
        }
    }

    async fn see(&self, of: &[Of<'_>]) -> Result<(Vec<Found>, Timestamp)> {
        let (found, at) = self.inner.vcenter.dated_read(of).await?;
        let found = found.map_err(|fault: Fault| fault.into_error(&self.inner.cluster.name))?;
        Ok((found, at.ok_or_else(no_date)?))
    }

    async fn machine(&self, found: &[Found], vm: &MoRef) -> Result<MachineNow> {
        let found_it = itself(found, vm)?;
        let broken = |broken| unreadable(&format!("the machine {vm}"), broken);
        let host = found_it.get("runtime.host").map(Element::moref);
        let host = host.transpose().map_err(broken)?.ok_or_else(|| {
            broken(Broken::Missing {
                inside: vm.to_string(),
                name: "host that can be seen".to_owned(),
            })
        })?;
        Ok(MachineNow {
            host: self.inner.names.of(&host).await,
            power: power(found_it.text("runtime.powerState")).map_err(broken)?,
            connected: found_it.text("runtime.connectionState") == Some("connected"),
            asks: found_it
                .get("runtime.question")
                .is_some_and(|question| !question.children.is_empty()),
            tools: found_it.text("guest.toolsRunningStatus") == Some("guestToolsRunning"),
            busy: open_on(found, vm).map(doing).next(),
        })
    }
}

/// What is said where an answer does not say when it was given.
pub(crate) fn no_date() -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        "the vCenter's answers have no date, and by it an interrupted operation is found again",
    )
    .expected("the header Date")
    .found("none")
    .hint("whatever stands before the vCenter must leave it in")
}

/// `runtime.powerState` of a machine.
pub(super) fn power(word: Option<&str>) -> Result<VmPower, Broken> {
    match word {
        Some("poweredOn") => Ok(VmPower::On),
        Some("poweredOff") => Ok(VmPower::Off),
        Some("suspended") => Ok(VmPower::Suspended),
        other => Err(Broken::NotA {
            what: "power state",
            name: "runtime.powerState".to_owned(),
            found: other.unwrap_or_default().to_owned(),
        }),
    }
}

fn itself<'f>(found: &'f [Found], object: &MoRef) -> Result<&'f Found> {
    found
        .iter()
        .find(|found| found.object == *object)
        .ok_or_else(|| unreadable(&format!("{object:?}"), Broken::NotSoap("the object")))
}

fn host_now(found: &[Found], host: &MoRef) -> Result<HostNow> {
    let found_it = itself(found, host)?;
    let maintenance = found_it
        .get("runtime.inMaintenanceMode")
        .map(Element::truth);
    let maintenance = maintenance
        .transpose()
        .map_err(|b| unreadable(&format!("the host {host}"), b))?;
    let machines = found
        .iter()
        .filter(|f| &*f.object.kind == "VirtualMachine" && f.get("name").is_some());
    let runs = |f: &&Found| {
        // What nobody says is off counts as running.
        !matches!(
            f.text("runtime.powerState"),
            Some("poweredOff" | "suspended")
        ) && !crate::inventory::is_agent(f.text("config.managedBy.extensionKey"))
    };
    let entering = |task: &Found| task.text("info.name") == Some("EnterMaintenanceMode_Task");
    Ok(HostNow {
        connected: found_it.text("runtime.connectionState") == Some("connected"),
        // What nobody says counts as closed.
        maintenance: maintenance.unwrap_or(true),
        entering: open_on(found, host).any(entering),
        running: machines
            .filter(runs)
            .map(|f| f.text("name").unwrap_or(&f.object.id).to_owned())
            .collect(),
    })
}

/// Tasks that work on an object now.
fn open_on<'f>(found: &'f [Found], object: &'f MoRef) -> impl Iterator<Item = &'f Found> {
    found.iter().filter(move |task| {
        &*task.object.kind == "Task"
            && matches!(task.text("info.state"), Some("queued" | "running"))
            && task
                .get("info.entity")
                .is_some_and(|entity| *entity.text == *object.id)
    })
}

fn doing(task: &Found) -> String {
    let word = task
        .text("info.name")
        .or_else(|| task.text("info.descriptionId"));
    format!("{} ({})", word.unwrap_or("a task"), task.object.id)
}

fn recent(found: &[Found], object: &MoRef) -> Vec<String> {
    let list = found.iter().find(|found| found.object == *object);
    let list = list.and_then(|found| found.get("recentTask"));
    let tasks = list.map(|list| &*list.children).unwrap_or_default();
    tasks.iter().map(|task| task.text.to_string()).collect()
}
