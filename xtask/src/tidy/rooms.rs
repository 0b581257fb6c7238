//! Every provider has the same rooms: who has seen one has seen all.

use std::collections::BTreeSet;

use super::{Finding, Tree};

/// Files or folders that any provider may have in `src`: what it stands on, then one per port.
const ROOMS: &[&str] = &[
    "lib",
    "config",
    "client",
    "error",
    "source",
    "deployer",
    "firmware",
    "drainer",
    "testenv",
    "inventory",
    "probe",
    "rollback",
    "bracket",
    "paths",
    "load",
    "credential",
    "lock",
];

/// Rooms of single providers, beside [`ROOMS`]. To add one: the provider's folder and what its system needs.
const OWN_ROOMS: &[(&str, &[&str])] = &[
    // A transport per way to reach a machine, a package manager per family, detached jobs, versions as dpkg and rpm sort them.
    ("linux", &["transport", "pm", "job", "vercmp"]),
    // vSphere Lifecycle Manager: an API of its own, that the deployer, the source and the inventory speak.
    // And a look through everything that bears on a roll.
    ("vsphere", &["vlcm", "checkup"]),
];

/// Checks `providers/*/src` for files that are no room, and each grown provider for its README and tests.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    with(tree, OWN_ROOMS)
}

fn with(tree: &Tree, own_rooms: &[(&str, &[&str])]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut providers: BTreeSet<&str> = BTreeSet::new();
    let mut grown: BTreeSet<&str> = BTreeSet::new();
    let mut refused: BTreeSet<(&str, &str)> = BTreeSet::new();
    for path in tree.paths() {
        let Some((provider, inside)) = path
            .strip_prefix("providers/")
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        providers.insert(provider);
        let Some(file) = inside.strip_prefix("src/") else {
            continue;
        };
        let room = file
            .split('/')
            .next()
            .unwrap_or(file)
            .trim_end_matches(".rs");
        if room != "lib" {
            grown.insert(provider);
        }
        let own = own_rooms
            .iter()
            .find(|(name, _)| *name == provider)
            .map_or([].as_slice(), |(_, rooms)| rooms);
        if !ROOMS.contains(&room) && !own.contains(&room) && refused.insert((provider, room)) {
            let message = format!(
                "`{room}` is no room of a provider; use one of {}{}{}, or add it in xtask/src/tidy/rooms.rs",
                ROOMS.join(" "),
                if own.is_empty() { "" } else { " " },
                own.join(" ")
            );
            findings.push(Finding::new(path, 0, message));
        }
    }
    for (provider, what) in grown
        .iter()
        .flat_map(|provider| [(provider, "README.md"), (provider, "tests")])
    {
        let wanted = format!("providers/{provider}/{what}");
        if !tree.exists(&wanted) {
            findings.push(Finding::new(
                &wanted,
                0,
                "every provider has it, and this one lacks it",
            ));
        }
    }
    for (name, _) in own_rooms
        .iter()
        .filter(|(name, _)| !providers.is_empty() && !providers.contains(name))
    {
        findings.push(Finding::new(
            "xtask/src/tidy/rooms.rs",
            0,
            format!("lists rooms of `{name}`, which does not exist"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    fn of_linux(tree: &Tree) -> Vec<Finding> {
        with(tree, &[("linux", &["transport", "pm", "job"])])
    }

    #[test]
    fn unknown_rooms_are_found_once_each() {
        expect(
            of_linux,
            &[
                ("providers/linux/README.md", ""),
                ("providers/linux/tests/conformance.rs", ""),
                ("providers/linux/src/lib.rs", ""),
                ("providers/linux/src/pm/apt.rs", ""),
                ("providers/linux/src/job.rs", ""),
                ("providers/linux/src/engine/a.rs", ""),
                ("providers/linux/src/engine/b.rs", ""),
                ("providers/linux/src/tool.rs", ""),
            ],
            &[
                "providers/linux/src/engine/a.rs:0",
                "providers/linux/src/tool.rs:0",
            ],
        );
    }

    #[test]
    fn rooms_of_one_provider_are_no_rooms_of_another() {
        expect(
            of_linux,
            &[
                ("providers/linux/src/lib.rs", ""),
                ("providers/aws/src/pm.rs", ""),
                ("providers/aws/README.md", ""),
                ("providers/aws/tests/wire.rs", ""),
            ],
            &["providers/aws/src/pm.rs:0"],
        );
    }

    #[test]
    fn a_grown_provider_has_a_readme_and_tests() {
        expect(of_linux, &[("providers/linux/src/lib.rs", "")], &[]);
        expect(
            of_linux,
            &[
                ("providers/linux/src/lib.rs", ""),
                ("providers/linux/src/config.rs", ""),
            ],
            &["providers/linux/README.md:0", "providers/linux/tests:0"],
        );
    }

    #[test]
    fn a_list_for_a_provider_that_is_gone_is_found() {
        expect(
            of_linux,
            &[("providers/aws/src/lib.rs", "")],
            &["xtask/src/tidy/rooms.rs:0"],
        );
    }
}
