//! A lab that stays up while its user does other things: a process of its own keeps it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde::{Deserialize, Serialize};

use super::{GuestRecipe, Kind, Lab, Process, Recipe, user_namespace};
use crate::peers::{
    Missing,
    debian_root::{self, DebianRoot, Guest},
};

/// Where the lab that stays up has its files. There is one for each cargo target directory.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The inventory and what belongs to it.
    pub(super) folder: PathBuf,
    keeper: PathBuf,
    state: PathBuf,
    pub(super) log: PathBuf,
    lock: PathBuf,
}

/// What the keeper says of its lab, once that is up.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    keeper: String,
    /// A process in the lab's network.
    pub(super) network: u32,
    pub(super) guests: Vec<GuestState>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GuestState {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) kind: String,
    /// Its init; none while it is off.
    pub(super) pid: Option<u32>,
}

/// What there is of the lab that stays up.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Files whose keeper is gone.
    Remains(Process),
    /// A keeper that is not ready yet.
    Starting(Process),
    /// A keeper and its lab.
    Up(Process, State),
}

/// Moves the calling thread into the network of the lab that is up, which `patchcore-lab up` made, and says where its
/// inventory is. To be called before the process has other threads: those stay outside.
///
/// # Errors
/// [`Missing`] when no lab is up in the cargo target directory of the running program, or when it is somebody else's.
pub fn enter_kept() -> Result<PathBuf, Missing> {
    let places = Places::under(&debian_root::target_directory()?);
    let Found::Up(_, state) = places.look() else {
        return Err(Missing::new(
            "a lab that is up",
            "bring one up: cargo xtask lab up",
        ));
    };
    let refused = |e: io::Error| {
        Missing::new(
            format!("a way into the lab's network: {e}"),
            "enter it as who brought it up, and before the program has threads",
        )
    };
    user_namespace::enter(state.network).map_err(refused)?;
    let network = File::open(format!("/proc/{}/ns/net", state.network)).map_err(refused)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| refused(e.into()))?;
    Ok(places.folder.join("inventory.toml"))
}

impl Places {
    pub(super) fn under(target: &Path) -> Self {
        let peers = target.join("peers");
        Self {
            folder: target.join("lab"),
            keeper: peers.join("lab.keeper"),
            state: peers.join("lab.state.json"),
            log: peers.join("lab.log"),
            lock: peers.join("lab.lock"),
        }
    }

    pub(super) fn look(&self) -> Found {
        let Some(keeper) = fs::read_to_string(&self.keeper)
            .ok()
            .and_then(|text| text.parse::<Process>().ok())
        else {
            return Found::Nothing;
        };
        if !keeper.is_alive() {
            return Found::Remains(keeper);
        }
        let state = fs::read(&self.state)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok())
            // Of an earlier keeper it says nothing.
            .filter(|state| state.keeper == keeper.to_string());
        match state {
            Some(state) => Found::Up(keeper, state),
            None => Found::Starting(keeper),
        }
    }

    /// Starts a keeper that outlives this process and its terminal.
    pub(super) fn start(&self, program: &OsStr, arguments: &[&str]) -> io::Result<Child> {
        if let Some(peers) = self.log.parent() {
            fs::create_dir_all(peers)?;
        }
        let log = File::create(&self.log)?;
        Command::new("setsid")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }

    /// Makes the lab and keeps it until this process is ended.
    ///
    /// # Errors
    /// What is missing for the lab, or that another keeper has it.
    pub(super) fn keep(&self, recipe: Recipe) -> Result<(), Missing> {
        let unwritable = |e: io::Error| {
            Missing::new(
                format!("writable files beside {}: {e}", self.keeper.display()),
                "look who owns them",
            )
        };
        let lock = File::create(&self.lock).map_err(unwritable)?;
        if lock.try_lock().is_err() {
            return Err(Missing::new(
                "a lab that nobody else keeps",
                "another keeper was faster: wait for it",
            ));
        }
        let own = Process::current();
        self.write(&self.keeper, own.to_string().as_bytes())
            .map_err(unwritable)?;
        let base = DebianRoot::base()?;
        let lab = Lab::up_in(&base, recipe, self.folder.clone())?;
        let mut said = Vec::new();
        loop {
            let now = serde_json::to_vec_pretty(&state(&lab, own)).unwrap_or_default();
            if now != said {
                self.write(&self.state, &now).map_err(unwritable)?;
                said = now;
            }
            // A guest that restarts has another init.
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// Readers see the old content or the new, never a part.
    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, bytes)?;
        fs::rename(new, file)
    }

    /// Ends a keeper and waits until nothing of its lab is left; what is, where it cannot be removed.
    pub(super) fn end(&self, keeper: Process) -> Vec<String> {
        for signal in [Signal::TERM, Signal::KILL] {
            for _ in 0..100 {
                let Some(pid) = Pid::from_raw(keeper.pid.cast_signed()) else {
                    break;
                };
                // Between the look and the signal the id cannot be given out again in practice: the kernel goes
                // through all others first.
                if !keeper.is_alive() || kill_process(pid, signal).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        let mark = format!("guest-{}-", keeper.pid);
        let mut left = traces(&mark);
        for _ in 0..200 {
            if left.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
            left = traces(&mark);
        }
        for cgroup in cgroups(&mark) {
            remove_tree_of_cgroups(&cgroup);
        }
        left.extend(
            cgroups(&mark)
                .into_iter()
                .map(|path| path.display().to_string()),
        );
        if left.is_empty() {
            for file in [&self.keeper, &self.state, &self.lock] {
                // It may never have been written.
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir_all(&self.folder);
        }
        left
    }
}

fn state(lab: &Lab, own: Process) -> State {
    let guest = |(guest, wanted): (&Guest, &GuestRecipe)| GuestState {
        name: wanted.name.clone(),
        address: guest.address().map(|a| a.to_string()).unwrap_or_default(),
        kind: match wanted.kind {
            Kind::Bare => "bare",
            Kind::Systemd => "systemd",
        }
        .to_owned(),
        pid: guest.pid(),
    };
    State {
        keeper: own.to_string(),
        network: lab.repository().guest().pid().unwrap_or_default(),
        guests: lab.guests().zip(&lab.recipe().guests).map(guest).collect(),
    }
}

/// The processes that see a mount of a guest, or were started for one.
fn traces(mark: &str) -> Vec<String> {
    let is_one = |pid: &String| {
        ["mountinfo", "cmdline"].into_iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(mark)
        })
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(is_one)
        .map(|pid| format!("process {pid}"))
        .collect()
}

fn cgroups(mark: &str) -> Vec<PathBuf> {
    ["", "systemd", "unified"]
        .into_iter()
        .flat_map(|hierarchy| fs::read_dir(Path::new("/sys/fs/cgroup").join(hierarchy)))
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(mark))
        .map(|entry| entry.path())
        .collect()
}

/// The files in a cgroup go with it; only the folders are removed, from the inside out.
fn remove_tree_of_cgroups(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree_of_cgroups(&entry.path());
        }
    }
    // What cannot be removed is found, and said, afterwards.
    let _ = fs::remove_dir(path);
}
