//! What the engine costs, without any machine that is patched. `cargo xtask bench engine` starts it.
//!
//! Every measuring is a process of its own, which this program starts from itself.

#[cfg(target_os = "linux")]
#[path = "../engine/mod.rs"]
mod engine;
#[cfg(target_os = "linux")]
#[path = "../page.rs"]
mod page;

use std::{error::Error, process::ExitCode};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match told(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}\n   nothing was measured");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn told(_: &[&str]) -> Result<bool, Box<dyn Error>> {
    Err("memory and instructions are measured on Linux".into())
}

#[cfg(target_os = "linux")]
fn told(words: &[&str]) -> Result<bool, Box<dyn Error>> {
    use engine::measure;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words {
        ["whole", components, at_once, file @ ..] => {
            let file = file.first().map(std::path::Path::new);
            let cost = measure::whole(components.parse()?, at_once.parse()?, file);
            println!("{}", serde_json::to_string(&runtime.block_on(cost)?)?);
        }
        ["until", components, at_once, events] => {
            let reached = measure::until(components.parse()?, at_once.parse()?, events.parse()?);
            println!("{}", runtime.block_on(reached)?);
            // The run goes on until its process ends.
            std::process::exit(0);
        }
        ["begun", components, events, file] => {
            let file = std::path::Path::new(file);
            let cost = measure::begun(components.parse()?, events.parse()?, file);
            println!("{}", serde_json::to_string(&runtime.block_on(cost)?)?);
            // As a process that is killed: what goes on with the run finds what that would leave.
            std::process::exit(0);
        }
        ["reopened", file] => {
            let reopened = measure::reopened(std::path::Path::new(file));
            println!("{}", serde_json::to_string(&runtime.block_on(reopened)?)?);
            std::process::exit(0);
        }
        ["alone", folder] => {
            let alone = measure::alone(std::path::Path::new(folder), 300);
            println!("{}", serde_json::to_string(&runtime.block_on(alone)?)?);
        }
        [] => return stage::all(None),
        ["--page", page] => return stage::all(Some(page)),
        _ => return Err(format!("{words:?} is not understood\n   expected --page FILE").into()),
    }
    Ok(true)
}

#[cfg(target_os = "linux")]
mod stage {
    use std::{
        error::Error,
        process::{Command, Output},
    };

    use super::engine::{
        figures::Figures,
        measure::{Alone, Cost, Folder, Reopened},
    };

    /// In waves of so many, whatever the estate: what one event costs must not depend on the rest.
    const WAVE: &str = "200";
    /// Instructions are counted between these events of a run.
    const BETWEEN: [u64; 2] = [2_000, 8_000];

    /// Measures everything, says it, and whether it is as it must be.
    pub(super) fn all(page: Option<&str>) -> Result<bool, Box<dyn Error>> {
        let folder = Folder::new()?;
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut figures = Figures {
            about: crate::page::about()?,
            loads: vec![crate::page::load()?],
            ..Figures::default()
        };
        let place = folder.path().display().to_string();
        figures.alone = serde_json::from_str::<Alone>(&ours(&["alone", &place])?)?;
        let run = ["whole", "2000", "2000", &file("at-once.db")];
        figures.at_once = serde_json::from_str::<Cost>(&ours(&run)?)?;
        eprintln!("2,000 at once: {:?}", figures.at_once);
        for components in [1_000, 30_000] {
            let each = instructions(components)?;
            eprintln!("{components} components: {each:.0} instructions for one event");
            figures.instructions.push((components, each));
        }
        let run = ["whole", "100000", "2000", &file("large.db")];
        figures.large = serde_json::from_str::<Cost>(&ours(&run)?)?;
        eprintln!("100,000 components: {:?}", figures.large);
        // Each is admitted, and two events more for each.
        let (million, file) = ("1000000", file("million.db"));
        let run = ["begun", million, "3000000", &file];
        figures.million = serde_json::from_str::<Cost>(&ours(&run)?)?;
        eprintln!("1,000,000 components: {:?}", figures.million);
        figures.reopened = serde_json::from_str::<Reopened>(&ours(&["reopened", &file])?)?;
        figures.loads.push(crate::page::load()?);
        println!("{}", figures.table());
        if let Some(page) = page {
            std::fs::write(page, figures.page()).map_err(|e| format!("{page}: {e}"))?;
            println!("written to {page}");
        }
        Ok(figures.judged().iter().all(|judged| judged.holds))
    }

    fn ours(words: &[&str]) -> Result<String, Box<dyn Error>> {
        let output = Command::new(std::env::current_exe()?)
            .args(words)
            .output()?;
        Ok(said(&output, words)?)
    }

    fn said(output: &Output, words: &[&str]) -> Result<String, String> {
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("{words:?} failed: {error}"))
    }

    /// For one event, in the middle of a run of so many components.
    fn instructions(components: usize) -> Result<f64, Box<dyn Error>> {
        let mut points = Vec::new();
        for events in BETWEEN {
            let words = ["until", &components.to_string(), WAVE, &events.to_string()];
            let output = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(std::env::current_exe()?)
                .args(words)
                .output()
                .map_err(|error| format!("valgrind cannot be started: {error}"))?;
            let reached: f64 = said(&output, &words)?.trim().parse()?;
            let told = String::from_utf8_lossy(&output.stderr);
            let counted = told
                .lines()
                .find_map(|line| line.split_once("Collected : "))
                .and_then(|(_, number)| number.trim().parse::<f64>().ok());
            points.push((
                reached,
                counted.ok_or("callgrind does not say what it counted")?,
            ));
        }
        match points.as_slice() {
            [(from, few), (to, many)] if to > from => Ok((many - few) / (to - from)),
            _ => Err(format!("the two points of a run are {points:?}").into()),
        }
    }
}
