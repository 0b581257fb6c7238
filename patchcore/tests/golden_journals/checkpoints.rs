//! What is kept beside the events comes to the same as the events, and is left out where it does not.

use std::path::{Path, PathBuf};

use patchcore::{
    Journal, Operator,
    execute::{
        Story,
        journal::{Checkpoint, JournalReader, NewEvent},
    },
    id::RunId,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::kept::Kept;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }
}

fn sql(file: &Path) -> Connection {
    Connection::open(file).unwrap()
}

fn events(kept: &Kept) -> Vec<NewEvent> {
    let event = |e: &patchcore::execute::journal::StoredEvent| NewEvent {
        stream: e.stream.clone(),
        tseq: e.tseq,
        at: e.at,
        kind: e.kind.clone(),
        body: e.body.clone(),
    };
    kept.events.iter().map(event).collect()
}

async fn add(journal: &Journal, run: RunId, events: &[NewEvent]) {
    journal.append(run, events.to_vec()).await.unwrap();
}

/// A story without how it was read.
fn told(story: &Story) -> String {
    format!(
        "{} {} {:?} {:?}",
        story.seq, story.told_at, story.state, story.components
    )
}

/// Whether both ways of reading come to the same; and what that is.
async fn same(journal: &Journal, run: RunId) -> (bool, String) {
    let read = told(&Story::read(journal, run).await.unwrap());
    let folded = told(&Story::read_events(journal, run).await.unwrap());
    (read == folded, folded)
}

/// What the first events of a run come to, for each number of them from one on.
async fn folded(kept: &Kept, run: RunId, all: &[NewEvent]) -> Vec<String> {
    let journal = kept.empty(Journal::in_memory().unwrap()).await;
    let mut told_so_far = Vec::new();
    for event in all {
        add(&journal, run, std::slice::from_ref(event)).await;
        told_so_far.push(told(&Story::read_events(&journal, run).await.unwrap()));
    }
    told_so_far
}

/// At every event of every kept journal: everything is kept there, then part of it later, as a process leaves it that
/// ends meanwhile.
#[tokio::test]
async fn checkpoints_and_what_comes_after_them_come_to_what_all_events_come_to() {
    let mut used = 0;
    for kept in Kept::all() {
        let run = RunId(1);
        let all = events(&kept);
        let expect = folded(&kept, run, &all).await;
        assert_eq!(*expect.last().unwrap(), told(&kept.retold().await));
        for cut in 1..=all.len() {
            let journal = kept.empty(Journal::in_memory().unwrap()).await;
            let (before, after) = all.split_at(cut);
            add(&journal, run, before).await;
            let story = Story::read(&journal, run).await.unwrap();
            let rows = story.checkpoints().unwrap();
            journal
                .checkpoint(run, rows.clone(), Some(story.seq))
                .await
                .unwrap();
            used += rows.len() as u64;
            let read = Story::read(&journal, run).await.unwrap();
            assert_eq!(told(&read), expect[cut - 1], "{} at {cut}", kept.name);
            assert_eq!(journal.stats().checkpoints_read, rows.len() as u64);
            let (next, rest) = after.split_at(after.len() / 2);
            add(&journal, run, next).await;
            let later = Story::read(&journal, run).await.unwrap();
            let at = cut + next.len();
            assert_eq!(told(&later), expect[at - 1], "{} at {at}", kept.name);
            let some = later.checkpoints().unwrap().into_iter().step_by(2);
            journal.checkpoint(run, some.collect(), None).await.unwrap();
            add(&journal, run, rest).await;
            let end = Story::read(&journal, run).await.unwrap();
            let all_told = &expect[all.len() - 1];
            assert_eq!(told(&end), *all_told, "{} at {cut}, in part", kept.name);
        }
    }
    assert!(used > 1000, "{used} checkpoints");
}

/// A run whose checkpoints say something else than its events, and whether that is believed.
async fn is_believed(spoil: impl Fn(&mut Vec<Checkpoint>), damage: &str) -> bool {
    let kept = Kept::all().into_iter().find(|k| k.name == "good").unwrap();
    let place = Place::new();
    let run = RunId(1);
    let journal = kept.empty(Journal::open(place.file()).unwrap()).await;
    let all = events(&kept);
    let (before, after) = all.split_at(all.len() / 2);
    add(&journal, run, before).await;
    let story = Story::read(&journal, run).await.unwrap();
    let mut rows = story.checkpoints().unwrap();
    spoil(&mut rows);
    journal
        .checkpoint(run, rows, Some(story.seq))
        .await
        .unwrap();
    add(&journal, run, after).await;
    journal.close().await.unwrap();
    sql(&place.file()).execute_batch(damage).unwrap();
    let reader = JournalReader::open(place.file()).unwrap();
    let read = Story::read(&reader, run).await.unwrap();
    let folded = Story::read_events(&reader, run).await.unwrap();
    // Whatever becomes of checkpoints, the chain is of the events.
    assert!(reader.verify().await.unwrap().is_intact());
    // Whoever audits finds what would be believed and is not so.
    let audit = Operator::open(place.file())
        .unwrap()
        .verify()
        .await
        .unwrap();
    assert_eq!(audit.is_intact(), told(&read) == told(&folded), "{audit}");
    if told(&read) != told(&folded) {
        return true;
    }
    // The same may have been read from either; what was read says so.
    let journal = Journal::open(place.file()).unwrap();
    let of_events = format!("{read:?}").contains("resumed: None");
    journal.close().await.unwrap();
    !of_events
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_relied_on_is_left_out() {
    let nothing = |_: &mut Vec<Checkpoint>| {};
    assert!(is_believed(nothing, "").await, "else nothing is shown here");
    let forge = |rows: &mut Vec<Checkpoint>| {
        for row in rows {
            row.body = row.body.replace("\"changed\":true", "\"changed\":false");
        }
    };
    // Whoever writes a sum that fits is believed; that is why it is no seal, and why an audit compares.
    assert!(is_believed(forge, "").await);
    // All of them are later than this says, which each says of itself.
    assert!(is_believed(nothing, "UPDATE run SET checkpoint = checkpoint - 1").await);

    let last = "(SELECT max(stream) FROM checkpoint WHERE stream != 'run')";
    for damage in [
        // One letter, as a disk would change it.
        format!(
            "UPDATE checkpoint SET body = replace(body, 'events', 'evenps') WHERE stream = {last}"
        ),
        format!("UPDATE checkpoint SET body = CAST(x'ff' || body AS TEXT) WHERE stream = {last}"),
        format!("UPDATE checkpoint SET seq = seq + 1 WHERE stream = {last}"),
        format!("UPDATE checkpoint SET sum = zeroblob(32) WHERE stream = {last}"),
        format!("UPDATE checkpoint SET stream = 'component/nobody' WHERE stream = {last}"),
        format!("DELETE FROM checkpoint WHERE stream = {last}"),
        "DELETE FROM checkpoint WHERE stream = 'run'".to_owned(),
        "DELETE FROM checkpoint".to_owned(),
        "UPDATE run SET checkpoint = checkpoint + 1".to_owned(),
        "UPDATE run SET checkpoint = 999999".to_owned(),
    ] {
        assert!(!is_believed(nothing, &damage).await, "{damage}");
    }
    // Of another version, with a sum that fits.
    let newer = |rows: &mut Vec<Checkpoint>| {
        rows[1].body = rows[1].body.replace("\"v\":1", "\"v\":2");
    };
    assert!(!is_believed(newer, "").await);
    let earlier = |rows: &mut Vec<Checkpoint>| {
        rows.retain(|row| row.stream != "component/t-1");
    };
    assert!(!is_believed(earlier, "").await);
}

/// A journal as schema 1 had it: what was added since is taken out again.
fn as_schema_1(file: &Path) {
    sql(file)
        .execute_batch(
            "DROP TABLE plan_part; DROP TABLE checkpoint; ALTER TABLE run DROP COLUMN plan_hole;
             ALTER TABLE run DROP COLUMN checkpoint; UPDATE meta SET schema = 1;",
        )
        .unwrap();
}

fn schema(file: &Path) -> i64 {
    sql(file)
        .query_row("SELECT schema FROM meta", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn a_journal_of_schema_1_is_read_as_it_is_and_goes_on_in_schema_2() {
    let run = RunId(1);
    for kept in Kept::all() {
        let place = Place::new();
        let journal = kept.empty(Journal::open(place.file()).unwrap()).await;
        let all = events(&kept);
        let (before, after) = all.split_at(all.len() / 2);
        add(&journal, run, before).await;
        let expect = told(&Story::read(&journal, run).await.unwrap());
        journal.close().await.unwrap();
        as_schema_1(&place.file());

        // Whoever only reads changes nothing.
        let reader = JournalReader::open(place.file()).unwrap();
        let story = Story::read(&reader, run).await.unwrap();
        assert_eq!(told(&story), expect, "{}", kept.name);
        assert!(reader.verify().await.unwrap().is_intact());
        let row = reader.run(run).await.unwrap().unwrap();
        assert_eq!(schema(&place.file()), 1);

        let journal = Journal::open(place.file()).unwrap();
        assert_eq!(schema(&place.file()), 2);
        // It was opened before it was made anew, and reads on.
        let story = Story::read(&reader, run).await.unwrap();
        assert_eq!(told(&story), expect, "{}", kept.name);
        assert_eq!(journal.run(run).await.unwrap().unwrap(), row);
        let story = Story::read(&journal, run).await.unwrap();
        journal
            .checkpoint(run, story.checkpoints().unwrap(), Some(story.seq))
            .await
            .unwrap();
        add(&journal, run, after).await;
        let (is_same, end) = same(&journal, run).await;
        assert!(is_same, "{}", kept.name);
        assert_eq!(end, told(&kept.retold().await), "{}", kept.name);
        assert!(journal.verify().await.unwrap().is_intact(), "{}", kept.name);
        assert!(journal.stats().checkpoints_read > 0);
        journal.close().await.unwrap();
    }
}
