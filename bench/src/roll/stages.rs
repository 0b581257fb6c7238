//! Clusters of up to 8 hosts beside what CP-SAT makes of them in stages.
//!
//! A roll has as many stages as the longest chain of hosts each of which waits until the one before it is open again.
//! `bench/stages.py` asks CP-SAT for the fewest bytes of as many, with a model of its own and no bound of ours.

use std::{
    collections::BTreeMap,
    error::Error,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use patchcore::plan::roll::{Action, Answer, CheckedRoll, Objective, Roll, Wish, plan};
use serde::{Deserialize, Serialize};

use super::syn::Instance;

/// Hosts, GB and vCPUs of each, and how full they are in per cent. Beyond a dozen machines it proves next to nothing in
/// seconds, and still finds rolls.
const CLUSTERS: [(usize, (u32, u32), u32); 7] = [
    (3, (32, 20), 50),
    (3, (64, 40), 50),
    (4, (32, 20), 50),
    (4, (64, 40), 50),
    (5, (64, 40), 45),
    (6, (48, 32), 50),
    (8, (48, 32), 50),
];
const SEEDS: u32 = 3;
/// For each answer.
const LIMIT_S: f64 = 6.0;

/// What CP-SAT answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// `OPTIMAL`, `FEASIBLE`, `INFEASIBLE` or `UNKNOWN`.
    pub(crate) status: String,
    /// The fewest GB that it found.
    pub(crate) gb: Option<u64>,
}

impl Said {
    fn optimum(&self) -> Option<u64> {
        self.gb.filter(|_| self.status == "OPTIMAL")
    }

    fn is_infeasible(&self) -> bool {
        self.status == "INFEASIBLE"
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        match (self.gb, self.status.as_str()) {
            (Some(gb), "OPTIMAL") => format!("**{gb}**"),
            (Some(gb), _) => format!("{gb}"),
            (None, "INFEASIBLE") => "**none**".to_owned(),
            (None, _) => "nothing said".to_owned(),
        }
    }
}

/// What ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ours {
    /// The fewest GB of a roll with at most as many stages.
    Moves(u64),
    /// None has so few stages.
    MoreStages,
    /// A proof that there is none at all.
    Impossible,
    /// Neither.
    NotFound,
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) cluster: String,
    pub(crate) vms: usize,
    pub(crate) stages: usize,
    pub(crate) ours: Ours,
    /// Nothing that a roll can do is kept from it: what it proves holds for all.
    pub(crate) relaxed: Said,
    /// What it says can be carried out as it stands.
    pub(crate) executable: Said,
}

impl Asked {
    /// Whether two answers cannot both be true.
    pub(crate) fn is_refuted(&self) -> bool {
        match self.ours {
            Ours::Moves(gb) => {
                self.relaxed.is_infeasible()
                    || self.relaxed.optimum().is_some_and(|fewest| gb < fewest)
            }
            Ours::Impossible => self.executable.gb.is_some(),
            Ours::MoreStages | Ours::NotFound => false,
        }
    }

    /// Whether there is a roll that ours does not find.
    pub(crate) fn is_missed(&self) -> bool {
        matches!(self.ours, Ours::MoreStages | Ours::NotFound) && self.executable.gb.is_some()
    }
}

/// Our bytes beside the fewest, wherever these are proven.
pub(crate) fn ratios(all: &[Asked], of: impl Fn(&Asked) -> &Said) -> Vec<f64> {
    let ratio = |asked: &Asked| match (asked.ours, of(asked).optimum()) {
        (Ours::Moves(ours), Some(fewest)) => Some(ours as f64 / fewest as f64),
        _ => None,
    };
    all.iter().filter_map(ratio).collect()
}

/// How many questions it answers with fewer bytes than ours, whether or not it proves that these are the fewest.
pub(crate) fn beaten(all: &[Asked]) -> usize {
    let fewer = |asked: &&Asked| match (asked.ours, asked.executable.gb) {
        (Ours::Moves(ours), Some(found)) => found < ours,
        _ => false,
    };
    all.iter().filter(fewer).count()
}

/// How many hosts follow one another: each waits until the one before it is open again.
fn stages_of(roll: &Roll) -> usize {
    let mut opened: Vec<usize> = Vec::with_capacity(roll.steps.len());
    let mut most = 0;
    for step in &roll.steps {
        let before = step.needs.iter().map(|need| opened[*need as usize]);
        let before = before.max().unwrap_or(0);
        if matches!(step.action, Action::Patch { .. }) {
            most = most.max(before + 1);
        }
        let opens = matches!(step.action, Action::Reopen { .. });
        opened.push(before + usize::from(opens));
    }
    most
}

#[derive(Serialize)]
struct Question {
    limit_s: f64,
    clusters: Vec<ClusterAsked>,
}

#[derive(Serialize)]
struct ClusterAsked {
    name: String,
    hosts: usize,
    has: [u32; 2],
    failures: u32,
    vms: Vec<VmAsked>,
    groups: Vec<Vec<usize>>,
    stages: Vec<usize>,
}

#[derive(Serialize)]
struct VmAsked {
    host: usize,
    takes: [u32; 2],
}

#[derive(Deserialize)]
struct Line {
    cluster: String,
    stages: usize,
    executable: bool,
    status: String,
    gb: Option<u64>,
}

/// Plans the clusters, and asks CP-SAT about each for as many stages as ours have, and for one fewer.
pub(crate) fn asked(python: &Path, seed: u32) -> Result<Vec<Asked>, Box<dyn Error>> {
    let mut question = Question {
        limit_s: LIMIT_S,
        clusters: Vec::new(),
    };
    let mut all = Vec::new();
    for (hosts, has, full) in CLUSTERS {
        for seed in seed..seed + SEEDS {
            let instance = Instance::with(hosts, has, f64::from(full) / 100.0, seed);
            let name = format!("{hosts} hosts of {} GB at {full} %, seed {seed}", has.0);
            let ours = ours(&instance)?;
            question.clusters.push(ClusterAsked {
                name: name.clone(),
                hosts,
                has: [has.0, has.1],
                failures: instance.failures(),
                vms: machines(&instance),
                groups: groups(&instance),
                stages: ours.iter().map(|(stages, _)| *stages).collect(),
            });
            all.extend(ours.into_iter().map(|(stages, ours)| Asked {
                cluster: name.clone(),
                vms: instance.req.len(),
                stages,
                ours,
                relaxed: Said::default(),
                executable: Said::default(),
            }));
        }
    }
    let mut said = answers(python, &question)?;
    for asked in &mut all {
        let mut take = |executable| {
            said.remove(&(asked.cluster.clone(), asked.stages, executable))
                .ok_or_else(|| format!("CP-SAT said nothing of {}", asked.cluster))
        };
        (asked.relaxed, asked.executable) = (take(false)?, take(true)?);
    }
    Ok(all)
}

type Answers = BTreeMap<(String, usize, bool), Said>;

fn answers(python: &Path, question: &Question) -> Result<Answers, Box<dyn Error>> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages.py");
    let mut oracle = Command::new(python)
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", python.display()))?;
    if let Some(mut input) = oracle.stdin.take() {
        input.write_all(serde_json::to_string(question)?.as_bytes())?;
    }
    let output = oracle.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("CP-SAT ended with {}", output.status).into());
    }
    let mut answers = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        let said = Said {
            status: line.status,
            gb: line.gb,
        };
        answers.insert((line.cluster, line.stages, line.executable), said);
    }
    Ok(answers)
}

fn machines(instance: &Instance) -> Vec<VmAsked> {
    let all = instance.req.iter().zip(&instance.pos);
    all.map(|((gb, vcpu), host)| VmAsked {
        host: *host,
        takes: [*gb, *vcpu],
    })
    .collect()
}

fn groups(instance: &Instance) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (vm, group) in instance.grp.iter().enumerate() {
        if let Some(group) = group {
            groups.entry(*group).or_default().push(vm);
        }
    }
    groups.into_values().collect()
}

/// What ours moves with how many stages: of the rolls with the fewest moves, of the fastest, and of one stage fewer
/// than these.
fn ours(instance: &Instance) -> Result<Vec<(usize, Ours)>, Box<dyn Error>> {
    let cluster = instance.cluster(instance.failures());
    let mut rolls: Vec<(usize, u64)> = Vec::new();
    for objective in [
        Objective::FewestMoves,
        Objective::Balanced,
        Objective::Knee,
        Objective::Fastest,
    ] {
        match plan(&cluster, &Wish::new(objective), &|| false)? {
            Answer::Planned(planned) => {
                let made =
                    |roll: &CheckedRoll| (stages_of(roll.roll()), roll.figures().moved_mib / 1024);
                rolls.push(made(&planned.best));
                rolls.extend(planned.others.iter().map(made));
            }
            Answer::Infeasible(_) => return Ok(vec![(instance.hosts, Ours::Impossible)]),
            Answer::NotFound(_) => return Ok(vec![(instance.hosts, Ours::NotFound)]),
        }
    }
    let within = |stages: usize| {
        let fits = rolls.iter().filter(|roll| roll.0 <= stages);
        fits.map(|roll| roll.1)
            .min()
            .map_or(Ours::MoreStages, Ours::Moves)
    };
    let few = rolls.iter().min_by_key(|(stages, gb)| (*gb, *stages));
    let fast = rolls.iter().min();
    let (Some((few, _)), Some((fast, _))) = (few, fast) else {
        return Err("no roll was planned".into());
    };
    let mut stages = vec![*few, *fast, *fast + 1, fast - 1];
    stages.retain(|stages| (1..=instance.hosts).contains(stages));
    stages.sort_unstable();
    stages.dedup();
    Ok(stages.into_iter().map(|n| (n, within(n))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str, gb: Option<u64>) -> Said {
        Said {
            status: status.to_owned(),
            gb,
        }
    }

    fn asked(ours: Ours, relaxed: Said, executable: Said) -> Asked {
        Asked {
            cluster: "three hosts".to_owned(),
            vms: 6,
            stages: 3,
            ours,
            relaxed,
            executable,
        }
    }

    #[test]
    fn what_is_proven_counts_and_what_is_only_found_does_not() {
        let proven = || said("OPTIMAL", Some(100));
        let found = || said("FEASIBLE", Some(90));
        let all = [
            asked(Ours::Moves(102), proven(), proven()),
            asked(Ours::Moves(102), found(), found()),
            asked(Ours::MoreStages, proven(), proven()),
        ];
        let near = |ratios: Vec<f64>| ratios.len() == 1 && (ratios[0] - 1.02).abs() < 1e-9;
        assert!(near(ratios(&all, |asked| &asked.executable)));
        assert!(near(ratios(&all, |asked| &asked.relaxed)));
        assert_eq!(beaten(&all), 2);
    }

    #[test]
    fn answers_that_cannot_both_be_true_are_told_from_misses() {
        let none = || said("INFEASIBLE", None);
        let some = || said("FEASIBLE", Some(90));
        let fewest = || said("OPTIMAL", Some(100));
        for (ours, relaxed, executable, refuted, missed) in [
            (Ours::Moves(99), fewest(), fewest(), true, false),
            (Ours::Moves(100), fewest(), fewest(), false, false),
            (Ours::Moves(99), none(), none(), true, false),
            // A roll need not move all at once.
            (Ours::Moves(99), some(), none(), false, false),
            (Ours::Impossible, some(), some(), true, false),
            (Ours::Impossible, none(), none(), false, false),
            (Ours::MoreStages, some(), some(), false, true),
            (Ours::NotFound, none(), none(), false, false),
        ] {
            let asked = asked(ours, relaxed, executable);
            assert_eq!(asked.is_refuted(), refuted, "{asked:?}");
            assert_eq!(asked.is_missed(), missed, "{asked:?}");
        }
    }

    #[test]
    fn stages_are_counted_along_what_waits() {
        let (close, patch, reopen) = (
            |host: &str| Action::Close { host: host.into() },
            |host: &str| Action::Patch { host: host.into() },
            |host: &str| Action::Reopen { host: host.into() },
        );
        let mut roll = Roll {
            schema: Roll::SCHEMA.to_owned(),
            partial: false,
            steps: Vec::new(),
            left_out: Vec::new(),
        };
        let mut push = |action, needs: &[u32]| {
            roll.steps.push(patchcore::plan::roll::Step {
                action,
                needs: needs.to_vec(),
                not_before_ms: None,
                reason: patchcore::plan::roll::Reason::Follows,
            });
        };
        for (host, needs) in [("a", &[][..]), ("b", &[]), ("c", &[2])] {
            let at = match host {
                "a" => 0,
                "b" => 3,
                _ => 6,
            };
            push(close(host), needs);
            push(patch(host), &[at]);
            push(reopen(host), &[at + 1]);
        }
        assert_eq!(stages_of(&roll), 2);
        // One that goes on when the other was patched and is not open yet is down with it.
        roll.steps[6].needs = vec![1];
        assert_eq!(stages_of(&roll), 1);
    }
}
