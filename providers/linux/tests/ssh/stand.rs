use patchcore::Result;
use patchcore_linux::transport::{
    Output, Script, Transport,
    ssh::{Connections, HostKeyCheck, Ssh, SshTarget},
};
use std::{
    fs,
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

static NEXT: AtomicUsize = AtomicUsize::new(1);

pub(crate) struct Stand {
    dir: tempfile::TempDir,
    n: usize,
}
pub(crate) const PORT: u16 = 2272;

pub(crate) fn stand() -> Option<Stand> {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let st = Command::new("bash").args(["-c", &format!("export PC_STAND=/tmp/ssh/stand PC_NET=127.7.0 PC_PORT=2272 PC_REPO_PORT=18772; P=/work/shared/prototypes/linux/stand; $P/up.sh {n} {n}; for i in $(seq 100); do ssh-keyscan -p 2272 127.7.0.{n} 2>/dev/null | grep -q ed25519 && exit 0; sleep 0.1; done; exit 1")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(st.success());
    let s = Stand {
        dir: tempfile::tempdir().unwrap(),
        n,
    };
    s.sh("id op >/dev/null 2>&1 || { useradd -m -s /bin/bash op; useradd -m -s /bin/bash nosudo; useradd -m -s /bin/bash pwsudo; for u in op nosudo pwsudo; do install -d -o $u -m 700 /home/$u/.ssh; install -o $u -m 600 /root/.ssh/authorized_keys /home/$u/.ssh/authorized_keys; usermod -p '*' $u; done; printf 'op ALL=(ALL) NOPASSWD: ALL\npwsudo ALL=(ALL) ALL\n' >/etc/sudoers.d/lab; }");
    let host = fs::read_to_string(format!(
        "/tmp/ssh/stand/h/{n}/m/etc/ssh/ssh_host_ed25519_key.pub"
    ));
    let host = host.unwrap_or_else(|_| s.sh("cat /etc/ssh/ssh_host_ed25519_key.pub"));
    fs::write(s.known_hosts(), format!("[{}]:{PORT} {host}", s.address())).unwrap();
    Some(s)
}

impl Stand {
    pub(crate) fn address(&self) -> String {
        format!("127.7.0.{}", self.n)
    }
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }
    pub(crate) fn key(&self) -> &Path {
        Path::new("/tmp/ssh/stand/key")
    }
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
    pub(crate) fn name_in_known_hosts(&self) -> String {
        format!("[{}]:{PORT}", self.address())
    }
    pub(crate) fn sh(&self, script: &str) -> String {
        let mut c = Command::new("nsenter");
        let pid = fs::read_to_string(format!("/tmp/ssh/stand/h/{}/pid", self.n)).unwrap();
        let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", pid.trim())).unwrap();
        let pid = child.split_whitespace().next().unwrap().to_owned();
        c.args(["-t", &pid, "-m", "-p", "-u", "-i", "-r", "-w", "sh", "-eu"])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut p = c.spawn().unwrap();
        p.stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        let o = p.wait_with_output().unwrap();
        assert!(o.status.success(), "{script}");
        String::from_utf8(o.stdout).unwrap()
    }
    pub(crate) fn target(&self, user: &str) -> SshTarget {
        SshTarget::new("web-t1", self.address(), user)
            .with_port(PORT)
            .with_host_key(HostKeyCheck::known_hosts(self.known_hosts()))
            .with_identity(self.key())
    }
    pub(crate) fn block<T>(&self, f: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(f)
    }
    pub(crate) fn block_mut<T, F: Future<Output = T>>(
        &mut self,
        f: impl FnOnce(&'static mut Stand) -> F,
    ) -> T {
        let me: &'static mut Stand = Box::leak(Box::new(Stand {
            dir: tempfile::tempdir().unwrap(),
            n: self.n,
        }));
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        rt.block_on(f(me))
    }
    pub(crate) fn configure_sshd(&self, lines: &str) {
        self.sh(&format!("printf '{}' >/etc/ssh/sshd_config.d/00-test.conf; /usr/sbin/sshd -t; for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in *'/usr/sbin/sshd '*) kill -HUP ${{p#/proc/}};; esac; done; sleep 0.3", lines.replace('\n', "\\n")));
        self.wait();
    }
    fn wait(&self) {
        self.sh("");
        Command::new("bash").args(["-c", &format!("for i in $(seq 100); do ssh-keyscan -p 2272 {} 2>/dev/null | grep -q . && exit 0; sleep 0.1; done", self.address())]).status().unwrap();
    }
    pub(crate) fn kill_logins(&self) {
        self.sh("for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in 'sshd: '*) kill -9 ${p#/proc/} || :;; esac; done");
    }
    pub(crate) fn is_soon(&self, f: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..100 {
            if f(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
    pub(crate) fn power_cut(&mut self) {
        self.reboot_script("kill");
    }
    fn reboot_script(&self, _: &str) {
        Command::new("bash").args(["-c", &format!("export PC_STAND=/tmp/ssh/stand PC_NET=127.7.0 PC_PORT=2272 PC_REPO_PORT=18772; /work/shared/prototypes/linux/stand/reboot.sh {}", self.n)]).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    }
}

pub(crate) async fn run(ssh: &Ssh, text: &'static str) -> Result<Output> {
    ssh.run(&Script::new("t-1").text(text), Duration::from_secs(30))
        .await
}

pub(crate) fn plain() -> Connections {
    Connections::new().without_agent()
}
