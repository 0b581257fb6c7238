//! What a run did to clusters as wholes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Report, content::Section};
use crate::{
    execute::{
        Story,
        kernel::{MovedVm, RollPhase, RollState},
    },
    id::ComponentId,
    plan::{
        roll::{HostLeftOut, Objective, mib},
        text::{count, names},
    },
};

/// Machines of one host that went to the same one, before the rest is counted; the JSON form has all.
const NAMES: usize = 8;
/// Hosts of one cluster that are told of one by one.
const HOSTS: usize = 64;

/// One cluster's roll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollReport {
    /// Which cluster.
    pub cluster: ComponentId,
    /// What its plan was to be good at.
    pub objective: Objective,
    /// How often it was planned: once, and once more for each surprise.
    pub plans: u32,
    /// Why a person must look; none where nobody must.
    pub stopped: Option<String>,
    /// Hosts that its last plan left out, each with the reason.
    pub left_out: Vec<HostLeftOut>,
    /// Memory of the machines that were moved, once for each move, in MiB.
    pub moved_mib: u64,
    /// Every move that was seen to be over, in the order of time, with the reason that its plan gave.
    pub moves: Vec<MovedVm>,
}

impl RollReport {
    fn of(cluster: &ComponentId, roll: &RollState) -> Self {
        let vms = roll.first.vms.iter().chain(&roll.cluster.vms);
        let size: BTreeMap<&ComponentId, u64> = vms
            .map(|vm| (&vm.id, vm.mem_mib.unwrap_or_default()))
            .collect();
        let moved = roll.moved.iter();
        Self {
            cluster: cluster.clone(),
            objective: roll.objective,
            plans: roll.plans,
            stopped: match &roll.phase {
                RollPhase::Stopped { why } => Some(why.clone()),
                RollPhase::Rolling | RollPhase::Surprised { .. } => None,
            },
            left_out: roll.roll.left_out.clone(),
            moved_mib: moved
                .map(|moved| size.get(&moved.vm).copied().unwrap_or_default())
                .fold(0, u64::saturating_add),
            moves: roll.moved.clone(),
        }
    }

    /// `cluster-1: 3 moves, 24 GiB of memory, planned twice`.
    fn about(&self) -> String {
        let planned = match self.plans {
            1 => "planned once".to_owned(),
            2 => "planned twice".to_owned(),
            times => format!("planned {times} times"),
        };
        let mut about = format!(
            "{}: {}, {} of memory, {planned}",
            self.cluster,
            count(self.moves.len(), "move", "moves"),
            mib(self.moved_mib),
        );
        if let Some(why) = &self.stopped {
            about.push_str(&format!(", and stopped: {why}"));
        }
        about
    }

    /// Each host that machines left, with where they went and why.
    fn rows(&self) -> Vec<(String, String)> {
        let mut hosts: Vec<&ComponentId> = Vec::new();
        let mut ways: BTreeMap<&ComponentId, Vec<Way<'_>>> = BTreeMap::new();
        for moved in &self.moves {
            let ways = ways.entry(&moved.from).or_insert_with(|| {
                hosts.push(&moved.from);
                Vec::new()
            });
            let why = moved.why.to_string();
            let way = match ways.iter().position(|way| way.why == why) {
                Some(at) => &mut ways[at],
                None => {
                    let to = BTreeMap::new();
                    ways.push(Way { why, to });
                    let last = ways.len() - 1;
                    &mut ways[last]
                }
            };
            way.to.entry(&moved.to).or_default().push(&moved.vm);
        }
        let told = hosts.iter().take(HOSTS).filter_map(|host| {
            let ways = ways.get(host)?;
            let ways: Vec<String> = ways.iter().map(Way::words).collect();
            Some((host.to_string(), ways.join(" · ")))
        });
        let mut rows: Vec<(String, String)> = told.collect();
        let more = hosts.len().saturating_sub(HOSTS);
        if more > 0 {
            let more = count(more, "host more", "hosts more");
            rows.push((String::new(), format!("and machines of {more}")));
        }
        let left_out = self.left_out.iter();
        rows.extend(
            left_out.map(|left| (left.host.to_string(), format!("left out: {}", left.why))),
        );
        rows
    }
}

/// Machines that leave a host for one reason.
struct Way<'r> {
    why: String,
    to: BTreeMap<&'r ComponentId, Vec<&'r ComponentId>>,
}

impl Way<'_> {
    /// `vm-1, vm-2 to h02, vm-3 to h04: its new host needs no more patch, so it moves once`.
    fn words(&self) -> String {
        let to = self.to.iter();
        let to = to.map(|(to, vms)| format!("{} to {to}", names(vms.iter().copied(), NAMES)));
        format!("{}: {}", to.collect::<Vec<_>>().join(", "), self.why)
    }
}

/// The rolls of a run, by cluster.
pub(super) fn of(story: &Story) -> Vec<RollReport> {
    let rolls = story.state.rolls.iter();
    rolls
        .map(|(cluster, roll)| RollReport::of(cluster, roll))
        .collect()
}

impl Report {
    /// What moved, and why.
    pub(super) fn moved(&self) -> Section {
        let mut section = Section::new("machines moved");
        let about: Vec<String> = self.rolls.iter().map(RollReport::about).collect();
        if !about.is_empty() {
            section.about = Some(about.join("; "));
        }
        for roll in &self.rolls {
            section.rows.extend(roll.rows());
        }
        section
    }
}
