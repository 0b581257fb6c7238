//! A machine in a network of its own that is reached over ssh, as an ordinary user with sudo, and restarted.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use patchcore::Result;
use patchcore_linux::{
    LocalConfig,
    transport::{
        Output, Script, Transport,
        ssh::{Connections, HostKeyCheck, Ssh, SshTarget},
    },
};
use patchcore_testkit::{
    NoFixture, conformance,
    peers::{
        debian_root::Guest,
        lab::{GuestRecipe, Kind, Lab, Recipe},
    },
};
use tokio::runtime::{Builder, Handle};

use crate::throwaway::{Place, Throwaway};

const NAME: &str = "web-t1";

#[derive(Debug)]
struct Far {
    lab: Lab,
    network: Handle,
    // Dropped, it ends the thread behind `network`.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl Far {
    /// A thread that is in the lab's network: the suites run in several, which are not.
    fn enter(lab: Lab) -> Self {
        let (running, ended) = tokio::sync::oneshot::channel();
        let (told, network) = mpsc::channel();
        thread::scope(|scope| {
            let lab = &lab;
            let (entered, go) = mpsc::channel();
            scope.spawn(move || {
                // A thread that outlives this scope begins in the network of the one that started it.
                lab.enter_thread();
                thread::Builder::new()
                    .spawn(move || {
                        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                        told.send(runtime.handle().clone()).unwrap();
                        let _ = runtime.block_on(ended);
                    })
                    .unwrap();
                entered.send(()).unwrap();
            });
            go.recv().unwrap();
        });
        Self {
            lab,
            network: network.recv().unwrap(),
            _running: running,
        }
    }
}

impl Place for Far {
    fn guest(&self) -> &Guest {
        self.lab.guest(NAME)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        let folder = self.lab.inventory();
        let address = self.guest().address().unwrap().to_string();
        let target = SshTarget::new(NAME, address, "op")
            .with_host_key(HostKeyCheck::known_hosts(
                folder.with_file_name("known_hosts"),
            ))
            .with_identity(folder.with_file_name("id_ed25519"));
        Arc::new(InNetwork {
            ssh: Connections::new().without_agent().host(target),
            network: self.network.clone(),
        })
    }

    fn config(&self) -> LocalConfig {
        LocalConfig::new()
    }
}

/// Runs scripts over ssh from the thread that is in the lab's network.
#[derive(Debug)]
struct InNetwork {
    ssh: Ssh,
    network: Handle,
}

#[async_trait]
impl Transport for InNetwork {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let (ssh, script) = (self.ssh.clone(), script.clone());
        let call = async move { ssh.run(&script, deadline).await };
        self.network.spawn(call).await.unwrap()
    }
}

async fn outside() -> std::result::Result<Throwaway<Far>, NoFixture> {
    let recipe = Recipe::new().with(GuestRecipe::new(NAME, Kind::Bare));
    let lab = Lab::up(recipe).map_err(NoFixture::PeerMissing)?;
    lab.repository().publish("pc-hello", "0.9-1");
    lab.repository().publish("pc-hello", "1.2-1");
    lab.guest(NAME).run(["apt-get", "-qq", "update"]).ok();
    Ok(Throwaway::at(Far::enter(lab)))
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
conformance!(probe, outside);
conformance!(lock, outside);
