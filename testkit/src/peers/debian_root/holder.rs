//! A process that keeps namespaces alive for exactly as long as we live.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::fd::AsRawFd,
    process::{self, Child, Command, Stdio},
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

/// Runs until dropped. Its standard input is a pipe that only this value holds the other end of, so
/// the kernel closes it even when this process is killed. A parent-death signal would do that too,
/// but it follows the *thread* that started the child, and test threads come and go.
#[derive(Debug)]
pub(super) struct Holder {
    process: Child,
    pid: u32,
    /// Open namespaces instead of a process id: when the holder ended by itself, its id may by now
    /// be that of any process of this machine, and a command for the guest would run out here.
    doors: Vec<(&'static str, File)>,
}

impl Holder {
    /// Starts a command that prints `ready PID` once it has set up everything.
    ///
    /// # Errors
    /// What the command said instead.
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        let mut said = Vec::new();
        let mut pid = None;
        for line in process
            .stdout
            .take()
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            let Ok(line) = line else { break };
            if let Some(ready) = line.strip_prefix("ready ") {
                pid = ready.parse().ok();
                break;
            }
            said.push(line);
        }
        let Some(pid) = pid else {
            drop(process.stdin.take());
            let status = process
                .wait()
                .map_or_else(|e| e.to_string(), |status| status.to_string());
            return Err(format!("{} ({status})", said.join("; ")));
        };
        let open = |(option, name)| Ok((option, File::open(format!("/proc/{pid}/{name}"))?));
        let doors: io::Result<Vec<_>> = DOORS.into_iter().map(open).collect();
        match doors {
            Ok(doors) => Ok(Self {
                process,
                pid,
                doors,
            }),
            Err(e) => {
                drop(process.stdin.take());
                // What went wrong is said already; the status would add nothing.
                let _ = process.wait();
                Err(format!("entering its namespaces: {e}"))
            }
        }
    }

    /// A command that enters the namespaces; what to run there is for the caller to add.
    pub(super) fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        for (option, door) in &self.doors {
            command.arg(format!(
                "--{option}=/proc/{}/fd/{}",
                process::id(),
                door.as_raw_fd()
            ));
        }
        command
    }

    /// The process id, as seen from outside, of the first process in the namespaces.
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Holder {
    /// Waits until the kernel has ended every process in the namespaces and let go of the mounts.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // An error here means that it was reaped already; either way nothing is left to wait for.
        let _ = self.process.wait();
    }
}
