//! A machine that is entered from the side, by the way that the local transport starts its scripts.

use std::{io::Write, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{Error, ErrorKind, Result};
use patchcore_linux::{
    LocalConfig,
    transport::{COMMAND, Output, Script, Transport},
};
use patchcore_testkit::{
    NoFixture, conformance,
    peers::debian_root::{DebianRoot, Guest},
};

use crate::throwaway::{Place, Throwaway};

#[derive(Debug)]
struct Here(Arc<Guest>);

impl Place for Here {
    fn guest(&self) -> &Guest {
        &self.0
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Inside(Arc::clone(&self.0)))
    }

    fn config(&self) -> LocalConfig {
        LocalConfig::new().without_reboot()
    }
}

/// Runs scripts in the guest, as ssh would on a machine far away.
#[derive(Debug)]
struct Inside(Arc<Guest>);

#[async_trait]
impl Transport for Inside {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let mut child = self
            .0
            .command("root", COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut stdin = child.stdin.take().unwrap();
        let wire = script.wire();
        let answer = tokio::task::spawn_blocking(move || {
            stdin.write_all(wire.as_bytes())?;
            drop(stdin);
            child.wait_with_output()
        });
        let output = tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Timeout, "the guest did not answer").retryable(None)
            })?
            .unwrap()
            .map_err(broken)?;
        script.unwrap_output(&output.stdout, output.stderr)
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the guest cannot be entered").source_error(error)
}

async fn outside() -> std::result::Result<Throwaway<Here>, NoFixture> {
    let base = DebianRoot::base().map_err(NoFixture::PeerMissing)?;
    let guest = base.guest();
    guest.repository().publish("pc-hello", "0.9-1");
    guest.repository().publish("pc-hello", "1.2-1");
    guest.run(["apt-get", "-qq", "update"]).ok();
    Ok(Throwaway::at(Here(Arc::new(guest))))
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
conformance!(probe, outside);
conformance!(lock, outside);
