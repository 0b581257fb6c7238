//! Whether a request can begin, or is so already: decided from what was read, and from nothing else.

use patchcore::{
    Error, ErrorKind, Timestamp,
    id::ComponentId,
    provider::{Blocker, DrainRequest, Evidence, Readiness, VmPower},
};

use super::{
    now::{HostNow, Look, MachineNow, Now},
    settings::held,
};

/// The answer for what was read.
pub(super) fn readiness(request: &DrainRequest, look: &Look) -> Readiness {
    let at = look.at;
    match (request, &look.now) {
        (DrainRequest::Migrate { vm, from, to, .. }, Now::Machine(now, there)) => {
            if let Some(busy) = busy(vm.as_str(), now) {
                return busy;
            }
            if now.host == *to && now.power == VmPower::On {
                return Readiness::AlreadyHolds(runs_on(at, vm, to));
            }
            if now.host != *from || now.power != VmPower::On {
                let state = state(now.power);
                return drift(
                    format!("{vm} is not where the move begins"),
                    format!("{vm} running on {from}"),
                    format!("it {state} on {}", now.host),
                );
            }
            all(in_the_way(vm.as_str(), now)
                .into_iter()
                .chain(leaves(to.as_str(), there)))
        }
        (DrainRequest::ShutDown { vm, host, suspend }, Now::Machine(now, _)) => {
            if let Some(busy) = busy(vm.as_str(), now) {
                return busy;
            }
            if now.power != VmPower::On {
                return holds(at, format!("{vm} {}", state(now.power)));
            }
            if now.host != *host {
                return drift(
                    format!("{vm} is on another host"),
                    host.to_string(),
                    now.host.to_string(),
                );
            }
            let tools = (!now.tools && !suspend).then(|| {
                blocker(
                    Error::new(
                        ErrorKind::Unhealthy,
                        format!("{vm} cannot be asked to shut down: VMware Tools do not run in it"),
                    )
                    .hint("start VMware Tools in it, or shut it down by hand"),
                )
            });
            all(in_the_way(vm.as_str(), now).into_iter().chain(tools))
        }
        (DrainRequest::Start { vm, host, .. }, Now::Machine(now, there)) => {
            if now.power == VmPower::On {
                return holds(at, format!("{vm} runs on {}", now.host));
            }
            if let Some(busy) = busy(vm.as_str(), now) {
                return busy;
            }
            if now.host != *host {
                return drift(
                    format!("{vm} is on another host"),
                    host.to_string(),
                    now.host.to_string(),
                );
            }
            // The host comes back; until then it waits.
            let waits = leaves(host.as_str(), there).map(|mut blocker| {
                blocker.passes = true;
                blocker
            });
            all(waits.into_iter())
        }
        (DrainRequest::EnterMaintenance { host }, Now::Host(now)) => enter(at, host.as_str(), now),
        (DrainRequest::ExitMaintenance { host, .. }, Now::Host(now)) => {
            if !now.maintenance && !now.entering {
                return Readiness::AlreadyHolds(is_out(at, host));
            }
            match now.connected {
                true => Readiness::Ready,
                false => all(std::iter::once(unreachable(host.as_str()))),
            }
        }
        (DrainRequest::HoldSetting { setting, .. }, Now::Cluster(now)) => {
            let word = now.word(*setting);
            match word == held(*setting, word) {
                true => holds(at, format!("{} is {word}", setting.slug())),
                false => Readiness::Ready,
            }
        }
        (DrainRequest::RestoreSetting { setting, to, .. }, Now::Cluster(now)) => {
            let (word, left) = (now.word(*setting), held(*setting, to));
            if word == to {
                return holds(at, format!("{} is {to}", setting.slug()));
            }
            match word == left {
                true => Readiness::Ready,
                false => Readiness::ChangedMeanwhile {
                    expected: left,
                    found: word.to_owned(),
                },
            }
        }
        _ => all(std::iter::once(blocker(Error::new(
            ErrorKind::ProviderFault,
            "something else was read than was asked for",
        )))),
    }
}

fn enter(at: Timestamp, host: &str, now: &HostNow) -> Readiness {
    if now.maintenance && now.running.is_empty() {
        return holds(
            at,
            format!("{host} is in maintenance mode, and nothing runs on it"),
        );
    }
    let runs = now.running.iter().map(|vm| {
        blocker(
            Error::new(ErrorKind::PlanDrift, format!("{vm} runs on {host}"))
                .consequence("nothing was begun")
                .hint("look at the cluster as it is now, and plan again"),
        )
    });
    let gone = (!now.connected).then(|| unreachable(host));
    let entering = now.entering.then(|| {
        blocker(
            Error::new(
                ErrorKind::Busy,
                format!("{host} is on its way into maintenance mode already"),
            )
            .retryable(None),
        )
    });
    all(runs.chain(gone).chain(entering))
}

fn state(power: VmPower) -> &'static str {
    match power {
        VmPower::On => "runs",
        VmPower::Off => "does not run",
        VmPower::Suspended => "is suspended",
    }
}

/// That a machine is where it was to go.
pub(super) fn runs_on(at: Timestamp, vm: &ComponentId, host: &ComponentId) -> Evidence {
    Evidence::observed(at, format!("{vm} runs on {host}"))
}

/// That a host takes machines again.
pub(super) fn is_out(at: Timestamp, host: &ComponentId) -> Evidence {
    Evidence::observed(at, format!("{host} is not in maintenance mode"))
}

fn holds(at: Timestamp, saw: String) -> Readiness {
    Readiness::AlreadyHolds(Evidence::observed(at, saw))
}

fn drift(what: String, expected: String, found: String) -> Readiness {
    all(std::iter::once(blocker(
        Error::new(ErrorKind::PlanDrift, what)
            .expected(expected)
            .found(found)
            .consequence("nothing was begun")
            .hint("look at the cluster as it is now, and plan again"),
    )))
}

fn busy(vm: &str, now: &MachineNow) -> Option<Readiness> {
    let task = now.busy.as_ref()?;
    let error = Error::new(ErrorKind::Busy, format!("a task works on {vm}"))
        .context("holder", task.clone())
        .retryable(None);
    Some(Readiness::Blocked(vec![blocker(error)]))
}

/// What keeps a machine from anything.
fn in_the_way(vm: &str, now: &MachineNow) -> Vec<Blocker> {
    let mut all = Vec::new();
    if !now.connected {
        all.push(blocker(
            Error::new(
                ErrorKind::Unreachable,
                format!("vCenter has no connection to {vm}"),
            )
            .hint("look at its host"),
        ));
    }
    if now.asks {
        all.push(blocker(
            Error::new(
                ErrorKind::Unhealthy,
                format!("{vm} waits for the answer to a question"),
            )
            .hint("answer it in the vSphere client"),
        ));
    }
    all
}

/// Why a host does not take machines; none where it does.
fn leaves(host: &str, now: &HostNow) -> Option<Blocker> {
    if !now.connected {
        return Some(unreachable(host));
    }
    (now.maintenance || now.entering).then(|| {
        blocker(
            Error::new(
                ErrorKind::PlanDrift,
                format!("{host} is in maintenance mode or on its way there"),
            )
            .consequence("nothing was begun")
            .hint("look at the cluster as it is now, and plan again"),
        )
    })
}

fn unreachable(host: &str) -> Blocker {
    blocker(
        Error::new(
            ErrorKind::Unreachable,
            format!("vCenter has no connection to {host}"),
        )
        .hint("look at the host")
        .retryable(None),
    )
}

pub(crate) fn blocker(error: Error) -> Blocker {
    Blocker::from_error(&error)
}

/// What all of them come to.
pub(crate) fn all(blockers: impl Iterator<Item = Blocker>) -> Readiness {
    let blockers: Vec<Blocker> = blockers.collect();
    match blockers.is_empty() {
        true => Readiness::Ready,
        false => Readiness::Blocked(blockers),
    }
}
