//! How far a run is, as the lines of one block: a bar for each ring, a line for each component on the way, the
//! estimated end.

use patchcore::{
    Timestamp,
    execute::{ComponentProgress, RingProgress, RunProgress, kernel::RingPhase},
};

use super::{
    screen::Size,
    styled::{Line, Style},
};

/// Bars are no wider: longer ones say nothing more.
const WIDEST_BAR: usize = 24;
/// And no narrower: shorter ones say nothing.
const NARROWEST_BAR: usize = 8;
/// Names longer than this do not push the column after them.
const WIDEST_NAME: usize = 16;

/// The block for a screen of this size. It never has more lines than fit, and no line is wider than the screen.
#[must_use]
pub fn block(progress: &RunProgress, size: Size) -> Vec<Line> {
    // The last column stays free: a line that fills it is followed by a jump that not all terminals make alike.
    let columns = size.columns.saturating_sub(1);
    // The line of the cursor, and one of what was said before.
    let rows = size.rows.saturating_sub(2);

    let mut lines = vec![rule(progress, columns)];
    lines.extend(rings(progress, columns));
    let last = last(progress);
    let room = rows.saturating_sub(lines.len() + 1);
    lines.extend(at_work(progress, room));
    lines.push(last);
    lines.truncate(rows);
    lines.into_iter().map(|line| line.cut(columns)).collect()
}

/// `── run 1 · waiting: soak of test until Tue 8 Dec 22:05 CET ───`.
fn rule(progress: &RunProgress, columns: usize) -> Line {
    let line = Line::default()
        .with(Style::Dim, "── ")
        .with(Style::Bold, format!("run {}", progress.run))
        .with(Style::Plain, format!(" · {}", progress.heartbeat()));
    let rest = columns.saturating_sub(line.width() + 1);
    line.with(Style::Dim, format!(" {}", "─".repeat(rest)))
}

fn rings(progress: &RunProgress, columns: usize) -> Vec<Line> {
    let names = progress.rings.iter().map(|r| r.ring.as_str());
    let name = width_of_names(names);
    let texts: Vec<Vec<(Style, String)>> = progress
        .rings
        .iter()
        .map(|ring| counts(ring, progress))
        .collect();
    let text = texts
        .iter()
        .map(|t| t.iter().map(|(_, s)| s.chars().count()).sum())
        .max()
        .unwrap_or(0);
    let bar = columns
        .saturating_sub(name + text + 4)
        .clamp(NARROWEST_BAR, WIDEST_BAR);
    let rings = progress.rings.iter().zip(texts);
    rings
        .map(|(ring, texts)| {
            let line =
                Line::default().with(Style::Plain, format!("{:name$}  ", ring.ring.as_str()));
            let line = bar_of(ring, bar, line).with(Style::Plain, "  ");
            texts
                .into_iter()
                .fold(line, |line, (style, text)| line.with(style, text))
        })
        .collect()
}

/// One block of the bar stands for the same number of components everywhere in it.
fn bar_of(ring: &RingProgress, width: usize, line: Line) -> Line {
    let parts = [
        (Style::Good, "█", ring.done + ring.in_service),
        (Style::Bad, "▚", ring.failed + ring.undecided),
        (Style::Busy, "▓", ring.at_work),
        (Style::Dim, "░", ring.waiting + ring.skipped),
    ];
    let (mut line, mut before, mut drawn) = (line, 0, 0);
    for (style, sign, count) in parts {
        before += count;
        // Rounded down, except that what is there is seen.
        let to = (before * width / ring.components.max(1)).max(drawn + usize::from(count > 0));
        let to = to.min(width);
        line = line.with(style, sign.repeat(to - drawn));
        drawn = to;
    }
    line
}

/// `3 of 10 back in service · 2 at work · 5 wait`.
fn counts(ring: &RingProgress, progress: &RunProgress) -> Vec<(Style, String)> {
    let all = ring.components;
    let first = if ring.in_service == 0 && ring.done > 0 {
        format!("{} of {all} done", ring.done)
    } else {
        format!("{} of {all} back in service", ring.done + ring.in_service)
    };
    let mut texts = vec![(Style::Plain, first)];
    let further = [
        (Style::Busy, ring.at_work, "at work"),
        (Style::Bad, ring.failed, "failed"),
        (Style::Bad, ring.undecided, "for a person"),
        (
            Style::Dim,
            ring.waiting,
            if ring.waiting == 1 { "waits" } else { "wait" },
        ),
        (Style::Dim, ring.skipped, "skipped"),
    ];
    for (style, count, word) in further {
        if count > 0 {
            texts.push((Style::Plain, " · ".to_owned()));
            texts.push((style, format!("{count} {word}")));
        }
    }
    if let RingPhase::Soaking(until) = ring.phase {
        texts.push((
            Style::Plain,
            format!(" · soak until {}", at(progress, until)),
        ));
    }
    texts
}

/// As many as there is room for; the others are counted.
fn at_work(progress: &RunProgress, room: usize) -> Vec<Line> {
    let all = &progress.at_work;
    let shown = if all.len() <= room {
        all.len()
    } else {
        room.saturating_sub(1)
    };
    let name = width_of_names(all.iter().map(|c| c.component.as_str()));
    let one = |c: &ComponentProgress| {
        let since = c.since.to_zoned(progress.zone.clone());
        let line = Line::default()
            .with(
                Style::Plain,
                format!("  {:name$}  {}", c.component.as_str(), c.phase),
            )
            .with(
                Style::Dim,
                format!(
                    ", since {} ({})",
                    since.strftime("%H:%M:%S"),
                    age(progress.now, c.since)
                ),
            );
        match &c.says {
            Some(says) => line.with(Style::Dim, format!(" · {says}")),
            None => line,
        }
    };
    let mut lines: Vec<Line> = all[..shown].iter().map(one).collect();
    if shown < all.len() {
        let more = all.len() - shown;
        lines.push(Line::default().with(Style::Dim, format!("  + {more} more at work")));
    }
    lines
}

/// The time, which names the zone of all times above it, and the end as far as anybody knows.
fn last(progress: &RunProgress) -> Line {
    let now = progress.now.to_zoned(progress.zone.clone());
    let ends = match progress.ends {
        _ if progress.standing.is_final() => String::new(),
        Some(ends) => format!(" · ends about {}", at(progress, ends)),
        None => " · nobody can say when it ends".to_owned(),
    };
    Line::default()
        .with(
            Style::Dim,
            now.strftime("%a %-d %b %H:%M:%S %Z").to_string(),
        )
        .with(Style::Plain, ends)
}

/// With the day only where it is another one.
fn at(progress: &RunProgress, at: Timestamp) -> String {
    let (at, now) = (
        at.to_zoned(progress.zone.clone()),
        progress.now.to_zoned(progress.zone.clone()),
    );
    let format = if at.date() == now.date() {
        "%H:%M %Z"
    } else {
        "%a %-d %b %H:%M %Z"
    };
    at.strftime(format).to_string()
}

/// `12 s`, `3 min`, `2 h 5 min`.
fn age(now: Timestamp, since: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3_600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn width_of_names<'n>(names: impl Iterator<Item = &'n str>) -> usize {
    let widths = names.map(|n| n.chars().count());
    widths.filter(|w| *w <= WIDEST_NAME).max().unwrap_or(0)
}
