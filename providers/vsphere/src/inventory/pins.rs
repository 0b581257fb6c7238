//! Why a machine cannot leave its host while it runs.
//!
//! Conditions of a migration: vCenter Server and Host Management, *Virtual Machine Conditions and Limitations for vMotion*;
//! properties by which they are seen: vSphere Web Services API reference.

use std::{collections::BTreeSet, fmt};

use patchcore::id::ComponentId;

use super::facts::{Datastores, HostFacts, VmFacts};
use crate::client::soap::Element;

/// A machine that stays, and why. The first reason of several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The machine.
    pub vm: ComponentId,
    /// Its host.
    pub host: ComponentId,
    /// Why it stays.
    pub why: WhyPinned,
}

/// Why a machine cannot leave its host while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyPinned {
    /// vCenter has lost its connection to it.
    NotConnected,
    /// It waits for the answer to a question.
    Question,
    /// It runs twice, in lockstep.
    FaultTolerant,
    /// It is bound to certain processors.
    CpuAffinity,
    /// vCenter has disabled this call for it, such as a backup that holds it.
    Disabled {
        /// Such as `MigrateVM_Task`.
        call: String,
    },
    /// A device of its host is passed through to it.
    PassedThrough {
        /// Its label, such as `PCI device 0`.
        device: String,
    },
    /// A medium or port of its host is connected to it.
    Connected {
        /// Its label, such as `CD/DVD drive 1`.
        device: String,
    },
    /// It lies on storage that no other host has.
    LocalStorage {
        /// The datastore's name.
        datastore: String,
    },
    /// Its host cannot migrate machines.
    NoVmotion,
}

impl fmt::Display for WhyPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("vCenter has no connection to it"),
            Self::Question => f.write_str("it waits for the answer to a question"),
            Self::FaultTolerant => f.write_str("it is fault tolerant"),
            Self::CpuAffinity => f.write_str("it is bound to certain processors"),
            Self::Disabled { call } => write!(f, "vCenter has disabled {call} for it"),
            Self::PassedThrough { device } => write!(f, "{device} of its host is passed through"),
            Self::Connected { device } => write!(f, "{device} of its host is connected"),
            Self::LocalStorage { datastore } => {
                write!(f, "no other host has its datastore {datastore}")
            }
            Self::NoVmotion => f.write_str("its host has no network for vMotion"),
        }
    }
}

/// Every reason; none where it can move.
pub(super) fn why(vm: &VmFacts, host: &HostFacts, stores: &Datastores) -> Vec<WhyPinned> {
    const CALLS: [&str; 2] = ["MigrateVM_Task", "RelocateVM_Task"];
    let mut all = Vec::new();
    let mut stays = |stays: bool, why: WhyPinned| {
        if stays {
            all.push(why);
        }
    };
    stays(!vm.connected, WhyPinned::NotConnected);
    stays(vm.question, WhyPinned::Question);
    stays(vm.fault_tolerant, WhyPinned::FaultTolerant);
    stays(vm.cpu_affinity, WhyPinned::CpuAffinity);
    stays(!host.vmotion, WhyPinned::NoVmotion);
    if let Some(call) = CALLS.into_iter().find(|call| vm.disabled.contains(*call)) {
        all.push(WhyPinned::Disabled {
            call: call.to_owned(),
        });
    }
    all.extend(vm.devices.iter().filter_map(|device| held(device, stores)));
    all.extend(local(&vm.datastores, stores));
    all
}

/// The first of its datastores that its host alone may have: one that is not shared, or that cannot be seen.
fn local(datastores: &BTreeSet<Box<str>>, stores: &Datastores) -> Option<WhyPinned> {
    let datastore = datastores.iter().find_map(|id| match stores.0.get(id) {
        Some(store) => (!store.shared).then(|| store.name.clone()),
        None => Some(id.to_string()),
    })?;
    Some(WhyPinned::LocalStorage { datastore })
}

/// Why a device holds its machine.
fn held(device: &Element, stores: &Datastores) -> Option<WhyPinned> {
    let kind = device.kind.as_deref().unwrap_or_default();
    let backing = device.child("backing");
    let of = backing
        .and_then(|backing| backing.kind.as_deref())
        .unwrap_or_default();
    let label = device
        .at(&["deviceInfo", "label"])
        .map_or(kind, |label| &*label.text)
        .to_owned();
    match kind {
        // A DVX device and a virtual GPU are passed through by another backing of the same device.
        "VirtualPCIPassthrough" | "VirtualSriovEthernetCard" => {
            Some(WhyPinned::PassedThrough { device: label })
        }
        "VirtualCdrom"
        | "VirtualFloppy"
        | "VirtualSerialPort"
        | "VirtualParallelPort"
        | "VirtualUSB"
            if is_connected(device) =>
        {
            let of_host = of.contains("Atapi")
                || of.contains("Passthrough")
                || of.contains("HostDevice")
                || of.contains("DeviceBacking");
            let medium = backing.and_then(|backing| backing.child("datastore"));
            let of_host = of_host
                || medium.is_some_and(|store| {
                    stores.0.get(&store.text).is_none_or(|store| !store.shared)
                });
            of_host.then_some(WhyPinned::Connected { device: label })
        }
        _ => None,
    }
}

fn is_connected(device: &Element) -> bool {
    device
        .at(&["connectable", "connected"])
        // What does not say that it is not connected may be.
        .is_none_or(|connected| connected.truth() != Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_that_cannot_be_seen_counts_as_local() {
        let unseen = BTreeSet::from(["datastore-7".into()]);
        let why = local(&unseen, &Datastores::default()).unwrap();
        assert_eq!(
            why.to_string(),
            "no other host has its datastore datastore-7"
        );
        assert_eq!(local(&BTreeSet::new(), &Datastores::default()), None);
    }
}
