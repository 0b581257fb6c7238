//! Runs that are killed after every single event and go on from their journal.

use patchcore::{
    Journal, Standing, SystemClock,
    clock::Clock as _,
    execute::kernel::{End, Phase, RunVerdict},
    provider::Guarantee,
    sim::{Script, Sim},
};

use super::estate::{ALL, Folder, approved, estate, plan, policy, sim, told};

/// Starts, is killed as soon as `nth` events are in the journal, goes on, and is left to end.
/// True when there were that many events.
pub(crate) fn killed_after(
    nth: usize,
    sim: &Sim,
    estate: fn(&Sim) -> patchcore::Estate,
    check: impl FnOnce(&Sim, &patchcore::execute::Story, Standing, Vec<String>),
) -> bool {
    let folder = Folder::new();
    let path = folder.journal();
    let policy = policy(&[]);
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };

    let first = runtime();
    let reached = first.block_on(async {
        let journal = Journal::open(&path).unwrap();
        let estate = estate(sim);
        let plan = plan(&estate, &policy, &journal).await;
        let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
        let mut events = run.events();
        for _ in 0..nth {
            if events.next().await.is_none() {
                return false;
            }
        }
        true
    });
    // Everything that ran is gone in mid-step, as in a crash; only the journal and the outside remain.
    first.shutdown_background();

    runtime().block_on(async {
        let journal = open_when_free(&path).await;
        let estate = estate(sim);
        let Some(run) = estate.reopen(&journal).await.unwrap() else {
            return;
        };
        let standing = run.finished().await.unwrap();
        let story = run.story().await.unwrap();
        assert!(journal.verify().await.unwrap().is_intact());
        let lines = told(&run).await;
        let before = format!("(opening 2, before by process {} on ", std::process::id());
        assert!(
            lines.iter().any(|line| line.contains(&before)),
            "{lines:#?}"
        );
        check(sim, &story, standing, lines);
    });
    reached
}

/// The tasks of a runtime that was shut down end soon after; until then they hold the journal.
pub(crate) async fn open_when_free(path: &std::path::Path) -> Journal {
    for _ in 0..2_000 {
        match Journal::open(path) {
            Ok(journal) => return journal,
            Err(error) if error.kind() == patchcore::ErrorKind::JournalInUse => {
                SystemClock
                    .sleep_until(SystemClock.now() + std::time::Duration::from_millis(5))
                    .await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the journal is never free")
}

#[test]
fn killed_after_any_event_everything_is_patched_once() {
    let mut nth = 1;
    loop {
        let sim = sim();
        let reached = killed_after(nth, &sim, estate, |sim, story, standing, lines| {
            assert_eq!(
                standing,
                Standing::Ended {
                    verdict: RunVerdict::Done
                },
                "killed after {nth}: {lines:#?}"
            );
            for name in ALL {
                let history = sim.history(name).unwrap();
                assert_eq!(
                    history.times_installed("nginx", "1.1-1"),
                    1,
                    "{name}, killed after {nth}: {lines:#?}"
                );
                assert_eq!(
                    history.boots.len(),
                    1,
                    "{name}, killed after {nth}: {lines:#?}"
                );
                assert!(
                    sim.world(|w| w.kept_for(&name.into()).unwrap().is_empty()),
                    "{name}, killed after {nth}"
                );
            }
            assert!(story.ledger().is_empty());
            assert!(sim.most_out_of_service(ALL) <= 2, "killed after {nth}");
        });
        if !reached {
            break;
        }
        nth += 1;
    }
    assert!(nth > 60, "only {nth} events were passed");
}

#[test]
fn killed_after_any_event_a_bad_patch_is_rolled_back_once() {
    let mut nth = 1;
    loop {
        let sim = sim().script(Script::postinst_fails("nginx", "1.1-1").on("t-1"));
        let reached = killed_after(nth, &sim, estate, |sim, story, standing, lines| {
            assert!(
                standing.is_halted(),
                "killed after {nth}: {standing:?} {lines:#?}"
            );
            assert_eq!(
                story.components["t-1"].phase,
                Phase::Ended(End::RolledBack),
                "killed after {nth}: {lines:#?}"
            );
            let verbs: Vec<&str> = sim
                .history("t-1")
                .unwrap()
                .transactions
                .iter()
                .map(|t| t.verb)
                .collect();
            assert_eq!(
                verbs,
                ["apply", "roll_back"],
                "killed after {nth}: {lines:#?}"
            );
            assert!(story.ledger().is_empty());
        });
        if !reached {
            break;
        }
        nth += 1;
    }
    assert!(nth > 15, "only {nth} events were passed");
}

#[test]
fn killed_with_a_tool_that_sees_only_states_nothing_goes_in_twice() {
    let quiet = Guarantee::StateOnly {
        quiet_after: std::time::Duration::from_secs(1800),
    };
    for nth in (1..60).step_by(3) {
        let sim = sim().with_guarantee(quiet);
        killed_after(nth, &sim, estate, |sim, _, _, lines| {
            for name in ALL {
                let times = sim.history(name).unwrap().times_installed("nginx", "1.1-1");
                assert!(times <= 1, "{name}, killed after {nth}: {times} {lines:#?}");
            }
        });
    }
}
