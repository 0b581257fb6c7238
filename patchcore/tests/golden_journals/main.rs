//! Journals of earlier versions are read as they were meant: stored events of real runs fold to the state that is
//! checked in beside them, and every line can be said in words.
//!
//! A journal in `v1` was written once and is never written anew; `PATCHCORE_BLESS=1` adds those that are missing and
//! rewrites the states, for a change of what the kernel makes of old events, which the commit then explains.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking"
)]

mod checkpoints;
#[expect(dead_code, reason = "shared with the tests of whole runs")]
#[path = "../run/estate.rs"]
mod estate;
mod kept;
mod making;
mod rolls;
#[path = "../run/watch.rs"]
mod watch;

use std::collections::BTreeSet;

use patchcore::{
    ErrorKind, Report,
    execute::{
        Story, Told, denials,
        kernel::{ComponentState, Event, RunState},
    },
};
use serde_json::json;

use kept::Kept;

/// The format that is written today.
const TODAY: &str = "v3";

/// Every kind of event of format 1.
const KINDS: [&str; 30] = [
    "admitted",
    "intended",
    "begun",
    "settled",
    "failed",
    "scanned",
    "checked",
    "soak_over",
    "way_back_opened",
    "skipped",
    "forgiven",
    "cut_short",
    "quarantined",
    "resolved",
    "started",
    "taken_over",
    "ring_opened",
    "soak_started",
    "soak_ended",
    "ring_passed",
    "ring_approved",
    "halted",
    "halt_lifted",
    "paused",
    "unpaused",
    "ending",
    "denied",
    "denial_lifted",
    "command_refused",
    "ended",
];

/// Every decision about a roll.
const OF_ROLLS: [&str; 12] = [
    "planned",
    "intended",
    "begun",
    "settled",
    "failed",
    "patched",
    "surprised",
    "fought",
    "stopped",
    "unknown",
    "stalled",
    "moved",
];

#[tokio::test]
async fn every_kept_journal_folds_to_its_kept_state_and_can_be_said() {
    let all = Kept::all();
    assert!(all.len() >= 15, "journals are missing: {}", all.len());
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    let mut of_rolls: BTreeSet<String> = BTreeSet::new();
    for kept in all {
        let story = kept.retold().await;
        let state = json!({ "run": story.state, "components": story.components });
        kept.compare(&state);
        // What a fold does event by event, and what a story does, is the same.
        let (mut run, mut components) = (RunState::default(), story.components.clone());
        components
            .values_mut()
            .for_each(|c| *c = ComponentState::default());
        for stored in &kept.events {
            kinds.insert(stored.kind.clone());
            let what = stored.body["event"]["what"].as_str();
            of_rolls.extend(what.filter(|_| stored.kind == "roll").map(str::to_owned));
            let told = Told::read(stored.clone());
            let words = told.to_string();
            assert!(words.len() > 30, "{}: {words}", kept.name);
            match (told.event, told.component) {
                (Event::Run(event), None) => run.evolve(&event),
                (Event::Component(event), Some(c)) => {
                    components.get_mut(&c).unwrap().evolve(&event, told.at);
                }
                other => panic!("{}: {other:?}", kept.name),
            }
        }
        assert_eq!(run, story.state, "{}", kept.name);
        assert_eq!(components, story.components, "{}", kept.name);
        let report = Report::of(&story, story.told_at).to_string();
        assert!(report.contains("t-1"), "{}: {report}", kept.name);
    }
    for kind in KINDS {
        assert!(kinds.contains(kind), "no kept journal holds {kind}");
    }
    for what in OF_ROLLS {
        assert!(
            of_rolls.contains(what),
            "no kept journal holds a roll's {what}"
        );
    }
}

/// What is written today is read back as it was; what is missing among the kept journals is added on demand.
#[tokio::test]
async fn what_a_run_writes_today_is_read_back_as_it_was() {
    for name in making::ALL {
        let (journal, run) = making::make(name).await;
        let story = Story::read(&journal, run).await.unwrap();
        let kept = Kept::export(name, &journal, run).await;
        let again = kept.retold().await;
        assert_eq!(again.state, story.state, "{name}");
        assert_eq!(again.components, story.components, "{name}");
        if std::env::var_os("PATCHCORE_BLESS").is_some() {
            kept.write_if_missing(TODAY);
        }
    }
}

/// A decision that cannot be read ends the reading of a run, and says whether it is damaged or newer.
#[tokio::test]
async fn what_cannot_be_read_is_told_apart_and_never_left_out() {
    for (at, kind, body, expect) in [
        (
            "settled",
            "settled",
            json!({ "kind": "settled" }),
            ErrorKind::JournalDamaged,
        ),
        (
            "settled",
            "forgiven",
            json!({ "kind": "settled" }),
            ErrorKind::JournalDamaged,
        ),
        (
            "settled",
            "wished",
            json!({ "kind": "wished" }),
            ErrorKind::JournalNewer,
        ),
        (
            "settled",
            "forgiven",
            json!({ "kind": "forgiven", "v": 9 }),
            ErrorKind::JournalNewer,
        ),
        (
            "denied",
            "denied",
            json!({ "kind": "denied" }),
            ErrorKind::JournalDamaged,
        ),
    ] {
        let mut kept = Kept::all()
            .into_iter()
            .find(|k| k.name == "rolled_back_and_denied")
            .unwrap();
        let event = kept.events.iter_mut().find(|e| e.kind == at).unwrap();
        (event.kind, event.body) = (kind.to_owned(), body.clone());
        let (journal, run) = kept.in_a_journal().await;
        let error = Story::read(&journal, run).await.unwrap_err();
        assert_eq!(error.kind(), expect, "{body}: {error:?}");
        assert!(error.to_string().contains(kind), "{error}");
        if at == "denied" {
            // Else a patch that was denied could be planned again.
            let error = denials(&journal).await.unwrap_err();
            assert_eq!(error.kind(), expect, "{error:?}");
        }
    }
}
