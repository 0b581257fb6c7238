//! A process that keeps namespaces alive for exactly as long as we live.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Runs until dropped. Its standard input is a pipe that only this value holds the other end of, so
/// the kernel closes it even when this process is killed. A parent-death signal would do that too,
/// but it follows the *thread* that started the child, and test threads come and go.
#[derive(Debug)]
pub(super) struct Holder {
    process: Child,
    pid: u32,
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
        Ok(Self { process, pid })
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
