//! The cluster of the world: where its machines run, which of its hosts are in maintenance mode, and what it does by
//! itself. It does what it is told; whether that was right is for the judge to say.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result,
    execute::step::Verb,
    id::{ComponentId, OpKey},
    plan::roll::{
        Answer, Cluster, Ha, Host, Migration, Mobility, NonMigratable, Objective, PatchTime, Pin,
        Roll, Vm, Wish, plan,
    },
    provider::{
        Baseline, Blocker, ClusterDrainer, ClusterSetting, ClusterView, DrainRequest,
        DrainerCapabilities, Evidence, HostView, Op, OpContext, PortCall, Readiness, Undo, VmPower,
        VmView,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    axes::Class,
    brackets::{Asks, Wanted},
    stepper::Port,
    world::World,
};

/// The cluster, and who drains it.
pub(crate) const CLUSTER: &str = "c";
pub(crate) const DRAINER: &str = "manager";

/// The hosts of the small one, which are guests of the world, and those of the large one.
pub(crate) const HOSTS: [&str; 2] = ["a", "b"];
pub(crate) const EIGHT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A machine that moves, and one that is shut down for the patch of its host.
pub(crate) const MOVES: &str = "v-1";
pub(crate) const PINNED: &str = "v-2";

/// The words of a setting.
pub(crate) const AUTOMATIC: &str = "automatic";
const HELD: &str = "off";

const MEM_MIB: u64 = 4096;

impl Asks for DrainRequest {
    fn call(&self) -> PortCall {
        PortCall::Drain {
            by: DRAINER.into(),
            request: self.clone(),
        }
    }
}

impl Wanted for DrainRequest {
    fn undo(op: &Op<Self>) -> Undo<Self> {
        let taken = op.key.clone();
        match op.request.clone() {
            Self::HoldSetting {
                cluster, setting, ..
            } => match op.baseline.read::<Before>(1) {
                Ok(Before { setting: to, .. }) => Undo::By(Self::RestoreSetting {
                    cluster,
                    setting,
                    to,
                    taken,
                }),
                Err(error) => Undo::Unavailable { why: error.chain() },
            },
            Self::ShutDown { vm, host, .. } => Undo::By(Self::Start { vm, host, taken }),
            Self::EnterMaintenance { host } => Undo::By(Self::ExitMaintenance { host, taken }),
            _ => Undo::Nothing,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Before {
    setting: String,
    at: patchcore::Timestamp,
}

/// Two hosts, each with one machine, as the planner takes them.
pub(crate) fn of_two() -> Cluster {
    let mut cluster = hosts(&HOSTS);
    cluster.vms = vec![machine(MOVES, "a"), pinned(PINNED, "b")];
    cluster.limits.max_hosts_down = Some(1);
    // With two hosts the one that is up is all there is.
    cluster.limits.ha = Ha::Failures(0);
    cluster
}

/// Eight hosts with three machines each, two of which are shut down for the patch of their hosts.
pub(crate) fn of_eight() -> Cluster {
    let mut cluster = hosts(&EIGHT);
    cluster.vms = EIGHT
        .into_iter()
        .flat_map(|host| [1, 2, 3].map(|n| (host, format!("{host}-{n}"))))
        .map(|(host, vm)| match vm.as_str() {
            "c-1" | "f-2" => pinned(&vm, host),
            _ => machine(&vm, host),
        })
        .collect();
    cluster.limits.max_hosts_down = Some(2);
    cluster
}

fn hosts(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(["memory_gib"]);
    cluster.hosts = names.iter().map(|host| Host::new(*host, [24])).collect();
    cluster.patch_time = Some(PatchTime {
        p50_s: 600,
        p95_s: 1200,
    });
    cluster.migration = Some(Migration {
        in_slots: 1,
        out_slots: 1,
        mib_per_s: 640,
    });
    cluster
}

fn machine(vm: &str, host: &str) -> Vm {
    Vm::new(vm, host, [4], MEM_MIB)
}

fn pinned(vm: &str, host: &str) -> Vm {
    let mut vm = machine(vm, host);
    vm.mobility = Mobility::Pinned(Pin {
        reason: "passes a GPU through".to_owned(),
        policy: Some(NonMigratable::ShutdownRestart),
    });
    vm
}

/// The roll of a cluster, by the planner and its checker.
pub(crate) fn roll(cluster: &Cluster) -> Roll {
    match plan(cluster, &Wish::new(Objective::default()), &|| false) {
        Ok(Answer::Planned(planned)) => planned.best.into_roll(),
        other => panic!("the clusters of the matrix can be rolled: {other:?}"),
    }
}

/// One machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) host: ComponentId,
    /// The operation that shut it down; none while it runs.
    pub(crate) stopped_by: Option<OpKey>,
    /// The operations that moved it.
    pub(crate) moved_by: BTreeSet<OpKey>,
}

/// The cluster as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drained {
    hosts: Vec<ComponentId>,
    /// Hosts in maintenance mode, by which operation.
    pub(crate) closed: BTreeMap<ComponentId, OpKey>,
    pub(crate) machines: BTreeMap<ComponentId, Machine>,
    /// Settings that are held, by which operation.
    pub(crate) held: BTreeMap<ClusterSetting, OpKey>,
    /// Operations on whom ended half-way.
    torn: BTreeMap<ComponentId, Verb>,
    /// What must never be so, and was.
    pub(crate) wrong: BTreeSet<String>,
}

impl Drained {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let machine = |vm: &Vm| {
            let machine = Machine {
                host: vm.host.clone(),
                stopped_by: None,
                moved_by: BTreeSet::new(),
            };
            (vm.id.clone(), machine)
        };
        Self {
            hosts: cluster.hosts.iter().map(|host| host.id.clone()).collect(),
            machines: cluster.vms.iter().map(machine).collect(),
            ..Self::default()
        }
    }

    fn setting(&self, setting: ClusterSetting) -> &'static str {
        match self.held.contains_key(&setting) {
            true => HELD,
            false => AUTOMATIC,
        }
    }

    /// Whether it is as a request wants it.
    pub(crate) fn holds(&self, request: &DrainRequest) -> bool {
        let runs = |vm: &ComponentId| self.machines[vm].stopped_by.is_none();
        match request {
            DrainRequest::HoldSetting { setting, .. } => self.held.contains_key(setting),
            DrainRequest::RestoreSetting { setting, to, .. } => self.setting(*setting) == to,
            DrainRequest::Migrate { vm, to, .. } => self.machines[vm].host == *to,
            DrainRequest::ShutDown { vm, .. } => !runs(vm),
            DrainRequest::Start { vm, .. } => runs(vm),
            DrainRequest::EnterMaintenance { host } => self.closed.contains_key(host),
            DrainRequest::ExitMaintenance { host, .. } => !self.closed.contains_key(host),
            _ => panic!("the cluster of the world does not know {request:?}"),
        }
    }

    /// Where everything is, for an end that is compared.
    pub(crate) fn end(&self) -> Vec<String> {
        let machines = self.machines.iter();
        machines
            .map(|(vm, machine)| format!("{vm} on {}", machine.host))
            .collect()
    }
}

impl World {
    /// How a request to the drainer finds what is there; none where it can begin.
    pub(crate) fn drain_stands(&self, request: &DrainRequest) -> Option<Readiness> {
        if self.cluster.holds(request) {
            let saw = Evidence::observed(self.now, "it is so already");
            return Some(Readiness::AlreadyHolds(saw));
        }
        let DrainRequest::EnterMaintenance { host } = request else {
            return None;
        };
        let failure = |vm: &ComponentId| {
            let error = Error::new(ErrorKind::PlanDrift, format!("{vm} runs on {host}"));
            Failure::from(&error)
        };
        let blockers: Vec<Blocker> = self
            .running_on(host)
            .map(|vm| Blocker {
                failure: failure(vm),
                passes: false,
                holder: None,
            })
            .collect();
        (!blockers.is_empty()).then_some(Readiness::Blocked(blockers))
    }

    /// What it was before.
    pub(crate) fn drain_before(&self, request: &DrainRequest) -> Result<Baseline> {
        let setting = match request {
            DrainRequest::HoldSetting { setting, .. } => self.cluster.setting(*setting),
            _ => "",
        };
        let before = Before {
            setting: setting.to_owned(),
            at: self.now,
        };
        Baseline::new(1, &before)
    }

    fn running_on<'a>(&'a self, host: &'a ComponentId) -> impl Iterator<Item = &'a ComponentId> {
        let machines = self.cluster.machines.iter();
        let here = machines.filter(move |(_, m)| m.host == *host && m.stopped_by.is_none());
        here.map(|(vm, _)| vm)
    }

    /// An operation of the drainer is over; false where it failed.
    pub(crate) fn drain_done(&mut self, key: &OpKey, request: &DrainRequest, fails: bool) -> bool {
        let (cluster, subject) = (&mut self.cluster, request.subject());
        if fails {
            let verb = Verb::of(&request.call());
            cluster.torn.insert(subject.clone(), verb);
            return false;
        }
        cluster.torn.remove(subject);
        match request {
            DrainRequest::HoldSetting { setting, .. } => {
                cluster.held.insert(*setting, key.clone());
            }
            DrainRequest::RestoreSetting { setting, .. } => {
                cluster.held.remove(setting);
            }
            DrainRequest::EnterMaintenance { host } => {
                cluster.closed.insert(host.clone(), key.clone());
            }
            DrainRequest::ExitMaintenance { host, .. } => {
                cluster.closed.remove(host);
            }
            DrainRequest::Migrate { vm, to, .. } => {
                if let Some(machine) = cluster.machines.get_mut(vm) {
                    machine.host = to.clone();
                    machine.moved_by.insert(key.clone());
                }
            }
            DrainRequest::ShutDown { vm, .. } => {
                if let Some(machine) = cluster.machines.get_mut(vm) {
                    machine.stopped_by = Some(key.clone());
                }
            }
            DrainRequest::Start { vm, .. } => {
                if let Some(machine) = cluster.machines.get_mut(vm) {
                    machine.stopped_by = None;
                }
            }
            _ => panic!("the cluster of the world does not know {request:?}"),
        }
        true
    }

    /// Whether an operation on somebody ended half-way.
    pub(crate) fn is_torn(&self, request: &DrainRequest) -> bool {
        let verb = Verb::of(&request.call());
        self.cluster.torn.get(request.subject()) == Some(&verb)
    }

    fn drains(&self) -> impl Iterator<Item = &DrainRequest> {
        let at_work = self.jobs.iter().filter(|job| !job.over);
        at_work.filter_map(|job| match &job.request {
            PortCall::Drain { request, .. } => Some(request),
            _ => None,
        })
    }

    /// Hosts that take no machines: in maintenance mode, or on their way there.
    pub(crate) fn closed_now(&self) -> BTreeSet<ComponentId> {
        let enters = self.drains().filter_map(|request| match request {
            DrainRequest::EnterMaintenance { host } => Some(host),
            _ => None,
        });
        self.cluster.closed.keys().chain(enters).cloned().collect()
    }

    /// Notes what must never be so: a machine that runs on a host that is closed or worked on, or moves there.
    pub(crate) fn watch_machines(&mut self) {
        if self.cluster.machines.is_empty() {
            return;
        }
        let closed = self.closed_now();
        let out = self.out_now();
        let moving = self.drains().filter_map(|request| match request {
            DrainRequest::Migrate { vm, to, .. } => Some((vm, to)),
            _ => None,
        });
        let mut wrong: Vec<String> = moving
            .filter(|(_, to)| out.contains(*to))
            .map(|(vm, to)| format!("{vm} moves to {to}, which does not stay up"))
            .collect();
        for host in closed.iter().chain(&out) {
            let running = self.running_on(host);
            wrong.extend(running.map(|vm| format!("{vm} runs on {host}, which is closed or out")));
        }
        let now = self.now;
        let wrong = wrong.into_iter().map(|what| format!("{now}: {what}"));
        self.cluster.wrong.extend(wrong);
    }

    fn view(&self) -> ClusterView {
        let closed = self.closed_now();
        let hosts = self.cluster.hosts.iter().map(|host| {
            let view = HostView {
                responds: !self.is_restarting(host),
                maintenance: closed.contains(host),
            };
            (host.clone(), view)
        });
        let machines = self.cluster.machines.iter().map(|(id, machine)| {
            let moving_to = self.drains().find_map(|request| match request {
                DrainRequest::Migrate { vm, to, .. } if vm == id => Some(to.clone()),
                _ => None,
            });
            let view = VmView {
                host: machine.host.clone(),
                power: match machine.stopped_by {
                    Some(_) => VmPower::Off,
                    None => VmPower::On,
                },
                moving_to,
                demand: vec![4],
                mem_mib: MEM_MIB,
            };
            (id.clone(), view)
        });
        ClusterView {
            at: self.now,
            resources: vec!["memory_gib".to_owned()],
            hosts: hosts.collect(),
            vms: machines.collect(),
        }
    }

    fn is_restarting(&self, host: &ComponentId) -> bool {
        let mut at_work = self.jobs.iter().filter(|job| !job.over);
        at_work.any(|job| job.subject == *host && Verb::of(&job.request) == Verb::Reboot)
    }
}

#[async_trait]
impl ClusterDrainer for Port {
    fn capabilities(&self) -> DrainerCapabilities {
        DrainerCapabilities::all()
    }

    async fn view(&self, _: &OpContext, _: &ComponentId) -> Result<ClusterView> {
        self.0.pass(Class::BeforeView).await?;
        let view = self.world(|w| w.view());
        self.0.pass(Class::AfterView).await?;
        Ok(view)
    }
}
