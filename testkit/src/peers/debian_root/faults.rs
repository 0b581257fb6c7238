//! Trouble that a guest can be brought into, and out of.

use std::time::Duration;

use super::{Child, Guest, Init, guest::broken};

/// How long a fault may take to show: what it waits for starts a few processes.
const PATIENCE: Duration = Duration::from_secs(30);

const HOLD_LOCK: &str = include_str!("scripts/hold_lock.py");
const UNATTENDED: &str = include_str!("scripts/unattended.sh");
const WRONG_CLOCK: &str = include_str!("scripts/wrong_clock.sh");

/// Faults. Each is real: no answer is faked, what lies is the machine itself.
impl Guest {
    /// Pulls its network cable: nobody hears of it any more, and connections stay open until somebody gives up on them.
    /// It stays pulled over restarts.
    ///
    /// # Panics
    /// When it is no guest of a lab.
    #[track_caller]
    pub fn unplug(&self) {
        self.machine()
            .beside(": >unplugged", &[])
            .and_then(|()| self.machine().cable("down"))
            .unwrap_or_else(|e| broken(self.host_name(), e));
    }

    /// Plugs the cable in again.
    ///
    /// # Panics
    /// When it is no guest of a lab.
    #[track_caller]
    pub fn plug_in(&self) {
        self.machine()
            .beside("rm -f unplugged", &[])
            .unwrap_or_else(|e| broken(self.host_name(), e));
        // A guest that is off has no port; it gets one when it starts.
        if self.pid().is_some() {
            self.machine()
                .cable("up")
                .unwrap_or_else(|e| broken(self.host_name(), e));
        }
    }

    /// No new connection by SSH is taken; those that are open stay.
    #[track_caller]
    pub fn stop_ssh(&self) {
        let stop = match self.machine().init() {
            Init::Tini => "kill \"$(cat /run/sshd.pid)\"; rm -f /run/sshd.pid",
            Init::Systemd => "systemctl stop ssh",
        };
        self.script(stop, []).ok();
        if !self.wait_until(PATIENCE, |guest| !guest.listens_for_ssh()) {
            broken(self.host_name(), "sshd does not stop");
        }
    }

    /// Connections by SSH are taken again.
    #[track_caller]
    pub fn start_ssh(&self) {
        let start = match self.machine().init() {
            Init::Tini => "/usr/sbin/sshd </dev/null >/dev/null 2>&1",
            Init::Systemd => "systemctl start ssh",
        };
        self.script(start, []).ok();
        // sshd returns before it listens.
        if !self.wait_until(PATIENCE, Self::listens_for_ssh) {
            broken(self.host_name(), "sshd does not listen");
        }
    }

    #[track_caller]
    fn listens_for_ssh(&self) -> bool {
        !self.run(["ss", "-Hltn", "sport = :22"]).ok().is_empty()
    }

    /// It has another host key from now on, as a machine that was set up anew, or somebody else in its place.
    #[track_caller]
    pub fn change_host_key(&self) {
        self.stop_ssh();
        self.script(
            "key=/etc/ssh/ssh_host_ed25519_key; rm \"$key\" \"$key.pub\"; ssh-keygen -q -t ed25519 -N '' -f \"$key\"",
            [],
        )
        .ok();
        self.start_ssh();
    }

    /// Whatever starts from now on sees a clock that is so many years ahead, or behind.
    ///
    /// It is libfaketime in every process and not the kernel's clock, which all guests share with this machine: what
    /// runs already, and file times, stay as they are. Meanwhile nothing can be written to `/dev/shm`. A restart sets
    /// it right.
    #[track_caller]
    pub fn set_clock_wrong(&self, years: i32) {
        self.script(WRONG_CLOCK, [&*format!("{years:+}y")]).ok();
    }

    /// Whatever starts from now on sees the true time.
    #[track_caller]
    pub fn set_clock_right(&self) {
        self.script(
            "rm -f /etc/ld.so.preload /etc/faketimerc; mount -o remount,rw /dev/shm",
            [],
        )
        .ok();
    }

    /// Its disk has no space left; `/run`, and with systemd `/tmp`, are other file systems and do.
    ///
    /// The file system is made as small as what is on it, so that it takes no memory of this machine.
    #[track_caller]
    pub fn fill_disk(&self) {
        // Down to the block: a rounded size would leave some room.
        self.machine()
            .beside(
                "mount -o remount,size=$(($(stat -f -c '(%b - %f) * %S' .))) .",
                &[],
            )
            .unwrap_or_else(|e| broken(self.host_name(), e));
    }

    /// Its disk has space again.
    #[track_caller]
    pub fn free_disk(&self) {
        self.machine()
            .beside("mount -o remount,size=1g .", &[])
            .unwrap_or_else(|e| broken(self.host_name(), e));
    }

    /// A process holds dpkg's lock, as another package manager at work does, until it is dropped or killed.
    #[track_caller]
    pub fn hold_dpkg_lock(&self) -> Child {
        self.run(["rm", "-f", "/run/dpkg-lock.held"]).ok();
        let child = self.spawn(["python3", "-c", HOLD_LOCK]);
        if !self.wait_until(PATIENCE, |guest| guest.exists("/run/dpkg-lock.held")) {
            broken(self.host_name(), child.wait().stderr);
        }
        child
    }

    /// `pc-badpost` is half-configured, because its newest version was tried and refused to start.
    ///
    /// [`mend_package`](Self::mend_package) is what its administrator would do.
    #[track_caller]
    pub fn break_package(&self) {
        let install = ["apt-get", "-q", "-y", "install", "pc-badpost"];
        let output = self.run(install);
        if self.dpkg_status("pc-badpost") != "half-configured" {
            broken(self.host_name(), output.stdout + &output.stderr);
        }
    }

    /// What kept `pc-badpost` from being configured is gone, and it is configured.
    #[track_caller]
    pub fn mend_package(&self) {
        self.put("/etc/pc-badpost.ok", "");
        self.run(["dpkg", "--configure", "-a"]).ok();
    }

    /// Debian's own unattended-upgrade is at work, in the middle of `pc-slow`, which takes so many seconds; it puts in
    /// all security patches but `pc-badpost`. Dropped, it is killed where it is.
    #[track_caller]
    pub fn start_unattended_upgrade(&self, seconds: u32) -> Child {
        self.put("/etc/pc-slow.seconds", format!("{seconds}\n"));
        let mut child = self.spawn(["sh", "-euc", UNATTENDED]);
        let started = self.wait_until(PATIENCE, |guest| {
            guest.exists("/run/pc-slow.running") || !child.is_running()
        });
        if !started || !child.is_running() {
            let output = child.kill9();
            broken(self.host_name(), output.stdout + &output.stderr);
        }
        child
    }

    /// Somebody changed the conffile of `pc-conf`, so that its next version makes dpkg ask what to do.
    #[track_caller]
    pub fn edit_conffile(&self) {
        self.script("echo '# edited here' >>/etc/pc-conf/pc-conf.conf", [])
            .ok();
    }
}
