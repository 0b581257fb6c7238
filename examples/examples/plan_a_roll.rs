//! The roll of a whole cluster: which hosts go down when, and where every machine goes.
//!
//! `cargo run --example plan_a_roll` plans the cluster of `examples/clusters/eight_hosts.json`, which a person wrote in
//! five minutes; `--cluster FILE` another one. `--svg FILE` draws it, `--json` says every step, `--what-if` asks what
//! would be. The exit code is 0 with a roll, 2 for bad input, and 3 where a person has to decide something first.

use std::{fs, path::Path, process::ExitCode};

use patchcore::{
    Error, ErrorKind, Result,
    plan::roll::{Answer, Cluster, Objective, RollPlan, WhatIf, Wish, plan},
};
use patchcore_examples::{
    arguments::Arguments,
    instances,
    output::{failed, said},
};

const USAGE: &str = "plan_a_roll [--cluster FILE | --roadef FILE | --btrplace FILE] [--objective WORD] [--partial]
            [--json] [--svg FILE] [--what-if WORDS]

--cluster FILE    a cluster as JSON: docs/schema/cluster.json says its form; without it a cluster of eight hosts
--roadef FILE     model_NAME.txt of the ROADEF/EURO challenge of 2012, beside its assignment_NAME.txt
--btrplace FILE   an instance of BtrPlace's benchmark, also packed by gzip
--objective WORD  fewest_moves, balanced, fastest or knee; without it knee
--partial         leaves out what cannot be emptied, with its reason
--json            every step as JSON, in place of the text
--svg FILE        a picture as well: when which host is down, what moves where, and what is free
--what-if WORDS   also what would be with \"one host fewer\", \"without HOST\", \"one more down\" or \"pin VM\"";

pub(crate) fn main() -> ExitCode {
    match told() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::from(2)
        }
    }
}

fn told() -> Result<ExitCode> {
    let Some(arguments) = Arguments::of_this_process(USAGE)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let cluster = cluster(&arguments)?;
    let mut wish = Wish::new(objective(arguments.value("--objective"))?);
    wish.allow_partial = arguments.has("--partial");
    let what_if: Option<WhatIf> = arguments.value("--what-if").map(str::parse).transpose()?;

    let mut text = String::new();
    let mut code = ExitCode::SUCCESS;
    match plan(&cluster, &wish, &|| false)? {
        Answer::Planned(planned) => {
            let plan = RollPlan::of(cluster.clone(), wish.objective, *planned)?;
            text += &if arguments.has("--json") {
                plan.to_json()? + "\n"
            } else {
                plan.to_string()
            };
            if let Some(file) = arguments.value("--svg") {
                fs::write(file, plan.svg()).map_err(|error| failed(file, "written", error))?;
            }
        }
        Answer::Infeasible(infeasible) => {
            code = ExitCode::from(3);
            text += &if arguments.has("--json") {
                serde_json::json!({ "infeasible": infeasible }).to_string() + "\n"
            } else {
                format!("no roll patches every host\n   {infeasible}\n")
            };
        }
        Answer::NotFound(not) => {
            code = ExitCode::from(3);
            text += &if arguments.has("--json") {
                let left: Vec<&str> = not.left.iter().map(|host| host.as_str()).collect();
                let not = serde_json::json!({ "patched": not.patched, "left": left, "exhausted": not.exhausted });
                serde_json::json!({ "not_found": not }).to_string() + "\n"
            } else {
                format!("{not}\n")
            };
        }
    }
    if let Some(what_if) = what_if {
        text += &format!("\nwhat if: {}", what_if.answer(&cluster, &wish, &|| false)?);
    }
    said(&text).map(|()| code)
}

fn cluster(arguments: &Arguments) -> Result<Cluster> {
    let words = ["--cluster", "--roadef", "--btrplace"];
    let given = words.map(|word| arguments.value(word));
    match given {
        [None, None, None] => Ok(Cluster::from_json(include_str!(
            "../clusters/eight_hosts.json"
        ))?),
        [Some(file), None, None] => {
            let text = fs::read_to_string(file).map_err(|error| failed(file, "read", error))?;
            Ok(Cluster::from_json(&text)?)
        }
        [None, Some(file), None] => instances::roadef(Path::new(file)),
        [None, None, Some(file)] => instances::btrplace(Path::new(file)),
        _ => Err(
            Error::new(ErrorKind::InvalidInput, "one cluster is planned at a time")
                .hint("give one of --cluster, --roadef and --btrplace"),
        ),
    }
}

fn objective(word: Option<&str>) -> Result<Objective> {
    match word {
        None | Some("knee") => Ok(Objective::Knee),
        Some("fewest_moves") => Ok(Objective::FewestMoves),
        Some("balanced") => Ok(Objective::Balanced),
        Some("fastest") => Ok(Objective::Fastest),
        Some(other) => Err(
            Error::new(ErrorKind::InvalidInput, "this objective is not known")
                .expected("fewest_moves, balanced, fastest or knee")
                .found(other),
        ),
    }
}
