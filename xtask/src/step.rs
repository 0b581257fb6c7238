//! Runs steps one after another, shows each with its time, and counts.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use crate::outcome::Outcome;

/// The time of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "this program times real work and has no virtual clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Prints a line. One that nobody reads any more, as after `| head`, is no reason to stop.
pub(crate) fn say(line: &str) {
    show(&format!("{line}\n"));
}

fn show(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A step that was run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) time: Duration,
}

/// The steps that were run so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: Vec<Record>,
}

impl Tally {
    /// Runs one step and shows its name, its result and its time. A failure never stops the steps after it.
    pub(crate) fn run(&mut self, name: &'static str, in_ci: bool, step: impl FnOnce() -> Outcome) {
        show(&format!("{name:<10} "));
        let started = now();
        let outcome = step().judged(in_ci);
        let time = started.elapsed();
        let shown = seconds(time);
        match &outcome {
            Outcome::Passed(passed) => {
                let gap = if passed.detail.is_empty() { "" } else { " · " };
                say(&format!("ok       {shown}{gap}{}", passed.detail));
                for warning in &passed.warnings {
                    say(&format!("   {warning}"));
                }
                for reason in outcome.left_out() {
                    say(&format!("   skipped: {reason}"));
                }
            }
            Outcome::Skipped(reason) => say(&format!("skipped  {shown} · {reason}")),
            Outcome::Failed { output, .. } => {
                say(&format!("FAILED   {shown}"));
                for line in output.trim_end().lines() {
                    say(&format!("   {line}"));
                }
            }
        }
        self.add(name, outcome, time);
    }

    /// Takes a step that was run.
    pub(crate) fn add(&mut self, name: &'static str, outcome: Outcome, time: Duration) {
        self.records.push(Record {
            name,
            outcome,
            time,
        });
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed { .. }))
    }

    pub(crate) fn passed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Passed(_)))
    }

    pub(crate) fn skipped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.records
            .iter()
            .filter(|record| which(&record.outcome))
            .count()
    }

    /// One line: what ran, what failed, and what was skipped and why.
    pub(crate) fn sentence(&self) -> String {
        let time = self.records.iter().map(|record| record.time).sum();
        let mut ran = Vec::new();
        let mut failed = Vec::new();
        let mut skipped = Vec::new();
        for record in &self.records {
            match &record.outcome {
                Outcome::Passed(_) => ran.push(record.name),
                Outcome::Failed { .. } => {
                    ran.push(record.name);
                    failed.push(record.name);
                }
                Outcome::Skipped(reason) => skipped.push(format!("{} ({reason})", record.name)),
            }
            let within = record.outcome.left_out();
            if !within.is_empty() {
                skipped.push(format!("in {} ({})", record.name, within.join("; ")));
            }
        }
        let mut line = format!("ran in {}: {}", seconds(time), list(&ran));
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "; failed: {}; skipped: {}",
            list(&failed),
            list(&skipped)
        );
        line
    }

    /// The counts of steps on a line of their own.
    pub(crate) fn counts(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed(),
            self.failed(),
            self.skipped()
        )
    }
}

fn list<T: AsRef<str>>(words: &[T]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A duration as people read it: `0.8 s`, `42 s`, `3 min 20 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Passed;

    #[test]
    fn the_closing_lines_name_everything() {
        let mut tally = Tally::default();
        let mut add = |name, outcome| tally.add(name, outcome, Duration::from_secs(20));
        add("format", Outcome::passed(""));
        add("lints", Outcome::failed("unused import"));
        add("packages", Outcome::Skipped("not root".to_owned()));
        add(
            "tests",
            Outcome::Passed(Passed {
                missing: vec!["apt peer: no root".to_owned()],
                ..Passed::default()
            }),
        );
        let left_out = vec!["scale: only with --full".to_owned()];
        add(
            "guests",
            Outcome::Failed {
                output: "no boot".to_owned(),
                left_out,
            },
        );
        assert_eq!(
            tally.sentence(),
            "ran in 1 min 40 s: format, lints, tests, guests; failed: lints, guests; \
             skipped: packages (not root), in tests (apt peer: no root), in guests (scale: only with --full)"
        );
        assert_eq!(tally.counts(), "2 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn durations() {
        assert_eq!(seconds(Duration::from_millis(840)), "0.8 s");
        assert_eq!(seconds(Duration::from_secs(42)), "42 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }
}
