//! What only an anchor shows: an end that was cut off, a chain that was computed anew, a run that was exchanged.

use patchcore::{
    ErrorKind,
    execute::journal::{Anchor, ChainReport, Journal, JournalReader},
};

use super::{Directory, at, event, new_run, sql};

/// Two ended runs, with events 1 to 3 and 4 to 6, and an open one with events 7 to 9. An anchor after every event.
async fn anchored(directory: &Directory) -> Vec<Anchor> {
    let journal = Journal::open(directory.journal()).unwrap();
    assert_eq!(journal.anchor().await.unwrap(), None);
    let mut anchors = Vec::new();
    for number in 0..3 {
        let run = journal
            .start_run(new_run(vec![event("run", 1)]))
            .await
            .unwrap();
        anchors.extend(journal.anchor().await.unwrap());
        for tseq in 2..=3 {
            journal.append(run, vec![event("run", tseq)]).await.unwrap();
            anchors.extend(journal.anchor().await.unwrap());
        }
        if number < 2 {
            journal.close_run(run, at(9)).await.unwrap();
        }
    }
    assert!(journal.verify_against(&anchors).await.unwrap().is_intact());
    journal.close().await.unwrap();
    anchors
}

async fn verified(directory: &Directory, anchors: &[Anchor]) -> ChainReport {
    JournalReader::open(directory.journal())
        .unwrap()
        .verify_against(anchors)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_by_an_anchor_and_by_nothing_else() {
    let head = "UPDATE meta SET (head_seq, head_hash) = (SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1)";
    let last_run = "DELETE FROM event WHERE run = 3; DELETE FROM run WHERE id = 3";
    for (cut, run, seq) in [("DELETE FROM event WHERE seq > 8", 3, 9), (last_run, 3, 7)] {
        let directory = Directory::new("anchor-cut");
        let anchors = anchored(&directory).await;
        sql(&directory.journal())
            .execute_batch(&format!("{cut}; {head}"))
            .unwrap();
        // As it would be found by whoever opens it, or has no anchor after the cut.
        assert!(verified(&directory, &[]).await.is_intact(), "{cut}");
        assert!(
            verified(&directory, &anchors[..usize::try_from(seq).unwrap() - 1])
                .await
                .is_intact(),
            "{cut}"
        );
        let report = verified(&directory, &anchors).await;
        let (faulty, fault) = report.first_fault().unwrap();
        assert_eq!((faulty.0, fault.seq), (run, seq), "{cut}: {report}");
        assert!(fault.what.contains("was cut off or lost"), "{report}");
        assert_eq!(
            report.into_result().unwrap_err().kind(),
            ErrorKind::JournalDamaged
        );
    }
}

#[tokio::test]
async fn a_chain_that_was_computed_anew_is_found() {
    // Another journal with other content, given the name of the first.
    let directory = Directory::new("anchor-anew");
    let anchors = anchored(&directory).await;
    let forged = Directory::new("anchor-forged");
    let journal = Journal::open(forged.journal()).unwrap();
    for number in 0..3 {
        let mut first = event("run", 1);
        if number == 0 {
            first.kind = "forged".into();
        }
        let run = journal
            .start_run(new_run(vec![first, event("run", 2), event("run", 3)]))
            .await
            .unwrap();
        if number < 2 {
            journal.close_run(run, at(9)).await.unwrap();
        }
    }
    journal.close().await.unwrap();
    let error = JournalReader::open(forged.journal())
        .unwrap()
        .verify_against(&anchors)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    sql(&forged.journal())
        .execute("UPDATE meta SET uid = ?", [&anchors[0].journal])
        .unwrap();
    assert!(verified(&forged, &[]).await.is_intact());
    let seen = async |anchor: &Anchor| {
        let report = verified(&forged, std::slice::from_ref(anchor)).await;
        report.first_fault().map(|(run, fault)| (run.0, fault.seq))
    };
    // In the run that was changed, and in those after it, whose own chains are whole.
    assert_eq!(seen(&anchors[2]).await, Some((1, 3)));
    assert_eq!(seen(&anchors[3]).await, Some((2, 4)));
    assert_eq!(seen(&anchors[8]).await, Some((3, 9)));
}

#[tokio::test]
async fn an_anchor_is_one_line_that_is_read_again() {
    let directory = Directory::new("anchor-line");
    for anchor in anchored(&directory).await {
        let line = anchor.to_string();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(line.parse::<Anchor>().unwrap(), anchor);
    }
    for bad in ["", "{}", "run 3: 5 events, head 7f"] {
        let error = bad.parse::<Anchor>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
    }
}
