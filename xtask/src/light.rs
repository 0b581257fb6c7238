//! The light half: patchcore without default features decides and needs no runtime, database or network stack.
//!
//! Bindings to other languages and embedders with their own engine rely on it.

use crate::{outcome::Outcome, shell, workspace::Workspace};

/// Crates that may not stand below the light half. A name ending in `*` means every crate that begins so.
const FORBIDDEN: &[&str] = &[
    "tokio*",
    "rusqlite",
    "libsqlite3-sys",
    "reqwest",
    "hyper*",
    "http",
    "http-body*",
    "rustls*",
    "openssl*",
];

/// Builds the light half and looks through its dependencies.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let light = match tree(workspace, true) {
        Ok(text) => text,
        Err(outcome) => return outcome,
    };
    let found = forbidden(&light);
    if !found.is_empty() {
        return Outcome::failed(format!(
            "patchcore --no-default-features depends on {}\n   \
             see who brings it: cargo tree -p patchcore --no-default-features -e normal -i NAME",
            found.join(", ")
        ));
    }
    // The same reading of the full tree must find what the light one lacks, else it could not find anything.
    match tree(workspace, false) {
        Ok(full) if forbidden(&full).iter().any(|name| name == "tokio") => {}
        Ok(_) => {
            return Outcome::failed(
                "tokio was not found below patchcore with default features either".to_owned(),
            );
        }
        Err(outcome) => return outcome,
    }
    // What only the other half uses is a warning here, which every embedder of this half would see.
    let mut build = workspace.cargo([
        "clippy",
        "--quiet",
        "--package",
        "patchcore",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]);
    match shell::run(workspace, "light", &mut build, None) {
        Ok(finished) => finished.outcome(&format!(
            "{} crates below it",
            light.lines().count().saturating_sub(1)
        )),
        Err(outcome) => outcome,
    }
}

fn tree(workspace: &Workspace, light: bool) -> Result<String, Outcome> {
    let mut command = workspace.cargo([
        "tree",
        "--quiet",
        "--package",
        "patchcore",
        "-e",
        "normal",
        "--prefix",
        "none",
    ]);
    command.arg("--no-dedupe");
    if light {
        command.arg("--no-default-features");
    }
    let finished = shell::run(workspace, "light-tree", &mut command, None)?;
    if !finished.is_success() || !finished.output.starts_with("patchcore v") {
        return Err(Outcome::failed(format!(
            "the dependencies of patchcore cannot be read\n{}",
            finished.output
        )));
    }
    let mut lines: Vec<&str> = finished.output.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.join("\n"))
}

/// The forbidden crates in the output of `cargo tree --prefix none`: one `NAME vVERSION` per line.
fn forbidden(tree: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| FORBIDDEN.iter().any(|pattern| matches(pattern, name)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tree: &str, expect: &[&str]) {
        assert_eq!(forbidden(tree), expect, "{tree}");
    }

    #[test]
    fn what_the_light_half_may_not_need() {
        check(
            "patchcore v0.1.0 (path)\nserde v1.0.229\nhttparse v1.0.0",
            &[],
        );
        check(
            "patchcore v0.1.0\ntokio v1.54.1\ntokio-util v0.7.20\ntokio v1.54.1",
            &["tokio", "tokio-util"],
        );
        check(
            "rusqlite v0.42.0\nlibsqlite3-sys v0.40.0",
            &["libsqlite3-sys", "rusqlite"],
        );
        check(
            "reqwest v0.13.5\nhyper v1.9.0\nhyper-rustls v1.0.0\nhttp v1.4.0",
            &["http", "hyper", "hyper-rustls", "reqwest"],
        );
    }
}
