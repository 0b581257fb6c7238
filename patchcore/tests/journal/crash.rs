//! What was acknowledged is there after `kill -9`.

use std::collections::BTreeSet;

use patchcore::execute::journal::Journal;

use super::{
    Directory,
    child::{Process, STREAMS},
};

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = Directory::new("kill");
    let mut acknowledged = BTreeSet::new();
    for round in 1..=20 {
        let mut child = Process::start("write", &directory.journal());
        let (mut told, mut killed) = (0, false);
        // What it told before its end counts, also what is read only afterwards.
        while let Some(line) = child.line() {
            // What else the test program prints, and a last line that the kill has cut short.
            let Some(line) = line
                .strip_prefix("ack ")
                .and_then(|line| line.strip_suffix(" ."))
            else {
                continue;
            };
            let words: Vec<&str> = line.split(' ').collect();
            let [seq, stream, tseq] = words[..] else {
                panic!("{line}")
            };
            let (seq, tseq): (u64, u64) = (seq.parse().unwrap(), tseq.parse().unwrap());
            assert!(
                acknowledged.insert((seq, stream.to_owned(), tseq)),
                "number {seq} was acknowledged twice"
            );
            told += 1;
            if told > round * 7 && !killed {
                child.kill();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself");

        let journal = Journal::open(directory.journal()).unwrap();
        let run = journal.open_run().await.unwrap().unwrap().id;
        let events = journal.events(run, 0, usize::MAX).await.unwrap();
        let found: BTreeSet<_> = events
            .iter()
            .map(|event| (event.seq, event.stream.clone(), event.tseq))
            .collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        // All or nothing: the two events of an append are both there.
        assert!(events.iter().all(|event| found.contains(&(
            if event.tseq % 2 == 0 {
                event.seq + 1
            } else {
                event.seq - 1
            },
            event.stream.clone(),
            event.tseq ^ 1
        ))));
        // At most one append per stream can be there without having been acknowledged.
        assert!(found.len() <= acknowledged.len() + usize::try_from(2 * STREAMS * round).unwrap());
        assert!(
            events.iter().zip(1..).all(|(event, seq)| event.seq == seq),
            "there is a gap"
        );
        journal.verify().await.unwrap().into_result().unwrap();
        journal.close().await.unwrap();
    }
}
