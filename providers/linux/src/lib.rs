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
mod probe;
mod source;

use std::sync::Arc;

use patchcore::provider::{EvidenceLabel, Ports, Provider, ProviderInfo};

pub use crate::config::LocalConfig;
use crate::{
    client::Machine,
    transport::{Local, Transport},
};

/// A Linux machine with apt and dpkg, as a provider named `linux`.
///
/// ```
/// use patchcore_linux::{Linux, LocalConfig};
/// let provider = Linux::local(LocalConfig::new());
/// ```
#[derive(Debug, Clone)]
pub struct Linux {
    info: ProviderInfo,
    machine: Arc<Machine>,
}

impl Linux {
    /// The machine on which patchcore itself runs. Reading needs no right; changing needs root, and patchcore
    /// does not restart the machine it runs on.
    #[must_use]
    pub fn local(config: LocalConfig) -> Self {
        Self::of(config, Arc::new(Local::new()), true)
    }

    /// Another machine, which a transport reaches.
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>, config: LocalConfig) -> Self {
        Self::of(config, transport, false)
    }

    fn of(config: LocalConfig, transport: Arc<dyn Transport>, is_own: bool) -> Self {
        let tried = EvidenceLabel::IndependentPeer;
        let mut info = ProviderInfo::new("linux", env!("CARGO_PKG_VERSION"))
            .with_evidence("scan", tried)
            .with_evidence("refresh", tried)
            .with_evidence("stage", tried)
            .with_evidence("apply", tried)
            .with_evidence("roll_back", tried)
            .with_evidence("discard", tried);
        if !is_own && config.reboot {
            info = info.with_evidence("reboot", EvidenceLabel::DocumentOnly);
        }
        Self {
            info,
            machine: Arc::new(Machine::new(config, transport, is_own)),
        }
    }
}

impl Provider for Linux {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none()
            .with_inventory(Arc::clone(&self.machine) as _)
            .with_source(Arc::clone(&self.machine) as _)
            .with_deployer(Arc::clone(&self.machine) as _)
            .with_probe(Arc::clone(&self.machine) as _)
    }
}
