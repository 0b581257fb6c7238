//! Which number a name has.

use std::collections::HashMap;

use super::cluster::Cluster;

/// The places of hosts and machines in the cluster's lists. Looked up, never iterated.
#[derive(Debug)]
pub(super) struct Names<'c> {
    hosts: HashMap<&'c str, usize>,
    vms: HashMap<&'c str, usize>,
}

impl<'c> Names<'c> {
    /// Where a name stands twice, the first one has it.
    pub(super) fn of(cluster: &'c Cluster) -> Self {
        let mut hosts = HashMap::with_capacity(cluster.hosts.len());
        for (at, host) in cluster.hosts.iter().enumerate() {
            hosts.entry(host.id.as_str()).or_insert(at);
        }
        let mut vms = HashMap::with_capacity(cluster.vms.len());
        for (at, vm) in cluster.vms.iter().enumerate() {
            vms.entry(vm.id.as_str()).or_insert(at);
        }
        Self { hosts, vms }
    }

    pub(super) fn host(&self, name: &str) -> Option<usize> {
        self.hosts.get(name).copied()
    }

    pub(super) fn vm(&self, name: &str) -> Option<usize> {
        self.vms.get(name).copied()
    }
}
