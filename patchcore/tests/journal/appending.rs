//! Appending: all or nothing, in order, in groups, never through a handle that was taken over.

use futures_util::future::{join, join_all};
use patchcore::{
    ErrorKind,
    execute::journal::{Journal, JournalReader},
    id::RunId,
};
use serde_json::json;

use super::{Directory, at, event, everywhere, new_run, sql, with_run};

#[tokio::test]
async fn what_goes_in_comes_out_also_from_memory() {
    let directory = Directory::new("same");
    for (kind, journal) in everywhere(&directory) {
        println!("{kind}");
        let (journal, run) = with_run(journal).await.unwrap();
        let mut odd = event("component/wéb \"1\"\n", 9_000_000_000);
        odd.at = "2026-12-14T22:00:04.123456789Z".parse().unwrap();
        odd.body = json!({"b": [1.1e-7, null, u64::MAX], "a": {"ü": "\u{0}"}});
        let seqs = journal
            .append(run, vec![odd.clone(), event("run", 2)])
            .await
            .unwrap();
        assert_eq!(seqs, [2, 3]);
        let events = journal.events(run, 1, 10).await.unwrap();
        assert_eq!(
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            [2, 3]
        );
        let stored = &events[0];
        assert_eq!(
            (
                &stored.stream,
                stored.tseq,
                stored.at,
                &stored.kind,
                &stored.body,
                stored.epoch,
                stored.run
            ),
            (&odd.stream, odd.tseq, odd.at, &odd.kind, &odd.body, 1, run)
        );
        assert_eq!(journal.events(run, 0, 2).await.unwrap().len(), 2);
        assert!(journal.events(RunId(9), 0, 2).await.unwrap().is_empty());

        let row = journal.open_run().await.unwrap().unwrap();
        let new = new_run(vec![]);
        assert_eq!(
            (&row.plan, &row.approvals, &row.plan_digest),
            (&new.plan, &new.approvals, &new.plan_digest)
        );
        assert_eq!(
            (row.started_at, row.first_seq, row.is_open()),
            (at(0), 1, true)
        );
        assert!(journal.verify().await.unwrap().into_result().unwrap().runs[0].events == 3);
    }
}

#[tokio::test]
async fn one_run_is_open_and_an_ended_one_is_sealed() {
    let directory = Directory::new("one_run_is_open_and_an_e");
    for (kind, journal) in everywhere(&directory) {
        println!("{kind}");
        let (journal, first) = with_run(journal).await.unwrap();
        let error = journal
            .start_run(new_run(vec![event("run", 1)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RunOpen);
        assert_eq!(error.facts(), [("run", first.to_string())]);
        journal
            .append_and_close(first, vec![event("run", 2)], &[], at(9))
            .await
            .unwrap();
        assert_eq!(journal.open_run().await.unwrap(), None);
        let row = journal.run(first).await.unwrap().unwrap();
        assert_eq!((row.ended_at, row.last_seq), (Some(at(9)), Some(2)));

        for (run, kind) in [
            (first, ErrorKind::InvalidInput),
            (RunId(7), ErrorKind::NotFound),
        ] {
            let error = journal
                .append(run, vec![event("run", 3)])
                .await
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert_eq!(
                journal.close_run(run, at(9)).await.unwrap_err().kind(),
                kind
            );
        }
        let second = journal
            .start_run(new_run(vec![event("run", 1)]))
            .await
            .unwrap();
        assert_eq!(second, RunId(2));
        journal.close_run(second, at(10)).await.unwrap();
        let runs = journal.runs().await.unwrap();
        assert_eq!(
            runs.iter()
                .map(|run| (run.id.0, run.first_seq))
                .collect::<Vec<_>>(),
            [(1, 1), (2, 3)]
        );
        assert_eq!(journal.events(first, 0, 99).await.unwrap().len(), 2);
        assert_eq!(
            journal
                .events_of_kinds(&["stepped", "other"])
                .await
                .unwrap()
                .len(),
            3
        );
        assert!(
            journal
                .events_of_kinds(&["other"])
                .await
                .unwrap()
                .is_empty()
        );
        assert!(journal.events_of_kinds(&[]).await.unwrap().is_empty());
        assert!(journal.verify().await.unwrap().is_intact());
    }
}

#[tokio::test]
async fn an_append_with_a_place_that_is_taken_records_nothing() {
    let directory = Directory::new("an_append_with_a_place_t");
    for (kind, journal) in everywhere(&directory) {
        println!("{kind}");
        let (journal, run) = with_run(journal).await.unwrap();
        let events = vec![event("run", 2), event("run", 1)];
        let error = journal.append(run, events).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalInUse);
        assert!(
            error.message().contains("event 1 in stream \"run\""),
            "{error:?}"
        );
        let twice = vec![event("run", 2), event("run", 2)];
        journal.append(run, twice).await.unwrap_err();
        // The place is still free, and the chain goes on where it was.
        assert_eq!(
            journal.append(run, vec![event("run", 2)]).await.unwrap(),
            [2]
        );
        assert_eq!(journal.events(run, 0, 9).await.unwrap().len(), 2);
        assert!(journal.verify().await.unwrap().is_intact());
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused() {
    let directory = Directory::new("what_cannot_be_recorded_");
    for (kind, journal) in everywhere(&directory) {
        println!("{kind}");
        let (journal, run) = with_run(journal).await.unwrap();
        let mut nameless = event("run", 2);
        nameless.kind.clear();
        let mut late = event("run", 2);
        late.at = "2500-01-01T00:00:00Z".parse().unwrap();
        let mut deep = event("run", 2);
        deep.body = (0..200).fold(json!(1), |inner, _| json!([inner]));
        let mut far = event("run", 2);
        far.tseq = u64::MAX;
        for bad in [nameless, late, far, event("", 2), deep] {
            let events = vec![event("run", 3), bad];
            let error = journal.append(run, events).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        }
        assert_eq!(journal.events(run, 0, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_comes_at_once_is_committed_together() {
    let directory = Directory::new("group");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let before = journal.stats();
    // While another program writes, the journal's writer waits for it, and everything else gathers.
    let other = sql(&directory.journal());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appends = (0..1000).map(|n| {
        let journal = &journal;
        // One of them is refused, and takes none of the others with it.
        let tseq = if n == 500 { 1 } else { n + 2 };
        async move { journal.append(run, vec![event("run", tseq)]).await }
    });
    let release = async { other.execute_batch("COMMIT").unwrap() };
    // The release comes when every append has been asked for: without the budget of a tokio task
    // the first poll asks for them all.
    let (results, ()) = tokio::task::unconstrained(join(join_all(appends), release)).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert_eq!(
        results[500].as_ref().unwrap_err().kind(),
        ErrorKind::JournalInUse
    );
    let after = journal.stats();
    assert_eq!(after.events - before.events, 999);
    assert!(after.commits - before.commits <= 3, "{after:?}");
    let mut seqs: Vec<u64> = results
        .into_iter()
        .filter_map(Result::ok)
        .flatten()
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=1000).collect::<Vec<_>>());
    assert!(journal.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn a_program_that_keeps_the_journal_locked_is_named_and_can_be_waited_for() {
    let directory = Directory::new("busy");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let other = sql(&directory.journal());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = journal
        .append(run, vec![event("run", 2)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.is_retryable());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(
        journal.append(run, vec![event("run", 2)]).await.unwrap(),
        [2]
    );
    assert_eq!(journal.events(run, 0, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_cursor_sees_everything_in_order() {
    let directory = Directory::new("cursor");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let reader = JournalReader::open(directory.journal()).unwrap();
    let cursor = async {
        let (mut seen, mut committed) = (Vec::new(), journal.committed());
        while seen.len() < 801 {
            let after = seen.last().copied().unwrap_or(0);
            let next = journal.events(run, after, 7).await.unwrap();
            if next.is_empty() {
                committed.wait_for(|head| *head > after).await.unwrap();
            }
            seen.extend(next.into_iter().map(|event| event.seq));
        }
        seen
    };
    let appends = join_all((0..8).map(|stream| {
        let journal = &journal;
        async move {
            for tseq in 0..100 {
                journal
                    .append(run, vec![event(&format!("s{stream}"), tseq)])
                    .await
                    .unwrap();
            }
        }
    }));
    let (seen, _) = join(cursor, appends).await;
    assert_eq!(seen, (1..=801).collect::<Vec<_>>());
    assert_eq!(reader.head().await.unwrap(), 801);
    assert_eq!(reader.events(run, 790, 99).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_handle_that_was_taken_over_never_writes_again() {
    let directory = Directory::new("fence");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let raw = sql(&directory.journal());
    raw.execute("UPDATE meta SET epoch = epoch + 1", [])
        .unwrap();
    let error = journal
        .append(run, vec![event("run", 3)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}");
    assert!(
        error
            .to_string()
            .contains("expected epoch 1 but found epoch 2"),
        "{error:?}"
    );
    // Not even if everything looks as before.
    raw.execute("UPDATE meta SET epoch = 1", []).unwrap();
    let error = journal
        .append(run, vec![event("run", 3)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}");
    assert!(journal.close().await.is_err());
    let count: i64 = raw
        .query_row("SELECT count(*) FROM event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1, "something was written after the fence");
}

#[tokio::test]
async fn a_handle_that_was_taken_over_is_told_before_it_begins_anything() {
    let directory = Directory::new("confirm");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let before = journal.stats();
    journal.confirm().await.unwrap();
    assert_eq!(journal.stats(), before, "to confirm writes nothing");
    let raw = sql(&directory.journal());
    raw.execute("UPDATE meta SET epoch = epoch + 1", [])
        .unwrap();
    let error = journal.confirm().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}");
    // Not even if everything looks as before: whoever was replaced once stays replaced.
    raw.execute("UPDATE meta SET epoch = 1", []).unwrap();
    assert!(journal.confirm().await.is_err());
    let error = journal
        .append(run, vec![event("run", 2)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalInUse, "{error:?}");
}

#[tokio::test]
async fn people_can_read_it_with_any_tool() {
    let directory = Directory::new("views");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    journal.append(run, vec![event("run", 2)]).await.unwrap();
    let line = |sql: &str, raw: &rusqlite::Connection| -> String {
        raw.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let raw = sql(&directory.journal());
    let events = "SELECT seq || ' ' || time || ' ' || stream || ' ' || kind || ' ' || body FROM v_events WHERE seq = 2";
    assert_eq!(
        line(events, &raw),
        r#"2 2027-01-15T08:00:02.000Z run stepped {"n":2}"#
    );
    let runs = "SELECT id || ' ' || state || ' ' || started || ' ' || events || ' ' || plan_digest FROM v_runs";
    assert_eq!(
        line(runs, &raw),
        "1 open 2027-01-15T08:00:00.000Z 2 7f3a19c2"
    );
    assert_eq!(line("PRAGMA journal_mode", &raw), "wal");
}
