//! The server that stands for a vCenter: govmomi's simulator, with hosts that behave (`tests/vcpeer`).

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use patchcore::Secret;
use patchcore_vsphere::{VCenter, VsphereConfig};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const USER: &str = "administrator@vsphere.local";
pub(crate) const PASSWORD: &str = "s3cret-of-the-tests";

/// One server of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    ready: Value,
    /// What it writes lies here, and goes with it.
    _folder: TempDir,
}

impl Peer {
    /// A vCenter with one cluster. None where the program was not built: elsewhere than in CI a test may skip.
    pub(crate) fn start(hosts: u32, vms: u32) -> Option<Self> {
        let program = program()?;
        let folder = TempDir::new().expect("a folder for temporary files");
        let mut child = Command::new(program)
            .args(["-host", &hosts.to_string(), "-vm", &vms.to_string()])
            .args(["-user", USER, "-pass", PASSWORD, "-ca"])
            .arg(folder.path().join("ca.pem"))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the peer can be started");
        let mut line = String::new();
        let output = child.stdout.take().expect("it has an output");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the peer says that it is ready");
        Some(Self {
            child,
            ready: serde_json::from_str(&line).expect("one line of JSON"),
            _folder: folder,
        })
    }

    fn said(&self, key: &str) -> &str {
        self.ready[key].as_str().expect("a text")
    }

    /// Its host and port.
    pub(crate) fn server(&self) -> &str {
        let url = self.said("sdk");
        url.trim_start_matches("https://").trim_end_matches("/sdk")
    }

    pub(crate) fn ca(&self) -> &Path {
        Path::new(self.said("ca"))
    }

    pub(crate) fn fingerprint(&self) -> &str {
        self.said("fingerprint")
    }

    pub(crate) fn config(&self) -> VsphereConfig {
        VsphereConfig::new(self.server(), USER, Secret::new(PASSWORD))
            .expect("an address")
            .with_ca_file(self.ca())
    }

    pub(crate) async fn connect(&self) -> VCenter {
        VCenter::connect(self.config()).await.expect("it logs in")
    }

    /// Tells the peer what is so from now on.
    pub(crate) fn tell(&self, path: &str, what: &Value) {
        let (status, body) = self.control("POST", path, &what.to_string());
        assert_eq!(status, 204, "{path}: {what}: {body}");
    }

    /// Takes every rule back.
    pub(crate) fn behave(&self) {
        assert_eq!(self.control("DELETE", "rules", "").0, 204);
    }

    /// What it says of itself, past its API.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let (status, body) = self.control("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("it is JSON")
    }

    fn control(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let url = self.said("control").trim_start_matches("http://");
        let (address, base) = url.split_once('/').expect("a path");
        let mut stream = TcpStream::connect(address).expect("the peer listens");
        let length = body.len();
        write!(
            stream,
            "{method} /{base}{path} HTTP/1.1\r\nHost: peer\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("the peer reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It holds nothing but its folder, which goes with this value.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../peers/vcpeer");
    if program.exists() {
        return Some(program);
    }
    assert!(
        env::var_os("CI").is_none_or(|v| v != "true"),
        "the peer is not built: cargo xtask test peers"
    );
    eprintln!("skipped: the peer is not built: cargo xtask test peers");
    None
}
