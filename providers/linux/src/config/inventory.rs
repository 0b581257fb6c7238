//! The machines of a fleet, as a person writes them down.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use patchcore::{
    Error, ErrorKind, Result,
    document::{Document, Mistake, Mistakes, Place},
    id::{ComponentId, PersonId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LocalConfig, list, vocabulary::FORM};
use crate::transport::ssh::{Become, Fingerprint, HostKeyCheck, SshTarget};

/// One machine of a fleet and how it is reached. Everything but its name has a default.
///
/// ```
/// use patchcore_linux::Host;
/// let host = Host::named("web-1").with_address("10.0.0.11").with_user("op").with_label("tier", "web");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Host {
    /// Its name in the estate.
    #[schemars(with = "String")]
    pub name: ComponentId,
    /// A host name or an IP address. Default its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub address: Option<String>,
    /// The account to log in as. Default the user who runs the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub user: Option<String>,
    /// The port of its sshd. Default 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1))]
    pub port: Option<u16>,
    /// How scripts become root. Default `sudo`, or `none` where the user is root.
    #[serde(default, rename = "become", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Become")]
    pub become_root: Option<Become>,
    /// The file in which its host key must stand. Default those that `ssh` reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub known_hosts: Option<PathBuf>,
    /// The private key to log in with. Default the agent's, and after them those that `ssh` tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub identity: Option<PathBuf>,
    /// The fingerprint that one of its host keys must have; then no file of known hosts is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub host_key: Option<String>,
    /// Whether patchcore may restart it. Default yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub reboot: Option<bool>,
    /// Labels that selectors read. They stand before what the machine says itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who is responsible for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub owner: Option<PersonId>,
}

/// What holds for every host that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Defaults {
    /// The account to log in as.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    user: Option<String>,
    /// The port of sshd.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1))]
    port: Option<u16>,
    /// How scripts become root.
    #[serde(rename = "become", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Become")]
    become_root: Option<Become>,
    /// The file in which host keys must stand; relative to this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    known_hosts: Option<PathBuf>,
    /// The private key to log in with; relative to this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    identity: Option<PathBuf>,
    /// Labels; those of a host stand before them.
    labels: BTreeMap<String, String>,
    /// Who is responsible.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    owner: Option<PersonId>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "LinuxInventory")]
struct File {
    /// The version of the vocabulary. Default and only version: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1))]
    inventory: Option<u32>,
    /// What holds for every host that does not say otherwise.
    defaults: Defaults,
    /// The machines.
    #[serde(rename = "host")]
    #[schemars(length(min = 1))]
    hosts: Vec<Host>,
}

/// The machines of a fleet: at least one, and no name twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    hosts: Vec<Host>,
}

/// The JSON Schema of an inventory file, for editors and for those who generate such files.
#[must_use]
pub fn inventory_schema() -> serde_json::Value {
    schemars::schema_for!(File).into()
}

impl Inventory {
    /// Machines that were named in code, checked as those of a file are.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake.
    pub fn of(hosts: impl IntoIterator<Item = Host>) -> Result<Self> {
        let file = File {
            hosts: hosts.into_iter().collect(),
            ..File::default()
        };
        Ok(read(FORM.value(&file, "inventory")?, Path::new(""))?)
    }

    /// Machines that a program has in memory, with the keys of a file: `host`, and `defaults` for all of them. Relative
    /// paths begin at the current folder; `name` is how mistakes call it.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake.
    pub fn from_value(value: &impl Serialize, name: &str) -> Result<Self> {
        Ok(read(FORM.value(value, name)?, Path::new(""))?)
    }

    /// Reads an inventory file: TOML or JSON by the extension `.toml` or `.json`, and otherwise a plain list of
    /// `[user@]host[:port]`, one a line, with comments after `#`.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be read, `InvalidInput` with every mistake in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = FORM.text_of(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::check(&text, &path.display().to_string(), folder)?)
    }

    /// Reads the text of an inventory file. Its name says what it is written in and is how mistakes call it;
    /// its folder is where relative paths begin.
    ///
    /// # Errors
    /// Every mistake, each with its place.
    pub fn check(text: &str, file_name: &str, folder: &Path) -> Result<Self, Mistakes> {
        let document = match Path::new(file_name).extension().and_then(|e| e.to_str()) {
            Some("toml") => FORM.toml(text, file_name)?,
            Some("json") => FORM.json(text, file_name)?,
            _ => list::read(text, file_name)?,
        };
        read(document, folder)
    }

    /// The machines, in the order of the file, with all defaults filled in.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

fn read(mut document: Document, folder: &Path) -> Result<Inventory, Mistakes> {
    let file: File = document.content();
    if file.hosts.is_empty() {
        document.report("/host", &["/host"], |place| {
            Mistake::new(place, "the inventory names no machine: add a [[host]]")
        });
    }
    document.unique(
        "host",
        "the name",
        file.hosts
            .iter()
            .enumerate()
            .map(|(at, host)| (format!("/host/{at}/name"), host.name.as_str())),
    );
    let runs_as = user_of_this_process();
    let mut nobody = None;
    let hosts = file
        .hosts
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let host = with_defaults(host, &file.defaults, runs_as.as_deref(), folder);
            if host.user.is_none() {
                nobody.get_or_insert(at);
            }
            host
        })
        .collect();
    if let Some(at) = nobody {
        let at = format!("/host/{at}");
        document.report(&at, &[&at], |place| {
            Mistake::new(
                place,
                "nobody says as whom to log in, and the user who runs this has no name: add user to [defaults]",
            )
        });
    }
    files_exist(&mut document, &file, folder);
    document.finish(Inventory { hosts })
}

fn with_defaults(host: &Host, defaults: &Defaults, runs_as: Option<&str>, folder: &Path) -> Host {
    let user = host.user.clone().or_else(|| defaults.user.clone());
    let path = |own: &Option<PathBuf>, default: &Option<PathBuf>| {
        own.as_deref()
            .or(default.as_deref())
            .map(|path| resolved(path, folder))
    };
    let mut labels = defaults.labels.clone();
    labels.extend(host.labels.clone());
    Host {
        name: host.name.clone(),
        address: host.address.clone().or_else(|| Some(host.name.to_string())),
        user: user.or_else(|| runs_as.map(str::to_owned)),
        port: host.port.or(defaults.port),
        become_root: host.become_root.or(defaults.become_root),
        known_hosts: path(&host.known_hosts, &defaults.known_hosts),
        identity: path(&host.identity, &defaults.identity),
        host_key: host.host_key.clone(),
        reboot: host.reboot,
        labels,
        owner: host.owner.clone().or_else(|| defaults.owner.clone()),
    }
}

/// A path as it is written: from the home of this user, absolute, or from the folder of the file.
fn resolved(path: &Path, folder: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    }
}

/// A file that is named and is not there is a slip of the pen; each is said once.
fn files_exist(document: &mut Document, file: &File, folder: &Path) {
    let defaults = &file.defaults;
    let mut named = vec![
        ("/defaults".to_owned(), &defaults.known_hosts, "known_hosts"),
        ("/defaults".to_owned(), &defaults.identity, "identity"),
    ];
    for (at, host) in file.hosts.iter().enumerate() {
        let at = format!("/host/{at}");
        named.push((at.clone(), &host.known_hosts, "known_hosts"));
        named.push((at, &host.identity, "identity"));
    }
    let mut said = BTreeSet::new();
    for (table, path, key) in named {
        let Some(path) = path else { continue };
        let there = resolved(path, folder);
        if there.is_file() || !said.insert(there.clone()) {
            continue;
        }
        let at = format!("{table}/{key}");
        let what = match there.exists() {
            true => "is no file",
            false => "does not exist",
        };
        document.report(&at, &[&at], |place: Place| {
            Mistake::new(
                place,
                format!("{key} = {path:?} {what}: looked for {}", there.display()),
            )
        });
    }
}

/// Who runs this program, as far as the environment says it.
fn user_of_this_process() -> Option<String> {
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|user| !user.is_empty())
        .or_else(|| {
            rustix::process::geteuid()
                .is_root()
                .then(|| "root".to_owned())
        })
}

impl Host {
    /// A machine that is reached by its name.
    #[must_use]
    pub fn named(name: impl Into<ComponentId>) -> Self {
        Self {
            name: name.into(),
            address: None,
            user: None,
            port: None,
            become_root: None,
            known_hosts: None,
            identity: None,
            host_key: None,
            reboot: None,
            labels: BTreeMap::new(),
            owner: None,
        }
    }

    /// Where it is reached.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Who logs in there.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Another port than 22.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// How scripts become root.
    #[must_use]
    pub fn with_become(mut self, become_root: Become) -> Self {
        self.become_root = Some(become_root);
        self
    }

    /// The file in which its host key must stand.
    #[must_use]
    pub fn with_known_hosts(mut self, file: impl Into<PathBuf>) -> Self {
        self.known_hosts = Some(file.into());
        self
    }

    /// The private key to log in with.
    #[must_use]
    pub fn with_identity(mut self, file: impl Into<PathBuf>) -> Self {
        self.identity = Some(file.into());
        self
    }

    /// The fingerprint that one of its host keys must have.
    #[must_use]
    pub fn with_host_key(mut self, fingerprint: impl Into<String>) -> Self {
        self.host_key = Some(fingerprint.into());
        self
    }

    /// Patchcore does not restart it.
    #[must_use]
    pub fn without_reboot(mut self) -> Self {
        self.reboot = Some(false);
        self
    }

    /// One label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Who is responsible for it.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<PersonId>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// What is said of the machine itself.
    pub(crate) fn config(&self) -> LocalConfig {
        let mut config = LocalConfig::new().with_name(self.name.clone());
        config.labels = self.labels.clone();
        config.owner.clone_from(&self.owner);
        config.reboot = self.reboot != Some(false);
        config
    }

    /// How it is reached. An inventory has filled the defaults in and checked the words.
    pub(crate) fn target(&self) -> Result<SshTarget> {
        let user = self.user.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{}: nobody says as whom to log in", self.name),
            )
        })?;
        let address = self.address.as_deref().unwrap_or(self.name.as_str());
        let mut target = SshTarget::new(self.name.as_str(), address, user);
        if let Some(port) = self.port {
            target = target.with_port(port);
        }
        if let Some(become_root) = self.become_root {
            target = target.with_become(become_root);
        }
        if let Some(fingerprint) = &self.host_key {
            target = target.with_host_key(HostKeyCheck::Pinned(Fingerprint::parse(fingerprint)?));
        } else if let Some(file) = &self.known_hosts {
            target = target.with_host_key(HostKeyCheck::known_hosts(file));
        }
        if let Some(file) = &self.identity {
            target = target.with_identity(file);
        }
        Ok(target)
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
