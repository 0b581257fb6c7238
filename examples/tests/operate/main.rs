//! The example `operate` against a run that a real second process drives, and against one whose process was killed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test, also in its helpers"
)]

mod driver;
mod pages;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use driver::{Driver, Keeps};
use patchcore::{SystemClock, clock::Clock as _};

/// How long a standing may be waited for; each comes within a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

struct Desk {
    folder: tempfile::TempDir,
}

/// What one call of the program said.
#[derive(Debug)]
struct Said {
    code: i32,
    text: String,
}

impl Said {
    #[track_caller]
    fn is(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        for part in parts {
            assert!(
                self.text.contains(part),
                "{part:?} is not in:\n{}",
                self.text
            );
        }
        self
    }

    #[track_caller]
    fn without(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(!self.text.contains(part), "{part:?} is in:\n{}", self.text);
        }
        self
    }
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("run.db")
    }

    fn operate(&self, words: &[&str]) -> Said {
        operate(&self.journal(), words)
    }

    /// Asks until the answer holds these words.
    #[track_caller]
    fn until(&self, words: &[&str], parts: &[&str]) -> Said {
        self.until_without(words, parts, &[])
    }

    /// Asks until the answer holds the first words and none of the others.
    #[track_caller]
    fn until_without(&self, words: &[&str], parts: &[&str], others: &[&str]) -> Said {
        let end = SystemClock.now() + PATIENCE;
        loop {
            let said = self.operate(words);
            let has = |part: &&str| said.text.contains(part);
            if parts.iter().all(has) && !others.iter().any(has) {
                return said;
            }
            assert!(
                SystemClock.now() < end,
                "{parts:?} never came, or {others:?} never went:\n{}",
                said.text
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn operate(journal: &Path, words: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_operate"))
        .arg(journal)
        .args(words)
        .env("USER", "nightshift")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said {
        code: output.status.code().unwrap(),
        text: String::from_utf8(text).unwrap(),
    }
}

#[test]
fn whoever_closes_the_pipe_early_gets_the_same_exit_code() {
    let desk = Desk::new();
    let read = desk.operate(&["status"]);
    let mut unread = Command::new(env!("CARGO_BIN_EXE_operate"))
        .arg(desk.journal())
        .arg("status")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((unread.stdout.take(), unread.stderr.take()));
    assert_eq!(unread.wait().unwrap().code(), Some(read.code));
}

#[test]
fn a_run_of_another_process_is_read_and_steered() {
    let desk = Desk::new();
    let mut driver = Driver::start(&desk.journal(), SystemClock.now());
    let driven = format!("driven by process {} on ", driver.pid());

    // In its soak it is paused and unpaused.
    desk.until(&["status"], &["waiting: soak of test until "])
        .is(
            4,
            &[
                &driven,
                "run 1 · estate night · plan ",
                "ring test: 1 of 1 back in service",
            ],
        );
    desk.operate(&[
        "pause",
        "--because",
        "the mail system is down",
        "--by",
        "jon",
    ])
    .is(
        0,
        &[
            "taken: pause",
            "paused by jon: the mail system is down · nothing new starts",
        ],
    );
    desk.operate(&["status"]).is(
        4,
        &[
            "paused by jon: the mail system is down",
            "next: unpause with a reason, or cancel",
        ],
    );
    desk.operate(&["pause", "--because", "again"]).is(
        2,
        &[
            "refused: pause: it is paused already",
            "nothing was changed",
        ],
    );
    desk.operate(&["why", "w-1"])
        .is(
            0,
            &[
                "w-1 waits for its turn",
                "paused by jon: the mail system is down",
            ],
        )
        .without(&["nobody drives"]);
    desk.operate(&["unpause", "--because", "it is back"])
        .is(0, &["unpaused by nightshift: it is back"]);

    // Its second ring waits for the right person.
    desk.until(&["status"], &["ring broad needs an approval of its own"])
        .is(
            4,
            &["only a person can make it go on", "next: approve broad"],
        );
    desk.operate(&["approve", "broad", "--by", "eve"]).is(
        2,
        &["refused: approve broad: eve may not approve ring broad"],
    );
    let held = [
        "pause-before",
        "apply",
        "w-1",
        "--because",
        "the vendor looks first",
    ];
    desk.operate(&held).is(
        0,
        &[
            "taken: pause-before apply w-1",
            "paused before apply of w-1 by nightshift: the vendor looks first",
        ],
    );
    desk.operate(&["pause-before", "reboots", "--because", "?"])
        .is(
            2,
            &[
                "one of take, reboot-first, stage, apply, reboot",
                "but found reboots",
            ],
        );
    desk.operate(&["approve", "broad", "--by", "jon"])
        .is(0, &["ring broad approved by jon: without a comment"]);

    // One component is held before a step.
    desk.until(
        &["why", "w-1"],
        &["w-1 is paused before apply of w-1 by nightshift"],
    );
    desk.until(
        &["status"],
        &["next: unpause-before apply w-1 with a reason"],
    );
    desk.operate(&["unpause-before", "apply", "w-1", "--because", "they have"])
        .is(
            0,
            &["unpaused before apply of w-1 by nightshift: they have"],
        );

    // A component that nobody else can judge.
    let status = desk.until(&["status"], &["w-2: a person must decide"]);
    status.is(
        3,
        &["next: why w-2 · resolve w-2 with a reason: adopt-done, retry, roll-back or abandon"],
    );
    desk.operate(&["why", "w-2"]).is(0, &[
        "w-2 is quarantined: a person must decide",
        "failed: the postinst script of nginx failed",
        "next: look at it, then resolve w-2 with a reason: adopt-done, retry, roll-back, abandon",
    ]);
    desk.operate(&["why"])
        .is(0, &["run 1: ", "w-2 is quarantined"]);
    desk.operate(&["ledger"]).is(
        0,
        &[
            "w-2 keeps 1 old package for the way back since ",
            "is given back when a person has decided",
        ],
    );
    desk.operate(&["resolve", "w-2", "abandon", "--because", "rebuilt by hand"])
        .is(
            0,
            &[
                "w-2  abandon by nightshift: rebuilt by hand",
                "what it owed is waived",
            ],
        );
    desk.operate(&["resolve", "w-2", "retry", "--because", "once more"])
        .is(
            2,
            &["refused: resolve w-2 retry: w-2 needs no such decision"],
        );
    desk.operate(&["resolve", "w-2", "adopt-done", "--because", "it serves"])
        .is(0, &["w-2  adopt-done by nightshift: it serves"]);
    desk.until(&["status"], &["halted: "])
        .is(1, &["next: lift-halt with a reason, or end the run"]);
    desk.operate(&["lift-halt", "--because", "w-2 had a local change"])
        .is(0, &["halt lifted by nightshift"]);

    // The next fails too, and is rolled back.
    desk.until(&["status"], &["2 failed", "halted: "])
        .is(1, &[]);
    let lift = [
        "lift-denial",
        "nginx",
        "--because",
        "it was w-3's own change",
    ];
    desk.operate(&lift).is(
        0,
        &["nginx 1.1-1 is taken off the deny-list by nightshift: it was w-3's own change"],
    );
    desk.operate(&lift).is(2, &["nothing: there are none"]);
    desk.operate(&["end", "--because", "plan again"])
        .is(0, &["brought to an end by nightshift: plan again"]);
    assert!(driver.succeeds());
    desk.operate(&["report"]).is(1, &["run 1", "halted"]);
    desk.operate(&["status"])
        .is(1, &["the run ended after its halt", "next: report"])
        .without(&["driven"]);
    desk.operate(&["audit", "verify"])
        .is(0, &["run 1: ", "intact"]);
    desk.operate(&["pause", "--because", "late"])
        .is(2, &["run 1 is over"]);
}

#[test]
fn a_run_whose_process_was_killed_is_read_and_its_commands_wait_for_the_next() {
    let desk = Desk::new();
    let began = SystemClock.now();
    let mut driver = Driver::start(&desk.journal(), began);
    let holder = format!("process {} on ", driver.pid());
    desk.until(&["status"], &["waiting: soak of test until "]);
    driver.kill();

    // Every reading word, of the journal alone.
    let nobody = format!("nobody drives it now · the journal was held last by {holder}");
    let resume = "to resume it, start the program that drives it: it goes on from its journal";
    desk.operate(&["list"])
        .is(0, &["run 1 · begun ", "4 planned = 4 not over"]);
    desk.operate(&["status"])
        .is(4, &["waiting: soak of test until ", &nobody, resume])
        .without(&["driven by", "ends about"]);
    desk.operate(&["status", "1"]).is(4, &[&nobody]);
    desk.operate(&["why", "t-1"])
        .is(0, &["t-1 is back in service and watched", &nobody]);
    desk.operate(&["why", "w-1"])
        .is(0, &["soak of test until ", &nobody, resume]);
    desk.operate(&["why"]).is(
        0,
        &["run 1: waiting until ", "waiting: soak of test until "],
    );
    desk.operate(&["ledger"])
        .is(0, &["t-1 keeps 1 old package for the way back since "]);
    desk.operate(&["report"]).is(4, &["not over"]);
    let file = desk.folder.path().join("report.json");
    desk.operate(&["report", file.to_str().unwrap()]).is(4, &[]);
    assert!(
        std::fs::read_to_string(file)
            .unwrap()
            .contains("patchcore.report/1")
    );
    desk.operate(&["audit", "verify"])
        .is(0, &["run 1: ", ", intact"]);

    // Commands wait; one that must be refused is refused at once, also by what waits before it.
    let waits = "nobody drives this run now; it is carried out first when a process resumes it";
    desk.operate(&["unpause", "--because", "x"])
        .is(2, &["refused: unpause: it is not paused"]);
    desk.operate(&["pause", "--because", "wait for jon"]).is(
        4,
        &["in the inbox, not yet taken: pause (command 1)", waits],
    );
    desk.operate(&["pause", "--because", "twice"])
        .is(2, &["it is paused already"]);
    desk.operate(&["approve", "broad", "--by", "jon"])
        .is(4, &["approve broad (command 2)"]);
    desk.operate(&["status"]).is(
        4,
        &[
            ": pause by nightshift: wait for jon",
            ": approve broad by jon: without a comment",
        ],
    );

    // Resuming is no unpausing: the next process takes the pause first.
    desk.operate(&["resume"]).is(2, &["a paused run: unpause"]);
    let mut next = Driver::start(&desk.journal(), began);
    // It takes one after the other.
    desk.until_without(
        &["status"],
        &["paused by nightshift: wait for jon"],
        &["in the inbox"],
    )
    .is(4, &[&format!("driven by process {} on ", next.pid())]);
    desk.operate(&["cancel", "--because", "the night is over"])
        .is(0, &["brought to an end by nightshift: the night is over"]);
    assert!(next.succeeds());
    desk.operate(&["status"]).is(1, &["the run was cancelled"]);
    desk.operate(&["ledger"]).is(0, &["nothing is owed"]);
}

/// A process that has the journal and answers nobody is told apart from one that drives.
#[test]
fn who_keeps_a_journal_without_driving_its_run_is_not_said_to_drive() {
    for keeps in [Keeps::Parked, Keeps::LetGo, Keeps::Untaken] {
        let desk = Desk::new();
        let began = SystemClock.now();
        if keeps == Keeps::Untaken {
            let mut driver = Driver::start(&desk.journal(), began);
            desk.until(&["status"], &["driven by process"]);
            driver.kill();
        }
        let mut keeper = Driver::that_keeps(&desk.journal(), began, keeps);
        let pid = keeper.pid();
        let nobody = format!("nobody drives it now · the journal is held by process {pid} on ");
        let resume = format!("to resume it, let process {pid} take it up again");
        desk.until(&["status"], &[&nobody, &resume])
            .without(&["driven by process"]);
        desk.operate(&["why"]).is(0, &[]);
        // What is posted says so too, and is not lost.
        desk.operate(&["pause", "--because", "wait for jon", "--patience", "1"])
            .is(
                4,
                &["in the inbox, not yet taken", &nobody, "takes the run up"],
            );
        keeper.kill();
        let mut next = Driver::start(&desk.journal(), began);
        let driven = format!("driven by process {} on ", next.pid());
        desk.until(
            &["status"],
            &[&driven, "paused by nightshift: wait for jon"],
        )
        .without(&["nobody drives", "in the inbox"]);
        next.kill();
        println!("{keeps:?}: told apart, and the command was taken by the next process");
    }
}

/// The holder is stopped, which leaves it the lock of the system; another goes on in its place.
#[test]
#[cfg(unix)]
fn a_journal_is_taken_over_from_a_process_that_was_stopped() {
    let desk = Desk::new();
    let began = SystemClock.now();
    let mut first = Driver::start(&desk.journal(), began);
    desk.until(&["status"], &["ring test: 1 of 1 back in service"]);
    first.signal("-STOP");
    let pid = first.pid();
    let status = desk.operate(&["status"]);
    let holder = status
        .text
        .lines()
        .find_map(|line| line.trim().strip_prefix("driven by "))
        .unwrap()
        .to_owned();
    assert!(
        holder.starts_with(&format!("process {pid} on ")),
        "{holder}"
    );
    desk.operate(&["pause", "--because", "does it live?", "--patience", "1"])
        .is(
            4,
            &[
                "which has not answered within 1 s",
                "end that process, or take over from it",
            ],
        );

    // It is shown from whom, and done only to who was named.
    let because = ["--because", "it does not answer"];
    let take_over = |words: &[&str]| {
        let words: Vec<&str> = ["take-over"].iter().chain(words).copied().collect();
        desk.operate(&words)
    };
    let shown = format!("take-over \"{holder}\" --because TEXT");
    take_over(&because).is(2, &["needs to be told from whom", &shown]);
    let other = holder.replace(&format!("process {pid} "), "process 1 ");
    take_over(&[&other, "--because", "x"]).is(
        2,
        &["another process holds this journal than was named", &holder],
    );
    take_over(&[&holder]).is(2, &["take-over needs a reason"]);
    desk.operate(&["status"])
        .is(4, &[&format!("driven by {holder}")]);
    take_over(&[&holder, because[0], because[1], "--by", "jon"]).is(
        0,
        &[
            &format!("taken over from {holder}: opening 2"),
            "next: start the program that drives the run",
        ],
    );
    take_over(&[&holder, because[0], because[1]]).is(2, &["nobody holds this journal"]);
    desk.operate(&["status"]).is(
        4,
        &["nobody drives it now · the journal was held last by process"],
    );

    // The command that the first one never answered is taken by the one that goes on.
    let mut next = Driver::start(&desk.journal(), began);
    let driven = format!("driven by process {} on ", next.pid());
    desk.until(
        &["status"],
        &[&driven, "paused by nightshift: does it live?"],
    );
    first.signal("-CONT");
    assert!(!first.succeeds(), "it noticed nothing");
    desk.operate(&["audit", "verify"]).is(0, &["intact"]);
    desk.operate(&["cancel", "--because", "the night is over"])
        .is(0, &["brought to an end by nightshift: the night is over"]);
    assert!(next.succeeds());
    desk.operate(&["status"]).is(1, &["the run was cancelled"]);
    desk.operate(&["audit", "verify"]).is(0, &["intact"]);
}

#[test]
fn bad_input_is_answered_with_what_was_expected() {
    let desk = Desk::new();
    let mut driver = Driver::start(&desk.journal(), SystemClock.now());
    desk.until(&["status"], &["ring test: 1 of 1 back in service"]);
    driver.kill();
    let because: &[&str] = &["--because", "x"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["status", "9"], &["there is no such run", "one of 1"]),
        (
            &["status", "one"],
            &["named by its number", "but found one"],
        ),
        (
            &["why", "w-l"],
            &["w-l is not in plan", "did you mean w-1?"],
        ),
        (&["why", "mail"], &["one of t-1, w-1 … w-3"]),
        (
            &["resolve", "w-9", "retry"],
            &[
                "w-9 is not one of this plan's components",
                "did you mean w-1?",
            ],
        ),
        (
            &["resolve", "w-1", "adopt"],
            &["one of adopt-done, retry, roll-back, abandon"],
        ),
        (
            &["resolve", "w-1"],
            &["adopt-done, retry, roll-back, abandon"],
        ),
        (
            &["approve", "brod"],
            &[
                "brod is not one of this plan's rings",
                "one of test, broad",
                "did you mean broad?",
            ],
        ),
        (
            &["approve", "test", "--by", "jon"],
            &["ring test needs no approval of its own"],
        ),
        (&["lift-denial", "nginx"], &["nothing: there are none"]),
        (&["pause", "--by"], &["--by says nothing"]),
        (
            &["pause", "--why", "x"],
            &["--run, --by, --because, --anchor or --patience"],
        ),
        (&["pause", "now"], &["a word too many"]),
        (&["audit"], &["expected  verify or anchor"]),
        (
            &["audit", "verify", "--anchor", "none.txt"],
            &["none.txt cannot be read"],
        ),
        (&["stop"], &["stop is no word of operate", "audit verify"]),
        (&["status", "--run", "x"], &["named by its number"]),
    ];
    for (words, parts) in cases {
        let words: Vec<&str> = words.iter().chain(because).copied().collect();
        desk.operate(&words).is(2, parts);
    }
    desk.operate(&["pause"])
        .is(2, &["pause needs a reason", "say --because TEXT"]);
    desk.operate(&["pause", "--because", " "])
        .is(2, &["a command needs a reason"]);
    desk.operate(&["pause", "--because", "x", "--by", ""])
        .is(2, &["say --by NAME"]);
    desk.operate(&[]).is(2, &["operate JOURNAL WORD"]);
    // Nothing of all that lies in the inbox.
    desk.operate(&["status"])
        .is(4, &[])
        .without(&["in the inbox"]);

    let at = |name: &str| desk.folder.path().join(name);
    operate(&at("none.db"), &["status"]).is(2, &["there is no such file", "check the path"]);
    assert!(!at("none.db").exists(), "whoever reads makes no journal");
    std::fs::write(
        at("text.db"),
        "this is no database, and long enough to be looked at",
    )
    .unwrap();
    operate(&at("text.db"), &["status"]).is(2, &["it is too short to be a journal"]);
    std::fs::write(at("empty.db"), "").unwrap();
    operate(&at("empty.db"), &["list"]).is(2, &["it is empty, so it is no journal"]);
    rusqlite::Connection::open(at("other.db"))
        .and_then(|c| c.execute_batch("CREATE TABLE t(a)"))
        .unwrap();
    operate(&at("other.db"), &["list"]).is(2, &["no journal of patchcore", "check the path"]);
}

/// Changes a journal as somebody with an SQLite shell would.
fn tamper(journal: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(journal).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_journal_that_was_changed_is_found_out() {
    let desk = Desk::new();
    let mut driver = Driver::start(&desk.journal(), SystemClock.now());
    desk.until(&["status"], &["ring test: 1 of 1 back in service"]);
    driver.kill();
    desk.operate(&["audit", "verify"]).is(0, &["intact"]);
    // Whoever cuts off the end and lets everything point to the new one is found only by what was kept elsewhere.
    let anchors = desk.journal().with_extension("anchors");
    let kept = desk.operate(&["audit", "anchor"]).is(0, &["\"head\":"]);
    std::fs::write(&anchors, kept.text).unwrap();
    let against = ["audit", "verify", "--anchor", anchors.to_str().unwrap()];
    desk.operate(&against).is(0, &["intact"]);
    tamper(&desk.journal(), "PRAGMA wal_checkpoint(TRUNCATE)");
    let copy = std::fs::read(desk.journal()).unwrap();
    tamper(
        &desk.journal(),
        "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event);
         UPDATE meta SET (head_seq, head_hash) = (SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1);
         PRAGMA wal_checkpoint(TRUNCATE)",
    );
    desk.operate(&["audit", "verify"]).is(0, &["intact"]);
    desk.operate(&against).is(
        3,
        &[
            "which was anchored, is missing",
            "the journal's end was cut off or lost",
        ],
    );
    std::fs::write(desk.journal(), copy).unwrap();
    tamper(
        &desk.journal(),
        "UPDATE event SET body = replace(body, 'maria', 'eve') WHERE seq = 1",
    );
    desk.operate(&["audit", "verify"]).is(3, &[
        "changed at event 1: it, or the plan, approvals or start of its run, is not as it was written",
        "compare it with a backup",
    ]);
    // What is not the chain's business is shown all the same.
    desk.operate(&["status"]).is(4, &["ring test: 1 of 1"]);
    tamper(
        &desk.journal(),
        "UPDATE plan_part SET body = replace(body, 't-1', 't-2')",
    );
    desk.operate(&["status"])
        .is(2, &["the plan of run 1 cannot be read", "another digest"]);
    desk.operate(&["list"]).is(0, &["run 1 cannot be read: "]);
    tamper(&desk.journal(), "UPDATE meta SET schema = 9");
    desk.operate(&["list"])
        .is(2, &["newer version of patchcore", "schema 2", "schema 9"]);
}
