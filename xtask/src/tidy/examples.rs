//! An example that no page names is found by nobody.

use super::{Finding, Tree};

/// Checks that README.md or a page below `docs/examples` names every example program.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages: Vec<&str> = tree
        .ending(".md")
        .filter(|(path, _)| {
            matches!(*path, "README.md" | "examples/README.md") || path.starts_with("docs/examples")
        })
        .map(|(_, text)| text)
        .collect();
    let mut findings = Vec::new();
    for path in tree.paths() {
        if let Some(name) = example(path)
            && !pages.iter().any(|page| names(page, name))
        {
            findings.push(Finding::new(
                path,
                0,
                format!("no page names it; list `{name}` in README.md or docs/examples.md"),
            ));
        }
    }
    findings
}

/// The name of the example that this file begins: `NAME.rs`, `NAME/main.rs`, or `NAME.py` in any folder of languages.
fn example(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("examples/")?;
    let (folder, file) = inside.rsplit_once('/')?;
    if folder == "src" || folder.ends_with("/src") || folder.contains("tests") {
        return None;
    }
    if file == "main.rs" {
        return folder.rsplit('/').next();
    }
    // Beside a main.rs stand its parts, which are no examples of their own.
    let stem = [".rs", ".py", ".kt", ".swift", ".rb"]
        .iter()
        .find_map(|ending| file.strip_suffix(ending))?;
    let is_part = file.ends_with(".rs") && folder != "examples";
    (!is_part).then_some(stem)
}

/// Whether the name stands in the text as a whole word.
fn names(text: &str, name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(in_word)
            && !text[at + name.len()..].chars().next().is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn examples_that_no_page_names_are_found() {
        expect(
            check,
            &[
                ("README.md", "run `cargo run --example this_machine`"),
                ("docs/examples.md", "[operate](x) and rolling_patches"),
                ("docs/guide/a.md", "hidden"),
                ("examples/src/lib.rs", ""),
                ("examples/examples/this_machine.rs", ""),
                ("examples/examples/operate/main.rs", ""),
                ("examples/examples/operate/list.rs", ""),
                ("examples/examples/rolling_patch.rs", ""),
                ("examples/examples/hidden.rs", ""),
                ("examples/python/embed.py", ""),
            ],
            &[
                "examples/examples/hidden.rs:0",
                "examples/examples/rolling_patch.rs:0",
                "examples/python/embed.py:0",
            ],
        );
    }
}
