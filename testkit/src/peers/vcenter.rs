//! A server that stands for a vCenter: govmomi's simulator, with hosts that behave (`providers/vsphere/tests/vcpeer`).

use std::{
    env,
    ffi::OsStr,
    fmt, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::Missing;

/// Who may log in.
pub const USER: &str = "administrator@vsphere.local";
/// And by which password.
pub const PASSWORD: &str = "s3cret-of-the-tests";

/// One server of its own with one cluster. One that this value started ends with it.
#[derive(Debug)]
pub struct Vcenter {
    child: Option<Child>,
    ready: Value,
}

impl Vcenter {
    /// Starts one; what it writes lies in the folder, which must be there for as long as it runs.
    ///
    /// # Errors
    /// The program cannot be started, or says something else than that it is ready.
    pub fn start(program: &Path, folder: &Path, hosts: u32, vms: u32) -> io::Result<Self> {
        Self::start_with(program, folder, hosts, vms, &[])
    }

    /// The same that also writes each call of the REST API and its answer to a file, as lines of JSON.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_recording(
        program: &Path,
        folder: &Path,
        hosts: u32,
        vms: u32,
        record: &Path,
    ) -> io::Result<Self> {
        let record = [OsStr::new("-record"), record.as_os_str()];
        Self::start_with(program, folder, hosts, vms, &record)
    }

    /// The same with more arguments, as the program's README lists them.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        program: &Path,
        folder: &Path,
        hosts: u32,
        vms: u32,
        more: &[&OsStr],
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["-host", &hosts.to_string(), "-vm", &vms.to_string()])
            .args(["-user", USER, "-pass", PASSWORD, "-ca"])
            .arg(folder.join("ca.pem"))
            .args(more)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut started = Self {
            child: Some(child),
            ready: Value::Null,
        };
        started.ready = serde_json::from_str(&line)?;
        Ok(started)
    }

    /// Writes down where it is, for another process to [`join`](Self::join) it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_to(&self, file: &Path) -> io::Result<()> {
        fs::write(file, self.ready.to_string())
    }

    /// One that another process started and wrote down; it does not end with this value.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn join(file: &Path) -> io::Result<Self> {
        Ok(Self {
            child: None,
            ready: serde_json::from_str(&fs::read_to_string(file)?)?,
        })
    }

    fn said(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap_or_default()
    }

    /// Its host and port.
    #[must_use]
    pub fn server(&self) -> &str {
        let url = self.said("sdk");
        url.trim_start_matches("https://").trim_end_matches("/sdk")
    }

    /// The file of the authority that signed its certificate.
    #[must_use]
    pub fn ca(&self) -> &Path {
        Path::new(self.said("ca"))
    }

    /// The SHA-256 of its certificate, as hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.said("fingerprint")
    }

    /// Tells it what is so from now on.
    ///
    /// # Errors
    /// It does not answer, or does not know what is asked.
    pub fn tell(&self, path: &str, what: &Value) -> io::Result<()> {
        let (status, body) = self.control("POST", path, &what.to_string())?;
        self.expect(204, status, format_args!("{path}: {what}: {body}"))
    }

    /// Takes every rule back.
    ///
    /// # Errors
    /// It does not answer.
    pub fn behave(&self) -> io::Result<()> {
        self.delete("rules")
    }

    /// Counts calls anew; how often each was made since is what it says of `calls`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn count_anew(&self) -> io::Result<()> {
        self.delete("calls")
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let (status, body) = self.control("DELETE", path, "")?;
        self.expect(204, status, format_args!("{path}: {body}"))
    }

    /// What it says of itself, past its API.
    ///
    /// # Errors
    /// It does not answer, or does not know what is asked.
    pub fn ask(&self, path: &str) -> io::Result<Value> {
        let (status, body) = self.control("GET", path, "")?;
        self.expect(200, status, format_args!("{path}: {body}"))?;
        Ok(serde_json::from_str(&body)?)
    }

    fn expect(&self, expected: u16, status: u16, what: fmt::Arguments<'_>) -> io::Result<()> {
        if expected == status {
            return Ok(());
        }
        let found = format!("the vCenter's stand-in says {status} to {what}");
        Err(io::Error::new(io::ErrorKind::InvalidData, found))
    }

    fn control(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let broken = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        let url = self.said("control").trim_start_matches("http://");
        let (address, base) = url.split_once('/').ok_or_else(|| broken("no address"))?;
        let mut stream = TcpStream::connect(address)?;
        let length = body.len();
        // Of version 1.0, so that a long answer does not come in chunks.
        write!(
            stream,
            "{method} /{base}{path} HTTP/1.0\r\nHost: peer\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status.ok_or_else(|| broken("no status"))?, body.to_owned()))
    }
}

impl Drop for Vcenter {
    fn drop(&mut self) {
        // It holds nothing but its folder.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program, as `cargo xtask test peers` builds it.
///
/// # Errors
/// It was not built.
pub fn program() -> Result<PathBuf, Missing> {
    brought("vcpeer", "vcpeer")
}

/// A Python that has the vendor's own clients, as `cargo xtask test peers` brings it.
///
/// # Errors
/// It was not brought.
pub fn witness() -> Result<PathBuf, Missing> {
    brought("witness/bin/python", "the vendor's clients of a vCenter")
}

/// In the folder `peers` beside the profile's that this program is in.
fn brought(file: &str, what: &str) -> Result<PathBuf, Missing> {
    let here = env::current_exe().unwrap_or_default();
    let mut above = here.ancestors().map(|at| at.join("peers").join(file));
    above
        .find(|file| file.is_file())
        .ok_or_else(|| Missing::new(what, "cargo xtask test peers"))
}
