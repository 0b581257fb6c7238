//! The steps of `cargo xtask test`, cheapest and most telling first.

use std::{collections::BTreeSet, fs, process::ExitCode};

use crate::{
    crash, evidence, examples, install, light,
    outcome::{Outcome, Passed},
    peers, programs, proven, python, shell,
    step::{self, Tally},
    tidy,
    workspace::{self, Workspace},
};

/// One step: its name and what it does.
struct Step {
    name: &'static str,
    run: fn(&Workspace, full: bool) -> Outcome,
}

/// To add a step: its name and a function that says what became of it. What takes longest and fails least stands last.
const STEPS: &[Step] = &[
    Step {
        name: "toolchain",
        run: |workspace, _| install::toolchain(workspace),
    },
    Step {
        name: "packages",
        run: |workspace, _| install::packages(workspace),
    },
    Step {
        name: "format",
        run: |workspace, _| {
            cargo(
                workspace,
                "format",
                ["fmt", "--all", "--check", "--", "--color", "never"],
            )
        },
    },
    Step {
        name: "tidy",
        run: |workspace, _| tidy::check(workspace),
    },
    Step {
        name: "scripts",
        run: |workspace, _| scripts(workspace),
    },
    Step {
        name: "lints",
        run: |workspace, _| lints(workspace),
    },
    Step {
        name: "peers",
        run: |workspace, _| peers::build(workspace),
    },
    Step {
        name: "tests",
        run: tests,
    },
    Step {
        name: "crash",
        run: crash::check,
    },
    Step {
        name: "examples",
        run: |workspace, _| examples::run_all(workspace),
    },
    Step {
        name: "python",
        run: python::check,
    },
    Step {
        name: "docs",
        run: |workspace, _| docs(workspace),
    },
    Step {
        name: "light",
        run: |workspace, _| light::check(workspace),
    },
    Step {
        name: "deny",
        run: |workspace, _| deny(workspace),
    },
];

/// The names of all steps, in their order.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

pub(crate) fn is_step(name: &str) -> bool {
    STEPS.iter().any(|step| step.name == name)
}

/// Runs all steps, or the named one, and says what became of them.
pub(crate) fn command(workspace: &Workspace, full: bool, name: Option<&str>) -> ExitCode {
    let in_ci = workspace::in_ci();
    let mut tally = Tally::default();
    for step in STEPS
        .iter()
        .filter(|step| name.is_none_or(|name| name == step.name))
    {
        tally.run(step.name, in_ci, || (step.run)(workspace, full));
    }
    if full && name.is_none() {
        // Last, so that it says what became of every other step.
        let steps = std::mem::take(&mut tally);
        let written = evidence::write(workspace, &steps);
        tally = steps;
        tally.run("evidence", in_ci, || written);
    }
    step::say(&format!("\n{}\n{}", tally.sentence(), tally.counts()));
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cargo<const N: usize>(workspace: &Workspace, name: &str, arguments: [&str; N]) -> Outcome {
    match shell::run(workspace, name, &mut workspace.cargo(arguments), None) {
        Ok(finished) => finished.outcome(""),
        Err(outcome) => outcome,
    }
}

fn lints(workspace: &Workspace) -> Outcome {
    let workspace_wide = cargo(
        workspace,
        "lints",
        [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    );
    if !matches!(workspace_wide, Outcome::Passed(_)) {
        return workspace_wide;
    }
    // What is built for the crash matrix only is no part of the workspace's own build.
    cargo(
        workspace,
        "lints-crash",
        [
            "clippy",
            "--quiet",
            "--package",
            "patchcore",
            "--features",
            "crash",
            "--lib",
            "--test",
            "crash",
            "--",
            "-D",
            "warnings",
        ],
    )
}

fn docs(workspace: &Workspace) -> Outcome {
    let mut command = workspace.cargo(["doc", "--quiet", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    match shell::run(workspace, "docs", &mut command, None) {
        Ok(finished) => finished.outcome(""),
        Err(outcome) => outcome,
    }
}

fn scripts(workspace: &Workspace) -> Outcome {
    if install::prints(workspace.program("shellcheck").arg("--version")).is_none() {
        return Outcome::Skipped("shellcheck is not installed".to_owned());
    }
    let scripts = tidy::shell_scripts(workspace);
    let mut faults = String::new();
    // A script without a first line is a part that a program puts together with others: POSIX sh, whose variables
    // another part sets or reads.
    let kinds: [(bool, &[&str]); 2] = [
        (true, &[]),
        (false, &["--shell=sh", "--exclude=SC2034,SC2154"]),
    ];
    for (whole, options) in kinds {
        let chosen: Vec<&str> = scripts
            .iter()
            .filter(|script| script.whole == whole)
            .map(|script| script.path.as_str())
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let mut command = workspace.program("shellcheck");
        command.args(options).arg("--").args(chosen);
        match shell::run(workspace, "scripts", &mut command, None) {
            Ok(finished) if finished.is_success() => {}
            Ok(finished) => faults.push_str(&finished.output),
            Err(outcome) => return outcome,
        }
    }
    if faults.is_empty() {
        Outcome::passed(format!("{} shell scripts", scripts.len()))
    } else {
        Outcome::failed(faults)
    }
}

fn deny(workspace: &Workspace) -> Outcome {
    let (program, how) = match install::tool(workspace, install::CARGO_DENY) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    let mut command = workspace.program(program);
    command.args([
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    match shell::run(workspace, "deny", &mut command, None) {
        Ok(finished) => finished.outcome(&how),
        Err(outcome) => outcome,
    }
}

/// So many test programs run side by side, each with a thread for each processor: most of their time is waiting.
const AT_ONCE: usize = 3;

fn tests(workspace: &Workspace, full: bool) -> Outcome {
    // What is long in the full tier is long by what it computes.
    let (words, env): (&[&str], &[_]) = match full {
        true => (&["--profile", "crash"], &[("PATCHCORE_FULL", "1")]),
        false => (&[], &[]),
    };
    let (well, mut output) = match programs::run(workspace, words, env, AT_ONCE) {
        Ok(ran) => ran,
        Err(outcome) => return outcome,
    };
    // rustdoc builds and runs the examples of the documentation in one.
    let mut examples = workspace.cargo(["test", "--workspace", "--no-fail-fast", "--doc"]);
    examples.args(words).envs(env.iter().copied());
    examples.args(["--", "--show-output"]);
    let finished = match shell::run(workspace, "tests-doc", &mut examples, None) {
        Ok(finished) => finished,
        Err(outcome) => return outcome,
    };
    output.push_str(&finished.output);
    if let Err(error) = fs::write(programs::log(workspace), &output) {
        return Outcome::failed(format!("what the tests said cannot be kept: {error}"));
    }
    let success = well && finished.is_success();
    let read = TestOutput::read(&output);
    if success && let Err(fault) = proven::check(workspace, &output, read.missing.is_empty()) {
        return Outcome::failed(fault);
    }
    read.outcome(success, output)
}

/// What the test harness printed, over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct TestOutput {
    passed: usize,
    failed: usize,
    /// What tests said they could not try here, each with its reason.
    missing: BTreeSet<String>,
    /// Ignored tests, and what tests leave to `--full`, each with its reason.
    left_out: BTreeSet<String>,
    /// The parts that tell of failures.
    failures: String,
}

impl TestOutput {
    /// A test that lacks what it needs prints a line `skipped: WHY` and returns; one that is meant for
    /// `--full` prints `left to --full: WHAT`.
    fn read(output: &str) -> Self {
        let mut read = Self::default();
        let mut in_failures = false;
        let mut test = "";
        for line in output.lines() {
            if let Some(counts) = line.strip_prefix("test result: ") {
                in_failures = false;
                read.passed += count(counts, "passed");
                read.failed += count(counts, "failed");
            } else if line == "failures:" {
                in_failures = true;
            } else if let Some(name) = speaker(line) {
                test = name;
            } else if let Some(reason) = line.strip_prefix("skipped: ") {
                read.missing.insert(format!("{test}: {reason}"));
            } else if let Some(what) = line.strip_prefix("left to --full: ") {
                read.left_out
                    .insert(format!("{test}: {what}: only with --full"));
            } else if let Some((test, reason)) = ignored(line) {
                read.left_out.insert(format!("{test}: {reason}"));
            }
            // `error` begins what the compiler says and how cargo names the test programs that failed.
            if in_failures || line.starts_with("error") {
                read.failures.push_str(line);
                read.failures.push('\n');
            }
        }
        // When the compiler stopped, its message goes on below the line that begins with `error`: show everything.
        if read.failed == 0 {
            read.failures.clear();
        }
        read
    }

    /// A success of which no test is known is none: the harness may print in another form, or nothing was built.
    fn outcome(self, success: bool, whole: String) -> Outcome {
        if success && self.failed == 0 && self.passed > 0 {
            return Outcome::Passed(Passed {
                detail: format!("{} tests", self.passed),
                missing: self.missing.into_iter().collect(),
                left_out: self.left_out.into_iter().collect(),
                warnings: Vec::new(),
            });
        }
        Outcome::Failed {
            output: if self.failures.is_empty() {
                whole
            } else {
                self.failures
            },
            left_out: self.missing.into_iter().chain(self.left_out).collect(),
        }
    }
}

/// The number before a word in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split(['.', ';'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// The test whose output begins with a line `---- NAME stdout ----`.
fn speaker(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// A line `test NAME ... ignored, WHY`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (test, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((
        test,
        rest.strip_prefix(", ").unwrap_or("no reason is given"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_left_out_tests_are_read() {
        let read = TestOutput::read(
            "running 3 tests\ntest a ... ok\ntest b ... ignored, needs a guest\ntest c ... ok\n\nsuccesses:\n\n\
             ---- c stdout ----\nskipped: not root\nleft to --full: scale\n\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 \
             measured; 0 filtered out; finished in 0.00s\n\ntest result: ok. 40 passed; 0 failed; 0 ignored\n",
        );
        assert_eq!((read.passed, read.failed), (42, 0));
        assert_eq!(read.missing, BTreeSet::from(["c: not root".to_owned()]));
        let left_out: Vec<&str> = read.left_out.iter().map(String::as_str).collect();
        assert_eq!(left_out, ["b: needs a guest", "c: scale: only with --full"]);
        assert_eq!(read.failures, "");
    }

    #[test]
    fn failures_are_shown_without_the_output_of_passing_tests() {
        let read = TestOutput::read(
            "successes:\n\n---- good stdout ----\nchatter\n\nfailures:\n\n---- bad stdout ----\nleft: 1\n\nfailures:\n    \
             bad\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\nerror: test failed\nrunning 9 tests\n",
        );
        assert_eq!((read.passed, read.failed), (1, 1));
        assert!(read.failures.contains("left: 1") && read.failures.contains("error: test failed"));
        assert!(!read.failures.contains("chatter") && !read.failures.contains("running 9"));
    }

    fn check_outcome(output: &str, success: bool, expect: bool) {
        let outcome = TestOutput::read(output).outcome(success, output.to_owned());
        assert_eq!(
            matches!(outcome, Outcome::Passed(_)),
            expect,
            "{output} {success}"
        );
    }

    #[test]
    fn an_exit_code_alone_is_not_believed() {
        check_outcome("test result: ok. 3 passed; 0 failed; 0 ignored", true, true);
        check_outcome(
            "test result: ok. 3 passed; 0 failed; 0 ignored",
            false,
            false,
        );
        check_outcome(
            "test result: FAILED. 3 passed; 1 failed; 0 ignored",
            true,
            false,
        );
        check_outcome(
            "test result: ok. 0 passed; 0 failed; 0 ignored",
            true,
            false,
        );
        check_outcome("", true, false);
    }

    #[test]
    fn a_build_that_stops_shows_everything() {
        assert_eq!(
            TestOutput::read("error[E0308]: mismatched types\n  --> src/lib.rs:1:1\n").failures,
            ""
        );
    }
}
