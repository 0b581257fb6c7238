//! Models of what other tools do with a cluster: one host after the other, or spread without thought of the patch.

use super::{
    sim::{Rule, Sim, Stand},
    syn::Instance,
    twister::Twister,
};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Cluster-Aware Updating: one host at a time, and everything back home after each.
    Cau,
    /// One host at a time to random hosts, and nothing back.
    Random,
    /// One host at a time to the emptiest host, and nothing back.
    MostFree,
    /// Xen Orchestra: one host at a time, and everything back home at the end.
    XenOrchestra,
    /// As many at once as the reserve allows, to the emptiest hosts, patched or not.
    Spread,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Cau,
        Self::Random,
        Self::MostFree,
        Self::XenOrchestra,
        Self::Spread,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cau => "CAU",
            Self::Random => "serial random",
            Self::MostFree => "serial most-free",
            Self::XenOrchestra => "Xen Orchestra",
            Self::Spread => "parallel spread",
        }
    }

    /// Memory moved in GB, and milliseconds; none where it gets stuck.
    pub(crate) fn run(self, instance: &Instance, failures: u32) -> Option<(u64, u64)> {
        let mut sim = Sim::new(instance, failures);
        match self {
            Self::Spread => spread(&mut sim)?,
            _ => serial(&mut sim, self)?,
        }
        Some((sim.gb, sim.ms()))
    }
}

fn serial(sim: &mut Sim<'_>, peer: Peer) -> Option<()> {
    let hosts = sim.instance.hosts;
    let home = sim.pos.clone();
    let mut rule = match peer {
        Peer::Random => Rule::Random(Box::new(Twister::new(1))),
        _ => Rule::MostFree,
    };
    for host in 0..hosts {
        if !sim.may_close() {
            return None;
        }
        let vms: Vec<usize> = sim.on[host].iter().collect();
        let others: Vec<usize> = (0..hosts).filter(|other| *other != host).collect();
        let mut found = sim.pack(&vms, &others, &mut rule);
        if found.is_none() {
            found = sim.pack(&vms, &others, &mut Rule::LeastFree);
        }
        let found = found?;
        sim.close(host);
        for (vm, to) in &found {
            sim.commit(*vm, *to);
        }
        while sim.stand[host] != Stand::Done && sim.step() {}
        if peer == Peer::Cau {
            for (vm, _) in &found {
                back(sim, *vm, host);
            }
            while sim.waits() && sim.step() {}
        }
    }
    if peer == Peer::XenOrchestra {
        for host in std::iter::once(hosts - 1).chain(0..hosts - 1) {
            for (vm, home) in home.iter().enumerate() {
                if *home == host && sim.pos[vm] != host && sim.dst[vm].is_none() {
                    back(sim, vm, host);
                }
            }
            while sim.waits() && sim.step() {}
        }
    }
    Some(())
}

fn back(sim: &mut Sim<'_>, vm: usize, host: usize) {
    if sim.fits(vm, host) {
        sim.take(vm, host);
        sim.commit(vm, host);
    }
}

fn spread(sim: &mut Sim<'_>) -> Option<()> {
    let mut left: Vec<usize> = (0..sim.instance.hosts).collect();
    loop {
        for host in left.clone() {
            if !sim.may_close() {
                continue;
            }
            let open: Vec<usize> = (0..sim.instance.hosts)
                .filter(|other| {
                    *other != host && matches!(sim.stand[*other], Stand::Waits | Stand::Done)
                })
                .collect();
            let vms: Vec<usize> = sim.on[host].iter().collect();
            let still = vms.iter().all(|vm| sim.dst[*vm].is_none()) && !sim.receives(host);
            let found = if still {
                sim.pack(&vms, &open, &mut Rule::MostFree)
            } else {
                None
            };
            let Some(found) = found else { continue };
            left.retain(|other| *other != host);
            sim.close(host);
            for (vm, to) in found {
                sim.commit(vm, to);
            }
        }
        if !sim.step() {
            break;
        }
    }
    left.is_empty().then_some(())
}
