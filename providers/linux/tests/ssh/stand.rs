//! A guest of a lab, the way to it, and what can be done to it.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use patchcore::Result;
use patchcore_linux::transport::{
    Output, Script, Transport,
    ssh::{Connections, HostKeyCheck, Ssh, SshTarget},
};
use patchcore_testkit::peers::{
    debian_root::Guest,
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};

/// A lab of one guest, whose network the thread of the test is in.
pub(crate) struct Stand {
    lab: Lab,
    folder: tempfile::TempDir,
}

/// A new guest, or nothing where none can be had here.
pub(crate) fn stand() -> Option<Stand> {
    let guest = GuestRecipe::new("web-t1", Kind::Bare);
    let lab = need(Lab::up(Recipe::new().with(guest)))?;
    lab.enter_thread();
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand { lab, folder };
    fs::copy(
        stand.key().with_file_name("known_hosts"),
        stand.known_hosts(),
    )
    .unwrap();
    Some(stand)
}

impl Stand {
    pub(crate) fn guest(&self) -> &Guest {
        self.lab.guest("web-t1")
    }

    /// A folder of the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that [`target`](Self::target) checks host keys against; the test may write it.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.folder().join("known_hosts")
    }

    /// The key that opens the guest.
    pub(crate) fn key(&self) -> PathBuf {
        self.lab.inventory().with_file_name("id_ed25519")
    }

    /// How the guest is called in known hosts.
    pub(crate) fn address(&self) -> String {
        self.guest().address().unwrap().to_string()
    }

    /// Runs a shell script in the guest as root, not over ssh.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.guest().script(script, []).ok()
    }

    pub(crate) fn target(&self, user: &str) -> SshTarget {
        SshTarget::new("web-t1", self.address(), user)
            .with_host_key(HostKeyCheck::known_hosts(self.known_hosts()))
            .with_identity(self.key())
    }

    /// Sets these lines of sshd_config before all others, and waits until sshd has taken them.
    pub(crate) fn configure_sshd(&self, lines: &str) {
        self.guest()
            .put("/etc/ssh/sshd_config.d/00-test.conf", lines);
        // The first word counts, but of this one the last.
        self.sh("sed -i /^MaxStartups/d /etc/ssh/sshd_config.d/patchcore.conf");
        self.sh("sshd -t");
        self.guest().stop_ssh();
        self.guest().start_ssh();
    }

    /// Ends every login with SIGKILL, as a crash of sshd would. Who listens lives on.
    pub(crate) fn kill_logins(&self) {
        self.sh("listener=$(cat /run/sshd.pid)
            for p in $(pgrep -x sshd); do [ \"$p\" = \"$listener\" ] || kill -9 \"$p\" || :; done");
    }

    /// How many logins there are.
    pub(crate) fn logins(&self) -> usize {
        let count = self.sh("pgrep -fc '^sshd: [a-z]*@' || :");
        count.trim().parse().unwrap()
    }

    /// Whether a process with this text in its command line runs.
    pub(crate) fn runs(&self, text: &str) -> bool {
        self.guest().run(["pgrep", "-fx", text]).status.success()
    }

    pub(crate) fn is_soon(&self, holds: impl Fn(&Self) -> bool) -> bool {
        self.guest()
            .wait_until(Duration::from_secs(10), |_| holds(self))
    }
}

/// Runs in this thread alone, which is in the lab's network.
pub(crate) fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

pub(crate) async fn run(ssh: &Ssh, text: &'static str) -> Result<Output> {
    let script = Script::new("t-1").text(text);
    ssh.run(&script, Duration::from_secs(60)).await
}

/// Without the agent of whoever runs the tests.
pub(crate) fn plain() -> Connections {
    Connections::new().without_agent()
}
