//! Every code block in the documentation is at least compiled: one that is skipped is soon wrong.

use super::{Finding, Tree};

/// Looks at the first line of each code block, in Markdown and in comments of Rust.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".md").chain(tree.ending(".rs")) {
        for (number, line) in text.lines().enumerate() {
            let mut line = line.trim_start();
            if path.ends_with(".rs") {
                let Some(comment) = ["//!", "///"]
                    .iter()
                    .find_map(|sign| line.strip_prefix(sign))
                else {
                    continue;
                };
                line = comment.trim_start();
            }
            let Some(words) = line.strip_prefix("```") else {
                continue;
            };
            if words
                .split([',', ' '])
                .any(|word| word == "ignore" || word.starts_with("ignore-"))
            {
                let message =
                    "the code block is not even compiled; make it work, or mark it no_run or text";
                findings.push(Finding::new(path, number + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn blocks_that_are_not_compiled_are_found() {
        expect(
            check,
            &[
                ("a.md", "```rust\n```\n  ```rust,ignore\n```\n"),
                (
                    "b.rs",
                    "//! ```ignore\n//! ```\nlet a = \"```ignore\";\n/// ```no_run\n/// ignore\n    /// ```ignore-windows\n",
                ),
            ],
            &["a.md:3", "b.rs:1", "b.rs:6"],
        );
    }
}
