//! An outside made of files. A job begins with the making of its folder, so a start is whole or not there at whatever
//! moment its caller is killed; it ends by the time that passes, with or without a caller.
//!
//! `jobs/KEY;VERB;GUEST;WHAT;NTH` is a job, `world.log` what the world says of itself: one line per start and per end, each
//! appended in one write by whoever looks first. Every state is what the log adds up to. `arrivals.log` holds a line for
//! each begin that reached the world, also for one that led to nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use patchcore::{SystemClock, clock::Clock as _};

/// The guests: what their first letter promises stands in `provider.rs`, and the patch of a `bad` one does not work.
pub(crate) const GUESTS: [&str; 6] = ["k-bad", "k-web", "l-bad", "l-web", "s-db", "s-web"];
pub(crate) const OLD: &str = "1.0";
pub(crate) const NEW: &str = "1.1";

/// How long a job of a verb takes.
pub(crate) fn takes(verb: &str) -> Duration {
    Duration::from_millis(match verb {
        "stage" => 40,
        "apply" => 80,
        "discard" => 20,
        _ => 60,
    })
}

/// One job, as the name of its folder says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    pub(crate) key: String,
    pub(crate) verb: String,
    pub(crate) guest: String,
    /// A version that goes in, or the key of the stage that is given back.
    pub(crate) what: String,
    /// Tells jobs of one key apart where the world does not refuse a second.
    pub(crate) nth: String,
}

impl Job {
    fn name(&self) -> String {
        [&self.key, &self.verb, &self.guest, &self.what, &self.nth]
            .map(|part| part.replace('/', ","))
            .join(";")
    }

    pub(crate) fn of(name: &str) -> Self {
        let parts: Vec<String> = name.split(';').map(|part| part.replace(',', "/")).collect();
        let [key, verb, guest, what, nth]: [String; 5] = parts
            .try_into()
            .unwrap_or_else(|_| panic!("no job: {name}"));
        Self {
            key,
            verb,
            guest,
            what,
            nth,
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// Nanoseconds since 1970.
    pub(crate) at: u128,
    /// Whether it tells an end; a start sorts before an end of the same moment.
    pub(crate) ended: bool,
    pub(crate) job: Job,
}

/// A begin that reached the world.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// Nanoseconds since 1970.
    pub(crate) at: u128,
    /// From which process.
    pub(crate) pid: u32,
    /// Whether it was let in.
    pub(crate) admitted: bool,
    pub(crate) job: Job,
}

/// A guest, as its log adds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) version: String,
    pub(crate) boots: u32,
    /// Whether something went in since it booted.
    pub(crate) stale: bool,
    /// The keys of the stages that keep something on it.
    pub(crate) kept: BTreeSet<String>,
    /// How many jobs of it run.
    pub(crate) running: usize,
}

#[derive(Debug)]
pub(crate) struct World(pub(crate) PathBuf);

impl World {
    pub(crate) fn at(folder: &Path) -> Self {
        let world = folder.join("world");
        fs::create_dir_all(world.join("jobs")).unwrap();
        Self(world)
    }

    /// Notes a begin that reached it, and whether it was let in.
    pub(crate) fn arrived(&self, job: &Job, admitted: bool) {
        let now = nanoseconds(SystemClock.now().into());
        let what = if admitted { "admitted" } else { "refused" };
        let line = format!("{now} {} {what} {}\n", std::process::id(), job.name());
        append(&self.0.join("arrivals.log"), &[line]);
    }

    /// Starts a job. False if there is one of that name already.
    pub(crate) fn claim(&self, job: &Job) -> bool {
        self.arrived(job, true);
        match fs::create_dir(self.0.join("jobs").join(job.name())) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => panic!("{job:?}: {error}"),
        }
    }

    /// What happened, in order. Whatever has happened since the last look is written down first.
    pub(crate) fn log(&self) -> Vec<Line> {
        let lock = File::create(self.0.join("lock")).unwrap();
        lock.lock().unwrap();
        let path = self.0.join("world.log");
        let mut log: Vec<Line> = fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .map(|line| {
                let [at, what, job] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("not a line of the log: {line}")
                };
                Line {
                    at: at.parse().unwrap(),
                    ended: what == "ended",
                    job: Job::of(job),
                }
            })
            .collect();
        let now = nanoseconds(SystemClock.now().into());
        let mut new = Vec::new();
        for entry in fs::read_dir(self.0.join("jobs")).unwrap() {
            let entry = entry.unwrap();
            let job = Job::of(entry.file_name().to_str().unwrap());
            // Nothing is ever written into it, so that this is when it was made.
            let at = nanoseconds(entry.metadata().unwrap().modified().unwrap());
            let end = at + takes(&job.verb).as_nanos();
            for (ended, at) in [(false, at), (true, end)] {
                let line = Line {
                    at,
                    ended,
                    job: job.clone(),
                };
                if at <= now && !log.contains(&line) {
                    new.push(line);
                }
            }
        }
        new.sort();
        let said = |line: &Line| {
            let what = if line.ended { "ended" } else { "started" };
            format!("{} {what} {}\n", line.at, line.job.name())
        };
        append(&path, &new.iter().map(said).collect::<Vec<_>>());
        log.append(&mut new);
        log.sort();
        log
    }

    /// Every begin that reached it.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        let log = fs::read_to_string(self.0.join("arrivals.log")).unwrap_or_default();
        log.lines()
            .map(|line| {
                let [at, pid, what, job] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("not a line of the log: {line}")
                };
                Arrival {
                    at: at.parse().unwrap(),
                    pid: pid.parse().unwrap(),
                    admitted: what == "admitted",
                    job: Job::of(job),
                }
            })
            .collect()
    }

    /// The jobs of a key.
    pub(crate) fn jobs(&self, key: &str) -> Vec<Line> {
        self.log()
            .into_iter()
            .filter(|line| line.job.key == key)
            .collect()
    }

    pub(crate) fn guest(&self, name: &str) -> Guest {
        guests(&self.log()).remove(name).unwrap()
    }
}

/// Appends lines, each in one write.
fn append(path: &Path, lines: &[String]) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for line in lines {
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// What a log adds up to.
pub(crate) fn guests(log: &[Line]) -> BTreeMap<String, Guest> {
    let untouched = Guest {
        version: OLD.into(),
        boots: 0,
        stale: false,
        kept: BTreeSet::new(),
        running: 0,
    };
    let mut guests: BTreeMap<String, Guest> = GUESTS
        .iter()
        .map(|name| ((*name).to_owned(), untouched.clone()))
        .collect();
    for Line { ended, job, .. } in log {
        let guest = guests.get_mut(&job.guest).unwrap();
        if !ended {
            guest.running += 1;
            continue;
        }
        guest.running -= 1;
        match job.verb.as_str() {
            "stage" => drop(guest.kept.insert(job.key.clone())),
            "apply" if job.guest.ends_with("bad") => {
                (guest.version, guest.stale) = (format!("{}-half", job.what), true)
            }
            "apply" | "roll_back" => (guest.version, guest.stale) = (job.what.clone(), true),
            "reboot" => (guest.boots, guest.stale) = (guest.boots + 1, false),
            "discard" => drop(guest.kept.remove(&job.what)),
            verb => panic!("there is no verb {verb}"),
        }
    }
    guests
}

pub(crate) fn nanoseconds(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap().as_nanos()
}
