//! What becomes of a journal whose files are damaged: each case is recovered, or refused with which error.
//!
//! The table that comes out is the one of `docs/evidence/journal.md`; a test compares them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use patchcore::{
    Error, ErrorKind,
    execute::journal::{Anchor, Journal, JournalReader},
    id::RunId,
};

use super::{Directory, child::Process, event, new_run, sql};

const FRAME: usize = 24 + 4096;
const HEADER: usize = 32;
/// How many appends the log holds; the file itself holds the three before them.
const APPENDS: u64 = 10;
const BEFORE: u64 = 3;

/// The files of a journal as a power cut leaves them: nothing of the log is in the file yet.
struct Image {
    file: Vec<u8>,
    log: Vec<u8>,
    anchor: Anchor,
}

impl Image {
    async fn taken(directory: &Directory) -> Self {
        let path = directory.journal();
        let journal = Journal::open(&path).unwrap();
        let run = journal
            .start_run(new_run(vec![event("run", 1)]))
            .await
            .unwrap();
        for tseq in 2..=BEFORE {
            journal.append(run, vec![event("run", tseq)]).await.unwrap();
        }
        journal.close().await.unwrap();
        let journal = Journal::open(&path).unwrap();
        for tseq in BEFORE + 1..=BEFORE + APPENDS {
            journal.append(run, vec![event("run", tseq)]).await.unwrap();
        }
        let anchor = journal.anchor().await.unwrap().unwrap();
        let (file, log) = (
            fs::read(&path).unwrap(),
            fs::read(directory.0.join("run.db-wal")).unwrap(),
        );
        journal.close().await.unwrap();
        Self { file, log, anchor }
    }

    fn frames(&self) -> usize {
        (self.log.len() - HEADER) / FRAME
    }

    /// How many commits lie within the first frames. A frame that ends one says how many pages the file has.
    fn commits(&self, frames: usize) -> u64 {
        let ends = |frame: &usize| {
            let at = HEADER + frame * FRAME + 4;
            self.log[at..at + 4] != [0; 4]
        };
        u64::try_from((0..frames).filter(ends).count()).unwrap()
    }

    /// How many events there must be after so many frames; the first commit is that of the opening.
    fn events(&self, frames: usize) -> u64 {
        BEFORE + self.commits(frames).saturating_sub(1)
    }

    /// Lays it down, with this log, for a journal to be opened.
    fn put(&self, path: &Path, file: &[u8], log: Option<&[u8]>) {
        for ending in ["", "-wal", "-shm", ".lock"] {
            let _ = fs::remove_file(format!("{}{ending}", path.display()));
        }
        fs::write(path, file).unwrap();
        if let Some(log) = log {
            fs::write(format!("{}-wal", path.display()), log).unwrap();
        }
    }
}

/// What is left, if it can be opened: how many events, in which opening, and whether the anchor finds that an end is lost.
async fn left(path: &Path, anchor: &Anchor) -> Result<(u64, u64, bool), Error> {
    let journal = Journal::open(path)?;
    let events = journal.events(RunId(1), 0, usize::MAX).await?;
    for (event, nth) in events.iter().zip(1..) {
        assert_eq!(
            (event.seq, event.tseq),
            (nth, nth),
            "a gap, or a torn append"
        );
    }
    journal.verify().await?.into_result()?;
    let report = journal.verify_against(std::slice::from_ref(anchor)).await?;
    let lost = report
        .first_fault()
        .is_some_and(|(_, fault)| fault.what.contains("cut off or lost"));
    let epoch = journal.epoch();
    // What is left can be gone on with.
    journal.append(RunId(1), vec![event("more", 1)]).await?;
    journal.close().await?;
    Ok((events.len() as u64, epoch, lost))
}

/// Rows of the table: a case, and what becomes of it.
#[derive(Default)]
struct Table(Vec<(&'static str, String)>);

impl Table {
    fn row(&mut self, case: &'static str, outcome: impl Into<String>) {
        self.0.push((case, outcome.into()));
    }

    fn refused<T: std::fmt::Debug>(&mut self, case: &'static str, result: Result<T, Error>) {
        let error = result.unwrap_err();
        assert!(error.remedy().is_some(), "{case}: no remedy: {error:?}");
        let said = error.to_string();
        // Paths differ from run to run.
        let said = said
            .split_once(": ")
            .map_or(said.as_str(), |(_, said)| said)
            .to_owned();
        self.row(case, format!("refused, `{:?}`: {said}", error.kind()));
    }
}

/// Some places, and in the long form of the tests more.
fn places(always: &[usize], full: &[usize]) -> Vec<usize> {
    let full = if std::env::var_os("PATCHCORE_FULL").is_some_and(|v| v == "1") {
        full
    } else {
        &[]
    };
    [always, full].concat()
}

const LOST: &str = "opens; every append whose commit lies before it is there and no other, none torn; what is lost only an anchor shows";

#[tokio::test]
async fn a_log_that_is_cut_or_damaged_loses_its_end_and_nothing_else() {
    let mut table = Table::default();
    let directory = Directory::new("log");
    let image = Image::taken(&directory).await;
    let path = directory.0.join("cut.db");
    let frames = image.frames();
    assert!(
        image.commits(frames) == APPENDS + 1 && frames > 20,
        "{frames} frames"
    );
    let check = async |log: Option<&[u8]>, whole: usize, case: &str| {
        image.put(&path, &image.file, log);
        let (events, epoch, lost) = left(&path, &image.anchor)
            .await
            .unwrap_or_else(|e| panic!("{case}: {e:?}"));
        assert_eq!(events, image.events(whole), "{case}");
        assert_eq!(
            lost,
            events < BEFORE + APPENDS,
            "{case}: an anchor tells exactly what is lost"
        );
        // The opening that was lost is counted again.
        assert_eq!(
            epoch,
            if image.commits(whole) == 0 { 2 } else { 3 },
            "{case}"
        );
    };
    for whole in 0..=frames {
        let end = HEADER + whole * FRAME;
        check(
            Some(&image.log[..end]),
            whole,
            &format!("cut after {whole} frames"),
        )
        .await;
    }
    table.row("log cut at a frame boundary (every one)", LOST);
    for whole in 0..frames {
        for more in places(&[24, 2000], &[1, FRAME - 1]) {
            let end = HEADER + whole * FRAME + more;
            check(
                Some(&image.log[..end]),
                whole,
                &format!("cut {more} bytes into frame {whole}"),
            )
            .await;
        }
    }
    table.row("log cut in mid-frame (every one)", LOST);
    let mut flips = 0;
    for frame in 0..frames {
        // Page number, salt, checksum, and the page itself.
        for place in places(&[9, 17, 2000], &[3, 24, FRAME - 1]) {
            let mut log = image.log.clone();
            log[HEADER + frame * FRAME + place] ^= 0x10;
            check(
                Some(&log),
                frame,
                &format!("byte {place} of frame {frame} flipped"),
            )
            .await;
            flips += 1;
        }
    }
    assert!(flips > 60, "{flips}");
    table.row(
        "a byte flipped in the log (in every frame: header, checksum, page)",
        LOST,
    );
    for place in [0, 9, 17, 25] {
        let mut log = image.log.clone();
        log[place] ^= 0x10;
        check(
            Some(&log),
            0,
            &format!("byte {place} of the log's header flipped"),
        )
        .await;
    }
    table.row(
        "header of the log flipped",
        "opens as it was when the log was last written back; what is lost only an anchor shows",
    );
    check(None, 0, "log removed").await;
    table.row(
        "log (`-wal`) removed",
        "opens as it was when the log was last written back; what is lost only an anchor shows, and the opening is counted again",
    );
    // The index of the log is made anew in every check above; here it is a wrong one.
    image.put(&path, &image.file, Some(&image.log));
    fs::write(directory.0.join("cut.db-shm"), vec![0x5a; 32768]).unwrap();
    let (events, _, lost) = left(&path, &image.anchor).await.unwrap();
    assert_eq!((events, lost), (BEFORE + APPENDS, false));
    table.row("`-shm` removed or overwritten", "opens; nothing is lost");
    documented(&table);
}

#[tokio::test]
async fn a_file_that_is_damaged_is_refused_or_named() {
    let mut table = Table::default();
    let directory = Directory::new("file");
    let image = Image::taken(&directory).await;
    let sound = fs::read(directory.journal()).unwrap();
    let path = directory.0.join("damaged.db");
    let pages = sound.len() / 4096;
    for (case, pages) in [
        ("first page overwritten", 0..1),
        ("any other page overwritten", 1..pages),
    ] {
        let mut said = None;
        for page in pages {
            let mut bytes = sound.clone();
            bytes[page * 4096..(page + 1) * 4096].fill(0x5a);
            image.put(&path, &bytes, None);
            let error = left(&path, &image.anchor).await.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::JournalDamaged,
                "page {page}: {error:?}"
            );
            said = Some(error.kind());
        }
        table.row(
            case,
            format!(
                "refused, `{:?}`, by the opening, the reading or `audit verify`",
                said.unwrap()
            ),
        );
    }
    let changed = [
        (
            "a record changed",
            "UPDATE event SET body = '{}' WHERE seq = 4",
            true,
        ),
        ("a record removed", "DELETE FROM event WHERE seq = 4", true),
        (
            "a record added",
            "INSERT INTO event SELECT 99, epoch, run, stream, 99, at, kind, body, hash FROM event WHERE seq = 4",
            false,
        ),
        (
            "a run removed as a whole",
            "PRAGMA foreign_keys = OFF; DELETE FROM event; DELETE FROM run; UPDATE meta SET head_hash = NULL",
            false,
        ),
        (
            "the head moved",
            "UPDATE meta SET head_seq = head_seq - 1",
            false,
        ),
        (
            "the newest record removed",
            "DELETE FROM event WHERE seq = 13",
            false,
        ),
    ];
    for (case, change, opens) in changed {
        image.put(&path, &sound, None);
        sql(&path).execute_batch(change).unwrap();
        let verified = JournalReader::open(&path)
            .unwrap()
            .verify()
            .await
            .unwrap()
            .into_result()
            .unwrap_err();
        assert_eq!(verified.kind(), ErrorKind::JournalDamaged, "{case}");
        let what = verified
            .message()
            .split_once("it was changed at ")
            .unwrap()
            .1
            .to_owned();
        match Journal::open(&path) {
            Ok(_) if opens => table.row(case, format!("opens; `audit verify` names it: {what}")),
            Err(error) if !opens => {
                assert_eq!(error.kind(), ErrorKind::JournalDamaged, "{case}: {error:?}");
                table.row(
                    case,
                    format!("refused, `JournalDamaged`; `audit verify` names it: {what}"),
                );
            }
            other => panic!("{case}: {other:?}"),
        }
    }
    fs::write(&path, "no database ".repeat(1000)).unwrap();
    table.refused("a text in its place", Journal::open(&path));
    fs::remove_file(&path).unwrap();
    sql(&path)
        .execute_batch("CREATE TABLE customers(name TEXT)")
        .unwrap();
    table.refused("another SQLite database in its place", Journal::open(&path));
    image.put(&path, &sound, None);
    sql(&path)
        .execute("UPDATE meta SET schema = 99", [])
        .unwrap();
    table.refused("written by a newer version", Journal::open(&path));
    table.refused("a directory in its place", Journal::open(&directory.0));
    fs::write(&path, "").unwrap();
    table.refused("an empty file, for who reads", JournalReader::open(&path));
    assert_eq!(Journal::open(&path).unwrap().epoch(), 1);
    table.row("an empty file, for who writes", "becomes a new journal");
    documented(&table);
}

#[tokio::test]
async fn a_lock_that_was_removed_fences_who_held_it() {
    let directory = Directory::new("lock-removed");
    let path = directory.journal();
    let first = Journal::open(&path).unwrap();
    let run = first
        .start_run(new_run(vec![event("run", 1)]))
        .await
        .unwrap();
    fs::remove_file(directory.0.join("run.db.lock")).unwrap();
    let second = Journal::open(&path).unwrap();
    let mut table = Table::default();
    for result in [
        first.confirm().await,
        first.append(run, vec![event("run", 2)]).await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::JournalInUse);
    }
    second.append(run, vec![event("run", 2)]).await.unwrap();
    assert!(second.verify().await.unwrap().is_intact());
    table.row(
        "`.lock` removed while it is held",
        "a second process gets in; the first is refused, `JournalInUse`, before its next begin and at its next commit",
    );
    documented(&table);
}

/// Runs a role of the child in namespaces of its own; none where none can be had.
fn apart(role: &str, path: &Path, flags: &str, prepare: &str, at: &Path) -> Option<String> {
    let possible = Command::new("unshare")
        .args([flags, "sh", "-c", prepare])
        .arg(at)
        .output();
    if let Some(reason) = match possible {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    } {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "no namespace can be had: {reason}"
        );
        eprintln!("skipped: no namespace can be had with unshare: {reason}");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args([flags, "sh", "-c", &format!("{prepare} && exec \"$@\"")])
        .arg(at)
        .arg(std::env::current_exe().unwrap());
    let (told, succeeded) = Process::spawn(command.args(Process::ARGS), role, path).finish();
    assert!(succeeded, "{told}");
    Some(told)
}

/// What a role of the child has told behind a word.
fn word<'a>(told: &'a str, word: &str) -> &'a str {
    let found = told.lines().find_map(|line| line.strip_prefix(word));
    assert!(found.is_some(), "{word} is not in {told}");
    found.unwrap_or_default().trim()
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_disk_that_became_read_only_is_told() {
    let directory = Directory::new("read-only");
    let image = Image::taken(&directory).await;
    image.put(&directory.journal(), &image.file, Some(&image.log));
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
    let Some(told) = apart("touch", &directory.journal(), "-Urm", mount, &directory.0) else {
        return;
    };
    let mut table = Table::default();
    table.row(
        "on a read-only disk, for who writes",
        word(&told, "writer: "),
    );
    table.row(
        "on a read-only disk, for who reads",
        word(&told, "reader: "),
    );
    documented(&table);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_journal_that_was_copied_names_the_process_and_host_it_came_from() {
    let directory = Directory::new("copied");
    let image = Image::taken(&directory).await;
    // The first goes on to hold its own file.
    let first = Journal::open(directory.journal()).unwrap();
    let elsewhere: PathBuf = directory.0.join("elsewhere.db");
    image.put(&elsewhere, &image.file, Some(&image.log));
    let host = "printf other-host > /proc/sys/kernel/hostname";
    let Some(told) = apart("touch", &elsewhere, "-Uru", host, &directory.0) else {
        return;
    };
    let here = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let before = word(&told, "before: ");
    assert!(
        before.starts_with(&format!(
            "process {} on {} since ",
            std::process::id(),
            here.trim()
        )),
        "{told}"
    );
    assert_eq!(word(&told, "from: "), before);
    let now = word(&told, "holder: ");
    assert!(now.contains(" on other-host since "), "{told}");
    assert_eq!(word(&told, "writer: "), "opens");
    // Both count the same opening: a number alone tells nobody who is the newer one.
    assert_eq!(word(&told, "epoch: "), first.epoch().to_string());
    let mut table = Table::default();
    table.row(
        "copied to another host while the first goes on",
        "opens; the run says from which process and host it was taken over; both count the same opening, so targets need a key or a lock of their own",
    );
    documented(&table);
}

/// Whether the page shows what was seen.
fn documented(table: &Table) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/evidence/journal.md");
    let page = fs::read_to_string(page).unwrap_or_default();
    let rows: Vec<String> = table
        .0
        .iter()
        .map(|(case, outcome)| format!("| {case} | {outcome} |"))
        .collect();
    println!("{}", rows.join("\n"));
    let missing: Vec<&String> = rows
        .iter()
        .filter(|row| !page.lines().any(|line| line == **row))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/evidence/journal.md lacks:\n{missing:#?}"
    );
}
