//! What is asked beside the roll's own inventory.

use patchcore::{Result, Timestamp, id::ComponentId};

use super::{HostCheckup, OldSnapshot, Paths, Scheduled, SupportKind, found::Seen};
use crate::{
    client::{
        Found, Of, VCenter, Wanted,
        soap::{Broken, Element, MoRef},
    },
    inventory::Roster,
    paths,
};

/// What hosts and machines are called.
pub(super) struct Names(pub(super) Roster);

impl Names {
    fn host(&self, object: &MoRef) -> ComponentId {
        let known = self.0.hosts.get(object).cloned();
        known.unwrap_or_else(|| ComponentId::from(object.id.to_string()))
    }

    fn machine(&self, object: &MoRef) -> Option<ComponentId> {
        self.0.machines.get(object).cloned()
    }
}

/// What is set for a cluster beside what a roll is planned from.
pub(super) struct Cluster {
    pub(super) by_image: Option<bool>,
    pub(super) acts_itself: Vec<String>,
}

impl Cluster {
    pub(super) const PATHS: &[&str] = &[
        "lifecycleManaged",
        "configurationEx.drsConfig.enabled",
        "configurationEx.drsConfig.defaultVmBehavior",
        "configurationEx.dpmConfigInfo.enabled",
        "configurationEx.infraUpdateHaConfig.enabled",
    ];

    pub(super) fn of(found: &Found) -> Result<Self, Broken> {
        let on = |path: &str| Ok(found.truth(path)?.unwrap_or(false));
        let mut acts_itself = Vec::new();
        let behaviour = found.text("configurationEx.drsConfig.defaultVmBehavior");
        // The default of the API (*DrsBehavior*).
        let behaviour = behaviour.unwrap_or("fullyAutomated");
        if on("configurationEx.drsConfig.enabled")? && behaviour == "fullyAutomated" {
            acts_itself.push("DRS moves machines".to_owned());
        }
        if on("configurationEx.dpmConfigInfo.enabled")? {
            acts_itself.push("DPM switches hosts off and on".to_owned());
        }
        if on("configurationEx.infraUpdateHaConfig.enabled")? {
            acts_itself
                .push("Proactive HA puts hosts into quarantine or maintenance mode".to_owned());
        }
        Ok(Self {
            by_image: found.truth("lifecycleManaged")?,
            acts_itself,
        })
    }
}

impl VCenter {
    pub(super) async fn hosts_looked_at(
        &self,
        cluster: &MoRef,
        names: &Names,
        at: Timestamp,
        seen: &mut Seen,
    ) -> Result<Vec<HostCheckup>> {
        const WANTED: Wanted = Wanted {
            kind: "HostSystem",
            paths: &[
                "runtime.connectionState",
                "runtime.inMaintenanceMode",
                "runtime.bootTime",
                "config.product.fullName",
                "config.network.dnsConfig.address",
                "config.dateTimeInfo.ntpConfig.server",
                "config.authenticationManagerInfo.authConfig",
                paths::UNITS,
            ],
        };
        let read = self
            .collect(cluster, WANTED, Vec::new, |all, found| {
                let id = names.host(&found.object);
                all.push((host(id, &found, at)?, relies_on(&found)));
                Ok(())
            })
            .await?;
        let (hosts, relies): (Vec<HostCheckup>, Vec<_>) = read.into_iter().unzip();
        for (host, relies) in hosts.iter().zip(relies) {
            for (kind, name) in relies {
                seen.relies(&host.id, kind, name);
            }
        }
        Ok(hosts)
    }

    /// All snapshots of a cluster's machines; the addresses of those are noted by the way.
    pub(super) async fn snapshots(
        &self,
        cluster: &MoRef,
        names: &Names,
        at: Timestamp,
        seen: &mut Seen,
    ) -> Result<Vec<OldSnapshot>> {
        const WANTED: Wanted = Wanted {
            kind: "VirtualMachine",
            paths: &[
                "guest.hostName",
                "guest.ipAddress",
                "snapshot.rootSnapshotList",
            ],
        };
        let read = self
            .collect(cluster, WANTED, Vec::new, |all, found| {
                let Some(vm) = names.machine(&found.object) else {
                    return Ok(());
                };
                let mut snapshots = Vec::new();
                for root in children(&found, "snapshot.rootSnapshotList") {
                    older(root, &vm, at, &mut snapshots)?;
                }
                let known = ["guest.hostName", "guest.ipAddress"];
                let known = known.map(|path| found.text(path).map(str::to_owned));
                all.push((vm, known, snapshots));
                Ok(())
            })
            .await?;
        let mut all = Vec::new();
        for (vm, known, snapshots) in read {
            for name in known.into_iter().flatten() {
                seen.machine(name, &vm);
            }
            all.extend(snapshots);
        }
        Ok(all)
    }

    /// Enabled tasks that the vCenter begins by itself, or why they cannot be seen.
    pub(super) async fn scheduled(&self) -> Result<Result<Vec<Scheduled>, String>> {
        let Some(manager) = &self.service().scheduled else {
            return Ok(Err("this vCenter names no manager of them".to_owned()));
        };
        let of = Of::object(manager, &["scheduledTask"]).and_each(
            "scheduledTask",
            "ScheduledTask",
            &["info.name", "info.enabled", "info.action"],
        );
        let found = match self.try_read(&[of]).await? {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        // Some servers answer nothing of what they do not have.
        if !found.iter().any(|object| object.object == *manager) {
            return Ok(Err("this vCenter shows no manager of them".to_owned()));
        }
        let mut all: Vec<Scheduled> = found
            .iter()
            .filter(|task| task.object != *manager)
            // What nobody says is off counts as on.
            .filter(|task| !matches!(task.text("info.enabled"), Some("false" | "0")))
            .map(|task| {
                let action = task.get("info.action");
                let kind = action.and_then(|action| action.kind.as_deref());
                Scheduled {
                    name: task.text("info.name").unwrap_or(&task.object.id).to_owned(),
                    calls: action
                        .and_then(|action| action.text_of("name"))
                        .or(kind)
                        .unwrap_or("nobody says what")
                        .to_owned(),
                }
            })
            .collect();
        all.sort_by(|a, b| (&a.name, &a.calls).cmp(&(&b.name, &b.calls)));
        Ok(Ok(all))
    }
}

fn host(id: ComponentId, found: &Found, at: Timestamp) -> Result<HostCheckup, Broken> {
    let booted = found.text("runtime.bootTime");
    Ok(HostCheckup {
        id,
        version: found.text("config.product.fullName").map(str::to_owned),
        booted: booted.map(time).transpose()?,
        connected: found.text("runtime.connectionState") == Some("connected"),
        in_maintenance: found.truth("runtime.inMaintenanceMode")?.unwrap_or(true),
        paths: paths::of_found(found, at).as_ref().map(Paths::of),
    })
}

pub(crate) fn relies_on(found: &Found) -> Vec<(SupportKind, String)> {
    let mut all = Vec::new();
    for (kind, path) in [
        (SupportKind::Dns, "config.network.dnsConfig.address"),
        (SupportKind::Ntp, "config.dateTimeInfo.ntpConfig.server"),
    ] {
        let named = children(found, path).iter().map(|name| &*name.text);
        all.extend(
            named
                .filter(|name| !name.is_empty())
                .map(|name| (kind, name.to_owned())),
        );
    }
    let stores = children(found, "config.authenticationManagerInfo.authConfig");
    all.extend(
        stores
            .iter()
            .filter_map(|store| store.text_of("joinedDomain"))
            .map(|domain| (SupportKind::Domain, domain.to_owned())),
    );
    all
}

/// A snapshot and those that were made on top of it.
fn older(
    snapshot: &Element,
    vm: &ComponentId,
    at: Timestamp,
    all: &mut Vec<OldSnapshot>,
) -> Result<(), Broken> {
    let made = time(snapshot.need("createTime")?)?;
    all.push(OldSnapshot {
        vm: vm.clone(),
        name: snapshot.text_of("name").unwrap_or_default().to_owned(),
        hours: (at.as_second() - made.as_second()) / 3600,
    });
    for child in snapshot.all("childSnapshotList") {
        older(child, vm, at, all)?;
    }
    Ok(())
}

fn children<'a>(found: &'a Found, path: &str) -> &'a [Element] {
    found
        .get(path)
        .map(|list| &*list.children)
        .unwrap_or_default()
}

pub(super) fn time(text: &str) -> Result<Timestamp, Broken> {
    text.parse().map_err(|_| Broken::NotA {
        what: "time",
        name: "a time".to_owned(),
        found: text.to_owned(),
    })
}
