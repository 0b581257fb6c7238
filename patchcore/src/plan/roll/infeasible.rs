//! That no roll patches every host, proven by arithmetic, and what would change that.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cluster::Cluster, prove};
use crate::id::ComponentId;

/// Why a host can never take a machine, whatever else is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyNever {
    /// It is down, or closed and not patched.
    NotOpen,
    /// It is kept for failures.
    Dedicated,
    /// It is too small even when it is empty.
    TooSmall {
        /// What is scarce.
        resource: String,
        /// What the machine, with those it belongs to, takes.
        takes: u64,
        /// What moves may use of the host.
        has: u64,
    },
    /// A rule keeps the machine from it.
    Rule,
    /// Its CPU is below the machine's level, before and after the patch.
    CpuLevel {
        /// The machine's level.
        needs: u32,
        /// The host's best.
        has: u32,
    },
}

/// One host that can never take a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NeverTakes {
    /// Which host.
    pub host: ComponentId,
    /// Why.
    pub why: WhyNever,
}

/// A proof by arithmetic that not every host can be patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// With this host closed and every other open, demand and the reserve for failures do not fit, in sum.
    AggregateCapacity {
        /// The host that is closed.
        host: ComponentId,
        /// What is scarce.
        resource: String,
        /// What all machines take.
        demand: u64,
        /// What the others have, without the reserve.
        usable: u64,
    },
    /// No other host can ever take this machine.
    HostUnevacuable {
        /// The host that cannot be emptied.
        host: ComponentId,
        /// The machine that cannot leave it.
        vm: ComponentId,
        /// Every other host, and why not.
        targets: Vec<NeverTakes>,
    },
    /// With this host closed, its group has more machines than places.
    GroupTooLarge {
        /// The rule's place in the cluster's list.
        rule: usize,
        /// The host that is closed.
        host: ComponentId,
        /// Machines that must be elsewhere then.
        machines: usize,
        /// Places that are left.
        places: usize,
        /// Machines that may be in one.
        max_per: u32,
    },
    /// A machine cannot move, and nobody says what is to be done about it.
    PinnedNoPolicy {
        /// The host that cannot be emptied.
        host: ComponentId,
        /// The machine that cannot leave it.
        vm: ComponentId,
        /// Its owner, who is to be asked.
        owner: Option<String>,
    },
    /// A limit lets this host never be closed.
    DomainLimit {
        /// The host.
        host: ComponentId,
        /// What is limited, as the cluster calls it.
        limit: String,
        /// How many would be down, with those that stay down all the time.
        down: u32,
        /// How many may.
        most: u32,
    },
    /// The longest window is too short for this host.
    WindowTooShort {
        /// The host.
        host: ComponentId,
        /// Seconds that it takes at the speed of 95 % of the cases, without emptying it.
        takes_s: u64,
        /// Seconds of the longest window.
        longest_s: u64,
    },
}

impl Certificate {
    /// Whether the proof holds of a cluster: everything is computed anew from that.
    #[must_use]
    pub fn holds(&self, cluster: &Cluster) -> bool {
        cluster.looked_through().is_ok() && prove::certificates(cluster).any(|other| other == *self)
    }

    /// The host that stands in the way.
    #[must_use]
    pub fn host(&self) -> &ComponentId {
        match self {
            Self::AggregateCapacity { host, .. }
            | Self::HostUnevacuable { host, .. }
            | Self::GroupTooLarge { host, .. }
            | Self::PinnedNoPolicy { host, .. }
            | Self::DomainLimit { host, .. }
            | Self::WindowTooShort { host, .. } => host,
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AggregateCapacity {
                host,
                resource,
                demand,
                usable,
            } => write!(
                f,
                "with {host} closed, {} {resource} are missing: {demand} are taken, and the others have {usable} beside the reserve",
                demand.saturating_sub(*usable)
            ),
            Self::HostUnevacuable { host, vm, .. } => {
                write!(
                    f,
                    "{host} cannot be emptied: no other host can ever take {vm}"
                )
            }
            Self::GroupTooLarge {
                rule,
                host,
                machines,
                places,
                max_per,
            } => write!(
                f,
                "with {host} closed, {machines} machines of rules[{rule}] have {places} places for {max_per} each"
            ),
            Self::PinnedNoPolicy { host, vm, owner } => {
                write!(f, "{host} cannot be emptied: {vm} cannot move, and ")?;
                match owner {
                    Some(owner) => write!(f, "{owner} is to be asked"),
                    None => f.write_str("nobody says what is to be done about it"),
                }
            }
            Self::DomainLimit {
                host,
                limit,
                down,
                most,
            } => write!(
                f,
                "{host} can never be closed: {down} would be down, and {limit} allows {most}"
            ),
            Self::WindowTooShort {
                host,
                takes_s,
                longest_s,
            } => write!(
                f,
                "{host} takes {takes_s} s, and the longest window is {longest_s} s"
            ),
        }
    }
}

/// One change that makes a certificate void; it does not promise that nothing else stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relaxation {
    /// Another limit or number in the cluster, by its place.
    Set {
        /// Where: `limits.ha.failures`.
        place: String,
        /// To what.
        to: u64,
    },
    /// These machines do not run meanwhile.
    StopVms {
        /// Which.
        vms: Vec<ComponentId>,
    },
    /// One more host with at least so much of this resource.
    AddHost {
        /// Of what.
        resource: String,
        /// How much.
        amount: u64,
    },
    /// A policy for this machine, such as `shutdown_restart`.
    GivePolicy {
        /// Which.
        vm: ComponentId,
    },
    /// This host is left out: `allow_partial`.
    LeaveOut {
        /// Which.
        host: ComponentId,
    },
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { place, to } => write!(f, "set {place} to {to}"),
            Self::StopVms { vms } => {
                let names: Vec<&str> = vms.iter().map(ComponentId::as_str).collect();
                write!(f, "stop {} meanwhile", names.join(", "))
            }
            Self::AddHost { resource, amount } => {
                write!(f, "add a host with at least {amount} {resource}")
            }
            Self::GivePolicy { vm } => {
                write!(
                    f,
                    "say what is done about {vm}: shutdown_restart, suspend, storage_migrate or skip_host"
                )
            }
            Self::LeaveOut { host } => write!(f, "leave {host} out: allow_partial"),
        }
    }
}

/// That no roll patches every host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Infeasible {
    /// The proof.
    pub certificate: Certificate,
    /// What would make it void, the smallest change first.
    pub relaxations: Vec<Relaxation>,
}

impl fmt::Display for Infeasible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.certificate)?;
        for relaxation in &self.relaxations {
            write!(f, "\n   {relaxation}")?;
        }
        Ok(())
    }
}
