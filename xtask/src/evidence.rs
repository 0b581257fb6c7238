//! What the last full test showed, kept beside the documentation that relies on it.

use std::fs;

use crate::{
    install::prints,
    outcome::Outcome,
    step::{self, Tally},
    workspace::Workspace,
};

const PAGE: &str = "docs/evidence/full.md";

/// Writes `docs/evidence/full.md`, also and above all when something failed.
pub(crate) fn write(workspace: &Workspace, tally: &Tally) -> Outcome {
    let ask = |program: &str, arguments: &[&str]| {
        prints(workspace.program(program).args(arguments)).map(|text| text.trim().to_owned())
    };
    let Some(commit) = ask("git", &["rev-parse", "HEAD"]) else {
        return Outcome::failed(
            "git does not say which commit this is, so the result belongs to nothing".to_owned(),
        );
    };
    // The pages of evidence are what it writes itself.
    let changed = ask(
        "git",
        &["status", "--porcelain", "--", ".", ":!docs/evidence"],
    );
    let facts = Facts {
        commit,
        clean: changed.is_some_and(|changed| changed.is_empty()),
        day: ask("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| "unknown".to_owned()),
        compiler: ask("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
    };
    match fs::write(workspace.root().join(PAGE), page(&facts, tally)) {
        Ok(()) => Outcome::passed(format!("written to {PAGE}")),
        Err(error) => Outcome::failed(format!("{PAGE} cannot be written: {error}")),
    }
}

struct Facts {
    commit: String,
    clean: bool,
    day: String,
    compiler: String,
}

fn page(facts: &Facts, tally: &Tally) -> String {
    let commit = if facts.clean {
        format!("`{}`", facts.commit)
    } else {
        format!("`{}` with changes that are not committed", facts.commit)
    };
    let mut page = format!(
        "# The last full test\n\nWritten by `cargo xtask test --full`; do not edit.\n\n- commit: {commit}\n- day: {}\n\
         - compiler: {}\n- steps: {}\n\n| step | result | time |\n|---|---|---|\n",
        facts.day,
        facts.compiler,
        tally.counts()
    );
    for record in &tally.records {
        let result = match &record.outcome {
            Outcome::Passed(passed) if passed.detail.is_empty() => "passed".to_owned(),
            Outcome::Passed(passed) => format!("passed: {}", passed.detail),
            Outcome::Failed { .. } => "**failed**".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
        };
        page.push_str(&format!(
            "| {} | {result} | {} |\n",
            record.name,
            step::seconds(record.time)
        ));
    }
    let left_out: Vec<String> = tally
        .records
        .iter()
        .flat_map(|record| record.outcome.left_out())
        .map(|reason| format!("- {reason}\n"))
        .collect();
    if !left_out.is_empty() {
        page.push_str("\nTests that were left out:\n\n");
        page.push_str(&left_out.concat());
    }
    page
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Passed;

    #[test]
    fn a_failure_and_a_dirty_tree_are_written_down() {
        let mut tally = Tally::default();
        let passed = Passed {
            detail: "42 tests".to_owned(),
            missing: vec!["apt peer: not root".to_owned()],
            ..Passed::default()
        };
        tally.add("tests", Outcome::Passed(passed), Duration::from_secs(20));
        tally.add("deny", Outcome::failed("a ban"), Duration::from_secs(1));
        let facts = Facts {
            commit: "abc".to_owned(),
            clean: false,
            day: "2026-12-14".to_owned(),
            compiler: "rustc 1.95.0".to_owned(),
        };
        let page = page(&facts, &tally);
        assert!(
            page.contains("- commit: `abc` with changes that are not committed\n"),
            "{page}"
        );
        assert!(
            page.contains("- steps: 1 passed, 1 failed, 0 skipped\n"),
            "{page}"
        );
        assert!(page.contains("| tests | passed: 42 tests |"), "{page}");
        assert!(page.contains("| deny | **failed** |"), "{page}");
        assert!(page.contains("- apt peer: not root\n"), "{page}");
    }
}
