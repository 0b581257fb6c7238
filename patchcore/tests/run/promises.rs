//! What the engine makes of a target's promise when an answer is lost.

use std::time::Duration;

use patchcore::{
    Standing,
    clock::Clock as _,
    execute::kernel::{End, Phase, Resolution, RunVerdict},
    provider::Guarantee,
    sim::Script,
};

use super::estate::{ALL, policy, sim, told};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// Whatever the promise and whatever is lost, nothing goes in twice.
#[tokio::test]
async fn a_lost_answer_never_leads_to_a_second_effect() {
    let promises = [
        ("keyed", Guarantee::Keyed { memory: 30 * DAY }),
        (
            "locatable",
            Guarantee::Locatable {
                consistency_delay: 5 * MINUTE,
                memory: 30 * DAY,
            },
        ),
        (
            "state only",
            Guarantee::StateOnly {
                quiet_after: 30 * MINUTE,
            },
        ),
        ("blind", Guarantee::Blind),
    ];
    for (name, promise) in promises {
        for (lost, script) in [
            ("reply", Script::loses_reply("apply", 1)),
            ("request", Script::loses_request("apply", 1)),
        ] {
            let sim = sim()
                .with_guarantee_for("apply", promise)
                .script(script.on("t-1"));
            let journal = patchcore::Journal::in_memory().unwrap();
            let run = super::estate::started(&sim, &policy(&[]), &journal).await;
            let standing = run.finished().await.unwrap();
            let lines = told(&run).await;
            // At rest no time passes; what the tool was asked for goes on all the same.
            sim.clock().advance_to(sim.clock().now() + 60 * MINUTE);
            let times = sim
                .history("t-1")
                .unwrap()
                .times_installed("nginx", "1.1-1");
            let phase = run.story().await.unwrap().components["t-1"].phase;
            if promise == Guarantee::Blind && phase == Phase::Quarantined {
                assert!(
                    matches!(standing, Standing::AtRest { .. }),
                    "{name}, {lost}: {standing:?}"
                );
                assert_eq!(
                    times,
                    usize::from(lost == "reply"),
                    "{name}, {lost}: {lines:#?}"
                );
                continue;
            }
            assert_eq!(
                standing,
                Standing::Ended {
                    verdict: RunVerdict::Done
                },
                "{name}, {lost}: {lines:#?}"
            );
            assert_eq!(times, 1, "{name}, {lost}: {lines:#?}");
            for other in &ALL[1..] {
                assert_eq!(
                    sim.history(other)
                        .unwrap()
                        .times_installed("nginx", "1.1-1"),
                    1,
                    "{name}, {lost}, {other}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_blind_tool_that_lost_its_request_waits_for_a_person_who_decides() {
    for (how, ends) in [
        (Resolution::Retry, Phase::Ended(End::Done)),
        (Resolution::Abandon, Phase::Ended(End::LeftAsIs)),
    ] {
        let sim = sim()
            .with_guarantee_for("apply", Guarantee::Blind)
            .script(Script::loses_request("apply", 1).on("t-1"));
        let journal = patchcore::Journal::in_memory().unwrap();
        let run = super::estate::started(&sim, &policy(&[]), &journal).await;
        run.finished().await.unwrap();
        assert_eq!(
            run.story().await.unwrap().components["t-1"].phase,
            Phase::Quarantined
        );
        let nobody = run.resolve("t-1", how, "maria", "  ").await.unwrap_err();
        assert!(nobody.to_string().contains("needs a reason"), "{nobody}");
        run.resolve("t-1", how, "maria", "looked at it on its console")
            .await
            .unwrap();
        run.finished().await.unwrap();
        let story = run.story().await.unwrap();
        assert_eq!(
            story.components["t-1"].phase,
            ends,
            "{how:?}: {:#?}",
            told(&run).await
        );
        assert!(
            sim.history("t-1")
                .unwrap()
                .times_installed("nginx", "1.1-1")
                <= 1
        );
    }
}
