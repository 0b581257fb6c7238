//! Which number a name has.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use super::cluster::Cluster;

/// The places of hosts and machines in the cluster's lists. Looked up, never iterated.
#[derive(Debug)]
pub(super) struct Names<'c> {
    hosts: HashMap<&'c str, usize, Seeded>,
    vms: HashMap<&'c str, usize, Seeded>,
}

/// Hashes names of a few bytes faster than the standard library does; a seed of its own in each process keeps who
/// writes the names from choosing those that collide.
#[derive(Debug, Clone, Copy)]
struct Seeded(u64);

#[derive(Debug)]
struct Folded(u64);

impl BuildHasher for Seeded {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

impl Folded {
    fn fold(&mut self, word: u64) {
        // The fraction of the golden ratio: odd, and without a pattern.
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(product >> 64).unwrap_or(0);
        self.0 = low ^ high;
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
        self.fold(bytes.len() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<'c> Names<'c> {
    /// Where a name stands twice, the first one has it.
    pub(super) fn of(cluster: &'c Cluster) -> Self {
        let seed = Seeded(RandomState::new().hash_one(cluster.vms.len()));
        let mut hosts = HashMap::with_capacity_and_hasher(cluster.hosts.len(), seed);
        for (at, host) in cluster.hosts.iter().enumerate() {
            hosts.entry(host.id.as_str()).or_insert(at);
        }
        let mut vms = HashMap::with_capacity_and_hasher(cluster.vms.len(), seed);
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
