//! `cargo xtask`: the project's own commands.
//!
//! It depends on no other crate, so that it builds in two seconds and works when the rest does not.
//!
//! - [`bench`](mod@bench) measures patchcore beside other tools.
//! - [`crash`] crashes patchcore at every point.
//! - [`demo`] shows patchcore at work, and makes a picture of it.
//! - [`fuzz`] tries inputs on the parsers.
//! - [`lab`] keeps a small network of throw-away Debian machines.
//! - [`ladder`] lists the steps of `cargo xtask test`; [`step`] runs them and counts.
//! - [`mutants`] plants small faults that tests must catch.
//! - [`install`] brings the tools that the steps need.
//! - [`programs`] runs test programs side by side.
//! - [`proven`] holds what is said of providers against what the tests earned.
//! - [`python`] builds and tests the Python package.
//! - [`tidy`] holds the rules that no compiler checks.

mod bench;
mod crash;
mod demo;
mod evidence;
mod examples;
mod fuzz;
mod install;
mod lab;
mod ladder;
mod light;
mod mutants;
mod outcome;
mod peers;
mod programs;
mod proven;
mod python;
mod shell;
mod step;
mod tidy;
mod venv;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask demo                  shows patchcore at work, and says on which estate
       cargo xtask picture               makes the picture of a run in the README anew, from the demo
       cargo xtask test [--full] [NAME]  installs what the tests need, runs them, and says what ran
       cargo xtask test crash [--full] [--write]
                                         crashes patchcore at every point, and plants faults that must be caught
       cargo xtask bench linux [--guests N] [--rounds N] [--json FILE] [--write]
                                         measures patchcore beside other tools on real guests
       cargo xtask bench engine [--write]
                                         measures what the engine itself costs
       cargo xtask bench roll [--data DIR] [--seed N] [--only rolls|small|stages|work|public] [--write]
                                         measures the roll planner beside models of other tools and its bounds
       cargo xtask bench vsphere [--rounds N] [--only inventory|calls] [--write]
                                         measures what reading and rolling a vCenter costs, beside pyVmomi and govc
       cargo xtask bench python [--guests N] [--rounds N] [--write]
                                         measures what Python programs pay, with the wheel that users install
       cargo xtask fuzz [TARGET] [--minutes N] [--write]
                                         tries inputs on every parser of what comes from outside
       cargo xtask mutants [engine|checker] [--seed N] [--sample N] [--list]
                                         plants small faults into the engine, or the checker of rolls, each of which a test must catch
       cargo xtask evidence [--write]    holds the table of what is proven of each provider against the last run of all tests
       cargo xtask tidy                  checks the rules that no compiler checks
       cargo xtask lab up [N]            starts throw-away Debian machines that are reached by SSH
       cargo xtask lab status | down     says how they are, or ends them
       cargo xtask lab enter [GUEST] [-- CMD…]
                                         runs a command in their network, or in one of them
NAME is one step of the test, or `trouble`: what is said when things go wrong";

/// The exit code for a command line that cannot be understood.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = match Command::parse(&arguments) {
        Ok(command) => command,
        Err(mistake) => return refuse(&mistake),
    };
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(mistake) => return refuse(&mistake),
    };
    match command {
        Command::Note(words) => programs::note(&words),
        Command::Demo => demo::demo(&workspace),
        Command::Picture => demo::picture(&workspace),
        Command::Bench(words) => bench::linux(&workspace, &words),
        Command::BenchEngine { write } => bench::engine(&workspace, write),
        Command::BenchRoll(words) => bench::roll(&workspace, &words),
        Command::BenchVsphere(words) => bench::vsphere(&workspace, &words),
        Command::BenchPython(words) => python::bench(&workspace, &words),
        Command::Fuzz(wish) => fuzz::command(&workspace, &wish),
        Command::Evidence { write } => proven::command(&workspace, write),
        Command::Trouble => demo::trouble(&workspace),
        Command::Lab { arguments } => lab::command(&workspace, &arguments),
        Command::Tidy => tidy::command(&workspace),
        Command::Crash(wish) => crash::command(&workspace, wish),
        Command::Mutants(wish) => mutants::command(&workspace, wish),
        Command::Test { full, name } => ladder::command(&workspace, full, name.as_deref()),
        Command::Help => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
    }
}

fn refuse(mistake: &str) -> ExitCode {
    eprintln!("{mistake}");
    ExitCode::from(BAD_INPUT)
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    /// What the measuring program is told.
    Bench(Vec<String>),
    BenchEngine {
        write: bool,
    },
    /// What the measuring program is told.
    BenchRoll(Vec<String>),
    /// What the measuring program is told.
    BenchVsphere(Vec<String>),
    /// What the measuring program is told.
    BenchPython(Vec<String>),
    Crash(crash::Wish),
    /// How cargo would start a test program.
    Note(Vec<String>),
    Demo,
    Evidence {
        write: bool,
    },
    Picture,
    Fuzz(fuzz::Wish),
    Mutants(mutants::Wish),
    Test {
        full: bool,
        name: Option<String>,
    },
    Trouble,
    Lab {
        arguments: Vec<String>,
    },
    Tidy,
    Help,
}

impl Command {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["help" | "--help" | "-h"] => Ok(Self::Help),
            ["demo"] => Ok(Self::Demo),
            // Not among what people are told: cargo asks for it.
            [programs::NOTE, ..] => Ok(Self::Note(arguments[1..].to_vec())),
            ["lab", ..] => Ok(Self::Lab {
                arguments: arguments[1..].to_vec(),
            }),
            ["evidence"] => Ok(Self::Evidence { write: false }),
            ["evidence", "--write"] => Ok(Self::Evidence { write: true }),
            ["picture"] => Ok(Self::Picture),
            ["tidy"] => Ok(Self::Tidy),
            ["bench", "linux", words @ ..] => Ok(Self::Bench(
                words.iter().map(|&word| word.to_owned()).collect(),
            )),
            ["bench", "engine"] => Ok(Self::BenchEngine { write: false }),
            ["bench", "engine", "--write"] => Ok(Self::BenchEngine { write: true }),
            ["bench", "roll", words @ ..] => Ok(Self::BenchRoll(
                words.iter().map(|&word| word.to_owned()).collect(),
            )),
            ["bench", "vsphere", words @ ..] => Ok(Self::BenchVsphere(
                words.iter().map(|&word| word.to_owned()).collect(),
            )),
            ["bench", "python", words @ ..] => Ok(Self::BenchPython(
                words.iter().map(|&word| word.to_owned()).collect(),
            )),
            ["fuzz", wishes @ ..] => fuzz::Wish::parse(wishes)
                .map(Self::Fuzz)
                .map_err(|mistake| format!("{mistake}\n{USAGE}")),
            ["mutants", wishes @ ..] => mutants::Wish::parse(wishes)
                .map(Self::Mutants)
                .map_err(|mistake| format!("{mistake}\n{USAGE}")),
            ["test", "trouble"] => Ok(Self::Trouble),
            ["test", "--full", "crash"] => Ok(Self::Crash(crash::Wish {
                full: true,
                write: false,
            })),
            ["test", "crash", wishes @ ..] => crash::Wish::parse(wishes)
                .map(Self::Crash)
                .map_err(|mistake| format!("{mistake}\n{USAGE}")),
            ["test"] => Ok(Self::Test {
                full: false,
                name: None,
            }),
            ["test", "--full"] => Ok(Self::Test {
                full: true,
                name: None,
            }),
            ["test", "--full", name] | ["test", name, "--full"] if ladder::is_step(name) => {
                Ok(Self::Test {
                    full: true,
                    name: Some((*name).to_owned()),
                })
            }
            ["test", name] if ladder::is_step(name) => Ok(Self::Test {
                full: false,
                name: Some((*name).to_owned()),
            }),
            ["test", name, ..] => Err(format!(
                "no test step is called \"{name}\"\n   expected one of: {}, trouble\n{USAGE}",
                ladder::names().join(", ")
            )),
            [other, ..] => Err(format!(
                "\"{}\" is not understood after \"cargo xtask {other}\"\n{USAGE}",
                words.join(" ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Option<Command>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(Command::parse(&words).ok(), expect, "{line}");
    }

    #[test]
    fn command_lines() {
        check("", Some(Command::Help));
        check("demo", Some(Command::Demo));
        check("picture", Some(Command::Picture));
        check(
            "test",
            Some(Command::Test {
                full: false,
                name: None,
            }),
        );
        check(
            "test --full",
            Some(Command::Test {
                full: true,
                name: None,
            }),
        );
        check(
            "test tidy",
            Some(Command::Test {
                full: false,
                name: Some("tidy".to_owned()),
            }),
        );
        check(
            "test tidy --full",
            Some(Command::Test {
                full: true,
                name: Some("tidy".to_owned()),
            }),
        );
        check(
            "lab enter web-t1 -- id",
            Some(Command::Lab {
                arguments: ["enter", "web-t1", "--", "id"].map(str::to_owned).into(),
            }),
        );
        check("evidence", Some(Command::Evidence { write: false }));
        check("evidence --wirte", None);
        check("test trouble", Some(Command::Trouble));
        check(
            "test crash --full",
            Some(Command::Crash(crash::Wish {
                full: true,
                write: false,
            })),
        );
        check("test crash --fast", None);
        check(
            "fuzz scan",
            Some(Command::Fuzz(fuzz::Wish {
                target: Some("scan".to_owned()),
                minutes: 10,
                write: false,
            })),
        );
        check("fuzz --minute 3", None);
        check(
            "mutants",
            mutants::Wish::parse(&[]).ok().map(Command::Mutants),
        );
        check("mutants --fast", None);
        check(
            "bench linux --rounds 1",
            Some(Command::Bench(vec!["--rounds".to_owned(), "1".to_owned()])),
        );
        check(
            "bench engine --write",
            Some(Command::BenchEngine { write: true }),
        );
        check(
            "bench roll --seed 7",
            Some(Command::BenchRoll(vec![
                "--seed".to_owned(),
                "7".to_owned(),
            ])),
        );
        check("bench vsphere", Some(Command::BenchVsphere(Vec::new())));
        check("bench python", Some(Command::BenchPython(Vec::new())));
        check("bench engine --fast", None);
        check("bench", None);
        check("test tydi", None);
        check("test --fast", None);
        check("demo now", None);
        check("deploy", None);
    }
}
