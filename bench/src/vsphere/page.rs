//! The figures for people, and the page of evidence.

use std::{collections::BTreeSet, fmt::Write as _};

use super::figures::{Figures, HOSTS, Judged, MACHINES, ROLLED, Reader, Rolled};
use crate::page::head;

/// Every figure with its gate.
pub(crate) fn table(judged: &[Judged]) -> String {
    let mut text = String::from("| figure | found | expected | |\n|---|---|---|---|\n");
    for judged in judged {
        let verdict = if judged.holds { "met" } else { "**not met**" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            judged.what, judged.found, judged.target
        );
    }
    text
}

/// What each reader cost.
pub(crate) fn readers(figures: &Figures) -> String {
    let mut text = String::from(
        "| reader | reads | CPU s | peak of memory | wall s |\n|---|---|---|---|---|\n",
    );
    for reader in Reader::ALL {
        if let Some(cost) = figures.median(reader) {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.1} MB | {:.1} |",
                reader.name(),
                reader.reads(),
                cost.cpu,
                cost.rss as f64 / 1e6,
                cost.wall
            );
        }
    }
    text
}

/// How often each method was called.
pub(crate) fn calls(rolls: &[Rolled]) -> String {
    let mut text = String::from("| method |");
    for roll in rolls {
        let _ = write!(text, " tasks of {} s |", f64::from(roll.task_ms) / 1e3);
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(rolls.len()));
    text.push('\n');
    let mut row = |what: &str, of: &dyn Fn(&Rolled) -> String| {
        let _ = write!(text, "| {what} |");
        for roll in rolls {
            let _ = write!(text, " {} |", of(roll));
        }
        text.push('\n');
    };
    let methods: BTreeSet<&String> = rolls.iter().flat_map(|r| r.calls.keys()).collect();
    for method in methods {
        row(method, &|r| {
            r.calls.get(method).copied().unwrap_or(0).to_string()
        });
    }
    row("all calls", &|r| r.all().to_string());
    row("moves", &|r| r.migrations.to_string());
    row("wall s", &|r| format!("{:.0}", r.wall));
    text
}

/// The page of evidence.
pub(crate) fn page(figures: &Figures) -> String {
    let title = "The last measuring of the provider of a vCenter";
    let mut page = head(title, "bench vsphere", &figures.about, &figures.loads);
    let _ = write!(
        page,
        "\nAgainst govmomi's simulator with hosts that behave, on the same machine: [what of it is this project's own](../../providers/vsphere/tests/vcpeer/README.md). Nothing here was measured on a real vCenter.\n\n"
    );
    page.push_str(&table(&figures.judged(None)));
    let _ = write!(
        page,
        "\n## The inventory\n\n{MACHINES} machines on 64 hosts in 4 clusters; {} rounds, of which each figure is the median.\n\
         What the reading process spends is measured, with its start and its login; wall time is the simulator's.\n\
         What is judged is the read that a roll makes before each host; the others read fewer properties of machines, pyVmomi in pages into a list, govc as JSON that nobody reads.\n\
         Reading all that a roll is planned from, with every device of each machine, is not measured here: the simulator needs minutes for it.\n\n",
        figures.rounds
    );
    page.push_str(&readers(figures));
    let _ = write!(
        page,
        "\n## The calls of a roll\n\nA cluster of {HOSTS} hosts with {ROLLED} machines, of which four hosts at most are closed at once, from the first login to the last logout: read, planned, approved, rolled, every host patched through vLCM, and all settings given back.\n\
         The simulator counts calls of both APIs, whoever answers them; those of vLCM and of its tasks have the names of its rules.\n\
         Moves that begin in the same moment are looked at in one call, and one answer tells of all that ended since the last: where moves begin and end apart, each takes three calls.\n\n",
    );
    page.push_str(&calls(&figures.rolls));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_all_rolls_have_a_row() {
        let roll = |method: &str, task_ms| Rolled {
            task_ms,
            migrations: 2,
            calls: [(method.to_owned(), 7), ("Login".to_owned(), 1)].into(),
            ..Rolled::default()
        };
        let text = calls(&[roll("a", 2000), roll("b", 4500)]);
        for row in [
            "| method | tasks of 2 s | tasks of 4.5 s |",
            "| Login | 1 | 1 |",
            "| a | 7 | 0 |",
            "| b | 0 | 7 |",
            "| all calls | 8 | 8 |",
        ] {
            assert!(text.contains(row), "{text}");
        }
    }
}
