//! What is around the hosts of a cluster: the machines that run on them, and who they ask for names and logins.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Result,
    estate::{Identity, IdentityKind},
};

use crate::{
    checkup::{SupportKind, relies_on},
    client::{
        Found, VCenter, Wanted,
        soap::{Broken, Element, MoRef},
    },
};

/// From this version of the virtual hardware on a guest reads its UUID by SMBIOS 2.7.
const SWAPS_SINCE: u32 = 13;

/// A machine, as far as other providers may know it too.
#[derive(Debug)]
pub(super) struct MachineAround {
    pub(super) object: MoRef,
    pub(super) host: Option<MoRef>,
    /// What its system reads of its firmware; none where the vCenter does not say, or says it of several.
    pub(super) bios_uuid: Option<Identity>,
    /// Names and addresses of its system, in lower case.
    pub(super) known_as: BTreeSet<String>,
}

/// What is around the hosts of a cluster.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) machines: Vec<MachineAround>,
    /// Whom hosts rely on, by name or address in lower case.
    pub(super) relies: BTreeMap<(SupportKind, String), Vec<MoRef>>,
}

impl VCenter {
    /// What is around the hosts of a cluster.
    pub(super) async fn around(&self, cluster: &MoRef) -> Result<Around> {
        const MACHINES: Wanted = Wanted {
            kind: "VirtualMachine",
            paths: &[
                "runtime.host",
                "summary.config.template",
                "config.uuid",
                "config.version",
                "guest.hostName",
                "guest.ipAddress",
            ],
        };
        const HOSTS: Wanted = Wanted {
            kind: "HostSystem",
            paths: &[
                "config.network.dnsConfig.address",
                "config.authenticationManagerInfo.authConfig",
            ],
        };
        let machines = self.collect(cluster, MACHINES, Vec::new, |all, found| {
            all.extend(machine(&found)?);
            Ok(())
        });
        let mut machines: Vec<MachineAround> = machines.await?;
        only_of_one(&mut machines);
        let relies = self.collect(cluster, HOSTS, BTreeMap::new, |all, found| {
            for (kind, name) in relies_on(&found) {
                let hosts: &mut Vec<MoRef> =
                    all.entry((kind, name.to_ascii_lowercase())).or_default();
                hosts.push(found.object.clone());
            }
            Ok(())
        });
        Ok(Around {
            machines,
            relies: relies.await?,
        })
    }
}

/// None for a template, which never runs.
fn machine(found: &Found) -> Result<Option<MachineAround>, Broken> {
    if found.truth("summary.config.template")? == Some(true) {
        return Ok(None);
    }
    let known = ["guest.hostName", "guest.ipAddress"];
    let known = known.iter().filter_map(|path| found.text(path));
    let uuid = found.text("config.uuid").zip(found.text("config.version"));
    Ok(Some(MachineAround {
        host: found.get("runtime.host").map(Element::moref).transpose()?,
        bios_uuid: uuid
            .and_then(|(uuid, hardware)| as_read_inside(uuid, hardware))
            .map(|uuid| Identity::new(IdentityKind::BiosUuid, &uuid)),
        known_as: known.map(str::to_ascii_lowercase).collect(),
        object: found.object.clone(),
    }))
}

/// The UUID of a machine's firmware as its own system reads it, in `/sys/class/dmi/id/product_uuid`.
///
/// The vCenter says its bytes in their order. Of SMBIOS 2.6 and later a system takes the first three groups for little
/// endian (DMTF DSP0134 §7.2.1), and virtual hardware shows such a version since `vmx-13` (VMware, knowledge base 53609).
fn as_read_inside(uuid: &str, hardware: &str) -> Option<String> {
    let version: u32 = hardware.strip_prefix("vmx-")?.parse().ok()?;
    let groups: Vec<&str> = uuid.trim().split('-').collect();
    let lengths = [8, 4, 4, 4, 12];
    let hex = |group: &&str| group.bytes().all(|b| b.is_ascii_hexdigit());
    if !groups.iter().map(|g| g.len()).eq(lengths) || !groups.iter().all(hex) {
        return None;
    }
    if version < SWAPS_SINCE {
        return Some(uuid.trim().to_ascii_lowercase());
    }
    let swapped = |group: &str| -> String {
        let pairs = group.as_bytes().chunks(2).rev();
        pairs.flatten().map(|byte| char::from(*byte)).collect()
    };
    let read = [
        swapped(groups.first()?),
        swapped(groups.get(1)?),
        swapped(groups.get(2)?),
        (*groups.get(3)?).to_owned(),
        (*groups.get(4)?).to_owned(),
    ];
    Some(read.join("-").to_ascii_lowercase())
}

/// A copy of a machine may have kept its UUID: then it tells none of them from another.
fn only_of_one(machines: &mut [MachineAround]) {
    let mut count: BTreeMap<Identity, u32> = BTreeMap::new();
    for uuid in machines.iter().filter_map(|m| m.bios_uuid.clone()) {
        *count.entry(uuid).or_default() += 1;
    }
    for machine in machines {
        machine.bios_uuid = machine
            .bios_uuid
            .take()
            .filter(|uuid| count.get(uuid) == Some(&1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair that an administrator published: of the vCenter, and of the guest.
    const PAIR: [&str; 2] = [
        "421F245C-7FA8-60FA-6AF6-A46351CED0EB",
        "5C241F42-A87F-FA60-6AF6-A46351CED0EB",
    ];

    #[test]
    fn a_uuid_is_as_the_guest_reads_it() {
        let lower = |text: &str| Some(text.to_ascii_lowercase());
        assert_eq!(as_read_inside(PAIR[0], "vmx-13"), lower(PAIR[1]));
        assert_eq!(as_read_inside(PAIR[0], "vmx-21"), lower(PAIR[1]));
        assert_eq!(as_read_inside(PAIR[0], "vmx-11"), lower(PAIR[0]));
        for (uuid, hardware) in [
            (PAIR[0], ""),
            (PAIR[0], "vmx-"),
            ("", "vmx-13"),
            ("421F245C-7FA8-60FA-6AF6", "vmx-13"),
            ("421F245C-7FA8-60FA-6AF6-A46351CED0Eß", "vmx-13"),
        ] {
            assert_eq!(as_read_inside(uuid, hardware), None, "{uuid} {hardware}");
        }
    }

    #[test]
    fn a_uuid_that_several_have_is_nobodys() {
        let machine = |id: &str, uuid: &str| MachineAround {
            object: MoRef::new("VirtualMachine", id),
            host: None,
            bios_uuid: Some(Identity::new(IdentityKind::BiosUuid, uuid)),
            known_as: BTreeSet::new(),
        };
        let mut all = [
            machine("vm-1", "a"),
            machine("vm-2", "a"),
            machine("vm-3", "b"),
        ];
        only_of_one(&mut all);
        let has: Vec<bool> = all.iter().map(|m| m.bios_uuid.is_some()).collect();
        assert_eq!(has, [false, false, true]);
    }
}
