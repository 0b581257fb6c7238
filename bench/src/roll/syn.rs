//! Clusters of identical hosts with an assumed mix of enterprise machines, from a seed.

use patchcore::plan::roll::{Cluster, Ha, Host, Level, Migration, PatchTime, Rule, Vm};

use super::twister::Twister;

/// vCPUs, GB, weight.
const SIZES: [(u32, u32, u32); 10] = [
    (1, 2, 8),
    (2, 4, 22),
    (2, 8, 20),
    (4, 8, 10),
    (4, 16, 18),
    (8, 16, 4),
    (8, 32, 10),
    (16, 64, 5),
    (16, 128, 2),
    (32, 256, 1),
];
/// GB and vCPUs, overcommitted, of each host.
pub(crate) const CAP: (u32, u32) = (768, 448);

/// One cluster.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) hosts: usize,
    /// GB and vCPUs of each host.
    pub(crate) has: (u32, u32),
    /// GB and vCPUs of each machine.
    pub(crate) req: Vec<(u32, u32)>,
    pub(crate) pos: Vec<usize>,
    pub(crate) grp: Vec<Option<usize>>,
}

impl Instance {
    pub(crate) fn generate(hosts: usize, util: f64, seed: u32) -> Self {
        Self::with(hosts, CAP, util, seed)
    }

    /// One with hosts of another size.
    pub(crate) fn with(hosts: usize, has: (u32, u32), util: f64, seed: u32) -> Self {
        let mut r = Twister::new(seed);
        let target: Vec<f64> = (0..hosts)
            .map(|_| (util * (1.0 + r.uniform(-0.12, 0.12))).clamp(0.05, 0.97))
            .collect();
        let mean = target.iter().sum::<f64>() / hosts as f64;
        let target: Vec<f64> = target.iter().map(|t| (t * util / mean).min(0.97)).collect();
        let weights = SIZES.map(|(_, _, weight)| weight);
        let mut this = Self {
            hosts,
            has,
            req: Vec::new(),
            pos: Vec::new(),
            grp: Vec::new(),
        };
        for (host, target) in target.iter().enumerate() {
            let (mut memory, mut cpus) = (0, 0);
            loop {
                let (vcpu, gb, _) = SIZES[r.weighted(&weights)];
                if f64::from(memory + gb) > target * f64::from(has.0) {
                    if gb <= 4 || r.random() < 0.3 {
                        break;
                    }
                    continue;
                }
                if f64::from(cpus + vcpu) > 0.97 * f64::from(has.1) {
                    break;
                }
                memory += gb;
                cpus += vcpu;
                this.req.push((gb, vcpu));
                this.pos.push(host);
                this.grp.push(None);
            }
        }
        this.groups(&mut r);
        this
    }

    /// Groups of two to four machines on different hosts.
    fn groups(&mut self, r: &mut Twister) {
        let mut ids: Vec<usize> = (0..self.req.len()).collect();
        r.shuffle(&mut ids);
        let (mut group, mut i) = (0, 0);
        while (i as f64) < 0.15 * ids.len() as f64 {
            let size = [2, 2, 3, 4][r.below(4)].min(self.hosts - 1);
            let mut members: Vec<usize> = Vec::new();
            while members.len() < size && i < ids.len() {
                let vm = ids[i];
                i += 1;
                if members.iter().all(|other| self.pos[*other] != self.pos[vm]) {
                    members.push(vm);
                }
            }
            if members.len() > 1 {
                for vm in members {
                    self.grp[vm] = Some(group);
                }
                group += 1;
            }
        }
    }

    /// All memory, in GB.
    pub(crate) fn all_gb(&self) -> u64 {
        self.req.iter().map(|(gb, _)| u64::from(*gb)).sum()
    }

    /// The most hosts that sums let be closed while `failures` of the others may fail.
    pub(crate) fn at_once(&self, failures: u32) -> usize {
        let demand =
            |of: fn(&(u32, u32)) -> u32| -> u64 { self.req.iter().map(|r| u64::from(of(r))).sum() };
        let (memory, cpus) = (demand(|r| r.0), demand(|r| r.1));
        let fits = |closed: usize| {
            let left = (self.hosts - closed) as i64 - i64::from(failures);
            left * i64::from(self.has.0) >= memory as i64
                && left * i64::from(self.has.1) >= cpus as i64
        };
        (1..=self.hosts)
            .take_while(|closed| fits(*closed))
            .last()
            .unwrap_or(0)
    }

    /// How many host failures are reserved for: one where that is possible at all.
    pub(crate) fn failures(&self) -> u32 {
        u32::from(self.at_once(1) >= 1)
    }

    pub(crate) fn cluster(&self, failures: u32) -> Cluster {
        let mut cluster = Cluster::new(["memory_gb", "vcpu"]);
        cluster.patch_time = Some(PatchTime {
            p50_s: 1200,
            p95_s: 1800,
        });
        cluster.migration = Some(Migration {
            in_slots: 4,
            out_slots: 4,
            mib_per_s: 640,
        });
        cluster.limits.ha = match failures {
            0 => Ha::None,
            failures => Ha::Failures(failures),
        };
        for host in 0..self.hosts {
            let room = [u64::from(self.has.0), u64::from(self.has.1)];
            cluster.hosts.push(Host::new(format!("h{host}"), room));
        }
        let count = self.grp.iter().flatten().max().map_or(0, |most| most + 1);
        let mut groups = vec![Vec::new(); count];
        for (at, (gb, vcpu)) in self.req.iter().enumerate() {
            let id = format!("v{at}");
            let demand = [u64::from(*gb), u64::from(*vcpu)];
            let host = format!("h{}", self.pos[at]);
            if let Some(group) = self.grp[at] {
                groups[group].push(id.as_str().into());
            }
            cluster
                .vms
                .push(Vm::new(id, host, demand, u64::from(*gb) * 1024));
        }
        cluster.rules = groups
            .into_iter()
            .map(|vms| Rule::AntiAffinity {
                vms,
                level: Level::Host,
                max_per: 1,
                soft: None,
            })
            .collect();
        cluster
    }
}
