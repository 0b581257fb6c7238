//! The example `linux_fleet` is killed with SIGKILL at moments that are watched for from outside, and run again with
//! the same journal: the outcome is that of a run that nobody disturbed, and nothing was done twice.
//!
//! Each test has a lab of its own. What is seen is read in the guests (the folders of jobs, dpkg, processes, the boot
//! id) and in the journal, never told by the program. Three moments are tried each time and all with `--full`.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "the functions around the tests are tests too, and other processes know no virtual time"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::{
    debian_root::Guest,
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};
use tempfile::TempDir;

/// The guest that is watched, and two more that are patched beside it.
const WATCHED: &str = "web-t1";
const GUESTS: [&str; 3] = [WATCHED, "web-1", "db-1"];

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
[reboot]
when = "needed"
[on_fail]
component = "roll_back"
tolerate  = "1"
"#;

/// What is on offer, and the version that a patched guest has.
const PATCHED: [(&str, &str); 8] = [
    ("libpc1", "1.1-1"),
    ("pc-badpost", "1.1-1"),
    ("pc-conf", "1.1-1"),
    ("pc-hello", "1.1-1"),
    ("pc-kernel", "1.1-1"),
    ("pc-newdep", "1.0-1"),
    ("pc-removed", "1.1-1"),
    ("pc-slow", "1.1-1"),
];

/// A whole run takes a quarter of this on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a moment is tried that was over before it could be met.
const TRIES: usize = 3;

/// Moments are met by polling, which another test on the same two processors would disturb.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A lab, and the files of a run on it.
struct Round {
    lab: Lab,
    folder: TempDir,
    boots: BTreeMap<&'static str, String>,
    /// One package's script fails on the watched guest.
    is_bad: bool,
}

impl Round {
    fn new(is_bad: bool) -> Option<Self> {
        let recipe = GUESTS.iter().fold(Recipe::new(), |recipe, name| {
            recipe.with(GuestRecipe::new(*name, Kind::Bare))
        });
        let lab = need(Lab::up(recipe))?;
        for name in GUESTS {
            let guest = lab.guest(name);
            guest.put(
                "/etc/pc-slow.seconds",
                if name == WATCHED { "3\n" } else { "0\n" },
            );
            if name != WATCHED || !is_bad {
                guest.put("/etc/pc-badpost.ok", "");
            }
        }
        // apt waits while it fetches, and dpkg after it unpacked, as long as somebody wants that.
        let guest = lab.guest(WATCHED);
        let apt = "#!/bin/sh\ncase \" $* \" in *' --download-only '*) while [ -e /run/hold-fetch ]; do sleep 0.1; done ;; esac\n\
            exec /usr/bin/apt-get \"$@\"\n";
        let hook = "#!/bin/sh\n[ \"$DPKG_HOOK_ACTION\" = unpack ] || exit 0\nwhile [ -e /run/hold-unpack ]; do sleep 0.1; done\n";
        for (path, text) in [
            ("/usr/local/sbin/apt-get", apt),
            ("/usr/local/sbin/hold-unpack", hook),
        ] {
            guest.put(path, text);
            guest.run(["chmod", "755", path]).ok();
        }
        guest.put(
            "/etc/dpkg/dpkg.cfg.d/hold",
            "post-invoke=/usr/local/sbin/hold-unpack\n",
        );
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

    fn guest(&self) -> &Guest {
        self.lab.guest(WATCHED)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
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
    fn finish(&self) -> i32 {
        let mut child = self.start();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            if Instant::now() > end {
                child.kill().unwrap();
                panic!("it did not end\n{}", self.said());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.file("out")).unwrap_or_default()
    }

    /// What the journal says: how many runs, and each event of the watched guest as `KIND STEP`.
    fn journal(&self) -> Journaled {
        let read = || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let db = rusqlite::Connection::open_with_flags(self.file("run.db"), flags)?;
            let runs = db.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
            let sql = "SELECT kind, coalesce(json_extract(body, '$.step'), '') FROM event WHERE stream = ?1 ORDER BY seq";
            let mut rows = db.prepare(sql)?;
            let events = rows.query_map([format!("component/{WATCHED}")], |row| {
                let (kind, step): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(format!("{kind} {step}").trim_end().to_owned())
            })?;
            Ok::<_, rusqlite::Error>(Journaled {
                runs,
                events: events.collect::<Result<_, _>>()?,
            })
        };
        // It is not there yet, or just being made.
        read().unwrap_or_default()
    }

    /// The disk of the watched guest as seen from outside; what is not on lies nowhere.
    fn inside(&self, path: &str) -> PathBuf {
        let pid = self.guest().pid().unwrap_or_default();
        Path::new(&format!("/proc/{pid}/root")).join(path.trim_start_matches('/'))
    }

    fn job(&self, verb: &str) -> Option<JobSeen> {
        jobs(&self.inside("/var/lib/patchcore/jobs"))
            .into_iter()
            .find(|job| job.verb == verb)
    }

    fn is_claimed(&self, verb: &str) -> bool {
        self.job(verb).is_some_and(|job| job.claimed)
    }

    fn is_over(&self, verb: &str) -> bool {
        self.job(verb).is_some_and(|job| job.over)
    }

    /// How many connections to the sshd of the watched guest are open, by its kernel.
    fn connections(&self) -> usize {
        let pid = self.guest().pid().unwrap_or_default();
        let list = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
        let established = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            matches!(fields[..], [_, local, _, "01", ..] if local.ends_with(":0016"))
        };
        list.lines().filter(established).count()
    }

    fn hold(&self, what: &str) {
        self.guest().put(&format!("/run/hold-{what}"), "");
    }

    fn let_go(&self) {
        // A guest that is down holds nothing.
        for what in ["fetch", "unpack"] {
            let _ = fs::remove_file(self.inside(&format!("/run/hold-{what}")));
        }
    }
}

#[derive(Debug, Default)]
struct Journaled {
    runs: u32,
    events: Vec<String>,
}

impl Journaled {
    fn has(&self, event: &str) -> bool {
        self.events.iter().any(|e| e == event)
    }

    /// Whether an operation was intended, and nothing was heard of it since.
    fn asked(&self, step: &str) -> bool {
        self.events
            .last()
            .is_some_and(|e| *e == format!("intended {step}"))
    }

    /// Whether an operation was intended and its result is not known.
    fn open(&self, step: &str) -> bool {
        self.has(&format!("intended {step}"))
            && !self.has(&format!("settled {step}"))
            && !self.has(&format!("failed {step}"))
    }

    fn taken(&self, step: &str) -> bool {
        self.open(step) && self.events.last().is_some_and(|e| e == "begun")
    }

    fn last(&self) -> &str {
        self.events.last().map_or("nothing", String::as_str)
    }
}

/// A job in a guest, by its folder.
#[derive(Debug)]
struct JobSeen {
    verb: &'static str,
    claimed: bool,
    over: bool,
    /// In which boot it began.
    boot: Option<String>,
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

/// A moment at which the program is killed.
struct Moment {
    name: &'static str,
    /// Whether it only comes where a package fails.
    is_bad: bool,
    /// Before the program starts.
    arm: fn(&Round),
    /// Each time that it is looked; what is seen when the moment is there.
    seen: fn(&Round) -> Option<String>,
    /// What the journal must say at that moment, and after the kill still.
    journaled: fn(&Journaled) -> bool,
}

fn nothing(_: &Round) {}

const MOMENTS: [Moment; 14] = [
    Moment {
        name: "connect",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            let open = round.connections();
            (open > 0).then(|| {
                format!("{open} ssh connection was open to {WATCHED}, and there was no plan")
            })
        },
        journaled: |journal| journal.runs == 0,
    },
    Moment {
        name: "approved",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            let none = jobs(&round.inside("/var/lib/patchcore/jobs")).is_empty();
            none.then(|| {
                format!("the approved plan stood in the journal, and {WATCHED} had no job")
            })
        },
        journaled: |journal| journal.runs == 1 && !journal.has("intended stage"),
    },
    Moment {
        name: "stage's claim",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            round.is_claimed("stage").then(|| {
                format!("the stage job of {WATCHED} was claimed, and its answer on the way")
            })
        },
        journaled: |journal| journal.asked("stage"),
    },
    Moment {
        name: "stage running",
        is_bad: false,
        arm: |round| round.hold("fetch"),
        seen: |round| {
            let fetches = process(round, "--download-only");
            (round.is_claimed("stage") && !round.is_over("stage") && fetches.is_some()).then(|| {
                format!(
                    "apt-get (pid {}) was fetching on {WATCHED}",
                    fetches.unwrap_or_default()
                )
            })
        },
        journaled: |journal| journal.taken("stage"),
    },
    Moment {
        name: "apply's claim",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            round.is_claimed("apply").then(|| {
                format!("the apply job of {WATCHED} was claimed, and its answer on the way")
            })
        },
        journaled: |journal| journal.asked("apply"),
    },
    Moment {
        name: "dpkg unpack",
        is_bad: false,
        arm: |round| round.hold("unpack"),
        seen: |round| unpacked(round, "apply"),
        journaled: |journal| journal.taken("apply"),
    },
    Moment {
        name: "dpkg postinst",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            let running = fs::read_to_string(round.inside("/run/pc-slow.running")).ok()?;
            Some(format!(
                "pc-slow's postinst (pid {}) was running on {WATCHED}",
                running.trim()
            ))
        },
        journaled: |journal| journal.open("apply"),
    },
    Moment {
        name: "apply done",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            round
                .is_over("apply")
                .then(|| format!("the apply job of {WATCHED} was over, and nobody had looked yet"))
        },
        journaled: |journal| journal.open("apply"),
    },
    Moment {
        name: "reboot asked",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            (round.is_claimed("reboot") && boot(round)? == round.boots[WATCHED])
                .then(|| format!("{WATCHED} was asked to restart, and had its old boot id"))
        },
        journaled: |journal| journal.open("reboot"),
    },
    Moment {
        name: "guest down",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            boot(round)
                .is_none()
                .then(|| format!("{WATCHED} was down: its init was gone"))
        },
        journaled: |journal| journal.open("reboot"),
    },
    Moment {
        name: "guest back",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            (boot(round)? != round.boots[WATCHED]).then(|| {
                format!("{WATCHED} was back with another boot id, and nobody had looked yet")
            })
        },
        journaled: |journal| journal.open("reboot"),
    },
    Moment {
        name: "discard",
        is_bad: false,
        arm: nothing,
        seen: |round| {
            round
                .is_claimed("discard")
                .then(|| format!("{WATCHED} was giving back what was kept"))
        },
        journaled: |journal| journal.open("give_back"),
    },
    Moment {
        name: "rollback running",
        is_bad: true,
        arm: nothing,
        seen: |round| {
            if round.is_over("apply") && !round.inside("/run/hold-unpack").exists() {
                round.hold("unpack");
            }
            round
                .is_claimed("roll_back")
                .then(|| unpacked(round, "roll_back"))
                .flatten()
        },
        journaled: |journal| journal.taken("roll_back"),
    },
    Moment {
        name: "rollback done",
        is_bad: true,
        arm: nothing,
        seen: |round| {
            round
                .is_over("roll_back")
                .then(|| format!("the roll back of {WATCHED} was over, and nobody had looked yet"))
        },
        journaled: |journal| journal.open("roll_back"),
    },
];

/// The boot id of the watched guest from outside; none while it is down.
fn boot(round: &Round) -> Option<String> {
    let id = fs::read_to_string(round.inside("/proc/sys/kernel/random/boot_id")).ok()?;
    Some(id.trim_end().to_owned())
}

/// The process id, in the watched guest, of a process with this word in its command line.
fn process(round: &Round, word: &str) -> Option<String> {
    let found = round.guest().run(["pgrep", "-o", "-f", "--", word]);
    found.stdout.lines().next().map(str::to_owned)
}

/// dpkg has unpacked and has not configured yet.
fn unpacked(round: &Round, verb: &str) -> Option<String> {
    if !round.is_claimed(verb) || round.is_over(verb) {
        return None;
    }
    let dpkg = process(round, "hold-unpack")?;
    // apt lets dpkg unpack in several calls; the first is where it is held.
    let (package, _) = PATCHED
        .into_iter()
        .find(|(package, _)| round.guest().dpkg_status(package) == "unpacked")?;
    Some(format!(
        "dpkg had unpacked {package} on {WATCHED} and was at it (hook pid {dpkg})"
    ))
}

/// Starts the program and kills it at the moment; what was seen there, or nothing where it was over before.
fn kill(round: &Round, moment: &Moment) -> Option<String> {
    (moment.arm)(round);
    let mut child = round.start();
    let end = Instant::now() + PATIENCE;
    let seen = loop {
        // The journal last: it is what the program itself goes on with.
        if let Some(seen) = (moment.seen)(round)
            && (moment.journaled)(&round.journal())
        {
            break seen;
        }
        if child.try_wait().unwrap().is_some() || Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            round.let_go();
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let journal = round.journal();
    round.let_go();
    // It may have gone on between the look and the kill; the journal says whether it did.
    let met = status.code().is_none() && (moment.journaled)(&journal);
    println!(
        "killed at {}: {seen}; the journal's last word of it: {}",
        moment.name,
        journal.last()
    );
    met.then_some(seen)
}

/// What is so after a run, whatever happened to the program on the way.
fn check(round: &Round, code: i32, what: &str) {
    let said = round.said();
    // The policy tolerates one failure, so that also the run with a bad package is done.
    assert_eq!(code, 0, "{what}\n{said}");
    for name in GUESTS {
        let guest = round.lab.guest(name);
        let rolled_back = round.is_bad && name == WATCHED;
        let expected: BTreeMap<String, String> = PATCHED
            .into_iter()
            .filter(|(package, _)| !rolled_back || *package != "pc-newdep")
            .map(|(package, version)| {
                (
                    package.to_owned(),
                    if rolled_back { "1.0-1" } else { version }.to_owned(),
                )
            })
            .collect();
        assert_eq!(
            guest.versions(PATCHED.map(|(package, _)| package)),
            expected,
            "{what}: {name}\n{said}"
        );
        assert_eq!(guest.run(["dpkg", "--audit"]).ok(), "", "{what}: {name}");
        // One transaction for each change, by apt's own record.
        let history: Vec<String> = guest
            .apt_history()
            .iter()
            .filter(|t| !t.changes.is_empty())
            .map(|t| {
                let actions: BTreeSet<&str> = t.changes.iter().map(|c| c.action.as_str()).collect();
                format!("{} {}", Vec::from_iter(actions).join("+"), t.changes.len())
            })
            .collect();
        let transactions: &[&str] = match rolled_back {
            false => &["Install+Upgrade 8"],
            true => &["Install+Upgrade 8", "Downgrade+Remove 8"],
        };
        assert_eq!(history, transactions, "{what}: {name}\n{said}");
        // One job for each step, and one restart: the boot ids that the guest's own records name.
        let pid = guest.pid().unwrap();
        let jobs = jobs(Path::new(&format!(
            "/proc/{pid}/root/var/lib/patchcore/jobs"
        )));
        let mut verbs: Vec<&str> = jobs.iter().map(|job| job.verb).collect();
        verbs.sort_unstable();
        let restarts = verbs.iter().filter(|verb| **verb == "reboot").count();
        let mut boots: BTreeSet<String> = jobs.iter().filter_map(|job| job.boot.clone()).collect();
        boots.insert(guest.boot_id());
        assert!(
            boots.contains(&round.boots[name]),
            "{what}: {name}: {boots:?}"
        );
        assert_eq!(
            (restarts, boots.len()),
            (1, 2),
            "{what}: {name}: {verbs:?}\n{said}"
        );
        let steps: &[&str] = match rolled_back {
            false => &["apply", "discard", "reboot", "stage"],
            true => &["apply", "discard", "reboot", "roll_back", "stage"],
        };
        assert_eq!(verbs, steps, "{what}: {name}");
        let kept = guest
            .script("ls /var/lib/patchcore/rollback 2>/dev/null || :", [])
            .ok();
        assert_eq!(kept, "", "{what}: {name} still keeps what was borrowed");
    }
    assert_eq!(round.journal().runs, 1, "{what}: {said}");
    let report = fs::read(round.file("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["verdict"], "done", "{what}");
    assert_eq!(
        report["ledger"],
        serde_json::json!([]),
        "{what}: something is owed"
    );
    let ends: BTreeMap<&str, &str> = report["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            (
                c["component"].as_str().unwrap(),
                c["phase"]["then"].as_str().unwrap(),
            )
        })
        .collect();
    let end = if round.is_bad { "rolled_back" } else { "done" };
    let expected = [("db-1", "done"), ("web-1", "done"), (WATCHED, end)];
    assert_eq!(ends, expected.into(), "{what}\n{said}");
}

fn is_full() -> bool {
    std::env::var_os("PATCHCORE_FULL").is_some_and(|full| full == "1")
}

fn killed(name: &str, is_quick: bool) {
    if !is_quick && !is_full() {
        println!("left to --full: killed at {name}");
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let moment = MOMENTS.iter().find(|moment| moment.name == name).unwrap();
    for nth in 1..=TRIES {
        let Some(round) = Round::new(moment.is_bad) else {
            return;
        };
        if kill(&round, moment).is_none() {
            println!("the moment was missed ({nth} of {TRIES})\n{}", round.said());
            continue;
        }
        let code = round.finish();
        check(&round, code, name);
        println!("killed at {name}: the same outcome as undisturbed");
        return;
    }
    panic!("{name}: the moment was never met");
}

#[test]
fn what_a_run_comes_to_that_nobody_disturbs() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for is_bad in [false, true] {
        let Some(round) = Round::new(is_bad) else {
            return;
        };
        let code = round.finish();
        check(&round, code, "undisturbed");
        if !is_full() {
            println!("left to --full: an undisturbed run with a package that fails");
            return;
        }
    }
}

#[test]
fn killed_while_it_connects() {
    killed("connect", false);
}

#[test]
fn killed_when_the_plan_is_approved() {
    killed("approved", false);
}

#[test]
fn killed_at_the_claim_of_stage() {
    killed("stage's claim", false);
}

#[test]
fn killed_while_stage_runs() {
    killed("stage running", false);
}

#[test]
fn killed_at_the_claim_of_apply() {
    killed("apply's claim", false);
}

#[test]
fn killed_when_dpkg_has_unpacked() {
    killed("dpkg unpack", false);
}

#[test]
fn killed_in_a_postinst() {
    killed("dpkg postinst", true);
}

#[test]
fn killed_when_apply_is_over() {
    killed("apply done", false);
}

#[test]
fn killed_when_a_restart_is_asked_for() {
    killed("reboot asked", false);
}

#[test]
fn killed_while_the_guest_is_down() {
    killed("guest down", true);
}

#[test]
fn killed_when_the_guest_is_back() {
    killed("guest back", false);
}

#[test]
fn killed_while_it_gives_back() {
    killed("discard", false);
}

#[test]
fn killed_in_a_roll_back() {
    killed("rollback running", true);
}

#[test]
fn killed_when_a_roll_back_is_over() {
    killed("rollback done", false);
}
