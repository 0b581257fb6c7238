//! Rolls that are killed after every single event and go on from their journal.

use patchcore::{Journal, clock::Clock as _};

use super::cluster::{Setup, all_are_patched, all_is_back, estate, is_done, moves, started};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// The journal of a process that was killed is free when its threads are gone.
async fn open_when_free(path: &std::path::Path) -> Journal {
    loop {
        match Journal::open(path) {
            Ok(journal) => return journal,
            Err(error) if error.kind() == patchcore::ErrorKind::JournalInUse => {
                let clock = patchcore::SystemClock;
                let soon = clock.now() + std::time::Duration::from_millis(5);
                clock.sleep_until(soon).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Starts a roll, kills it as soon as `nth` events are in the journal, goes on, and lets it end. False when there are
/// not so many.
fn killed_after(nth: usize, setup: &Setup) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let sim = setup.sim();
    let first = runtime();
    let reached = first.block_on(async {
        let journal = Journal::open(&path).unwrap();
        let run = started(&sim, setup.roll(), &journal).await;
        let mut events = run.events();
        for _ in 0..nth {
            if events.next().await.is_none() {
                return false;
            }
        }
        true
    });
    first.shutdown_background();
    runtime().block_on(async {
        let journal = open_when_free(&path).await;
        let Some(run) = estate(&sim).reopen(&journal).await.unwrap() else {
            return;
        };
        let standing = run.finished().await.unwrap();
        let what = format!("killed after {nth}");
        assert!(is_done(&standing), "{what}: {standing:?}");
        let story = run.story().await.unwrap();
        all_is_back(&sim, &story, &what);
        all_are_patched(&sim, setup, &what);
        assert!(journal.verify().await.unwrap().is_intact());
        // A crash is no reason to move anything again.
        let planned = usize::try_from(super::cluster::planned(&setup.model()).figures().moves);
        assert_eq!(
            moves(&sim).values().sum::<usize>(),
            planned.unwrap(),
            "{what}"
        );
    });
    reached
}

#[test]
fn a_roll_goes_on_after_a_kill_at_every_event() {
    let setup = Setup::of(8).pinned(&["h03-vm1", "h06-vm2"]);
    // A prime, so that every kind of event is met; every event is met by the full tier.
    let step = match std::env::var_os("PATCHCORE_FULL") {
        Some(_) => 1,
        None => 13,
    };
    let mut nth = 1;
    while killed_after(nth, &setup) {
        nth += step;
    }
    assert!(nth > 200, "only {nth} events");
}
