//! The runs whose journals are kept.

use std::time::Duration;

use patchcore::{
    Journal, Run,
    clock::Clock as _,
    execute::{
        journal::{JournalReader, NewCommand},
        kernel::{Phase, Resolution, Step},
    },
    id::RunId,
    provider::{BracketKind, Guarantee},
    sim::{Script, Sim},
};

use super::{
    estate::{
        self, Folder, SELDOM, approved, broad_is_back, does, plan, policy, sim, start, started,
    },
    rolls,
    watch::{OFTEN, Watch},
};

pub(crate) const ALL: [&str; 23] = [
    "good",
    "rolled_back_and_denied",
    "denied_and_lifted",
    "quarantined_retry",
    "quarantined_adopt_done",
    "quarantined_roll_back",
    "quarantined_abandon",
    "roll_back_failed_abandon",
    "halted_and_lifted",
    "left_as_is_attested",
    "failed_in_its_soak",
    "cancelled",
    "parked_and_taken_over",
    "ring_approved_paused_refused",
    "drifted_untouched",
    "two_loans_one_waived",
    "brackets_given_back",
    "brackets_rolled_back",
    "bracket_fought_and_waived",
    "cluster_rolled",
    "cluster_setting_fought_and_waived",
    "cluster_move_of_unknown_end",
    "cluster_start_that_waits",
];

pub(crate) async fn make(name: &str) -> (Journal, RunId) {
    match name {
        "good" => finished(&sim(), &[]).await,
        "rolled_back_and_denied" => ended(bad("t-1"), false).await,
        "denied_and_lifted" => ended(bad("t-1"), true).await,
        "quarantined_retry" => resolved(Script::loses_request("apply", 1), Resolution::Retry).await,
        "quarantined_adopt_done" => {
            resolved(Script::loses_reply("apply", 1), Resolution::AdoptDone).await
        }
        "quarantined_roll_back" => {
            resolved(Script::loses_reply("apply", 1), Resolution::RollBack).await
        }
        "quarantined_abandon" => {
            resolved(Script::loses_request("apply", 1), Resolution::Abandon).await
        }
        "roll_back_failed_abandon" => roll_back_failed().await,
        "halted_and_lifted" => halted_and_lifted().await,
        "left_as_is_attested" => attested().await,
        "failed_in_its_soak" => failed_in_its_soak().await,
        "cancelled" => cancelled().await,
        "parked_and_taken_over" => taken_over().await,
        "ring_approved_paused_refused" => steered().await,
        "drifted_untouched" => drifted().await,
        "two_loans_one_waived" => two_loans().await,
        "brackets_given_back" => held(&sim(), None).await,
        "brackets_rolled_back" => held(&bad("t-1"), None).await,
        "bracket_fought_and_waived" => held(&sim(), Some("t-1")).await,
        "cluster_rolled" => rolls::made(false).await,
        "cluster_setting_fought_and_waived" => rolls::made(true).await,
        "cluster_move_of_unknown_end" => rolls::of_unknown_end().await,
        "cluster_start_that_waits" => rolls::that_waits().await,
        other => panic!("{other} is not made by anybody"),
    }
}

/// Alerts are silenced around each change and a backup is paused, and somebody switches the alerts of one on again.
async fn held(sim: &Sim, fights: Option<&str>) -> (Journal, RunId) {
    let estate = estate::estate(sim)
        .with(sim.brackets("alerts", [BracketKind::Silence]))
        .with(sim.brackets("backup", [BracketKind::Pause]));
    let around = "[[around]]\nsilence = \"alerts\"\n[[around]]\npause = \"backup\"\n[[check]]";
    let journal = Journal::in_memory().unwrap();
    let watch = Watch::over(sim);
    let plan = plan(&estate, &policy(&[("[[check]]", around)]), &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    if let Some(component) = fights {
        watch
            .until(&run, OFTEN, does(component, Step::Reboot))
            .await;
        sim.world(|w| w.end_by_hand("alerts", BracketKind::Silence, component));
    }
    drop(watch);
    if run.finished().await.unwrap().is_halted() {
        run.end("maria", "enough for tonight").await.unwrap();
    } else if let Some(component) = fights {
        run.resolve(
            component,
            Resolution::Abandon,
            "maria",
            "jon wants to see its alerts",
        )
        .await
        .unwrap();
    }
    run.finished().await.unwrap();
    (journal, run.id())
}

fn bad(on: &str) -> Sim {
    sim().script(Script::postinst_fails("nginx", "1.1-1").on(on))
}

async fn begun(sim: &Sim, changes: &[(&str, &str)]) -> (Journal, Run) {
    let journal = Journal::in_memory().unwrap();
    let run = started(sim, &policy(changes), &journal).await;
    (journal, run)
}

async fn finished(sim: &Sim, changes: &[(&str, &str)]) -> (Journal, RunId) {
    let (journal, run) = begun(sim, changes).await;
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn ended(sim: Sim, lift: bool) -> (Journal, RunId) {
    let (journal, run) = begun(&sim, &[]).await;
    run.finished().await.unwrap();
    if lift {
        let denials = patchcore::execute::denials(&journal).await.unwrap();
        run.lift_denial(&denials[0], "maria", "its script is mended")
            .await
            .unwrap();
    }
    run.end("maria", "looked at it").await.unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn resolved(script: Script, how: Resolution) -> (Journal, RunId) {
    let sim = sim()
        .with_guarantee_for("apply", Guarantee::Blind)
        .script(script.on("t-1"));
    let (journal, run) = begun(&sim, &[]).await;
    run.finished().await.unwrap();
    assert_eq!(
        run.story().await.unwrap().components["t-1"].phase,
        Phase::Quarantined
    );
    // At rest no time passes; what the tool was asked for goes on all the same.
    sim.clock()
        .advance_to(sim.clock().now() + Duration::from_secs(3600));
    run.resolve("t-1", how, "maria", "looked at it on its console")
        .await
        .unwrap();
    if run.finished().await.unwrap().is_halted() {
        run.end("maria", "enough for tonight").await.unwrap();
        run.finished().await.unwrap();
    }
    (journal, run.id())
}

async fn roll_back_failed() -> (Journal, RunId) {
    let sim = bad("t-1").script(Script::roll_back_fails().on("t-1"));
    let (journal, run) = begun(&sim, &[]).await;
    run.finished().await.unwrap();
    run.resolve("t-1", Resolution::Abandon, "maria", "it is built anew")
        .await
        .unwrap();
    run.finished().await.unwrap();
    run.end("maria", "it is built anew").await.unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn halted_and_lifted() -> (Journal, RunId) {
    let (journal, run) = begun(&bad("w-1"), &[]).await;
    run.finished().await.unwrap();
    run.lift_halt("maria", "w-1 has a local change")
        .await
        .unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn attested() -> (Journal, RunId) {
    let on_fail = "[on_fail]\ncomponent = \"stop\"\ntolerate = \"0\"\n[[check]]";
    let (journal, run) = begun(&bad("t-1"), &[("[[check]]", on_fail)]).await;
    run.finished().await.unwrap();
    run.resolve("t-1", Resolution::AdoptDone, "jon", "it serves again")
        .await
        .unwrap();
    run.end("maria", "the others come next week").await.unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn failed_in_its_soak() -> (Journal, RunId) {
    let sim = sim();
    let watch = Watch::over(&sim);
    let (journal, run) = begun(&sim, &[("at_once = \"2\"", "at_once = \"1\"")]).await;
    watch.until(&run, SELDOM, broad_is_back).await;
    sim.world(|w| w.script(Script::health_breaks("nginx", "1.1-1")));
    drop(watch);
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn cancelled() -> (Journal, RunId) {
    let sim = sim();
    let watch = Watch::over(&sim);
    let (journal, run) = begun(&sim, &[]).await;
    watch.until(&run, OFTEN, does("w-1", Step::Apply)).await;
    run.cancel("jon", "the freeze comes early").await.unwrap();
    drop(watch);
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn taken_over() -> (Journal, RunId) {
    let folder = Folder::new();
    let sim = sim();
    let journal = Journal::open(folder.journal()).unwrap();
    let estate = estate::estate(&sim);
    let saturday = "zone = \"Europe/Berlin\"\nwhen = \"sat\"";
    let saturday = policy(&[("when = \"any time\"", saturday)]);
    let plan = plan(&estate, &saturday, &journal).await;
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    run.finished_or_parked(Duration::ZERO).await.unwrap();
    drop(run);
    journal.close().await.unwrap();
    let journal = Journal::open(folder.journal()).unwrap();
    let run = estate::estate(&sim)
        .reopen(&journal)
        .await
        .unwrap()
        .unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn steered() -> (Journal, RunId) {
    let folder = Folder::new();
    let sim = sim();
    let journal = Journal::open(folder.journal()).unwrap();
    let own = policy(&[("at_once = \"2\"", "at_once = \"2\"\nneeds_approval = true")]);
    let run = started(&sim, &own, &journal).await;
    run.finished().await.unwrap();
    let reader = JournalReader::open(folder.journal()).unwrap();
    let unknown = NewCommand {
        run: Some(run.id()),
        at: start(),
        by: "jon".into(),
        verb: "make_coffee".to_owned(),
        args: serde_json::json!({ "reason": "tired" }),
    };
    reader.post_command(unknown).await.unwrap();
    run.pause("jon", "the mail system is down").await.unwrap();
    run.unpause("jon", "it is back").await.unwrap();
    run.approve_ring("broad", "jon", "the test ring looks good")
        .await
        .unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

async fn drifted() -> (Journal, RunId) {
    let sim = sim();
    let journal = Journal::in_memory().unwrap();
    let estate = estate::estate(&sim);
    let plan = plan(&estate, &policy(&[]), &journal).await;
    sim.world(|w| w.withdraw("nginx", "1.1-1"));
    let run = estate.run(approved(&estate, plan), &journal).await.unwrap();
    run.finished().await.unwrap();
    run.cancel("jon", "planning again").await.unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

/// Fetched twice, because nobody could judge the first fetch: the newer loan is given back, and the older one, which
/// the tool cannot take away, is waived.
async fn two_loans() -> (Journal, RunId) {
    let sim = sim()
        .with_guarantee_for("stage", Guarantee::Blind)
        .with_guarantee_for("discard", Guarantee::Blind)
        .script(Script::loses_reply("stage", 1).on("t-1"))
        .script(Script::loses_request("discard", 2).on("t-1"));
    let (journal, run) = begun(&sim, &[]).await;
    run.finished().await.unwrap();
    sim.clock()
        .advance_to(sim.clock().now() + Duration::from_secs(3600));
    run.resolve("t-1", Resolution::Retry, "maria", "fetch it once more")
        .await
        .unwrap();
    run.finished().await.unwrap();
    run.resolve("t-1", Resolution::Abandon, "maria", "root keeps them now")
        .await
        .unwrap();
    run.finished().await.unwrap();
    let state = &run.story().await.unwrap().components["t-1"];
    assert_eq!(state.waived.len(), 1, "{state:?}");
    (journal, run.id())
}
