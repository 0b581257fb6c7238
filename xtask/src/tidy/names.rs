//! One file, one idea: a name that says nothing gathers everything.

use std::collections::BTreeSet;

use super::{Finding, Tree};

/// Names that fit any content.
const CATCH_ALLS: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

/// Looks at every file and folder that holds code.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    let code = tree.paths().filter(|path| {
        [".rs", ".py", ".kt", ".swift", ".rb", ".sh"]
            .iter()
            .any(|e| path.ends_with(e))
    });
    for path in code {
        let mut start = 0;
        for part in path.split('/') {
            let end = start + part.len();
            let stem = part.split('.').next().unwrap_or(part);
            if CATCH_ALLS.contains(&stem) && seen.insert(&path[..end]) {
                findings.push(Finding::new(
                    path,
                    0,
                    format!("`{part}` says nothing; name the one idea it holds"),
                ));
            }
            start = end + 1;
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn catch_alls_are_found_once_each() {
        expect(
            check,
            &[
                ("patchcore/src/plan/utils.rs", ""),
                ("testkit/src/common/a.rs", ""),
                ("testkit/src/common/b.rs", ""),
                ("patchcore/src/utility.rs", ""),
                ("docs/common.md", ""),
            ],
            &["patchcore/src/plan/utils.rs:0", "testkit/src/common/a.rs:0"],
        );
    }
}
