#![doc = include_str!("../README.md")]

pub mod job;
pub mod pm;
pub mod transport;
pub mod vercmp;

mod client;
mod config;
mod deployer;
mod error;
mod inventory;
mod lock;
mod probe;
mod source;

use std::{path::Path, sync::Arc};

use patchcore::{
    Error, ErrorKind, Result,
    document::Settings as _,
    provider::{EvidenceLabel, Ports, Provider, ProviderInfo},
};

pub use crate::config::{Host, Inventory, LocalConfig, inventory_schema};
use crate::{
    client::{Fleet, Machine},
    transport::{Local, Transport, ssh::Connections},
};

/// Linux machines with apt and dpkg, as a provider named `linux`: those of an inventory, or a single one.
///
/// ```
/// use patchcore_linux::{Linux, LocalConfig};
/// let provider = Linux::local(LocalConfig::new());
/// ```
#[derive(Debug, Clone)]
pub struct Linux {
    info: ProviderInfo,
    fleet: Arc<Fleet>,
}

impl Linux {
    /// The machines of an inventory file, over ssh. Nothing is sent to them before they are asked.
    ///
    /// # Errors
    /// As [`Inventory::from_file`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::fleet(Inventory::from_file(path)?)
    }

    /// The machines of an inventory, over ssh.
    ///
    /// # Errors
    /// `InvalidInput` for a machine that cannot be reached by what is said of it.
    pub fn fleet(inventory: Inventory) -> Result<Self> {
        let connections = Connections::new();
        let machines = inventory.hosts().iter().map(|host| {
            let target = host.target()?;
            let address = target.address.clone();
            let transport = Arc::new(connections.host(target));
            Ok(Machine::new(host.config(), transport, false).at(address))
        });
        Ok(Self::of(machines.collect::<Result<_>>()?))
    }

    /// The machine on which patchcore itself runs. Reading needs no right; changing needs root, and patchcore
    /// does not restart the machine it runs on.
    #[must_use]
    pub fn local(config: LocalConfig) -> Self {
        Self::of(vec![Machine::new(config, Arc::new(Local::new()), true)])
    }

    /// Another machine, which a transport reaches.
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>, config: LocalConfig) -> Self {
        Self::of(vec![Machine::new(config, transport, false)])
    }

    /// The machine on which patchcore itself runs, or the fleet of the inventory that `PATCHCORE_LINUX_INVENTORY` names;
    /// the other variables are those of [`LocalConfig`].
    ///
    /// # Errors
    /// As [`Linux::from_file`] and [`Settings::from_env`](patchcore::document::Settings::from_env).
    pub fn from_env() -> Result<Self> {
        let variables = std::env::vars_os().map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        });
        Self::from_variables(LocalConfig::PREFIX, variables)
    }

    /// As [`from_env`](Self::from_env), after another prefix and from other variables.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let variables = variables.into_iter().filter(|(n, _)| n.starts_with(prefix));
        let inventory = Self::inventory_variable(prefix);
        let (named, others): (Vec<_>, Vec<_>) = variables.partition(|(name, _)| *name == inventory);
        match (named.first(), others.first()) {
            (None, _) => Ok(Self::local(LocalConfig::from_variables(prefix, others)?)),
            (Some((_, path)), None) => Self::from_file(path),
            (Some(_), Some((other, _))) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{inventory} names a fleet, and {other} is about this machine alone"),
            )
            .hint("unset one of the two; what holds for a fleet stands in [defaults] of its inventory")
            .consequence("nothing was done")),
        }
    }

    /// The variable that names the inventory of a fleet.
    #[must_use]
    pub fn inventory_variable(prefix: &str) -> String {
        format!("{prefix}INVENTORY")
    }

    fn of(machines: Vec<Machine>) -> Self {
        let tried = EvidenceLabel::IndependentPeer;
        let mut info = ProviderInfo::new("linux", env!("CARGO_PKG_VERSION"))
            .with_evidence("scan", tried)
            .with_evidence("refresh", tried)
            .with_evidence("stage", tried)
            .with_evidence("apply", tried)
            .with_evidence("roll_back", tried)
            .with_evidence("discard", tried)
            .with_evidence("lock", tried);
        if machines.iter().any(|machine| machine.restarts) {
            info = info.with_evidence("reboot", tried);
        }
        Self {
            info,
            fleet: Arc::new(Fleet::of(machines)),
        }
    }
}

impl Provider for Linux {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none()
            .with_inventory(Arc::clone(&self.fleet) as _)
            .with_source(Arc::clone(&self.fleet) as _)
            .with_deployer(Arc::clone(&self.fleet) as _)
            .with_probe(Arc::clone(&self.fleet) as _)
            .with_lock(Arc::clone(&self.fleet) as _)
            .never_block()
    }
}
