//! The plan of a roll as text: what it costs beside what no roll can beat, and then host by host.

use std::{collections::HashMap, fmt};

use super::{PlanStep, RollPlan, units};
use crate::plan::roll::{
    check::Figures,
    step::{Action, How},
};

impl fmt::Display for RollPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.figures();
        writeln!(
            f,
            "roll of {} with {} · {} · {} (95 %: {})",
            counted(self.cluster.hosts.len(), "host"),
            counted(self.cluster.vms.len(), "machine"),
            self.objective,
            units::length(figures.makespan_ms),
            units::length(figures.makespan_p95_ms),
        )?;
        self.costs(f)?;
        for left in self.left_out() {
            writeln!(f, "not in this roll: {}: {}", left.host, left.why)?;
        }
        self.hosts(f)?;
        if !self.others.is_empty() {
            f.write_str("\n")?;
        }
        for other in &self.others {
            let what = offer(other, figures);
            if !what.is_empty() {
                writeln!(f, "also on offer: {what}")?;
            }
        }
        Ok(())
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// What another roll costs, where that differs.
fn offer(other: &Figures, this: &Figures) -> String {
    if (other.moved_mib, other.makespan_ms, other.fullest_permille)
        == (this.moved_mib, this.makespan_ms, this.fullest_permille)
    {
        return String::new();
    }
    format!(
        "{} in {}, {} moves, fullest host at the end {}",
        units::mib(other.moved_mib),
        units::length(other.makespan_ms),
        other.moves,
        units::percent(other.fullest_permille.into()),
    )
}

impl RollPlan {
    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figures, bounds, gap) = (self.figures(), self.bounds(), self.gap_permille());
        let rows = [
            (
                "copied",
                units::mib(figures.moved_mib),
                units::mib(bounds.moved_mib),
                gap[0],
            ),
            (
                "moves",
                figures.moves.to_string(),
                bounds.moves.to_string(),
                gap[1],
            ),
            (
                "makespan",
                units::length(figures.makespan_ms),
                units::length(bounds.makespan_ms),
                gap[2],
            ),
        ];
        writeln!(f, "\n{:<10}{:<14}{:<14}above it", "", "this roll", "bound")?;
        for (what, value, bound, gap) in rows {
            let gap = units::percent(gap);
            writeln!(f, "{what:<10}{value:<14}{bound:<14}{gap}")?;
        }
        write!(
            f,
            "{} closed at once at most (bound {}) · fullest host at the end {}",
            counted(figures.closed_at_once as usize, "host"),
            bounds.closed_at_once,
            units::percent(figures.fullest_permille.into()),
        )?;
        if figures.downtime_ms > 0 {
            let stopped = units::length(figures.downtime_ms);
            write!(f, " · machines are stopped for {stopped} in all")?;
        }
        if figures.soft > 0 {
            write!(f, " · soft rules broken at the end cost {}", figures.soft)?;
        }
        f.write_str("\n")
    }

    /// Each host in the order in which they close, with all that leaves it before; and what belongs to none of them.
    fn hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut closes: Vec<&PlanStep> = Vec::new();
        let mut patches: HashMap<&str, &PlanStep> = HashMap::new();
        for step in &self.steps {
            match &step.action {
                Action::Close { .. } => closes.push(step),
                Action::Patch { host } => {
                    patches.insert(host.as_str(), step);
                }
                _ => {}
            }
        }
        closes.sort_by_key(|step| (step.from_ms, step.number));
        let mut of_host: HashMap<&str, Vec<&PlanStep>> = HashMap::new();
        let mut beside = Vec::new();
        for step in &self.steps {
            let host = match &step.action {
                Action::Migrate { from, .. } => from.as_str(),
                Action::AwaitEnd { host, .. }
                | Action::Stop { host, .. }
                | Action::Start { host, .. } => host.as_str(),
                _ => continue,
            };
            let stays = matches!(step.action, Action::Start { .. });
            match patches.get(host) {
                Some(patch) if stays || step.number < patch.number => {
                    of_host.entry(host).or_default().push(step);
                }
                _ => beside.push(step),
            }
        }
        for close in closes {
            let Action::Close { host } = &close.action else {
                continue;
            };
            let mut steps = of_host.remove(host.as_str()).unwrap_or_default();
            steps.push(close);
            steps.extend(patches.get(host.as_str()));
            steps.sort_by_key(|step| (step.from_ms, step.number));
            f.write_str("\n")?;
            self.lines(f, &steps)?;
        }
        if !beside.is_empty() {
            beside.sort_by_key(|step| (step.from_ms, step.number));
            writeln!(f, "\nmoves off hosts that they do not empty")?;
            self.lines(f, &beside)?;
        }
        Ok(())
    }

    fn lines(&self, f: &mut fmt::Formatter<'_>, steps: &[&PlanStep]) -> fmt::Result {
        let what: Vec<String> = steps.iter().map(|step| self.what(step)).collect();
        let wide = what
            .iter()
            .map(|what| what.chars().count())
            .max()
            .unwrap_or(0);
        for (step, what) in steps.iter().zip(what) {
            let at = units::moment(step.from_ms);
            match &step.action {
                Action::Close { host } => writeln!(f, "{at:>8}  {host} closes: {}", step.why)?,
                Action::Patch { host } => {
                    let until = units::moment(step.until_ms);
                    writeln!(
                        f,
                        "{at:>8}  {host} is down for its patch until {until}, then open"
                    )?;
                }
                // It follows from what is said of its stop.
                Action::Start { .. } => writeln!(f, "{at:>8}    {what}")?,
                _ => writeln!(f, "{at:>8}    {what:<wide$}  {}", step.why)?,
            }
        }
        Ok(())
    }

    fn what(&self, step: &PlanStep) -> String {
        let takes = units::length(step.until_ms - step.from_ms);
        match &step.action {
            Action::Migrate { vm, from, to, how } => match how {
                How::Live => format!("{vm}: {from} → {to}, {takes}"),
                How::Cold => format!("{vm}: {from} → {to}, stopped for {takes}"),
                How::Storage => format!("{vm}: {from} → {to} with its disk, {takes}"),
            },
            Action::AwaitEnd { vm, .. } => format!("{vm} ends by itself"),
            Action::Stop {
                vm, suspend: true, ..
            } => format!("{vm} is suspended"),
            Action::Stop { vm, .. } => format!("{vm} is shut down"),
            Action::Start { vm, .. } => format!("{vm} starts again"),
            Action::Close { .. } | Action::Patch { .. } | Action::Reopen { .. } => String::new(),
        }
    }
}
