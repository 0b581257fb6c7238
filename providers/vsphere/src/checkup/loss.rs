//! Whether a cluster can do without each of its hosts.

use patchcore::{
    id::ComponentId,
    plan::roll::{Answer, Cluster, HostState, Objective, Wish, plan},
};
use serde::Serialize;

/// Whether a cluster can do without each of its hosts, as long as a patch takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MayLose {
    /// A roll of all of them was found.
    Each {
        /// How many machines it moves.
        moves: u64,
        /// How much memory it copies, in MiB.
        moved_mib: u64,
        /// How long it takes, in milliseconds.
        makespan_ms: u64,
    },
    /// These hosts cannot be emptied, each with the reason; where none is named, each alone can and all in turn cannot.
    NotAll {
        /// Each with the reason.
        hosts: Vec<(ComponentId, String)>,
        /// What stands in the way of the whole roll.
        why: String,
    },
    /// It cannot be said: something that counts is unknown.
    Unknown {
        /// What.
        why: String,
    },
}

pub(super) fn may_lose(cluster: &Cluster) -> MayLose {
    let why = match answer(cluster) {
        Ok(Answer::Planned(planned)) => {
            let figures = planned.best.figures();
            return MayLose::Each {
                moves: figures.moves,
                moved_mib: figures.moved_mib,
                makespan_ms: figures.makespan_ms,
            };
        }
        Ok(other) => said(&other),
        Err(error) => {
            return MayLose::Unknown {
                why: error.to_string(),
            };
        }
    };
    let mut hosts = Vec::new();
    for at in 0..cluster.hosts.len() {
        if cluster.hosts[at].state != HostState::Open {
            continue;
        }
        let mut alone = cluster.clone();
        for (other, host) in alone.hosts.iter_mut().enumerate() {
            host.needs_patch = other == at;
        }
        match answer(&alone) {
            Ok(Answer::Planned(_)) => {}
            Ok(other) => hosts.push((cluster.hosts[at].id.clone(), said(&other))),
            Err(error) => hosts.push((cluster.hosts[at].id.clone(), error.to_string())),
        }
    }
    MayLose::NotAll { hosts, why }
}

fn answer(cluster: &Cluster) -> patchcore::Result<Answer> {
    plan(cluster, &Wish::new(Objective::FewestMoves), &|| false)
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Planned(_) => "a roll was found".to_owned(),
        Answer::Infeasible(infeasible) => infeasible.to_string(),
        Answer::NotFound(not_found) => not_found.to_string(),
    }
}
