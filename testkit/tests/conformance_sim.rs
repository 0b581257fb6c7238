//! The simulated estate passes the suites that real providers pass: what is tried on it means something.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own outside: what fails here fails the test"
)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Result,
    clock::{Clock, SharedClock},
    estate::{Patch, PatchChange, PatchClass, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{BracketKind, Change, Guarantee, ProbeKind, ProbeRequest, Provider},
    sim::{Script, Sim},
};
use patchcore_testkit::{
    ClusterStock, ClusterTruth, Fixture, Made, NoFixture, ProbeCase, Seen, Stock, Trouble, Verdict,
    checks, conformance,
};
use serde_json::json;

/// Longer than any job of the simulation, so that a lock outlasts whoever ignores it.
const LOCKED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Whose lie is simulated when the tool is to lie.
#[derive(Debug, Clone, Copy)]
enum Lies {
    /// Nobody's.
    Never,
    /// The provider's too: the simulation hands the tool's word on as a result, so that runs can be seen to
    /// find it by their own scan. That breaks the contract on purpose.
    HandedOn,
}

#[derive(Debug)]
struct SimFixture(Sim, Lies);

fn patch(id: &str, to: &str) -> Patch {
    Patch::new(id, None, to, PatchClass::Security)
}

fn sim() -> Sim {
    let start: patchcore::Timestamp = "2026-12-14T20:00:00Z".parse().unwrap();
    Sim::starting(start, 7)
        .guest("web-01", |g| {
            g.package("openssl", "1.1").package("zlib", "3")
        })
        .guest("web-02", |g| {
            g.package("openssl", "1.1")
                .package("curl", "8")
                .package("badpost", "1")
        })
        .guest("broken", |g| g.package("webserver", "2"))
        .guest("silent", |g| g.package("openssl", "1.1"))
        .guests(["host-1", "host-2", "host-3"], |host| host)
        .cluster("cluster-1", ["memory_mib"], |cluster| {
            cluster
                .host("host-1", [64_000])
                .host("host-2", [64_000])
                .host("host-3", [64_000])
                .vm("vm-1", "host-1", [8_000], 8_000)
        })
        .publish(patch("openssl", "1.2"))
        .publish(patch("curl", "9"))
        .publish(patch("badpost", "2"))
        .script(Script::postinst_fails("badpost", "2"))
        .script(Script::health_breaks("webserver", "2"))
        .script(Script::unreachable(start, start + LOCKED_FOR).on("silent"))
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

fn probes(kind: ProbeKind) -> ProbeCase {
    ProbeCase {
        healthy: ProbeRequest::new("web-01", kind.clone()),
        unhealthy: ProbeRequest::new("broken", kind.clone()),
        cannot_run: ProbeRequest::new("silent", kind),
    }
}

#[async_trait]
impl Fixture for SimFixture {
    fn clock(&self) -> SharedClock {
        self.0.shared_clock()
    }

    fn stock(&self) -> Stock {
        let changes = vec![
            change("web-01", &[("openssl", "1.1", "1.2")]),
            change("web-02", &[("openssl", "1.1", "1.2")]),
        ];
        let url = "http://10.0.0.1/healthz".to_owned();
        let argv = vec!["systemctl".to_owned(), "is-system-running".to_owned()];
        Stock::of(changes, "1.0")
            .with_bad(
                change("web-02", &[("curl", "8", "9"), ("badpost", "1", "2")]),
                "badpost",
            )
            .with_probe(probes(ProbeKind::Http { url }))
            .with_probe(probes(ProbeKind::Command { argv }))
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new({
            let provider = self.0.provider().with_target_locks();
            provider.with_brackets([BracketKind::Silence])
        }))
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        self.0.world(|world| {
            let history = world.history(component)?;
            let trace = json!({
                "transactions": history.transactions,
                "boots": history.boots,
                "kept": world.kept_for(component)?,
                "half_configured": world.half_configured(component)?,
            });
            let versions = world.installed(component)?.clone();
            Ok(Seen { versions, trace })
        })
    }

    async fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()> {
        let (component, patch, version) = (component.clone(), patch.clone(), version.clone());
        self.0
            .world(|world| world.install_by_hand(component, patch, version))
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        let clock = self.0.clock();
        let now = clock.now();
        match trouble {
            Trouble::ToolLies(component) if matches!(self.1, Lies::HandedOn) => {
                let lie = Script::lies_success("openssl").on(component.clone());
                self.0.world(|world| world.script(lie));
            }
            Trouble::LockTaken(component) => {
                let lock = Script::lock_held("unattended-upgrade", now, now + LOCKED_FOR);
                self.0
                    .world(|world| world.script(lock.on(component.clone())));
            }
            Trouble::LockGivenBack(_) => clock.advance_to(now + LOCKED_FOR),
            Trouble::BracketEnded(component) => self.0.world(|world| {
                world.end_by_hand("sim", BracketKind::Silence, component.as_str());
            }),
            Trouble::VmMoved(vm, to) => self.0.world(|world| {
                world.move_by_hand(vm.clone(), to.clone());
            }),
            Trouble::SettingChanged(cluster, setting) => self
                .0
                .world(|world| world.set_by_hand(cluster.as_str(), *setting, "theirs"))?,
            _ => return Ok(Made::CannotBeMade),
        }
        Ok(Made::Yes)
    }

    async fn held(&self, component: &ComponentId, kind: BracketKind) -> Result<usize> {
        Ok(self
            .0
            .world(|world| world.holders("sim", kind, component.as_str())))
    }

    fn cluster(&self) -> Option<ClusterStock> {
        Some(ClusterStock {
            cluster: "cluster-1".into(),
            vm: "vm-1".into(),
            from: "host-1".into(),
            to: "host-2".into(),
            third: "host-3".into(),
            longest: Duration::from_secs(600),
        })
    }

    async fn cluster_truth(&self) -> Result<ClusterTruth> {
        ClusterTruth::of_simulated(&self.0, "cluster-1")
    }
}

mod keyed {
    use super::*;

    async fn outside() -> Result<SimFixture, NoFixture> {
        Ok(SimFixture(sim(), Lies::Never))
    }

    conformance!(inventory, outside);
    conformance!(source, outside);
    conformance!(deployer, outside);
    conformance!(probe, outside);
    conformance!(lock, outside);
    conformance!(bracket, outside);
    conformance!(drainer, outside);
}

/// The same estate with less promised about interrupted operations.
fn promising(guarantee: Guarantee) -> SimFixture {
    SimFixture(sim().with_guarantee(guarantee), Lies::Never)
}

mod locatable {
    use super::*;

    async fn outside() -> Result<SimFixture, NoFixture> {
        Ok(promising(Guarantee::Locatable {
            consistency_delay: Duration::from_secs(30),
            memory: Duration::from_secs(24 * 3600),
        }))
    }

    conformance!(deployer, outside);
    conformance!(bracket, outside);
    conformance!(drainer, outside);
}

mod state_only {
    use super::*;

    async fn outside() -> Result<SimFixture, NoFixture> {
        let quiet_after = Duration::from_secs(4 * 3600);
        Ok(promising(Guarantee::StateOnly { quiet_after }))
    }

    conformance!(deployer, outside);
    conformance!(bracket, outside);
    conformance!(drainer, outside);
}

mod blind {
    use super::*;

    async fn outside() -> Result<SimFixture, NoFixture> {
        Ok(promising(Guarantee::Blind))
    }

    conformance!(deployer, outside);
    conformance!(bracket, outside);
    conformance!(drainer, outside);
}

#[tokio::test]
async fn a_lie_that_is_handed_on_is_found() {
    let name = "deployer_success_is_what_is_there_and_not_an_exit_code";
    let check = checks().find(|c| c.name == name).unwrap();
    let verdict = check.run(Arc::new(SimFixture(sim(), Lies::HandedOn))).await;
    assert!(matches!(verdict, Verdict::Fault(_)), "{verdict}");
}
