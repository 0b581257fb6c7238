//! What the roll planner makes, and what that costs. `cargo xtask bench roll` starts it.

#[path = "../page.rs"]
mod page;
#[path = "../roll/mod.rs"]
mod roll;

use std::{error::Error, path::PathBuf, process::ExitCode};

use patchcore::plan::roll::{Answer, Objective, Wish, plan};
use roll::{
    figures::{Figures, Kind, Small},
    public,
    rows::Row,
    small, stages, work,
};

/// What is asked for.
#[derive(Debug, Default)]
struct Asked {
    page: Option<PathBuf>,
    data: Option<PathBuf>,
    /// The first seed of clusters that no published figure is about.
    seed: u32,
    /// A Python that has OR-tools.
    oracle: Option<PathBuf>,
    /// The one part that is measured; none: all.
    only: Option<String>,
}

const USAGE: &str = "expected [--data DIR] [--seed N] [--only rolls|small|stages|work|public] [--oracle PYTHON] [--page FILE]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match told(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}\n   nothing was measured");
            ExitCode::FAILURE
        }
    }
}

fn told(words: &[String]) -> Result<bool, Box<dyn Error>> {
    if let [once, hosts] = words
        && once == "once"
    {
        let work = work::once(hosts.parse()?)?;
        println!("{}", serde_json::to_string(&work)?);
        return Ok(true);
    }
    let mut asked = Asked::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--page" => asked.page = Some(value.into()),
            "--data" => asked.data = Some(value.into()),
            "--oracle" => asked.oracle = Some(value.into()),
            "--seed" => asked.seed = value.parse()?,
            "--only" => asked.only = Some(value.clone()),
            _ => return Err(format!("{word:?} is not understood\n   {USAGE}").into()),
        }
    }
    all(&asked)
}

/// Measures everything, says it, and whether every gate is met.
fn all(asked: &Asked) -> Result<bool, Box<dyn Error>> {
    let mut figures = Figures {
        about: page::about()?,
        loads: vec![page::load()?],
        ..Figures::default()
    };
    let wants = |part: &str| asked.only.as_deref().is_none_or(|only| only == part);
    if wants("rolls") {
        rolls(asked, &mut figures)?;
    }
    if wants("small") {
        for seed in 0..600 {
            one_small(&mut figures.small, asked.seed + seed)?;
        }
        eprintln!("{:?}", figures.small);
    }
    if wants("stages") {
        let python = asked.oracle.as_deref().ok_or(
            "CP-SAT is asked by a Python that has OR-tools, which `cargo xtask bench roll` brings",
        )?;
        figures.stages = stages::asked(python, asked.seed)?;
    }
    if wants("work") {
        for hosts in [30, 100, 300] {
            figures.work.push(work::apart(hosts, true)?);
        }
        for hosts in [300, 1_000, 10_000] {
            figures.work.push(work::apart(hosts, false)?);
        }
    }
    if let Some(folder) = asked.data.as_deref().filter(|_| wants("public")) {
        figures.roadef = Some(public::roadef(folder)?);
        figures.btrplace = Some(public::btrplace(folder)?);
    }
    figures.loads.push(page::load()?);
    let judged = figures.judged(asked.only.as_deref());
    println!("{}", roll::page::table(&judged));
    if let Some(page) = &asked.page {
        std::fs::write(page, roll::page::page(&figures))
            .map_err(|e| format!("{}: {e}", page.display()))?;
        println!("written to {}", page.display());
    }
    Ok(judged
        .iter()
        .all(|judged| judged.holds || judged.kind == Kind::Aim))
}

fn rolls(asked: &Asked, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    for hosts in [4, 16, 64] {
        for full in [50, 70, 85] {
            for seed in 0..5 {
                figures.rows.push(Row::of(hosts, full, seed, true)?);
            }
            eprintln!("{hosts} hosts at {full} % are measured");
        }
    }
    for hosts in [4, 6, 8, 12, 16, 24, 32, 48, 64] {
        for full in (50..=85).step_by(5) {
            for seed in 0..5 {
                let seed = asked.seed + seed;
                figures.more.push(Row::of(hosts, full, seed, false)?);
            }
        }
    }
    eprintln!("{} other clusters are measured", figures.more.len());
    Ok(())
}

/// Plans a small cluster, and looks at every way of it.
fn one_small(sums: &mut Small, seed: u32) -> Result<(), Box<dyn Error>> {
    let cluster = small::generate(seed);
    let fewest = small::fewest_mib(&cluster);
    sums.clusters += 1;
    sums.impossible += u32::from(fewest.is_none());
    match plan(&cluster, &Wish::new(Objective::FewestMoves), &|| false)? {
        Answer::Planned(planned) => {
            let moved = planned.best.figures().moved_mib;
            // What is found though nothing can be is a fault of one of the two searches.
            let fewest = fewest.ok_or(format!("small cluster {seed}: the searches disagree"))?;
            let largest = cluster.vms.iter().filter_map(|vm| vm.mem_mib).max();
            sums.found += 1;
            sums.optimal += u32::from(moved == fewest);
            sums.far_off += u32::from(moved > fewest + largest.unwrap_or(0));
            if moved < fewest {
                return Err(
                    format!("small cluster {seed}: {moved} MiB are below the fewest").into(),
                );
            }
        }
        Answer::Infeasible(_) => {
            sums.proofs += 1;
            sums.refuted += u32::from(fewest.is_some());
        }
        Answer::NotFound(not) => {
            sums.not_found += 1;
            sums.exhausted += u32::from(not.exhausted);
            sums.refuted += u32::from(not.exhausted && fewest.is_some());
            sums.missed += u32::from(fewest.is_some());
        }
    }
    Ok(())
}
