//! The figures for people, and the page of evidence.

use std::fmt::Write as _;

use super::{
    figures::{Figures, Judged, Kind, mean, measured},
    peers::Peer,
    public::Public,
    published::PUBLISHED,
    rows::{Made, Ours, Row, hours},
    stages::{self, Asked},
};
use crate::page::head;

/// Every figure with a gate or an aim.
pub(crate) fn table(judged: &[Judged]) -> String {
    let mut text = String::from("| figure | found | expected | | |\n|---|---|---|---|---|\n");
    for judged in judged {
        let kind = match judged.kind {
            Kind::Gate => "gate",
            Kind::Aim => "aim",
        };
        let verdict = match (judged.holds, judged.kind) {
            (true, _) => "met",
            (false, Kind::Gate) => "**not met**",
            (false, Kind::Aim) => "not reached",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {kind} | {verdict} |",
            judged.what, judged.found, judged.target
        );
    }
    text
}

/// The page of evidence.
pub(crate) fn page(figures: &Figures) -> String {
    let title = "The last measuring of the roll planner";
    let mut page = head(title, "bench roll", &figures.about, &figures.loads);
    page.push_str(
        "\nClusters are made from seeds: identical hosts of 768 GB, an assumed mix of enterprise machines, 15 % of them in groups that keep apart, four moves at once each way, 20 minutes for a patch, and room for one failed host where that is possible at all.\n\
         Other tools are models of ours, built in, and held to the figures that were published of them; none is a vendor's trace.\n\
         Bytes are given in all memory of the cluster: 1 is every machine once.\n\
         Every roll passed the checker, which shares no code with the planner; its makespan is the checker's.\n\
         A gate that is not met fails the command; an aim never does.\n\n",
    );
    page.push_str(&table(&figures.judged(None)));
    page.push_str(&tools(figures));
    page.push_str(&rolls(&figures.rows));
    let small = &figures.small;
    let _ = write!(
        page,
        "\n## Small clusters\n\n{} clusters of 2 to 4 hosts and at most 10 machines, of which every way was looked at: {} are possible, {} are not.\n\
         The planner found {} rolls, {} of them with the fewest bytes; gave {} proofs; and found nothing {} times, {} of these after it had looked at every way itself.\n",
        small.clusters,
        small.clusters - small.impossible,
        small.impossible,
        small.found,
        small.optimal,
        small.proofs,
        small.not_found,
        small.exhausted,
    );
    page.push_str(&staged(&figures.stages));
    page.push_str("\n## Work\n\nOne plan of one attempt, checked, at 70 %.\n\n| hosts | machines | instructions | seconds of processor time | of these the checker |\n|---|---|---|---|---|\n");
    for work in &figures.work {
        // Under callgrind a second is none.
        let counted = work.instructions.map(|count| format!("{count}"));
        let timed = |value: f64| match counted {
            Some(_) => String::new(),
            None => format!("{value:.3}"),
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            work.hosts,
            work.vms,
            counted.clone().unwrap_or_default(),
            timed(work.plan),
            timed(work.check),
        );
    }
    match (&figures.roadef, &figures.btrplace) {
        (Some(roadef), Some(btrplace)) => {
            page.push_str("\n## ROADEF/EURO 2012, set A\n\nAll hosts need the patch, none is kept free, and hosts may be left out.\n\n");
            page.push_str(&public(roadef));
            page.push_str("\n## BtrPlace\n\nAll hosts need the patch, and one may fail.\n\n");
            page.push_str(&public(btrplace));
        }
        _ => page.push_str("\nThe public instances were not measured: `--data DIR` names the folder that has them.\n"),
    }
    page
}

fn tools(figures: &Figures) -> String {
    let mut text = String::from(
        "\n## Models of other tools\n\nFound here, and published. Means of five seeds, of those that the tool completes.\n\n\
         | hosts | full | tool | bytes | published | hours | published | completes | published |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for published in PUBLISHED {
        let (hosts, full, peer) = (published.hosts, published.full, published.peer);
        let (moved, span, done) = measured(&figures.rows, hosts, full, peer);
        let _ = writeln!(
            text,
            "| {hosts} | {full} % | {} | {moved:.3} | {:.3} | {span:.2} | {:.2} | {done} of 5 | {} of 5 |",
            peer.name(),
            published.moved,
            published.hours,
            published.done,
        );
    }
    text
}

/// Mean bytes and hours of those that there are, and how many.
fn cell(made: &[(f64, f64)], of: usize) -> String {
    if made.is_empty() {
        return "none".to_owned();
    }
    let moved: Vec<f64> = made.iter().map(|made| made.0).collect();
    let span: Vec<f64> = made.iter().map(|made| made.1).collect();
    let part = match made.len() {
        all if all == of => String::new(),
        part => format!(" ({part} of {of})"),
    };
    format!("{:.3}, {:.2} h{part}", mean(&moved), mean(&span))
}

fn rolls(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n## Rolls\n\nBytes and makespan, means of the seeds.\n\n\
         | hosts | full | bound | CAU | Xen Orchestra | serial most-free | parallel spread | `FewestMoves` | `Balanced` | `Knee` | `Fastest` |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut cells: Vec<(usize, u32)> = rows.iter().map(|row| (row.hosts, row.full)).collect();
    cells.dedup();
    for (hosts, full) in cells {
        let those: Vec<&Row> = rows
            .iter()
            .filter(|row| (row.hosts, row.full) == (hosts, full))
            .collect();
        let by = |of: &dyn Fn(&Row) -> Option<(u64, u64)>| {
            let made = those.iter().filter_map(|row| {
                let (mib, ms) = of(row)?;
                Some((row.share(mib), hours(ms)))
            });
            cell(&made.collect::<Vec<_>>(), those.len())
        };
        let ours = |made: Option<Made>| made.map(|made| (made.mib, made.ms));
        let wish = |of: fn(&Row) -> Option<&Ours>| by(&|row| ours(of(row).and_then(Ours::best)));
        if those.iter().all(|row| matches!(row.few, Ours::Infeasible)) {
            let proofs = those.len();
            let _ = writeln!(
                text,
                "| {hosts} | {full} % | impossible: {proofs} proofs | | | | | | | | |"
            );
            continue;
        }
        let _ = writeln!(
            text,
            "| {hosts} | {full} % | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            by(&|row| row.bounds.map(|b| (b.moved_mib, b.makespan_ms))),
            by(&|row| row.peer(Peer::Cau)),
            by(&|row| row.peer(Peer::XenOrchestra)),
            by(&|row| row.peer(Peer::MostFree)),
            by(&|row| row.peer(Peer::Spread)),
            wish(|row| Some(&row.few)),
            wish(|row| row.balanced.as_ref()),
            wish(|row| row.knee.as_ref()),
            wish(|row| row.fast.as_ref()),
        );
    }
    text
}

/// Beside CP-SAT.
fn staged(all: &[Asked]) -> String {
    let mut text = String::from(
        "\n## Up to 8 hosts, beside CP-SAT\n\nA roll has as many stages as hosts that follow one another. \
         CP-SAT (OR-tools, `bench/stages.py`) is asked for the fewest bytes in as many, with two processors and a few seconds for each answer, a model of its own, and no bound or cut of ours. \
         *Relaxed* lets a move take room at one end only, so that no roll can beat what is proven; *executable* is what can be carried out as it stands. \
         GB; what is proven is bold, the rest is the best that it found.\n\n\
         | cluster | machines | stages | ours | CP-SAT, executable | CP-SAT, relaxed |\n|---|---|---|---|---|---|\n",
    );
    for asked in all {
        let ours = match asked.ours {
            stages::Ours::Moves(gb) => gb.to_string(),
            stages::Ours::MoreStages => "more stages".to_owned(),
            stages::Ours::Impossible => "proven impossible".to_owned(),
            stages::Ours::NotFound => "not found".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {ours} | {} | {} |",
            asked.cluster,
            asked.vms,
            asked.stages,
            asked.executable.shown(),
            asked.relaxed.shown(),
        );
    }
    text
}

fn public(rows: &[Public]) -> String {
    let mut text = String::from(
        "| instance | hosts | machines | patched | bytes beside the bound | hours | seconds of processor time | proof that not all can be patched |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let patched = row.patched.map_or("none".to_owned(), |p| p.to_string());
        let gap = match row.bound_mib {
            0 => String::new(),
            bound => format!("{:.4}", row.mib as f64 / bound as f64),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {patched} | {gap} | {:.1} | {:.1} | {} |",
            row.name,
            row.hosts,
            row.vms,
            row.hours,
            row.cpu,
            row.proof.as_deref().unwrap_or("none"),
        );
    }
    text
}
