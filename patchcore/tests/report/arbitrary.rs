//! The figures add up whatever a journal says.

use patchcore::{
    Report,
    error::{Error, ErrorKind, Failure},
    execute::{
        journal::NewEvent,
        kernel::{ComponentEvent, End, Phase, Step},
    },
};
use proptest::prelude::*;

use crate::{estate, fit_for_people};

fn phase() -> impl Strategy<Value = Phase> {
    let end = || {
        prop::sample::select(vec![
            End::Done,
            End::Unsoaked,
            End::RolledBack,
            End::LeftAsIs,
            End::Untouched,
            End::Skipped,
        ])
    };
    prop_oneof![
        Just(Phase::Waiting),
        Just(Phase::Doing(Step::Apply)),
        Just(Phase::InService),
        Just(Phase::Quarantined),
        Just(Phase::AwaitWayBack),
        end().prop_map(Phase::GivingBack),
        end().prop_map(Phase::Ended),
    ]
}

fn event() -> impl Strategy<Value = ComponentEvent> {
    let failure = || {
        let error = Error::new(ErrorKind::InstallFailed, "it broke").blame("nginx".into());
        Failure::from(&error)
    };
    prop_oneof![
        phase().prop_map(|next| ComponentEvent::SoakOver { next }),
        (phase(), any::<bool>()).prop_map(move |(next, blames)| {
            let mut failure = failure();
            if !blames {
                failure.blames.clear();
            }
            ComponentEvent::Failed {
                step: Step::Apply,
                failures: vec![failure],
                next,
            }
        }),
        Just(ComponentEvent::Skipped {
            why: "no turn".to_owned()
        }),
        Just(ComponentEvent::Forgiven),
        Just(ComponentEvent::Quarantined {
            why: "nobody knows".to_owned()
        }),
    ]
}

#[test]
fn figures_add_up() {
    let runtime = estate::runtime();
    let (journal, run) = runtime.block_on(estate::halted());
    let started = runtime.block_on(estate::stored(&journal, run))[0].clone();
    let names = ["web-t1", "web-t2", "web-01", "web-02", "web-03", "web-06"];
    let story = prop::collection::vec((0..names.len(), event()), 0..24);
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(events in story)| {
        let at = started.at;
        let mut places = [0_u64; 6];
        let mut new = vec![estate::new(started.clone())];
        for (who, event) in &events {
            places[*who] += 1;
            let body = serde_json::to_value(event).unwrap();
            new.push(NewEvent {
                stream: format!("component/{}", names[*who]),
                tseq: places[*who],
                at,
                kind: body["kind"].as_str().unwrap().to_owned(),
                body,
            });
        }
        let story = runtime.block_on(estate::retold(&journal, run, new));
        let report = Report::of(&story, at);
        let f = report.figures;
        // Counted here by hand, not by the report's own check.
        prop_assert_eq!(
            f.planned,
            f.done + f.unsoaked + f.rolled_back + f.left_as_is + f.untouched + f.skipped + f.not_over
        );
        prop_assert_eq!(f.planned, 8);
        let open = story.components.values().filter(|c| !c.phase.is_ended()).count();
        prop_assert_eq!(f.not_over, open);
        let failed = story.components.values().filter(|c| !c.failures.is_empty()).count();
        prop_assert_eq!(f.failed, failed);
        prop_assert_eq!(report.rings.iter().map(|r| r.figures.planned).sum::<usize>(), 8);
        prop_assert_eq!(report.found, f.planned + report.left_out.len());
        prop_assert!(report.adds_up());
        fit_for_people(&report.to_string());
    });
}
