//! What the planner makes of public instances.

use std::{error::Error, path::Path};

use patchcore::plan::roll::{Answer, Cluster, Objective, Wish, plan};

use patchcore_examples::instances;

use super::work::cpu;

/// One public instance.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) name: String,
    pub(crate) hosts: usize,
    pub(crate) vms: usize,
    /// Hosts that are patched by a roll that passed the checker; none where there is none.
    pub(crate) patched: Option<u32>,
    pub(crate) mib: u64,
    pub(crate) bound_mib: u64,
    pub(crate) hours: f64,
    pub(crate) cpu: f64,
    /// The proof that not all can be patched, where the planner has one.
    pub(crate) proof: Option<String>,
}

/// Seconds of processor time for one instance of the challenge.
const SECONDS: f64 = 10.0;

/// The sets of the folder, `None` for the one that it lacks.
pub(crate) fn roadef(folder: &Path) -> Result<Vec<Public>, Box<dyn Error>> {
    let folder = folder.join("roadef-2012-a");
    let names = [
        "a1_1", "a1_2", "a1_3", "a1_4", "a1_5", "a2_1", "a2_2", "a2_3", "a2_4", "a2_5",
    ];
    let mut rows = Vec::new();
    for name in names {
        let cluster = instances::roadef(&folder.join(format!("model_{name}.txt")))?;
        let whole = plan(&cluster, &Wish::new(Objective::FewestMoves), &|| true)?;
        let proof = match whole {
            Answer::Infeasible(infeasible) => Some(infeasible.certificate.to_string()),
            _ => None,
        };
        let mut wish = Wish::new(Objective::FewestMoves);
        wish.allow_partial = true;
        rows.push(one(name, &cluster, &wish, proof, Some(SECONDS))?);
    }
    Ok(rows)
}

pub(crate) fn btrplace(folder: &Path) -> Result<Vec<Public>, Box<dyn Error>> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("btrplace"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_suffix(".json.gz") else {
            continue;
        };
        let cluster = instances::btrplace(&file)?;
        let wish = Wish::new(Objective::FewestMoves);
        rows.push(one(name, &cluster, &wish, None, None)?);
    }
    Ok(rows)
}

fn one(
    name: &str,
    cluster: &Cluster,
    wish: &Wish,
    proof: Option<String>,
    seconds: Option<f64>,
) -> Result<Public, Box<dyn Error>> {
    let began = cpu()?;
    let over = || seconds.is_some_and(|most| cpu().is_ok_and(|now| now - began >= most));
    let answer = plan(cluster, wish, &over)?;
    let mut row = Public {
        name: name.to_owned(),
        hosts: cluster.hosts.len(),
        vms: cluster.vms.len(),
        patched: None,
        mib: 0,
        bound_mib: 0,
        hours: 0.0,
        cpu: cpu()? - began,
        proof,
    };
    match answer {
        Answer::Planned(planned) => {
            let figures = planned.best.figures();
            row.patched = Some(figures.patched);
            row.mib = figures.moved_mib;
            row.bound_mib = planned.bounds.moved_mib;
            row.hours = super::rows::hours(figures.makespan_ms);
        }
        Answer::Infeasible(infeasible) => row.proof = Some(infeasible.certificate.to_string()),
        Answer::NotFound(_) => {}
    }
    eprintln!("{row:?}");
    Ok(row)
}
