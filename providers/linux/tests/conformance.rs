//! The conformance suites, against real apt and dpkg in a throw-away Debian.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

use std::{
    io::Write,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, SystemClock,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, ProbeKind, ProbeRequest, Provider},
};
use patchcore_linux::{
    Linux, LocalConfig,
    transport::{COMMAND, Output, Script, Transport},
};
use patchcore_testkit::{
    Fixture, Made, NoFixture, ProbeCase, Seen, Stock, Trouble, conformance,
    peers::debian_root::{Child, DebianRoot, Guest},
};

/// The packages that the checks look at.
const NAMES: [&str; 6] = [
    "pc-hello",
    "pc-conf",
    "pc-badpost",
    "pc-removed",
    "pc-newdep",
    "pc-held",
];

/// Everything that a look must leave as it is: the packages, apt's lists and caches, its logs, the jobs.
const TRACE: &str = "dpkg-query -W -f='${Package} ${Version} ${Status}\\n' | sha256sum
    find /var/lib/apt /var/cache/apt /var/lib/dpkg /var/log /etc /var/lib/patchcore -type f ! -name 'lock*' -printf '%p %s %T@\\n' 2>/dev/null | sort | sha256sum";

/// Somebody who takes the lock of dpkg as apt does.
const LOCK: &str = "import fcntl,time\nf=open('/var/lib/dpkg/lock-frontend','w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nopen('/run/locked','w')\ntime.sleep(3600)\n";

#[derive(Debug)]
struct Throwaway {
    guest: Arc<Guest>,
    holder: Mutex<Option<Child>>,
}

/// Runs scripts in the guest, as ssh would on a machine far away.
#[derive(Debug)]
struct Inside(Arc<Guest>);

#[async_trait]
impl Transport for Inside {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let mut child = self
            .0
            .command("root", COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut stdin = child.stdin.take().unwrap();
        let wire = script.wire();
        let answer = tokio::task::spawn_blocking(move || {
            stdin.write_all(wire.as_bytes())?;
            drop(stdin);
            child.wait_with_output()
        });
        let output = tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Timeout, "the guest did not answer").retryable(None)
            })?
            .unwrap()
            .map_err(broken)?;
        script.unwrap_output(&output.stdout, output.stderr)
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the guest cannot be entered").source_error(error)
}

fn change(guest: &Guest, names: &[&str]) -> Change {
    let patches = names.iter().map(|name| PatchChange {
        patch: (*name).into(),
        from: Some("1.0-1".into()),
        to: Some("1.1-1".into()),
        pin: Pin::Version,
    });
    Change::new(guest.host_name(), patches.collect())
}

#[async_trait]
impl Fixture for Throwaway {
    fn clock(&self) -> SharedClock {
        Arc::new(SystemClock)
    }

    fn stock(&self) -> Stock {
        let command = |argv: &[&str]| ProbeKind::Command {
            argv: argv.iter().map(|w| (*w).to_owned()).collect(),
        };
        let on = |argv: &[&str]| ProbeRequest::new(self.guest.host_name(), command(argv));
        Stock::of(vec![change(&self.guest, &["pc-hello", "pc-conf"])], "0.9-1")
            .with_bad(
                change(&self.guest, &["pc-hello", "pc-badpost"]),
                "pc-badpost",
            )
            .with_probe(ProbeCase {
                healthy: on(&["test", "-d", "/etc"]),
                unhealthy: on(&["test", "-d", "/it's not there; true"]),
                cannot_run: on(&["no-such-program", "x"]),
            })
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let transport = Arc::new(Inside(Arc::clone(&self.guest)));
        Ok(Arc::new(Linux::over(
            transport,
            LocalConfig::new().without_reboot(),
        )))
    }

    async fn look(&self, _: &ComponentId) -> Result<Seen> {
        let versions = self
            .guest
            .versions(NAMES)
            .into_iter()
            .map(|(name, version)| (PatchId::from(name), Version::from(version)))
            .collect();
        let trace = self.guest.script(TRACE, []).ok().into();
        Ok(Seen { versions, trace })
    }

    async fn meddle(&self, _: &ComponentId, patch: &PatchId, version: &Version) -> Result<()> {
        let word = format!("{patch}={version}");
        self.guest
            .run([
                "apt-get",
                "-y",
                "-q",
                "--allow-downgrades",
                "install",
                &word,
            ])
            .ok();
        Ok(())
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        match trouble {
            // Another dpkg says that all went well.
            Trouble::ToolLies(_) => {
                self.guest.put("/usr/local/sbin/apt-get.lies", "");
                self.guest
                    .script(
                        "printf '#!/bin/sh\\ncase \"$*\" in *-s*|*download*|*update*) exec /usr/bin/apt-get \"$@\";; esac\\necho done\\n' >/usr/local/sbin/apt-get\nchmod 755 /usr/local/sbin/apt-get",
                        [],
                    )
                    .ok();
                Ok(Made::Yes)
            }
            Trouble::LockTaken(_) => {
                if !self.guest.exists("/usr/bin/python3") && !self.guest.exists("/usr/bin/perl") {
                    return Ok(Made::CannotBeMade);
                }
                let child = if self.guest.exists("/usr/bin/python3") {
                    self.guest.spawn(["python3", "-c", LOCK])
                } else {
                    self.guest.spawn(["perl", "-e", PERL_LOCK])
                };
                *self.holder.lock().unwrap() = Some(child);
                assert!(
                    self.guest
                        .wait_until(Duration::from_secs(10), |g| g.exists("/run/locked"))
                );
                Ok(Made::Yes)
            }
            Trouble::LockGivenBack(_) => {
                *self.holder.lock().unwrap() = None;
                // The child that entered the guest may outlive its way in by a moment.
                let script = "rm -f /run/locked; for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in *lock-frontend*) kill -9 ${p#/proc/};; esac; done; :";
                self.guest.script(script, []);
                Ok(Made::Yes)
            }
            _ => Ok(Made::CannotBeMade),
        }
    }
}

/// The same in Perl, which every Debian has: a lock by fcntl(2), F_SETLK of F_WRLCK over the whole file.
const PERL_LOCK: &str = "use Fcntl; open(my $f, '+>', '/var/lib/dpkg/lock-frontend'); my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; open(my $r, '>', '/run/locked'); sleep 3600;";

async fn outside() -> std::result::Result<Throwaway, NoFixture> {
    let base = DebianRoot::base().map_err(NoFixture::PeerMissing)?;
    let guest = base.guest();
    guest.repository().publish("pc-hello", "0.9-1");
    guest.repository().publish("pc-hello", "1.2-1");
    guest.run(["apt-get", "-qq", "update"]).ok();
    Ok(Throwaway {
        guest: Arc::new(guest),
        holder: Mutex::new(None),
    })
}

conformance!(inventory, outside);
conformance!(source, outside);
conformance!(deployer, outside);
conformance!(probe, outside);
