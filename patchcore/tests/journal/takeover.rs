//! A journal is taken over from a process that still holds it: by one, from whom was named, or not at all.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use patchcore::{
    Error, ErrorKind,
    execute::{
        Told,
        journal::{Holder, Journal, JournalReader, StoredEvent},
        kernel::{Event, RunEvent},
    },
    id::RunId,
};

use super::{Directory, child::Process, event, sql, with_run};

const BECAUSE: &str = "it does not answer";

fn seized(path: &Path, from: &Holder) -> patchcore::Result<Journal> {
    Journal::take_over(path, from, "jon", BECAUSE)
}

fn refused<T: std::fmt::Debug>(result: patchcore::Result<T>, kind: ErrorKind) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.remedy().is_some(), "no remedy: {error:?}");
    error
}

fn holder(path: &Path) -> Option<Holder> {
    JournalReader::open(path).unwrap().holder().unwrap()
}

/// The lock files that are there, without the journal's name.
fn lock_files(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix("run.db")?.to_owned())
        })
        .filter(|name| name.starts_with(".lock"))
        .collect()
}

/// The events of the run that tell of a takeover by a person.
fn takeovers(events: &[StoredEvent]) -> Vec<(u64, String, String, String)> {
    events
        .iter()
        .filter_map(|stored| match Told::read(stored.clone()).event {
            Event::Run(RunEvent::TakenOver {
                epoch,
                from,
                forced: Some(forced),
            }) => {
                assert_eq!(epoch, stored.epoch);
                Some((epoch, from.unwrap(), forced.by.to_string(), forced.reason))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn it_is_recorded_with_whom_by_whom_and_why_and_the_holder_is_fenced() {
    let directory = Directory::new("seized");
    let path = directory.journal();
    let (old, run) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    let from = old.holder().clone();
    let new = seized(&path, &from).unwrap();
    assert_eq!(new.epoch(), old.epoch() + 1);
    assert_eq!(new.opened_before(), Some(&from));
    assert_eq!((from.lock, new.holder().lock), (0, 1));
    assert_eq!(holder(&path).as_ref(), Some(new.holder()));
    assert_eq!(lock_files(&path), [".lock.1".to_owned()].into());

    let events = new.events(run, 0, 99).await.unwrap();
    assert_eq!(
        takeovers(&events),
        [(2, from.to_string(), "jon".to_owned(), BECAUSE.to_owned())]
    );
    assert_eq!((events[1].stream.as_str(), events[1].tseq), ("run", 2));

    // It learns it when it asks, and then for good.
    let named = new.holder().to_string();
    let error = refused(old.confirm().await, ErrorKind::JournalInUse);
    assert!(error.to_string().contains("epoch 2 of "), "{error:?}");
    assert!(error.to_string().contains(&named), "{error:?}");
    let append = old.append(run, vec![event("run", 3)]);
    let error = refused(append.await, ErrorKind::JournalInUse);
    assert!(error.to_string().contains("it was taken over"), "{error:?}");
    new.append(run, vec![event("run", 3)]).await.unwrap();
    new.verify().await.unwrap().into_result().unwrap();

    // Whoever opens it meets the new one, also the old one again; and then nobody, although the old one is there.
    let error = refused(Journal::open(&path), ErrorKind::JournalInUse);
    assert!(
        error.to_string().contains("already open in this process"),
        "{error:?}"
    );
    new.close().await.unwrap();
    assert_eq!(holder(&path), None);
    let next = Journal::open(&path).unwrap();
    assert_eq!((next.epoch(), next.holder().lock), (3, 1));
    refused(old.close().await, ErrorKind::JournalInUse);
    assert_eq!(holder(&path).as_ref(), Some(next.holder()));
    refused(Journal::open(&path), ErrorKind::JournalInUse);
    next.confirm().await.unwrap();
    next.verify().await.unwrap().into_result().unwrap();
}

#[tokio::test]
async fn only_who_was_named_is_taken_over_from() {
    let directory = Directory::new("named");
    let path = directory.journal();
    let somebody = Journal::in_memory().unwrap().holder().clone();
    refused(seized(&path, &somebody), ErrorKind::NotFound);
    assert_eq!(lock_files(&path), BTreeSet::new());
    assert!(!path.exists(), "whoever takes over makes no journal");

    let (first, _) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    let before = first.holder().clone();
    let others = [
        Holder {
            pid: before.pid + 1,
            ..before.clone()
        },
        Holder {
            host: "elsewhere".to_owned(),
            ..before.clone()
        },
        Holder {
            since: before.since - Duration::from_millis(1),
            ..before.clone()
        },
    ];
    for other in others {
        let error = refused(seized(&path, &other), ErrorKind::JournalInUse);
        assert!(error.to_string().contains(&before.to_string()), "{error:?}");
    }
    for (by, reason) in [("jon", " "), (" ", BECAUSE)] {
        let answer = Journal::take_over(&path, &before, by, reason);
        refused(answer, ErrorKind::InvalidInput);
    }
    first.confirm().await.unwrap();
    // The same process opened it once more since it was looked at: it lives.
    first.close().await.unwrap();
    let error = refused(seized(&path, &before), ErrorKind::JournalInUse);
    assert!(error.to_string().contains("nobody holds it"), "{error:?}");
    let again = Journal::open(&path).unwrap();
    let error = refused(seized(&path, &before), ErrorKind::JournalInUse);
    assert!(error.to_string().contains("another process"), "{error:?}");
    again.confirm().await.unwrap();
    assert_eq!(again.epoch(), 2);
    assert_eq!(lock_files(&path), [".lock".to_owned()].into());
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "rivals meet at one moment only as threads of the system"
)]
async fn of_many_who_take_over_at_once_one_has_it() {
    const RIVALS: usize = 6;
    let directory = Directory::new("rivals");
    let path = directory.journal();
    let (mut held, run) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    for round in 1..=10 {
        let (from, barrier) = (held.holder().clone(), Arc::new(Barrier::new(RIVALS + 1)));
        let rivals: Vec<_> = (0..=RIVALS)
            .map(|nth| {
                let (path, from, barrier) = (path.clone(), from.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    // One opens it as always meanwhile.
                    match nth {
                        0 => Journal::open(&path),
                        _ => seized(&path, &from),
                    }
                })
            })
            .collect();
        let mut won = Vec::new();
        for rival in rivals {
            match rival.join().unwrap() {
                Ok(journal) => won.push(journal),
                Err(error) => assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}"),
            }
        }
        let new = won.pop().expect("nobody has it");
        assert_eq!(won.len(), 0, "{} have it in round {round}", won.len() + 1);
        assert_eq!(new.epoch(), held.epoch() + 1);
        refused(held.confirm().await, ErrorKind::JournalInUse);
        held = new;
    }
    let events = held.events(run, 0, 99).await.unwrap();
    assert_eq!(takeovers(&events).len(), 10);
    held.verify().await.unwrap().into_result().unwrap();
}

/// The holder ends at the very moment at which one takes over from it and another opens the journal.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "rivals meet at one moment only as threads of the system"
)]
async fn an_opening_beside_a_takeover_leaves_one_of_both() {
    let directory = Directory::new("beside");
    let path = directory.journal();
    let (journal, _) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    journal.close().await.unwrap();
    let (mut opened, mut taken) = (0, 0);
    for round in 0..60 {
        let held = Journal::open(&path).unwrap();
        let (from, barrier) = (held.holder().clone(), Arc::new(Barrier::new(3)));
        let (at, gate, name) = (path.clone(), Arc::clone(&barrier), from.clone());
        let taking = thread::spawn(move || {
            gate.wait();
            seized(&at, &name)
        });
        let (at, gate) = (path.clone(), Arc::clone(&barrier));
        let opening = thread::spawn(move || {
            gate.wait();
            Journal::open(at)
        });
        let epoch = held.epoch();
        barrier.wait();
        thread::sleep(Duration::from_micros(round * 50));
        drop(held);
        let answers = [taking.join().unwrap(), opening.join().unwrap()];
        let all = answers.iter().flatten().count();
        assert!(all < 2, "both have it in round {round}");
        for (answer, count) in answers.into_iter().zip([&mut taken, &mut opened]) {
            match answer {
                Ok(journal) => {
                    *count += 1;
                    assert_eq!(journal.epoch(), epoch + 1);
                    journal.confirm().await.unwrap();
                    assert_eq!(holder(&path).as_ref(), Some(journal.holder()));
                    journal.close().await.unwrap();
                }
                // The holder took its name out of the lock file, and has not let go of it yet.
                Err(error) if error.kind() == ErrorKind::Busy => assert!(error.is_retryable()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}"),
            }
        }
    }
    println!(
        "{taken} takeovers and {opened} openings went through in 60 rounds, never both of one"
    );
    let journal = Journal::open(&path).unwrap();
    assert_eq!(
        takeovers(&journal.events(RunId(1), 0, 999).await.unwrap()).len(),
        taken
    );
    journal.verify().await.unwrap().into_result().unwrap();
}

/// What a takeover that was cut short leaves behind, made by hand: each alone does no harm.
#[tokio::test]
async fn what_a_cut_short_takeover_leaves_does_no_harm() {
    let directory = Directory::new("left");
    let path = directory.journal();
    let (held, _) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    let from = held.holder().clone();
    let left = |name: &str, text: &str| fs::write(directory.0.join(name), text).unwrap();
    // Before its transaction: the next lock file is there, with its name or without, and nobody has it.
    for text in [
        "",
        "{\"pid\":1,\"host\":\"gone\",\"since\":\"2026-12-07T12:00:00Z\"",
    ] {
        left("run.db.lock.1", text);
        assert_eq!(holder(&path).as_ref(), Some(&from));
        held.confirm().await.unwrap();
        refused(Journal::open(&path), ErrorKind::JournalInUse);
    }
    let new = seized(&path, &from).unwrap();
    assert_eq!(holder(&path).as_ref(), Some(new.holder()));
    // After it: the old lock file is still there, free or held by the one that was replaced.
    left("run.db.lock", "");
    refused(Journal::open(&path), ErrorKind::JournalInUse);
    new.close().await.unwrap();
    let next = Journal::open(&path).unwrap();
    assert_eq!((next.holder().lock, next.epoch()), (1, 3));
    assert_eq!(lock_files(&path), [".lock.1".to_owned()].into());
}

/// One that has the lock, and was stopped before it has opened the journal, is named by its lock file alone.
#[tokio::test]
async fn who_was_stopped_while_it_opens_can_be_taken_over_from() {
    let directory = Directory::new("opening");
    let path = directory.journal();
    let (journal, _) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    journal.close().await.unwrap();
    let stopped = Holder {
        pid: 412,
        ..Journal::in_memory().unwrap().holder().clone()
    };
    let lock = fs::File::create(directory.0.join("run.db.lock")).unwrap();
    lock.lock().unwrap();
    fs::write(
        directory.0.join("run.db.lock"),
        serde_json::to_string(&stopped).unwrap(),
    )
    .unwrap();
    assert_eq!(holder(&path).as_ref(), Some(&stopped));
    let new = seized(&path, &stopped).unwrap();
    assert_eq!(new.epoch(), 2);
    let events = new.events(RunId(1), 0, 9).await.unwrap();
    assert_eq!(takeovers(&events)[0].1, stopped.to_string());
}

#[test]
fn a_holder_that_was_stopped_in_a_commit_cannot_be_replaced_and_it_is_said_so() {
    let directory = Directory::new("commit");
    let held = Journal::open(directory.journal()).unwrap();
    // A stopped process keeps the write lock of its transaction as this one does.
    let other = sql(&directory.journal());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refused(seized(&directory.journal(), held.holder()), ErrorKind::Busy);
    assert!(error.is_retryable());
    assert!(
        error
            .remedy()
            .unwrap()
            .contains("in the middle of a commit"),
        "{error:?}"
    );
    drop(other);
    assert_eq!(
        seized(&directory.journal(), held.holder()).unwrap().epoch(),
        2
    );
}

/// Killed at any moment, a takeover has happened as a whole, or not.
#[tokio::test]
async fn a_takeover_that_is_killed_at_any_time_has_happened_or_not() {
    let directory = Directory::new("killed");
    let path = directory.journal();
    let (mut held, run) = with_run(Journal::open(&path).unwrap()).await.unwrap();
    let (mut happened, rounds) = (0, 40);
    // Each kill aims at where the last ones found the takeover, however fast the machine is.
    let mut aim = Duration::from_millis(2);
    for _ in 0..rounds {
        let mut child = Process::start("seize", &path);
        assert_eq!(child.line().as_deref(), Some("begins"));
        thread::sleep(aim);
        child.kill();
        let events = held.events(run, 0, 999).await;
        let epoch: i64 = sql(&path)
            .query_row("SELECT epoch FROM meta", [], |row| row.get(0))
            .unwrap();
        let epoch = epoch.unsigned_abs();
        if epoch == held.epoch() {
            held.confirm().await.unwrap();
            assert_eq!(holder(&path).as_ref(), Some(held.holder()));
            assert_eq!(takeovers(&events.unwrap()).len(), happened);
            aim = aim * 5 / 4 + Duration::from_micros(20);
            continue;
        }
        happened += 1;
        aim = aim * 3 / 4;
        assert_eq!(epoch, held.epoch() + 1);
        refused(held.confirm().await, ErrorKind::JournalInUse);
        assert_eq!(holder(&path), None, "its lock ended with it");
        let before = held.holder().to_string();
        held = Journal::open(&path).unwrap();
        let events = held.events(run, 0, 999).await.unwrap();
        let last = takeovers(&events).pop().unwrap();
        assert_eq!(takeovers(&events).len(), happened);
        assert_eq!((last.0, last.1), (epoch, before));
    }
    println!("{happened} of {rounds} takeovers had happened when they were killed");
    assert!(
        happened > 3 && happened < rounds - 3,
        "the kills hit one side only: {happened} of {rounds}"
    );
    held.verify().await.unwrap().into_result().unwrap();
}
