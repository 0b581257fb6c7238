//! A disk that fails, at every commit: what was acknowledged is there, what was refused is whole or not there at all.

use patchcore::{
    ErrorKind,
    execute::journal::{Fault, Faults, Journal},
    id::RunId,
};

use super::{Directory, event, new_run};

/// How many appends are tried; the commit before them starts the run.
const APPENDS: u64 = 6;

fn pair(tseq: u64) -> Vec<patchcore::execute::journal::NewEvent> {
    vec![event("a", tseq), event("b", tseq)]
}

/// Appends until the first failure. How many appends were acknowledged, and the failure.
async fn appended(journal: &Journal) -> (u64, Option<patchcore::Error>) {
    if let Err(error) = journal.start_run(new_run(vec![])).await {
        return (0, Some(error));
    }
    for tseq in 1..=APPENDS {
        if let Err(error) = journal.append(RunId(1), pair(tseq)).await {
            return (tseq - 1, Some(error));
        }
    }
    (APPENDS, None)
}

#[tokio::test]
async fn a_commit_that_fails_ends_the_handle_and_loses_nothing_that_was_acknowledged() {
    for (fault, kind, kept) in [
        (Fault::BeforeCommit, ErrorKind::Io, 0),
        (Fault::Full, ErrorKind::DiskFull, 0),
        // Nobody was told that it is there. It is whole.
        (Fault::AfterCommit, ErrorKind::Io, 1),
    ] {
        for nth in 1..=APPENDS + 1 {
            let case = format!("{fault:?} at commit {nth}");
            let directory = Directory::new("faults");
            let faults = Faults::none().at(nth, fault);
            let journal = Journal::open_with(directory.journal(), faults).unwrap();
            let (acknowledged, error) = appended(&journal).await;
            let error = error.unwrap_or_else(|| panic!("{case}: nothing failed"));
            assert_eq!(error.kind(), kind, "{case}: {error:?}");
            assert_eq!(acknowledged, nth.saturating_sub(2), "{case}");
            // It does not know what is on the disk, so it says nothing more, also not to who only asks.
            assert_eq!(journal.confirm().await.unwrap_err().kind(), kind, "{case}");
            assert_eq!(journal.runs().await.unwrap_err().kind(), kind, "{case}");
            let again = journal.append(RunId(1), pair(99)).await.unwrap_err();
            assert_eq!(again.kind(), kind, "{case}: {again:?}");
            drop(journal);

            let journal = Journal::open(directory.journal()).unwrap();
            let found = journal.events(RunId(1), 0, usize::MAX).await.unwrap().len() as u64;
            let expected = if nth == 1 { 0 } else { acknowledged + kept };
            assert_eq!(found, 2 * expected, "{case}");
            assert_eq!(
                journal.runs().await.unwrap().len() as u64,
                u64::from(nth > 1 || kept == 1),
                "{case}"
            );
            assert!(journal.verify().await.unwrap().is_intact(), "{case}");
        }
    }
}

#[tokio::test]
async fn a_busy_disk_can_be_asked_again() {
    let directory = Directory::new("faults-busy");
    let faults = Faults::none().at(2, Fault::Busy).at(3, Fault::Busy);
    let journal = Journal::open_with(directory.journal(), faults).unwrap();
    let run = journal.start_run(new_run(vec![])).await.unwrap();
    for _ in 0..2 {
        let error = journal.append(run, pair(1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Busy, true),
            "{error:?}"
        );
    }
    journal.append(run, pair(1)).await.unwrap();
    let streams: Vec<String> = journal
        .events(run, 0, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.stream)
        .collect();
    assert_eq!(streams, ["a", "b"]);
    assert!(journal.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn what_comes_while_a_slow_disk_is_waited_for_goes_into_one_commit() {
    let directory = Directory::new("faults-slow");
    let faults = Faults::none().at(2, Fault::Delay(std::time::Duration::from_millis(300)));
    let journal = Journal::open_with(directory.journal(), faults).unwrap();
    let run = journal.start_run(new_run(vec![])).await.unwrap();
    let before = journal.stats().commits;
    let one = |nth: u64| {
        let journal = journal.clone();
        async move {
            journal
                .append(run, vec![event(&format!("s{nth}"), 1)])
                .await
                .map(drop)
        }
    };
    for result in futures_util::future::join_all((0..40).map(one)).await {
        result.unwrap();
    }
    let commits = journal.stats().commits - before;
    assert!(commits <= 3, "40 appends took {commits} commits");
}
