//! Python's HTTP server and certificates of OpenSSL, as peers that we did not write.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions of tests: what fails here fails the test"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use patchcore::{
    Result, SystemClock,
    clock::Clock,
    provider::{CancelToken, HealthProbe, OpContext, ProbeAnswer, ProbeKind, ProbeRequest},
};
use patchcore_http::{HttpConfig, HttpProbe};
use patchcore_testkit::peers::{Missing, need};

/// The server, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it speaks HTTP.
    pub(crate) port: u16,
    /// Where it speaks first and no HTTP.
    pub(crate) greeting: u16,
    /// Where it hangs up at once.
    pub(crate) closing: u16,
}

impl Server {
    /// Over plain http on an address of this machine; none after a printed reason.
    pub(crate) fn plain(address: &str) -> Option<Self> {
        need(Self::start_plain(address))
    }

    /// The same, for those who say themselves what a missing peer means.
    pub(crate) fn start_plain(address: &str) -> Result<Self, Missing> {
        Self::start(&[address.as_ref()])
    }

    /// Over https on 127.0.0.1 with this certificate.
    pub(crate) fn tls(certificate: &Certificate) -> Option<Self> {
        need(Self::start(&[
            "127.0.0.1".as_ref(),
            certificate.chain.as_ref(),
            certificate.key.as_ref(),
        ]))
    }

    fn start(arguments: &[&Path]) -> Result<Self, Missing> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/serve.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Missing::new(format!("python3 ({e})"), "apt-get install python3"))?;
        let mut line = String::new();
        let ports = BufReader::new(child.stdout.take().unwrap());
        { ports }.read_line(&mut line).unwrap();
        let ports: Vec<u16> = line
            .split_whitespace()
            .map(|p| p.parse().unwrap())
            .collect();
        let [port, greeting, closing] = *ports else {
            panic!("the server does not say its three ports; its own words stand above");
        };
        Ok(Self {
            child,
            port,
            greeting,
            closing,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends with the handle; this only makes it quicker.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A certificate for 127.0.0.1 and its key, in a folder that goes with the value.
pub(crate) struct Certificate {
    folder: PathBuf,
    /// What the server shows.
    pub(crate) chain: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Whoever trusts this accepts it.
    pub(crate) ca: PathBuf,
}

impl Certificate {
    /// Signed by a CA of its own, for these names.
    pub(crate) fn of_own_ca(test: &str, names: &str, days: &str) -> Option<Self> {
        let made = Self::in_folder(test, "ca.pem");
        let [ca_key, ca] = ["ca.key", "ca.pem"].map(|name| made.folder.join(name));
        made.openssl(&[
            "-subj",
            "/CN=Test CA",
            "-days",
            "30",
            "-keyout",
            path(&ca_key),
            "-out",
            path(&ca),
        ])?;
        let names = format!("subjectAltName={names}");
        made.openssl(&[
            "-subj",
            "/CN=web-1",
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            days,
            "-CA",
            path(&ca),
            "-CAkey",
            path(&ca_key),
            "-keyout",
            path(&made.key),
            "-out",
            path(&made.chain),
        ])?;
        Some(made)
    }

    /// Signed by itself.
    pub(crate) fn self_signed(test: &str) -> Option<Self> {
        let made = Self::in_folder(test, "chain.pem");
        made.openssl(&[
            "-subj",
            "/CN=web-1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            "30",
            "-keyout",
            path(&made.key),
            "-out",
            path(&made.chain),
        ])?;
        Some(made)
    }

    fn in_folder(test: &str, ca: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("http-{test}"));
        fs::create_dir_all(&folder).unwrap();
        Self {
            chain: folder.join("chain.pem"),
            key: folder.join("key.pem"),
            ca: folder.join(ca),
            folder,
        }
    }

    fn openssl(&self, arguments: &[&str]) -> Option<()> {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(arguments)
            .output()
            .map_err(|e| Missing::new(format!("openssl ({e})"), "apt-get install openssl"));
        let output = need(output)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl: {said}");
        Some(())
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A context with a minute.
pub(crate) fn context() -> OpContext {
    let deadline = SystemClock.now() + Duration::from_secs(60);
    OpContext::reading(Arc::new(SystemClock), deadline, CancelToken::new())
}

/// One check of a URL.
pub(crate) fn request(url: &str) -> ProbeRequest {
    ProbeRequest::new(
        "web-1",
        ProbeKind::Http {
            url: url.to_owned(),
        },
    )
}

/// One check of a URL by a probe after `config`.
pub(crate) async fn ask_with(config: HttpConfig, url: &str) -> Result<ProbeAnswer> {
    HttpProbe::new(config)?
        .probe(&context(), &request(url))
        .await
}

/// One check of a URL by the default probe.
pub(crate) async fn ask(url: &str) -> Result<ProbeAnswer> {
    ask_with(HttpConfig::default(), url).await
}
