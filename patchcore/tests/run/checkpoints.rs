//! A run keeps what its events come to, and whoever goes on with it reads that.

use std::time::Duration;

use patchcore::{
    Journal, Standing,
    execute::{Story, journal::JournalReader},
    sim::Script,
};

use super::estate::{Folder, approved, estate, plan, policy, sim};

/// Parked again and again, with a patch that does not work: each time it goes on from what was kept.
#[tokio::test]
async fn a_run_that_goes_on_from_checkpoints_is_the_run_that_its_events_tell() {
    // A run is parked between two that are taken out of service, and never in the middle of one.
    let one_at_once = policy(&[("at_once = \"2\"", "at_once = \"1\"")]);
    for (every, kept_in_all) in [(1, 16), (7, 16), (1_000_000, 0)] {
        let sim = sim().script(Script::health_breaks("nginx", "1.1-1").on("w-3"));
        let folder = Folder::new();
        let estate = estate(&sim).with_checkpoint_every(every);
        let mut read = 0;
        let mut parked = 0;
        let end = loop {
            let journal = Journal::open(folder.journal()).unwrap();
            let run = match estate.reopen(&journal).await.unwrap() {
                Some(run) => run,
                None => {
                    let plan = plan(&estate, &one_at_once, &journal).await;
                    let approved = approved(&estate, plan);
                    estate.run(approved, &journal).await.unwrap()
                }
            };
            read += journal.stats().checkpoints_read;
            // Shorter than anything takes: it is parked wherever it can be.
            let patience = Duration::from_secs(20);
            let standing = run.finished_or_parked(patience).await.unwrap();
            let id = run.id();
            drop(run);
            journal.close().await.unwrap();
            let reader = JournalReader::open(folder.journal()).unwrap();
            let kept = Story::read(&reader, id).await.unwrap();
            let told = Story::read_events(&reader, id).await.unwrap();
            assert_eq!(kept.state, told.state);
            assert_eq!(kept.components, told.components);
            assert_eq!((kept.seq, kept.told_at), (told.seq, told.told_at));
            assert!(reader.verify().await.unwrap().is_intact());
            match standing {
                Standing::Parked { until, .. } => {
                    parked += 1;
                    if let Some(until) = until {
                        sim.clock().advance_to(until);
                    }
                }
                other => break other,
            }
            assert!(parked < 500, "it does not get on");
        };
        assert!(
            matches!(end, Standing::AtRest { .. } | Standing::Ended { .. }),
            "{end:?}"
        );
        assert!(parked > 3, "{parked} times");
        assert!(read >= kept_in_all, "{read} rows with one every {every}");
        assert_eq!(read == 0, kept_in_all == 0, "{read} rows");
    }
}
