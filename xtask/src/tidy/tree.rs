//! The files that the rules look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{install::prints, workspace::Workspace};

/// Folders that hold what is built or fetched, where no git says so.
const NOT_SOURCES: &[&str] = &["target", ".git", "node_modules", ".venv"];

/// All files by their path from the root, with `/` between the parts; texts with their content.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    paths: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what git tracks or would track; without git, everything but what is built.
    pub(super) fn read(workspace: &Workspace) -> Result<Self, String> {
        let root = workspace.root();
        let mut git = workspace.program("git");
        // In a container the files often belong to another user, which git refuses unless it is told.
        git.args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = prints(&mut git).filter(|_| root.join(".git").exists());
        let paths: BTreeSet<String> = match listed {
            Some(listed) => listed.split_terminator('\0').map(str::to_owned).collect(),
            None => walk(root)?,
        };
        let mut tree = Self::default();
        for path in paths {
            // A file that git still tracks may have been removed; a submodule or a link to a folder is no file.
            let Ok(bytes) = fs::read(root.join(&path)) else {
                continue;
            };
            if let Ok(text) = String::from_utf8(bytes)
                && !text.contains('\0')
            {
                tree.texts.insert(path.clone(), text);
            }
            tree.paths.insert(path);
        }
        if tree.paths.is_empty() {
            return Err(format!("no files found below {}", root.display()));
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self {
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
            texts: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
        }
    }

    /// Every text file with its content.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text files whose name ends so.
    pub(super) fn ending(&self, ending: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(move |(path, _)| path.ends_with(ending))
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether this is a file or a folder with files.
    pub(super) fn exists(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.paths.contains(path)
            || self
                .paths
                .range(folder.clone()..)
                .next()
                .is_some_and(|next| next.starts_with(&folder))
    }

    /// The shell scripts, known by their ending or their first line.
    pub(super) fn shell_scripts(&self) -> Vec<Script> {
        let shells = ["/sh", "/bash", " sh", " bash"];
        self.texts()
            .filter_map(|(path, text)| {
                let first = text.lines().next().unwrap_or_default().trim_end();
                let whole = first.starts_with("#!");
                let is_script = path.ends_with(".sh")
                    || (whole && shells.iter().any(|shell| first.ends_with(shell)));
                is_script.then(|| Script {
                    path: path.to_owned(),
                    whole,
                })
            })
            .collect()
    }
}

/// A shell script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) path: String,
    /// Whether its first line says which shell runs it; without one it is a part of others.
    pub(crate) whole: bool,
}

fn walk(root: &Path) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !NOT_SOURCES.iter().any(|skipped| name == *skipped) {
                folders.push(path);
            } else if !is_folder && let Ok(relative) = path.strip_prefix(root) {
                found.insert(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_by_their_files() {
        let tree = Tree::of(&[("docs/guide/start.md", ""), ("docs-old.md", "")]);
        for (path, expect) in [
            ("docs", true),
            ("docs/guide", true),
            ("docs/gui", false),
            ("docs-old.md", true),
        ] {
            assert_eq!(tree.exists(path), expect, "{path}");
        }
    }

    #[test]
    fn scripts_are_known_by_ending_or_first_line() {
        let tree = Tree::of(&[
            (".ci/run", "#!/usr/bin/env bash\n"),
            ("a.sh", "echo\n"),
            ("b.py", "#!/usr/bin/env python3\n"),
            ("c", "#!/bin/sh\n"),
        ]);
        let found: Vec<(String, bool)> = tree
            .shell_scripts()
            .into_iter()
            .map(|script| (script.path, script.whole))
            .collect();
        assert_eq!(
            found,
            [
                (".ci/run".to_owned(), true),
                ("a.sh".to_owned(), false),
                ("c".to_owned(), true)
            ]
        );
    }
}
