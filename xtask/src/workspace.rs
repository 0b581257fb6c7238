//! Where the workspace is and how its commands are started.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace this program belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the root from where cargo runs this program, else by walking up from the current folder.
    ///
    /// It is looked up at run time: a path compiled in would be wrong after the folder has moved.
    pub(crate) fn find() -> Result<Self, String> {
        let here =
            env::current_dir().map_err(|e| format!("the current folder cannot be read: {e}"))?;
        let from = env::var_os("CARGO_MANIFEST_DIR").map_or(here, PathBuf::from);
        let root = from
            .ancestors()
            .find(|folder| is_root(folder))
            .ok_or_else(|| {
                format!(
                    "no workspace at or above {}\n   run it as: cargo xtask",
                    from.display()
                )
            })?
            .to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds, and where everything this program makes is kept.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A cargo command at the root, by the cargo that started us.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = self.program(cargo);
        command.args(arguments);
        command
    }

    /// Any program, started at the root.
    pub(crate) fn program(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        command
    }
}

fn is_root(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
}

/// Whether a continuous integration asks: there, what is missing is a failure and never a skip.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}
