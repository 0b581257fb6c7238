//! Open hosts by how much of them is free.

use std::collections::BTreeSet;

use super::{ground::short, state::State};

/// Hosts that may take machines, the fullest first.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    by_free: BTreeSet<(u32, u32)>,
    free: Vec<u32>,
    /// How many hosts are tried for one machine at most: beyond a few hundred hosts, looking at all costs more than
    /// it finds.
    tries: usize,
}

const ABSENT: u32 = u32::MAX;

impl Pool {
    pub(super) fn new(hosts: usize) -> Self {
        Self {
            by_free: BTreeSet::new(),
            free: vec![ABSENT; hosts],
            tries: if hosts <= 300 { hosts } else { 48 },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_free.len()
    }

    pub(super) fn add(&mut self, state: &State<'_>, host: usize) {
        self.remove(host);
        self.free[host] = state.free(host);
        self.by_free.insert((self.free[host], short(host)));
    }

    pub(super) fn remove(&mut self, host: usize) {
        if self.free[host] != ABSENT {
            self.by_free.remove(&(self.free[host], short(host)));
            self.free[host] = ABSENT;
        }
    }

    /// Looks at a host again whose room has changed.
    pub(super) fn refresh(&mut self, state: &State<'_>, host: usize) {
        if self.free[host] != ABSENT {
            self.add(state, host);
        }
    }

    /// The host with the most room that a machine fits.
    pub(super) fn emptiest(&self, state: &State<'_>, vm: usize, room: &[u64]) -> Option<usize> {
        let hosts = self.by_free.iter().rev().map(|(_, host)| *host as usize);
        // Hosts that rules forbid do not count as tried.
        let may = hosts.filter(|host| state.may(vm, *host));
        may.take(self.tries)
            .find(|host| state.fits(vm, *host, room))
    }

    /// The host with the least room that a machine fits.
    pub(super) fn fullest(&self, state: &State<'_>, vm: usize, room: &[u64]) -> Option<usize> {
        let all = self.by_free.iter();
        let hosts = all.map(|(_, host)| *host as usize);
        if self.tries >= self.free.len() {
            return hosts.into_iter().find(|host| state.fits(vm, *host, room));
        }
        // Nearly full hosts are skipped in one go: what is free there is less than this machine's share.
        let share = state.share(vm);
        let hosts = self.by_free.range((share, 0)..);
        let hosts = hosts.map(|(_, host)| *host as usize);
        let may = hosts.filter(|host| state.may(vm, *host));
        may.take(self.tries)
            .find(|host| state.fits(vm, *host, room))
    }
}
