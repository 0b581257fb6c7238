//! A record that was changed afterwards is found and named.

use patchcore::{
    ErrorKind,
    execute::journal::{Journal, JournalReader},
};

use super::{Directory, at, event, new_run, sql};

/// Two ended runs, with events 1 to 5 and 6 to 10, and an open one with events 11 to 15.
async fn written(directory: &Directory) {
    let journal = Journal::open(directory.journal()).unwrap();
    for number in 0..3 {
        let run = journal
            .start_run(new_run(vec![event("run", 1)]))
            .await
            .unwrap();
        let events = (2..=5).map(|tseq| event("run", tseq)).collect();
        journal.append(run, events).await.unwrap();
        if number < 2 {
            journal.close_run(run, at(9)).await.unwrap();
        }
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn the_first_changed_record_is_named() {
    let check = async |change: &str, run: u64, seq: u64| {
        let directory = Directory::new("tamper");
        written(&directory).await;
        let raw = sql(&directory.journal());
        raw.execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}"))
            .unwrap();
        drop(raw);
        let report = JournalReader::open(directory.journal())
            .unwrap()
            .verify()
            .await
            .unwrap();
        let (faulty, fault) = report
            .first_fault()
            .unwrap_or_else(|| panic!("not found: {change}"));
        assert_eq!((faulty.0, fault.seq), (run, seq), "{change}: {report}");
        // Other runs are not touched by it.
        assert_eq!(report.runs.len(), 3, "{change}: {report}");
        assert_eq!(
            report.runs.iter().filter(|run| run.fault.is_none()).count(),
            2,
            "{change}: {report}"
        );
        let error = report.into_result().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalDamaged);
        assert!(
            error
                .message()
                .contains(&format!("event {seq} of run {run}")),
            "{error:?}"
        );
    };
    check("UPDATE event SET body = '{\"n\":9}' WHERE seq = 3", 1, 3).await;
    check("UPDATE event SET at = at + 1 WHERE seq = 8", 2, 8).await;
    check("UPDATE event SET kind = 'done' WHERE seq = 7", 2, 7).await;
    check(
        "UPDATE event SET stream = 'component/a' WHERE seq = 13",
        3,
        13,
    )
    .await;
    check("UPDATE event SET tseq = 77 WHERE seq = 13", 3, 13).await;
    check("UPDATE event SET epoch = 2 WHERE seq = 15", 3, 15).await;
    check("UPDATE event SET hash = zeroblob(32) WHERE seq = 4", 1, 4).await;
    check("DELETE FROM event WHERE seq = 3", 1, 3).await;
    check("DELETE FROM event WHERE seq = 1", 1, 1).await;
    // The end, of a sealed run and of the open one.
    check("DELETE FROM event WHERE seq = 5", 1, 5).await;
    check("DELETE FROM event WHERE seq > 12", 3, 13).await;
    check(
        "DELETE FROM event WHERE seq = 5; UPDATE run SET last_seq = 4 WHERE id = 1",
        1,
        4,
    )
    .await;
    // What was added.
    let add = "INSERT INTO event SELECT 99, epoch, RUN, stream, 99, at, kind, body, hash FROM event WHERE seq = 5";
    check(&add.replace("RUN", "1"), 1, 6).await;
    check(&add.replace("RUN", "3"), 3, 16).await;
    // An event that was moved from one run to another is missed where it was.
    let two =
        "UPDATE event SET run = 1, tseq = 99 WHERE seq = 8; UPDATE event SET run = 2 WHERE seq = 8";
    check(two, 2, 8).await;
    // What the run was approved for.
    check("UPDATE run SET plan = '{}' WHERE id = 2", 2, 6).await;
    check("UPDATE run SET approvals = '[]' WHERE id = 2", 2, 6).await;
    check("UPDATE run SET plan_digest = 'x' WHERE id = 3", 3, 11).await;
    check("UPDATE run SET started_at = 0 WHERE id = 1", 1, 1).await;
    check("UPDATE run SET head_hash = zeroblob(32) WHERE id = 1", 1, 5).await;
    // A run that was removed as a whole, from the front, the middle and the end.
    let remove = "DELETE FROM event WHERE run = RUN; DELETE FROM run WHERE id = RUN";
    check(&remove.replace("RUN", "1"), 1, 1).await;
    check(&remove.replace("RUN", "2"), 2, 6).await;
    check(&remove.replace("RUN", "3"), 3, 11).await;
    // An end that was cut off together with its seal.
    let seal = "DELETE FROM event WHERE seq = 5;
        UPDATE run SET last_seq = 4, head_hash = (SELECT hash FROM event WHERE seq = 4) WHERE id = 1";
    check(seal, 1, 5).await;
}

#[tokio::test]
async fn every_run_that_was_removed_is_named() {
    let directory = Directory::new("removed");
    written(&directory).await;
    sql(&directory.journal())
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM event; DELETE FROM run WHERE id < 3")
        .unwrap();
    let report = JournalReader::open(directory.journal())
        .unwrap()
        .verify()
        .await
        .unwrap();
    let faults: Vec<_> = report
        .runs
        .iter()
        .map(|run| (run.run.0, run.fault.as_ref().unwrap().seq))
        .collect();
    assert_eq!(faults, [(1, 1), (2, 1), (3, 11)], "{report}");
}

#[tokio::test]
async fn an_untouched_journal_is_intact_and_its_heads_can_be_kept_elsewhere() {
    let directory = Directory::new("intact");
    written(&directory).await;
    let journal = Journal::open(directory.journal()).unwrap();
    let report = journal.verify().await.unwrap();
    assert!(report.is_intact(), "{report}");
    assert_eq!(
        report.runs.iter().map(|run| run.events).collect::<Vec<_>>(),
        [5, 5, 5]
    );
    let seal: Vec<u8> = sql(&directory.journal())
        .query_row("SELECT head_hash FROM run WHERE id = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    let hex: String = seal.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report.runs[0].head, hex);
}
