//! The guests, the tools, and their turns.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use patchcore_testkit::peers::{
    debian_root::Guest,
    lab::{Lab, Recipe},
};

use crate::{
    Wish,
    figures::{Comparison, Figures, Held, Results, Run, Tool, Work},
    page,
};

/// The package that is put in, and the version that is taken back before each turn.
const PACKAGE: &str = "pc-hello";
const OLD: &str = "1.0-1";

const MEASURE: &str = include_str!("../measure.py");

/// All rounds, and then the holding.
pub(crate) fn all(wish: &Wish) -> Result<Results, String> {
    let mut results = Results {
        comparison: wish.comparison(),
        guests: wish.guests,
        rounds: wish.rounds,
        about: about(wish)?,
        ..Results::default()
    };
    let stage = Stage::set(wish, wish.guests)?;
    for round in 1..=wish.rounds {
        for &work in wish.comparison().works() {
            for &tool in wish.comparison().tools() {
                if work == Work::Upgrade {
                    stage.reset();
                }
                let figures = stage.run(work, tool)?;
                eprintln!(
                    "round {round} of {}: {} by {}: {:.2} s, {:.2} s CPU, {} MB PSS",
                    wish.rounds,
                    work.name(),
                    tool.name(),
                    figures.wall,
                    figures.cpu,
                    figures.pss / 1_000_000
                );
                results.runs.push(Run {
                    work,
                    tool,
                    figures,
                });
            }
        }
    }
    drop(stage);
    if wish.comparison() == Comparison::Python {
        return Ok(results);
    }
    let (guests, each) = wish.hold;
    let stage = Stage::set(wish, guests)?;
    let mut ours = Command::new(&wish.ours);
    ours.arg("hold")
        .arg(stage.lab.inventory())
        .arg(each.to_string());
    results.held = Some(Held {
        connections: guests * each,
        figures: stage.measured("hold", &ours)?,
    });
    Ok(results)
}

/// Guests, and the files that the tools want.
struct Stage<'a> {
    wish: &'a Wish,
    lab: Lab,
    folder: PathBuf,
    /// What has a newer version beside the package.
    others: Vec<String>,
}

impl<'a> Stage<'a> {
    fn set(wish: &'a Wish, guests: usize) -> Result<Self, String> {
        let lab = Lab::up(Recipe::fleet(guests)).map_err(|missing| missing.to_string())?;
        // The folder goes with the lab.
        let folder = lab
            .inventory()
            .parent()
            .ok_or("the lab's inventory has no folder")?
            .join("bench");
        let mut stage = Self {
            wish,
            lab,
            folder,
            others: Vec::new(),
        };
        stage
            .write()
            .map_err(|e| format!("{}: {e}", stage.folder.display()))?;
        each(stage.lab.guests().collect(), |guest| {
            guest.run(["apt-get", "-q", "update"]).ok();
        });
        let first = stage.lab.guests().next().ok_or("a lab without guests")?;
        let simulated = first.run(["apt-get", "-s", "dist-upgrade"]).ok();
        stage.others = simulated
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
            .filter(|name| *name != PACKAGE)
            .map(str::to_owned)
            .collect();
        Ok(stage)
    }

    /// The inventories and settings of the other tools.
    fn write(&self) -> std::io::Result<()> {
        fs::create_dir_all(self.folder.join("home"))?;
        let keys = self.lab.inventory().parent().unwrap_or(Path::new("."));
        let (key, known) = (keys.join("id_ed25519"), keys.join("known_hosts"));
        let (key, known) = (key.display(), known.display());
        let hosts = || {
            self.lab
                .guests()
                .filter_map(|guest| Some((guest.host_name(), guest.address()?)))
        };
        let folder = self.folder.display();
        let put = |name: &str, text: String| fs::write(self.folder.join(name), text);
        let lines: String = hosts()
            .map(|(name, address)| format!("{name} ansible_host={address}\n"))
            .collect();
        put(
            "ansible-hosts",
            format!(
                "[all:vars]\nansible_user=op\nansible_ssh_private_key_file={key}\nansible_python_interpreter=/usr/bin/python3\n[hosts]\n{lines}"
            ),
        )?;
        put(
            "ansible.cfg",
            format!(
                "[defaults]\nforks=20\ngathering=explicit\nlocal_tmp={folder}/tmp\n[ssh_connection]\npipelining=True\n\
                 control_path_dir={folder}/cp\nssh_args=-F none -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={known} -o LogLevel=ERROR\n"
            ),
        )?;
        let lines: String = hosts()
            .map(|(name, address)| {
                format!("    ({name:?}, {{\"ssh_hostname\": \"{address}\"}}),\n")
            })
            .collect();
        put(
            "pyinfra_hosts.py",
            format!(
                "hosts = ([\n{lines}], {{\"ssh_user\": \"op\", \"ssh_key\": \"{key}\", \"ssh_known_hosts_file\": \"{known}\", \"ssh_strict_host_key_checking\": \"yes\"}})\n"
            ),
        )?;
        let lines: String = hosts().map(|(_, address)| format!("{address}\n")).collect();
        put("addresses", lines)?;
        put("measure.py", MEASURE.to_owned())?;
        for (name, text) in [
            ("gather.yml", include_str!("../peers/gather.yml")),
            ("upgrade.yml", include_str!("../peers/upgrade.yml")),
            ("gather.py", include_str!("../peers/gather.py")),
            ("ours.py", include_str!("../ours.py")),
            ("upgrade.py", include_str!("../peers/upgrade.py")),
            ("gather.sh", include_str!("../peers/gather.sh")),
            ("upgrade.sh", include_str!("../peers/upgrade.sh")),
        ] {
            put(name, text.to_owned())?;
        }
        Ok(())
    }

    /// One turn of one tool, whose effect is read back from the guests.
    fn run(&self, work: Work, tool: Tool) -> Result<Figures, String> {
        let figures = self.measured(
            &format!("{}-{tool:?}", work.name()),
            &self.command(work, tool),
        )?;
        if work == Work::Upgrade {
            let behind: Vec<&str> = self
                .lab
                .guests()
                .filter(|guest| self.version(guest) == OLD)
                .map(Guest::host_name)
                .collect();
            if !behind.is_empty() {
                return Err(format!(
                    "{} said it put {PACKAGE} in, and {} did not get it",
                    tool.name(),
                    behind.join(", ")
                ));
            }
        }
        Ok(figures)
    }

    fn command(&self, work: Work, tool: Tool) -> Command {
        let file = |ending: &str| self.folder.join(format!("{}.{ending}", work.name()));
        match tool {
            Tool::Patchcore => {
                let mut ours = Command::new(&self.wish.ours);
                ours.arg(work.name()).arg(self.lab.inventory());
                if work == Work::Upgrade {
                    // A journal is made anew for each turn, as the first run of an estate makes it.
                    let journal = self.folder.join("journal.db");
                    for ending in ["", "-wal", "-shm", ".lock"] {
                        let _ = fs::remove_file(format!("{}{ending}", journal.display()));
                    }
                    ours.arg(journal).arg(PACKAGE).args(&self.others);
                }
                ours
            }
            Tool::Python => {
                let mut python = Command::new(&self.wish.ours);
                python
                    .arg(self.folder.join("ours.py"))
                    .arg(self.lab.inventory());
                python
            }
            Tool::Ansible => {
                let mut ansible = Command::new(self.wish.peers.join("ansible-playbook"));
                ansible
                    .arg("-i")
                    .arg(self.folder.join("ansible-hosts"))
                    .args(["-e", &format!("package={PACKAGE}")])
                    .arg(file("yml"));
                ansible
            }
            Tool::Pyinfra => {
                let mut pyinfra = Command::new(self.wish.peers.join("pyinfra"));
                pyinfra
                    .arg("-y")
                    .arg(self.folder.join("pyinfra_hosts.py"))
                    .arg(file("py"));
                pyinfra
            }
            Tool::Xargs => {
                let mut sh = Command::new("sh");
                sh.arg(file("sh"));
                sh
            }
        }
    }

    /// Runs a command inside the lab's network and measures it.
    fn measured(&self, what: &str, command: &Command) -> Result<Figures, String> {
        let output = self.folder.join(format!("{what}.out"));
        let mut measure = self.lab.command("/usr/bin/python3");
        measure
            .arg(self.folder.join("measure.py"))
            .arg(&output)
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.folder)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.folder.join("home"))
            .env("ANSIBLE_HOME", self.folder.join("home"))
            .env("ANSIBLE_CONFIG", self.folder.join("ansible.cfg"))
            .env("PACKAGE", PACKAGE)
            .env_remove("SSH_AUTH_SOCK");
        let said = measure
            .output()
            .map_err(|e| format!("python3 cannot be started: {e}"))?;
        let figures: Option<Figures> = serde_json::from_slice(&said.stdout).ok();
        match figures {
            Some(figures) if figures.status == 0 => Ok(figures),
            _ => {
                let text = fs::read(&output).unwrap_or_default();
                Err(format!(
                    "{what} ended badly: {}{}{}",
                    String::from_utf8_lossy(&said.stdout),
                    String::from_utf8_lossy(&said.stderr),
                    String::from_utf8_lossy(&text)
                ))
            }
        }
    }

    /// Takes the package back on every guest, so that every tool finds the same.
    fn reset(&self) {
        let old = format!("{PACKAGE}={OLD}");
        each(self.lab.guests().collect(), |guest| {
            guest
                .run(["apt-get", "-y", "-q", "--allow-downgrades", "install", &old])
                .ok();
        });
        // What the last tool left behind in the guests has ended by now.
        thread::sleep(Duration::from_millis(500));
    }

    fn version(&self, guest: &Guest) -> String {
        guest
            .run(["dpkg-query", "--show", "--showformat=${Version}", PACKAGE])
            .ok()
    }
}

/// Does the same on all guests, eight at a time.
fn each(guests: Vec<&Guest>, work: impl Fn(&Guest) + Sync) {
    for some in guests.chunks(8) {
        thread::scope(|scope| {
            for guest in some {
                scope.spawn(|| work(guest));
            }
        });
    }
}

/// The machine and the versions.
fn about(wish: &Wish) -> Result<Vec<(String, String)>, String> {
    let mut about = page::about().map_err(|e| e.to_string())?;
    for tool in wish.comparison().tools() {
        let (name, program, asked) = match tool {
            Tool::Patchcore => continue,
            Tool::Python => ("python", wish.ours.clone(), "--version"),
            Tool::Ansible => ("ansible", wish.peers.join("ansible-playbook"), "--version"),
            Tool::Pyinfra => ("pyinfra", wish.peers.join("pyinfra"), "--version"),
            Tool::Xargs => ("ssh", "ssh".into(), "-V"),
        };
        about.push((name.to_owned(), page::said(&program, &[asked])?));
    }
    Ok(about)
}
