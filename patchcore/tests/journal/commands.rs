//! The inbox: posted by anyone, answered once.

use patchcore::{
    ErrorKind,
    execute::journal::{CommandId, Journal, JournalReader, NewCommand},
    id::RunId,
};
use serde_json::json;

use super::{Directory, at, child::Process, event, with_run};

fn command(run: Option<RunId>) -> NewCommand {
    NewCommand {
        run,
        at: at(3),
        by: "jon".into(),
        verb: "pause".into(),
        args: json!({}),
    }
}

#[tokio::test]
async fn a_command_of_another_process_takes_effect_exactly_once() {
    let directory = Directory::new("inbox");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let (told, succeeded) = Process::start("post", &directory.journal()).finish();
    assert!(
        succeeded && told.contains(&format!("posted 1 to {}", std::process::id())),
        "{told}"
    );
    let taken = journal.take_commands().await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (
            taken[0].run,
            taken[0].by.as_str(),
            taken[0].verb.as_str(),
            taken[0].at
        ),
        (Some(run), "jon", "pause", at(7))
    );
    assert_eq!(taken[0].args, json!({"ring": "broad"}));
    journal.close().await.unwrap();

    // Another process takes it and dies before it answers: the command is there again.
    let (told, succeeded) = Process::start("take", &directory.journal()).finish();
    assert!(!succeeded && told.contains("took 1"), "{told}");
    let journal = Journal::open(directory.journal()).unwrap();
    let taken = journal.take_commands().await.unwrap();
    assert_eq!(taken.len(), 1);

    let seqs = journal
        .append_answering(run, vec![event("run", 2)], &[taken[0].id])
        .await
        .unwrap();
    assert_eq!(seqs, [2]);
    assert!(journal.take_commands().await.unwrap().is_empty());
    // Answering again is refused together with the effect that it would have had.
    let error = journal
        .append_answering(run, vec![event("run", 3)], &[taken[0].id])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error
            .message()
            .contains("command 1 was answered already, by event 2"),
        "{error:?}"
    );
    drop(journal);
    let journal = Journal::open(directory.journal()).unwrap();
    assert!(journal.take_commands().await.unwrap().is_empty());
    assert_eq!(journal.events(run, 0, 9).await.unwrap().len(), 2);
    assert!(journal.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn a_command_that_cannot_be_read_stands_in_nobodys_way() {
    let directory = Directory::new("unreadable");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let raw = super::sql(&directory.journal());
    raw.execute_batch(
        "INSERT INTO command(at, person, verb, args) VALUES(0, 'jon', 'pause', '{\"reason\":');
         INSERT INTO command(at, person, verb, args) VALUES(0, CAST(x'6aff' AS TEXT), 'pause', CAST(x'ff' AS TEXT));",
    )
    .unwrap();
    let reader = JournalReader::open(directory.journal()).unwrap();
    let good = reader.post_command(command(Some(run))).await.unwrap();
    let taken = journal.take_commands().await.unwrap();
    assert_eq!(taken, reader.open_commands().await.unwrap());
    assert_eq!(taken.len(), 3);
    assert_eq!(taken[0].args, json!("{\"reason\":"));
    assert_eq!(
        (taken[1].by.as_str(), &taken[1].args),
        ("j\u{fffd}", &json!("\u{fffd}"))
    );
    assert_eq!(taken[2].id, good);
}

#[tokio::test]
async fn answers_need_an_event_and_a_command() {
    let (journal, run) = with_run(Journal::in_memory().unwrap()).await.unwrap();
    let error = journal
        .append_answering(run, vec![], &[CommandId(1)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    let error = journal
        .append_answering(run, vec![event("run", 2)], &[CommandId(1)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(
        journal.append(run, vec![event("run", 2)]).await.unwrap(),
        [2]
    );
}

#[tokio::test]
async fn a_command_is_for_an_open_run_or_for_the_journal() {
    let directory = Directory::new("post");
    let (journal, run) = with_run(Journal::open(directory.journal()).unwrap())
        .await
        .unwrap();
    let reader = JournalReader::open(directory.journal()).unwrap();
    let error = reader
        .post_command(command(Some(RunId(2))))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let mut wordless = command(None);
    wordless.verb.clear();
    assert_eq!(
        reader.post_command(wordless).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let first = reader.post_command(command(Some(run))).await.unwrap();
    let second = reader.post_command(command(None)).await.unwrap();
    assert_eq!((first, second), (CommandId(1), CommandId(2)));
    assert_eq!(
        reader.open_commands().await.unwrap(),
        journal.take_commands().await.unwrap()
    );

    journal
        .append_and_close(run, vec![event("run", 2)], &[first], at(9))
        .await
        .unwrap();
    let error = reader.post_command(command(Some(run))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    // Also while nobody carries out anything.
    journal.close().await.unwrap();
    assert_eq!(reader.holder().unwrap(), None);
    reader.post_command(command(None)).await.unwrap();
    let journal = Journal::open(directory.journal()).unwrap();
    let ids: Vec<_> = journal
        .take_commands()
        .await
        .unwrap()
        .iter()
        .map(|command| command.id.0)
        .collect();
    assert_eq!(ids, [2, 3]);
}
