//! A lab, the program on it, and what is seen of both from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::{
    debian_root::Guest,
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};
use tempfile::TempDir;

/// The guest that most moments are about, the one that gives back last where that matters, and one more beside them.
pub(crate) const WATCHED: &str = "web-t1";
pub(crate) const SECOND: &str = "web-1";
pub(crate) const GUESTS: [&str; 3] = [WATCHED, SECOND, "db-1"];

const POLICY: &str = r#"
policy   = 1
name     = "kills"
approval = { needs = 1, from = ["maria"] }
[[window]]
name = "any"
zone = "UTC"
when = "any time"
[patches]
take = ["security", "bugfix", "enhancement", "other"]
[[ring]]
name    = "all"
select  = "*"
at_once = "3"
soak    = "1s"
[[check]]
select  = "*"
command = ["apt-get", "-qq", "check"]
within  = "1m"
steady  = "0s"
[reboot]
when = "needed"
[on_fail]
component = "roll_back"
tolerate  = "1"
"#;

/// A whole run takes a quarter of this on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What somebody may want to be waited for, each as long as a file of its name lies in this folder, also over a restart.
const HOLDS: &str = "/var/hold";

/// apt waits while it fetches, simulates for a scan or is asked by a health check.
const APT: &str = "#!/bin/sh\ncase \" $* \" in\n*' --download-only '*) hold=fetch ;;\n*' -s '*' dist-upgrade '*) hold=scan ;;\n\
    *' -qq check '*) hold=check ;;\n*) hold=none ;;\nesac\nwhile [ -e /var/hold/$hold ]; do sleep 0.1; done\n\
    exec /usr/bin/apt-get \"$@\"\n";

/// dpkg waits after it has unpacked.
const HOOK: &str = "#!/bin/sh\n[ \"$DPKG_HOOK_ACTION\" = unpack ] || exit 0\nwhile [ -e /var/hold/unpack ]; do sleep 0.1; done\n";

/// A lab, and the files of a run on it.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    folder: TempDir,
    /// In which boot each guest began.
    pub(crate) boots: BTreeMap<&'static str, String>,
    /// One package's script fails on the watched guest.
    pub(crate) is_bad: bool,
}

impl Stage {
    pub(crate) fn new(is_bad: bool) -> Option<Self> {
        let recipe = GUESTS.iter().fold(Recipe::new(), |recipe, name| {
            recipe.with(GuestRecipe::new(*name, Kind::Bare))
        });
        let lab = need(Lab::up(recipe))?;
        for name in GUESTS {
            let guest = lab.guest(name);
            let seconds = if name == WATCHED { "3\n" } else { "0\n" };
            guest.put("/etc/pc-slow.seconds", seconds);
            if name != WATCHED || !is_bad {
                guest.put("/etc/pc-badpost.ok", "");
            }
            for (path, text) in [
                ("/usr/local/sbin/apt-get", APT),
                ("/usr/local/sbin/hold-unpack", HOOK),
            ] {
                guest.put(path, text);
                guest.run(["chmod", "755", path]).ok();
            }
            let hook = "post-invoke=/usr/local/sbin/hold-unpack\n";
            guest.put("/etc/dpkg/dpkg.cfg.d/hold", hook);
            guest.run(["mkdir", HOLDS]).ok();
        }
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        let boots = GUESTS.map(|name| (name, lab.guest(name).boot_id())).into();
        Some(Self {
            lab,
            folder,
            boots,
            is_bad,
        })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self) -> Child {
        let mut command = self.lab.command(env!("CARGO_BIN_EXE_linux-fleet"));
        let output = || {
            fs::File::options()
                .create(true)
                .append(true)
                .open(self.file("out"))
                .unwrap()
        };
        command
            .arg("--inventory")
            .arg(self.lab.inventory())
            .arg("--policy")
            .arg(self.file("policy.toml"))
            .arg("--journal")
            .arg(self.file("run.db"))
            .args(["--approve-as", "maria", "--report"])
            .arg(self.file("report.json"))
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        command.spawn().unwrap()
    }

    /// Runs it to its end and gives back its exit code.
    pub(crate) fn finish(&self) -> i32 {
        let mut child = self.start();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            if Instant::now() > end {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it did not end\n{}", self.said());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.file("out")).unwrap_or_default()
    }

    pub(crate) const fn seen(&self, name: &'static str) -> Seen<'_> {
        Seen { stage: self, name }
    }

    /// How many runs the journal knows, and what it says of the run and of one guest; none while it cannot be read.
    pub(crate) fn journal(&self, name: &str) -> Option<Journaled> {
        let path = self.file("run.db");
        if !path.exists() {
            return Some(Journaled::default());
        }
        let read = || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let db = rusqlite::Connection::open_with_flags(path, flags)?;
            let runs = db.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
            let sql = "SELECT kind, coalesce(json_extract(body, '$.step'), '') FROM event WHERE stream = ?1 ORDER BY seq";
            let mut rows = db.prepare(sql)?;
            let mut told = |stream: String| -> rusqlite::Result<Vec<String>> {
                let events = rows.query_map([stream], |row| {
                    let (kind, step): (String, String) = (row.get(0)?, row.get(1)?);
                    Ok(format!("{kind} {step}").trim_end().to_owned())
                })?;
                events.collect()
            };
            Ok::<_, rusqlite::Error>(Journaled {
                runs,
                run: told("run".to_owned())?,
                events: told(format!("component/{name}"))?,
            })
        };
        read().ok()
    }

    /// Nothing is waited for any more.
    pub(crate) fn let_go(&self) {
        for name in GUESTS {
            self.seen(name).let_go();
        }
    }
}

/// What the journal says: how many runs, and the events of the run and of one guest, each as `KIND STEP`.
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    pub(crate) runs: u32,
    pub(crate) run: Vec<String>,
    pub(crate) events: Vec<String>,
}

impl Journaled {
    pub(crate) fn has(&self, event: &str) -> bool {
        self.events.iter().any(|e| e == event)
    }

    /// How often an event stands there.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.events.iter().filter(|e| *e == event).count()
    }

    /// Whether an operation was intended, and nothing was heard of it since.
    pub(crate) fn asked(&self, step: &str) -> bool {
        self.last() == format!("intended {step}")
    }

    /// Whether an operation was intended and its result is not known.
    pub(crate) fn open(&self, step: &str) -> bool {
        self.has(&format!("intended {step}"))
            && !self.has(&format!("settled {step}"))
            && !self.has(&format!("failed {step}"))
    }

    /// Whether the guest is known to have taken an operation, and its result is not known.
    pub(crate) fn taken(&self, step: &str) -> bool {
        self.open(step) && self.last() == "begun"
    }

    /// Whether the ring soaks now.
    pub(crate) fn soaks(&self) -> bool {
        self.run.iter().any(|e| e == "soak_started") && !self.run.iter().any(|e| e == "soak_ended")
    }

    pub(crate) fn last(&self) -> &str {
        self.events.last().map_or("nothing", String::as_str)
    }
}

/// One guest from outside: nothing here runs in it or asks the program.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: &'static str,
}

impl<'a> Seen<'a> {
    pub(crate) fn guest(self) -> &'a Guest {
        self.stage.lab.guest(self.name)
    }

    pub(crate) fn journal(self) -> Option<Journaled> {
        self.stage.journal(self.name)
    }

    /// Its disk; what is not on lies nowhere.
    pub(crate) fn inside(self, path: &str) -> PathBuf {
        let pid = self.guest().pid().unwrap_or_default();
        Path::new(&format!("/proc/{pid}/root")).join(path.trim_start_matches('/'))
    }

    pub(crate) fn jobs(self) -> Vec<JobSeen> {
        jobs(&self.inside("/var/lib/patchcore/jobs"))
    }

    fn job(self, verb: &str) -> Option<JobSeen> {
        self.jobs().into_iter().find(|job| job.verb == verb)
    }

    pub(crate) fn is_claimed(self, verb: &str) -> bool {
        self.job(verb).is_some_and(|job| job.claimed)
    }

    pub(crate) fn is_over(self, verb: &str) -> bool {
        self.job(verb).is_some_and(|job| job.over)
    }

    pub(crate) fn is_running(self, verb: &str) -> bool {
        self.job(verb).is_some_and(|job| job.claimed && !job.over)
    }

    /// How many connections to its sshd are open, by its kernel.
    pub(crate) fn connections(self) -> usize {
        let pid = self.guest().pid().unwrap_or_default();
        let list = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
        let established = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            matches!(fields[..], [_, local, _, "01", ..] if local.ends_with(":0016"))
        };
        list.lines().filter(established).count()
    }

    /// Its boot id; none while it is down.
    pub(crate) fn boot(self) -> Option<String> {
        let id = fs::read_to_string(self.inside("/proc/sys/kernel/random/boot_id")).ok()?;
        Some(id.trim_end().to_owned())
    }

    pub(crate) fn has_first_boot(self) -> bool {
        self.boot()
            .is_some_and(|id| id == self.stage.boots[self.name])
    }

    /// The process id, in the guest, of a process with these words in its command line.
    pub(crate) fn process(self, words: &str) -> Option<u32> {
        let processes = fs::read_dir(self.inside("/proc")).ok()?;
        processes.flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(words).then_some(pid)
        })
    }

    /// The process id, in the guest, of one that a script has started. A shell that waits for its next script has none.
    pub(crate) fn of_script(self) -> Option<u32> {
        const SHELL: &str = "/bin/sh -s";
        let mut shells = BTreeSet::new();
        let mut others = Vec::new();
        for entry in fs::read_dir(self.inside("/proc")).ok()?.flatten() {
            let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
            let pid: Option<u32> = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
            let stat = String::from_utf8_lossy(&read("stat")).into_owned();
            // After its name, which may hold anything, come its state and its parent.
            let after = stat.rsplit(')').next().unwrap_or_default();
            let parent: Option<u32> = after.split_whitespace().nth(1).and_then(|p| p.parse().ok());
            let (Some(pid), Some(parent)) = (pid, parent) else {
                continue;
            };
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            if line.contains(SHELL) {
                shells.insert(pid);
            } else {
                others.push((pid, parent));
            }
        }
        let found = others.iter().find(|(_, parent)| shells.contains(parent));
        found.map(|(pid, _)| *pid)
    }

    pub(crate) fn hold(self, what: &str) {
        // A guest that is just down is looked at again.
        let _ = fs::write(self.inside(HOLDS).join(what), "");
    }

    pub(crate) fn let_go(self) {
        for what in ["fetch", "scan", "check", "unpack"] {
            // Most is not held, and a guest that is down holds nothing.
            let _ = fs::remove_file(self.inside(HOLDS).join(what));
        }
    }
}

/// A job in a guest, by its folder.
#[derive(Debug)]
pub(crate) struct JobSeen {
    pub(crate) verb: &'static str,
    pub(crate) claimed: bool,
    pub(crate) over: bool,
    /// In which boot it began.
    pub(crate) boot: Option<String>,
}

fn jobs(folder: &Path) -> Vec<JobSeen> {
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let folder = entry.path();
        let spec: String = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().starts_with("spec."))
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .collect();
        // By what only this job's script says.
        let verbs = [
            ("say staged", "stage"),
            ("say discarded", "discard"),
            ("say restarts", "reboot"),
            ("--allow-downgrades", "roll_back"),
            ("say begins", "apply"),
        ];
        let Some((_, verb)) = verbs.into_iter().find(|(text, _)| spec.contains(text)) else {
            continue;
        };
        let state = fs::read_to_string(folder.join("state")).unwrap_or_default();
        seen.push(JobSeen {
            verb,
            claimed: folder.join("claim").exists(),
            over: folder.join("rc").exists(),
            boot: state.split_whitespace().nth(4).map(str::to_owned),
        });
    }
    seen
}
