//! Data flows one way through the modules of the core crate, and so do dependencies.

use std::collections::BTreeMap;

use super::{
    Finding, Tree,
    source::{Token, tokens, without_tests},
};

/// The modules of `patchcore/src` in reading order. To add one: its name, at its place, in its group.
const ORDER: &[(&str, Group)] = &[
    ("error", Group::Ground),
    ("id", Group::Ground),
    ("mutant", Group::Ground),
    ("secret", Group::Ground),
    ("digest", Group::Ground),
    ("document", Group::Ground),
    ("stored", Group::Ground),
    ("clock", Group::Ground),
    ("estate", Group::Noun),
    ("policy", Group::Noun),
    ("provider", Group::Noun),
    ("discover", Group::Flow),
    ("plan", Group::Flow),
    ("approve", Group::Flow),
    ("judge", Group::Flow),
    ("execute", Group::Flow),
    ("report", Group::Flow),
    ("sim", Group::Sim),
    ("front", Group::Front),
];

/// Uses against the order that are right all the same: the module, what it uses, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Shared by all; knows nothing but its like.
    Ground,
    /// The shared nouns; know the ground and each other.
    Noun,
    /// The way of the data, left to right; each knows what stands to its left.
    Flow,
    /// The simulated estate implements the ports and knows nothing of plans and runs.
    Sim,
    /// What an embedder writes against; may use everything.
    Front,
}

const CORE: &str = "patchcore/src/";

/// Checks every path that begins with `crate`, `super` or `self` in the core crate.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = tree.text("patchcore/src/lib.rs").unwrap_or_default();
    let exports = root_exports(root, &mut findings);
    for (path, text) in tree.ending(".rs") {
        let Some(inside) = path
            .strip_prefix(CORE)
            .and_then(|rest| rest.strip_suffix(".rs"))
        else {
            continue;
        };
        let mut module: Vec<&str> = inside.split('/').collect();
        if module == ["lib"] || module.contains(&"tests") {
            continue;
        }
        if module.last() == Some(&"mod") {
            module.pop();
        }
        let Some(user) = module.first().copied() else {
            continue;
        };
        if place(user).is_none() {
            let message = format!(
                "module `{user}` has no place in the order; give it one in xtask/src/tidy/layers.rs"
            );
            findings.push(Finding::new(path, 0, message));
            continue;
        }
        let all = tokens(text);
        for (line, used) in paths(&without_tests(&all), &module) {
            let Some(first) = used.first() else { continue };
            let used = exports.get(first).map_or(first.as_str(), String::as_str);
            if let Some(reason) = refuse(user, used) {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("`{user}` uses `{used}`, but {reason}"),
                ));
            }
        }
    }
    findings
}

fn place(module: &str) -> Option<(usize, Group)> {
    ORDER
        .iter()
        .enumerate()
        .find(|(_, (name, _))| *name == module)
        .map(|(at, (_, group))| (at, *group))
}

/// Why one module may not use another. What is no module, such as a macro of the crate, is nobody's concern.
fn refuse(user: &str, used: &str) -> Option<&'static str> {
    let (user_at, user_group) = place(user)?;
    let (used_at, used_group) = place(used)?;
    if user == used
        || EXCEPTIONS
            .iter()
            .any(|(from, to, _)| *from == user && *to == used)
    {
        return None;
    }
    match (user_group, used_group) {
        (Group::Front, _)
        | (_, Group::Ground)
        | (Group::Noun | Group::Flow | Group::Sim, Group::Noun) => None,
        (Group::Flow, Group::Flow) if used_at < user_at => None,
        (Group::Flow, Group::Flow) => Some("a module may use only those to its left"),
        (Group::Ground, _) => Some("the ground knows nothing above it"),
        (Group::Noun, _) => Some("the shared nouns know nothing of what is done with them"),
        (Group::Flow, _) => Some("nothing but the front may use it"),
        (Group::Sim, _) => Some("the simulated estate uses the shared nouns only"),
    }
}

/// The names that lib.rs lifts to the root, each with the module it comes from: else `crate::Plan` would hide `plan`.
fn root_exports(root: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    let all = tokens(root);
    let tokens = without_tests(&all);
    for at in 0..tokens.len() {
        let is_export =
            tokens[at].text == "use" && at > 0 && matches!(tokens[at - 1].text, "pub" | ")");
        if !is_export {
            continue;
        }
        let mut found = Vec::new();
        let start = if tokens
            .get(at + 1)
            .is_some_and(|t| matches!(t.text, "crate" | "self"))
        {
            at + 3
        } else {
            at + 1
        };
        tree_of(&tokens, start, &mut Vec::new(), &mut found);
        for (line, path) in found {
            let (Some(module), Some(name)) = (path.first(), path.last()) else {
                continue;
            };
            if place(module).is_none() {
                continue;
            }
            if name == "*" {
                let message = format!(
                    "`pub use {module}::*` hides which module a name comes from; name each"
                );
                findings.push(Finding::new("patchcore/src/lib.rs", line, message));
            }
            exports.insert(name.clone(), module.clone());
        }
    }
    exports
}

/// Every path in the tokens that leads through the crate's own modules, from the root, with its line.
fn paths(tokens: &[Token<'_>], file: &[&str]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    // The inline modules around the place, each with the depth of its braces.
    let mut inline: Vec<(usize, &str)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text;
        let next = |offset: usize| tokens.get(at + offset).map(|token| token.text);
        match text {
            "mod" if next(2) == Some("{") => inline.push((depth, next(1).unwrap_or_default())),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.retain(|(at_depth, _)| *at_depth < depth);
            }
            "crate" | "super" | "self"
                if next(1) == Some("::") && (at == 0 || tokens[at - 1].text != "::") =>
            {
                let around = file
                    .iter()
                    .copied()
                    .chain(inline.iter().map(|(_, name)| *name));
                let mut here: Vec<String> = around.map(str::to_owned).collect();
                match text {
                    "crate" => here.clear(),
                    "super" => drop(here.pop()),
                    _ => {}
                }
                at = tree_of(tokens, at + 2, &mut here, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path or a tree of them, such as `a::{b, c::d}`, that goes on from `prefix`.
fn tree_of(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let whole = prefix.clone();
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let before = at;
                    at = tree_of(tokens, at, prefix, found);
                    // What follows a path up to the next one: `as NAME`, commas.
                    while tokens
                        .get(at)
                        .is_some_and(|token| !matches!(token.text, "," | "}"))
                    {
                        at += 1;
                    }
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                    if at == before {
                        break;
                    }
                }
                *prefix = whole;
                return at + 1;
            }
            "super" => drop(prefix.pop()),
            "self" => {}
            name => prefix.push(name.to_owned()),
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token.text == "::")
            && tokens.get(at + 1).is_some_and(|next| next.text != "<")
        {
            at += 1;
            continue;
        }
        // A new name stands last, so that the first part stays the module.
        if tokens.get(at).is_some_and(|token| token.text == "as")
            && let Some(alias) = tokens.get(at + 1)
        {
            prefix.push(alias.text.to_owned());
        }
        found.push((token.line, prefix.clone()));
        break;
    }
    *prefix = whole;
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    fn check_file(path: &str, text: &str, places: &[&str]) {
        let root = "pub mod error;\npub use error::{Error, Result};\npub use plan::{Plan, explain::Why as Reason};\n";
        expect(
            check,
            &[("patchcore/src/lib.rs", root), (path, text)],
            places,
        );
    }

    #[test]
    fn uses_to_the_left_are_fine() {
        let plan = "use crate::{Error, estate::{Component, Estate}, discover::Inventory};\nuse super::waves;\n";
        check_file("patchcore/src/plan/mod.rs", plan, &[]);
        check_file(
            "patchcore/src/execute/run.rs",
            "use crate::{judge::verdict, approve::ApprovedPlan};",
            &[],
        );
        check_file(
            "patchcore/src/sim/mod.rs",
            "use crate::provider::Deployer;",
            &[],
        );
        check_file(
            "patchcore/src/front.rs",
            "use crate::{sim::Sim, execute::Run, Plan};",
            &[],
        );
        check_file(
            "patchcore/src/policy/mod.rs",
            "use crate::estate::Selector;",
            &[],
        );
    }

    #[test]
    fn uses_to_the_right_are_found() {
        check_file(
            "patchcore/src/judge.rs",
            "\nuse crate::execute::Run;\n",
            &["patchcore/src/judge.rs:2"],
        );
        check_file(
            "patchcore/src/plan/waves.rs",
            "use super::super::approve::Approval;",
            &["patchcore/src/plan/waves.rs:1"],
        );
        check_file(
            "patchcore/src/discover/mod.rs",
            "use super::{plan::Plan, estate};",
            &["patchcore/src/discover/mod.rs:1"],
        );
        check_file(
            "patchcore/src/estate/mod.rs",
            "use crate::{\n    error::Error,\n    provider::{Ports},\n    execute::{self, Run},\n};\n",
            &[
                "patchcore/src/estate/mod.rs:4",
                "patchcore/src/estate/mod.rs:4",
            ],
        );
        check_file(
            "patchcore/src/error.rs",
            "fn f(c: &crate::estate::Component) {}",
            &["patchcore/src/error.rs:1"],
        );
        check_file(
            "patchcore/src/report/mod.rs",
            "fn f() { crate::sim::Sim::new() }",
            &["patchcore/src/report/mod.rs:1"],
        );
        check_file(
            "patchcore/src/sim/mod.rs",
            "use crate::plan::Plan;",
            &["patchcore/src/sim/mod.rs:1"],
        );
        check_file(
            "patchcore/src/plan.rs",
            "mod a { mod b {}\n use super::super::execute::X; }",
            &["patchcore/src/plan.rs:2"],
        );
    }

    #[test]
    fn names_lifted_to_the_root_hide_nothing() {
        check_file(
            "patchcore/src/estate/mod.rs",
            "use crate::Plan;",
            &["patchcore/src/estate/mod.rs:1"],
        );
        check_file(
            "patchcore/src/estate/mod.rs",
            "use crate::{Error, Reason};",
            &["patchcore/src/estate/mod.rs:1"],
        );
        expect(
            check,
            &[("patchcore/src/lib.rs", "pub use plan::*;")],
            &["patchcore/src/lib.rs:1"],
        );
    }

    #[test]
    fn tests_comments_and_paths_of_others_do_not_count() {
        check_file(
            "patchcore/src/plan.rs",
            "/// See [`crate::execute::Run`].\nfn f() {}",
            &[],
        );
        check_file(
            "patchcore/src/plan.rs",
            "#[cfg(test)]\nmod tests { use crate::sim::Sim; }",
            &[],
        );
        check_file("patchcore/src/plan/tests.rs", "use crate::sim::Sim;", &[]);
        check_file(
            "patchcore/src/plan.rs",
            "use other::crate_::execute; fn f() { std::execute::x() }",
            &[],
        );
        check_file(
            "patchcore/src/plan.rs",
            "mod execute {} use self::execute::X;",
            &[],
        );
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        check_file(
            "patchcore/src/verify/mod.rs",
            "",
            &["patchcore/src/verify/mod.rs:0"],
        );
    }
}
