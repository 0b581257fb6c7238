//! `cargo xtask test crash`: production code in a world that it may be crashed in at every point.
//!
//! The matrix and its judge are `patchcore/tests/crash`; this builds it with its feature, runs it and keeps its table.
//! Beside it the suites of the journal and of the killed engine run with that feature too: only then they plant faults
//! into the journal.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, ExitCode},
    thread,
};

use crate::{
    install::prints,
    outcome::Outcome,
    shell::{self, Finished},
    step::{now, say, seconds},
    workspace::Workspace,
};

const PAGE: &str = "docs/evidence/crash.md";

/// What is asked for on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// Pairs of crashes and every variant of a cell.
    pub(crate) full: bool,
    /// Whether the table is written to the page of evidence.
    pub(crate) write: bool,
}

impl Wish {
    /// Reads `[--full] [--write]`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut wish = Self::default();
        for word in words {
            match *word {
                "--full" => wish.full = true,
                "--write" => wish.write = true,
                other => {
                    return Err(format!(
                        "\"{other}\" is not understood after \"cargo xtask test crash\""
                    ));
                }
            }
        }
        Ok(wish)
    }

    /// The words after `cargo xtask` that ask for a page.
    fn words(self) -> String {
        let full = if self.full { " --full" } else { "" };
        format!("test crash{full} --write")
    }
}

/// Runs the matrix and shows its table.
pub(crate) fn command(workspace: &Workspace, wish: Wish) -> ExitCode {
    let started = now();
    let finished = match run(workspace, wish.full) {
        Ok((disk, _)) if !disk.is_success() => {
            say(&disk.output);
            return ExitCode::FAILURE;
        }
        Ok((_, matrix)) => matrix,
        Err(_) => {
            eprintln!("cargo cannot be started");
            return ExitCode::from(crate::BAD_INPUT);
        }
    };
    let table = table(&finished.output);
    if wish.write
        && finished.is_success()
        && let Err(mistake) = write(workspace, &wish.words(), &table)
    {
        eprintln!("{mistake}");
        return ExitCode::from(crate::BAD_INPUT);
    }
    say(&format!("built and run in {}", seconds(started.elapsed())));
    // Its last line has the counts.
    say(table.trim_end());
    if finished.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The step of the ladder; the full one keeps its table.
pub(crate) fn check(workspace: &Workspace, full: bool) -> Outcome {
    match run(workspace, full) {
        Ok((disk, _)) if !disk.is_success() => Outcome::failed(disk.output),
        Ok((_, finished)) if finished.is_success() => {
            let table = table(&finished.output);
            match full.then(|| write(workspace, "test --full", &table)) {
                Some(Err(mistake)) => Outcome::failed(mistake),
                Some(Ok(())) | None => Outcome::passed(counts(&finished.output)),
            }
        }
        Ok((_, finished)) => Outcome::failed(finished.output),
        Err(outcome) => outcome,
    }
}

/// The suites of the journal, and beside them the matrix: those wait for the disk, and it computes on one thread.
fn run(workspace: &Workspace, full: bool) -> Result<(Finished, Finished), Outcome> {
    let one = |name: &str, mut command: Command| shell::run(workspace, name, &mut command, None);
    thread::scope(|scope| {
        let beside = scope.spawn(|| one("crash-disk", disk(workspace, full)));
        let matrix = one("crash", cargo(workspace, full));
        let disk = beside
            .join()
            .map_err(|_| Outcome::failed("the suites of the journal were lost"))?;
        Ok((disk?, matrix?))
    })
}

fn cargo(workspace: &Workspace, full: bool) -> Command {
    let mut command = with_feature(workspace, &["--test", "crash", "--"]);
    if full {
        command.arg("--full");
    }
    command
}

/// The suites that damage a real journal, with the switch by which they plant faults into it.
fn disk(workspace: &Workspace, full: bool) -> Command {
    let mut command = with_feature(workspace, &["--test", "journal", "--test", "crash_disk"]);
    if full {
        command.env("PATCHCORE_FULL", "1");
    }
    command
}

fn with_feature(workspace: &Workspace, tests: &[&str]) -> Command {
    let mut command = workspace.cargo([
        "test",
        "--quiet",
        "--profile",
        "crash",
        "--package",
        "patchcore",
        "--features",
        "crash",
    ]);
    command.args(tests);
    command
}

/// What the matrix printed, without what cargo said before it.
fn table(output: &str) -> String {
    let from = output.find("| the first life ends at").unwrap_or_default();
    output[from..].to_owned()
}

/// The last line, without its first word: the step has a name already.
fn counts(output: &str) -> String {
    let last = output.trim_end().lines().last().unwrap_or_default();
    last.strip_prefix("crash: ").unwrap_or(last).to_owned()
}

fn write(workspace: &Workspace, words: &str, table: &str) -> Result<(), String> {
    let ask = |program: &str, arguments: &[&str]| {
        prints(workspace.program(program).args(arguments))
            .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let day = ask("date", &["-u", "+%Y-%m-%d"]);
    let commit = ask("git", &["rev-parse", "--short=12", "HEAD"]);
    fs::write(
        workspace.root().join(PAGE),
        page(words, table, &day, &commit),
    )
    .map_err(|error| format!("{PAGE} cannot be written: {error}"))?;
    say(&format!("written to {PAGE}"));
    Ok(())
}

fn page(words: &str, table: &str, day: &str, commit: &str) -> String {
    let mut page = format!(
        "# The last crash matrix\n\nWritten by `cargo xtask {words}`, {day}, `{commit}`; do not edit.\n\n\
         The production kernels, `ensure` and the looks are stepped by one thread through a world of guests, and of a cluster whose hosts they are, whose own log is the judge.\n\
         A cell is one operation: its verb, what its target promises (with a memory that lasts, or has ended), where the first life ends, what the target then answers, and which life asks.\n\
         It is hit when that answer was given after that point.\n\
         A whole run is crashed at each of its points, and its first process is put to sleep there and woken up again at three moments; with `--full` each crash is followed by each second one.\n\
         Of the roll of eight hosts each thirty-first point is hurt, with `--full` every one.\n\
         The journal here is a list in memory, and commits are whole; the real one is killed and damaged by tests of its own.\n\n\
         The seeds run the driver itself, `Estate::run`, in virtual time and on one thread, over the same world and under the same judge, with a journal in a file.\n\
         A seed gives an estate, a policy, what goes wrong with which guest and with which call, what people want, when the clock is set, and for each process its end: at a call, by its disk, or parked; the next one opens the same journal.\n\
         Where nothing of that may change the end, it must be the end of the same estate undisturbed.\n\
         A seed that fails names the command that runs it again and tells everything.\n\n"
    );
    let mut lines = table.trim_end().lines().collect::<Vec<_>>();
    let counts = lines.pop().unwrap_or_default();
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{line}");
    }
    let _ = writeln!(page, "\n{counts}");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "warning: x\n| the first life ends at | cells |\n|---|---|\n| A | 1 |\n\ncrash: 1 cells · 0 violations\n";

    #[test]
    fn the_counts_stand_in_the_last_line() {
        assert_eq!(counts(OUTPUT), "1 cells · 0 violations");
        assert!(table(OUTPUT).starts_with("| the first"));
    }

    #[test]
    fn the_page_ends_with_the_counts() {
        let page = page(
            &Wish::default().words(),
            &table(OUTPUT),
            "2026-11-28",
            "abc",
        );
        assert!(page.ends_with("| A | 1 |\n\n\ncrash: 1 cells · 0 violations\n"));
        assert!(page.contains("`cargo xtask test crash --write`, 2026-11-28, `abc`"));
    }

    #[test]
    fn wishes() {
        let full = Wish {
            full: true,
            write: false,
        };
        assert_eq!(Wish::parse(&["--full"]), Ok(full));
        assert!(Wish::parse(&["--ful"]).is_err());
    }
}
