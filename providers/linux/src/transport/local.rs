//! The machine on which patchcore itself runs.

use std::{ffi::OsString, fmt, process::Stdio, time::Duration};

use async_trait::async_trait;
use patchcore::{Error, ErrorKind, Result};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{COMMAND, MAX_STDERR, MAX_STDOUT, Output, Script, Transport, late, too_long};

/// Runs scripts on this very machine as the user of this process; root is needed only to change it.
///
/// Of this process's environment only the proxy variables are handed on.
#[derive(Clone)]
pub struct Local {
    environment: Vec<(OsString, OsString)>,
}

impl Local {
    /// This machine.
    #[must_use]
    pub fn new() -> Self {
        let environment = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"]
            .into_iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        Self { environment }
    }

    /// Sets one more variable for every script, such as `APT_CONFIG` for an installation in a folder.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Whether scripts run as root, which changing packages needs.
    #[must_use]
    pub fn is_root(&self) -> bool {
        geteuid().is_root()
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

// A proxy's address can carry a password, so that values are not shown.
impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Local")
            .field("environment", &names)
            .finish()
    }
}

#[async_trait]
impl Transport for Local {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let (program, arguments) = COMMAND
            .split_first()
            .ok_or_else(|| Error::new(ErrorKind::Io, "no shell to start"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An own group, so that a Ctrl-C at our terminal is not a Ctrl-C for dpkg.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed("start /bin/sh", e))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::new(ErrorKind::Io, "the shell has no pipes"));
        };

        let wire = script.wire();
        let talk = async {
            let write = async move {
                // A shell that ends early closes the pipe; what it printed says why.
                match stdin.write_all(wire.as_bytes()).await {
                    Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                        Err(failed("write the script", e))
                    }
                    _ => Ok(()),
                }
            };
            let out = async {
                let text = read(&mut stdout, MAX_STDOUT + 1).await?;
                if text.len() > MAX_STDOUT {
                    return Err(too_long(script));
                }
                Ok(text)
            };
            let err = async {
                let text = read(&mut stderr, MAX_STDERR).await?;
                // What no longer counts is still read, or the script would block on a full pipe.
                tokio::io::copy(&mut stderr, &mut tokio::io::sink())
                    .await
                    .map_err(|e| failed("read the answer", e))?;
                Ok(text)
            };
            let ((), stdout, stderr) = tokio::try_join!(write, out, err)?;
            child
                .wait()
                .await
                .map_err(|e| failed("wait for /bin/sh", e))?;
            Ok::<_, Error>((stdout, stderr))
        };
        let (stdout, stderr) = tokio::time::timeout(deadline, talk)
            .await
            .map_err(|_| late(script, deadline))??;
        group.finished();
        script.unwrap_output(&stdout, stderr)
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    from.take(most)
        .read_to_end(&mut text)
        .await
        .map_err(|e| failed("read the answer", e))?;
    Ok(text)
}

fn failed(what: &'static str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("could not {what}")).source_error(error)
}

/// The shell with what it started; ended when it goes out of scope before its time. Killing the
/// shell alone would leave, say, an `apt-get -s` behind.
struct Group(Option<Pid>);

impl Group {
    fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // The group may be gone already, and then there is nothing to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(text: &'static str) -> Result<Output> {
        Local::new()
            .with_env("SHELLOPTS_X", "1")
            .with_env("DPKG_FORCE", "all")
            .run(&Script::new("t-1").text(text), Duration::from_secs(20))
            .await
    }

    #[tokio::test]
    async fn a_script_answers_with_output_and_status() {
        let output = run("echo out; echo err >&2; exit 7").await.unwrap();
        assert_eq!(
            (output.status, output.stdout.as_slice()),
            (7, b"out\n".as_slice())
        );
        assert_eq!(output.stderr, b"err\n");
    }

    #[tokio::test]
    async fn a_foreign_environment_does_not_reach_the_script() {
        let output = run(
            "env | sort | sed 's/=.*//' | grep -vE '^(http_proxy|https_proxy|ftp_proxy|no_proxy)$'",
        )
        .await
        .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "HOME\nLC_ALL\nPATH\nPWD\n"
        );
    }

    #[tokio::test]
    async fn a_command_that_reads_does_not_eat_the_script() {
        assert_eq!(run("cat; echo after").await.unwrap().stdout, b"after\n");
    }

    #[tokio::test]
    async fn a_script_that_is_not_whole_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let witness = dir.path().join("ran");
        let script = Script::new("t-2")
            .set("WITNESS", witness.to_str().unwrap())
            .unwrap()
            .text("touch \"$WITNESS\"\ntrue\n");
        let wire = script.wire();
        let cut = wire.rfind(") </dev/null").unwrap();
        let line = |nth| wire.match_indices('\n').nth(nth).unwrap().0 + 1;
        // Without its end; without its first bytes, its first line and three; and whole.
        for part in [
            &wire[..cut],
            &wire[1..],
            &wire[line(0)..],
            &wire[line(2)..],
            &wire,
        ] {
            let mut child = std::process::Command::new("/bin/sh")
                .arg("-s")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), part.as_bytes()).unwrap();
            child.wait().unwrap();
            assert_eq!(witness.exists(), part.len() == wire.len());
        }
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = Script::new("t-3")
            .set("OUT", pid.to_str().unwrap())
            .unwrap()
            .text("sh -c 'echo $$ >\"$1\"; exec sleep 60' x \"$OUT\"\n");
        let error = Local::new()
            .run(&script, Duration::from_millis(700))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let pid = std::fs::read_to_string(pid).unwrap();
        let stat = std::path::PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        for _ in 0..100 {
            // A zombie that nobody has reaped yet is dead as well.
            if std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z ")) {
                std::thread::sleep(Duration::from_millis(20));
            } else {
                return;
            }
        }
        panic!("sleep lives on");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_refused() {
        let error = run("yes").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault, "{error}");
    }

    #[tokio::test]
    async fn a_flood_on_standard_error_is_cut_and_not_a_block() {
        let output = run("yes | head -c 1000000 >&2; echo done").await.unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.len()),
            (b"done\n".as_slice(), MAX_STDERR)
        );
    }
}
