//! A process that keeps namespaces alive for exactly as long as we live.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What there is to enter: the option of `nsenter` and the name under `/proc/PID`.
const DOORS: [(&str, &str); 7] = [
    ("mount", "ns/mnt"),
    ("uts", "ns/uts"),
    ("ipc", "ns/ipc"),
    ("net", "ns/net"),
    ("pid", "ns/pid"),
    ("root", "root"),
    ("wd", "root"),
];

/// A guest that restarts itself is back within a second or two; a machine that is busy with twenty of
/// them, or a guest that waits for its jobs to end, takes longer.
const RESTART: Duration = Duration::from_secs(60);

/// Runs until dropped. Its standard input is a pipe that only this value holds the other end of, so
/// the kernel closes it even when this process is killed. A parent-death signal would do that too,
/// but it follows the *thread* that started the child, and test threads come and go.
#[derive(Debug)]
pub(super) struct Holder {
    process: Mutex<Child>,
    heard: Arc<Heard>,
}

/// What the process says of itself, as long as it runs.
#[derive(Debug, Default)]
struct Heard {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The namespaces of each start, the last one last. The doors of earlier ones stay open, because a command that
    /// was made for them names them by number and must fail rather than enter what has the number now.
    starts: Vec<Inside>,
    /// Whether the last of them is there to be entered.
    is_up: bool,
    /// Whether nothing more will be said.
    is_over: bool,
    said: Vec<String>,
}

#[derive(Debug)]
struct Inside {
    pid: u32,
    /// Open namespaces instead of a process id: when the holder ended by itself, its id may by now
    /// be that of any process of this machine, and a command for the guest would run out here.
    doors: Vec<(&'static str, File)>,
}

impl Holder {
    /// Starts a command that prints `ready PID` once it has set up everything; `down`, and `ready`
    /// again, when it did so anew.
    ///
    /// # Errors
    /// What the command said instead.
    #[expect(
        clippy::disallowed_methods,
        reason = "somebody has to hear when a guest restarts itself; it ends with the guest"
    )]
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        let out = process.stdout.take();
        let holder = Self {
            process: Mutex::new(process),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&holder.heard);
        thread::spawn(move || heard.listen(out));
        let state = holder.heard.wait(|state| state.is_up || state.is_over);
        if state.is_up {
            drop(state);
            return Ok(holder);
        }
        let said = state.said.join("; ");
        drop(state);
        let status = holder.end();
        Err(format!("{said} ({status})"))
    }

    /// A command that enters the namespaces; what to run there is for the caller to add. While the
    /// holder starts anew it waits for that.
    ///
    /// # Errors
    /// The holder did not start again.
    pub(super) fn enter(&self) -> Result<Command, String> {
        let state = self.heard.wait(|state| state.is_up || state.is_over);
        if !state.is_up && !state.is_over {
            return Err(format!(
                "it went down and is not back after {}",
                RESTART.as_secs()
            ));
        }
        let mut command = Command::new("nsenter");
        // Where nothing was up last, its doors are shut, and the command fails by itself.
        for (option, door) in state.starts.last().iter().flat_map(|inside| &inside.doors) {
            command.arg(format!("--{option}={}", path(door)));
        }
        Ok(command)
    }

    /// Whether it ended by itself.
    pub(super) fn is_over(&self) -> bool {
        self.heard.lock().is_over
    }

    /// The process id, as seen from outside, of the first process in the namespaces.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.heard.lock().starts.last()?.pid)
    }

    /// Ends every process in the namespaces and waits until the kernel let go of the mounts; says how
    /// the command ended.
    pub(super) fn end(&self) -> String {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        drop(process.stdin.take());
        process
            .wait()
            .map_or_else(|e| e.to_string(), |status| status.to_string())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}

impl Heard {
    /// Notes what is said, until nothing more is.
    fn listen(&self, out: Option<ChildStdout>) {
        let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
        for line in lines.map_while(Result::ok) {
            let mut state = self.lock();
            match line.strip_prefix("ready ").map(str::parse) {
                Some(Ok(pid)) => match Inside::open(pid) {
                    Ok(inside) => {
                        state.starts.push(inside);
                        state.is_up = true;
                    }
                    Err(e) => {
                        state.said.push(format!("entering its namespaces: {e}"));
                        break;
                    }
                },
                _ if line == "down" => state.is_up = false,
                _ => state.said.push(line),
            }
            self.news.notify_all();
        }
        self.lock().is_over = true;
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.news
            .wait_timeout_while(self.lock(), RESTART, |state| !holds(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl Inside {
    fn open(pid: u32) -> io::Result<Self> {
        let mut doors = Vec::new();
        for (option, name) in DOORS {
            let door = File::open(format!("/proc/{pid}/{name}"))?;
            // Who is root in a user namespace only may not enter what is the whole machine's, even though he is there.
            let is_ours = name.starts_with("ns/")
                && door.metadata()?.ino() == fs::metadata(format!("/proc/self/{name}"))?.ino();
            if !is_ours {
                doors.push((option, door));
            }
        }
        Ok(Self { pid, doors })
    }
}

/// The name by which another process finds an open file of this one.
pub(in crate::peers) fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd())
}
