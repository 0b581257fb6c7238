//! A throw-away Debian as the outside of the conformance suites, however it is reached.

use std::sync::{Arc, Mutex};
use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Result, SystemClock,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, EvidenceLabel, ProbeKind, ProbeRequest, Provider},
};
use patchcore_linux::{Linux, LocalConfig, transport::Transport};
use patchcore_testkit::{
    Fixture, Made, ProbeCase, Seen, Stock, Trouble,
    peers::debian_root::{Child, Guest},
};

/// Where the machine is, and the way to it.
pub(crate) trait Place: Debug + Send + Sync + 'static {
    fn guest(&self) -> &Guest;
    /// A new way to it, as of a new process.
    fn transport(&self) -> Arc<dyn Transport>;
    /// What the provider is told about it.
    fn config(&self) -> LocalConfig;
}

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
pub(crate) struct Throwaway<P> {
    place: P,
    holder: Mutex<Option<Child>>,
}

impl<P: Place> Throwaway<P> {
    pub(crate) fn at(place: P) -> Self {
        Self {
            place,
            holder: Mutex::default(),
        }
    }
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
impl<P: Place> Fixture for Throwaway<P> {
    fn clock(&self) -> SharedClock {
        Arc::new(SystemClock)
    }

    fn stock(&self) -> Stock {
        let command = |argv: &[&str]| ProbeKind::Command {
            argv: argv.iter().map(|w| (*w).to_owned()).collect(),
        };
        let on = |argv: &[&str]| ProbeRequest::new(self.place.guest().host_name(), command(argv));
        Stock::of(
            vec![change(self.place.guest(), &["pc-hello", "pc-conf"])],
            "0.9-1",
        )
        .with_bad(
            change(self.place.guest(), &["pc-hello", "pc-badpost"]),
            "pc-badpost",
        )
        .with_probe(ProbeCase {
            healthy: on(&["test", "-d", "/etc"]),
            unhealthy: on(&["test", "-d", "/it's not there; true"]),
            cannot_run: on(&["no-such-program", "x"]),
        })
    }

    /// The apt, dpkg, systemd, OpenSSH and shells of a Debian.
    fn evidence(&self, _: &str) -> EvidenceLabel {
        EvidenceLabel::IndependentPeer
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let place = &self.place;
        Ok(Arc::new(Linux::over(place.transport(), place.config())))
    }

    async fn look(&self, _: &ComponentId) -> Result<Seen> {
        let versions = self
            .place
            .guest()
            .versions(NAMES)
            .into_iter()
            .map(|(name, version)| (PatchId::from(name), Version::from(version)))
            .collect();
        let trace = self.place.guest().script(TRACE, []).ok().into();
        Ok(Seen { versions, trace })
    }

    async fn meddle(&self, _: &ComponentId, patch: &PatchId, version: &Version) -> Result<()> {
        let word = format!("{patch}={version}");
        self.place
            .guest()
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
                self.place.guest().put("/usr/local/sbin/apt-get.lies", "");
                self.place.guest()
                    .script(
                        "printf '#!/bin/sh\\ncase \"$*\" in *-s*|*download*|*update*) exec /usr/bin/apt-get \"$@\";; esac\\necho done\\n' >/usr/local/sbin/apt-get\nchmod 755 /usr/local/sbin/apt-get",
                        [],
                    )
                    .ok();
                Ok(Made::Yes)
            }
            Trouble::LockTaken(_) => {
                if !self.place.guest().exists("/usr/bin/python3")
                    && !self.place.guest().exists("/usr/bin/perl")
                {
                    return Ok(Made::CannotBeMade);
                }
                let child = if self.place.guest().exists("/usr/bin/python3") {
                    self.place.guest().spawn(["python3", "-c", LOCK])
                } else {
                    self.place.guest().spawn(["perl", "-e", PERL_LOCK])
                };
                *self.holder.lock().unwrap() = Some(child);
                assert!(
                    self.place
                        .guest()
                        .wait_until(Duration::from_secs(10), |g| g.exists("/run/locked"))
                );
                Ok(Made::Yes)
            }
            Trouble::LockGivenBack(_) => {
                *self.holder.lock().unwrap() = None;
                // The child that entered the guest may outlive its way in by a moment.
                let script = "rm -f /run/locked; for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in *lock-frontend*) kill -9 ${p#/proc/};; esac; done; :";
                self.place.guest().script(script, []);
                Ok(Made::Yes)
            }
            _ => Ok(Made::CannotBeMade),
        }
    }
}

/// The same in Perl, which every Debian has: a lock by fcntl(2), F_SETLK of F_WRLCK over the whole file.
const PERL_LOCK: &str = "use Fcntl; open(my $f, '+>', '/var/lib/dpkg/lock-frontend'); my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die $!; open(my $r, '>', '/run/locked'); sleep 3600;";
