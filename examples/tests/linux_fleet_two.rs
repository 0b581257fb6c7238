//! Two orchestrators, the example `linux_fleet` twice: on one journal the second is told who has it; with a journal each
//! one decides on the guest, the other waits and says for whom, and one that was stopped through a takeover, of the guest
//! or of its journal, begins nothing when it wakes. What counts is the guest's own log.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the functions around the tests are tests too, and other processes know no virtual time"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use patchcore_testkit::peers::{
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};
use tempfile::TempDir;

const GUEST: &str = "web-1";

const POLICY: &str = r#"
policy   = 1
name     = "two"
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
soak    = "1s"
[reboot]
when = "never"
[on_fail]
component = "roll_back"
"#;

/// A whole run takes a quarter of this on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What somebody may want to be waited for, each as long as a file of its name lies in this folder.
const HOLDS: &str = "/var/hold";

/// The lock is written out before it is answered for.
const SYNC: &str =
    "#!/bin/sh\nwhile [ -e /var/hold/sync ]; do sleep 0.1; done\nexec /usr/bin/sync \"$@\"\n";

/// A step is prepared by what dpkg says, among other things of what is not whole.
const DPKG: &str = "#!/bin/sh\n[ \"$1\" != --audit ] || while [ -e /var/hold/audit ]; do sleep 0.1; done\n\
    exec /usr/bin/dpkg \"$@\"\n";

/// How often it is tried to see a late begin refused, where one that wakes looks at the lock first and begins nothing.
const TRIES: usize = 5;

struct Stand {
    lab: Lab,
    folder: TempDir,
}

/// One orchestrator: the program with a journal.
struct Fleet<'a> {
    stand: &'a Stand,
    name: &'static str,
    child: Child,
}

impl Stand {
    fn new() -> Option<Self> {
        let recipe = Recipe::new().with(GuestRecipe::new(GUEST, Kind::Bare));
        let lab = need(Lab::up(recipe))?;
        let guest = lab.guest(GUEST);
        guest.put("/etc/pc-badpost.ok", "");
        guest.put("/etc/pc-slow.seconds", "0\n");
        for (path, text) in [
            ("/usr/local/sbin/sync", SYNC),
            ("/usr/local/sbin/dpkg", DPKG),
        ] {
            guest.put(path, text);
            guest.run(["chmod", "755", path]).ok();
        }
        guest.run(["mkdir", HOLDS]).ok();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        Some(Self { lab, folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, name: &'static str, journal: &str, lease: &str) -> Fleet<'_> {
        let mut command = self.lab.command(env!("CARGO_BIN_EXE_linux-fleet"));
        let output = || {
            fs::File::options()
                .create(true)
                .append(true)
                .open(self.file(name))
                .unwrap()
        };
        command
            .arg("--inventory")
            .arg(self.lab.inventory())
            .arg("--policy")
            .arg(self.file("policy.toml"))
            .arg("--journal")
            .arg(self.file(journal))
            .args(["--approve-as", "maria", "--lock-lease", lease])
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        Fleet {
            stand: self,
            name,
            child: command.spawn().unwrap(),
        }
    }

    /// The disk of the guest as seen from outside.
    fn inside(&self, path: &str) -> PathBuf {
        let pid = self.lab.guest(GUEST).pid().unwrap();
        Path::new(&format!("/proc/{pid}/root")).join(path.trim_start_matches('/'))
    }

    fn hold(&self, what: &str) {
        fs::write(self.inside(HOLDS).join(what), "").unwrap();
    }

    fn let_go(&self, what: &str) {
        fs::remove_file(self.inside(HOLDS).join(what)).unwrap();
    }

    /// Whether the guest has given out its lock for the first time.
    fn is_locked(&self) -> bool {
        self.inside("/var/lib/patchcore/lock/1").exists()
    }

    /// The guest's own log of its lock.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.inside("/var/lib/patchcore/lock/log"));
        log.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn jobs(&self) -> usize {
        fs::read_dir(self.inside("/var/lib/patchcore/jobs")).map_or(0, Iterator::count)
    }

    /// The transactions of apt that changed something, by its own record.
    fn transactions(&self) -> Vec<String> {
        let history = self.lab.guest(GUEST).apt_history();
        let changed = history.iter().filter(|t| !t.changes.is_empty());
        changed
            .map(|t| format!("{} changes by {:?}", t.changes.len(), t.changes[0].action))
            .collect()
    }
}

/// What a journal says: the uid, and of each event of the guest the kind, the step and the body.
fn journal(path: &Path) -> (String, Vec<(String, String)>) {
    let read = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(path, flags)?;
        let uid = db.query_row("SELECT uid FROM meta", [], |row| row.get(0))?;
        let sql = "SELECT kind || ' ' || coalesce(json_extract(body, '$.step'), ''), body FROM event WHERE stream = ?1 ORDER BY seq";
        let mut rows = db.prepare(sql)?;
        let events = rows.query_map([format!("component/{GUEST}")], |row| {
            let kind: String = row.get(0)?;
            Ok((kind.trim_end().to_owned(), row.get(1)?))
        })?;
        Ok::<_, rusqlite::Error>((uid, events.collect::<Result<_, _>>()?))
    };
    // It is not there yet, or just being made.
    read().unwrap_or_default()
}

impl Fleet<'_> {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.stand.file(self.name)).unwrap_or_default()
    }

    fn signal(&self, which: &str) {
        let sent = Command::new("kill")
            .args([which, &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code.
    fn finish(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(
                Instant::now() < end,
                "{} did not end\n{}",
                self.name,
                self.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something holds; false when it ended before.
    fn until(&mut self, mut holds: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            if holds() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(
                Instant::now() < end,
                "{}: never\n{}",
                self.name,
                self.said()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        // It ended, or a test failed and nobody waits for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_one_journal_the_second_is_told_who_has_it() {
    let Some(stand) = Stand::new() else { return };
    let mut first = stand.start("first", "one.db", "15m");
    assert!(first.until(|| !journal(&stand.file("one.db")).1.is_empty()));
    let mut second = stand.start("second", "one.db", "15m");
    assert_eq!(second.finish(), 2, "{}", second.said());
    let said = second.said();
    assert!(
        said.contains(&format!("process {} on ", first.pid())),
        "{said}"
    );
    assert_eq!(first.finish(), 0, "{}", first.said());
    println!("{said}");
}

#[test]
fn with_a_journal_each_the_second_waits_and_says_for_whom() {
    let Some(stand) = Stand::new() else { return };
    stand.lab.guest(GUEST).put("/etc/pc-slow.seconds", "8\n");
    let mut first = stand.start("first", "one.db", "15m");
    let mut second = stand.start("second", "two.db", "15m");
    let codes = (first.finish(), second.finish());
    assert_eq!(codes, (0, 0), "{}\n{}", first.said(), second.said());
    // Whichever was second waited.
    let mut waited = 0;
    for (file, rival) in [("one.db", second.pid()), ("two.db", first.pid())] {
        for (kind, body) in journal(&stand.file(file)).1 {
            if kind == "stalled" && body.contains("its lock is held by") {
                assert!(body.contains(&format!("process {rival} on ")), "{body}");
                println!("{file}: {body}");
                waited += 1;
            }
        }
    }
    assert!(waited > 0, "nobody waited\n{:#?}", stand.log());
    assert_eq!(stand.transactions().len(), 1, "{:?}", stand.transactions());
}

/// What the second one takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The guest, with a journal of its own.
    Guest,
    /// The journal, by the word of a person.
    Journal,
}

#[test]
fn one_that_is_stopped_through_a_takeover_begins_nothing_when_it_wakes() {
    for (over, step) in [
        (Over::Guest, "stage"),
        (Over::Guest, "apply"),
        (Over::Journal, "apply"),
    ] {
        for nth in 1..=TRIES {
            let Some(stand) = Stand::new() else { return };
            if stopped_before(&stand, step, over) {
                break;
            }
            println!("it saw first that the lock is lost ({nth} of {TRIES})");
            assert!(nth < TRIES, "{over:?}, {step}: it never began anything");
        }
    }
}

/// Takes a journal over from whoever is said to drive its run.
fn take_over(journal: &Path) {
    let operate = |words: &[&str]| {
        let said = Command::new(env!("CARGO_BIN_EXE_operate"))
            .arg(journal)
            .args(words)
            .output()
            .unwrap();
        (
            said.status.code(),
            String::from_utf8_lossy(&said.stdout).into_owned(),
        )
    };
    let (_, status) = operate(&["status"]);
    let driven = |line: &str| line.trim().strip_prefix("driven by ").map(str::to_owned);
    let holder = status.lines().find_map(driven).unwrap();
    let because = ["--because", "it was stopped", "--by", "jon"];
    let (code, said) = operate(&[&["take-over", holder.as_str()], &because[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    println!("{said}");
}

/// Stops the first while it prepares a step, lets the second take over, and wakes the first. False where that saw for
/// itself that its lock is lost, so that the guest had nothing to refuse.
fn stopped_before(stand: &Stand, step: &str, over: Over) -> bool {
    let one = stand.file("one.db");
    if step == "stage" {
        stand.hold("sync");
    }
    let mut first = stand.start("first", "one.db", "3s");
    // What is asked of the guest to prepare the step is held, so that nothing follows before it is let go.
    let (before, jobs) = if step == "stage" {
        assert!(first.until(|| stand.is_locked()), "{}", first.said());
        stand.hold("audit");
        stand.let_go("sync");
        ("locked", 0)
    } else {
        assert!(first.until(|| stand.jobs() == 1), "{}", first.said());
        stand.hold("audit");
        ("settled stage", 1)
    };
    let last = || journal(&one).1.pop().unwrap_or_default().0;
    assert!(first.until(|| last() == before), "{}", first.said());
    first.signal("-STOP");
    // The answer arrives while it is stopped.
    stand.let_go("audit");
    thread::sleep(Duration::from_secs(1));
    assert_eq!((last().as_str(), stand.jobs()), (before, jobs));
    let uid = journal(&one).0;
    let begun_before = stand.log();

    let theirs = match over {
        Over::Guest => "two.db",
        Over::Journal => {
            take_over(&one);
            "one.db"
        }
    };
    let mut second = stand.start("second", theirs, "3s");
    let code = second.finish();
    assert_eq!(code, 0, "{}", second.said());
    let events = journal(&stand.file(theirs)).1;
    // The first holding of one who goes on with a journal is that of the one before.
    let mut locked = events.iter().filter(|(kind, _)| kind == "locked");
    let taken = locked.nth(usize::from(over == Over::Journal)).unwrap();
    let from = format!("process {} on ", first.pid());
    assert!(taken.1.contains(&from), "{}", taken.1);
    assert!(taken.1.contains(&uid), "{}", taken.1);
    println!(
        "stopped before {step}; the second took over from: {}",
        taken.1
    );
    let patched = stand.transactions();

    first.signal("-CONT");
    first.finish();
    let log = stand.log();
    println!("the guest's own log:\n{}", log.join("\n"));
    // Everything after the takeover that came with the holding of before was refused.
    let since = log
        .iter()
        .position(|line| line.contains(" taken ") && line.contains(", from "))
        .unwrap();
    assert!(log.starts_with(&begun_before[..since.min(begun_before.len())]));
    let late: Vec<&String> = log[since..]
        .iter()
        .filter(|line| line.contains(" fence=1 ") && !line.contains(" taken "))
        .collect();
    assert_eq!(stand.transactions(), patched, "{log:#?}\n{}", first.said());
    assert_eq!(patched.len(), 1, "{patched:?}");
    match over {
        Over::Guest if late.is_empty() => return false,
        Over::Guest => {}
        // Its own journal turns it away first.
        Over::Journal => assert!(
            first.said().contains("it was taken over"),
            "it never woke\n{log:#?}\n{}",
            first.said()
        ),
    }
    let refused = late
        .iter()
        .filter(|line| line.contains(" refused "))
        .count();
    assert_eq!(refused, late.len(), "the loser began something\n{log:#?}");
    println!(
        "{over:?}, {step}: {refused} of {} late begins refused, 0 effects by the loser; apt: {}",
        late.len(),
        patched.join(", ")
    );
    true
}
