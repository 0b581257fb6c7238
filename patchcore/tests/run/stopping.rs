//! What stops a run by itself, and the floors that hold whatever the budget says.

use patchcore::{execute::kernel::Phase, sim::Script};

use super::estate::{carried_out, policy, sim, told};

/// Which halt a run of these failures comes to, and who had no turn because of it.
async fn failing(names: &[&str], limits: &str) -> (Option<String>, Vec<String>) {
    let mut sim = sim();
    for name in names {
        sim = sim.script(Script::postinst_fails("nginx", "1.1-1").on(*name));
    }
    let on_fail = format!("[on_fail]\ntolerate = \"9\"\n{limits}\n[[check]]");
    let changes = [
        ("[[check]]", on_fail.as_str()),
        ("at_once = \"2\"", "at_once = \"1\""),
        (
            "success = \"100%\", at_least = 1",
            "success = \"0%\", at_least = 1",
        ),
    ];
    let (standing, story, run) = carried_out(&sim, &policy(&changes)).await;
    let halted = told(&run).await.into_iter().find(|l| l.contains("halted"));
    assert_eq!(standing.is_halted(), halted.is_some(), "{standing:?}");
    let waiting = story
        .components
        .iter()
        .filter(|(_, s)| s.phase == Phase::Waiting);
    (halted, waiting.map(|(id, _)| id.to_string()).collect())
}

#[tokio::test]
async fn failures_in_a_row_halt_the_run_and_those_apart_do_not() {
    let (halted, waiting) = failing(&["w-1", "w-2"], "in_a_row = 2").await;
    let halted = halted.unwrap();
    assert!(
        halted.contains("2 in a row failed (w-1, w-2), policy stops at 2"),
        "{halted}"
    );
    assert_eq!(waiting, ["w-3"]);
    let apart = failing(&["w-1", "w-3"], "in_a_row = 2").await;
    assert_eq!(apart, (None, vec![]));
}

#[tokio::test]
async fn failures_are_counted_over_the_whole_run() {
    let (halted, waiting) = failing(&["w-1", "w-2"], "tolerate_in_run = \"1\"").await;
    let halted = halted.unwrap();
    assert!(
        halted.contains("2 of 4 failed in the run, policy tolerates 1 in a run"),
        "{halted}"
    );
    assert_eq!(waiting, ["w-3"]);
    assert_eq!(failing(&["w-1"], "tolerate_in_run = \"1\"").await.0, None);
}

#[tokio::test]
async fn a_reason_to_fail_has_a_limit_of_its_own() {
    let kind = |kind: &str| format!("[[on_fail.kind]]\nkind = \"{kind}\"");
    let (halted, waiting) = failing(&["w-1"], &kind("install_failed")).await;
    let halted = halted.unwrap();
    assert!(
        halted.contains("1 of 4 failed with install_failed"),
        "{halted}"
    );
    assert_eq!(waiting, ["w-2", "w-3"]);
    assert_eq!(failing(&["w-1"], &kind("unreachable")).await.0, None);
}

#[tokio::test]
async fn a_limit_of_the_policy_is_a_floor_at_every_instant() {
    let limit = |down: u32| {
        let limit = format!(
            "[[limit]]\nper = \"tier\"\nselect = \"not ring = test\"\ndown = {down}\n[[check]]"
        );
        policy(&[
            ("[[check]]", &limit),
            ("at_once = \"2\"", "at_once = \"3\""),
        ])
    };
    for down in [1, 2] {
        let sim = sim();
        let (standing, _, run) = carried_out(&sim, &limit(down)).await;
        assert!(!standing.is_halted(), "{:#?}", told(&run).await);
        assert_eq!(
            sim.most_out_of_service(["w-1", "w-2", "w-3"]),
            down as usize
        );
    }
}
