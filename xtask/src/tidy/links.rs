//! A link inside the repository leads to a file that exists, and to a heading that it has.

use super::{Finding, Tree};

/// Checks every relative link of every Markdown page.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in links(text) {
            if let Err(reason) = resolve(tree, path, target) {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("the link to {target} is broken: {reason}"),
                ));
            }
        }
    }
    findings
}

fn resolve(tree: &Tree, page: &str, target: &str) -> Result<(), String> {
    let has_scheme = target
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphabetic()));
    if has_scheme || target.starts_with("//") {
        return Ok(());
    }
    if target.starts_with('/') {
        return Err(
            "it begins at the root of a machine; write it relative to this page".to_owned(),
        );
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let mut parts: Vec<&str> = page.split('/').collect();
    if !file.is_empty() {
        parts.pop();
        for part in file.split('/') {
            match part {
                "." | "" => {}
                ".." => drop(parts.pop().ok_or("it leads out of the repository")?),
                name => parts.push(name),
            }
        }
    }
    let file = parts.join("/");
    if !tree.exists(&file) {
        return Err(format!("there is no {file}"));
    }
    match tree.text(&file) {
        Some(text) if !heading.is_empty() && file.ends_with(".md") => {
            let known = prose(text)
                .filter_map(|(_, line)| line.strip_prefix('#'))
                .any(|line| anchor(line) == heading);
            if known {
                Ok(())
            } else {
                Err(format!("{file} has no heading that is called so"))
            }
        }
        _ => Ok(()),
    }
}

/// The anchor that a heading gets: lower case, `-` for each space, no punctuation.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        })
        .collect()
}

/// The lines outside code blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        (!in_block && !is_fence).then_some((number + 1, line))
    })
}

/// The targets of `[text](target)` and `[name]: target`.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.extend(
                target
                    .split_whitespace()
                    .next()
                    .map(|target| (number, target)),
            );
        }
        // Every other piece between back quotes is code.
        for outside in line.split('`').step_by(2) {
            for (at, _) in outside.match_indices("](") {
                let rest = &outside[at + 2..];
                let end = rest.find([')', ' ']).unwrap_or(rest.len());
                found.push((number, rest[..end].trim_matches(['<', '>'])));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn broken_links_are_found() {
        expect(
            check,
            &[
                (
                    "README.md",
                    "[a](docs/a.md) [b](docs/b.md)\n[folder](docs) `[code](no.md)` [`x`](docs/a.md#two-words)\n\
                     ```\n[code](no.md)\n```\n[web](https://example.org/x) [mail](mailto:a@b) [self](#read-me)\n\
                     [self](#absent)\n[r]: docs/c.md\n# Read me!\n[root](/docs/a.md) [out](../x.md)\n![p](p.svg \"P\")\n",
                ),
                (
                    "docs/a.md",
                    "## Two words\n[up](../README.md) [b](b.md)\n[x](../README.md#nope)\n",
                ),
            ],
            &[
                "README.md:1",
                "README.md:7",
                "README.md:8",
                "README.md:10",
                "README.md:10",
                "README.md:11",
                "docs/a.md:2",
                "docs/a.md:3",
            ],
        );
    }
}
