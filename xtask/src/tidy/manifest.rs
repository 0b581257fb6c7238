//! A dependency is a promise to keep up with somebody else's work: each says why, and its version stands once.

use super::{Finding, Tree};

/// Checks the root manifests for reasons and the other manifests for versions of their own.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree
        .texts()
        .filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"))
    {
        // The root of any workspace: the fuzzing engine has one of its own.
        let is_root = path == "Cargo.toml" || text.lines().any(|line| line.trim() == "[workspace]");
        for dependency in dependencies(text) {
            // What lies in this repository explains itself.
            if is_root && !dependency.explained && !dependency.text.contains("path =") {
                let message = format!(
                    "`{}` has no reason; write it as a comment on the line above",
                    dependency.name
                );
                findings.push(Finding::new(path, dependency.line, message));
            }
            if !is_root && !dependency.text.contains("workspace") {
                let message = format!(
                    "`{}` names its own version; write `{0}.workspace = true`",
                    dependency.name
                );
                findings.push(Finding::new(path, dependency.line, message));
            }
        }
    }
    findings
}

struct Dependency<'a> {
    name: &'a str,
    text: String,
    line: usize,
    explained: bool,
}

/// The entries of all tables of dependencies, also those with a table of their own, such as `[dependencies.serde]`.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found: Vec<Dependency<'_>> = Vec::new();
    let mut in_table = false;
    // Inside one dependency's own table or a value that goes on, lines belong to the last entry.
    let mut in_entry = false;
    let mut open = 0_i32;
    let mut after_comment = false;
    for (number, line) in manifest.lines().enumerate() {
        let text = line.trim();
        let is_comment = text.starts_with('#');
        if text.starts_with('[') && open == 0 {
            let header = text.trim_matches(['[', ']']);
            let (table, own) = match header.rsplit_once("dependencies.") {
                Some((_, name)) => (true, Some(name)),
                None => (header.ends_with("dependencies"), None),
            };
            in_table = table && own.is_none();
            in_entry = own.is_some();
            if let Some(name) = own {
                found.push(Dependency {
                    name,
                    text: String::new(),
                    line: number + 1,
                    explained: after_comment,
                });
            }
        } else if (in_entry || open > 0) && !is_comment && (in_table || in_entry) {
            if let Some(last) = found.last_mut() {
                last.text.push_str(text);
            }
            open += balance(text);
        } else if in_table
            && !is_comment
            && let Some((key, _)) = text.split_once('=')
        {
            let name = key
                .trim()
                .split('.')
                .next()
                .unwrap_or(key)
                .trim_matches('"');
            found.push(Dependency {
                name,
                text: text.to_owned(),
                line: number + 1,
                explained: after_comment,
            });
            open += balance(text);
        }
        after_comment = is_comment;
    }
    found
}

fn balance(text: &str) -> i32 {
    let count = |signs: [char; 2]| i32::try_from(text.matches(signs).count()).unwrap_or(0);
    count(['[', '{']) - count([']', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_dependency_without_reason_is_found() {
        expect(
            check,
            &[(
                "Cargo.toml",
                "# x\n[workspace.dependencies]\nown = { path = \"own\" }\n# Why.\nserde = { version = \"1\", features = [\n  \
                 \"derive\",\n] }\nserde_json = \"1\"\n\n# Not touching.\n\ntoml = \"1\"\n[profile.dev]\nopt-level = 3\n",
            )],
            &["Cargo.toml:8", "Cargo.toml:12"],
        );
    }

    #[test]
    fn a_workspace_of_its_own_has_reasons_too() {
        expect(
            check,
            &[(
                "fuzz/engine/Cargo.toml",
                "[workspace]\n[dependencies]\n# Why.\njiff = \"1\"\ntoml = \"1\"\n",
            )],
            &["fuzz/engine/Cargo.toml:5"],
        );
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        expect(
            check,
            &[(
                "a/Cargo.toml",
                "[package]\nversion = \"1\"\n[dependencies]\nserde.workspace = true\njiff = \"1\"\ntoml = { workspace = true, \
                 features = [\"x\"] }\n[target.'cfg(unix)'.dev-dependencies]\nlibc = { version = \"1\" }\n\
                 [dependencies.sha2]\nversion = \"1\"\n[build-dependencies.cc]\nworkspace = true\n[features]\nx = [\"dep:y\"]\n",
            )],
            &["a/Cargo.toml:5", "a/Cargo.toml:8", "a/Cargo.toml:9"],
        );
    }
}
