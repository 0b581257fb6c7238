//! The text speaks of patchcore alone: not of the machine it was written on, nor of who wrote it and how.
//!
//! This file is the only one that may hold the words it looks for.

use super::{Finding, Tree};

/// Not looked at: this file, and texts that are not ours to word.
const NOT_OURS: &[&str] = &[
    "xtask/src/tidy/text.rs",
    "Cargo.lock",
    "fuzz/engine/Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// Folders of machines that build or write code. A path inside a guest, such as /var/lib/dpkg, is no such thing.
const MACHINE_FOLDERS: &[&str] = &[
    "/home/",
    "/root/",
    "/Users/",
    "/work/",
    "/workspace/",
    "/workspaces/",
    "/builds/",
];

/// Places where a path in a machine's folder belongs to a guest: the file and the whole path.
const GUEST_PATHS: &[(&str, &str)] = &[];

/// Hosts of package registries: a build finds them by its own settings, which a mirror may replace.
const REGISTRIES: &[&str] = &[
    "crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "rubygems.org",
    "repo1.maven.org",
    "repo.maven.apache.org",
    "proxy.golang.org",
];

/// Words about the making instead of the thing, in lower case, with what to do about each.
const WORDS: &[(&str, &str)] = &[
    ("todo", "do it, or write down in docs/ what is missing"),
    ("fixme", "mend it"),
    ("xxx", "say what is meant"),
    ("session", "name what it is: a connection, a login, a run"),
    ("sessions", "name what it is: connections, logins, runs"),
    ("assistant", "the text speaks of patchcore alone"),
    ("assistants", "the text speaks of patchcore alone"),
    ("chatbot", "the text speaks of patchcore alone"),
    ("llm", "the text speaks of patchcore alone"),
    ("subagent", "the text speaks of patchcore alone"),
    ("subagents", "the text speaks of patchcore alone"),
];

/// Where words of [`WORDS`] are terms of the field: the beginning of the path, the words, and what they mean there.
const TERMS: &[(&str, &[&str], &str)] = &[
    ("Cargo.toml", &["todo"], "the name of a lint"),
    (
        "bindings/python/Cargo.toml",
        &["todo"],
        "the name of a lint",
    ),
    (
        "docs/adr/",
        SESSIONS,
        "a login at a BMC or hypervisor manager",
    ),
    (
        "examples/examples/trouble/vcenter/",
        SESSIONS,
        "a login at vCenter",
    ),
    (
        "providers/hyperv/",
        SESSIONS,
        "a PowerShell or CIM connection",
    ),
    (
        "providers/linux/src/job/",
        SESSIONS,
        "the process group of a terminal, as in setsid",
    ),
    ("providers/redfish/", SESSIONS, "a login at a BMC"),
    ("providers/vsphere/", SESSIONS, "a login at vCenter"),
    ("providers/winrm/", SESSIONS, "a WinRM shell"),
    (
        "docs/evidence/bench-vsphere.md",
        &["session"],
        "part of the name of a call of vCenter's API",
    ),
];

const SESSIONS: &[&str] = &["session", "sessions"];

/// Projects of others whose public trackers may be cited by number, since the text says whose they are.
const TRACKERS: &[&str] = &["botocore", "metal-operator", "osconfig"];

/// Looks at every line of every text.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| !NOT_OURS.contains(path)) {
        for (number, line) in text.lines().enumerate() {
            for message in faults(path, line) {
                findings.push(Finding::new(path, number + 1, message));
            }
        }
    }
    findings
}

fn faults(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(machine) = machine_path(line)
        && !GUEST_PATHS
            .iter()
            .any(|(file, allowed)| *file == path && machine.starts_with(allowed))
    {
        found.push(format!("the path {machine} exists on one machine only"));
    }
    let lower = line.to_lowercase();
    for host in REGISTRIES.iter().filter(|host| lower.contains(*host)) {
        found.push(format!(
            "{host} is a package registry; a mirror may stand in its place"
        ));
    }
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '#')
        .collect();
    for (word, remedy) in WORDS {
        let is_term = TERMS
            .iter()
            .any(|(start, terms, _)| path.starts_with(start) && terms.contains(word));
        if words.contains(word) && !is_term {
            found.push(format!("\"{word}\": {remedy}"));
        }
    }
    if let Some(reference) = tracker_number(&lower) {
        found.push(format!(
            "{reference} stands in a tracker that a reader does not have; say what it says"
        ));
    }
    found
}

/// A path that begins in a machine's folder, as long as it goes.
fn machine_path(line: &str) -> Option<&str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "._-~/".contains(c);
    MACHINE_FOLDERS.iter().find_map(|folder| {
        line.match_indices(folder).find_map(|(at, _)| {
            let begins = !line[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_ascii_alphanumeric() || "._-~/}".contains(c));
            let rest = &line[at..];
            let path = &rest[..rest.find(|c| !in_path(c)).unwrap_or(rest.len())];
            (begins && path.len() > folder.len()).then_some(path)
        })
    })
}

/// A number in a tracker, such as `issue #12`, `issue 12` or `PR #12`, unless the word before says whose tracker it is.
fn tracker_number(lower: &str) -> Option<String> {
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && !"#-_/".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let digits = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    words.windows(2).enumerate().find_map(|(at, pair)| {
        let [kind, number] = pair else { return None };
        let numbered = match number.strip_prefix('#') {
            Some(rest) => digits(rest),
            None => digits(number) && *kind != "pr",
        };
        let is_cited = at > 0 && TRACKERS.contains(&words[at - 1]);
        (matches!(*kind, "issue" | "issues" | "pr" | "prs") && numbered && !is_cited)
            .then(|| format!("\"{kind} {number}\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    fn check_line(line: &str, expect: usize) {
        assert_eq!(
            faults("docs/a.md", line).len(),
            expect,
            "{line}: {:?}",
            faults("docs/a.md", line)
        );
    }

    #[test]
    fn machine_paths() {
        check_line("cd /home/sam/patchcore", 1);
        check_line("see \"/work/tree/Cargo.toml\"", 1);
        check_line("(/root/.cache)", 1);
        check_line("/var/lib/dpkg/lock and /usr/share/work/x", 0);
        check_line("https://example.org/home/page", 0);
        check_line("root/home/", 0);
        check_line("a rule against /home/ itself", 0);
        check_line("${DIR}/work/x", 0);
    }

    #[test]
    fn words_and_numbers() {
        check_line("// TODO: later", 1);
        check_line("todo!()", 1);
        check_line("as the assistant said", 1);
        check_line("in this session.", 1);
        check_line("SessionService and PSSession", 0);
        check_line("see issue #12", 1);
        check_line("fixes issue 12", 1);
        check_line("(PR #12)", 1);
        check_line("(botocore issue 993)", 0);
        check_line("(somebody issue 993)", 1);
        check_line("issue it 3 times; CVE-2026-1111; pr 3", 0);
        assert_eq!(
            faults("providers/redfish/src/client.rs", "the session token"),
            Vec::<String>::new()
        );
        assert_eq!(
            faults("providers/linux/src/client.rs", "the session token").len(),
            1
        );
    }

    #[test]
    fn registries() {
        check_line("fetched from static.crates.io", 1);
        check_line("https://PyPI.org/simple", 1);
        check_line("deb.debian.org is an archive that guests read", 0);
    }

    #[test]
    fn every_text_but_those_of_others_is_read() {
        expect(
            check,
            &[
                ("Cargo.lock", "crates.io"),
                ("README.md", "\nfrom crates.io\n"),
                (".ci/run", "cd /home/x/y\n"),
            ],
            &[".ci/run:1", "README.md:2"],
        );
    }
}
