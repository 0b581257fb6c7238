//! What the provider of a vCenter costs. `cargo xtask bench vsphere` starts it.

#[path = "../page.rs"]
mod page;
#[path = "../vsphere/mod.rs"]
mod vsphere;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

use vsphere::{
    figures::Figures,
    ours,
    stage::{self, Folder, Peers, TASK},
};

/// What is asked for.
#[derive(Debug, Default)]
struct Asked {
    page: Option<PathBuf>,
    peers: Peers,
    /// Which govc it is: it does not know that itself.
    govc: String,
    rounds: Option<usize>,
    /// The one part that is measured; none: all.
    only: Option<String>,
}

const USAGE: &str = "expected --python PYTHON --govc FILE --govc-version WORD [--rounds N] [--only inventory|calls] [--page FILE]";

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
    if let [read, server, ca] = words
        && read == "view"
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let machines = runtime.block_on(ours::view(server, Path::new(ca)))?;
        println!("{machines} machines");
        return Ok(true);
    }
    let mut asked = Asked::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--page" => asked.page = Some(value.into()),
            "--python" => asked.peers.python = value.into(),
            "--govc" => asked.peers.govc = value.into(),
            "--govc-version" => asked.govc.clone_from(value),
            "--rounds" => asked.rounds = Some(value.parse()?),
            "--only" if matches!(value.as_str(), "inventory" | "calls") => {
                asked.only = Some(value.clone());
            }
            _ => return Err(format!("{word} {value} is not understood\n   {USAGE}").into()),
        }
    }
    all(&asked)
}

/// Measures everything, says it, and whether every gate is met.
fn all(asked: &Asked) -> Result<bool, Box<dyn Error>> {
    let mut figures = Figures {
        about: page::about()?,
        loads: vec![page::load()?],
        rounds: asked.rounds.unwrap_or(5),
        ..Figures::default()
    };
    let wants = |part: &str| asked.only.as_deref().is_none_or(|only| only == part);
    let folder = Folder::new()?;
    if wants("inventory") {
        let version = "from importlib.metadata import version; print(version('pyvmomi'))";
        let said = page::said(&asked.peers.python, &["-c", version])?;
        figures.about.push(("pyVmomi".to_owned(), said));
        let said = asked.govc.clone();
        figures.about.push(("govc".to_owned(), said));
        figures.costs = stage::inventory(&folder, &asked.peers, figures.rounds)?;
        println!("{}", vsphere::page::readers(&figures));
    }
    if wants("calls") {
        let first = u32::try_from(TASK.as_millis())?;
        for task_ms in [first, 2 * first] {
            figures.rolls.push(stage::roll(&folder, task_ms)?);
            let roll = figures.rolls.last();
            let (calls, moves) = roll.map_or((0, 0), |r| (r.all(), r.migrations));
            eprintln!("tasks of {task_ms} ms: {calls} calls for {moves} moves");
        }
        println!("{}", vsphere::page::calls(&figures.rolls));
    }
    figures.loads.push(page::load()?);
    let judged = figures.judged(asked.only.as_deref());
    println!("{}", vsphere::page::table(&judged));
    if let Some(page) = &asked.page {
        std::fs::write(page, vsphere::page::page(&figures))
            .map_err(|e| format!("{}: {e}", page.display()))?;
        println!("written to {}", page.display());
    }
    Ok(judged.iter().all(|judged| judged.holds))
}
