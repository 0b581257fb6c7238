//! A file holds one idea, and an idea rarely needs more lines than this.

use super::{Finding, Tree};

/// From here on a file is shown.
const LONG: usize = 500;
/// From here on a file is a fault.
const TOO_LONG: usize = 800;

/// Counts the lines of Rust files.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs")
        .filter_map(|(path, text)| match text.lines().count() {
            lines if lines > TOO_LONG => Some(Finding::new(
                path,
                0,
                format!("{lines} lines, at most {TOO_LONG}: split it by ideas"),
            )),
            lines if lines > LONG => Some(
                Finding::new(path, 0, format!("{lines} lines: is it still one idea?")).warning(),
            ),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_lines(lines: usize, expect: Option<bool>) {
        let text = "x\n".repeat(lines);
        let found = check(&Tree::of(&[("a.rs", &text), ("b.md", &text)]));
        assert_eq!(
            found.first().map(|finding| finding.warning),
            expect,
            "{lines}"
        );
        assert!(found.len() <= 1);
    }

    #[test]
    fn long_files_warn_and_too_long_ones_fail() {
        check_lines(500, None);
        check_lines(501, Some(true));
        check_lines(800, Some(true));
        check_lines(801, Some(false));
    }
}
