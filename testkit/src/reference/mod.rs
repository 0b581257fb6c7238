//! A correct provider over machines in memory, in virtual time: what the suites are tried on, and what
//! faults are planted into to see that each is found.

mod outside;
mod provider;
mod short;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Result, Secret, Timestamp,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{BracketKind, Change, ProbeKind, ProbeRequest, Provider, ProviderInfo, Simple},
    sim::{ClusterSpec, Sim},
};

use self::{
    outside::{Machine, Outside},
    provider::FullProvider,
    short::ShortProvider,
};
use crate::fixture::{ClusterStock, ClusterTruth, Fixture, Made, ProbeCase, Seen, Stock, Trouble};

const PASSWORD: &str = "correct-horse-battery";

/// Three machines and a provider that reaches them.
#[derive(Debug, Clone)]
pub struct Reference {
    outside: Outside,
    /// Where alerts about the machines are silenced, and what cluster they are beside.
    alerts: Sim,
    way: Way,
}

const ALERTS: &str = "alerts";
const CLUSTER: &str = "cluster-1";

#[derive(Debug, Clone, Copy)]
enum Way {
    Full,
    Short { quiet_after: Option<Duration> },
}

impl Reference {
    /// By the full operation protocol: keyed jobs that outlive their caller.
    #[must_use]
    pub fn new() -> Self {
        Self {
            outside: Outside::new(machines()),
            alerts: alerts(),
            way: Way::Full,
        }
    }

    /// By the short way, with its one honest answer.
    #[must_use]
    pub fn simple(quiet_after: Option<Duration>) -> Self {
        Self {
            outside: Outside::new(machines()),
            alerts: alerts(),
            way: Way::Short { quiet_after },
        }
    }

    /// How many operations were ever begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.outside.now().jobs.len()
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

fn alerts() -> Sim {
    let names: Vec<ComponentId> = machines().into_keys().collect();
    Sim::starting(Timestamp::UNIX_EPOCH, 1)
        .guests(names, |machine| machine)
        .guests(["host-1", "host-2", "host-3"], |host| host)
        .cluster(CLUSTER, ["memory_mib"], small_cluster)
}

/// Three hosts, of which the first has a machine.
fn small_cluster(cluster: ClusterSpec) -> ClusterSpec {
    cluster
        .host("host-1", [64_000])
        .host("host-2", [64_000])
        .host("host-3", [64_000])
        .vm("vm-1", "host-1", [8_000], 8_000)
}

fn machines() -> BTreeMap<ComponentId, Machine> {
    let machine = |packages: &[(&str, &[&str])]| {
        let mut machine = Machine::default();
        for (patch, versions) in packages {
            let patch = PatchId::from(*patch);
            // The second version is there: an older one exists, and newer ones are on offer.
            if let Some(there) = versions.get(1) {
                machine.installed.insert(patch.clone(), (*there).into());
            }
            let offer = versions.iter().map(|v| Version::from(*v)).collect();
            machine.offer.insert(patch, offer);
        }
        machine.active.insert("web".to_owned());
        machine
    };
    let tls: (&str, &[&str]) = ("libtls", &["1.0", "1.1", "1.2", "1.3"]);
    let mut second = machine(&[
        tls,
        ("curl", &["7", "8", "9"]),
        ("badpost", &["0", "1", "2"]),
    ]);
    second.does_not_go_in.insert("badpost".into());
    let mut third = machine(&[("firmware", &["4", "5", "6"])]);
    third.waits_for_restart.insert("firmware".into());
    BTreeMap::from([
        ("m-1".into(), machine(&[tls, ("zlib", &["2", "3", "4"])])),
        ("m-2".into(), second),
        ("m-3".into(), third),
    ])
}

fn change(component: &str, patches: &[(&str, &str, &str)]) -> Change {
    let patches = patches.iter().map(|(patch, from, to)| PatchChange {
        patch: (*patch).into(),
        from: Some((*from).into()),
        to: Some((*to).into()),
        pin: Pin::Version,
    });
    Change::new(component, patches.collect())
}

fn command(component: &str, argv: &[&str]) -> ProbeRequest {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    ProbeRequest::new(component, ProbeKind::Command { argv })
}

#[async_trait]
impl Fixture for Reference {
    fn clock(&self) -> SharedClock {
        self.outside.shared_clock()
    }

    fn stock(&self) -> Stock {
        let changes = vec![
            change("m-1", &[("libtls", "1.1", "1.2")]),
            change("m-2", &[("libtls", "1.1", "1.2")]),
        ];
        let bad = change("m-2", &[("curl", "8", "9"), ("badpost", "1", "2")]);
        Stock::of(changes, "1.0")
            .with_bad(bad, "badpost")
            .with_after_restart(change("m-3", &[("firmware", "5", "6")]))
            .with_secret(PASSWORD)
            .with_probe(ProbeCase {
                healthy: command("m-1", &["is-active", "web"]),
                unhealthy: command("m-1", &["is-active", "mail"]),
                cannot_run: command("m-1", &["not-a-program"]),
            })
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let outside = self.outside.clone();
        Ok(match self.way {
            Way::Full => {
                let brackets = self.alerts.brackets(ALERTS, [BracketKind::Silence]);
                let password = Secret::new(PASSWORD);
                Arc::new(FullProvider::new(
                    outside,
                    password,
                    brackets.port(),
                    self.alerts.provider().ports().drainer,
                ))
            }
            Way::Short { quiet_after } => Arc::new(Simple::new(
                ProviderInfo::new("reference-short", "1.0.0"),
                ShortProvider {
                    outside,
                    quiet_after,
                },
            )),
        })
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        self.outside.seen(component)
    }

    async fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()> {
        self.outside.meddle(component, patch, version)
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        let mut state = self.outside.now();
        match trouble {
            Trouble::ToolLies(component) => state.machine_mut(component)?.tool_lies = true,
            Trouble::LockTaken(component) => state.machine_mut(component)?.locked = true,
            Trouble::LockGivenBack(component) => state.machine_mut(component)?.locked = false,
            Trouble::BracketEnded(component) => self.alerts.world(|world| {
                world.end_by_hand(ALERTS, BracketKind::Silence, component.as_str());
            }),
            Trouble::VmMoved(vm, to) => self.alerts.world(|world| {
                world.move_by_hand(vm.clone(), to.clone());
            }),
            Trouble::SettingChanged(cluster, setting) => self
                .alerts
                .world(|world| world.set_by_hand(cluster.as_str(), *setting, "theirs"))?,
        }
        Ok(Made::Yes)
    }

    async fn held(&self, component: &ComponentId, kind: BracketKind) -> Result<usize> {
        Ok(self
            .alerts
            .world(|w| w.holders(ALERTS, kind, component.as_str())))
    }

    fn cluster(&self) -> Option<ClusterStock> {
        Some(ClusterStock {
            cluster: CLUSTER.into(),
            vm: "vm-1".into(),
            from: "host-1".into(),
            to: "host-2".into(),
            third: "host-3".into(),
            longest: Duration::from_secs(600),
        })
    }

    async fn cluster_truth(&self) -> Result<ClusterTruth> {
        // The cluster has a clock of its own, and lives by that of the machines.
        self.alerts.clock().advance_to(self.clock().now());
        ClusterTruth::of_simulated(&self.alerts, CLUSTER)
    }
}
