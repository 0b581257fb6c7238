//! Rules that no compiler checks. Each file holds one of them, with tests in which it finds a planted fault.
//!
//! A rule is a function from the [`Tree`] to what it found. To add one: write it, plant its fault in a test, and list
//! it in [`RULES`].

mod examples;
mod fences;
mod layers;
mod length;
mod links;
mod manifest;
mod names;
mod rooms;
mod source;
mod text;
mod tree;

use std::{fmt, process::ExitCode};

use crate::{
    outcome::{Outcome, Passed},
    step::say,
    workspace::Workspace,
};
pub(crate) use tree::Script;
use tree::Tree;

/// A rule: what it looks at, and how.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("modules use only what stands to their left", layers::check),
    ("every provider has the same rooms", rooms::check),
    ("no file or folder is called a catch-all", names::check),
    (
        "no lint is allowed and no test ignored without a reason",
        source::check,
    ),
    (
        "every code block in the documentation is compiled",
        fences::check,
    ),
    ("the text speaks of patchcore alone", text::check),
    (
        "every dependency has a reason and one place for its version",
        manifest::check,
    ),
    ("every example is listed for readers", examples::check),
    ("links between pages lead somewhere", links::check),
    ("a file holds one idea", length::check),
];

/// One place where a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 means the whole file.
    line: usize,
    message: String,
    /// Shown, but no failure.
    warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
            warning: false,
        }
    }

    fn warning(self) -> Self {
        Self {
            warning: true,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.warning { "warning: " } else { "" };
        match self.line {
            0 => write!(f, "{}: {label}{}", self.path, self.message),
            line => write!(f, "{}:{line}: {label}{}", self.path, self.message),
        }
    }
}

/// Checks all rules over the files of the workspace.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let tree = match Tree::read(workspace) {
        Ok(tree) => tree,
        Err(reason) => return Outcome::failed(reason),
    };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|(_, rule)| rule(&tree)).collect();
    findings.sort();
    let (warnings, faults): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| finding.warning);
    if faults.is_empty() {
        return Outcome::Passed(Passed {
            detail: format!("{} rules over {} files", RULES.len(), tree.texts().count()),
            warnings: warnings.iter().map(ToString::to_string).collect(),
            ..Passed::default()
        });
    }
    let lines: Vec<String> = faults
        .iter()
        .chain(&warnings)
        .map(ToString::to_string)
        .collect();
    Outcome::failed(lines.join("\n"))
}

/// `cargo xtask tidy`.
pub(crate) fn command(workspace: &Workspace) -> ExitCode {
    match check(workspace) {
        Outcome::Passed(passed) => {
            for warning in &passed.warnings {
                say(&warning.to_string());
            }
            say(&format!("tidy: {}", passed.detail));
            for (what, _) in RULES {
                say(&format!("   {what}"));
            }
            ExitCode::SUCCESS
        }
        Outcome::Failed { output: faults, .. } | Outcome::Skipped(faults) => {
            say(&format!("{faults}\n{} findings", faults.lines().count()));
            ExitCode::FAILURE
        }
    }
}

/// The shell scripts of the workspace.
pub(crate) fn shell_scripts(workspace: &Workspace) -> Vec<Script> {
    Tree::read(workspace)
        .map(|tree| tree.shell_scripts())
        .unwrap_or_default()
}

/// Checks a rule over a few made-up files: each expectation is `PATH:LINE` of a finding.
#[cfg(test)]
fn expect(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], places: &[&str]) {
    let mut findings = rule(&Tree::of(files));
    findings.sort();
    let found: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect();
    assert_eq!(found, places, "{findings:#?}");
}
