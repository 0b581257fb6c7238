//! A command that ran in a guest, and one that still runs.

use std::{
    fs, io,
    process::{self, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// What a command in a guest gave back.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Its standard error; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Output {
    /// Its standard output, when it ended with status 0.
    ///
    /// # Panics
    /// When it did not, with all it printed.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion for tests")]
    pub fn ok(self) -> String {
        if self.status.success() {
            return self.stdout;
        }
        panic!("{}\n{}{}", self.status, self.stdout, self.stderr)
    }

    /// The exit status; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command that runs in a guest. Dropped, it is killed.
#[derive(Debug)]
pub struct Child {
    /// `None` only after [`Child::wait`] took it.
    entered: Option<process::Child>,
    pid: u32,
}

impl Child {
    /// Starts a command that was made by `Guest::command`.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let mut entered = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // `nsenter` forks to enter the process namespace, and its one child becomes the command. It
        // has no child for the moment before that, and none any more when the command was quick.
        let children = format!("/proc/{0}/task/{0}/children", entered.id());
        loop {
            if let Some(pid) = fs::read_to_string(&children)?
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok())
            {
                return Ok(Self {
                    entered: Some(entered),
                    pid,
                });
            }
            if entered.try_wait()?.is_some() {
                let pid = entered.id();
                return Ok(Self {
                    entered: Some(entered),
                    pid,
                });
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The command's process id as seen from outside the guest.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.entered
            .as_mut()
            .is_some_and(|entered| matches!(entered.try_wait(), Ok(None)))
    }

    /// Ends this one process with SIGKILL, not those that it started, and says how it ended.
    ///
    /// # Panics
    /// See [`Child::wait`].
    #[track_caller]
    pub fn kill9(mut self) -> Output {
        self.kill();
        self.wait()
    }

    /// Waits for its end. What the command left running holds its output open, and is waited for too.
    ///
    /// # Panics
    /// When its output cannot be read.
    #[track_caller]
    #[expect(clippy::panic, reason = "a broken stand ends the test")]
    pub fn wait(mut self) -> Output {
        match self.entered.take().map(process::Child::wait_with_output) {
            Some(Ok(output)) => output.into(),
            Some(Err(e)) => panic!("waiting for a command in a guest: {e}"),
            None => panic!("a command in a guest was waited for twice"),
        }
    }

    fn kill(&mut self) {
        // As long as `nsenter` runs it has not reaped the command, so the process id is still its own.
        if self.is_running() {
            // A failure means that it ended in this moment, which is what was wanted.
            let _ = Command::new("sh")
                .args(["-c", "kill -KILL \"$1\"", "sh", &self.pid.to_string()])
                .status();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut entered) = self.entered.take() {
            let _ = entered.wait();
        }
    }
}
