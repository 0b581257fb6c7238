//! What would be if the cluster were a little different.

use std::{fmt, str::FromStr};

use super::{
    bounds::Bounds,
    check::Figures,
    cluster::{Cluster, HostState, Mobility, NonMigratable, Pin},
    names::Names,
    planner::{Answer, Wish, ground::Ground, plan},
    show::{scene::Scene, units},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::ComponentId,
};

/// One change to a cluster.
///
/// Read from words: `one host fewer`, `without HOST`, `one more down`, `pin VM`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhatIf {
    /// This host has failed, and its machines were started on the others; none: the largest host.
    WithoutHost(Option<ComponentId>),
    /// One more host may be closed or down at once: `limits.max_hosts_down`.
    OneMoreDown,
    /// This machine cannot move: it is shut down before its host is patched and started there afterwards, unless it
    /// or the cluster has another policy.
    Pin(ComponentId),
}

impl fmt::Display for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutHost(None) => f.write_str("one host fewer"),
            Self::WithoutHost(Some(host)) => write!(f, "without {host}"),
            Self::OneMoreDown => f.write_str("one more down"),
            Self::Pin(vm) => write!(f, "pin {vm}"),
        }
    }
}

impl FromStr for WhatIf {
    type Err = Error;

    fn from_str(words: &str) -> Result<Self> {
        let all: Vec<&str> = words.split_whitespace().collect();
        match all[..] {
            ["one", "host", "fewer"] => Ok(Self::WithoutHost(None)),
            ["without", host] => Ok(Self::WithoutHost(Some(host.into()))),
            ["one", "more", "down"] => Ok(Self::OneMoreDown),
            ["pin", vm] => Ok(Self::Pin(vm.into())),
            _ => Err(
                Error::new(ErrorKind::InvalidInput, "this what-if is not known")
                    .expected(
                        "\"one host fewer\", \"without HOST\", \"one more down\" or \"pin VM\"",
                    )
                    .found(format!("{words:?}")),
            ),
        }
    }
}

impl WhatIf {
    /// The cluster with this change.
    ///
    /// # Errors
    /// `InvalidInput`: the cluster is faulty. `NotFound`: no such host or machine. `Unsupported`: the change says
    /// nothing here, such as one more down where no limit is set.
    pub fn of(&self, cluster: &Cluster) -> Result<Cluster> {
        cluster.looked_through()?;
        let names = Names::of(cluster);
        match self {
            Self::WithoutHost(None) => without(cluster, largest(cluster)?),
            Self::WithoutHost(Some(host)) => {
                let at = names.host(host.as_str());
                without(cluster, at.ok_or_else(|| unknown("host", host))?)
            }
            Self::OneMoreDown => {
                let mut other = cluster.clone();
                let Some(most) = other.limits.max_hosts_down.as_mut() else {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "limits.max_hosts_down is not set, so one more down changes nothing",
                    )
                    .hint("what holds hosts open is the room, and the reserve for failures: limits.ha"));
                };
                *most = most.saturating_add(1);
                Ok(other)
            }
            Self::Pin(vm) => {
                let mut other = cluster.clone();
                let at = names
                    .vm(vm.as_str())
                    .ok_or_else(|| unknown("machine", vm))?;
                let pinned = &mut other.vms[at];
                if let Mobility::Pinned(pin) = &pinned.mobility {
                    let why = format!("{vm} is pinned already: {}", pin.reason);
                    return Err(Error::new(ErrorKind::Unsupported, why));
                }
                let policy = match cluster.non_migratable {
                    Some(_) => None,
                    None => Some(NonMigratable::ShutdownRestart),
                };
                pinned.mobility = Mobility::Pinned(Pin {
                    reason: "what if it could not move".to_owned(),
                    policy,
                });
                Ok(other)
            }
        }
    }

    /// What the planner makes of this change, in a few lines, beside what it makes of the cluster as it is.
    ///
    /// # Errors
    /// As [`of`](Self::of) and [`plan`].
    pub fn answer(
        &self,
        cluster: &Cluster,
        wish: &Wish,
        stop: &dyn Fn() -> bool,
    ) -> Result<String> {
        let changed = match self.of(cluster) {
            Ok(changed) => changed,
            // A cluster that could not live through this is an answer, and no fault of who asks.
            Err(error) if error.kind() == ErrorKind::Unhealthy => {
                return Ok(format!("{self}: {error}\n"));
            }
            Err(error) => return Err(error),
        };
        let now = plan(cluster, wish, stop)?;
        let then = plan(&changed, wish, stop)?;
        Ok(match (&now, &then) {
            (Answer::Planned(now), Answer::Planned(then)) => {
                let (now, then) = (
                    (now.best.figures(), &now.bounds),
                    (then.best.figures(), &then.bounds),
                );
                format!("{self}:\n{}", beside(now, then))
            }
            (_, Answer::Planned(then)) => {
                let figures = then.best.figures();
                format!(
                    "{self}: there is a roll then, in {} with {} copied\n",
                    units::length(figures.makespan_ms),
                    units::mib(figures.moved_mib)
                )
            }
            (_, Answer::Infeasible(infeasible)) => {
                format!("{self}: no roll patches every host then\n   {infeasible}\n")
            }
            (_, Answer::NotFound(not)) => format!("{self}: {not}\n"),
        })
    }
}

fn unknown(what: &str, name: &ComponentId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the cluster has no {what} {name}"),
    )
}

/// The open host with the most of what is scarcest.
fn largest(cluster: &Cluster) -> Result<usize> {
    let ground = Ground::of(cluster, true);
    let dim = units::scarcest(&ground);
    let open = (0..cluster.hosts.len()).filter(|h| cluster.hosts[*h].state == HostState::Open);
    // Of equal ones the first.
    open.max_by_key(|host| (ground.room_of(*host)[dim], std::cmp::Reverse(*host)))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "no host is open"))
}

/// Its machines start where there is most room, the largest first, as a cluster does when a host fails.
fn without(cluster: &Cluster, host: usize) -> Result<Cluster> {
    let mut other = cluster.clone();
    let ground = Ground::of(cluster, true);
    let dim = units::scarcest(&ground);
    let mut scene = Scene::of(&ground);
    let mut homeless: Vec<usize> = (0..cluster.vms.len())
        .filter(|vm| ground.home[*vm] as usize == host)
        .collect();
    homeless.sort_by_key(|vm| (std::cmp::Reverse(ground.weight[*vm]), *vm));
    for vm in homeless {
        let hosts = (0..cluster.hosts.len()).filter(|to| scene.could_take(*to, vm));
        let to = hosts.max_by_key(|to| (scene.free(*to, dim), std::cmp::Reverse(*to)));
        let Some(to) = to else {
            return Err(Error::new(
                ErrorKind::Unhealthy,
                format!(
                    "the cluster does not live through the failure of {}: {} has no place on the other hosts",
                    cluster.hosts[host].id, cluster.vms[vm].id
                ),
            ));
        };
        scene.puts(vm, to);
        other.vms[vm].host = cluster.hosts[to].id.clone();
        // It was started anew there.
        other.vms[vm].cpu_level = None;
    }
    other.hosts[host].state = HostState::Down;
    Ok(other)
}

/// What changes, one line each.
fn beside(now: (&Figures, &Bounds), then: (&Figures, &Bounds)) -> String {
    let rows = [
        (
            "makespan",
            units::length(now.0.makespan_ms),
            units::length(then.0.makespan_ms),
        ),
        (
            "copied",
            units::mib(now.0.moved_mib),
            units::mib(then.0.moved_mib),
        ),
        ("moves", now.0.moves.to_string(), then.0.moves.to_string()),
        (
            "hosts patched",
            now.0.patched.to_string(),
            then.0.patched.to_string(),
        ),
        (
            "closed at once",
            now.0.closed_at_once.to_string(),
            then.0.closed_at_once.to_string(),
        ),
        (
            "machines stopped for",
            units::length(now.0.downtime_ms),
            units::length(then.0.downtime_ms),
        ),
        (
            "no roll is over before",
            units::length(now.1.makespan_ms),
            units::length(then.1.makespan_ms),
        ),
    ];
    let changed = rows.iter().filter(|(_, now, then)| now != then);
    let lines: Vec<String> = changed
        .map(|(what, now, then)| format!("   {what:<24}{now} → {then}\n"))
        .collect();
    match lines.is_empty() {
        true => "   nothing changes\n".to_owned(),
        false => lines.concat(),
    }
}
