//! What is kept free for hosts that fail, judged at each close from the world's own log: it knows nothing of the roll,
//! of its checker or of what the engine believed then.

use std::collections::BTreeSet;

use patchcore::{
    id::ComponentId,
    plan::roll::{Cluster, Ha},
    sim::{ClusterChange, ClusterEntry},
};

/// What the closes of a log come to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Closes {
    /// How many there were.
    pub(crate) all: u32,
    /// After how many of them the reserve allows none more.
    pub(crate) last: u32,
    /// Each that used the reserve up.
    pub(crate) faults: Vec<String>,
}

/// Judges every close that a log tells of. A host counts from the moment at which it takes no machine any more, by
/// whomever, and as long as it is down.
pub(crate) fn closes(cluster: &Cluster, log: &[ClusterEntry]) -> Closes {
    let mut found = Closes::default();
    let mut shut: BTreeSet<&ComponentId> = BTreeSet::new();
    let mut down: BTreeSet<&ComponentId> = BTreeSet::new();
    for entry in log {
        match &entry.change {
            ClusterChange::EntersMaintenance { host } | ClusterChange::InMaintenance { host }
                if shut.insert(host) && !down.contains(host) =>
            {
                let is_open = |id: &ComponentId| !shut.contains(id) && !down.contains(id);
                found.all += 1;
                found.last += u32::from(lacks(cluster, is_open, 1).is_some());
                if let Some(lacks) = lacks(cluster, is_open, 0) {
                    let fault = format!("{}: {host} was closed: {lacks}", entry.at);
                    found.faults.push(fault);
                }
            }
            ClusterChange::LeftMaintenance { host } => {
                shut.remove(host);
            }
            ClusterChange::Down { host } => {
                down.insert(host);
            }
            ClusterChange::Up { host } => {
                down.remove(host);
            }
            _ => {}
        }
    }
    found
}

/// What the open hosts lack for all machines when as many of them fail as is reserved for, and so many more.
fn lacks(cluster: &Cluster, is_open: impl Fn(&ComponentId) -> bool, more: usize) -> Option<String> {
    let Ha::Failures(failures) = cluster.limits.ha else {
        return None;
    };
    (0..cluster.resources.len()).find_map(|of| {
        let open = cluster.hosts.iter().filter(|host| is_open(&host.id));
        let mut rooms: Vec<u64> = open.map(|host| host.capacity[of].unwrap()).collect();
        rooms.sort_unstable();
        rooms.truncate(rooms.len().saturating_sub(failures as usize + more));
        let room: u64 = rooms.iter().sum();
        let demand: u64 = cluster.vms.iter().map(|vm| vm.demand[of].unwrap()).sum();
        let name = &cluster.resources[of];
        (demand > room).then(|| {
            format!("when {failures} more failed there would be {room} {name} for {demand}")
        })
    })
}
