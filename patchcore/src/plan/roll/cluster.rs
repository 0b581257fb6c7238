//! The cluster as the roll planner sees it: hosts, virtual machines, and what moving one costs.
//!
//! All numbers are integers. An amount that nobody knows is `null` and refused: it is neither nothing nor infinity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{limits::Limits, rule::Rule};
use crate::{id::ComponentId, plan::Plan};

/// One amount for each of the cluster's resources, in their order; `None` is *unknown*, which is refused.
pub type Amounts = Vec<Option<u64>>;

/// Everything that a roll is planned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Which schema this is: `patchcore.cluster/1`.
    pub schema: String,
    /// What each amount of a capacity or a demand is of, such as `memory_mib` and `vcpu`: 1 to 16 names.
    pub resources: Vec<String>,
    /// Every host.
    pub hosts: Vec<Host>,
    /// Every virtual machine that runs. One that is off takes nothing, needs no move, and does not belong here.
    pub vms: Vec<Vm>,
    /// What must hold between machines and hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// How much may be down, and what is kept free.
    #[serde(default)]
    pub limits: Limits,
    /// How long a host takes that does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_time: Option<PatchTime>,
    /// How much a host can move at once that does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// What moves and restarts cost beside their bytes.
    #[serde(default)]
    pub costs: Costs,
    /// What is done about a pinned machine that does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_migratable: Option<NonMigratable>,
}

impl Cluster {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.cluster/1";

    /// A cluster without hosts.
    pub fn new(resources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            resources: resources.into_iter().map(Into::into).collect(),
            hosts: Vec::new(),
            vms: Vec::new(),
            rules: Vec::new(),
            limits: Limits::default(),
            patch_time: None,
            migration: None,
            costs: Costs::default(),
            non_migratable: None,
        }
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// As a plan patches it: the hosts in the plan need the patch and no others do, and no more of them are down at once
    /// than their ring lets go, nor than the cluster allows by itself.
    #[must_use]
    pub fn for_plan(mut self, plan: &Plan) -> Self {
        let envelope = &plan.envelope;
        let mut most = self.limits.max_hosts_down;
        for host in &mut self.hosts {
            let target = envelope.target(&host.id);
            host.needs_patch = target.is_some();
            let ring = target.and_then(|t| envelope.rings.iter().find(|r| r.name == t.ring));
            if let Some(ring) = ring {
                let goes = u32::try_from(ring.at_once).unwrap_or(u32::MAX);
                most = Some(most.map_or(goes, |most| most.min(goes)));
            }
        }
        self.limits.max_hosts_down = most;
        self
    }
}

/// Whether a host takes machines now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It runs machines and takes more.
    #[default]
    Open,
    /// It takes none, as in maintenance mode; those on it still run.
    Closed,
    /// It is not there: nothing runs on it, and this roll neither patches nor uses it.
    Down,
}

/// A machine that runs virtual machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name; no other host has it.
    pub id: ComponentId,
    /// What it has of each resource.
    pub capacity: Amounts,
    /// What of that is not for virtual machines, for each resource; empty means nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserve: Amounts,
    /// Whether this roll is to patch it.
    #[serde(default = "yes")]
    pub needs_patch: bool,
    /// Whether it takes machines now.
    #[serde(default)]
    pub state: HostState,
    /// Its rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Its CPU's level now: a machine moves live only to a host of at least its own level.
    #[serde(default)]
    pub cpu_level: u32,
    /// Its CPU's level once it is patched, where that differs: microcode adds and takes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_level_patched: Option<u32>,
    /// How long patching it takes; none: as the cluster says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_time: Option<PatchTime>,
    /// How much it can move at once; none: as the cluster says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
}

impl Host {
    /// An open host that needs the patch.
    pub fn new(id: impl Into<ComponentId>, capacity: impl IntoIterator<Item = u64>) -> Self {
        Self {
            id: id.into(),
            capacity: capacity.into_iter().map(Some).collect(),
            reserve: Vec::new(),
            needs_patch: true,
            state: HostState::Open,
            rack: None,
            site: None,
            cpu_level: 0,
            cpu_level_patched: None,
            patch_time: None,
            migration: None,
        }
    }
}

/// How long a host is gone: patch, restart and verification together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTime {
    /// Seconds in half of the cases.
    pub p50_s: u64,
    /// Seconds in 95 % of the cases.
    pub p95_s: u64,
}

/// What a host can move at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Moves into it at once.
    pub in_slots: u32,
    /// Moves out of it at once.
    pub out_slots: u32,
    /// What one move copies in a second, in MiB; the slower end counts.
    pub mib_per_s: u64,
}

/// What moves and restarts cost beside their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// What a live move copies, in thousandths of the machine's memory: what is written meanwhile is copied again.
    pub overhead_permille: u64,
    /// Milliseconds that every move takes beside copying.
    pub fixed_ms: u64,
    /// How long a move or a restart takes in 95 % of the cases, in thousandths of the usual.
    pub p95_permille: u64,
    /// Seconds in which a machine stops.
    pub stop_s: u64,
    /// Seconds in which a machine starts.
    pub start_s: u64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            overhead_permille: 1100,
            fixed_ms: 8_000,
            p95_permille: 1500,
            stop_s: 60,
            start_s: 60,
        }
    }
}

/// How a machine can leave its host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mobility {
    /// While it runs.
    #[default]
    Live,
    /// Stopped, moved and started.
    Cold,
    /// Not by a move of its memory alone, or not at all.
    Pinned(Pin),
}

/// Why a machine stays, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Such as `passes a GPU through`.
    pub reason: String,
    /// What is done about it; none: as the cluster says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<NonMigratable>,
}

/// What is done about a machine that cannot move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonMigratable {
    /// It is shut down before its host is patched and started there afterwards. Its room is kept.
    ShutdownRestart,
    /// It is suspended before its host is patched and resumed there afterwards. Its room is kept.
    Suspend,
    /// Its host is left out.
    SkipHost,
    /// It moves with its disk, while it runs.
    StorageMigrate,
    /// Its owner decides; until then its host cannot be patched.
    AskOwner,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vm {
    /// Its name; no other machine has it.
    pub id: ComponentId,
    /// The host it runs on.
    pub host: ComponentId,
    /// What it takes of each resource, at both ends while it moves.
    pub demand: Amounts,
    /// Memory that a live move copies, in MiB.
    pub mem_mib: Option<u64>,
    /// Disk on its own host, in MiB, which a move with storage copies as well.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disk_mib: u64,
    /// How it can leave its host.
    #[serde(default)]
    pub mobility: Mobility,
    /// The CPU level it was started at; none: that of its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_level: Option<u32>,
    /// The higher, the later it is among those that a relaxation would stop.
    #[serde(default, skip_serializing_if = "is_least")]
    pub priority: u32,
    /// It ends by itself, at the latest so many seconds after the roll begins: it may be waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_s: Option<u64>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Seconds between telling its owner, when the roll begins, and its first move or stop.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub notice_s: u64,
    /// What is taken before each of its moves and given back after it, such as its node's part in a guest cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bracket: Option<String>,
}

impl Vm {
    /// A machine that moves live and takes `demand`.
    pub fn new(
        id: impl Into<ComponentId>,
        host: impl Into<ComponentId>,
        demand: impl IntoIterator<Item = u64>,
        mem_mib: u64,
    ) -> Self {
        Self {
            id: id.into(),
            host: host.into(),
            demand: demand.into_iter().map(Some).collect(),
            mem_mib: Some(mem_mib),
            disk_mib: 0,
            mobility: Mobility::Live,
            cpu_level: None,
            priority: 0,
            ends_in_s: None,
            owner: None,
            notice_s: 0,
            bracket: None,
        }
    }
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands what it may skip by reference"
)]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands what it may skip by reference"
)]
fn is_least(amount: &u32) -> bool {
    *amount == 0
}
