//! The timeline of a roll as an SVG: a track for each host, arrows for what moves, and above them what is free.

mod film;
mod ink;

use self::{
    film::{Bundle, Cycle, Film, Kind},
    ink::{Ink, Place},
};
use super::{RollPlan, units};

/// Left of the time there are names, right of it what a host ends with.
const LEFT: f64 = 132.0;
const WIDE: f64 = 1000.0;
const RIGHT: f64 = 98.0;
/// What is free, in the whole cluster.
const FREE_TOP: f64 = 92.0;
const FREE_HIGH: f64 = 92.0;
const TRACKS_TOP: f64 = FREE_TOP + FREE_HIGH + 46.0;
/// More hosts than these have no track of their own: the picture shows what is free and how many are down.
const MOST_TRACKS: usize = 300;
/// More arrows than these are drawn faintly.
const MANY_ARROWS: usize = 120;
/// A track that is lower than this shows no words.
const WORDS_FROM: f64 = 26.0;

/// The picture of a plan.
pub(super) fn svg(plan: &RollPlan) -> String {
    let film = Film::of(plan);
    let hosts = plan.cluster.hosts.len();
    let tracks = if hosts <= MOST_TRACKS { hosts } else { 0 };
    let (high, gap) = match tracks {
        0..=12 => (52.0, 8.0),
        13..=32 => (34.0, 5.0),
        33..=80 => (26.0, 4.0),
        _ => (11.0, 2.0),
    };
    let bottom = TRACKS_TOP + tracks as f64 * (high + gap);
    let title = format!(
        "Roll of {hosts} hosts in {}: when each host is down, what moves where, and what is free.",
        units::length(film.makespan)
    );
    let mut ink = Ink::new(LEFT + WIDE + RIGHT, bottom + 34.0, &title);
    let drawing = Drawing {
        plan,
        film: &film,
        high,
        gap,
        tracks,
        bottom,
    };
    drawing.head(&mut ink);
    drawing.free(&mut ink);
    for host in 0..tracks {
        drawing.track(&mut ink, host);
    }
    drawing.hours(&mut ink);
    if tracks > 0 {
        drawing.cycles(&mut ink);
        drawing.moves(&mut ink);
    }
    ink.over()
}

struct Drawing<'p> {
    plan: &'p RollPlan,
    film: &'p Film<'p>,
    high: f64,
    gap: f64,
    tracks: usize,
    bottom: f64,
}

impl Drawing<'_> {
    fn x(&self, ms: u64) -> f64 {
        LEFT + ms as f64 * WIDE / self.film.makespan as f64
    }

    fn top(&self, host: usize) -> f64 {
        TRACKS_TOP + host as f64 * (self.high + self.gap)
    }

    fn name(&self, host: usize) -> &str {
        self.plan.cluster.hosts[host].id.as_str()
    }

    fn head(&self, ink: &mut Ink) {
        let figures = self.plan.figures();
        let gap = self.plan.gap_permille();
        let line = format!(
            "Roll of {} hosts with {} machines in {}",
            self.plan.cluster.hosts.len(),
            self.plan.cluster.vms.len(),
            units::length(figures.makespan_ms)
        );
        ink.text(Place::Left, 16.0, 28.0, "title", &line);
        let line = format!(
            "{} moves copy {}, {} above the bound; the makespan is {} above its bound; at most {} closed at once. Times are the usual ones.",
            figures.moves,
            units::mib(figures.moved_mib),
            units::percent(gap[0]),
            units::percent(gap[2]),
            figures.closed_at_once
        );
        ink.text(Place::Left, 16.0, 48.0, "soft", &line);
        let mut x = 16.0;
        let keys = [
            ("taken old", "taken, not patched yet"),
            ("taken new", "taken, patched"),
            ("drain", "closed, being emptied"),
            ("down", "down for its patch"),
        ];
        for (class, words) in keys {
            ink.rect(x, 61.0, 14.0, 12.0, class, "");
            ink.text(Place::Left, x + 20.0, 71.0, "soft", words);
            x += 34.0 + words.len() as f64 * 6.2;
        }
        for (kind, words) in [
            (Kind::Once, "moves once"),
            (Kind::Again, "moves again later"),
            (Kind::Beside, "makes room or goes ahead"),
        ] {
            if self.film.bundles.iter().any(|bundle| bundle.kind == kind) {
                ink.line(x, 67.0, x + 20.0, 67.0, &format!("move {}", word(kind)));
                ink.text(Place::Left, x + 28.0, 71.0, "soft", words);
                x += 44.0 + words.len() as f64 * 6.2;
            }
        }
    }

    /// Lines at round times.
    fn hours(&self, ink: &mut Ink) {
        const STEPS_MIN: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440];
        let minutes = self.film.makespan / 60_000;
        let step = STEPS_MIN.iter().find(|step| minutes / **step <= 12);
        let step = step.map_or((minutes / 12 / 1440 + 1) * 1440, |step| *step) * 60_000;
        let mut at = 0;
        while at <= self.film.makespan {
            let x = self.x(at);
            ink.line(x, FREE_TOP, x, self.bottom, "grid");
            let words = units::moment(at);
            let words = words.strip_suffix(":00").unwrap_or(&words);
            ink.text(Place::Middle, x, self.bottom + 16.0, "soft", words);
            at += step;
        }
        ink.text(
            Place::Left,
            16.0,
            self.bottom + 16.0,
            "soft",
            "hours, minutes",
        );
    }

    /// What is free on the open hosts, and the part of it that is kept for failures.
    fn free(&self, ink: &mut Ink) {
        let film = self.film;
        let most = film.free.iter().chain(&film.reserve).map(|(_, v)| *v).max();
        let most = most.unwrap_or(0).max(1);
        let floor = FREE_TOP + FREE_HIGH;
        let y = |value: u64| floor - value as f64 * (FREE_HIGH - 6.0) / most as f64;
        ink.rect(LEFT, FREE_TOP, WIDE, FREE_HIGH, "track", "");
        ink.area(&self.stairs(&film.free, y), floor, "free");
        let kept = film.reserve.iter().any(|(_, value)| *value > 0);
        if kept {
            ink.stairs(&self.stairs(&film.reserve, y), "reserve");
        }
        let of = units::amount(film.resource, 0);
        let of = of.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let of = of.trim_start_matches("MiB ");
        ink.text(Place::Right, LEFT - 10.0, FREE_TOP + 16.0, "name", "free");
        ink.text(
            Place::Right,
            LEFT - 10.0,
            FREE_TOP + 31.0,
            "soft",
            &format!("{of} on"),
        );
        ink.text(
            Place::Right,
            LEFT - 10.0,
            FREE_TOP + 45.0,
            "soft",
            "open hosts",
        );
        if kept {
            ink.text(
                Place::Right,
                LEFT - 10.0,
                FREE_TOP + 66.0,
                "kept",
                "HA reserve",
            );
        }
        let least = film.free.iter().map(|(_, value)| *value).min().unwrap_or(0);
        let right = LEFT + WIDE + 8.0;
        let short = |value| units::amount(film.resource, value).replace(&format!(" {of}"), "");
        ink.text(Place::Left, right, y(most) + 8.0, "soft", &short(most));
        if y(least) - y(most) > 14.0 {
            ink.text(Place::Left, right, y(least) + 4.0, "soft", &short(least));
        }
        if let Some((_, kept)) = film
            .reserve
            .iter()
            .max_by_key(|(_, v)| *v)
            .filter(|(_, v)| *v > 0)
            && (y(*kept) - y(least)).abs() > 14.0
            && (y(*kept) - y(most)).abs() > 14.0
        {
            ink.text(Place::Left, right, y(*kept) + 4.0, "kept", &short(*kept));
        }
        // A number at each instant, for whoever points at it.
        for (at, pair) in film.free.windows(2).enumerate() {
            if film.free.len() > 400 && at % (film.free.len() / 400 + 1) != 0 {
                continue;
            }
            let (from, until) = (self.x(pair[0].0), self.x(pair[1].0));
            let words = format!(
                "{}: {} free on open hosts",
                units::moment(pair[0].0),
                units::amount(film.resource, pair[0].1)
            );
            ink.rect(from, FREE_TOP, until - from, FREE_HIGH, "hover", &words);
        }
    }

    /// A series as corners.
    fn stairs(&self, series: &[(u64, u64)], y: impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
        let mut corners: Vec<(f64, f64)> = Vec::new();
        for (at, value) in series {
            let x = self.x(*at);
            if let Some((_, last)) = corners.last().copied() {
                corners.push((x, last));
            }
            corners.push((x, y(*value)));
        }
        if let Some((_, last)) = corners.last().copied() {
            corners.push((LEFT + WIDE, last));
        }
        corners
    }

    fn track(&self, ink: &mut Ink, host: usize) {
        let film = self.film;
        let (top, floor) = (self.top(host), self.top(host) + self.high);
        let room = film.rooms[host];
        let taken = &film.taken[host];
        let share = |value: u64| value as f64 / room.max(1) as f64;
        let y = |value: u64| floor - share(value).min(1.0) * self.high;
        let last = taken.last().map_or(0, |(_, value)| *value);
        let words = format!(
            "{}: {}, of which {} are taken at first and {} at the end",
            self.name(host),
            units::amount(film.resource, room),
            units::amount(film.resource, taken.first().map_or(0, |(_, v)| *v)),
            units::amount(film.resource, last),
        );
        ink.rect(LEFT, top, WIDE, self.high, "track", &words);
        let opens = film.cycles.iter().find(|cycle| cycle.host == host);
        let turns = match opens {
            Some(cycle) => cycle.opens,
            None if self.plan.cluster.hosts[host].needs_patch => u64::MAX,
            None => 0,
        };
        let before: Vec<(u64, u64)> = taken
            .iter()
            .copied()
            .filter(|(at, _)| *at < turns)
            .collect();
        let mut after: Vec<(u64, u64)> = taken
            .iter()
            .copied()
            .filter(|(at, _)| *at >= turns)
            .collect();
        if let (Some((_, value)), true) = (before.last(), turns < film.makespan) {
            after.insert(0, (turns, *value));
        }
        for (series, class, until) in [(before, "taken old", turns), (after, "taken new", u64::MAX)]
        {
            let mut corners = self.stairs(&series, y);
            let end = self.x(until.min(film.makespan));
            corners.retain(|(x, _)| *x <= end);
            if let Some((_, last)) = corners.last().copied() {
                corners.push((end, last));
            }
            ink.area(&corners, floor, class);
        }
        if self.high < 10.0 {
            return;
        }
        let middle = top + self.high / 2.0;
        if self.high >= 40.0 {
            ink.text(
                Place::Right,
                LEFT - 10.0,
                middle,
                "name",
                &ink::short(self.name(host), 16),
            );
            let has = units::amount(film.resource, room);
            ink.text(
                Place::Right,
                LEFT - 10.0,
                middle + 14.0,
                "soft",
                &ink::short(&has, 18),
            );
        } else {
            ink.text(
                Place::Right,
                LEFT - 10.0,
                middle + 4.0,
                "name",
                &ink::short(self.name(host), 16),
            );
        }
        if self.high >= WORDS_FROM || last > 0 {
            let full = format!("{:.0} % full", share(last) * 100.0);
            ink.text(Place::Left, LEFT + WIDE + 8.0, middle + 4.0, "soft", &full);
        }
    }

    fn cycles(&self, ink: &mut Ink) {
        for Cycle {
            host,
            closes,
            down,
            opens,
        } in &self.film.cycles
        {
            let top = self.top(*host);
            let name = self.name(*host);
            let (from, begins, until) = (self.x(*closes), self.x(*down), self.x(*opens));
            let words = format!(
                "{name} is closed from {} and being emptied for {}",
                units::moment(*closes),
                units::length(down - closes)
            );
            ink.rect(from, top, begins - from, self.high, "drain", &words);
            let words = format!(
                "{name} is down from {} to {}",
                units::moment(*down),
                units::moment(*opens)
            );
            ink.rect(begins, top, until - begins, self.high, "down", &words);
            if self.high >= WORDS_FROM {
                let x = f64::midpoint(begins, until);
                let y = top + self.high / 2.0 + 4.0;
                let words = format!("down {}", units::length(opens - down));
                if until - begins > words.len() as f64 * 7.0 {
                    ink.text(Place::Middle, x, y, "on-down", &words);
                } else if until - begins > 32.0 {
                    ink.text(Place::Middle, x, y, "on-down", "down");
                }
            }
        }
    }

    fn moves(&self, ink: &mut Ink) {
        for bundle in &self.film.bundles {
            self.arrow(ink, bundle);
        }
        if self.high < WORDS_FROM {
            return;
        }
        // How far words reach in each row of each track; the rows next to the arrow's head come first.
        let mut reach = vec![[0.0_f64; 4]; self.tracks];
        let rows = ((self.high / 12.5) as usize).min(4);
        for bundle in &self.film.bundles {
            let words = match bundle.vms.len() {
                1 => ink::short(bundle.vms[0], 14),
                more => format!("{} +{}", ink::short(bundle.vms[0], 12), more - 1),
            };
            let x = self.x(bundle.ends) + 6.0;
            let wide = words.chars().count() as f64 * 5.8 + 6.0;
            let mut near: Vec<usize> = (0..rows).collect();
            near.sort_by_key(|row| (2 * row + 1).abs_diff(rows));
            let free = near.into_iter().find(|row| reach[bundle.to][*row] <= x);
            if let Some(row) = free.filter(|_| x + wide < LEFT + WIDE) {
                reach[bundle.to][row] = x + wide;
                let y = self.top(bundle.to) + (row as f64 + 0.5) * self.high / rows as f64 + 3.5;
                ink.text(Place::Left, x, y, "vm", &words);
            }
        }
    }

    fn arrow(&self, ink: &mut Ink, bundle: &Bundle<'_>) {
        let middle = |host: usize| self.top(host) + self.high / 2.0;
        let from = (self.x(bundle.begins), middle(bundle.from));
        let to = (self.x(bundle.ends), middle(bundle.to));
        let which = match bundle.vms.len() {
            1..=12 => bundle.vms.join(", "),
            more => format!("{more} machines, such as {}", bundle.vms[..8].join(", ")),
        };
        let words = format!(
            "{} to {}, {} to {}: {which} ({})",
            units::moment(bundle.begins),
            units::moment(bundle.ends),
            self.name(bundle.from),
            self.name(bundle.to),
            units::mib(bundle.mib)
        );
        let thick = 1.2 + (bundle.vms.len() as f64).log2() * 0.6;
        let kind = word(bundle.kind);
        // Where there are many, none may hide what is below them.
        if self.film.bundles.len() > MANY_ARROWS {
            ink.arrow(from, to, thick.min(2.0), (kind, " faint"), &words);
        } else {
            ink.halo(from, to, thick + 2.4);
            ink.arrow(from, to, thick, (kind, ""), &words);
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Once => "once",
        Kind::Again => "again",
        Kind::Beside => "beside",
    }
}
