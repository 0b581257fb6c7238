//! A machine as tests use it: what runs in it, what lies on it, what it says.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::Write,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Child, Machine, Output, Repository, Transaction, history};

const AS_USER: &str = include_str!("scripts/as_user.sh");
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A running copy of the [`Base`](super::Base). Dropped, it is gone with its disk and all its processes.
///
/// Commands are argument lists and never pass through a shell; [`Guest::script`] is for those that
/// need one. The environment of a command is that of a bare login, nothing of the test's own: set
/// variables with `["env", "NAME=value", …]`.
///
/// All methods panic when the guest cannot be reached, for instance because its power is off.
#[derive(Debug)]
pub struct Guest {
    machine: Machine,
}

impl Guest {
    pub(in crate::peers) const fn of(machine: Machine) -> Self {
        Self { machine }
    }

    /// What it is beneath.
    pub(in crate::peers) const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Its host name. Outside a lab no other guest of this machine has it.
    #[must_use]
    pub fn host_name(&self) -> &str {
        self.machine.host_name()
    }

    /// Its address in the network of its lab; `None` outside a lab.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.machine.address()
    }

    /// The process id of its init as seen from outside; `None` while its power is off.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.machine.pid()
    }

    /// A command that enters the guest as a user, for callers who start processes in their own way.
    ///
    /// A guest that restarts at this moment is waited for. A command that was made before a restart
    /// fails after it.
    #[track_caller]
    pub fn command<A: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self
            .machine
            .enter()
            .unwrap_or_else(|e| broken(self.host_name(), e));
        as_user(&mut command, user);
        command.args(argv);
        command
    }

    /// Runs a command as root and waits for it; standard input is empty.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = A>) -> Output {
        self.run_as("root", argv)
    }

    /// Runs a command as a user, such as `op` or `nobody`, and waits for it.
    #[track_caller]
    pub fn run_as<A: AsRef<OsStr>>(&self, user: &str, argv: impl IntoIterator<Item = A>) -> Output {
        match self.command(user, argv).stdin(Stdio::null()).output() {
            Ok(output) => output.into(),
            Err(e) => broken(self.host_name(), e),
        }
    }

    /// Runs a POSIX shell script as root; `arguments` are its `$1` and so on.
    #[track_caller]
    pub fn script<'a>(
        &self,
        text: &'a str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Output {
        self.run(["sh", "-euc", text, "script"].into_iter().chain(arguments))
    }

    /// Starts a command as root and does not wait for it.
    #[track_caller]
    pub fn spawn<A: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = A>) -> Child {
        self.spawn_as("root", argv)
    }

    /// Starts a command as a user and does not wait for it.
    #[track_caller]
    pub fn spawn_as<A: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = A>,
    ) -> Child {
        Child::start(self.command(user, argv)).unwrap_or_else(|e| broken(self.host_name(), e))
    }

    /// Writes a file, with its directories, owned by root and with mode 644.
    #[track_caller]
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        self.store(path, "644", Stdio::piped(), bytes.as_ref());
    }

    /// Copies an executable of this machine to `/usr/local/bin` and gives back its path there.
    ///
    /// It must run with the C library of Debian 12 (glibc 2.36) or be linked statically.
    #[track_caller]
    pub fn copy_in(&self, executable: impl AsRef<Path>) -> String {
        let executable = executable.as_ref();
        let name = executable
            .file_name()
            .unwrap_or(executable.as_os_str())
            .to_string_lossy();
        let path = format!("/usr/local/bin/{name}");
        let file =
            File::open(executable).unwrap_or_else(|e| broken(&executable.display().to_string(), e));
        self.store(&path, "755", file.into(), &[]);
        path
    }

    /// The bytes of a file; `None` when it does not exist.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        if !self.exists(path) {
            return None;
        }
        let output = self
            .command("root", ["cat", "--", path])
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => Some(output.stdout),
            Ok(output) => broken(path, String::from_utf8_lossy(&output.stderr)),
            Err(e) => broken(path, e),
        }
    }

    /// The text of a file; what is not UTF-8 is replaced, and a file that does not exist is empty.
    #[must_use]
    #[track_caller]
    pub fn read_text(&self, path: &str) -> String {
        self.read(path).map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    /// Whether a path exists.
    #[must_use]
    #[track_caller]
    pub fn exists(&self, path: &str) -> bool {
        match self.run(["test", "-e", path]) {
            Output { status, .. } if status.success() => true,
            output if output.code() == Some(1) && output.stderr.is_empty() => false,
            output => broken(path, output.stderr),
        }
    }

    /// Asks again and again until the answer is yes; whether it was within `patience`.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "what is waited for happens in other processes, which know no virtual time"
    )]
    pub fn wait_until(&self, patience: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::now() + patience;
        loop {
            if holds(self) {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The identity of this boot, as the kernel says it in the guest.
    #[must_use]
    #[track_caller]
    pub fn boot_id(&self) -> String {
        self.read_text(BOOT_ID).trim_end().to_owned()
    }

    /// Waits until it has started anew since `boot`, a [`boot_id`](Self::boot_id), and can be entered; whether that was
    /// within `patience`.
    #[must_use]
    pub fn is_back_since(&self, boot: &str, patience: Duration) -> bool {
        // Looked at from outside: a command that runs in the guest would be one more that its shutdown waits for.
        self.wait_until(patience, |guest| {
            let Some(pid) = guest.pid() else { return false };
            fs::read_to_string(format!("/proc/{pid}/root{BOOT_ID}"))
                .is_ok_and(|found| found.trim_end() != boot)
        }) && self.machine.settle().is_ok()
    }

    /// Ends every process at once, with no time to clean up. The disk stays, `/run` does not.
    ///
    /// In a lab its connections do not end: nobody is there any more who could say so.
    pub fn power_cut(&self) {
        self.machine.power_cut();
    }

    /// Starts it on the disk as it is, with a new boot id; does nothing while it runs.
    #[track_caller]
    pub fn power_on(&self) {
        self.machine
            .boot()
            .unwrap_or_else(|e| broken("starting a guest", e));
    }

    /// The version of each of these packages that is installed and configured; others are absent.
    #[must_use]
    #[track_caller]
    pub fn versions<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, String> {
        let format = "-f=${Package}\t${Version}\t${db:Status-Status}\n";
        // Its status is 1 when one of the names is unknown, and the others are printed all the same.
        let output = self.run(["dpkg-query", "-W", format, "--"].into_iter().chain(names));
        if !matches!(output.code(), Some(0 | 1)) {
            broken("dpkg-query", output.stderr);
        }
        let columns = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
            [name, version, "installed"] => Some((name.to_owned(), version.to_owned())),
            _ => None,
        };
        output.stdout.lines().filter_map(columns).collect()
    }

    /// What dpkg says of one package, such as `installed`, `half-configured` or `not-installed`.
    #[must_use]
    #[track_caller]
    pub fn dpkg_status(&self, name: &str) -> String {
        let output = self.run(["dpkg-query", "-W", "-f=${db:Status-Status}", "--", name]);
        match output.code() {
            Some(0) => output.stdout,
            Some(1) => "not-installed".to_owned(),
            _ => broken("dpkg-query", output.stderr),
        }
    }

    /// What apt did in this guest, oldest first.
    #[must_use]
    #[track_caller]
    pub fn apt_history(&self) -> Vec<Transaction> {
        history::parse(&self.read_text("/var/log/apt/history.log"))
            .unwrap_or_else(|e| broken("history.log", e))
    }

    /// The repository that this guest, and no other, is served from.
    #[must_use]
    pub const fn repository(&self) -> Repository<'_> {
        Repository::of(self)
    }

    /// Writes a file from `input`, or from `bytes` where that is a pipe.
    #[track_caller]
    fn store(&self, path: &str, mode: &str, input: Stdio, bytes: &[u8]) {
        let stored = self
            .command("root", ["install", "-D", "-m", mode, "/dev/stdin", path])
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut install| {
                if let Some(mut pipe) = install.stdin.take() {
                    pipe.write_all(bytes)?;
                }
                install.wait_with_output()
            });
        match stored {
            Ok(output) if output.status.success() => {}
            Ok(output) => broken(path, String::from_utf8_lossy(&output.stderr)),
            Err(e) => broken(path, e),
        }
    }
}

/// What follows is run as a user of the guest, by a command that has entered it, with the environment of a bare login.
pub(in crate::peers) fn as_user(command: &mut Command, user: &str) {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .args(["sh", "-c", AS_USER, "sh", user]);
}

/// A test cannot go on with a stand that does not stand.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a broken stand ends the test, with what was wrong"
)]
pub(in crate::peers) fn broken(what: &str, why: impl fmt::Display) -> ! {
    panic!("{what}: {why}")
}
