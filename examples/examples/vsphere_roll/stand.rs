//! The server that stands for a vCenter, and what it saw: read past its API, so that nobody vouches for himself.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use patchcore::{Error, ErrorKind, Result};
use patchcore_testkit::peers::vcenter::{Vcenter, program};
use serde_json::{Value, json};

/// Its only cluster.
pub(crate) const CLUSTER: &str = "DC0_C0";

/// The image that is wanted, and the build by which a host that runs it is known.
const IMAGE: &str = "8.0.3-0.35.24280767";
const BUILD: &str = "24280767";

/// How many this process started: each has a folder of its own.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Two machines that a rule keeps on hosts of their own.
pub(crate) const APART: [&str; 2] = ["DC0_C0-vm0000", "DC0_C0-vm0001"];

/// The server, with the folder that goes with it.
pub(crate) struct Stand {
    vcenter: Vcenter,
    folder: Option<PathBuf>,
}

impl Stand {
    /// One that somebody else started and wrote down.
    pub(crate) fn joined(file: &Path) -> Result<Self> {
        let vcenter = Vcenter::join(file).map_err(unusable)?;
        Ok(Self {
            vcenter,
            folder: None,
        })
    }

    /// One of its own, whose tasks take so long.
    pub(crate) fn started(hosts: u32, machines: u32, task_ms: u32) -> Result<Self> {
        let program = program().map_err(|missing| {
            Error::new(
                ErrorKind::NotFound,
                format!("{} was not built", missing.what),
            )
            .hint(missing.remedy)
        })?;
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchcore-vsphere-roll-{}-{nth}", process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(unusable)?;
        let vcenter = Vcenter::start(&program, &folder, hosts, machines).map_err(unusable)?;
        let stand = Self {
            vcenter,
            folder: Some(folder),
        };
        stand.furnish(task_ms).map_err(unusable)?;
        Ok(stand)
    }

    /// A rule, HA that keeps room for one host, a new image, and tasks that take their time.
    fn furnish(&self, task_ms: u32) -> io::Result<()> {
        let tell = |path: &str, what: Value| self.vcenter.tell(path, &what);
        let apart = json!({"name servers": APART});
        tell(
            "cluster",
            json!({"name": CLUSTER, "apart": apart, "ha": "failures", "level": 1}),
        )?;
        tell(
            "image",
            json!({"cluster": CLUSTER, "version": IMAGE, "compared": true}),
        )?;
        self.slow(task_ms)
    }

    /// Each task takes so long.
    pub(crate) fn slow(&self, task_ms: u32) -> io::Result<()> {
        for method in ["*MaintenanceMode_Task", "RelocateVM_Task", "vlcm.*"] {
            let rule = json!({"method": method, "task_ms": task_ms});
            self.vcenter.tell("rules", &rule)?;
        }
        Ok(())
    }

    pub(crate) fn vcenter(&self) -> &Vcenter {
        &self.vcenter
    }

    /// What it saw, or everything that must not be.
    pub(crate) fn verdict(&self) -> Result<std::result::Result<String, String>> {
        let ask = |path: &str| self.vcenter.ask(path).map_err(unusable);
        let (truth, violations) = (ask("truth")?, ask("violations")?);
        Ok(verdict(&truth, &violations))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn unusable(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "the server that stands for a vCenter cannot be used",
    )
    .source_error(error)
}

/// Every host runs the new build, was restarted once, and takes machines again; every machine runs; the cluster is set
/// as before; and nothing that must never be was seen at any moment.
fn verdict(truth: &Value, violations: &Value) -> std::result::Result<String, String> {
    let mut faults: Vec<String> = Vec::new();
    let each = |of: &str| {
        let all = truth[of].as_object();
        all.into_iter().flatten()
    };
    for (host, is) in each("hosts") {
        if is["build"] != BUILD {
            faults.push(format!("{host} runs build {}", is["build"]));
        }
        if is["boots"] != 1 {
            faults.push(format!("{host} was restarted {} times", is["boots"]));
        }
        if is["maintenance"] != false || is["responds"] != true {
            faults.push(format!("{host} takes no machines"));
        }
    }
    for (vm, is) in each("vms") {
        if is["power"] != "poweredOn" {
            faults.push(format!("{vm} is {}", is["power"]));
        }
    }
    let at = |vm: &str| &truth["vms"][vm]["host"];
    if at(APART[0]) == at(APART[1]) {
        faults.push(format!(
            "{} and {} share {}",
            APART[0],
            APART[1],
            at(APART[0])
        ));
    }
    let set = &truth["clusters"][CLUSTER];
    let before = json!({"drs": "fullyAutomated", "overrides": true, "drs_on": true, "ha_on": true, "admission": true});
    if *set != before {
        faults.push(format!("the cluster is set to {set}"));
    }
    let seen = violations.as_array().map(Vec::as_slice);
    for violation in seen.unwrap_or_default() {
        faults.push(violation.to_string());
    }
    let (hosts, vms) = (each("hosts").count(), each("vms").count());
    if hosts == 0 || vms == 0 || seen.is_none() {
        faults.push("the server says nothing of its hosts or machines".to_owned());
    }
    match faults.is_empty() {
        true => Ok(format!(
            "as the server saw it: {hosts} hosts run build {BUILD}, each restarted once; {vms} machines run; {} and {} are apart; DRS and HA are set as before; nothing ever ran on a host in maintenance mode",
            APART[0], APART[1]
        )),
        false => Err(faults.join("; ")),
    }
}
