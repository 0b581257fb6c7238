//! The simulator, and who is measured on it.

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::vcenter::{PASSWORD, USER, Vcenter, program};
use serde_json::{Value, json};

use super::{
    figures::{Cost, HOSTS, MACHINES, ROLLED, Reader, Rolled},
    ours,
};

const MEASURE: &str = include_str!("../../measure.py");
const PYVMOMI: &str = include_str!("../../vsphere.py");

/// The only cluster of the simulator that is rolled.
const CLUSTER: &str = "DC0_C0";
const IMAGE: &str = "8.0.3-0.35.24280767";

/// The other clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    /// A Python that has pyVmomi.
    pub(crate) python: PathBuf,
    pub(crate) govc: PathBuf,
}

/// A folder that goes with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let name = format!("patchcore-bench-vsphere-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads the inventory of one simulator with every client, in turn.
pub(crate) fn inventory(
    folder: &Folder,
    peers: &Peers,
    rounds: usize,
) -> Result<Vec<(Reader, Cost)>, Box<dyn Error>> {
    let folder = &folder.0;
    fs::write(folder.join("measure.py"), MEASURE)?;
    fs::write(folder.join("vsphere.py"), PYVMOMI)?;
    let four = [OsStr::new("-cluster"), OsStr::new("4")];
    let machines = u32::try_from(MACHINES / 4)?;
    let vcenter = Vcenter::start_with(&program()?, folder, 16, machines, &four)?;
    let mut costs = Vec::new();
    // The first round warms the simulator up.
    for round in 0..=rounds {
        for reader in Reader::ALL {
            let cost = read(folder, peers, &vcenter, reader)?;
            let name = reader.name();
            let reads = reader.reads();
            eprintln!(
                "round {round} of {rounds}: {name}, {reads}: {:.2} s of CPU, {:.1} MB",
                cost.cpu,
                cost.rss as f64 / 1e6
            );
            if round > 0 {
                costs.push((reader, cost));
            }
        }
    }
    Ok(costs)
}

fn read(
    folder: &Path,
    peers: &Peers,
    vcenter: &Vcenter,
    reader: Reader,
) -> Result<Cost, Box<dyn Error>> {
    let output = folder.join("read.out");
    let mut measure = Command::new("/usr/bin/python3");
    measure.arg(folder.join("measure.py")).arg(&output);
    match reader {
        Reader::Patchcore => {
            measure.arg(std::env::current_exe()?);
            measure.args(["view", vcenter.server()]).arg(vcenter.ca());
        }
        Reader::PyVmomi => {
            measure.arg(&peers.python).arg(folder.join("vsphere.py"));
            measure.arg(vcenter.server()).arg(vcenter.ca()).arg(USER);
        }
        Reader::Govc => {
            measure.arg(&peers.govc);
            measure.args(["object.collect", "-json", "-type", "m", "/"]);
        }
    }
    let said = measure
        .args(reader.properties())
        .env("VSPHERE_PASSWORD", PASSWORD)
        .env("GOVC_URL", format!("https://{}/sdk", vcenter.server()))
        .env("GOVC_USERNAME", USER)
        .env("GOVC_PASSWORD", PASSWORD)
        .env("GOVC_TLS_CA_CERTS", vcenter.ca())
        .env("GOVMOMI_HOME", folder)
        .output()?;
    let read = fs::read_to_string(&output).unwrap_or_default();
    let cost: Option<Cost> = serde_json::from_slice(&said.stdout).ok();
    let found = match reader {
        // One object for each machine.
        Reader::Govc => machines_in(&read),
        _ => read.split(' ').next().and_then(|n| n.parse().ok()),
    };
    match cost {
        Some(cost) if cost.status == 0 && found == Some(MACHINES) => Ok(cost),
        _ => {
            let end: String = read.chars().take(500).collect();
            let name = reader.name();
            let errors = String::from_utf8_lossy(&said.stderr);
            Err(format!("{name} found {found:?} of {MACHINES} machines: {errors}{end}").into())
        }
    }
}

/// How many machines there are in what govc printed: lines of JSON, or one list.
fn machines_in(text: &str) -> Option<usize> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut machines = 0;
    for value in values {
        machines += match value.ok()? {
            Value::Array(list) => list.len(),
            _ => 1,
        };
    }
    Some(machines)
}

/// One roll on a simulator of its own.
pub(crate) fn roll(folder: &Folder, task_ms: u32) -> Result<Rolled, Box<dyn Error>> {
    let vcenter = Vcenter::start(&program()?, &folder.0, HOSTS, ROLLED)?;
    let tell = |path: &str, what: Value| vcenter.tell(path, &what);
    tell(
        "cluster",
        json!({"name": CLUSTER, "ha": "failures", "level": 1}),
    )?;
    tell(
        "image",
        json!({"cluster": CLUSTER, "version": IMAGE, "compared": true}),
    )?;
    for method in ["*MaintenanceMode_Task", "RelocateVM_Task", "vlcm.*"] {
        tell("rules", json!({"method": method, "task_ms": task_ms}))?;
    }
    vcenter.count_anew()?;
    let began = now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(ours::roll(&vcenter, CLUSTER))?;
    let wall = began.elapsed().as_secs_f64();
    let violations = vcenter.ask("violations")?;
    if violations != json!([]) {
        return Err(format!("what must not be was seen: {violations}").into());
    }
    let journal = vcenter.ask("journal")?;
    let of = |kind: &str| {
        let entries = journal.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter(|entry| entry["kind"] == kind).count()
    };
    if of("remediate") != HOSTS as usize {
        return Err(format!("{} hosts were patched", of("remediate")).into());
    }
    Ok(Rolled {
        task_ms,
        wall,
        migrations: of("migrated") as u64,
        calls: serde_json::from_value(vcenter.ask("calls")?)?,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the length of a run is shown and nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

/// How long each task of the simulator takes, and then twice as long.
pub(crate) const TASK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_counted_in_lines_and_in_lists() {
        for (text, expect) in [
            ("{\"a\":1}\n{\"b\":2}\n", Some(2)),
            ("[{},{},{}]", Some(3)),
            ("", Some(0)),
            ("{} no json", None),
        ] {
            assert_eq!(machines_in(text), expect, "{text}");
        }
    }
}
