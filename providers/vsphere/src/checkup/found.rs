//! What hosts rely on, and which machines of the vCenter that is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use patchcore::id::ComponentId;

use super::{Support, SupportKind};

/// Gathered over all clusters: the domain controller of one may run in another.
#[derive(Debug, Default)]
pub(super) struct Seen {
    relies: BTreeMap<(SupportKind, String), BTreeSet<ComponentId>>,
    /// By name or address, in lower case.
    machines: HashMap<String, ComponentId>,
}

impl Seen {
    pub(super) fn relies(&mut self, host: &ComponentId, kind: SupportKind, name: String) {
        let hosts = self.relies.entry((kind, name)).or_default();
        hosts.insert(host.clone());
    }

    pub(super) fn machine(&mut self, name: String, vm: &ComponentId) {
        self.machines.insert(name.to_ascii_lowercase(), vm.clone());
    }

    pub(super) fn supports(self) -> Vec<Support> {
        let machines = self.machines;
        self.relies
            .into_iter()
            .map(|((kind, name), hosts)| Support {
                kind,
                machine: machines.get(&name.to_ascii_lowercase()).cloned(),
                hosts: hosts.into_iter().collect(),
                name,
            })
            .collect()
    }
}
