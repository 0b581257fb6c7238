//! What a lab writes for those who connect to it.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{Recipe, address};

/// The folder of a lab, with mode 0700: `inventory.toml`, `known_hosts` and the key that opens all guests.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    inventory: PathBuf,
}

impl Folder {
    /// An empty folder; what was there before goes.
    pub(super) fn make(path: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        Ok(Self {
            inventory: path.join("inventory.toml"),
            path,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn inventory(&self) -> &Path {
        &self.inventory
    }

    /// A file that only its owner reads.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path.join(name))?
            .write_all(text.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Where it cannot be removed, it says nothing of use to anybody: the guests and their keys are gone.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The inventory in patchcore's own form. Names and labels are written as TOML strings.
pub(super) fn inventory(recipe: &Recipe) -> String {
    let mut text = "# Written by the lab. The guests are only reachable inside its network.\n\
        inventory = 1\n\n[defaults]\nuser        = \"op\"\nknown_hosts = \"known_hosts\"\nidentity    = \"id_ed25519\"\n"
        .to_owned();
    for (number, guest) in recipe.guests.iter().enumerate() {
        let labels: Vec<String> = guest
            .labels
            .iter()
            .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
            .collect();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[host]]\nname    = {}\naddress = \"{}\"\n",
            quoted(&guest.name),
            address(number),
        );
        if !labels.is_empty() {
            let _ = writeln!(text, "labels  = {{ {} }}", labels.join(", "));
        }
    }
    text
}

/// The same for OpenSSH, so that a guest is reached by its name: `ssh -F ssh_config NAME`.
pub(super) fn ssh_config(recipe: &Recipe, folder: &Path) -> String {
    let mut text = String::new();
    for (number, guest) in recipe.guests.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Host {}\n    HostName {}\n",
            guest.name,
            address(number)
        );
    }
    let folder = folder.display();
    // The first value that is found for a host holds, so that what is for all of them stands last.
    let _ = write!(
        text,
        "Host *\n    User op\n    IdentitiesOnly yes\n    IdentityFile \"{folder}/id_ed25519\"\n    \
         UserKnownHostsFile \"{folder}/known_hosts\"\n"
    );
    text
}

/// A key as people write it, where TOML allows that.
fn key(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::lab::{GuestRecipe, Kind};

    #[test]
    fn an_inventory_names_every_guest_with_its_address_and_labels() {
        let recipe = Recipe::new()
            .with(GuestRecipe::new("a", Kind::Bare).with_label("ring", "te\"st"))
            .with(GuestRecipe::new("b", Kind::Systemd));
        assert!(inventory(&recipe).ends_with(
            "\n[[host]]\nname    = \"a\"\naddress = \"10.77.0.11\"\nlabels  = { ring = \"te\\\"st\" }\n\
             \n[[host]]\nname    = \"b\"\naddress = \"10.77.0.12\"\n"
        ));
    }
}
