//! The checker's own times: from needs and slots, and nothing else.

use patchcore::plan::roll::{Cluster, check};

use crate::{
    clusters::{plain, vm},
    serial::{Script, close, migrate, patch, reopen},
};

/// Three hosts of which the first has four machines of 1 GiB and is patched alone.
fn four_leave(out_slots: u32, in_slots: u32) -> (Cluster, Script) {
    let mut cluster = plain(3);
    for other in 1..3 {
        cluster.hosts[other].needs_patch = false;
    }
    let migration = cluster.migration.as_mut().unwrap();
    migration.out_slots = out_slots;
    migration.in_slots = in_slots;
    cluster.costs.overhead_permille = 1000;
    cluster.costs.fixed_ms = 600;
    cluster.costs.p95_permille = 2000;
    let mut script = Script::new();
    let closed = script.push(close("h0"), &[]);
    let moves: Vec<u32> = (0..4)
        .map(|n| {
            vm(&mut cluster, &format!("v{n}"), 0, 1);
            script.push(migrate(&format!("v{n}"), "h0", "h1"), &[closed])
        })
        .collect();
    let patched = script.push(patch("h0"), &moves);
    script.push(reopen("h0"), &[patched]);
    (cluster, script)
}

#[test]
fn slots_bound_what_moves_at_once() {
    // 1024 MiB at 10 MiB/s and 600 ms: 103 s each.
    for (out, into, rounds) in [(4, 4, 1), (2, 4, 2), (4, 1, 4), (3, 3, 2)] {
        let (cluster, script) = four_leave(out, into);
        let checked = check(&cluster, script.roll).unwrap();
        let figures = checked.figures();
        assert_eq!(
            figures.makespan_ms,
            rounds * 103_000 + 1_200_000,
            "{out} {into}"
        );
        assert_eq!(figures.makespan_p95_ms, rounds * 206_000 + 1_800_000);
        assert_eq!((figures.moves, figures.moved_mib), (4, 4096));
        assert_eq!((figures.patched, figures.closed_at_once), (1, 1));
    }
}

#[test]
fn the_whole_clusters_moves_are_bounded_too() {
    for (most, rounds) in [(1, 4), (2, 2), (3, 2), (4, 1)] {
        let (mut cluster, script) = four_leave(4, 4);
        cluster.limits.max_migrations = Some(most);
        let checked = check(&cluster, script.roll).unwrap();
        assert_eq!(checked.figures().makespan_ms, rounds * 103_000 + 1_200_000);
    }
}

#[test]
fn a_step_begins_no_sooner_than_it_may() {
    let (cluster, mut script) = four_leave(4, 4);
    script.roll.steps[0].not_before_ms = Some(5_000);
    let checked = check(&cluster, script.roll).unwrap();
    assert_eq!(checked.figures().makespan_ms, 5_000 + 103_000 + 1_200_000);
    assert_eq!(checked.timeline()[1].from_ms, 5_000);
}
