//! The pure kernels walk random plans with random outcomes: what must hold holds after every single event.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking"
)]

#[path = "../plan_props/estates.rs"]
mod estates;
mod reference;
mod walk;

use proptest::{collection::vec, prelude::*};

use walk::Walk;

proptest! {
    #![proptest_config(ProptestConfig { cases: if full() { 4096 } else { 384 }, ..ProptestConfig::default() })]

    #[test]
    fn what_must_hold_holds_after_every_event(spec in estates::spec(), luck in vec(any::<u32>(), 64..256)) {
        let Ok(plan) = spec.plan_of(&spec.inventory(0)) else { return Ok(()) };
        if plan.envelope.windows.is_empty() {
            return Ok(());
        }
        let mut walk = Walk::new(plan, luck);
        walk.go_to_the_end();
        walk.tells_the_same_again();
    }
}

fn full() -> bool {
    std::env::var_os("PATCHCORE_FULL").is_some_and(|v| v == "1")
}

/// The walk itself is checked: over many plans it meets every kind of event and every way to end.
#[test]
fn the_walk_goes_everywhere() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..400 {
        let spec = estates::spec().new_tree(&mut runner).unwrap().current();
        let luck = vec(any::<u32>(), 64..256)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let Ok(plan) = spec.plan_of(&spec.inventory(0)) else {
            continue;
        };
        if plan.envelope.windows.is_empty() {
            continue;
        }
        let mut walk = Walk::new(plan, luck);
        walk.go_to_the_end();
        seen.extend(walk.seen);
    }
    for kind in [
        "admitted",
        "intended",
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
        "stalled",
        "moved",
        "locked",
        "fought",
        "unlocked",
        "ring_opened",
        "soak_started",
        "soak_ended",
        "ring_passed",
        "ring_approved",
        "halted",
        "halt_lifted",
        "paused",
        "unpaused",
        "pause_point_set",
        "pause_point_cleared",
        "ending",
        "denied",
        "ended",
        "end:done",
        "end:unsoaked",
        "end:rolled_back",
        "end:left_as_is",
        "end:untouched",
        "end:skipped",
    ] {
        assert!(seen.contains(kind), "no walk met {kind}: {seen:?}");
    }
}
