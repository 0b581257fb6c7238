//! By what a lab is found again after it should be gone.

use std::{collections::BTreeSet, ffi::OsString, fs, io, path::PathBuf, thread, time::Duration};

use patchcore_testkit::peers::lab::Lab;

/// The kernel ends the processes of a guest soon and not at once.
const SOON: Duration = Duration::from_secs(5);

/// The namespaces, the files and the mounts of a lab.
pub(super) struct Traces {
    namespaces: BTreeSet<OsString>,
    folder: PathBuf,
}

impl Traces {
    /// While it is up.
    pub(super) fn of(lab: &Lab) -> io::Result<Self> {
        let own = namespaces("self");
        let guests = lab.guests().filter_map(|guest| guest.pid());
        Ok(Self {
            namespaces: guests
                .flat_map(|pid| namespaces(&pid.to_string()))
                .filter(|name| !own.contains(name))
                .collect(),
            folder: lab
                .inventory()
                .parent()
                .map(PathBuf::from)
                .unwrap_or_default(),
        })
    }

    /// What is still there of it.
    pub(super) fn left(&self) -> Vec<String> {
        let tries = SOON.as_millis() / 50;
        for _ in 0..tries {
            if self.now().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.now()
    }

    fn now(&self) -> Vec<String> {
        let mut left = Vec::new();
        for pid in processes() {
            if namespaces(&pid)
                .iter()
                .any(|name| self.namespaces.contains(name))
            {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                left.push(format!("process {pid} ({})", name.trim_end()));
            }
        }
        let folder = self.folder.display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&folder))
                .map(|line| format!("mount {line}")),
        );
        if self.folder.exists() {
            left.push(folder);
        }
        left
    }
}

fn processes() -> impl Iterator<Item = String> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
}

/// The namespaces of a process, as `mnt:[4026532201]`.
fn namespaces(pid: &str) -> Vec<OsString> {
    ["mnt", "pid", "net", "uts"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(PathBuf::into_os_string)
        .collect()
}
