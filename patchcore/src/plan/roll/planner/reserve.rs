//! Whether one more host may be closed.

use std::collections::BTreeMap;

use super::ground::{Ground, short};
use crate::plan::roll::{cluster::HostState, limits::Ha, names::Names, rule::Rule};

/// What the open hosts have, and how many are not open.
#[derive(Debug, Clone)]
pub(super) struct Reserve<'g> {
    ground: &'g Ground<'g>,
    demand: Vec<u64>,
    sum: Vec<u64>,
    open: Vec<BTreeMap<u64, u32>>,
    dedicated: usize,
    limits: Vec<Limit>,
    limits_of: Vec<Vec<u32>>,
    pub(super) closed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    most: u32,
    down: u32,
}

impl<'g> Reserve<'g> {
    pub(super) fn of(ground: &'g Ground<'g>) -> Self {
        let hosts = ground.cluster.hosts.len();
        let limits = &ground.cluster.limits;
        let mut demand = vec![0; ground.dims];
        for vm in ground.demand.chunks_exact(ground.dims) {
            for (sum, amount) in demand.iter_mut().zip(vm) {
                *sum += amount;
            }
        }
        let mut this = Self {
            ground,
            demand,
            sum: vec![0; ground.dims],
            open: vec![BTreeMap::new(); ground.dims],
            dedicated: 0,
            limits: Vec::new(),
            limits_of: vec![Vec::new(); hosts],
            closed: 0,
        };
        if let Some(most) = limits.max_hosts_down {
            this.limit(most, 0..hosts);
        }
        for (most, numbers) in [
            (limits.max_down_per_rack, &ground.rack),
            (limits.max_down_per_site, &ground.site),
        ] {
            let Some(most) = most else { continue };
            let count = numbers.iter().max().map_or(0, |most| *most as usize + 1);
            let mut members = vec![Vec::new(); count];
            for (host, number) in numbers.iter().enumerate() {
                members[*number as usize].push(host);
            }
            for members in members {
                this.limit(most, members);
            }
        }
        let exclusive = |rule: &&Rule| matches!(rule, Rule::Exclusive { .. });
        if ground.cluster.rules.iter().any(|rule| exclusive(&rule)) {
            let names = Names::of(ground.cluster);
            for rule in ground.cluster.rules.iter().filter(exclusive) {
                if let Rule::Exclusive { hosts } = rule {
                    let members = hosts.iter().filter_map(|h| names.host(h.as_str()));
                    this.limit(1, members.collect::<Vec<_>>());
                }
            }
        }
        for host in 0..hosts {
            if ground.cluster.hosts[host].state == HostState::Open {
                this.opens(host);
            } else {
                this.count(host, true);
            }
        }
        this
    }

    fn limit(&mut self, most: u32, members: impl IntoIterator<Item = usize>) {
        let at = short(self.limits.len());
        for host in members {
            self.limits_of[host].push(at);
        }
        self.limits.push(Limit { most, down: 0 });
    }

    fn count(&mut self, host: usize, more: bool) {
        for limit in &self.limits_of[host] {
            let down = &mut self.limits[*limit as usize].down;
            *down = if more { *down + 1 } else { *down - 1 };
        }
    }

    fn opens(&mut self, host: usize) {
        if self.ground.dedicated[host] {
            self.dedicated += 1;
            return;
        }
        for (dim, room) in self.ground.room_of(host).iter().enumerate() {
            self.sum[dim] += room;
            *self.open[dim].entry(*room).or_default() += 1;
        }
    }

    fn shuts(&mut self, host: usize) {
        if self.ground.dedicated[host] {
            self.dedicated -= 1;
            return;
        }
        for (dim, room) in self.ground.room_of(host).iter().enumerate() {
            self.sum[dim] -= room;
            if let Some(count) = self.open[dim].get_mut(room) {
                *count -= 1;
                if *count == 0 {
                    self.open[dim].remove(room);
                }
            }
        }
    }

    /// Whether the host is open as the limits count: not closed before the roll.
    fn counts(&self, host: usize) -> bool {
        self.ground.cluster.hosts[host].state == HostState::Open
    }

    pub(super) fn close(&mut self, host: usize) {
        self.closed += 1;
        if self.counts(host) {
            self.count(host, true);
            self.shuts(host);
        }
    }

    pub(super) fn reopen(&mut self, host: usize) {
        self.closed -= 1;
        self.count(host, false);
        self.opens(host);
    }

    /// Whether all rules of closing still hold with this host closed.
    pub(super) fn may_close(&mut self, host: usize) -> bool {
        let counts = self.counts(host);
        let own = u32::from(counts);
        let within = self.limits_of[host].iter().all(|limit| {
            let limit = &self.limits[*limit as usize];
            limit.down + own <= limit.most
        });
        if !within {
            return false;
        }
        if counts {
            self.shuts(host);
        }
        let holds = self.spare().is_some();
        if counts {
            self.opens(host);
        }
        holds
    }

    /// What stays beyond demand and reserve of the scarcest resource, as amount and resource; none: not enough.
    pub(super) fn spare(&self) -> Option<(u64, usize)> {
        if let Ha::Dedicated { keep, .. } = self.ground.cluster.limits.ha
            && self.dedicated < keep as usize
        {
            return None;
        }
        let mut scarcest: Option<(u128, u64, usize)> = None;
        for dim in 0..self.ground.dims {
            let usable = self.usable(dim);
            let spare = match self.ground.cluster.limits.ha {
                // Nothing is reserved: what fits is for packing to say.
                Ha::None | Ha::Dedicated { .. } => usable.saturating_sub(self.demand[dim]),
                Ha::Failures(_) | Ha::Percent(_) => usable.checked_sub(self.demand[dim])?,
            };
            let share = (u128::from(spare) << 30) / u128::from(usable.max(1));
            if scarcest.is_none_or(|(least, ..)| share < least) {
                scarcest = Some((share, spare, dim));
            }
        }
        scarcest.map(|(_, spare, dim)| (spare, dim))
    }

    /// What demand may use of a resource.
    fn usable(&self, dim: usize) -> u64 {
        match self.ground.cluster.limits.ha {
            Ha::None | Ha::Dedicated { .. } => self.sum[dim],
            Ha::Percent(percent) => {
                super::ground::part(self.sum[dim], u64::from(100 - percent.min(100)) * 10)
            }
            Ha::Failures(hosts) => {
                let mut left = hosts;
                let mut usable = self.sum[dim];
                for (room, count) in self.open[dim].iter().rev() {
                    let fail = left.min(*count);
                    usable -= room * u64::from(fail);
                    left -= fail;
                    if left == 0 {
                        break;
                    }
                }
                usable
            }
        }
    }
}
