//! The lines of a run.

use patchcore::{
    execute::{Told, kernel::Event},
    report::Timeline,
};

use crate::{estate, fit_for_people};

fn lines(mut timeline: Timeline, told: &[Told]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in told {
        lines.extend(timeline.tell(one));
    }
    lines.extend(timeline.flush());
    lines
}

/// The other order in which independent answers of one moment could have come: between two events of the run,
/// components the other way round, each in its own order.
fn the_other_way_round(told: &[Told]) -> Vec<Told> {
    let mut other: Vec<Told> = Vec::new();
    let mut stretch: Vec<Told> = Vec::new();
    let flush = |stretch: &mut Vec<Told>, other: &mut Vec<Told>| {
        stretch.sort_by(|a, b| b.component.cmp(&a.component));
        other.append(stretch);
    };
    for one in told {
        let barrier = matches!(one.event, Event::Run(_))
            || stretch.first().is_some_and(|first| first.at != one.at);
        if barrier {
            flush(&mut stretch, &mut other);
        }
        match one.event {
            Event::Run(_) => other.push(one.clone()),
            _ => stretch.push(one.clone()),
        }
    }
    flush(&mut stretch, &mut other);
    other
}

#[test]
fn a_timeline_folds_and_a_verbose_one_has_all() {
    estate::runtime().block_on(async {
        let (journal, run) = estate::halted().await;
        let told = estate::told(&journal, run).await;
        let plan = patchcore::execute::Story::read(&journal, run).await.unwrap().plan;
        let short = lines(Timeline::of(&plan, run), &told);
        let long = lines(Timeline::of(&plan, run).verbose(), &told);
        let text = short.join("\n");
        fit_for_people(&text);
        fit_for_people(&long.join("\n"));

        let headlines = |lines: &[String]| lines.iter().filter(|l| l.ends_with(" CET") && !l.contains(':')).count();
        assert_eq!(headlines(&short), 2, "{text}");
        // One line per event, one per day, and the two that follow the halt.
        assert_eq!(long.len(), told.len() + headlines(&long) + 2);
        assert!(short.len() * 2 < long.len(), "{} of {}", short.len(), long.len());
        assert!(!text.contains("taken by the target"));
        assert!(long.iter().any(|l| l.ends_with("taken by the target")));
        for expect in [
            "          next: why web-02 · report · lift the halt with a reason, or end the run",
            "          nothing more happens by itself · owed: web-01 keeps 2 old packages for the way back",
            "web-t1, web-t2  healthy: http 200 · gave back what it owed · what was kept is gone",
            "web-01  restarted · boot id changed · scan: 2 of 2 at the planned version · in effect: no process runs old code",
            "web-03 … web-06  skipped: the run was ended before its turn",
            " · nothing is owed",
        ] {
            assert!(text.contains(expect), "no {expect:?} in\n{text}");
        }

        let other = the_other_way_round(&told);
        assert_ne!(other, told, "the run has moments in which several components speak");
        assert_eq!(lines(Timeline::of(&plan, run), &other).join("\n"), text);
    });
}
