//! Figures that meet everything, and each gate with a figure that misses it.

use super::{
    super::{
        peers::Peer,
        public::Public,
        published::PUBLISHED,
        rows::{Made, Ours, Row},
        stages::{self, Asked, Said},
        work::Work,
    },
    Figures, Kind, Small,
};

const ALL: u64 = 1_000_000;
const HOUR: f64 = 3_600_000.0;

fn planned(mib: u64, ms: u64) -> Ours {
    Ours::Planned {
        best: Made {
            mib,
            ms,
            fullest: 700,
        },
        others: Vec::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn row(hosts: usize, full: u32, seed: usize) -> Row {
    let published = |peer: Peer| {
        let of = |p: &&super::super::published::Published| {
            (p.hosts, p.full, p.peer) == (hosts, full, peer)
        };
        PUBLISHED.iter().find(of).copied()
    };
    let peers = Peer::ALL.map(|peer| {
        let published = published(peer).filter(|p| seed < p.done)?;
        let mib = whole(published.moved * ALL as f64);
        Some((mib, whole(published.hours * HOUR)))
    });
    let bound = 1_010_000;
    let spread = peers[4].map_or(HOUR, |(_, ms)| ms as f64);
    Row {
        hosts,
        full,
        all_mib: ALL,
        mean: 650,
        bounds: Some(patchcore::plan::roll::Bounds {
            moved_mib: bound,
            moves: 10,
            makespan_ms: whole(spread / 1.2),
            closed_at_once: 3,
        }),
        peers: peers.into(),
        few: planned(bound, whole(2.0 * HOUR)),
        fast: Some(planned(1_020_000, whole(spread))),
        knee: Some(planned(1_100_000, whole(2.0 * HOUR))),
        balanced: Some(planned(1_100_000, whole(3.0 * HOUR))),
    }
}

fn public(name: &str, patched: u32) -> Public {
    Public {
        name: name.to_owned(),
        hosts: 100,
        vms: 1000,
        patched: Some(patched),
        mib: 1_002,
        bound_mib: 1_000,
        hours: 1.0,
        cpu: 1.0,
        proof: Some("a proof".to_owned()),
    }
}

fn work(hosts: usize, plan: f64) -> Work {
    Work {
        hosts,
        vms: hosts * 30,
        plan,
        check: plan * 0.19,
        instructions: None,
    }
}

fn good() -> Figures {
    let mut rows = Vec::new();
    for hosts in [4, 16, 64] {
        for full in [50, 70, 85] {
            rows.extend((0..5).map(|seed| row(hosts, full, seed)));
        }
    }
    Figures {
        about: Vec::new(),
        loads: Vec::new(),
        rows,
        more: Vec::new(),
        small: Small {
            clusters: 100,
            impossible: 30,
            found: 70,
            optimal: 67,
            proofs: 30,
            ..Small::default()
        },
        stages: vec![asked()],
        work: vec![work(1_000, 0.1), work(10_000, 1.99)],
        roadef: Some(
            [
                ("a1_1", 4),
                ("a1_2", 55),
                ("a1_4", 4),
                ("a2_1", 92),
                ("a2_2", 30),
            ]
            .map(|(name, patched)| public(name, patched))
            .into(),
        ),
        btrplace: Some(vec![public("nr3", 4750)]),
    }
}

/// A question that CP-SAT answers with two proofs, which ours meets just so.
fn asked() -> Asked {
    let said = Said {
        status: "OPTIMAL".to_owned(),
        gb: Some(100),
    };
    Asked {
        cluster: "six hosts".to_owned(),
        vms: 12,
        stages: 3,
        ours: stages::Ours::Moves(102),
        relaxed: said.clone(),
        executable: said,
    }
}

/// The gates that are not met, by the beginning of what they are of.
fn unmet(figures: &Figures) -> Vec<String> {
    let judged = figures.judged(None);
    let unmet = judged
        .into_iter()
        .filter(|j| j.kind == Kind::Gate && !j.holds);
    unmet.map(|judged| judged.what).collect()
}

fn check(spoil: fn(&mut Figures), expect: &[&str]) {
    let mut figures = good();
    spoil(&mut figures);
    let unmet = unmet(&figures);
    let as_expected = unmet.len() == expect.len()
        && unmet
            .iter()
            .zip(expect)
            .all(|(found, part)| found.contains(part));
    assert!(as_expected, "expected {expect:?} but found {unmet:?}");
}

/// The first row of 64 hosts at 70 %.
fn large(figures: &mut Figures) -> &mut Row {
    &mut figures.rows[35]
}

#[test]
fn each_gate_is_held_to() {
    check(|_| {}, &[]);
    // A rival that is weaker than published, or gives up where it did not.
    let bytes = |f: &mut Figures| {
        for row in &mut f.rows[30..35] {
            if let Some(peer) = &mut row.peers[4] {
                peer.0 = peer.0 * 103 / 100;
            }
        }
    };
    check(bytes, &["the farthest"]);
    let hours = |f: &mut Figures| {
        for row in &mut f.rows[30..35] {
            if let Some(peer) = &mut row.peers[1] {
                peer.1 = peer.1 * 103 / 100;
            }
        }
    };
    check(hours, &["the farthest"]);
    check(|f| f.rows[30].peers[1] = None, &["another number"]);
    // Our rolls.
    check(|f| large(f).few = planned(1_030_300, 1), &["the worst"]);
    let all = |f: &mut Figures| {
        for row in &mut f.rows {
            row.few = planned(1_016_000, 1);
        }
    };
    check(all, &["`FewestMoves`"]);
    let slow = |f: &mut Figures| {
        let row = large(f);
        let spread = row.peers[4].map_or(0, |(_, ms)| ms);
        row.fast = Some(planned(1_020_000, spread * 1021 / 1000));
    };
    check(slow, &["makespan, mean", "the worst"]);
    let much = |f: &mut Figures| {
        for row in &mut f.rows[30..] {
            if let Some(Ours::Planned { best, .. }) = &mut row.fast {
                best.mib = 1_700_000;
            }
        }
    };
    check(much, &["bytes of ours"]);
    let knee = |f: &mut Figures| {
        for row in &mut f.rows {
            row.knee = Some(planned(1_121_000, 7_200_000));
        }
    };
    check(knee, &["per cent fewer"]);
    check(
        |f| large(f).knee = Some(planned(1_000_000, 18_000_000)),
        &["times faster"],
    );
    check(
        |f| large(f).fast = Some(Ours::NotFound),
        &["makespan, mean", "the worst", "bytes of ours"],
    );
    // Small clusters.
    check(
        |f| f.small.impossible = 29,
        &["impossible by", "possible and found"],
    );
    check(|f| f.small.optimal = 66, &["bytes optimal"]);
    check(|f| f.small.far_off = 1, &["more than one"]);
    check(|f| f.small.found = 69, &["possible and found"]);
    check(|f| f.small.refuted = 1, &["refutes"]);
    // Beside CP-SAT.
    let more = |f: &mut Figures| f.stages[0].ours = stages::Ours::Moves(103);
    check(more, &["CP-SAT proves"]);
    let unproven = |f: &mut Figures| f.stages[0].executable.status = "FEASIBLE".to_owned();
    check(unproven, &["CP-SAT proves"]);
    let refuted = |f: &mut Figures| f.stages[0].ours = stages::Ours::Moves(99);
    check(refuted, &["cannot both"]);
    // Work.
    check(|f| f.work[1].plan = 2.0, &["as a power"]);
    check(|f| f.work[0].check = 0.021, &["1000 hosts"]);
    // Public instances.
    let fewer = |f: &mut Figures, at: usize| {
        if let Some(rows) = &mut f.roadef
            && let Some(patched) = &mut rows[at].patched
        {
            *patched -= 1;
        }
    };
    let mut figures = good();
    for at in [1, 3, 4] {
        fewer(&mut figures, at);
    }
    assert_eq!(unmet(&figures).len(), 3);
    let unproven = |f: &mut Figures| {
        if let Some(rows) = &mut f.roadef {
            rows[0].proof = None;
        }
    };
    check(unproven, &["a1_1"]);
    let unclean = |f: &mut Figures| {
        if let Some(rows) = &mut f.roadef {
            rows[0].patched = None;
        }
    };
    check(unclean, &["ROADEF A without"]);
    let more = |f: &mut Figures| {
        if let Some(rows) = &mut f.btrplace {
            rows[0].mib += 1;
        }
    };
    check(more, &["BtrPlace, bytes"]);
}

#[test]
fn what_was_not_measured_is_not_met() {
    let nothing = Figures {
        roadef: Some(Vec::new()),
        btrplace: Some(Vec::new()),
        ..Figures::default()
    };
    let judged = nothing.judged(None);
    let met: Vec<&str> = judged
        .iter()
        .filter(|judged| judged.holds && judged.kind == Kind::Gate)
        .map(|judged| judged.what.as_str())
        .collect();
    let counts = |what: &&str| {
        what.contains("cannot both")
            || what.contains("without")
            || what.contains("more than")
            || what.contains("refutes")
    };
    assert!(met.iter().all(counts), "{met:?}");
}
