//! The server that stands for a vCenter, for one test.

use std::path::Path;

use patchcore::Secret;
pub(crate) use patchcore_testkit::peers::vcenter::{PASSWORD, USER};
use patchcore_testkit::peers::{
    need,
    vcenter::{Vcenter, program},
};
use patchcore_vsphere::{VCenter, VsphereConfig};
use serde_json::Value;
use tempfile::TempDir;

/// One server of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct Peer {
    vcenter: Vcenter,
    /// What it writes lies here, and goes with it.
    _folder: TempDir,
}

impl Peer {
    /// A vCenter with one cluster. None where the program was not built: elsewhere than in CI a test may skip.
    pub(crate) fn start(hosts: u32, vms: u32) -> Option<Self> {
        let program = need(program())?;
        let folder = TempDir::new().expect("a folder for temporary files");
        let vcenter = Vcenter::start(&program, folder.path(), hosts, vms);
        Some(Self {
            vcenter: vcenter.expect("the peer says that it is ready"),
            _folder: folder,
        })
    }

    /// One that was started otherwise.
    pub(crate) fn of(vcenter: Vcenter, folder: TempDir) -> Self {
        Self {
            vcenter,
            _folder: folder,
        }
    }

    /// Its host and port.
    pub(crate) fn server(&self) -> &str {
        self.vcenter.server()
    }

    pub(crate) fn ca(&self) -> &Path {
        self.vcenter.ca()
    }

    pub(crate) fn fingerprint(&self) -> &str {
        self.vcenter.fingerprint()
    }

    pub(crate) fn config(&self) -> VsphereConfig {
        VsphereConfig::new(self.server(), USER, Secret::new(PASSWORD))
            .expect("an address")
            .with_ca_file(self.ca())
    }

    pub(crate) async fn connect(&self) -> VCenter {
        VCenter::connect(self.config()).await.expect("it logs in")
    }

    /// Tells the peer what is so from now on.
    pub(crate) fn tell(&self, path: &str, what: &Value) {
        self.vcenter.tell(path, what).expect("it takes it");
    }

    /// Takes every rule back.
    pub(crate) fn behave(&self) {
        self.vcenter.behave().expect("it takes it");
    }

    /// It counts calls anew.
    pub(crate) fn count_anew(&self) {
        self.vcenter.count_anew().expect("it takes it");
    }

    /// What it says of itself, past its API.
    pub(crate) fn ask(&self, path: &str) -> Value {
        self.vcenter.ask(path).expect("it answers")
    }
}
