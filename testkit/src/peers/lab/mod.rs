//! A small network of throw-away Debian machines that are reached by SSH, as a fleet is.
//!
//! A lab is a network of its own, 10.77.0.0/24, with a repository that all guests fetch their packages from by http,
//! and guests of the same [base](super::debian_root) as a single guest, with an SSH server on port 22 and an address
//! that follows from their place in the [`Recipe`]. Nobody outside reaches it, and it reaches nobody outside, so any
//! number of labs can be up at once. No process, mount, cgroup or namespace of it outlives the process that made it, even
//! when that is killed; then a small folder stays, which the next lab takes away.
//!
//! ```no_run
//! // no_run: needs root and builds a Debian tree the first time.
//! use patchcore_testkit::peers::{lab::{Lab, Recipe}, need};
//!
//! let Some(lab) = need(Lab::up(Recipe::demo())) else { return };
//! // A thread that is in the lab's network, and what it connects to afterwards; the other threads stay outside.
//! lab.enter_thread();
//! let banner = std::net::TcpStream::connect("10.77.0.11:22");
//! // Programs too.
//! lab.command("ping").args(["-c", "1", "10.77.0.12"]).status();
//! lab.repository().publish("pc-hello", "1.2-1");
//! lab.guest("web-t1").power_cut();
//! ```
//!
//! # Who may log in
//! One key opens everything: `id_ed25519` beside [`Lab::inventory`].
//!
//! | user | may |
//! |---|---|
//! | `op` | use `sudo` without a password |
//! | `nosudo` | not use `sudo` |
//! | `pwsudo` | use `sudo` with the password `patchcore` |
//! | `root` | everything |
//!
//! Packages and their tricks are those of [`debian_root`], and so are the
//! [faults](super::debian_root::Guest#impl-Guest-1) of guests.
//!
//! # What it does not show
//! Delay and loss: the network has none. One kernel and one clock for all, as in `debian_root`; guests with systemd have
//! their own init, cgroups and `/sys`, but no kernel, no boot loader and no devices of their own.
//!
//! The lab that stays up, for people, is `cargo xtask lab`; see `docs/guide/lab.md`.

mod command_line;
mod folder;
mod keeper;
mod process;
mod recipe;
mod repository;
mod systemd;
mod user_namespace;

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::Ipv4Addr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use self::{folder::Folder, process::Process};
use super::{
    Missing,
    debian_root::{self, Base, DebianRoot, Guest, Init, Machine, Plug, broken},
};

pub use command_line::run as run_command_line;
pub use keeper::enter_kept;
pub use recipe::{GuestRecipe, Kind, Recipe};
pub use repository::{Breakage, Repository};

/// The guide's code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/lab.md")]
struct Guide;

static MADE: AtomicU32 = AtomicU32::new(0);

/// The address of a guest by its place in the recipe, which starts at 0.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(number + 11).unwrap_or(u8::MAX))
}

/// Guests that are up. Dropped, they are gone, with all they did.
#[derive(Debug)]
pub struct Lab {
    recipe: Recipe,
    // The guests go before the network that they are plugged into.
    guests: Vec<Guest>,
    repository: Guest,
    network: Arc<File>,
    folder: Folder,
}

impl Lab {
    /// All guests of the recipe, up, and their files in a new folder under the cargo target directory.
    ///
    /// # Errors
    /// [`Missing`] as for [`DebianRoot::base`]; when the recipe has two guests of one name, or more than 200; and when it
    /// has guests with systemd, and this process is not root of the whole machine, or `systemd-nspawn` is absent.
    ///
    /// # Panics
    /// When a guest does not come up.
    #[track_caller]
    pub fn up(recipe: Recipe) -> Result<Self, Missing> {
        let base = DebianRoot::base()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = base.labs().join(format!("{}-{number}", Process::current()));
        sweep(&base.labs());
        Self::up_in(&base, recipe, folder)
    }

    #[track_caller]
    fn up_in(base: &Base, recipe: Recipe, folder: PathBuf) -> Result<Self, Missing> {
        recipe.check()?;
        if recipe
            .guests
            .iter()
            .any(|guest| guest.kind == Kind::Systemd)
        {
            systemd::probe()?;
        }
        let folder = Folder::make(folder.clone())
            .unwrap_or_else(|e| broken(&folder.display().to_string(), e));
        let made = Machine::start(base, Some("repository"), None, Init::Tini)
            .and_then(|repository| Self::plug_in(base, recipe, folder, Guest::of(repository)));
        Ok(made.unwrap_or_else(|e| broken("starting a lab", e)))
    }

    /// The repository's machine is the lab's network too: the bridge is in its namespace.
    fn plug_in(
        base: &Base,
        recipe: Recipe,
        folder: Folder,
        repository: Guest,
    ) -> Result<Self, String> {
        let pid = repository.pid().ok_or("the repository is off")?;
        let network = File::open(format!("/proc/{pid}/ns/net")).map_err(|e| e.to_string())?;
        let network = Arc::new(network);
        repository
            .script(include_str!("scripts/network.sh"), [])
            .ok();
        Repository::of(&repository).serve();
        let key = |name| {
            repository
                .read(name)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .ok_or_else(|| format!("{name} was not made"))
        };
        let (private, public) = (key("/etc/ssh/lab")?, key("/etc/ssh/lab.pub")?);

        let start = |number: usize| {
            let plug = Plug {
                network: Arc::clone(&network),
                address: address(number),
            };
            let wanted = &recipe.guests[number];
            let init = match wanted.kind {
                Kind::Bare => Init::Tini,
                Kind::Systemd => Init::Systemd,
            };
            let guest = Guest::of(Machine::start(base, Some(&wanted.name), Some(plug), init)?);
            guest.put("/etc/ssh/authorized_keys", &public);
            Ok(guest)
        };
        let started: Result<Vec<Guest>, String> = thread::scope(|scope| {
            let all: Vec<_> = (0..recipe.guests.len())
                .map(|number| scope.spawn(move || start(number)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            all.into_iter().map(join).collect()
        });
        let lab = Self {
            recipe,
            guests: started?,
            repository,
            network,
            folder,
        };
        lab.folder
            .write("id_ed25519", &private)
            .and_then(|()| lab.folder.write("id_ed25519.pub", &public))
            .and_then(|()| lab.folder.write("known_hosts", &lab.known_hosts()))
            .and_then(|()| {
                let config = folder::ssh_config(&lab.recipe, lab.folder.path());
                lab.folder.write("ssh_config", &config)
            })
            .and_then(|()| {
                lab.folder
                    .write("inventory.toml", &folder::inventory(&lab.recipe))
            })
            .map_err(|e| format!("{}: {e}", lab.folder.path().display()))?;
        Ok(lab)
    }

    /// The inventory file. Beside it are `known_hosts` and `id_ed25519`, which it names.
    #[must_use]
    pub fn inventory(&self) -> &Path {
        self.folder.inventory()
    }

    /// A guest by its name in the recipe.
    ///
    /// # Panics
    /// When no guest is called so.
    #[must_use]
    #[track_caller]
    pub fn guest(&self, name: &str) -> &Guest {
        self.guests()
            .find(|guest| guest.host_name() == name)
            .unwrap_or_else(|| broken(name, "no guest of the lab is called so"))
    }

    /// All guests, in the order of the recipe.
    pub fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.guests.iter()
    }

    /// What it was made of.
    #[must_use]
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The repository that all guests fetch their packages from.
    #[must_use]
    pub const fn repository(&self) -> Repository<'_> {
        Repository::of(&self.repository)
    }

    /// A program of this machine that runs in the lab's network, at 10.77.0.1, and with everything else as here.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", debian_root::path(&self.network)))
            .arg("--")
            .arg(program);
        command
    }

    /// Moves the calling thread into the lab's network; it cannot come back. Other threads stay where they are, so a
    /// program with several has to do it in each that connects: a tokio runtime of one thread is the simple case.
    ///
    /// # Panics
    /// When the kernel refuses, which needs rights that the lab itself needed too.
    #[track_caller]
    pub fn enter_thread(&self) {
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|e| broken("entering the lab's network", e));
    }

    /// Writes the host keys as they are now to `known_hosts`, as somebody would who checked a changed one.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[track_caller]
    pub fn trust_host_keys(&self) {
        self.folder
            .write("known_hosts", &self.known_hosts())
            .unwrap_or_else(|e| broken("writing known_hosts", e));
    }

    /// The host keys as they are now, one guest a line.
    fn known_hosts(&self) -> String {
        let line = |guest: &Guest| {
            let address = guest.address()?;
            let key = guest.read_text("/etc/ssh/ssh_host_ed25519_key.pub");
            let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
            Some(format!("{address} {}\n", key.trim_end()))
        };
        self.guests().filter_map(line).collect()
    }
}

impl Recipe {
    fn check(&self) -> Result<(), Missing> {
        if self.guests.len() > 200 {
            return Err(Missing::new(
                format!("room for {} guests in one lab", self.guests.len()),
                "ask for at most 200",
            ));
        }
        let mut names: Vec<&str> = self.guests.iter().map(|guest| &*guest.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => Err(Missing::new(
                format!("a name of its own for each guest called \"{}\"", pair[0]),
                "name each guest of a recipe differently",
            )),
        }
    }
}

/// Removes the folders whose owners were killed.
fn sweep(labs: &Path) {
    for entry in fs::read_dir(labs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((owner, _)) = name.to_str().and_then(|name| name.rsplit_once('-')) else {
            continue;
        };
        if !owner.parse().is_ok_and(|owner: Process| owner.is_alive()) {
            // Another lab may be at it in this moment.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
