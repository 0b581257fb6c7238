//! A disk in memory, and while it is on, the namespaces that a machine runs in.

use std::{
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::{self, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    Base,
    guest::as_user,
    holder::{self, Holder},
};

const DISK: &str = include_str!("scripts/disk.sh");
const BOOT: &str = include_str!("scripts/boot.sh");
const BOOT_SYSTEMD: &str = include_str!("scripts/boot_systemd.sh");
const MACHINE: &str = include_str!("scripts/machine.sh");
const RESTART: &str = include_str!("scripts/restart.sh");
const CGROUPS: &str = include_str!("scripts/cgroups.sh");
const SUPERVISE: &str = include_str!("scripts/supervise.sh");

/// `nsenter` stops when its command is stopped, and systemd stops every process for a moment when it shuts down: it would
/// stay stopped, and the shutdown would wait for somebody to take note that its command ended. A shell takes note.
const WAIT: &str = "\"$@\"; exit $?";

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A copy of the base, on or off. Dropped, it is gone.
#[derive(Debug)]
pub(in crate::peers) struct Machine {
    base: Base,
    /// What the mounts of its disk and its cgroups are called: no two guests of this machine have the same.
    mark: String,
    host_name: String,
    init: Init,
    plug: Option<Plug>,
    // Off before the disk goes: fields are dropped in this order.
    running: Mutex<Option<Arc<Holder>>>,
    disk: Holder,
}

/// What starts the processes of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::peers) enum Init {
    Tini,
    Systemd,
}

/// Where a guest of a lab is plugged in.
#[derive(Debug, Clone)]
pub(in crate::peers) struct Plug {
    /// The network namespace of the lab.
    pub(in crate::peers) network: Arc<File>,
    /// The guest's own address in it.
    pub(in crate::peers) address: Ipv4Addr,
}

impl Machine {
    /// Starts a machine, which without a name is called after this process and its number in it.
    ///
    /// # Errors
    /// What was said instead of coming up.
    pub(in crate::peers) fn start(
        base: &Base,
        name: Option<&str>,
        plug: Option<Plug>,
        init: Init,
    ) -> Result<Self, String> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mark = format!("guest-{}-{number}", process::id());
        let mut words = Vec::new();
        if init == Init::Systemd {
            words.extend(["sh", "-c", CGROUPS, "sh", &mark]);
        }
        let net = plug
            .as_ref()
            .map(|plug| format!("--net={}", holder::path(&plug.network)));
        if let Some(net) = &net {
            words.extend(["nsenter", net]);
        }
        words.push("unshare");
        let mut disk = Command::new(words[0]);
        disk.args(&words[1..])
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .args(["sh", "-c", DISK, "sh"])
            .args([base.mount_point(), base.tree(), Path::new(&mark)]);
        let disk = Holder::start(&mut disk).map_err(|e| format!("making a guest's disk: {e}"))?;
        let machine = Self {
            base: base.clone(),
            host_name: name.unwrap_or(&mark).to_owned(),
            mark,
            init,
            plug,
            running: Mutex::new(None),
            disk,
        };
        machine.boot()?;
        Ok(machine)
    }

    pub(super) fn host_name(&self) -> &str {
        &self.host_name
    }

    pub(super) const fn init(&self) -> Init {
        self.init
    }

    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.plug.as_ref().map(|plug| plug.address)
    }

    /// The process id of its init as seen from outside; `None` while it is off.
    pub(super) fn pid(&self) -> Option<u32> {
        let running = self.running();
        let running = running.as_ref().filter(|running| !running.is_over());
        running.and_then(|running| running.pid())
    }

    /// The beginning of a command in it. While it restarts it is waited for.
    pub(super) fn enter(&self) -> Result<Command, String> {
        let Some(running) = self.running().clone() else {
            return Err("its power is off".to_owned());
        };
        let mut command = running.enter()?;
        if self.init == Init::Systemd {
            command.args(["--no-fork", "sh", "-c", WAIT, "sh"]);
        }
        Ok(command)
    }

    /// Ends all of it at once.
    pub(super) fn power_cut(&self) {
        if self.plug.is_some() {
            // A machine that is off already has no port.
            let _ = self.cable("down");
        }
        // Not while the lock is held: whoever asks for the machine meanwhile is to hear that it is off.
        let running = self.running().take();
        if let Some(running) = running {
            running.end();
        }
    }

    /// Starts it, unless it is on.
    pub(super) fn boot(&self) -> Result<(), String> {
        let mut running = self.running();
        if running.as_ref().is_some_and(|running| !running.is_over()) {
            return Ok(());
        }
        let address = self.address().map(|address| address.to_string());
        let (script, last) = match self.init {
            Init::Tini => (BOOT, RESTART),
            Init::Systemd => (BOOT_SYSTEMD, &*self.mark),
        };
        let mut boot = self.disk.enter()?;
        boot.args(["sh", "-c", SUPERVISE, "sh", script])
            .arg(self.base.mount_point())
            .args([&self.host_name, &address.unwrap_or_default()])
            .args([MACHINE, last]);
        let holder = Holder::start(&mut boot).map_err(|e| format!("{}: {e}", self.host_name))?;
        *running = Some(Arc::new(holder));
        drop(running);
        self.settle()
    }

    /// Waits until systemd has started all that it starts.
    pub(super) fn settle(&self) -> Result<(), String> {
        if self.init == Init::Tini {
            return Ok(());
        }
        let mut ask = self.enter()?;
        as_user(&mut ask, "root");
        ask.args(["timeout", "60", "systemctl", "is-system-running", "--wait"]);
        let answer = ask.stdin(Stdio::null()).output();
        let answer = answer.map_err(|e| format!("{}: {e}", self.host_name))?;
        match String::from_utf8_lossy(&answer.stdout).trim_end() {
            // What a test broke before is not for us to judge.
            "running" | "degraded" => Ok(()),
            other => Err(format!("{}: systemd says \"{other}\"", self.host_name)),
        }
    }

    /// Runs a script beside it: on its disk, whose root is `root`, and in the network of its lab.
    pub(super) fn beside(&self, script: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.disk.enter()?;
        command
            .args(["sh", "-euc"])
            .arg(format!("cd \"$1\"; shift; {script}"))
            .arg("sh")
            .arg(self.base.mount_point())
            .args(arguments)
            .stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Sets the lab's end of its cable `up` or `down`.
    pub(super) fn cable(&self, state: &str) -> Result<(), String> {
        let Some(address) = self.address() else {
            return Err("it is no guest of a lab".to_owned());
        };
        let port = format!("port{}", address.octets()[3]);
        self.beside("chroot lower ip link set \"$1\" \"$2\"", &[&port, state])
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Holder>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
