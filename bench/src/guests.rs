//! The table of real guests for people, and its page of evidence.

use std::fmt::Write as _;

use crate::{
    figures::{Results, Tool, megabytes},
    page::{head, load},
};

/// The medians, and the targets.
pub(crate) fn table(results: &Results) -> String {
    let medians = results.medians();
    let mut text = String::from(
        "| work | tool | wall s | CPU s | RSS | PSS | processes |\n|---|---|---|---|---|---|---|\n",
    );
    for &work in results.comparison.works() {
        for &tool in results.comparison.tools() {
            let Some(figures) = medians.get(&(work, tool)) else {
                continue;
            };
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.2} | {} | {} | {} |",
                work.name(),
                tool.name(),
                figures.wall,
                figures.cpu,
                megabytes(figures.rss),
                megabytes(figures.pss),
                figures.processes,
            );
        }
    }
    if let Some(held) = &results.held {
        let _ = writeln!(
            text,
            "| {} connections held | {} | {:.2} | {:.2} | {} | {} | {} |",
            held.connections,
            Tool::Patchcore.name(),
            held.figures.wall,
            held.figures.cpu,
            megabytes(held.figures.rss),
            megabytes(held.figures.pss),
            held.figures.processes,
        );
    }
    text.push_str("\n| target | found | expected | |\n|---|---|---|---|\n");
    for judged in results.judged() {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            judged.what,
            judged.found,
            judged.target,
            if judged.holds { "met" } else { "**not met**" },
        );
    }
    text
}

/// The page of evidence.
pub(crate) fn page(results: &Results) -> String {
    let mut loads: Vec<f64> = results.runs.iter().map(|run| run.figures.load).collect();
    loads.extend(load());
    let title = "The last measuring on real guests";
    let mut page = head(title, "bench linux", &results.about, &loads);
    let _ = write!(
        page,
        "- guests: {}, real Debian with sshd and sudo in one network on the same machine\n- rounds: {}, of which each figure is the median\n\n\
         What the machine that patches spends is measured, with everything that a tool starts.\n\
         CPU and PSS are compared; wall time is shown only, since the guests share the processors.\n\
         *gather* is what `apt-get -s dist-upgrade` says; patchcore reads all of a scan and all offers with it.\n\
         *upgrade* is one package; patchcore's figures hold the plan, the journal, the scans before and after, and a job that outlives its connection.\n\n",
        results.guests, results.rounds
    );
    page.push_str(&table(results));
    page
}
