//! Every refusal names the place, what was found and what to do, and changes nothing.

use std::{fs, path::Path, process::Command};

use patchcore::{
    Error, ErrorKind,
    execute::journal::{Journal, JournalReader},
    id::RunId,
};

use super::{Directory, child::Process, event, new_run, sql, with_run};

fn refused<T: std::fmt::Debug>(result: patchcore::Result<T>, kind: ErrorKind) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.remedy().is_some(), "no remedy: {error:?}");
    error
}

/// A closed journal with one run of some events.
async fn written(path: &Path) {
    let (journal, run) = with_run(Journal::open(path).unwrap()).await.unwrap();
    let events = (2..500).map(|tseq| event("run", tseq)).collect();
    journal.append(run, events).await.unwrap();
    journal.close().await.unwrap();
}

#[test]
fn every_opening_begins_a_new_epoch() {
    let directory = Directory::new("epoch");
    for epoch in 1..4 {
        assert_eq!(Journal::open(directory.journal()).unwrap().epoch(), epoch);
    }
    let reader = JournalReader::open(directory.journal()).unwrap();
    assert!(reader.place().ends_with("run.db"), "{}", reader.place());
}

#[test]
fn a_second_opening_in_this_process_is_refused() {
    let directory = Directory::new("twice");
    let first = Journal::open(directory.journal()).unwrap();
    let error = refused(Journal::open(directory.journal()), ErrorKind::JournalInUse);
    assert!(
        error.to_string().contains("already open in this process"),
        "{error:?}"
    );
    assert!(error.remedy().unwrap().contains("clone"), "{error:?}");
    // It is the last clone that gives the lock back.
    let clone = first.clone();
    drop(first);
    refused(Journal::open(directory.journal()), ErrorKind::JournalInUse);
    drop(clone);
    Journal::open(directory.journal()).unwrap();
}

#[test]
#[cfg(unix)]
fn two_names_of_one_journal_have_one_lock() {
    let directory = Directory::new("link");
    let _journal = Journal::open(directory.journal()).unwrap();
    let link = directory.0.join("link.db");
    std::os::unix::fs::symlink(directory.journal(), &link).unwrap();
    refused(Journal::open(link), ErrorKind::JournalInUse);
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_it() {
    let directory = Directory::new("held");
    let mut child = Process::start("hold", &directory.journal());
    assert_eq!(child.line().as_deref(), Some("ready"));
    let error = refused(Journal::open(directory.journal()), ErrorKind::JournalInUse);
    assert!(
        error
            .to_string()
            .contains(&format!("process {} on ", child.pid())),
        "{error:?}"
    );

    let holder = JournalReader::open(directory.journal())
        .unwrap()
        .holder()
        .unwrap()
        .unwrap();
    assert_eq!(holder.pid, child.pid());
    #[cfg(target_os = "linux")]
    {
        let started = holder.process_started.unwrap().as_second();
        assert!(
            (0..60).contains(&(holder.since.as_second() - started)),
            "{holder:?}"
        );
    }
    // The lock ends with its process, whatever its file says.
    child.kill();
    assert_eq!(
        JournalReader::open(directory.journal())
            .unwrap()
            .holder()
            .unwrap(),
        None
    );
    let journal = Journal::open(directory.journal()).unwrap();
    assert_eq!(journal.epoch(), 2);
    assert_eq!(journal.opened_before(), Some(&holder));
    assert_eq!(Journal::in_memory().unwrap().opened_before(), None);
    assert_eq!(
        JournalReader::open(directory.journal())
            .unwrap()
            .holder()
            .unwrap()
            .unwrap()
            .pid,
        std::process::id()
    );
}

#[tokio::test]
async fn a_journal_belongs_to_the_estate_that_used_it_first() {
    let directory = Directory::new("estate");
    let journal = Journal::open(directory.journal()).unwrap();
    assert_eq!(journal.estate(), None);
    journal.bind(&"dc-north".into()).await.unwrap();
    journal.bind(&"dc-north".into()).await.unwrap();
    let error = refused(
        journal.bind(&"dc-south".into()).await,
        ErrorKind::JournalForeign,
    );
    assert!(
        error
            .to_string()
            .ends_with("expected estate dc-south but found estate dc-north"),
        "{error:?}"
    );
    drop(journal);
    let journal = Journal::open(directory.journal()).unwrap();
    assert_eq!(journal.estate(), Some("dc-north".into()));
    refused(
        journal.bind(&"dc-south".into()).await,
        ErrorKind::JournalForeign,
    );
    // The refusal is no failure of the journal.
    journal.start_run(new_run(vec![])).await.unwrap();
}

#[tokio::test]
async fn a_newer_journal_is_refused_and_not_changed() {
    let directory = Directory::new("newer");
    written(&directory.journal()).await;
    sql(&directory.journal())
        .execute("UPDATE meta SET schema = 3", [])
        .unwrap();
    let error = refused(Journal::open(directory.journal()), ErrorKind::JournalNewer);
    assert!(
        error
            .to_string()
            .ends_with("expected schema 2 but found schema 3"),
        "{error:?}"
    );
    refused(
        JournalReader::open(directory.journal()),
        ErrorKind::JournalNewer,
    );
    let epoch: i64 = sql(&directory.journal())
        .query_row("SELECT epoch FROM meta", [], |row| row.get(0))
        .unwrap();
    assert_eq!(epoch, 1);
}

#[test]
fn what_is_no_journal_is_refused_and_not_changed() {
    let directory = Directory::new("foreign");
    let other = directory.0.join("other.db");
    sql(&other)
        .execute_batch("CREATE TABLE customers(name TEXT)")
        .unwrap();
    let text = directory.0.join("notes.txt");
    fs::write(&text, "no database ".repeat(1000)).unwrap();
    let short = directory.0.join("short.txt");
    fs::write(&short, "x").unwrap();
    // As long as what a kill leaves of a journal that was being made.
    let page = directory.0.join("page.txt");
    fs::write(&page, "no database ".repeat(100)).unwrap();
    for path in [other.clone(), text, short, page] {
        let before = fs::read(&path).unwrap();
        let error = refused(Journal::open(&path), ErrorKind::JournalDamaged);
        assert_eq!(
            error.message().contains("no journal of patchcore"),
            path == other,
            "{error:?}"
        );
        refused(JournalReader::open(&path), ErrorKind::JournalDamaged);
        assert_eq!(fs::read(&path).unwrap(), before, "{path:?} was changed");
    }
    assert_eq!(
        fs::read_dir(&directory.0).unwrap().count(),
        4,
        "something was left beside them"
    );
}

#[test]
fn an_empty_file_becomes_a_journal_but_cannot_be_read_as_one() {
    let directory = Directory::new("empty");
    fs::write(directory.journal(), "").unwrap();
    refused(
        JournalReader::open(directory.journal()),
        ErrorKind::JournalDamaged,
    );
    assert_eq!(Journal::open(directory.journal()).unwrap().epoch(), 1);
}

/// What a kill leaves in the moment between the first page and the end of the rollback journal that protects it.
#[test]
fn a_journal_whose_making_was_cut_short_is_made_anew() {
    let directory = Directory::new("half-made");
    let raw = sql(&directory.journal());
    raw.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    })
    .unwrap();
    drop(raw);
    assert_eq!(fs::metadata(directory.journal()).unwrap().len(), 4096);
    // The form of it stands in SQLite's file format, section 3: no page was there before, so none is kept.
    let mut rollback = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0_u32, 7, 0, 512, 4096] {
        rollback.extend(number.to_be_bytes());
    }
    rollback.resize(512, 0);
    fs::write(directory.0.join("run.db-journal"), rollback).unwrap();
    assert_eq!(Journal::open(directory.journal()).unwrap().epoch(), 1);
    assert_eq!(Journal::open(directory.journal()).unwrap().epoch(), 2);
}

#[test]
fn a_journal_that_cannot_be_there_is_refused() {
    let directory = Directory::new("path");
    refused(
        Journal::open(directory.0.join("missing/run.db")),
        ErrorKind::NotFound,
    );
    refused(Journal::open(&directory.0), ErrorKind::InvalidInput);
    refused(
        JournalReader::open(directory.journal()),
        ErrorKind::NotFound,
    );
    assert_eq!(
        fs::read_dir(&directory.0).unwrap().count(),
        0,
        "something was left behind"
    );
}

#[tokio::test]
async fn damage_is_found_or_does_no_harm() {
    let directory = Directory::new("damage");
    let path = directory.journal();
    written(&path).await;
    let read = async || {
        let journal = Journal::open(&path)?;
        let run = journal.runs().await?.pop();
        let events = journal.events(RunId(1), 0, usize::MAX).await?;
        let of_kind = journal.events_of_kinds(&["stepped"]).await?;
        journal.verify().await?.into_result()?;
        Ok::<_, Error>((run, events, of_kind))
    };
    let before = read().await.unwrap();
    assert_eq!(before.1.len(), 499);
    let sound = fs::read(&path).unwrap();
    let page = 4096;
    assert!(sound.len() > 10 * page, "the events take several pages");
    let mut found = 0;
    // The header, the list of tables, and each page of the rest.
    for from in (0..sound.len()).step_by(page) {
        for (offset, size) in [(from, 16), (from, page), (from + 8, 40), (from + 2000, 100)] {
            let mut bytes = sound.clone();
            bytes[offset..offset + size].fill(0x5a);
            fs::write(&path, &bytes).unwrap();
            match read().await {
                // A part of a page that holds nothing may be overwritten.
                Ok(after) => assert!(
                    after == before,
                    "damage of {size} bytes at {offset} was not found"
                ),
                Err(error) => {
                    assert_eq!(
                        error.kind(),
                        ErrorKind::JournalDamaged,
                        "{size} bytes at {offset}: {error:?}"
                    );
                    found += 1;
                }
            }
        }
    }
    assert!(
        found > sound.len() / page * 2,
        "only {found} damages were found"
    );
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_at_opening() {
    let directory = Directory::new("cut");
    written(&directory.journal()).await;
    sql(&directory.journal())
        .execute("DELETE FROM event WHERE seq = 499", [])
        .unwrap();
    let error = refused(
        Journal::open(directory.journal()),
        ErrorKind::JournalDamaged,
    );
    assert!(error.to_string().contains("event 499"), "{error:?}");
}

/// The disk is a file system of 1 MiB in memory, in a mount namespace of its own.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let directory = Directory::new("full");
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$0\"";
    let possible = Command::new("unshare")
        .args(["-Urm", "sh", "-c", mount])
        .arg(&directory.0)
        .output();
    if let Some(reason) = match possible {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    } {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "no small disk can be made: {reason}"
        );
        eprintln!("skipped: no small disk can be made with unshare: {reason}");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["-Urm", "sh", "-c", &format!("{mount} && exec \"$@\"")])
        .arg(&directory.0)
        .arg(program);
    let child = Process::spawn(command.args(Process::ARGS), "fill", &directory.journal());
    let (told, succeeded) = child.finish();
    assert!(succeeded && told.contains("kept "), "{told}");
}
